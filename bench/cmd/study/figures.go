package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

func init() {
	plot.DefaultFont.Variant = "Sans"
	plotter.DefaultFont.Variant = "Sans"
}

var (
	grey      = color.NRGBA{0xC8, 0xC8, 0xC8, 0xFF}
	paleGrey  = color.NRGBA{0xE6, 0xE6, 0xE6, 0xFF}
	ink       = color.NRGBA{0x30, 0x30, 0x30, 0xFF}
	blue      = color.NRGBA{0x00, 0x72, 0xB2, 0xFF}
	vermilion = color.NRGBA{0xD5, 0x5E, 0x00, 0xFF}
	green     = color.NRGBA{0x00, 0x9E, 0x73, 0xFF}
	purple    = color.NRGBA{0xCC, 0x79, 0xA7, 0xFF}
)

// colorOf tells AdaFisher's family, the other rules with curvature, and the rest
// apart. The colours are Wong's, which all readers can tell apart (Nature Methods 8,
// 2011).
func colorOf(rule string) color.NRGBA {
	switch {
	case strings.HasPrefix(rule, published):
		return vermilion
	case rule == "K-FAC", rule == "Shampoo", rule == "AdaHessian":
		return green
	}
	return blue
}

// A curve is one quantity of one optimizer; low and high are over the seeds.
type curve struct {
	rule, note   string
	x            []float64
	y, low, high []float64
}

// An axis places values: scale maps a value to where it stands, between low and
// high, which are values.
type axis struct {
	label     string
	scale     func(float64) float64
	low, high float64
	ticks     []float64
	name      func(float64) string // of a tick
}

func (a axis) place(v float64) float64 {
	if math.IsNaN(v) {
		v = a.low
	}
	return a.scale(min(max(v, a.low), a.high))
}

func (a axis) apply(to *plot.Axis) {
	to.Min, to.Max = a.scale(a.low), a.scale(a.high)
	if to.Min > to.Max {
		to.Min, to.Max = to.Max, to.Min
	}
	var marks plot.ConstantTicks
	for _, v := range a.ticks {
		if v >= a.low*(1-1e-9) && v <= a.high*(1+1e-9) {
			marks = append(marks, plot.Tick{Value: a.scale(v), Label: a.name(v)})
		}
	}
	to.Tick.Marker = marks
}

func plainNumber(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// stretch gives the difference between 98 and 99 % as much room as that between 60
// and 80.
func stretch(percent float64) float64 { return -math.Log(101 - percent) }

func identity(v float64) float64 { return v }

// metricAxis returns the axis of a metric for values from low to high.
func metricAxis(m metric, low, high float64) axis {
	if m == perplexity {
		return axis{label: "perplexity", scale: math.Log10, low: low, high: high,
			ticks: []float64{2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 50, 100}, name: plainNumber}
	}
	a := axis{label: "correct (%)", scale: stretch, low: max(low, 0), high: min(high, 100), name: plainNumber}
	a.ticks = []float64{10, 50, 80, 90, 95, 98, 99}
	if a.low >= 60 {
		a.ticks = []float64{60, 70, 80, 85, 90, 93, 95, 96, 97, 98, 99, 100}
	}
	if a.high < 95 && a.low >= 60 {
		a.ticks = []float64{60, 65, 70, 75, 80, 82, 84, 86, 88, 89, 90, 91, 92, 93, 94}
	}
	return a
}

// columns is the number of small plots beside each other.
const columns = 4

// multiples draws one small plot an optimizer, on common axes: its own curve, with a
// band from the lowest to the highest seed, before those of all others in grey.
func multiples(path, title string, curves []curve, x, y axis) error {
	const width, height, head = 6.4 * vg.Centimeter, 4.6 * vg.Centimeter, 1.1 * vg.Centimeter
	rows := (len(curves) + columns - 1) / columns
	image := vgsvg.New(columns*width, vg.Length(rows)*height+head)
	page := draw.New(image)
	heading(page, title)
	for i := range curves {
		p := plot.New()
		p.Title.Text = curves[i].rule
		if strings.HasPrefix(p.Title.Text, calibrated) { // longer names don't fit
			p.Title.Text = strings.TrimPrefix(p.Title.Text, published+" ")
		}
		if curves[i].note != "" {
			p.Title.Text += ": " + curves[i].note
		}
		p.Title.TextStyle.Font.Size = 8.5
		p.Title.TextStyle.Color = ink
		small(p)
		if i%columns == 0 {
			p.Y.Label.Text = y.label
		}
		if i+columns >= len(curves) {
			p.X.Label.Text = x.label
		}
		x.apply(&p.X)
		y.apply(&p.Y)
		addGrid(p)
		for k, other := range curves {
			if k != i {
				if err := addLine(p, other.x, other.y, x, y, grey, 0.6, nil); err != nil {
					return err
				}
			}
		}
		own, c := curves[i], colorOf(curves[i].rule)
		if own.low != nil {
			var edge plotter.XYs
			for k, v := range own.x {
				edge = append(edge, plotter.XY{X: x.place(v), Y: y.place(own.high[k])})
			}
			for k := len(own.x) - 1; k >= 0; k-- {
				edge = append(edge, plotter.XY{X: x.place(own.x[k]), Y: y.place(own.low[k])})
			}
			if len(edge) > 0 {
				area, err := plotter.NewPolygon(edge)
				if err != nil {
					return err
				}
				area.LineStyle.Width, area.Color = 0, color.NRGBA{c.R, c.G, c.B, 0x40}
				p.Add(area)
			}
		}
		if err := addLine(p, own.x, own.y, x, y, c, 1.6, draw.CircleGlyph{}); err != nil {
			return err
		}
		row, col := i/columns, i%columns
		left, top := vg.Length(col)*width, page.Max.Y-head-vg.Length(row)*height
		p.Draw(draw.Crop(page, left+3, left+width-6-page.Max.X, top-height+3, top-page.Max.Y-3))
	}
	return save(image, path)
}

func small(p *plot.Plot) {
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = 8.5, 7.5
		a.LineStyle.Color, a.Tick.LineStyle.Color, a.Tick.Label.Color = grey, grey, ink
		a.Padding = 0
	}
}

func addGrid(p *plot.Plot) {
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = paleGrey, paleGrey
	p.Add(grid)
}

func addLine(p *plot.Plot, xs, ys []float64, x, y axis, c color.Color, width vg.Length, mark draw.GlyphDrawer) error {
	points := make(plotter.XYs, len(xs))
	for i := range xs {
		points[i] = plotter.XY{X: x.place(xs[i]), Y: y.place(ys[i])}
	}
	if len(points) == 0 {
		return nil
	}
	line, glyphs, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = c, width
	p.Add(line)
	if mark != nil {
		glyphs.GlyphStyle = draw.GlyphStyle{Color: c, Radius: 1.5, Shape: mark}
		p.Add(glyphs)
	}
	return nil
}

func heading(c draw.Canvas, title string) {
	style := text.Style{Color: ink, Font: font.From(plot.DefaultFont, 12), Handler: plot.DefaultTextHandler}
	c.FillText(style, vg.Point{X: 8, Y: c.Max.Y - 18}, title)
}

func save(image *vgsvg.Canvas, path string) error {
	var picture bytes.Buffer
	if _, err := image.WriteTo(&picture); err != nil {
		return err
	}
	return os.WriteFile(path, picture.Bytes(), 0o644)
}

// overTime draws the metric on the test samples against the time that the steps
// take, or their number.
func (r *taskResult) overTime(path string, bySteps bool) error {
	var curves []curve
	last, top := 0.0, 0.0
	bestFinal, worstFinal := math.NaN(), math.NaN()
	for _, o := range r.drawn() {
		final := o.final(r.task)
		if final.n == 0 {
			continue
		}
		c := curve{rule: o.rule, note: final.text(r.metric.number)}
		var ok []*line
		for _, l := range o.finals {
			if l.Failed == "" {
				ok = append(ok, l)
			}
		}
		unit := r.seconds(o)
		if bySteps {
			unit = 1
		}
		for i, p := range ok[0].Points {
			sum, low, high := 0.0, math.Inf(1), math.Inf(-1)
			for _, l := range ok {
				v := r.metric.of(*l.Points[i].Test)
				sum += v
				low, high = min(low, v), max(high, v)
			}
			c.x = append(c.x, float64(p.Step)*unit)
			c.y = append(c.y, sum/float64(len(ok)))
			c.low, c.high = append(c.low, low), append(c.high, high)
			top = max(top, high)
		}
		last = max(last, c.x[len(c.x)-1])
		curves = append(curves, c)
		if math.IsNaN(bestFinal) {
			bestFinal = final.mean
		}
		if !o.untuned() || math.IsNaN(worstFinal) {
			worstFinal = final.mean
		}
	}
	x := axis{label: "seconds", scale: identity, high: last, ticks: round(last), name: plainNumber}
	what := "time"
	if bySteps {
		x.label, what = "steps", "steps"
	}
	y := metricAxis(r.metric, max(bestFinal-25, min(worstFinal-3, bestFinal-12)), math.Ceil(top))
	if r.metric == perplexity {
		y = metricAxis(r.metric, bestFinal*0.9, min(max(worstFinal*1.3, bestFinal*1.5), bestFinal*4))
	}
	title := fmt.Sprintf("%s: test %s over %s, mean of %d seeds (band: lowest to highest; grey: the others)", r.title, r.metric, what, r.seedsRun())
	return multiples(path, title, curves, x, y)
}

func (r *taskResult) seedsRun() int {
	n := 0
	for _, o := range r.drawn() {
		n = max(n, len(o.finals))
	}
	return n
}

// round returns three or four round numbers up to last.
func round(last float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10(last)))
	for _, f := range []float64{0.2, 0.25, 0.5, 1, 2, 2.5, 5} {
		if last/(step*f) < 4.5 {
			step *= f
			break
		}
	}
	var all []float64
	for i := range int(last/step + 1e-9) {
		all = append(all, step*float64(i+1))
	}
	return append([]float64{0}, all...)
}

// robustness draws the metric on the validation samples over the learning rate, in
// multiples of the best, or over the batch. It reports whether there was anything
// to draw.
func (r *taskResult) robustness(path string, byBatch bool) (bool, error) {
	const lowest, highest = 1e-2, 1e2 // learning rates, in multiples of the best
	var curves []curve
	best := math.NaN()
	widest := 0
	worst := chance(r.task)
	var batches []float64
	for _, o := range r.outcomes {
		lines := o.trials
		if byBatch {
			lines = o.batches
		}
		if o.lr == 0 {
			continue
		}
		c := curve{rule: o.rule, note: "best " + plainNumber(o.lr)}
		if byBatch {
			c.note = ""
		}
		for _, l := range lines {
			if far := l.LR / o.lr; far < lowest*(1-1e-9) || far > highest*(1+1e-9) {
				continue // from when another rate was the best
			}
			v := worst
			if l.Failed == "" {
				v = r.metric.of(l.last().Validation)
				if math.IsNaN(best) || (v > best) == (r.metric == accuracy) {
					best = v
				}
			}
			if byBatch {
				c.x = append(c.x, float64(l.Batch))
				if !slices.Contains(batches, float64(l.Batch)) {
					batches = append(batches, float64(l.Batch))
				}
			} else {
				c.x = append(c.x, l.LR/o.lr)
			}
			c.y = append(c.y, v)
		}
		widest = max(widest, len(c.x))
		curves = append(curves, c)
	}
	if len(curves) == 0 || byBatch && len(batches) < 2 {
		return false, nil
	}
	x := axis{label: "learning rate / best", scale: math.Log10, low: lowest, high: highest, ticks: []float64{1e-2, 1e-1, 1, 1e1, 1e2},
		name: func(v float64) string {
			return map[float64]string{1e-2: "1/100", 1e-1: "1/10", 1: "1", 1e1: "10", 1e2: "100"}[v]
		}}
	if byBatch {
		slices.Sort(batches)
		x = axis{label: "batch", scale: math.Log2, low: batches[0], high: batches[len(batches)-1], ticks: batches, name: plainNumber}
	}
	y := metricAxis(r.metric, 10, math.Ceil(best+0.5))
	if r.metric == perplexity {
		y = metricAxis(r.metric, best*0.9, best*6)
	}
	title := fmt.Sprintf("%s: validation %s over the learning rate (one seed; grey: the others)", r.title, r.metric)
	if byBatch {
		title = fmt.Sprintf("%s: validation %s over the batch, with as many samples (one seed; grey: the others)", r.title, r.metric)
	}
	return true, multiples(path, title, curves, x, y)
}

// chance stands for a run that failed.
func chance(t task) float64 {
	if t.metric == perplexity {
		return math.Inf(1)
	}
	return 10
}

// costs draws what a step costs, in steps of Adam: a plot a task.
func costs(path string, results []taskResult) error {
	const width, line, head = 12.8 * vg.Centimeter, 0.48 * vg.Centimeter, 1.1 * vg.Centimeter
	most, worst := make([]int, (len(results)+1)/2), 1.0 // most bars in each row of plots
	for i, r := range results {
		most[i/2] = max(most[i/2], len(r.costly()))
		for _, o := range r.costly() {
			worst = max(worst, o.cost.Ratio)
		}
	}
	heightOf := func(bars int) vg.Length { return vg.Length(bars+4) * line }
	sum := vg.Length(head)
	for _, bars := range most {
		sum += heightOf(bars)
	}
	image := vgsvg.New(2*width, sum)
	page := draw.New(image)
	top := page.Max.Y - head
	heading(page, "What a training step costs, in steps of Adam (logarithmic)")
	ticks := []float64{0.5, 1, 2, 4, 8, 16, 32, 64}
	x := axis{scale: math.Log2, low: 0.5, high: max(4, worst*2), ticks: ticks, name: plainNumber}
	for i, r := range results {
		p := plot.New()
		p.Title.Text = fmt.Sprintf("%s (Adam: %.0f us)", r.title, r.adam.Micros)
		p.Title.TextStyle.Font.Size, p.Title.TextStyle.Color = 10, ink
		small(p)
		x.apply(&p.X)
		addGrid(p)
		outcomes := r.costly()
		slices.SortFunc(outcomes, func(a, b *outcome) int {
			if a.cost.Ratio > b.cost.Ratio {
				return -1
			}
			return 1
		})
		var names plot.ConstantTicks
		labels := plotter.XYLabels{}
		for k, o := range outcomes {
			at := float64(k)
			names = append(names, plot.Tick{Value: at, Label: o.rule + "  "})
			bar, err := plotter.NewLine(plotter.XYs{{X: math.Log2(0.5), Y: at}, {X: math.Log2(o.cost.Ratio), Y: at}})
			if err != nil {
				return err
			}
			bar.Color, bar.Width = colorOf(o.rule), 0.55*line
			p.Add(bar)
			labels.XYs = append(labels.XYs, plotter.XY{X: math.Log2(o.cost.Ratio), Y: at})
			labels.Labels = append(labels.Labels, fmt.Sprintf("%.2f", o.cost.Ratio))
		}
		marks, err := plotter.NewLabels(labels)
		if err != nil {
			return err
		}
		for k := range marks.TextStyle {
			marks.TextStyle[k].Font.Size, marks.TextStyle[k].Color, marks.TextStyle[k].YAlign = 8, ink, draw.YCenter
		}
		marks.Offset = vg.Point{X: 3}
		p.Add(marks)
		p.Y.Tick.Marker, p.Y.Min, p.Y.Max = names, float64(len(outcomes)-most[i/2])-0.7, float64(len(outcomes))-0.3
		p.Y.Tick.Label.Font.Size = 8.5
		left, height := vg.Length(i%2)*width, heightOf(most[i/2])
		p.Draw(draw.Crop(page, left+3, left+width-8-page.Max.X, top-height+3, top-page.Max.Y-3))
		if i%2 == 1 {
			top -= height
		}
	}
	return save(image, path)
}

// costly returns the outcomes with different costs.
func (r *taskResult) costly() []*outcome {
	return slices.DeleteFunc(r.drawn(), func(o *outcome) bool {
		return o.untuned() && r.find(strings.TrimSuffix(o.rule, untuned)) != nil
	})
}

// curvatures returns the outcomes that report curvature.
func (r *taskResult) curvatures() []*outcome {
	all := slices.DeleteFunc(r.costly(), func(o *outcome) bool { return len(o.layers()) == 0 })
	slices.SortFunc(all, func(a, b *outcome) int { return strings.Compare(a.rule, b.rule) })
	return all
}

// layers returns the curvature at the end of the first final run that did not fail.
func (o *outcome) layers() []layer {
	for _, l := range o.finals {
		if l.Failed == "" {
			return l.Layers
		}
	}
	return nil
}

// layerNames returns the names of all layers, those that only some outcomes have
// before the ones that they stand before there.
func layerNames(outcomes []*outcome) []string {
	var names []string
	for _, o := range outcomes {
		at := 0
		for _, l := range o.layers() {
			if i := slices.Index(names, l.Name); i >= 0 {
				at = i + 1
				continue
			}
			names = slices.Insert(names, at, l.Name)
			at++
		}
	}
	return names
}

// A panel is one of the plots beside each other in a figure of layers.
type panel struct {
	axis axis
	draw func(p *plot.Plot, place func(name string) float64) error
}

// byLayer draws panels with a line for each layer, and a legend above them.
func byLayer(path, title string, names []string, panels []panel, legend []string, styles []draw.GlyphStyle) error {
	const room, all, line, head, foot = 3.8 * vg.Centimeter, 28 * vg.Centimeter, 0.5 * vg.Centimeter, 1.9 * vg.Centimeter, 1.3 * vg.Centimeter
	width := all / vg.Length(max(2, len(panels)))
	height := vg.Length(len(names))*line + foot
	image := vgsvg.New(room+vg.Length(len(panels))*width, height+head)
	page := draw.New(image)
	heading(page, title)
	place := placesOf(names)
	for i, part := range panels {
		p := plot.New()
		small(p)
		p.X.Label.Text = part.axis.label
		part.axis.apply(&p.X)
		var ticks plot.ConstantTicks
		for _, name := range names {
			label := "  "
			if i == 0 { // a browser's letters may be wider than these
				label = name + strings.Repeat(" ", 2+len(name)/6)
			}
			ticks = append(ticks, plot.Tick{Value: place(name), Label: label})
		}
		p.Y.Tick.Marker, p.Y.Min, p.Y.Max = ticks, 0.5-float64(len(names)), 0.5
		p.Y.Tick.Label.Font.Size = 8.5
		addGrid(p)
		if err := part.draw(p, place); err != nil {
			return err
		}
		left, right := room+vg.Length(i)*width, room+vg.Length(i+1)*width
		if i == 0 {
			left = 0
		}
		p.Draw(draw.Crop(page, left+3, right-12-page.Max.X, 3, -head))
	}
	style := text.Style{Color: ink, Font: font.From(plot.DefaultFont, 9), Handler: plot.DefaultTextHandler}
	at := vg.Length(10)
	for k, name := range legend {
		y := page.Max.Y - 36
		page.DrawGlyph(styles[k%len(styles)], vg.Point{X: at, Y: y + 3})
		page.FillText(style, vg.Point{X: at + 7, Y: y}, name)
		at += style.Width(name) + 26
	}
	return save(image, path)
}

// placesOf returns where the line of each layer is, the first on top.
func placesOf(names []string) func(name string) float64 {
	return func(name string) float64 { return -float64(slices.Index(names, name)) }
}

// apart is how far from the line of its layer what stands at place k of n is drawn, so
// that equal values can be told from one.
func apart(k, n int) float64 { return 0.12 * (float64(n-1)/2 - float64(k)) }

// curvature draws each layer's share of damping in F, the spread of F, the traces of its
// factors, and the step that follows.
func (r *taskResult) curvature(path string) error {
	outcomes := r.curvatures()
	styles := []draw.GlyphStyle{
		{Color: vermilion, Radius: 3, Shape: draw.CircleGlyph{}},
		{Color: blue, Radius: 3, Shape: draw.SquareGlyph{}},
		{Color: green, Radius: 3.4, Shape: draw.PyramidGlyph{}},
		{Color: purple, Radius: 3.4, Shape: draw.CrossGlyph{}},
		{Color: ink, Radius: 3.4, Shape: draw.PlusGlyph{}},
		{Color: ink, Radius: 3, Shape: draw.RingGlyph{}},
	}
	widest := 10.0
	var legend []string
	for _, o := range outcomes {
		legend = append(legend, o.rule)
		for _, l := range o.layers() {
			widest = max(widest, l.Spread)
		}
	}
	panels := []panel{
		{axis: axis{label: "damping in F (%)", scale: identity, high: 100, ticks: []float64{0, 25, 50, 75, 100}, name: plainNumber}},
		{axis: logAxis("spread of F (logarithmic)", 1, widest*1.3)},
	}
	values := []func(o *outcome, l layer) float64{
		func(_ *outcome, l layer) float64 { return 100 * l.DampingShare },
		func(_ *outcome, l layer) float64 { return l.Spread },
	}
	for _, more := range []struct {
		label string
		value func(o *outcome, l layer) float64
	}{
		{"trace of H (logarithmic)", func(_ *outcome, l layer) float64 { return l.TraceH }},
		{"trace of S (logarithmic)", func(_ *outcome, l layer) float64 { return l.TraceS }},
		{"effective step (logarithmic)", func(o *outcome, l layer) float64 { return o.lr * l.Step }},
	} {
		least, most := math.Inf(1), 0.0
		for _, o := range outcomes {
			for _, l := range o.layers() {
				if v := more.value(o, l); v > 0 {
					least, most = min(least, v), max(most, v)
				}
			}
		}
		if most > 0 {
			panels = append(panels, panel{axis: logAxis(more.label, least/1.3, most*1.3)})
			values = append(values, more.value)
		}
	}
	for i := range panels {
		panels[i].draw = func(p *plot.Plot, place func(name string) float64) error {
			for k, o := range outcomes {
				points := pointsOf(o, values[i], panels[i].axis, place)
				if len(points) == 0 {
					continue
				}
				for at := range points {
					points[at].Y += apart(k, len(outcomes))
				}
				dots, err := plotter.NewScatter(points)
				if err != nil {
					return err
				}
				dots.GlyphStyle = styles[k%len(styles)]
				p.Add(dots)
			}
			return nil
		}
	}
	return byLayer(path, r.title+": curvature of each layer at the end of a final run", layerNames(outcomes), panels, legend, styles)
}

// pointsOf returns a point for each layer of an outcome that has a value.
func pointsOf(o *outcome, value func(o *outcome, l layer) float64, x axis, place func(name string) float64) plotter.XYs {
	var points plotter.XYs
	for _, l := range o.layers() {
		if v := value(o, l); v > 0 {
			points = append(points, plotter.XY{X: x.place(v), Y: place(l.Name)})
		}
	}
	return points
}

// logAxis returns a logarithmic axis with a tick for each power of ten, or fewer where
// they are many.
func logAxis(label string, low, high float64) axis {
	a := axis{label: label, scale: math.Log10, low: low, high: high, name: plainNumber}
	first, last := int(math.Floor(math.Log10(low))), int(math.Ceil(math.Log10(high)))
	for k := first; k <= last; k += 1 + (last-first-1)/5 {
		a.ticks = append(a.ticks, math.Pow10(k))
	}
	if last-first <= 3 {
		for k := first; k < last; k++ {
			a.ticks = append(a.ticks, 2*math.Pow10(k), 5*math.Pow10(k))
		}
	}
	return a
}

// discs returns the layers with discs of the first final run of AdaFisher calibrated.
func (r *taskResult) discs() []layer {
	for _, name := range []string{calibrated, calibrated + untuned} {
		if o := r.find(name); o != nil {
			if layers := slices.DeleteFunc(slices.Clone(o.layers()), func(l layer) bool { return l.Discs == nil }); len(layers) > 0 {
				return layers
			}
		}
	}
	return nil
}

// drawDiscs draws the radii of Gershgorin's discs in units of their centres.
func (r *taskResult) drawDiscs(path string) error {
	layers := r.discs()
	styles := []draw.GlyphStyle{
		{Color: blue, Radius: 3, Shape: draw.SquareGlyph{}},
		{Color: vermilion, Radius: 3, Shape: draw.CircleGlyph{}},
		{Color: green, Radius: 3.4, Shape: draw.PyramidGlyph{}},
	}
	legend := []string{"inputs", "inputs less their means", "gradients at the outputs"}
	var names []string
	low, high := 1.0, 1.0
	quartiles := func(l layer) [][3]float64 { return [][3]float64{l.Discs.Inputs, l.Discs.Centred, l.Discs.Outputs} }
	for _, l := range layers {
		names = append(names, l.Name)
		for _, q := range quartiles(l) {
			if q[0] > 0 {
				low, high = min(low, q[0]), max(high, q[2])
			}
		}
	}
	x := logAxis("radius over centre: median, and from quartile to quartile (logarithmic)", low/1.3, high*1.3)
	part := panel{x, func(p *plot.Plot, place func(name string) float64) error {
		for _, l := range layers {
			for k, q := range quartiles(l) {
				if q[0] == 0 {
					continue
				}
				at := place(l.Name) + 2*apart(k, len(legend))
				bar, err := plotter.NewLine(plotter.XYs{{X: x.place(q[0]), Y: at}, {X: x.place(q[2]), Y: at}})
				if err != nil {
					return err
				}
				bar.Color, bar.Width = styles[k].Color, 1.6
				dot, err := plotter.NewScatter(plotter.XYs{{X: x.place(q[1]), Y: at}})
				if err != nil {
					return err
				}
				dot.GlyphStyle = styles[k]
				p.Add(bar, dot)
			}
		}
		one, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0.5}, {X: 0, Y: 0.5 - float64(len(names))}})
		if err != nil {
			return err
		}
		one.Color, one.Width = ink, 0.8
		p.Add(one)
		return nil
	}}
	return byLayer(path, r.title+": Gershgorin's discs, AdaFisher calibrated", names, []panel{part}, legend, styles)
}
