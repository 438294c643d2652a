package optim

import (
	"fmt"
	"strings"

	"github.com/adafisher-go/adafisher/kron"
)

// A Report says what a layer's curvature makes of the next step.
type Report struct {
	kron.Report         // F: its spread, and which share of it is damping
	LR          float64 // of the layer's weight: the learning rate, times its group's factor
	Step        float64 // mean of LR/F: what the momentum is multiplied by
}

// Reports describes the curvature of each factored layer, in the model's order:
// its spread, which share of it is the damping Lambda, and the step that follows.
// Where the share is near 1, the layer moves as with momentum alone, by LR/Lambda
// times the momentum. It sorts all of F and is meant for looking at, not for every
// step.
func (o *AdaFisher) Reports() []Report {
	all := make([]Report, len(o.layers.list))
	for i, l := range o.layers.list {
		r := Report{
			Report: l.averages.Report(float32(o.config.Lambda)),
			LR:     o.rate(o.index[l.averages.Layer().Weight]),
		}
		r.Step = r.LR * r.DampingShare / o.config.Lambda
		all[i] = r
	}
	return all
}

// FormatReports returns a table of reports, one line a layer: which share of F is
// damping, the smallest, median and largest F, how many times the largest is the
// smallest, the traces of H and S, and the mean step. For a person to read; programs
// take the fields.
func FormatReports(reports []Report) string {
	width := len("layer")
	for _, r := range reports {
		width = max(width, len(r.Layer))
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%-*s  %7s  %9s  %9s  %9s  %9s  %9s  %9s  %9s\n", width, "layer", "damping",
		"min F", "median F", "max F", "spread", "trace H", "trace S", "step")
	for _, r := range reports {
		fmt.Fprintf(&s, "%-*s  %5.1f %%  %9.3g  %9.3g  %9.3g  %9.3g  %9.3g  %9.3g  %9.3g\n",
			width, r.Layer, 100*r.DampingShare, r.Min, r.Median, r.Max, r.Spread(), r.TraceH, r.TraceS, r.Step)
	}
	return s.String()
}
