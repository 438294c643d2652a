package optim_test

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/optim"
)

// must fails the test if a schedule could not be made.
func must(t testing.TB) func(optim.Schedule, error) optim.Schedule {
	return func(s optim.Schedule, err error) optim.Schedule {
		t.Helper()
		require.NoError(t, err)
		return s
	}
}

// namedSchedule is a schedule, its formula by package math, and where it ends.
type namedSchedule struct {
	name    string
	s       optim.Schedule
	formula func(step float64) float64
	end     int64
}

func schedules(t testing.TB) []namedSchedule {
	of := must(t)
	cosine := func(from, to, steps float64) func(float64) float64 {
		return func(t float64) float64 { return to + (from-to)*(1+math.Cos(math.Pi*min(t, steps)/steps))/2 }
	}
	c := optim.OneCycleDefaults(0.2, 1000)
	lr, momentum, err := optim.OneCycle(c)
	require.NoError(t, err)
	c.Linear, c.Rise = true, 0.45
	linear, linearMomentum, err := optim.OneCycle(c)
	require.NoError(t, err)
	cycle := func(start, high, end, peak float64, linear bool) func(float64) float64 {
		return func(t float64) float64 {
			t = min(t, 999)
			from, to, share := start, high, t/peak
			if t > peak {
				from, to, share = high, end, (t-peak)/(999-peak)
			}
			if !linear {
				share = (1 - math.Cos(math.Pi*share)) / 2
			}
			return from + (to-from)*share
		}
	}
	warm := cosine(0.3, 0.001, 700)
	return []namedSchedule{
		{"constant", of(optim.Constant(0.1)), func(float64) float64 { return 0.1 }, 0},
		{"step", of(optim.StepDecay(0.3, 0.7, 40)), func(t float64) float64 { return 0.3 * math.Pow(0.7, math.Floor(t/40)) }, -1},
		{"exponential", of(optim.StepDecay(0.3, 0.99, 1)), func(t float64) float64 { return 0.3 * math.Pow(0.99, t) }, -1},
		{"multistep", of(optim.MultiStep(0.3, 0.1, 30, 700)), func(t float64) float64 {
			switch {
			case t < 30:
				return 0.3
			case t < 700:
				return 0.03
			}
			return 0.003
		}, 700},
		{"linear", of(optim.Linear(0.1, 0.5, 777)), func(t float64) float64 { return 0.1 + 0.4*min(t, 777)/777 }, 777},
		{"square", of(optim.Polynomial(0.4, 0.01, 2, 900)), func(t float64) float64 { return 0.01 + 0.39*math.Pow(1-min(t, 900)/900, 2) }, 900},
		{"poly", of(optim.Polynomial(0.4, 0, 0.9, 900)), func(t float64) float64 { return 0.4 * math.Pow(1-min(t, 900)/900, 0.9) }, 900},
		{"steep", of(optim.Polynomial(0.4, 0, 3.7, 900)), func(t float64) float64 { return 0.4 * math.Pow(1-min(t, 900)/900, 3.7) }, 900},
		{"cosine", of(optim.Cosine(0.3, 0.001, 900)), cosine(0.3, 0.001, 900), 900},
		{"wave", of(optim.CosineWave(0.3, 0.1, 70)), func(t float64) float64 { return 0.1 + 0.2*(1+math.Cos(math.Pi*math.Mod(t, 140)/70))/2 }, -1},
		{"warm", of(optim.Warmup(50, of(optim.Cosine(0.3, 0.001, 700)))), func(t float64) float64 {
			if t < 50 {
				return 0.3 * (t + 1) / 50
			}
			return warm(t - 50)
		}, 750},
		{"joined", of(optim.Join(10, of(optim.Linear(0, 0.5, 10)), of(optim.StepDecay(0.5, 0.1, 100)))), func(t float64) float64 {
			if t < 10 {
				return 0.05 * t
			}
			return 0.5 * math.Pow(0.1, math.Floor((t-10)/100))
		}, -1},
		{"cycle", lr, cycle(0.2/25, 0.2, 0.2/250_000, 299, false), 999},
		{"cycle's momentum", momentum, cycle(0.95, 0.85, 0.95, 299, false), 999},
		{"linear cycle", linear, cycle(0.2/25, 0.2, 0.2/250_000, 449, true), 999},
		{"linear cycle's momentum", linearMomentum, cycle(0.95, 0.85, 0.95, 449, true), 999},
	}
}

func TestSchedules(t *testing.T) {
	for _, c := range schedules(t) {
		for step := range int64(1100) {
			require.InDelta(t, c.formula(float64(step)), c.s(step), 4e-16, "%s, step %d", c.name, step)
		}
		require.Equal(t, c.s(0), c.s(-5), c.name)
		if c.end >= 0 {
			require.Equal(t, c.s(c.end), c.s(math.MaxInt64), c.name)
		} else {
			require.NotPanics(t, func() { c.s(math.MaxInt64) })
		}
	}
}

// TestScheduleEnds: they begin and end with the very numbers that they were given.
func TestScheduleEnds(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 1))
	for range 200 {
		from, to, steps := rng.Float64(), rng.Float64(), 1+rng.Int64N(5000)
		for _, of := range []func() (optim.Schedule, error){
			func() (optim.Schedule, error) { return optim.Linear(from, to, steps) },
			func() (optim.Schedule, error) { return optim.Polynomial(from, to, 5*rng.Float64(), steps) },
			func() (optim.Schedule, error) { return optim.Cosine(from, to, steps) },
			func() (optim.Schedule, error) { return optim.CosineWave(from, to, steps) },
		} {
			s, err := of()
			require.NoError(t, err)
			require.Equal(t, from, s(0))
			require.Equal(t, to, s(steps))
		}
		c := optim.OneCycleDefaults(from, 2+steps)
		lr, momentum, err := optim.OneCycle(c)
		require.NoError(t, err)
		require.Equal(t, from*c.End, lr(1+steps))
		require.Equal(t, 0.95, momentum(1+steps))
	}
}

// TestShortOneCycles: the peak may be at the first step or before. The values are those
// of PyTorch's formula, which divides 0 by 0 where the peak is the first step.
func TestShortOneCycles(t *testing.T) {
	for _, c := range []struct {
		steps        int64
		rise         float64
		lr, momentum []float64
	}{
		{2, 0.3, []float64{0.811745653949763, 4e-6}, []float64{0.8688255099070633, 0.95}},
		{3, 0.3, []float64{0.9944154354509117, 0.46263710266697505, 4e-6}, []float64{0.8505584586887436, 0.9037365046793212, 0.95}},
		{4, 0.25, []float64{1, 0.750001, 0.250003, 4e-6}, []float64{0.85, 0.875, 0.925, 0.95}},
		{4, 0.5, []float64{0.04, 1, 0.500002, 4e-6}, []float64{0.95, 0.85, 0.9, 0.95}},
	} {
		config := optim.OneCycleDefaults(1, c.steps)
		config.Rise = c.rise
		lr, momentum, err := optim.OneCycle(config)
		require.NoError(t, err)
		for step, want := range c.lr {
			require.InDelta(t, want, lr(int64(step)), 1e-12, "%d steps, rise %v, step %d", c.steps, c.rise, step)
			require.InDelta(t, c.momentum[step], momentum(int64(step)), 1e-12, "%d steps, rise %v, step %d", c.steps, c.rise, step)
		}
	}
}

// TestPolynomialPowers compares with exact powers, whose fourth part may be a root.
func TestPolynomialPowers(t *testing.T) {
	for _, power := range []float64{0.25, 0.5, 1.75, 2, 2.5, 10.25, 100.5, 999.75} {
		s := must(t)(optim.Polynomial(1, 0, power, 512))
		for step := int64(0); step < 512; step += 7 {
			x := 1 - float64(step)/512
			root := new(big.Float).SetPrec(200).SetFloat64(x)
			root.Sqrt(root.Sqrt(root))
			exact := big.NewFloat(1).SetPrec(200)
			for range int(4 * power) {
				exact.Mul(exact, root)
			}
			want, _ := exact.Float64()
			require.InDelta(t, want, s(step), 1e-300+want*4e-16*(1-power*math.Log(x)), "%v^%v", x, power)
		}
	}
}

// TestSchedulesHaveTheSameBits: everywhere. The constant was computed on amd64.
func TestSchedulesHaveTheSameBits(t *testing.T) {
	h := fnv.New64a()
	for _, c := range schedules(t) {
		for step := range int64(1100) {
			require.NoError(t, binary.Write(h, binary.LittleEndian, math.Float64bits(c.s(step))))
		}
	}
	require.Equal(t, uint64(0xcc5c5b79a40dffa8), h.Sum64())
}

func TestSchedulesDoNotAllocate(t *testing.T) {
	for _, c := range schedules(t) {
		step := int64(0)
		require.Zero(t, testing.AllocsPerRun(100, func() { c.s(step); step += 10 }), c.name)
	}
}

func TestSchedulesRefused(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	constant := must(t)(optim.Constant(1))
	cycle := func(change func(*optim.OneCycleConfig)) func() (optim.Schedule, error) {
		return func() (optim.Schedule, error) {
			c := optim.OneCycleDefaults(0.1, 100)
			change(&c)
			lr, momentum, err := optim.OneCycle(c)
			require.Nil(t, momentum)
			return lr, err
		}
	}
	for message, of := range map[string]func() (optim.Schedule, error){
		"Constant: a learning rate of -1: want a finite number, 0 or more": func() (optim.Schedule, error) { return optim.Constant(-1) },
		"Constant: a learning rate of NaN":                                 func() (optim.Schedule, error) { return optim.Constant(nan) },
		"StepDecay: 0 steps: want 1 or more":                               func() (optim.Schedule, error) { return optim.StepDecay(1, 0.5, 0) },
		"StepDecay: a learning rate of +Inf":                               func() (optim.Schedule, error) { return optim.StepDecay(inf, 0.5, 1) },
		"StepDecay: factor is 1.5: want a number in [0, 1]":                func() (optim.Schedule, error) { return optim.StepDecay(1, 1.5, 1) },
		"MultiStep: a learning rate of -0.5":                               func() (optim.Schedule, error) { return optim.MultiStep(-0.5, 0.5) },
		"MultiStep: factor is NaN":                                         func() (optim.Schedule, error) { return optim.MultiStep(1, nan) },
		"MultiStep: steps [5 5]: want increasing numbers from 1 on":        func() (optim.Schedule, error) { return optim.MultiStep(1, 0.1, 5, 5) },
		"MultiStep: steps [0 5]: want increasing":                          func() (optim.Schedule, error) { return optim.MultiStep(1, 0.1, 0, 5) },
		"Linear: -3 steps: want 1 or more":                                 func() (optim.Schedule, error) { return optim.Linear(1, 0, -3) },
		"Linear: a learning rate of -0.1":                                  func() (optim.Schedule, error) { return optim.Linear(1, -0.1, 3) },
		"Polynomial: power is 0: want a number above 0":                    func() (optim.Schedule, error) { return optim.Polynomial(1, 0, 0, 3) },
		"Polynomial: power is NaN":                                         func() (optim.Schedule, error) { return optim.Polynomial(1, 0, nan, 3) },
		"Polynomial: 0 steps":                                              func() (optim.Schedule, error) { return optim.Polynomial(1, 0, 2, 0) },
		"Cosine: 0 steps":                                                  func() (optim.Schedule, error) { return optim.CosineWave(1, 0, 0) },
		"Warmup: 0 steps":                                                  func() (optim.Schedule, error) { return optim.Warmup(0, constant) },
		"Warmup: there is no schedule":                                     func() (optim.Schedule, error) { return optim.Warmup(3, nil) },
		"Join: 0 steps":                                                    func() (optim.Schedule, error) { return optim.Join(0, constant, constant) },
		"Join: want two schedules":                                         func() (optim.Schedule, error) { return optim.Join(1, constant, nil) },
		"OneCycle: a learning rate of -1":                                  cycle(func(c *optim.OneCycleConfig) { c.Peak = -1 }),
		"OneCycle: Steps is 1 and Rise 0.3: want 2 or more":                cycle(func(c *optim.OneCycleConfig) { c.Steps = 1 }),
		"OneCycle: Steps is 100 and Rise 1: want 2 or more":                cycle(func(c *optim.OneCycleConfig) { c.Rise = 1 }),
		"OneCycle: Start is 2: want a number in [0, 1]":                    cycle(func(c *optim.OneCycleConfig) { c.Start = 2 }),
		"OneCycle: End is -1: want a number in [0, 1]":                     cycle(func(c *optim.OneCycleConfig) { c.End = -1 }),
		"OneCycle: Momentum is 1: want a number in [0, 1)":                 cycle(func(c *optim.OneCycleConfig) { c.Momentum = 1 }),
		"OneCycle: Low is NaN: want a number in [0, 1)":                    cycle(func(c *optim.OneCycleConfig) { c.Low = nan }),
	} {
		s, err := of()
		require.ErrorContains(t, err, "optim: "+message)
		require.Nil(t, s)
	}
}

// TestScheduledRunResumes: the number of steps, which a state has, is all that a
// schedule needs.
func TestScheduledRunResumes(t *testing.T) {
	lr, momentum, err := optim.OneCycle(optim.OneCycleDefaults(0.1, 12))
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(42, 1))
	n := newNetwork(rng, 5, 7)
	c := optim.SGDConfig{LR: 0.1, Momentum: 0.9}
	opt, err := optim.NewSGD(n, c)
	require.NoError(t, err)
	step := func(o *optim.SGD, on *network, p int) {
		require.NoError(t, o.SetLR(lr(o.Steps())))
		require.NoError(t, o.SetMomentum(momentum(o.Steps())))
		require.NoError(t, o.Step(n.transfer(n.pass(rand.New(rand.NewPCG(42, uint64(p)))), on)))
	}
	for i := range 5 {
		step(opt, n, i)
	}
	twin := n.clone()
	resumed, err := optim.NewSGD(twin, c)
	require.NoError(t, err)
	require.NoError(t, resumed.Restore(opt.State()))
	for i := 5; i < 12; i++ {
		step(opt, n, i)
		step(resumed, twin, i)
	}
	require.Equal(t, n.values(), twin.values())
	require.EqualValues(t, 12, resumed.Steps())
}
