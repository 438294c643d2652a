package report

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/adafisher-go/adafisher/examples/internal/train"
)

// PlotEndings are the endings of the file names that Plot takes.
var PlotEndings = []string{".svg", ".png"}

const (
	plotWidth  = 27 * vg.Centimeter
	plotHeight = 11 * vg.Centimeter
	pngDPI     = 120
)

// Plot draws loss and accuracy by epoch, a line a result, to a file: SVG or PNG
// by its ending. With several seeds a line is their mean, and the band around it
// reaches from the lowest to the highest. heldOut is what the accuracy was
// measured on: "test".
func Plot(file string, results []train.Result, heldOut string) error {
	loss, err := panel("Training loss", "cross entropy (nats, logarithmic)", results, lossBand)
	if err != nil {
		return err
	}
	setAxis(&loss.Y, plot.LogScale{}, lossTicks(loss.Y.Min, loss.Y.Max))

	name := strings.ToUpper(heldOut[:1]) + heldOut[1:]
	right, err := panel(name+" accuracy", "correct (%, stretched towards 100)", results, accuracyBand)
	if err != nil {
		return err
	}
	setAxis(&right.Y, stretched{}, accuracyTicks(right.Y.Min))

	loss.Legend.Top, right.Legend.Top = true, false
	canvas, err := newCanvas(file)
	if err != nil {
		return err
	}
	page := draw.New(canvas)
	const margin = 4 * vg.Millimeter
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: 8 * vg.Millimeter, PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin}
	plots := [][]*plot.Plot{{loss, right}}
	for i, part := range plot.Align(plots, tiles, page)[0] {
		plots[0][i].Draw(part)
	}
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

func panel(title, unit string, results []train.Result, of func(train.Result) []band) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font.Size = 14
	p.Title.Padding = 2 * vg.Millimeter
	p.X.Label.Text, p.Y.Label.Text = "epoch", unit
	p.Legend.YPosition = -0.3
	p.Legend.Padding = vg.Millimeter
	p.Legend.ThumbnailWidth = 10 * vg.Millimeter
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{Y: 0xE0}, color.Gray{Y: 0xE0}
	p.Add(grid)
	// The first result is drawn last, on top.
	lines := make([]*plotter.Line, len(results))
	for i := len(results) - 1; i >= 0; i-- {
		all := of(results[i])
		var mean, edge plotter.XYs
		for e, b := range all {
			mean = append(mean, plotter.XY{X: float64(e + 1), Y: b.mean})
			edge = append(edge, plotter.XY{X: float64(e + 1), Y: b.high})
		}
		for e := len(all) - 1; e >= 0; e-- {
			edge = append(edge, plotter.XY{X: float64(e + 1), Y: all[e].low})
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
		line, err := plotter.NewLine(mean)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = c, 1.6
		line.Dashes = plotDashes[i%len(plotDashes)]
		p.Add(line)
		lines[i] = line
	}
	for i, r := range results {
		p.Legend.Add(fmt.Sprintf("%s, lr %g", r.Optimizer, r.LR), lines[i])
	}
	return p, nil
}

// setAxis gives the axis a scale, and the range that the ticks span.
func setAxis(a *plot.Axis, scale plot.Normalizer, ticks []plot.Tick) {
	a.Scale, a.Tick.Marker = scale, plot.ConstantTicks(ticks)
	a.Min, a.Max = ticks[0].Value, ticks[len(ticks)-1].Value
}

// lossTicks returns ticks at 1, 2 and 5 times the powers of ten, from the last
// one below low to the first one above high. Where there are many, only the
// powers of ten are labelled.
func lossTicks(low, high float64) []plot.Tick {
	decade := math.Floor(math.Log10(low)) - 1
	var ticks []plot.Tick
	for {
		for _, digit := range []float64{1, 2, 5} {
			v := digit * math.Pow(10, decade)
			if v <= low {
				ticks = ticks[:0]
			}
			ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%g", float32(v))})
			if v < high {
				continue
			}
			if len(ticks) > 10 {
				for i := range ticks {
					if !strings.Contains(ticks[i].Label, "1") {
						ticks[i].Label = ""
					}
				}
			}
			return ticks
		}
		decade++
	}
}

// stretched shows the difference between 98 and 99 % as well as that between 20
// and 60: an accuracy of p % stands at -log(101-p).
type stretched struct{}

// Normalize returns the place of p between those of low and high.
func (stretched) Normalize(low, high, p float64) float64 {
	at := func(p float64) float64 { return -math.Log(101 - p) }
	return (at(p) - at(low)) / (at(high) - at(low))
}

func accuracyTicks(low float64) []plot.Tick {
	var ticks []plot.Tick
	for _, v := range []float64{0, 20, 40, 60, 70, 80, 85, 90, 92, 94, 95, 96, 97, 98, 99, 100} {
		if v <= low {
			ticks = ticks[:0]
		}
		ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprint(v)})
	}
	return ticks
}
