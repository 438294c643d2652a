package optim_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/optim"
)

// reference is an optimizer in plain float64, written from the equations: it
// returns the new values of one parameter.
type reference interface {
	begin(p *kron.Pass)
	update(p *kron.Param, w, g []float64) []float64
}

// TestAgainstFloat64 follows every rule for 20 steps, over random shapes.
func TestAgainstFloat64(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(7, 1))
		for range 3 {
			n := newNetwork(rng, 1+rng.IntN(40), 1+rng.IntN(40))
			opt, ref := r.on(t, n), r.reference(n)
			want := make(map[*kron.Param][]float64)
			for _, p := range n.params {
				want[p] = widen(p.Value)
			}
			for step := range 20 {
				pass := n.pass(rng)
				if step%4 == 1 { // a parameter rests
					pass.Gradients = pass.Gradients[1:]
				}
				require.NoError(t, opt.Step(pass))
				ref.begin(pass)
				for _, g := range pass.Gradients {
					want[g.Param] = ref.update(g.Param, want[g.Param], widen(g.Data))
				}
				for _, p := range n.params {
					require.InDeltaSlice(t, want[p], p.Value, 2e-5, "step %d, %s", step, p.Name)
				}
			}
		}
	})
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// moments are a reference's state of one parameter.
type moments struct {
	k    float64
	m, v []float64
}

func momentsOf(n *network) map[*kron.Param]*moments {
	all := make(map[*kron.Param]*moments)
	for _, p := range n.params {
		all[p] = &moments{m: make([]float64, len(p.Value)), v: make([]float64, len(p.Value))}
	}
	return all
}

type sgdReference struct {
	optim.SGDConfig
	state map[*kron.Param]*moments
}

func newSGDReference(n *network, c optim.SGDConfig) reference {
	return &sgdReference{c, momentsOf(n)}
}

func (r *sgdReference) begin(*kron.Pass) {}

func (r *sgdReference) update(p *kron.Param, w, g []float64) []float64 {
	s := r.state[p]
	s.k++
	for i := range w {
		d := g[i] + r.WeightDecay*w[i]
		if r.Momentum > 0 {
			if s.k == 1 {
				s.m[i] = d
			} else {
				s.m[i] = r.Momentum*s.m[i] + (1-r.Dampening)*d
			}
			if r.Nesterov {
				d += r.Momentum * s.m[i]
			} else {
				d = s.m[i]
			}
		}
		w[i] -= r.LR * d
	}
	return w
}

type adamReference struct {
	optim.AdamConfig
	decoupled bool
	state     map[*kron.Param]*moments
}

func newAdamReference(n *network, c optim.AdamConfig, decoupled bool) reference {
	return &adamReference{c, decoupled, momentsOf(n)}
}

func (r *adamReference) begin(*kron.Pass) {}

func (r *adamReference) update(p *kron.Param, w, g []float64) []float64 {
	s := r.state[p]
	s.k++
	for i := range w {
		d := g[i]
		if r.decoupled {
			w[i] *= 1 - r.LR*r.WeightDecay
		} else {
			d += r.WeightDecay * w[i]
		}
		s.m[i] = r.Beta1*s.m[i] + (1-r.Beta1)*d
		s.v[i] = r.Beta2*s.v[i] + (1-r.Beta2)*d*d
		mHat := s.m[i] / (1 - math.Pow(r.Beta1, s.k))
		vHat := s.v[i] / (1 - math.Pow(r.Beta2, s.k))
		w[i] -= r.LR * mHat / (math.Sqrt(vHat) + r.Epsilon)
	}
	return w
}

type adaFisherReference struct {
	optim.AdaFisherConfig
	decoupled bool
	steps     int
	state     map[*kron.Param]*moments
	h, s      map[*kron.Param][]float64 // running averages, by the parameters of their layer
	layers    map[*kron.Param]*kron.Layer
}

func newAdaFisherReference(n *network, c optim.AdaFisherConfig, decoupled bool) reference {
	r := &adaFisherReference{c, decoupled, 0, momentsOf(n), map[*kron.Param][]float64{}, map[*kron.Param][]float64{}, map[*kron.Param]*kron.Layer{}}
	for _, l := range n.layers {
		for _, p := range []*kron.Param{l.Weight, l.Bias} {
			if p != nil {
				r.h[p], r.s[p], r.layers[p] = ones(l.Inputs()), ones(l.Outputs()), l
			}
		}
	}
	return r
}

func ones(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = 1
	}
	return x
}

func normalized(x []float64) []float64 {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = (v - lo) / (hi - lo + 1e-6)
	}
	return y
}

func (r *adaFisherReference) average(avg []float64, raw []float32) {
	x, keep, add := widen(raw), r.Gamma, 1-r.Gamma
	if r.Variant != kron.Paper {
		x = normalized(x)
	}
	if r.Variant == kron.Published {
		keep, add = 0.1*r.Gamma, 0.01*r.Gamma
	}
	for i := range avg {
		avg[i] = keep*avg[i] + add*x[i]
	}
}

func (r *adaFisherReference) begin(p *kron.Pass) {
	if r.steps%r.TCov == 0 {
		for _, st := range p.Statistics {
			for q, l := range r.layers {
				if l == st.Layer {
					r.average(r.h[q], st.H)
					r.average(r.s[q], st.S)
				}
			}
		}
	}
	r.steps++
}

// curvature is F at entry i of p.
func (r *adaFisherReference) curvature(p *kron.Param, i int) float64 {
	l := r.layers[p]
	if l == nil {
		return r.UnownedCurvature
	}
	h, s := r.h[p], r.s[p]
	if r.Variant == kron.Paper {
		h, s = normalized(h), normalized(s)
	}
	if p == l.Bias {
		return h[len(h)-1]*s[i] + r.Lambda
	}
	return h[i/len(s)]*s[i%len(s)] + r.Lambda
}

func (r *adaFisherReference) update(p *kron.Param, w, g []float64) []float64 {
	s := r.state[p]
	s.k++
	for i := range w {
		d, old := g[i], w[i]
		if !r.decoupled {
			d += r.WeightDecay * old
		}
		s.m[i] = r.Beta*s.m[i] + (1-r.Beta)*d
		w[i] -= r.LR / (1 - math.Pow(r.Beta, s.k)) * s.m[i] / r.curvature(p, i)
		if r.decoupled {
			w[i] -= r.LR * r.WeightDecay * old
		}
	}
	return w
}
