package main

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// bars are the groups of contenders in the chart: of each the best is shown.
var bars = []struct {
	name  string
	color color.RGBA
	has   func(contender string) bool
}{
	{"adafisher", color.RGBA{0x1b, 0x6c, 0xa8, 255}, isOurs},
	{"best C or C++", color.RGBA{0xe0, 0x8e, 0x2b, 255}, isC},
	{"best other Go", color.RGBA{0x7a, 0xa8, 0x5c, 255}, func(name string) bool { return !isOurs(name) && !isC(name) }},
}

func isOurs(name string) bool { return strings.HasPrefix(name, "adafisher/") }

func isC(name string) bool {
	return slices.ContainsFunc([]string{"gcc ", "C ", "OpenBLAS", "PyTorch ", "ONNX Runtime "}, func(c string) bool { return strings.HasPrefix(name, c) })
}

// chart writes bars of the ratio to the roof: panels for each size of vectors,
// of matrix products and of convolutions.
func (run report) chart(path string) error {
	var panels []*plot.Plot
	add := func(title string, label func(x result) string, has func(x result) bool) error {
		var rows []result
		for _, x := range run.results {
			if has(x) && x.RoofRatio != nil {
				rows = append(rows, x)
			}
		}
		return split(rows, label, func(part string, rows []result) error {
			p, err := panel(title+part, rows, label)
			panels = append(panels, p)
			return err
		})
	}
	for _, size := range vectorSizes {
		err := add("streaming kernels, "+size.name, func(x result) string { return x.Kernel },
			func(x result) bool { return isVector(x) && x.Size == size.name })
		if err != nil {
			return err
		}
	}
	isConvolution := func(x result) bool { return strings.HasPrefix(x.Kernel, "conv") }
	short := strings.NewReplacer("gemm ", "", "convolution, gradient of the ", "d ", "convolution", "y")
	label := func(x result) string {
		size, _, _ := strings.Cut(x.Size, ", ")
		return short.Replace(x.Kernel) + " " + strings.ReplaceAll(size, " ", "")
	}
	if err := add("matrix products", label, func(x result) bool { return isGemm(x) && !isConvolution(x) }); err != nil {
		return err
	}
	if err := add("convolutions (d: gradients)", label, func(x result) bool { return isGemm(x) && isConvolution(x) }); err != nil {
		return err
	}
	if len(panels) == 0 {
		return nil
	}
	const width, height = 34 * vg.Centimeter, 10 * vg.Centimeter
	image := vgsvg.New(width, height*vg.Length(len(panels)))
	canvas := draw.New(image)
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadTop: vg.Millimeter, PadBottom: vg.Millimeter, PadLeft: vg.Millimeter}
	for i, p := range panels {
		p.Draw(tiles.At(canvas, 0, i))
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := image.WriteTo(file); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// mostLabels is how many bars, or groups of them, have readable labels in a panel.
const mostLabels = 36

// split calls f with results of about as many labels each, as few times as possible, and with
// what tells the parts from each other.
func split(results []result, label func(x result) string, f func(part string, results []result) error) error {
	var labels []string
	for _, x := range results {
		if !slices.Contains(labels, label(x)) {
			labels = append(labels, label(x))
		}
	}
	parts := (len(labels) + mostLabels - 1) / mostLabels
	for i := range parts {
		part := ""
		if parts > 1 {
			part = fmt.Sprintf(" (%d of %d)", i+1, parts)
		}
		of := labels[i*len(labels)/parts : (i+1)*len(labels)/parts]
		rows := slices.DeleteFunc(slices.Clone(results), func(x result) bool { return !slices.Contains(of, label(x)) })
		if err := f(part, rows); err != nil {
			return err
		}
	}
	return nil
}

func panel(title string, results []result, label func(x result) string) (*plot.Plot, error) {
	var labels []string
	at := map[string]int{}
	for _, x := range results {
		if _, ok := at[label(x)]; !ok {
			at[label(x)] = len(labels)
			labels = append(labels, label(x))
		}
	}
	p := plot.New()
	p.Title.Text = title
	p.Y.Label.Text = "ratio to the roof"
	p.Y.Min = 0
	width := vg.Length(760/len(labels)) / vg.Length(len(bars)+1)
	width = min(width, 8)
	for i, b := range bars {
		values := make(plotter.Values, len(labels))
		for _, x := range results {
			if b.has(x.Contender) {
				k := at[label(x)]
				values[k] = max(values[k], *x.RoofRatio)
			}
		}
		chart, err := plotter.NewBarChart(values, width)
		if err != nil {
			return nil, err
		}
		chart.Color, chart.LineStyle.Width = b.color, 0
		chart.Offset = width * vg.Length(i-len(bars)/2)
		p.Add(chart)
		p.Legend.Add(b.name, chart)
	}
	line := plotter.NewFunction(func(float64) float64 { return 1 })
	line.XMin, line.XMax = -0.6, float64(len(labels))-0.4
	line.Color = color.Gray{0x60}
	p.Add(line)
	p.NominalX(labels...)
	p.X.Tick.Label.Rotation = math.Pi / 3
	p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XRight, draw.YCenter
	p.X.Min, p.X.Max = -0.6, 1.1*float64(len(labels)) // the legend is at the right
	p.Legend.Top = true
	p.Y.Max = max(p.Y.Max, 1.15)
	return p, nil
}
