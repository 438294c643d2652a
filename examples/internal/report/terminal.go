package report

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/guptarohit/asciigraph"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/adafisher-go/adafisher/examples/internal/train"
)

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Progress shows a bar of total steps on w if that is a terminal, and nothing
// otherwise. It returns what to call after each step, and what to call at the
// end, which clears the bar.
func Progress(w io.Writer, total int) (step, done func()) {
	if !IsTerminal(w) {
		return func() {}, func() {}
	}
	bar := progressbar.NewOptions(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription("training"),
		progressbar.OptionSetWidth(40),
		progressbar.OptionShowCount(),
		progressbar.OptionSetItsString("epochs"),
		progressbar.OptionThrottle(50*time.Millisecond),
		progressbar.OptionClearOnFinish())
	// A terminal that is gone is no reason to stop training.
	return func() { _ = bar.Add(1) }, func() { _ = bar.Finish() }
}

const (
	curveWidth  = 64 // characters
	curveHeight = 14
)

var (
	curveMarks  = []string{"*", "o", "+", "x", "#"}
	curveColors = []asciigraph.AnsiColor{asciigraph.Red, asciigraph.Blue, asciigraph.Green, asciigraph.DarkOrange, asciigraph.Magenta}
)

// LossCurve draws the training loss of each epoch, mean over the seeds, on a
// logarithmic axis: a line a result, in colour or with a mark of its own. It
// draws nothing for a single epoch.
func LossCurve(w io.Writer, results []train.Result, color bool) error {
	epochs := len(results[0].Runs[0])
	if epochs < 2 {
		return nil
	}
	// What is drawn later hides what was drawn before: the first result is last.
	n := len(results)
	lines := make([][]float64, n)
	marks := make([]asciigraph.CharSet, n)
	colors := make([]asciigraph.AnsiColor, n)
	legend := make([]string, n)
	for i, r := range results {
		back := n - 1 - i
		for _, b := range lossBand(r) {
			lines[back] = append(lines[back], math.Log10(b.mean))
		}
		mark := curveMarks[i%len(curveMarks)]
		legend[i] = mark + " " + r.Optimizer
		marks[back] = asciigraph.CreateCharSet(mark)
		if color {
			colors[back] = curveColors[i%len(curveColors)]
			legend[i] = colors[back].String() + legend[i] + asciigraph.Default.String()
		}
	}
	graph := asciigraph.PlotMany(lines,
		asciigraph.Width(curveWidth),
		asciigraph.Height(curveHeight),
		asciigraph.SeriesChars(marks...),
		asciigraph.SeriesColors(colors...),
		asciigraph.YAxisValueFormatter(func(v float64) string { return fmt.Sprintf("%.2g", math.Pow(10, v)) }),
		asciigraph.XAxisRange(1, float64(epochs)),
		asciigraph.XAxisTickCount(min(epochs, 6)),
		asciigraph.XAxisValueFormatter(func(v float64) string { return fmt.Sprintf("%.0f", v) }))
	_, err := fmt.Fprintf(w, "Training loss by epoch (logarithmic; lower is better)   %s\n%s\n\n", strings.Join(legend, "   "), graph)
	return err
}

// Table writes one line a result. heldOut is what the score was measured on:
// "test".
func Table(w io.Writer, results []train.Result, score train.Score, heldOut string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "optimizer\tvariant\tlearning rate\t%s %v\ttraining loss\ts/epoch\tµs/step\tallocations/step\n", heldOut, score)
	for _, r := range results {
		variant := r.VariantName()
		if variant == "" {
			variant = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%g\t%s\t%.3g\t%.3g\t%.0f\t%.3g\n", r.Optimizer, variant, r.LR, scored(r, score), r.TrainLoss(),
			r.SecondsPerEpoch(), Microseconds(r.StepTime()), r.AllocsPerStep())
	}
	return t.Flush()
}

// scored writes a score, with its deviation where there are several seeds.
func scored(r train.Result, score train.Score) string {
	mean, std := r.Last(score.Of)
	unit := ""
	if score == train.Accuracy {
		unit = " %"
	}
	if len(r.Runs) == 1 {
		return fmt.Sprintf("%.2f%s", mean, unit)
	}
	return fmt.Sprintf("%.2f ± %.2f%s", mean, std, unit)
}

// Microseconds returns d in microseconds, with its fraction.
func Microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// Damping writes a line for each result whose curvature is little but its
// damping in every layer: it then takes plain steps, which whoever reads the
// table should know.
func Damping(w io.Writer, results []train.Result) error {
	for _, r := range results {
		share := 1.0
		for _, layer := range r.Curvature {
			share = min(share, layer.DampingShare)
		}
		if len(r.Curvature) == 0 || share < 0.9 {
			continue
		}
		if _, err := fmt.Fprintf(w, "Note: at the end, damping (a constant) makes up %.1f %% or more of %s's curvature in every layer: "+
			"its steps are then much like those of SGD with momentum.\n", math.Floor(1000*min(share, 0.9999))/10, r.Optimizer); err != nil {
			return err
		}
	}
	return nil
}
