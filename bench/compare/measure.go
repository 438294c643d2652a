package main

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/adafisher-go/adafisher/bench/internal/host"
)

// A race is a set of contenders that are timed in turn.
type race struct {
	contenders []contender
	size       string
	unit       string // of results: work in 1e9 a second, or the time of a run in us or ns
	procs      int    // goroutines that run at the same time
	fewer      bool   // long runs: a third of the rounds
	several    int    // runs in a sample, at least
	begin      func() // before the race; nil for nothing
	operands   *operands
}

// A contender does the work of a race on the race's operands.
type contender struct {
	kernel, name string
	roof         *roofline // nil without one
	prepare      func()    // before runs that are timed; nil for nothing
	run          timed
	work         float64 // bytes or operations of a run
	within       float64 // how far from ours results may be, see bound
	result       func()  // brings the result into the operands, for tests; nil if it is there
}

// A roofline is what the machine does at best for a kernel.
type roofline struct {
	runs []timed // the fastest counts
	work float64 // that a run of the contender does in the time of a run of the roof
}

// timed does a number of runs and returns the time that they take.
type timed func(runs int) (time.Duration, error)

// every times a function that does the runs, by the clock.
func (clock clock) every(f func(runs int)) timed {
	return func(runs int) (time.Duration, error) {
		start := clock()
		f(runs)
		return clock() - start, nil
	}
}

// each times a function that does one run.
func (clock clock) each(f func()) timed {
	return clock.every(func(runs int) {
		for range runs {
			f()
		}
	})
}

// A clock returns the time since some moment.
type clock func() time.Duration

// cpu is the CPU time of the process.
var cpu clock = host.CPUTime

var began = time.Now()

// wall is the time that passes.
var wall clock = func() time.Duration { return time.Since(began) }

// A result is what one contender reached in a race.
type result struct {
	Kernel    string   `json:"kernel"`
	Size      string   `json:"size"`
	Contender string   `json:"contender"`
	Median    float64  `json:"median"`
	Unit      string   `json:"unit"`
	RoofRatio *float64 `json:"roof_ratio"` // of the same round's roof, median; null without a roof
	P25       float64  `json:"p25"`
	P75       float64  `json:"p75"`
	Roof      float64  `json:"roof,omitempty"` // median, in the unit
	Rounds    int      `json:"rounds"`
}

// A sampler times runs of one function, many to a sample.
type sampler struct {
	run    timed
	runs   int           // in a sample
	warm   bool          // runs that aren't timed come before them
	sample time.Duration // that runs fill
	// lacking says how much of the core there is not, see watch; nil where that is
	// not asked.
	lacking func() float64
}

// newSampler finds how many runs fill a sample; there are at least several.
func newSampler(run timed, several int, sample time.Duration, lacking func() float64) (*sampler, error) {
	s := &sampler{run: run, runs: 1, warm: true, sample: sample}
	for {
		t, err := s.time()
		if err != nil {
			return nil, err
		}
		if t >= sample/4 {
			// What is so long brings its operands into the caches by itself.
			s.warm = s.runs > 1 || t < 30*sample
			s.runs = max(1, several, int(float64(s.runs)*float64(sample)/float64(t)))
			s.lacking = lacking
			return s, nil
		}
		s.runs *= 2
	}
}

// A sample counts if the core lacks only slightly before and after; if none of many, or
// of the time of as many, does, the one counts that lacked least.
const (
	slight = 0.15
	tries  = 40
)

// warmRuns bring the operands back into the caches from which the contender before has
// put them, with memory of its own. One or two runs don't do that where the operands
// nearly fill the third cache, which keeps some of what was there.
const warmRuns = 4

// time times one sample.
func (s *sampler) time() (time.Duration, error) {
	if s.warm {
		if _, err := s.run(warmRuns); err != nil {
			return 0, err
		}
	}
	if s.lacking == nil {
		return s.run(s.runs)
	}
	var best, all time.Duration
	least := math.Inf(1)
	before := s.lacking()
	for range tries {
		t, err := s.run(s.runs)
		if err != nil {
			return 0, err
		}
		after := s.lacking()
		if most := max(before, after); most < least {
			least, best = most, t
		}
		if all += t; least <= slight || all >= tries*s.sample {
			break
		}
		before = after
	}
	return best, nil
}

// perRun times one sample and returns the nanoseconds of a run.
func (s *sampler) perRun() (float64, error) {
	t, err := s.time()
	return float64(max(t, 1)) / float64(s.runs), err
}

// measure runs a race for a number of rounds. In each the roofs come first, then
// every contender, a different one first each time.
func (r race) measure(rounds int, sample time.Duration) ([]result, error) {
	if r.fewer {
		rounds = max(1, rounds/3)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(1, r.procs)))
	var lacking func() float64
	if r.procs <= 1 {
		defer host.Pin()()
		if w := core(); w != nil {
			lacking = w.lacking
		}
	}
	if r.begin != nil {
		r.begin()
	}
	runtime.GC()
	if r.operands != nil {
		reset(r.operands)
	}
	prepare := func(c contender) {
		if c.prepare != nil {
			c.prepare()
		}
	}
	tops := map[*roofline][]*sampler{}
	var order []*roofline
	samplers := make([]*sampler, len(r.contenders))
	for i, c := range r.contenders {
		if c.roof != nil && tops[c.roof] == nil {
			order = append(order, c.roof)
			for _, run := range c.roof.runs {
				s, err := newSampler(run, 1, sample, lacking)
				if err != nil {
					return nil, fmt.Errorf("roof of %s: %w", c.kernel, err)
				}
				tops[c.roof] = append(tops[c.roof], s)
			}
		}
		prepare(c)
		var err error
		if samplers[i], err = newSampler(c.run, r.several, sample, lacking); err != nil {
			return nil, fmt.Errorf("%s by %s: %w", c.kernel, c.name, err)
		}
	}
	values, roofs, ratios := make([][]float64, len(samplers)), make([][]float64, len(samplers)), make([][]float64, len(samplers))
	for round := range rounds {
		limits := map[*roofline]float64{} // nanoseconds
		for _, roof := range order {
			for _, s := range tops[roof] {
				t, err := s.perRun()
				if err != nil {
					return nil, err
				}
				if limits[roof] == 0 || t < limits[roof] {
					limits[roof] = t
				}
			}
		}
		for j := range samplers {
			i := (round + j) % len(samplers)
			c := r.contenders[i]
			prepare(c)
			t, err := samplers[i].perRun()
			if err != nil {
				return nil, fmt.Errorf("%s by %s: %w", c.kernel, c.name, err)
			}
			values[i] = append(values[i], r.value(t, c.work))
			if c.roof != nil {
				limit := limits[c.roof] * c.work / c.roof.work
				roofs[i] = append(roofs[i], r.value(limit, c.work))
				ratios[i] = append(ratios[i], limit/t)
			}
		}
	}
	results := make([]result, len(samplers))
	for i, c := range r.contenders {
		x := &results[i]
		*x = result{Kernel: c.kernel, Size: r.size, Contender: c.name, Unit: r.unit, Rounds: rounds}
		x.P25, x.Median, x.P75 = quartiles(values[i])
		if c.roof != nil {
			_, x.Roof, _ = quartiles(roofs[i])
			_, ratio, _ := quartiles(ratios[i])
			x.RoofRatio = &ratio
		}
	}
	return results, nil
}

// value expresses the nanoseconds of a run in the race's unit.
func (r race) value(t, work float64) float64 {
	switch r.unit {
	case "ns":
		return t
	case "us":
		return t / 1e3
	}
	return work / t
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
