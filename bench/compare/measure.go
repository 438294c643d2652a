package main

import (
	"cmp"
	"runtime"
	"slices"
	"time"
)

// A result is what one contender reached in a race.
type result struct {
	Kernel    string  `json:"kernel"`
	Size      string  `json:"size"`
	Contender string  `json:"contender"`
	Unit      string  `json:"unit"`
	Median    float64 `json:"median"`
	P25       float64 `json:"p25"`
	P75       float64 `json:"p75"`
	// Of the same round's roof; left out where the machine has no probe.
	Roof       float64 `json:"roof,omitempty"` // median, in the unit
	OfRoof     float64 `json:"of_roof,omitempty"`
	OfRoofP25  float64 `json:"of_roof_p25,omitempty"`
	OfRoofP75  float64 `json:"of_roof_p75,omitempty"`
	Rounds     int     `json:"rounds"`
	SampleTime float64 `json:"sample_seconds"`
}

// A sampler times runs of one function, many to a sample.
type sampler struct {
	run  func()
	work float64 // of a run
	runs int     // in a sample
}

// newSampler finds how many runs fill a sample.
func newSampler(run func(), work float64, sample time.Duration) *sampler {
	s := &sampler{run, work, 1}
	for {
		t := s.time()
		if t >= sample/4 {
			s.runs = max(1, int(float64(s.runs)*float64(sample)/float64(t)))
			return s
		}
		s.runs *= 2
	}
}

// time times one sample. The run before it brings the operands back into the
// cache that they fit in.
func (s *sampler) time() time.Duration {
	s.run()
	start := now()
	for range s.runs {
		s.run()
	}
	return now() - start
}

// rate times one sample and returns 1e9 units of work a second.
func (s *sampler) rate() float64 {
	return s.work * float64(s.runs) / float64(s.time())
}

// measure runs a race for a number of rounds. In each the roof comes first, then
// every contender, a different one first each time.
func (r race) measure(rounds int, sample time.Duration) []result {
	runtime.GC()
	r.operands.reset()
	prepare := func(c contender) {
		if c.prepare != nil {
			c.prepare()
		}
	}
	var top *sampler
	if r.roof != nil {
		top = newSampler(r.roof, r.roofWork, sample)
	}
	samplers := make([]*sampler, len(r.contenders))
	for i, c := range r.contenders {
		prepare(c)
		samplers[i] = newSampler(c.run, r.work, sample)
	}
	var roofs []float64
	rates, ratios := make([][]float64, len(samplers)), make([][]float64, len(samplers))
	for round := range rounds {
		limit := 0.0
		if top != nil {
			limit = top.rate()
			roofs = append(roofs, limit)
		}
		for j := range samplers {
			i := (round + j) % len(samplers)
			prepare(r.contenders[i])
			rate := samplers[i].rate()
			rates[i] = append(rates[i], rate)
			if top != nil {
				ratios[i] = append(ratios[i], rate/limit)
			}
		}
	}
	results := make([]result, len(samplers))
	for i, c := range r.contenders {
		x := &results[i]
		*x = result{Kernel: r.kernel, Size: r.size, Contender: c.name, Unit: r.unit, Rounds: rounds, SampleTime: sample.Seconds()}
		x.P25, x.Median, x.P75 = quartiles(rates[i])
		if top != nil {
			_, x.Roof, _ = quartiles(roofs)
			x.OfRoofP25, x.OfRoof, x.OfRoofP75 = quartiles(ratios[i])
		}
	}
	return results
}

// quartiles returns the first quartile, the median and the third one, between
// elements where they fall there.
func quartiles(x []float64) (p25, median, p75 float64) {
	x = slices.Clone(x)
	slices.SortFunc(x, cmp.Compare)
	at := func(q float64) float64 {
		p := q * float64(len(x)-1)
		i := int(p)
		if i+1 == len(x) {
			return x[i]
		}
		return x[i] + (p-float64(i))*(x[i+1]-x[i])
	}
	return at(0.25), at(0.5), at(0.75)
}
