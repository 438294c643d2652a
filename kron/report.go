package kron

import "slices"

// A Report says how far a layer's curvature differs from a constant.
type Report struct {
	Layer            string
	Min, Median, Max float32 // of F over the entries of weight and bias
	DampingShare     float64 // mean of lambda/F: at 1 the layer takes plain steps of lr/lambda
	TraceH, TraceS   float64 // sums of the running averages, the traces of the factors
}

// Spread returns how many times larger than its smallest entry the largest entry
// of F is: 1 for plain steps.
func (r *Report) Spread() float64 { return float64(r.Max) / float64(r.Min) }

// Report describes F for the given lambda. It allocates and sorts all of F, and
// is meant for looking at, not for every step.
func (f *Factors) Report(lambda float32) Report {
	h, s := f.Used()
	all := make([]float32, len(h)*len(s))
	f.curvature(all, lambda)
	share := 0.0
	for _, v := range all {
		share += float64(lambda) / float64(v)
	}
	slices.Sort(all)
	return Report{
		Layer:        f.layer.Name,
		Min:          all[0],
		Median:       all[len(all)/2],
		Max:          all[len(all)-1],
		DampingShare: share / float64(len(all)),
		TraceH:       sum(f.current.h),
		TraceS:       sum(f.current.s),
	}
}

func sum(x []float32) float64 {
	t := 0.0
	for _, v := range x {
		t += float64(v)
	}
	return t
}
