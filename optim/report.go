package optim

import "github.com/adafisher-go/adafisher/kron"

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
