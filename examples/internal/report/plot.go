package report

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/adafisher-go/adafisher/examples/internal/train"
)

func init() { plot.DefaultFont.Variant = "Sans" }

// PlotEndings are the endings of the file names that Plot takes.
var PlotEndings = []string{".svg", ".png"}

const (
	plotWidth  = 27 * vg.Centimeter
	plotHeight = 11 * vg.Centimeter
	pngDPI     = 120
)

// Plot draws loss and score by epoch, a line a result, to a file: SVG or PNG
// by its ending. With several seeds a line is their mean, and the band around it
// reaches from the lowest to the highest. heldOut is what the score was
// measured on: "test".
func Plot(file string, results []train.Result, score train.Score, heldOut string) error {
	loss, err := panel("Training loss", "cross entropy (nats, logarithmic)", results, lossBand, math.Log10, lossTicks)
	if err != nil {
		return err
	}
	name := strings.ToUpper(heldOut[:1]) + heldOut[1:]
	unit, scale, ticks := "correct (%, stretched towards 100)", stretch, accuracyTicks
	if score == train.Perplexity {
		unit, scale, ticks = "perplexity (logarithmic)", math.Log10, lossTicks
	}
	scores := func(r train.Result) []band { return bands(r, score.Of) }
	right, err := panel(name+" "+score.String(), unit, results, scores, scale, ticks)
	if err != nil {
		return err
	}
	loss.Legend = plot.NewLegend() // one is enough
	canvas, err := newCanvas(file)
	if err != nil {
		return err
	}
	page := draw.New(canvas)
	const margin = 4 * vg.Millimeter
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: 8 * vg.Millimeter, PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin}
	loss.Draw(tiles.At(page, 0, 0))
	right.Draw(tiles.At(page, 1, 0))
	var picture bytes.Buffer
	if _, err := canvas.WriteTo(&picture); err != nil {
		return err
	}
	return os.WriteFile(file, picture.Bytes(), 0o666)
}

type canvas interface {
	vg.CanvasSizer
	io.WriterTo
}

func newCanvas(file string) (canvas, error) {
	switch ending := strings.ToLower(filepath.Ext(file)); ending {
	case ".svg":
		return vgsvg.New(plotWidth, plotHeight), nil
	case ".png":
		return vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(plotWidth, plotHeight), vgimg.UseDPI(pngDPI))}, nil
	default:
		return nil, fmt.Errorf("report: a picture named %s: want the ending %s", file, strings.Join(PlotEndings, " or "))
	}
}

// plotColors are from Wong, "Points of view: Color blindness", Nature Methods 8
// (2011): all readers can tell them apart.
var plotColors = []color.NRGBA{
	{R: 0xD5, G: 0x5E, B: 0x00, A: 0xFF},
	{R: 0x00, G: 0x72, B: 0xB2, A: 0xFF},
	{R: 0x00, G: 0x9E, B: 0x73, A: 0xFF},
	{R: 0xCC, G: 0x79, B: 0xA7, A: 0xFF},
	{R: 0x56, G: 0xB4, B: 0xE9, A: 0xFF},
}

var plotDashes = [][]vg.Length{nil, {8, 3}, {2, 2}, {8, 3, 2, 3}, {12, 4}}

// panel draws one quantity. Values are placed by scale, on an axis whose ticks
// follow from the lowest and the highest.
func panel(title, unit string, results []train.Result, of func(train.Result) []band,
	scale func(float64) float64, ticks func(low, high float64) []float64) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = title
	if seeds := len(results[0].Runs); seeds > 1 {
		p.Title.Text += fmt.Sprintf(" (mean of %d seeds; band: lowest to highest)", seeds)
	}
	p.Title.TextStyle.Font.Size = 12
	p.Title.Padding = 2 * vg.Millimeter
	p.X.Label.Text, p.Y.Label.Text = "epoch", unit
	p.X.Tick.Marker = plot.TickerFunc(epochTicks)
	p.Legend.YPosition = -0.3
	p.Legend.Padding = vg.Millimeter
	p.Legend.ThumbnailWidth = 10 * vg.Millimeter
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{Y: 0xE0}, color.Gray{Y: 0xE0}
	p.Add(grid)
	low, high := math.Inf(1), math.Inf(-1)
	// The first result is drawn last, on top.
	lines := make([]*plotter.Line, len(results))
	for i := len(results) - 1; i >= 0; i-- {
		all := of(results[i])
		var mean, edge plotter.XYs
		for e, b := range all {
			mean = append(mean, plotter.XY{X: float64(e + 1), Y: scale(b.mean)})
			edge = append(edge, plotter.XY{X: float64(e + 1), Y: scale(b.high)})
			low, high = min(low, b.low), max(high, b.high)
		}
		for e := len(all) - 1; e >= 0; e-- {
			edge = append(edge, plotter.XY{X: float64(e + 1), Y: scale(all[e].low)})
		}
		c := plotColors[i%len(plotColors)]
		if len(results[i].Runs) > 1 {
			area, err := plotter.NewPolygon(edge)
			if err != nil {
				return nil, err
			}
			area.LineStyle.Width = 0
			area.Color = color.NRGBA{R: c.R, G: c.G, B: c.B, A: 0x30}
			p.Add(area)
		}
		line, points, err := plotter.NewLinePoints(mean)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = c, 1.6
		line.Dashes = plotDashes[i%len(plotDashes)]
		points.GlyphStyle = draw.GlyphStyle{Color: c, Radius: 1.8, Shape: draw.CircleGlyph{}}
		p.Add(line, points)
		lines[i] = line
	}
	for i, r := range results {
		p.Legend.Add(fmt.Sprintf("%s, lr %g", r.Optimizer, r.LR), lines[i])
	}
	var marks plot.ConstantTicks
	for _, v := range ticks(low, high) {
		marks = append(marks, plot.Tick{Value: scale(v), Label: fmt.Sprintf("%g", v)})
	}
	p.Y.Tick.Marker = marks
	p.Y.Min, p.Y.Max = marks[0].Value, marks[len(marks)-1].Value
	return p, nil
}

// epochTicks returns at most nine ticks at round numbers.
func epochTicks(first, last float64) []plot.Tick {
	step := 1.0
	for i := 0; last/step > 9; i++ {
		step *= [...]float64{2, 2.5, 2}[i%3] // 1, 2, 5, 10, ..
	}
	var ticks []plot.Tick
	for v := step; v <= last; v += step {
		if v >= first {
			ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprint(v)})
		}
	}
	return ticks
}

// lossTicks returns 1, 2 and 5 times the powers of ten, from the last one below
// low to the first one above high; or the powers alone, where these are many.
func lossTicks(low, high float64) []float64 {
	digits := []int{1, 2, 5}
	if high > 500*low {
		digits = digits[:1]
	}
	var ticks []float64
	for power := int(math.Floor(math.Log10(low))) - 1; ; power++ {
		for _, digit := range digits {
			// Parsed, the number is the one nearest to its decimal name.
			v, err := strconv.ParseFloat(fmt.Sprintf("%de%d", digit, power), 64)
			if err != nil || v <= low {
				ticks = ticks[:0]
			}
			ticks = append(ticks, v)
			if v >= high {
				return ticks
			}
		}
	}
}

// stretch gives the difference between 98 and 99 % as much room as that between
// 60 and 80.
func stretch(percent float64) float64 { return -math.Log(101 - percent) }

// accuracyTicks returns percentages from the last one below low to 100.
func accuracyTicks(low, _ float64) []float64 {
	all := []float64{0, 20, 40, 60, 70, 80, 85, 90, 93, 95, 97, 98, 99, 100}
	first := 0
	for first+2 < len(all) && all[first+1] <= low {
		first++
	}
	return all[first:]
}
