package nn_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// freezable has layers of all kinds that hold others, and a shared one at both ends.
func freezable(t testing.TB) *nn.Model {
	t.Helper()
	again := nn.Shared(nn.BatchNorm())
	m, err := nn.New(nn.Shape{4, 4, 3},
		nn.Named("first", nn.Conv2d(3, 3, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1)})),
		nn.Named("again", again), nn.ReLU(),
		nn.Named("block", nn.ResidualVia(
			nn.Sequential(nn.Conv2d(3, 3, nn.Conv{Kernel: nn.Square(1)})),
			nn.Named("in", nn.Conv2d(3, 3, nn.Conv{Kernel: nn.Square(1)})), nn.Tanh(),
			nn.Named("out", nn.Conv2d(3, 3, nn.Conv{Kernel: nn.Square(1)})))),
		again, nn.Flatten(),
		nn.Named("hidden", nn.Linear(48, 5)), nn.GELU(),
		nn.Named("last", nn.Linear(5, 2)))
	require.NoError(t, err)
	return m
}

// freeze freezes the parameters whose name has one of the prefixes, and no others.
func freeze(m *nn.Model, prefixes ...string) {
	for _, p := range m.Params() {
		p.Frozen = slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(p.Name, prefix) })
	}
}

// TestFrozenPrefix: Backward goes back to the first layer that trains, and what it
// reaches has the bits of a Backward through all layers.
func TestFrozenPrefix(t *testing.T) {
	const rows = 6
	r := rand.New(rand.NewPCG(31, 1))
	x, dy := uniform(r, rows*4*4*3), uniform(r, rows*2)
	m := freezable(t)
	s := session(t, m, rows)
	var seen []string
	s.SetObserver(func(o nn.Observation) { seen = append(seen, o.Layer.Name) })

	type values struct{ gradients, h, s, means map[string][]uint32 }
	pass := func(collect kron.Collect) (v values) {
		seen = nil
		s.CollectStatistics(collect)
		_, err := s.Forward(x)
		require.NoError(t, err)
		p := backward(t, s, dy)
		v = values{make(map[string][]uint32), make(map[string][]uint32), make(map[string][]uint32), make(map[string][]uint32)}
		var order []string
		for _, g := range p.Gradients {
			v.gradients[g.Param.Name] = bits(g.Data)
			order = append(order, g.Param.Name)
		}
		for _, q := range m.Params() {
			if len(order) > 0 && order[0] == q.Name {
				order = order[1:]
			}
		}
		require.Empty(t, order, "not in the order of Params")
		for _, st := range p.Statistics {
			v.h[st.Layer.Name], v.s[st.Layer.Name], v.means[st.Layer.Name] = bits(st.H), bits(st.S), bits(st.Mean)
		}
		return v
	}
	for _, collect := range []kron.Collect{kron.CollectNone, kron.CollectFactors, kron.CollectMoments} {
		freeze(m)
		all := pass(collect)
		require.Len(t, all.gradients, len(m.Params()))
		for _, c := range []struct{ frozen, missing string }{
			{"first.weight", ""},
			{"first", "first"},
			{"hidden last", ""},
			{"first hidden", "first"},
			{"first again", "first again"},
			{"first again block.in", "first again block.in"},
			{"first again block.in block.downsample", "first again block.in block.downsample"},
			{"first again block.out", "first again"},
			{"first again block.in block.out", "first again block.in block.out"},
			{"first again block", "first again block"},
			{"first again block hidden.weight", "first again block"},
			{"first again block hidden", "first again block hidden"},
			{"first block hidden", "first"}, // the shared one trains
			{"first again block hidden last", "first again block hidden last"},
			{"", ""},
		} {
			freeze(m, strings.Fields(c.frozen)...)
			missing := func(name string) bool {
				return slices.ContainsFunc(strings.Fields(c.missing), func(prefix string) bool { return strings.HasPrefix(name, prefix) })
			}
			rest := func(all map[string][]uint32) map[string][]uint32 {
				left := make(map[string][]uint32)
				for name, v := range all {
					if !missing(name) {
						left[name] = v
					}
				}
				return left
			}
			want := values{rest(all.gradients), rest(all.h), rest(all.s), rest(all.means)}
			require.Equal(t, want, pass(collect), c.frozen)
			for _, name := range seen {
				require.False(t, missing(name), "%s: it went back to %s", c.frozen, name)
			}
			s.CollectInputGradient(true)
			require.Equal(t, all, pass(collect), "%s: with the gradient at the input", c.frozen)
			s.CollectInputGradient(false)
		}
	}
}

// TestFrozenTraining: what trains moves as it does where Backward goes through all
// layers, nothing else moves, and a step allocates nothing.
func TestFrozenTraining(t *testing.T) {
	const rows = 6
	r := rand.New(rand.NewPCG(32, 1))
	x, labels := uniform(r, rows*4*4*3), []int{0, 1, 1, 0, 1, 0}
	adam := optim.AdamDefaults()
	adam.ClipNorm = 0.1
	adafisher, calibrated := optim.AdaFisherDefaults(), optim.CalibratedDefaults()
	adafisher.TCov, calibrated.TCov = 2, 2
	for name, build := range map[string]func(m *nn.Model) (optim.Optimizer, error){
		"Adam":       func(m *nn.Model) (optim.Optimizer, error) { return optim.NewAdam(m, adam) },
		"AdaFisher":  func(m *nn.Model) (optim.Optimizer, error) { return optim.NewAdaFisher(m, adafisher) },
		"Calibrated": func(m *nn.Model) (optim.Optimizer, error) { return optim.NewCalibrated(m, calibrated) },
		"Centred": func(m *nn.Model) (optim.Optimizer, error) {
			o, err := optim.NewAdam(m, adam)
			require.NoError(t, err)
			return optim.NewCentred(m, o, 0.9)
		},
		"Accumulator": func(m *nn.Model) (optim.Optimizer, error) {
			o, err := optim.NewAdaFisher(m, adafisher)
			require.NoError(t, err)
			return optim.NewAccumulator(m, o, 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var trained []*nn.Model // until a layer is frozen no more
			for _, all := range []bool{false, true} {
				// Without the shared layer, whose factors have two owners.
				m, err := nn.New(nn.Shape{4, 4, 3},
					nn.Named("first", nn.Conv2d(3, 4, nn.Conv{Kernel: nn.Square(3)})), nn.BatchNorm(), nn.ReLU(), nn.Flatten(),
					nn.Named("hidden", nn.Linear(16, 5)), nn.GELU(), nn.Named("last", nn.Linear(5, 2)))
				require.NoError(t, err)
				freeze(m, "first", "1.", "hidden")
				initial, err := m.Clone()
				require.NoError(t, err)
				o, err := build(m)
				require.NoError(t, err)
				s := session(t, m, rows)
				s.CollectInputGradient(all)
				step := func() {
					_, err := s.TrainSoftmaxCrossEntropy(o, x, labels)
					require.NoError(t, err)
				}
				for range 7 {
					step()
				}
				require.Zero(t, testing.AllocsPerRun(3, step))
				after, err := m.Clone()
				require.NoError(t, err)
				trained = append(trained, after)
				for i, p := range m.Params() {
					require.Equal(t, p.Frozen, slices.Equal(initial.Params()[i].Value, p.Value), p.Name)
				}

				freeze(m, "first") // there were no statistics of the others so far
				for range 6 {
					step()
				}
				freeze(m, "first", "1.", "hidden", "last")
				before, err := m.Clone()
				require.NoError(t, err)
				step()
				step()
				for i, p := range m.Params() {
					require.Equal(t, before.Params()[i].Value, p.Value, p.Name)
					require.Equal(t, strings.HasPrefix(p.Name, "first"), slices.Equal(initial.Params()[i].Value, p.Value), p.Name)
				}
			}
			for i, p := range trained[0].Params() {
				require.Equal(t, bits(trained[1].Params()[i].Value), bits(p.Value), p.Name)
			}
		})
	}
}
