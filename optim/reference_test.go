package optim_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/optim"
)

// reference is an optimizer in plain float64, written from the equations: it
// returns the new values of one parameter.
type reference interface {
	groups() map[*kron.Param]optim.Group // factors of each parameter
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
				require.NoError(t, opt.Step(n.transfer(pass, n)))
				ref.begin(pass)
				for _, g := range pass.Gradients {
					want[g.Param] = ref.update(g.Param, want[g.Param], widen(g.Data))
				}
				for _, p := range n.params {
					for i, w := range want[p] {
						if !(math.Abs(float64(p.Value[i])-w) <= 1e-5) {
							require.InDelta(t, w, p.Value[i], 1e-5, "step %d, %s, entry %d", step, p.Name, i)
						}
					}
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
	k          float64
	m, v, a, b []float64
}

// common is what the references share.
type common struct {
	state map[*kron.Param]*moments
	rates map[*kron.Param]optim.Group
}

func newCommon(n *network) common {
	c := common{make(map[*kron.Param]*moments), make(map[*kron.Param]optim.Group)}
	for _, p := range n.params {
		zeros := func() []float64 { return make([]float64, len(p.Value)) }
		c.state[p] = &moments{m: zeros(), v: zeros(), a: zeros(), b: zeros()}
		c.rates[p] = optim.Group{LRScale: 1, DecayScale: 1}
	}
	return c
}

func (c *common) begin(*kron.Pass) {}

func (c *common) groups() map[*kron.Param]optim.Group { return c.rates }

// next counts a step of a parameter.
func (c *common) next(p *kron.Param) *moments {
	c.state[p].k++
	return c.state[p]
}

// optionReference clips, and gives a reference its groups.
type optionReference struct {
	reference
	n *network
	optim.Options
}

func (r *optionReference) begin(p *kron.Pass) {
	for _, g := range r.Groups {
		for _, q := range g.Params {
			r.groups()[q] = g
		}
	}
	square := 0.0
	for _, g := range p.Gradients {
		for _, x := range g.Data {
			square += float64(x) * float64(x)
		}
	}
	if norm := math.Sqrt(square); r.ClipNorm > 0 && norm > r.ClipNorm {
		for _, g := range p.Gradients {
			for i := range g.Data {
				g.Data[i] *= float32(r.ClipNorm / norm)
			}
		}
	}
	r.reference.begin(p)
}

type sgdReference struct {
	optim.SGDConfig
	common
}

func newSGDReference(n *network, c optim.SGDConfig) reference {
	return &sgdReference{c, newCommon(n)}
}

func (r *sgdReference) update(p *kron.Param, w, g []float64) []float64 {
	s := r.next(p)
	for i := range w {
		d := g[i] + r.WeightDecay*r.rates[p].DecayScale*w[i]
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
		w[i] -= r.LR * r.rates[p].LRScale * d
	}
	return w
}

type adamReference struct {
	optim.AdamConfig
	decoupled bool
	common
}

func newAdamReference(n *network, c optim.AdamConfig, decoupled bool) *adamReference {
	return &adamReference{c, decoupled, newCommon(n)}
}

func (r *adamReference) update(p *kron.Param, w, g []float64) []float64 {
	s := r.next(p)
	lr, decay := r.LR*r.rates[p].LRScale, r.WeightDecay*r.rates[p].DecayScale
	for i := range w {
		d := g[i]
		if r.decoupled {
			w[i] *= 1 - lr*decay
		} else {
			d += decay * w[i]
		}
		s.m[i] = r.Beta1*s.m[i] + (1-r.Beta1)*d
		s.v[i] = r.Beta2*s.v[i] + (1-r.Beta2)*d*d
		v := s.v[i]
		if r.AMSGrad {
			s.a[i] = max(s.a[i], v)
			v = s.a[i]
		}
		mHat := s.m[i] / (1 - math.Pow(r.Beta1, s.k))
		vHat := v / (1 - math.Pow(r.Beta2, s.k))
		w[i] -= lr * mHat / (math.Sqrt(vHat) + r.Epsilon)
	}
	return w
}

type adagradReference struct {
	optim.AdagradConfig
	common
}

func newAdagradReference(n *network, c optim.AdagradConfig) reference {
	return &adagradReference{c, newCommon(n)}
}

func (r *adagradReference) update(p *kron.Param, w, g []float64) []float64 {
	s := r.next(p)
	for i := range w {
		if s.k == 1 {
			s.v[i] = r.Initial
		}
		d := g[i] + r.WeightDecay*w[i]
		s.v[i] += d * d
		w[i] -= r.LR / (1 + (s.k-1)*r.LRDecay) * d / (math.Sqrt(s.v[i]) + r.Epsilon)
	}
	return w
}

type rmsPropReference struct {
	optim.RMSPropConfig
	common
}

func newRMSPropReference(n *network, c optim.RMSPropConfig) reference {
	return &rmsPropReference{c, newCommon(n)}
}

func (r *rmsPropReference) update(p *kron.Param, w, g []float64) []float64 {
	s := r.next(p)
	for i := range w {
		d := g[i] + r.WeightDecay*w[i]
		s.v[i] = r.Alpha*s.v[i] + (1-r.Alpha)*d*d
		variance := s.v[i]
		if r.Centered {
			s.a[i] = r.Alpha*s.a[i] + (1-r.Alpha)*d
			variance -= s.a[i] * s.a[i]
		}
		s.b[i] = r.Momentum*s.b[i] + d/(math.Sqrt(variance)+r.Epsilon)
		w[i] -= r.LR * s.b[i]
	}
	return w
}

type lionReference struct {
	optim.LionConfig
	common
}

func newLionReference(n *network, c optim.LionConfig) reference {
	return &lionReference{c, newCommon(n)}
}

func (r *lionReference) update(p *kron.Param, w, g []float64) []float64 {
	s := r.next(p)
	for i := range w {
		u := math.Copysign(1, r.Beta1*s.m[i]+(1-r.Beta1)*g[i])
		s.m[i] = r.Beta2*s.m[i] + (1-r.Beta2)*g[i]
		w[i] -= r.LR * (u + r.WeightDecay*w[i])
	}
	return w
}

type muonReference struct {
	optim.MuonConfig
	adam *adamReference
	common
}

func newMuonReference(n *network, c optim.MuonConfig) reference {
	adam := newAdamReference(n, optim.AdamConfig{LR: c.LR, Beta1: c.Beta1, Beta2: c.Beta2, Epsilon: c.Epsilon, WeightDecay: c.WeightDecay}, true)
	return &muonReference{c, adam, adam.common}
}

func (r *muonReference) update(p *kron.Param, w, g []float64) []float64 {
	if len(p.Shape) < 2 || slices.Contains(r.AdamW, p) {
		return r.adam.update(p, w, g)
	}
	s := r.next(p)
	x := make([]float64, len(w))
	norm := 0.0
	for i := range w {
		s.m[i] = r.Momentum*s.m[i] + (1-r.Momentum)*g[i]
		x[i] = s.m[i]
		if r.Nesterov {
			x[i] = r.Momentum*s.m[i] + (1-r.Momentum)*g[i]
		}
		norm += x[i] * x[i]
	}
	for i := range x {
		x[i] /= math.Sqrt(norm)
	}
	rows, cols := p.Shape[0], p.Shape[1]
	for range r.Iterations {
		// In the form of the definition, whatever the longer side.
		square := matmul(x, transposed(x, cols), cols)
		cube := matmul(square, x, rows)
		fifth := matmul(square, cube, rows)
		for i := range x {
			x[i] = 3.4445*x[i] - 4.7750*cube[i] + 2.0315*fifth[i]
		}
	}
	lr, decay := r.LR*r.rates[p].LRScale, r.WeightDecay*r.rates[p].DecayScale
	for i := range w {
		w[i] -= lr * (0.2*math.Sqrt(float64(max(rows, cols)))*x[i] + decay*w[i])
	}
	return w
}

// matmul is the product of row-major matrices over k.
func matmul(a, b []float64, k int) []float64 {
	m, n := len(a)/k, len(b)/k
	c := make([]float64, m*n)
	for i := range m {
		for j := range n {
			for l := range k {
				c[i*n+j] += a[i*k+l] * b[l*n+j]
			}
		}
	}
	return c
}

func transposed(x []float64, cols int) []float64 {
	rows := len(x) / cols
	y := make([]float64, len(x))
	for i, v := range x {
		y[i%cols*rows+i/cols] = v
	}
	return y
}

type adaFisherReference struct {
	optim.AdaFisherConfig
	decoupled bool
	steps     int
	common
	h, s   map[*kron.Param][]float64 // running averages, by the parameters of their layer
	layers map[*kron.Param]*kron.Layer
}

func newAdaFisherReference(n *network, c optim.AdaFisherConfig, decoupled bool) reference {
	r := &adaFisherReference{c, decoupled, 0, newCommon(n), map[*kron.Param][]float64{}, map[*kron.Param][]float64{}, map[*kron.Param]*kron.Layer{}}
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
	s := r.next(p)
	lr, decay := r.LR*r.rates[p].LRScale, r.WeightDecay*r.rates[p].DecayScale
	for i := range w {
		d, old := g[i], w[i]
		if !r.decoupled {
			d += decay * old
		}
		s.m[i] = r.Beta*s.m[i] + (1-r.Beta)*d
		w[i] -= lr / (1 - math.Pow(r.Beta, s.k)) * s.m[i] / r.curvature(p, i)
		if r.decoupled {
			w[i] -= lr * decay * old
		}
	}
	return w
}

// calibratedReference works out all of a step when it begins: a bias needs what its
// weight does.
type calibratedReference struct {
	optim.CalibratedConfig
	common
	steps   int
	layers  []*kron.Layer
	h, s    map[*kron.Layer][]float64 // running averages
	mean    map[*kron.Layer][]float64
	updates map[*kron.Layer]float64
	moves   map[*kron.Param][]float64
}

func newCalibratedReference(n *network, c optim.CalibratedConfig) reference {
	r := &calibratedReference{c, newCommon(n), 0, n.layers, map[*kron.Layer][]float64{}, map[*kron.Layer][]float64{},
		map[*kron.Layer][]float64{}, map[*kron.Layer]float64{}, nil}
	for _, l := range n.layers {
		r.h[l], r.s[l] = make([]float64, l.Inputs()), make([]float64, l.Outputs())
		r.mean[l] = make([]float64, len(l.Weight.Value)/l.Outputs())
	}
	return r
}

// relative returns x in units of its mean; ones if that is 0.
func relative(x []float64) []float64 {
	mean := 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	y := ones(len(x))
	for i, v := range x {
		if mean > 0 {
			y[i] = v / mean
		}
	}
	return y
}

func (r *calibratedReference) begin(p *kron.Pass) {
	if r.steps%r.TCov == 0 {
		for _, st := range p.Statistics {
			l := st.Layer
			r.updates[l]++
			for _, e := range []struct {
				avg []float64
				raw []float32
			}{{r.h[l], st.H}, {r.s[l], st.S}, {r.mean[l], st.Mean}} {
				for i, v := range e.raw {
					e.avg[i] = r.Gamma*e.avg[i] + (1-r.Gamma)*float64(v)
				}
			}
		}
	}
	r.steps++
	r.moves = make(map[*kron.Param][]float64)
	g := make(map[*kron.Param][]float64)
	for _, x := range p.Gradients {
		g[x.Param] = widen(x.Data)
	}
	owned := make(map[*kron.Param]bool)
	for _, l := range r.layers {
		owned[l.Weight] = true
		in, out := len(r.mean[l]), l.Outputs()
		root, correct := math.Sqrt(r.Damping), 1-math.Pow(r.Gamma, r.updates[l])
		mu, d := make([]float64, in), make([]float64, in)
		for j := range d {
			if !r.Uncentred && len(l.Weight.Shape) > 1 && !l.Extension {
				mu[j] = r.mean[l][j] / correct
			}
			d[j] = max(0, r.h[l][j]/correct-mu[j]*mu[j])
		}
		row, col := relative(d), relative(r.s[l])
		for j := range row {
			row[j] = 1 / (row[j] + root)
		}
		for i := range col {
			col[i] = 1 / (col[i] + root)
		}
		var b []float64
		if l.Bias != nil {
			owned[l.Bias], b = true, g[l.Bias]
		}
		if b != nil {
			r.moves[l.Bias] = r.step(l.Bias, b, func(i int) float64 { return col[i] })
		}
		w := g[l.Weight]
		if w == nil {
			continue
		}
		shift := b
		if shift == nil {
			shift = make([]float64, out)
			average, below := 0.0, 1.0
			for _, v := range d {
				average += v / float64(in)
			}
			for j, v := range d {
				if v += 0.01 * average; v > 0 {
					below += mu[j] * mu[j] / v
					for i := range shift {
						shift[i] += w[j*out+i] * mu[j] / v
					}
				}
			}
			for i := range shift {
				shift[i] /= below
			}
		}
		centred := slices.Clone(w)
		for e := range centred {
			centred[e] -= mu[e/out] * shift[e%out]
		}
		u := r.step(l.Weight, centred, func(e int) float64 { return row[e/out] * col[e%out] })
		r.moves[l.Weight] = u
		for e, v := range u {
			if b != nil {
				r.moves[l.Bias][e%out] -= mu[e/out] * v
			}
		}
	}
	for q, x := range g {
		if !owned[q] {
			r.moves[q] = r.step(q, x, func(int) float64 { return 1 })
		}
	}
}

// step returns what a parameter with the gradient d moves by, the learning rate
// included.
func (r *calibratedReference) step(p *kron.Param, d []float64, precondition func(e int) float64) []float64 {
	s := r.next(p)
	u := make([]float64, len(d))
	square, size := 0.0, 0.0
	for e := range d {
		s.m[e] = r.Beta*s.m[e] + (1-r.Beta)*d[e]
		x := precondition(e)
		u[e] = x * (r.Beta*s.m[e]/(1-math.Pow(r.Beta, s.k)) + (1-r.Beta)*d[e])
		square += math.Pow(x*d[e], 2) / float64(len(d))
		size += u[e] * u[e] / float64(len(d))
	}
	scale := 0.0
	if r.UpdateRMS == 0 {
		s.v[0] = r.ScaleBeta*s.v[0] + (1-r.ScaleBeta)*square
		scale = 1 / (math.Sqrt(s.v[0]/(1-math.Pow(r.ScaleBeta, s.k))) + 1e-12)
	} else if size > 0 {
		scale = r.UpdateRMS / math.Sqrt(size)
	}
	for e := range u {
		u[e] *= r.LR * r.rates[p].LRScale * scale
	}
	return u
}

func (r *calibratedReference) update(p *kron.Param, w, _ []float64) []float64 {
	for i := range w {
		w[i] -= r.LR*r.rates[p].LRScale*r.WeightDecay*r.rates[p].DecayScale*w[i] + r.moves[p][i]
	}
	return w
}
