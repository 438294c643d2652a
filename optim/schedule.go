package optim

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/adafisher-go/adafisher/internal/float"
)

// A Schedule gives a value for each step, counted from 0: a learning rate, or a
// momentum. It is a plain function of the step, so that a resumed run needs nothing
// but the number of steps, which the optimizer keeps:
//
//	for opt.Steps() < total {
//		if err := opt.SetLR(schedule(opt.Steps())); err != nil {
//			return err
//		}
//		loss, err := session.TrainSoftmaxCrossEntropy(opt, x, labels)
//		...
//	}
//
// The learning rates of groups follow, each with its factor. The schedules here
// have the same bits on every machine, start at step 0, and stay at their last
// value after their end.
type Schedule func(step int64) float64

// Constant returns the schedule of one value.
func Constant(lr float64) (Schedule, error) {
	if err := checkSchedule("Constant", 1, lr); err != nil {
		return nil, err
	}
	return func(int64) float64 { return lr }, nil
}

// StepDecay multiplies the learning rate by a factor in [0, 1] every so many steps:
//
//	from * factor^floor(step/every)
//
// With every = 1 that is exponential decay.
func StepDecay(from, factor float64, every int64) (Schedule, error) {
	if err := checkSchedule("StepDecay", every, from); err != nil {
		return nil, err
	}
	if err := checkFactor("StepDecay", factor); err != nil {
		return nil, err
	}
	return func(step int64) float64 { return float64(from * float.Power(factor, max(step, 0)/every)) }, nil
}

// MultiStep multiplies the learning rate by a factor in [0, 1] at each of the given
// steps, which increase.
func MultiStep(from, factor float64, at ...int64) (Schedule, error) {
	if err := checkSchedule("MultiStep", 1, from); err != nil {
		return nil, err
	}
	if err := checkFactor("MultiStep", factor); err != nil {
		return nil, err
	}
	for i, a := range at {
		if a < 1 || i > 0 && a <= at[i-1] {
			return nil, fmt.Errorf("optim: MultiStep: steps %v: want increasing numbers from 1 on", at)
		}
	}
	at = slices.Clone(at)
	return func(step int64) float64 {
		passed, found := slices.BinarySearch(at, step)
		if found {
			passed++
		}
		return float64(from * float.Power(factor, int64(passed)))
	}, nil
}

// Linear goes from one value to another in a straight line.
//
//	from + (to-from) * step/steps
func Linear(from, to float64, steps int64) (Schedule, error) {
	return ramp("Linear", from, to, steps, func(left float64) float64 { return left })
}

// Polynomial goes from one value to another as a power, above 0, of the steps that
// are left. With power 1 it is [Linear].
//
//	to + (from-to) * (1-step/steps)^power
func Polynomial(from, to, power float64, steps int64) (Schedule, error) {
	if !(power > 0 && power <= 1000) {
		return nil, fmt.Errorf("optim: Polynomial: power is %v: want a number above 0, at most 1000", power)
	}
	return ramp("Polynomial", from, to, steps, func(left float64) float64 { return pow(left, power) })
}

// Cosine goes from one value to another along half a period of a cosine
// (Loshchilov and Hutter, arXiv 1608.03983).
//
//	to + (from-to) * (1+cos(pi*step/steps))/2
func Cosine(from, to float64, steps int64) (Schedule, error) {
	return ramp("Cosine", from, to, steps, func(left float64) float64 { return halfCosine(1 - left) })
}

// CosineWave is [Cosine], but goes on after its end: back in as many steps, and so
// on, as CosineAnnealingLR of PyTorch does.
func CosineWave(from, to float64, steps int64) (Schedule, error) {
	half, err := Cosine(from, to, steps)
	if err != nil || steps > math.MaxInt64/2 {
		return half, err
	}
	return func(step int64) float64 {
		step = max(step, 0) % (2 * steps)
		return half(min(step, 2*steps-step))
	}, nil
}

// ramp returns the schedule between two values whose course is a function of the
// share of steps that is left: 1 at 1, 0 at 0.
func ramp(name string, from, to float64, steps int64, course func(left float64) float64) (Schedule, error) {
	if err := checkSchedule(name, steps, from, to); err != nil {
		return nil, err
	}
	return func(step int64) float64 {
		step = min(max(step, 0), steps)
		return mix(from, to, course(float64(steps-step)/float64(steps)))
	}, nil
}

// Warmup comes to a schedule's first value in equal steps, and then follows it from
// its step 0 on.
//
//	then(0) * (step+1)/steps          for step < steps
//	then(step-steps)                  after that
func Warmup(steps int64, then Schedule) (Schedule, error) {
	if err := checkSchedule("Warmup", steps); err != nil {
		return nil, err
	}
	if then == nil {
		return nil, errors.New("optim: Warmup: there is no schedule")
	}
	return func(step int64) float64 {
		if step < steps {
			return float64(then(0) * (float64(max(step, 0)+1) / float64(steps)))
		}
		return then(step - steps)
	}, nil
}

// Join follows one schedule for so many steps, and then another from its step 0 on.
func Join(steps int64, first, then Schedule) (Schedule, error) {
	if err := checkSchedule("Join", steps); err != nil {
		return nil, err
	}
	if first == nil || then == nil {
		return nil, errors.New("optim: Join: want two schedules")
	}
	return func(step int64) float64 {
		if step < steps {
			return first(step)
		}
		return then(step - steps)
	}, nil
}

// OneCycleConfig is the configuration of [OneCycle].
type OneCycleConfig struct {
	Peak     float64 // the largest learning rate
	Steps    int64   // of the whole cycle, 2 or more
	Rise     float64 // share of the steps that come to the peak, in (0, 1)
	Start    float64 // the first learning rate, as a share of Peak, in [0, 1]
	End      float64 // the last learning rate, as a share of Peak, in [0, 1]
	Linear   bool    // straight lines, not cosines
	Momentum float64 // the momentum at both ends, in [0, 1)
	Low      float64 // the momentum at the peak, in [0, 1)
}

// OneCycleDefaults returns PyTorch's defaults: the peak after 0.3 of the steps, from
// 1/25 and to 1/250000 of it, a momentum from 0.95 to 0.85 and back.
func OneCycleDefaults(peak float64, steps int64) OneCycleConfig {
	return OneCycleConfig{Peak: peak, Steps: steps, Rise: 0.3, Start: 1. / 25, End: 1. / 250_000, Momentum: 0.95, Low: 0.85}
}

// OneCycle returns schedules of the learning rate and of the momentum: the first
// goes up to a peak and far down, the second down and up (Smith and Topin, arXiv
// 1708.07120), as OneCycleLR of PyTorch has it. The peak is at step Rise*Steps-1, which
// need not be whole; where it is 0 or before, the schedule is on its way down from
// step 0 on. The momentum is for SetMomentum of those optimizers that have one; it may
// be left out.
func OneCycle(c OneCycleConfig) (lr, momentum Schedule, err error) {
	const name = "OneCycle"
	if err := checkSchedule(name, c.Steps, c.Peak); err != nil {
		return nil, nil, err
	}
	err = checkSettings(name,
		setting{"Start", c.Start, fraction},
		setting{"End", c.End, fraction},
		setting{"Momentum", c.Momentum, decay},
		setting{"Low", c.Low, decay})
	if err != nil {
		return nil, nil, err
	}
	if c.Steps < 2 || !(c.Rise > 0 && c.Rise < 1) {
		return nil, nil, fmt.Errorf("optim: OneCycle: Steps is %d and Rise %v: want 2 or more, and a number in (0, 1)", c.Steps, c.Rise)
	}
	last := float64(c.Steps - 1)
	peak := float64(c.Rise*float64(c.Steps)) - 1
	cycle := func(start, high, end float64) Schedule {
		return func(step int64) float64 {
			t := min(float64(max(step, 0)), last)
			from, to, done := high, end, (t-peak)/(last-peak)
			if t < peak {
				from, to, done = start, high, t/peak
			}
			if c.Linear {
				return mix(from, to, 1-done)
			}
			return mix(from, to, halfCosine(done))
		}
	}
	return cycle(float64(c.Peak*c.Start), c.Peak, float64(c.Peak*c.End)), cycle(c.Momentum, c.Low, c.Momentum), nil
}

// checkSchedule returns an error unless there are steps, and learning rates that
// can be.
func checkSchedule(name string, steps int64, rates ...float64) error {
	if steps < 1 {
		return fmt.Errorf("optim: %s: %d steps: want 1 or more", name, steps)
	}
	for _, r := range rates {
		if !(r >= 0 && r <= math.MaxFloat32) {
			return fmt.Errorf("optim: %s: a learning rate of %v: want a finite number, 0 or more", name, r)
		}
	}
	return nil
}

func checkFactor(name string, factor float64) error {
	return checkSettings(name, setting{"factor", factor, fraction})
}

// Schedules use no functions of package math but roots and parts of numbers: the
// others, and products that a sum follows without a rounding between them, differ
// between architectures.

// mix returns from*share + to*(1-share): its ends are exact.
func mix(from, to, share float64) float64 { return float64(from*share) + float64(to*(1-share)) }

// halfCosine returns (1+cos(pi*x))/2 for x in [0, 1], within 4e-16. Its ends are
// exact.
func halfCosine(x float64) float64 {
	if x > 0.5 {
		s := sine(math.Pi / 2 * (1 - x))
		return float64(s * s)
	}
	s := sine(math.Pi / 2 * x)
	return 1 - float64(s*s)
}

// sine returns sin(x) for |x| <= pi/4, by its series.
func sine(x float64) float64 {
	return float64(x * horner(float64(x*x),
		-1./1307674368000, 1./6227020800, -1./39916800, 1./362880, -1./5040, 1./120, -1./6, 1))
}

// pow returns x^p for x in [0, 1] and p > 0, within 4e-16 * (1 + p*|log x|) of it.
func pow(x, p float64) float64 {
	if x <= 0 {
		return 0
	}
	if p == math.Trunc(p) {
		return float.Power(x, int64(p))
	}
	return exponential(float64(p * logarithm(x)))
}

const (
	ln2High = 0x1.62e42fefap-1 // its product with an exponent is exact
	ln2Low  = 0x1.cf79abc9e3b39p-40
)

// logarithm returns the natural logarithm of x > 0: that of a power of two, and a
// series in (m-1)/(m+1) for the rest m in [sqrt(1/2), sqrt(2)].
func logarithm(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	s := (m - 1) / (m + 1)
	series := horner(float64(s*s), 2./23, 2./21, 2./19, 2./17, 2./15, 2./13, 2./11, 2./9, 2./7, 2./5, 2./3, 2)
	return float64(float64(e)*ln2High) + (float64(s*series) + float64(float64(e)*ln2Low))
}

// exponential returns e^x for x <= 0: a power of two, and the series for the rest.
func exponential(x float64) float64 {
	if x < -745 {
		return 0
	}
	n := math.Round(x / math.Ln2)
	r := x - float64(n*ln2High) - float64(n*ln2Low)
	p := horner(r, 1./6227020800, 1./479001600, 1./39916800, 1./3628800, 1./362880, 1./40320, 1./5040,
		1./720, 1./120, 1./24, 1./6, 1./2, 1, 1)
	return math.Ldexp(p, int(n))
}

// horner returns ((c[0]*x + c[1])*x + ..) + c[n], each operation rounded.
func horner(x float64, c ...float64) float64 {
	p := c[0]
	for _, c := range c[1:] {
		p = float64(p*x) + c
	}
	return p
}
