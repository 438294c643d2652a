package checkpoint_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
	"github.com/adafisher-go/adafisher/optim"
)

// run is a run with all that it works with. Batch normalisation and dropout carry
// state from step to step beside the weights.
type run struct {
	*checkpoint.Run
	model   *nn.Model
	session *nn.Session
	opt     *optim.AdaFisher
	ema     *optim.EMA // nil without
}

func newRun(t *testing.T, seed uint64) *run {
	t.Helper()
	m, err := nn.NewSequential(nn.Linear(2, 9), nn.BatchNorm(), nn.ReLU(), nn.Dropout(0.3), nn.Linear(9, 3))
	require.NoError(t, err)
	m.Init(seed)
	s, err := m.NewSession(4)
	require.NoError(t, err)
	s.SetRandom(seed, 0)
	opt, err := optim.NewAdaFisher(m, optim.AdaFisherDefaults())
	require.NoError(t, err)
	r, err := checkpoint.NewRun(m, s, opt)
	require.NoError(t, err)
	return &run{r, m, s, opt, nil}
}

// average gives the run averages of its weights.
func (r *run) average(t *testing.T) *run {
	t.Helper()
	ema, err := optim.NewEMA(r.model, 0.9)
	require.NoError(t, err)
	r.SetEMA(ema)
	r.ema = ema
	return r
}

func (r *run) train(t *testing.T, steps int) {
	t.Helper()
	for range steps {
		_, err := r.session.TrainSoftmaxCrossEntropy(r.opt, []float32{0, 0, 0, 1, 1, 0, 1, 1}, []int{0, 1, 2, 0})
		require.NoError(t, err)
		if r.ema != nil {
			require.NoError(t, r.ema.Update())
		}
	}
}

// bits is everything that a run is.
func (r *run) bits(t *testing.T) []byte {
	t.Helper()
	return encode(t, r.Content())
}

func TestRunGoesOn(t *testing.T) {
	for name, averaged := range map[string]bool{"alone": false, "averaged": true} {
		t.Run(name, func(t *testing.T) {
			whole, half, rest := newRun(t, 1), newRun(t, 1), newRun(t, 2)
			if averaged {
				for _, r := range []*run{whole, half, rest} {
					r.average(t)
				}
			}
			whole.train(t, 9)
			half.train(t, 4)
			file := half.bits(t)
			content, err := checkpoint.Decode(file)
			require.NoError(t, err)
			require.NoError(t, rest.Restore(content))
			require.Equal(t, file, rest.bits(t))
			rest.train(t, 5)
			require.True(t, bytes.Equal(whole.bits(t), rest.bits(t)))
		})
	}
}

// A run in whose model the averages are saves what it is without them there, and
// leaves them there.
func TestRunSavesTrainedWeights(t *testing.T) {
	r := newRun(t, 1).average(t)
	r.train(t, 4)
	file := r.bits(t)
	r.ema.Swap()
	averages := r.model.StateDict()
	content := r.Content()
	require.Equal(t, file, encode(t, content))
	require.Equal(t, averages, r.model.StateDict())
	require.ErrorContains(t, r.Restore(content), "swap back before")
	require.Equal(t, averages, r.model.StateDict())
	r.ema.Swap()
	require.Equal(t, file, encode(t, content))
	require.Equal(t, file, r.bits(t))
}

// The optimizer and the averages are restored, or neither of them.
func TestRunRefusesAverages(t *testing.T) {
	good, r := newRun(t, 1).average(t), newRun(t, 2).average(t)
	good.train(t, 3)
	r.train(t, 2)
	before := r.bits(t)
	for want, spoil := range map[string]func(*checkpoint.Content){
		"ema/rule is missing":                            func(c *checkpoint.Content) { delete(c.Strings, "ema/rule") },
		"ema/lr is missing":                              func(c *checkpoint.Content) { delete(c.Floats, "ema/lr") },
		`optim: EMA: state: vector "4.bias/average" has`: func(c *checkpoint.Content) { c.Vectors["ema/4.bias/average"] = nil },
		`optim: AdaFisher: state: it is of "Adam": want`: func(c *checkpoint.Content) { c.Strings["optimizer/rule"] = "Adam" },
	} {
		c := good.Content()
		spoil(c)
		require.ErrorContains(t, r.Restore(c), "checkpoint: Restore: "+want)
		require.Equal(t, before, r.bits(t), want)
	}

	alone := newRun(t, 2)
	require.ErrorContains(t, r.Restore(alone.Content()), "ema/rule is missing")
	require.NoError(t, alone.Restore(good.Content()))
	good.SetEMA(nil)
	require.Equal(t, good.bits(t), alone.bits(t))
}

func TestRunRefuses(t *testing.T) {
	good, r := newRun(t, 1), newRun(t, 2)
	good.train(t, 2)
	before := r.bits(t)
	require.EqualError(t, r.Restore(nil), "checkpoint: Restore: there is no content")
	nan := float32(math.NaN())
	for want, spoil := range map[string]func(*checkpoint.Content){
		"optimizer/rule is missing":                      func(c *checkpoint.Content) { delete(c.Strings, "optimizer/rule") },
		"optimizer/lr is missing":                        func(c *checkpoint.Content) { delete(c.Floats, "optimizer/lr") },
		"session/seed is missing":                        func(c *checkpoint.Content) { delete(c.Uints, "session/seed") },
		"session/forwards is missing":                    func(c *checkpoint.Content) { delete(c.Uints, "session/forwards") },
		"model/0.weight is missing":                      func(c *checkpoint.Content) { delete(c.Vectors, "model/0.weight") },
		"model/1.running_var is missing":                 func(c *checkpoint.Content) { delete(c.Vectors, "model/1.running_var") },
		"model/4.bias has 2 numbers: want 3":             func(c *checkpoint.Content) { c.Vectors["model/4.bias"] = make([]float32, 2) },
		"model/4.bias has a number that is not finite":   func(c *checkpoint.Content) { c.Vectors["model/4.bias"] = []float32{0, nan, 0} },
		"it has 9 parameters and buffers: want 8":        func(c *checkpoint.Content) { c.Vectors["model/more"] = nil },
		`optim: AdaFisher: state: it is of "Adam": want`: func(c *checkpoint.Content) { c.Strings["optimizer/rule"] = "Adam" },
		`optim: AdaFisher: state: vector "4.bias/momentum" i`: func(c *checkpoint.Content) {
			c.Vectors["optimizer/x"] = nil
			delete(c.Vectors, "optimizer/4.bias/momentum")
		},
		`optim: AdaFisher: state: counter "x" is unknown`:     func(c *checkpoint.Content) { c.Ints["optimizer/x"], c.Ints["optimizer/y"] = 1, 1 },
		`optim: AdaFisher: state: counter "steps" is missing`: func(c *checkpoint.Content) { c.Ints["optimizer/x"] = 1; delete(c.Ints, "optimizer/steps") },
		"optim: AdaFisher: LR is -1":                          func(c *checkpoint.Content) { c.Floats["optimizer/lr"] = -1 },
	} {
		c := good.Content()
		spoil(c)
		require.ErrorContains(t, r.Restore(c), "checkpoint: Restore: "+want)
		require.Equal(t, before, r.bits(t), want)
	}
	require.NoError(t, r.Restore(good.Content()))
	require.Equal(t, good.bits(t), r.bits(t))

	_, err := checkpoint.NewRun(nil, r.session, r.opt)
	require.EqualError(t, err, "checkpoint: NewRun: want a model, a session and an optimizer")
}
