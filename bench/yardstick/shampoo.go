package yardstick

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

// ShampooConfig is the configuration of [Shampoo].
type ShampooConfig struct {
	LR       float64 // learning rate
	Momentum float64 // decay of the mean gradient, in [0, 1)
	Epsilon  float64 // the preconditioners start from Epsilon*I; above 0
	TCov     int     // steps from one update of the preconditioners to the next
	TRoot    int     // steps from one computation of their roots to the next
	MaxDim   int     // dimensions beyond it have a diagonal preconditioner
}

// ShampooDefaults returns a momentum of 0.9 and the preconditioners' start of 1e-4;
// they change every 10 steps and their roots every 50. The authors take every
// gradient, at several times the cost of a step on these networks, and the roots
// every 20 to 100 steps.
func ShampooDefaults() ShampooConfig {
	return ShampooConfig{LR: 0.1, Momentum: 0.9, Epsilon: 1e-4, TCov: 10, TRoot: 50, MaxDim: 1024}
}

// Shampoo is Shampoo (Gupta et al., arXiv 1802.09568). A parameter with k
// dimensions has a preconditioner H_i for each, n_i x n_i; with the gradient g and
// its matricization g_i, which has dimension i as rows:
//
//	H_i = H_i + g_i*g_i'                      from Epsilon*I on; its diagonal alone beyond MaxDim
//	m   = Momentum*m + (1-Momentum)*g
//	w   = w - LR * (m times H_i^(-1/(2k)) along each dimension i)
//
// A matrix [in, out] so has L^(-1/4)*m*R^(-1/4). The roots are those of H_i plus a
// millionth of its norm, by a coupled Newton iteration on the library's matrix
// products, as in Anil et al. (arXiv 2002.09018); the eigenvalue decomposition
// gives the same and takes several times as long.
type Shampoo struct {
	rate
	config ShampooConfig
	params []*kron.Param
	state  []*shampooParam
	steps  int64
	newton newton
}

type shampooParam struct {
	momentum []float32
	dims     []shampooDim
	x, y     []float32 // the preconditioned gradient, before and after one dimension
}

type shampooDim struct {
	n        int
	diagonal bool
	h, root  []float32 // [n, n], or [n] if diagonal
}

// NewShampoo returns a Shampoo optimizer for the model.
func NewShampoo(m *nn.Model, c ShampooConfig) (*Shampoo, error) {
	if m == nil {
		return nil, errNoModel
	}
	s := &Shampoo{rate: rate{"Shampoo", c.LR}, config: c, params: m.Params(), newton: newton{scratch: make([]float32, kernels.GemmScratchLarge)}}
	err := s.in(
		limits{"Momentum", c.Momentum, 0, largestDecay},
		limits{"Epsilon", c.Epsilon, tiny, 1e6},
		limits{"TCov", float64(c.TCov), 1, many},
		limits{"TRoot", float64(c.TRoot), 1, many},
		limits{"MaxDim", float64(c.MaxDim), 0, 1 << 14})
	if err != nil {
		return nil, err
	}
	for _, p := range s.params {
		n := len(p.Value)
		q := &shampooParam{momentum: make([]float32, n), x: make([]float32, n), y: make([]float32, n)}
		for _, d := range p.Shape {
			if d == 1 {
				continue // a number, which its parameter's other dimensions account for
			}
			dim := shampooDim{n: d, diagonal: d > c.MaxDim}
			size := d * d
			if dim.diagonal {
				size = d
			}
			dim.h, dim.root = make([]float32, size), make([]float32, size)
			for i := range d {
				if dim.diagonal {
					dim.h[i] = float32(c.Epsilon)
				} else {
					dim.h[i*d+i] = float32(c.Epsilon)
				}
			}
			q.dims = append(q.dims, dim)
		}
		s.state = append(s.state, q)
	}
	return s, nil
}

// Step does one step.
func (s *Shampoo) Step(p *kron.Pass) error {
	if err := checkPass(s.name, p, s.params); err != nil {
		return err
	}
	if s.steps%int64(s.config.TCov) == 0 {
		for i, g := range p.Gradients {
			s.state[i].observe(g.Data, &s.newton)
		}
	}
	// The first roots are of little data; the second come with the next update.
	if s.steps%int64(s.config.TRoot) == 0 || s.steps == int64(s.config.TCov) {
		for i, q := range s.state {
			for d := range q.dims {
				if err := s.newton.root(&q.dims[d], 2*len(q.dims)); err != nil {
					return fmt.Errorf("yardstick: Shampoo: %s: dimension %d: %w", s.params[i].Name, d, err)
				}
			}
		}
	}
	s.steps++
	keep, add := float32(s.config.Momentum), float32(1-s.config.Momentum)
	for i, g := range p.Gradients {
		if g.Param.Frozen {
			continue
		}
		q := s.state[i]
		kernels.EMA(q.momentum, g.Data, keep, add)
		kernels.Axpy(g.Param.Value, q.precondition(s.newton.scratch), float32(-s.lr))
	}
	return nil
}

// observe adds the products of a gradient to the preconditioners.
func (q *shampooParam) observe(g []float32, w *newton) {
	after := len(g)
	for i := range q.dims {
		d := &q.dims[i]
		after /= d.n
		rows := matricize(q.x, g, d.n, after)
		if d.diagonal {
			for r := range d.n {
				row := rows[r*len(g)/d.n:][:len(g)/d.n]
				d.h[r] += kernels.Dot(row, row)
			}
			continue
		}
		kernels.Syrk{Accumulate: true, Scratch: w.scratch}.Multiply(square(d.h, d.n), kernels.NewMatrix(d.n, len(g)/d.n, rows))
	}
}

// matricize returns g with one dimension, of n entries that are after elements
// apart, as rows; in dst, unless that is how g is.
func matricize(dst, g []float32, n, after int) []float32 {
	if n*after == len(g) {
		return g
	}
	cols := len(g) / n
	for before := range cols / after {
		for r := range n {
			copy(dst[r*cols+before*after:][:after], g[(before*n+r)*after:])
		}
	}
	return dst
}

// precondition returns the momentum times the root along each dimension.
func (q *shampooParam) precondition(scratch []float32) []float32 {
	x, y := q.x, q.y
	copy(x, q.momentum)
	after := len(x)
	for _, d := range q.dims {
		after /= d.n
		block := d.n * after
		for at := 0; at < len(x); at += block {
			from, to := kernels.NewMatrix(d.n, after, x[at:][:block]), kernels.NewMatrix(d.n, after, y[at:][:block])
			switch {
			case d.diagonal:
				for r := range d.n {
					kernels.Scale(to.Data[r*after:][:after], from.Data[r*after:][:after], d.root[r])
				}
			case after == 1: // the last dimension: all rows at once
				at = len(x)
				rows := len(x) / d.n
				kernels.Gemm{Scratch: scratch}.Multiply(kernels.NewMatrix(rows, d.n, y), kernels.NewMatrix(rows, d.n, x), square(d.root, d.n))
			default:
				kernels.Gemm{Scratch: scratch}.Multiply(to, square(d.root, d.n), from)
			}
		}
		x, y = y, x
	}
	return x
}

// newton computes inverse roots of positive definite matrices by
//
//	m = z*a, x = z^(1/p)*I          z = (1+p) / (2*norm(a))
//	t = ((p+1)*I - m) / p
//	x = x*t, m = t^p*m              until m is I
//
// which has x^-p = a (Guo and Higham 2006, "A Schur-Newton method for the matrix
// pth root and its inverse").
type newton struct {
	scratch       []float32
	x, m, t, s, u []float32
}

var errRoot = errors.New("the inverse root of a preconditioner is not finite")

const (
	ridge       = 1e-6 // of the norm, added to the diagonal
	newtonLimit = 100
	newtonError = 1e-4
)

// root stores d.h^(-1/p) in d.root.
func (w *newton) root(d *shampooDim, p int) error {
	if d.diagonal {
		for i, h := range d.h {
			d.root[i] = float32(math.Pow(float64(h), -1/float64(p)))
		}
		if !kernels.AllFinite(d.root) {
			return errRoot
		}
		return nil
	}
	n := d.n
	for _, place := range []*[]float32{&w.x, &w.m, &w.t, &w.s, &w.u} {
		*place = slices.Grow((*place)[:0], n*n)[:n*n]
	}
	norm := float64(kernels.L2Norm(d.h))
	if !(norm > 0 && norm < math.MaxFloat32) {
		return errRoot
	}
	z := float64(1+p) / (2 * norm * (1 + ridge))
	kernels.Scale(w.m, d.h, float32(z))
	clear(w.x)
	for i := range n {
		w.m[i*n+i] += float32(z * norm * ridge)
		w.x[i*n+i] = float32(math.Pow(z, 1/float64(p)))
	}
	last := math.Inf(1)
	for range newtonLimit {
		off := 0.0
		for i, v := range w.m {
			if i%(n+1) == 0 {
				v--
			}
			off = max(off, math.Abs(float64(v)))
		}
		if math.IsNaN(off) {
			return errRoot
		}
		if off < newtonError || off > last*1.2 && last < 0.1 { // close, or rounding errors grow
			break
		}
		last = off
		kernels.Scale(w.t, w.m, -1/float32(p))
		for i := range n {
			w.t[i*n+i] += float32(p+1) / float32(p)
		}
		w.multiply(&w.x, w.t, n)
		copy(w.s, w.t)
		for k := p; k > 1; k /= 2 { // t^p, for the powers of two that p consists of
			if k%2 == 1 {
				w.multiply(&w.m, w.s, n)
			}
			w.multiply(&w.s, w.s, n)
		}
		w.multiply(&w.m, w.s, n)
	}
	copy(d.root, w.x)
	return nil
}

// multiply replaces x by x*y.
func (w *newton) multiply(x *[]float32, y []float32, n int) {
	kernels.Gemm{Scratch: w.scratch}.Multiply(square(w.u, n), square(*x, n), square(y, n))
	*x, w.u = w.u, *x
}
