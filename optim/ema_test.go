package optim_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// walk changes all weights of the network at random.
func (n *network) walk(rng *rand.Rand) {
	for _, p := range n.params {
		for i := range p.Value {
			p.Value[i] += float32(rng.NormFloat64())
		}
	}
}

// TestEMA follows the averages in float64.
func TestEMA(t *testing.T) {
	for _, decay := range []float64{0, 0.5, 0.99} {
		rng := rand.New(rand.NewPCG(71, 1))
		n := newNetwork(rng, 5, 7)
		ema, err := optim.NewEMA(n, decay)
		require.NoError(t, err)
		var want [][]float64
		for step := range 50 {
			n.walk(rng)
			require.NoError(t, ema.Update())
			for k, p := range n.params {
				if step == 0 {
					want = append(want, widen(p.Value))
					continue
				}
				for i, w := range p.Value {
					want[k][i] = decay*want[k][i] + (1-decay)*float64(w)
				}
			}
		}
		weights := n.values()
		ema.Swap()
		require.True(t, ema.Swapped())
		for k, p := range n.params {
			require.InDeltaSlice(t, want[k], p.Value, 1e-5, "decay %v, %s", decay, p.Name)
		}
		ema.Swap()
		require.False(t, ema.Swapped())
		require.Equal(t, weights, n.values())
	}
}

// TestEMAIsUnbiased: what the rounding of the decay adds to one coefficient it takes
// from the other. Averages of weights about 1 would be off by 1.7e-4 else, where float32
// needs far less.
func TestEMAIsUnbiased(t *testing.T) {
	const decay = 0.9999
	rng := rand.New(rand.NewPCG(72, 2))
	p := &kron.Param{Name: "p", Shape: []int{20}, Value: make([]float32, 20)}
	ema, err := optim.NewEMA(&network{params: []*kron.Param{p}}, decay)
	require.NoError(t, err)
	want := make([]float64, len(p.Value))
	for step := range 40_000 {
		for i := range p.Value {
			p.Value[i] = 1 + 0.1*float32(rng.NormFloat64())
			if step == 0 {
				want[i] = float64(p.Value[i])
			}
			want[i] = decay*want[i] + (1-decay)*float64(p.Value[i])
		}
		require.NoError(t, ema.Update())
	}
	require.InDeltaSlice(t, want, ema.State().Vectors["p/average"], 1e-5)
}

// TestEMAOfConstants: averages of weights that stay are these weights, to the bit.
func TestEMAOfConstants(t *testing.T) {
	n := newNetwork(rand.New(rand.NewPCG(72, 1)), 20, 30)
	for _, decay := range []float64{0.9, 0.999, 0.9999} {
		ema, err := optim.NewEMA(n, decay)
		require.NoError(t, err)
		for range 2000 {
			require.NoError(t, ema.Update())
		}
		for _, p := range n.params {
			require.Equal(t, p.Value, ema.State().Vectors[p.Name+"/average"], "decay %v", decay)
		}
	}
}

func TestEMAResumes(t *testing.T) {
	rng := rand.New(rand.NewPCG(73, 1))
	n := newNetwork(rng, 5, 7)
	ema, err := optim.NewEMA(n, 0.9)
	require.NoError(t, err)
	for _, updates := range []int{0, 1, 3} {
		for range updates {
			n.walk(rng)
			require.NoError(t, ema.Update())
		}
		state := ema.State()
		twin := n.clone()
		resumed, err := optim.NewEMA(twin, 0.9)
		require.NoError(t, err)
		twin.walk(rng)
		require.NoError(t, resumed.Restore(state))
		for k, p := range twin.params {
			copy(p.Value, n.params[k].Value)
		}
		for range 3 {
			for k, p := range n.params {
				p.Value[0] += 0.3
				twin.params[k].Value[0] += 0.3
			}
			require.NoError(t, ema.Update())
			require.NoError(t, resumed.Update())
		}
		require.Equal(t, ema.State(), resumed.State())
		require.NotEqual(t, state, resumed.State(), "the state is a copy")
		ema.Swap()
		require.Equal(t, resumed.State(), ema.State(), "the state is that of the averages, wherever they are")
		ema.Swap()
	}
}

// TestEMAWarmup: the decay is that of the formula, and goes on where a state was saved.
func TestEMAWarmup(t *testing.T) {
	const decay = 0.6
	p := &kron.Param{Name: "p", Shape: []int{1}, Value: []float32{3}}
	n := &network{params: []*kron.Param{p}}
	ema, err := optim.NewEMAWarmup(n, decay)
	require.NoError(t, err)
	resumed, err := optim.NewEMAWarmup(n, decay)
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(77, 1))
	var want float32
	for k := 1; k <= 30; k++ {
		p.Value[0] = float32(rng.NormFloat64())
		require.NoError(t, ema.Update())
		keep := float32(min(decay, float64(1+k)/float64(10+k))) // decay from k = 13 on
		if k == 1 {
			keep = 0
		}
		want = float32(keep*want) + float32((1-keep)*p.Value[0])
		got := ema.State().Vectors["p/average"][0]
		require.InDelta(t, want, got, 1e-6, "update %d", k)
		want = got
		switch {
		case k == 5:
			require.NoError(t, resumed.Restore(ema.State()))
		case k > 5:
			require.NoError(t, resumed.Update())
			require.Equal(t, ema.State(), resumed.State(), "update %d", k)
		}
	}
	_, err = optim.NewEMAWarmup(n, 1)
	require.ErrorContains(t, err, "optim: EMA: the decay is 1: want a number in [0, 1)")
}

func TestEMACopyTo(t *testing.T) {
	rng := rand.New(rand.NewPCG(74, 1))
	n := newNetwork(rng, 5, 7)
	ema, err := optim.NewEMA(n, 0.9)
	require.NoError(t, err)
	for range 3 {
		n.walk(rng)
		require.NoError(t, ema.Update())
	}
	served := n.clone()
	require.NoError(t, ema.CopyTo(served))
	ema.Swap()
	require.Equal(t, n.values(), served.values())
	served.walk(rng)
	require.NoError(t, ema.CopyTo(served), "from a model that holds them")
	require.Equal(t, n.values(), served.values())
	ema.Swap()

	before := served.values()
	require.EqualError(t, ema.CopyTo(nil), "optim: EMA: CopyTo: there is no model")
	for message, spoil := range map[string]func(*network){
		"CopyTo: the model has 3 parameters: want 4":              func(n *network) { n.params = n.params[1:] },
		"CopyTo: parameter 3 of the model is last: want b.weight": func(n *network) { n.params[3].Name = "last" },
		"parameter b.weight has 20 entries: want 21":              func(n *network) { n.params[3].Value = n.params[3].Value[1:] },
	} {
		other := served.clone()
		values := other.params[0].Value
		spoil(other)
		require.ErrorContains(t, ema.CopyTo(other), "optim: EMA: "+message)
		require.Equal(t, before[0], values)
	}
}

// TestEMAWithBuffers: a copy predicts what the model does when the averages are in
// it, with the running moments that training has left.
func TestEMAWithBuffers(t *testing.T) {
	build := func(layers ...nn.Layer) *nn.Model {
		m, err := nn.New(nn.Shape{2}, layers...)
		require.NoError(t, err)
		return m
	}
	m := build(nn.Linear(2, 5), nn.BatchNorm(), nn.Tanh(), nn.Linear(5, 3))
	session, err := m.NewSession(4)
	require.NoError(t, err)
	opt, err := optim.NewSGD(m, optim.SGDConfig{LR: 0.5})
	require.NoError(t, err)
	ema, err := optim.NewEMA(m, 0.9)
	require.NoError(t, err)
	x := []float32{5, 1, 6, 0, 7, 3, 4, 2}
	for range 20 {
		_, err := session.TrainSoftmaxCrossEntropy(opt, x, []int{0, 1, 2, 0})
		require.NoError(t, err)
		require.NoError(t, ema.Update())
	}
	predict := func(m *nn.Model) []float32 {
		p, err := m.NewPredictor(4)
		require.NoError(t, err)
		y, err := p.Predict(x)
		require.NoError(t, err)
		return y
	}
	served := build(nn.Linear(2, 5), nn.BatchNorm(), nn.Tanh(), nn.Linear(5, 3))
	require.NoError(t, ema.CopyTo(served))
	require.NotEqual(t, predict(m), predict(served))
	ema.Swap()
	require.Equal(t, predict(m), predict(served))
	ema.Swap()

	before := served.StateDict()
	copied := &buffered{network{served.Params(), nil}, served.Buffers()}
	require.NoError(t, ema.CopyTo(copied), "any model with the same names")
	require.EqualError(t, ema.CopyTo(&copied.network), "optim: EMA: CopyTo: the model has 0 buffers: want 2")
	copied.buffers = []*kron.Buffer{copied.buffers[1], copied.buffers[0]}
	require.EqualError(t, ema.CopyTo(copied),
		"optim: EMA: CopyTo: buffer 0 of the model is 1.running_var with 5 entries: want 1.running_mean with 5")
	copied.buffers = []*kron.Buffer{{Name: "1.running_mean", Value: make([]float32, 4)}, copied.buffers[0]}
	require.EqualError(t, ema.CopyTo(copied),
		"optim: EMA: CopyTo: buffer 0 of the model is 1.running_mean with 4 entries: want 1.running_mean with 5")
	require.Equal(t, before, served.StateDict())
}

// buffered is a network with buffers.
type buffered struct {
	network
	buffers []*kron.Buffer
}

func (b *buffered) Buffers() []*kron.Buffer { return b.buffers }

// TestEMABeforeUpdates: until the first update the averages are the weights that the
// model had when it was made.
func TestEMABeforeUpdates(t *testing.T) {
	rng := rand.New(rand.NewPCG(77, 1))
	n := newNetwork(rng, 5, 7)
	ema, err := optim.NewEMA(n, 0.9)
	require.NoError(t, err)
	first := n.values()
	n.walk(rng)
	ema.Swap()
	require.Equal(t, first, n.values())
}

// TestEMARefuses: what it can't use changes nothing.
func TestEMARefuses(t *testing.T) {
	rng := rand.New(rand.NewPCG(75, 1))
	n := newNetwork(rng, 5, 7)
	for _, decay := range []float64{-0.1, 1, 1 - 1e-9, math.NaN()} {
		_, err := optim.NewEMA(n, decay)
		require.ErrorContains(t, err, "optim: EMA: the decay is ")
		require.ErrorContains(t, err, "want a number in [0, 1)")
	}
	_, err := optim.NewEMA(nil, 0.9)
	require.EqualError(t, err, "optim: EMA: there is no model")
	_, err = optim.NewEMA((*nn.Model)(nil), 0.9)
	require.EqualError(t, err, "optim: EMA: there is no model")
	n.params[3].Value[20] = nan
	_, err = optim.NewEMA(n, 0.9)
	require.EqualError(t, err, "optim: EMA: parameter b.weight has an entry that is not finite")
	n.params[3].Value[20] = 0

	ema, err := optim.NewEMA(n, 0.9)
	require.NoError(t, err)
	require.NoError(t, ema.Update())
	state := ema.State()

	n.params[3].Value[20] = inf
	n.walk(rng)
	require.EqualError(t, ema.Update(), "optim: EMA: parameter b.weight has an entry that is not finite")
	require.Equal(t, state, ema.State())
	n.params[3].Value[20] = 0
	whole := n.params[2].Value
	n.params[2].Value = whole[1:]
	require.EqualError(t, ema.Update(), "optim: EMA: parameter scale has 4 entries: want 5")
	n.params[2].Value = whole
	require.Equal(t, state, ema.State())

	ema.Swap()
	require.ErrorContains(t, ema.Update(), "Update while the averages are in the model")
	require.ErrorContains(t, ema.Restore(state), "Restore while the averages are in the model")
	ema.Swap()

	require.EqualError(t, ema.Restore(nil), "optim: EMA: state: there is none")
	for message, spoil := range map[string]func(*optim.State){
		`it is of "Adam": want "EMA"`:                                       func(s *optim.State) { s.Rule = "Adam" },
		`counter "x" is unknown`:                                            func(s *optim.State) { s.Counters["x"] = 1 },
		`counter "steps" is -1: want a number from 0 to 2^53`:               func(s *optim.State) { s.Counters["steps"] = -1 },
		`counter "steps" is 9007199254740993: want a number from 0 to 2^53`: func(s *optim.State) { s.Counters["steps"] = 1<<53 + 1 },
		`vector "scale/average" is missing`:                                 func(s *optim.State) { delete(s.Vectors, "scale/average") },
		`vector "a.bias/average" has 6 entries: want 7`:                     func(s *optim.State) { s.Vectors["a.bias/average"] = s.Vectors["a.bias/average"][1:] },
		`vector "a.bias/average" has an entry that is not finite`:           func(s *optim.State) { s.Vectors["a.bias/average"][3] = nan },
	} {
		bad := ema.State()
		spoil(bad)
		require.EqualError(t, ema.Restore(bad), "optim: EMA: state: "+message)
		require.Equal(t, state, ema.State())
	}
}

func TestEMADoesNotAllocate(t *testing.T) {
	n := newNetwork(rand.New(rand.NewPCG(76, 1)), 50, 60)
	ema, err := optim.NewEMA(n, 0.9)
	require.NoError(t, err)
	state := ema.State()
	require.Zero(t, testing.AllocsPerRun(5, func() {
		if err := ema.Update(); err != nil {
			panic(err)
		}
		ema.Swap()
		ema.Swap()
		ema.SaveState(state)
	}))
	require.Equal(t, ema.State(), state)
}
