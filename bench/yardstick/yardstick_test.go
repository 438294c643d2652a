package yardstick

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

// Twelve steps of K-FAC, with two updates between inversions, follow the equations
// in float64.
func TestKFAC(t *testing.T) {
	m, s, r, batch := fixture(t)
	c := KFACDefaults()
	c.LR, c.TCov, c.TInv, c.Seed, c.Clip, c.Damping = 0.5, 2, 4, 7, 0.01, 0.01
	k, err := NewKFAC(m, c)
	require.NoError(t, err)

	random := rand.New(rand.NewPCG(c.Seed, 0))
	var a, g, aInv, gInv [2]*mat.Dense
	var velocity [2]*mat.Dense
	updates := 0
	clipped := false
	for step := range 12 {
		x, wide, labels := batch()
		loss, err := k.Train(s, x, labels)
		require.NoError(t, err)

		pass := r.forward(wide)
		if step%c.TCov == 0 {
			drawn := make([]int, rows)
			for i := range drawn {
				left := random.Float64()
				drawn[i] = classes - 1
				for j, p := range softmax(pass.scores, i) {
					if left -= p; left < 0 {
						drawn[i] = j
						break
					}
				}
			}
			r.backward(pass, drawn)
			updates++
			keep := min(1-1/float64(updates), c.Decay)
			for l := range a {
				var newA, newG mat.Dense
				newA.Mul(pass.inputs[l].T(), pass.inputs[l])
				newA.Scale(1.0/rows, &newA)
				newG.Mul(pass.outputs[l].T(), pass.outputs[l])
				newG.Scale(rows, &newG)
				if updates == 1 {
					a[l], g[l] = &newA, &newG
					continue
				}
				for _, e := range []struct{ old, new *mat.Dense }{{a[l], &newA}, {g[l], &newG}} {
					e.old.Scale(keep, e.old)
					e.new.Scale(1-keep, e.new)
					e.old.Add(e.old, e.new)
				}
			}
			if step%c.TInv == 0 || step < c.TInv && updates == 2 {
				for l := range a {
					in, _ := a[l].Dims()
					out, _ := g[l].Dims()
					pi := math.Sqrt(mat.Trace(a[l]) / float64(in) / (mat.Trace(g[l]) / float64(out)))
					aInv[l] = dampedInverse(t, a[l], pi*math.Sqrt(c.Damping))
					gInv[l] = dampedInverse(t, g[l], math.Sqrt(c.Damping)/pi)
				}
			}
		}
		r.backward(pass, labels)
		require.InDelta(t, pass.loss, loss, 1e-4)
		var u [2]mat.Dense
		sum := 0.0
		for l := range u {
			u[l].Mul(aInv[l], pass.grads[l])
			u[l].Mul(&u[l], gInv[l])
			var product mat.Dense
			product.MulElem(&u[l], pass.grads[l])
			sum += mat.Sum(&product)
		}
		nu := min(1, math.Sqrt(c.Clip/(c.LR*c.LR*sum)))
		clipped = clipped || nu < 1
		for l := range u {
			u[l].Scale(nu, &u[l])
			if velocity[l] == nil {
				velocity[l] = mat.DenseCopyOf(&u[l])
			} else {
				velocity[l].Scale(c.Momentum, velocity[l])
				velocity[l].Add(velocity[l], &u[l])
			}
			var move mat.Dense
			move.Scale(c.LR, velocity[l])
			r.w[l].Sub(r.w[l], &move)
		}
		requireClose(t, r.values(), modelValues(m), 1e-3, fmt.Sprint("step ", step))
	}
	require.True(t, clipped)
}

func dampedInverse(t *testing.T, x *mat.Dense, damping float64) *mat.Dense {
	n, _ := x.Dims()
	d := mat.DenseCopyOf(x)
	for i := range n {
		d.Set(i, i, d.At(i, i)+damping)
	}
	require.NoError(t, d.Inverse(d))
	return d
}

// The factors of a convolution are the products of its patches, with a 1 where it
// has a bias, and of its gradients.
func TestKFACConvolution(t *testing.T) {
	for _, noBias := range []bool{false, true} {
		m, err := nn.New(nn.Shape{5, 4, 2},
			nn.Conv2d(2, 3, nn.Conv{Kernel: [2]int{3, 2}, Stride: [2]int{2, 1}, Padding: [2]int{1, 1}, NoBias: noBias}),
			nn.BatchNorm(), nn.Flatten(), nn.Linear(3*3*5, classes))
		require.NoError(t, err)
		s, err := m.NewSession(6)
		require.NoError(t, err)
		k, err := NewKFAC(m, KFACDefaults())
		require.NoError(t, err)
		require.Len(t, k.layers, 2, "the normalisation has no full factors")
		x := make([]float32, 6*40)
		random := rand.New(rand.NewPCG(5, 5))
		for i := range x {
			x[i] = float32(random.NormFloat64())
		}
		labels := []int{0, 1, 2, 3, 0, 1}
		y, err := s.Forward(x)
		require.NoError(t, err)
		require.NoError(t, k.observe(s, y, labels))

		// The sums that give G and the weight's gradient are of the drawn labels.
		_, err = s.SoftmaxCrossEntropy(k.labels)
		require.NoError(t, err)
		var conv nn.Observation
		s.SetObserver(func(o nn.Observation) {
			if o.Conv != nil {
				conv = nn.Observation{Layer: o.Layer, Conv: o.Conv, X: slices.Clone(o.X), DY: slices.Clone(o.DY)}
			}
		})
		pass, err := s.Backward()
		require.NoError(t, err)
		s.SetObserver(nil)
		l := k.layers[0]
		in, out, positions := 3*2*2, 3, 3*5
		a, g, w := make([]float64, l.in*l.in), make([]float64, out*out), make([]float64, in*out)
		for n := range 6 {
			for p := range positions {
				patch := make([]float64, l.in)
				patch[l.in-1] = 1 // without bias it is overwritten
				for ky := range 3 {
					for kx := range 2 {
						for c := range 2 {
							y, x := p/5*2+ky-1, p%5+kx-1
							v := 0.0
							if y >= 0 && y < 5 && x >= 0 && x < 4 {
								v = float64(conv.X[((n*5+y)*4+x)*2+c])
							}
							patch[(ky*2+kx)*2+c] = v
						}
					}
				}
				dy := conv.DY[(n*positions+p)*out:][:out]
				for i := range patch {
					for j := range patch {
						a[i*l.in+j] += patch[i] * patch[j]
					}
				}
				for j := range out {
					for i := range out {
						g[i*out+j] += float64(dy[i]) * float64(dy[j])
					}
					for i := range in {
						w[i*out+j] += patch[i] * float64(dy[j])
					}
				}
			}
		}
		require.Equal(t, 6*positions, l.rows)
		requireClose(t, a, wide(l.aSum), 1e-5, "A")
		requireClose(t, g, wide(l.gSum), 1e-5, "G")
		requireClose(t, w, wide(pass.Gradients[0].Data), 1e-4, "the gradient in the order of the patches")
		for range 3 {
			_, err = k.Train(s, x, labels)
			require.NoError(t, err)
		}
	}
}

func wide(x []float32) []float64 {
	w := make([]float64, len(x))
	for i, v := range x {
		w[i] = float64(v)
	}
	return w
}

// The direction times the differences is that of the Hessian itself, and its mean
// over many directions is the diagonal.
func TestAdaHessianDiagonal(t *testing.T) {
	m, s, r, batch := fixture(t)
	a, err := NewAdaHessian(m, AdaHessianDefaults())
	require.NoError(t, err)
	x, wideX, labels := batch()
	hessian := hessianOf(r, wideX, labels)
	n := len(hessian)
	mean := make([]float64, n)
	const draws = 3000
	for draw := range draws {
		before := modelValues(m)
		_, _, err := a.differentiate(s, x, labels)
		require.NoError(t, err)
		require.Equal(t, before, modelValues(m), "the parameters are where they were")
		z, d := flat(a.z), flat(a.d)
		if draw < 5 {
			want := make([]float64, n)
			for i := range want {
				for j := range z {
					want[i] += z[i] * hessian[i][j] * z[j]
				}
			}
			requireClose(t, want, d, 2e-3, "z*Hz")
		}
		for i := range mean {
			mean[i] += d[i] / draws
		}
	}
	diagonal := make([]float64, n)
	for i := range diagonal {
		diagonal[i] = hessian[i][i]
	}
	requireClose(t, diagonal, mean, 0.15, "the mean")
}

func flat(x [][]float32) []float64 {
	var all []float64
	for _, v := range x {
		all = append(all, wide(v)...)
	}
	return all
}

func hessianOf(r *reference, x *mat.Dense, labels []int) [][]float64 {
	values := r.values()
	all := make([][]float64, len(values))
	for j := range values {
		const h = 1e-5
		var sides [2][]float64
		for i, step := range []float64{h, -h} {
			moved := slices.Clone(values)
			moved[j] += step
			sides[i], _ = r.with(moved).gradient(x, labels)
		}
		all[j] = make([]float64, len(values))
		for i := range values {
			all[j][i] = (sides[0][i] - sides[1][i]) / (2 * h)
		}
	}
	return all
}

func TestAdaHessian(t *testing.T) {
	m, s, r, batch := fixture(t)
	c := AdaHessianDefaults()
	c.LR = 0.05
	a, err := NewAdaHessian(m, c)
	require.NoError(t, err)
	n := len(r.values())
	first, second := make([]float64, n), make([]float64, n)
	for step := 1; step <= 8; step++ {
		x, wideX, labels := batch()
		loss, err := a.Train(s, x, labels)
		require.NoError(t, err)
		hessian := hessianOf(r, wideX, labels)
		gradient, want := r.gradient(wideX, labels)
		require.InDelta(t, want, loss, 1e-4)
		values, z := r.values(), flat(a.z)
		for i := range values {
			d := 0.0
			for j := range z {
				d += z[i] * hessian[i][j] * z[j]
			}
			first[i] = c.Beta1*first[i] + (1-c.Beta1)*gradient[i]
			second[i] = c.Beta2*second[i] + (1-c.Beta2)*d*d
			corrected := first[i] / (1 - math.Pow(c.Beta1, float64(step)))
			values[i] -= c.LR * corrected / (math.Sqrt(second[i]/(1-math.Pow(c.Beta2, float64(step)))) + c.Epsilon)
		}
		requireClose(t, values, modelValues(m), 5e-3, fmt.Sprint("step ", step))
		r = newReference(m) // so that a difference does not grow
	}
}

// The extra passes leave dropout, running averages and parameters as one pass does,
// and windows of convolutions share their estimate.
func TestAdaHessianLeavesNoTrace(t *testing.T) {
	build := func() (*nn.Model, *nn.Session) {
		m, err := nn.New(nn.Shape{4, 4, 2}, nn.Conv2d(2, 3, nn.Conv{Kernel: nn.Square(3)}), nn.BatchNorm(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(12, 2))
		require.NoError(t, err)
		m.Params()[4].Frozen = true
		s, err := m.NewSession(4)
		require.NoError(t, err)
		s.SetRandom(9, 0)
		return m, s
	}
	x := make([]float32, 4*32)
	random := rand.New(rand.NewPCG(5, 5))
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
	labels := []int{0, 1, 1, 0}
	m, s := build()
	a, err := NewAdaHessian(m, AdaHessianDefaults())
	require.NoError(t, err)
	plainM, plainS := build()
	for range 3 {
		pass, loss, err := a.differentiate(s, x, labels)
		require.NoError(t, err)
		_, err = plainS.Forward(x)
		require.NoError(t, err)
		want, err := plainS.SoftmaxCrossEntropy(labels)
		require.NoError(t, err)
		plainPass, err := plainS.Backward()
		require.NoError(t, err)
		require.Equal(t, want, loss)
		for i := range pass.Gradients {
			require.Equal(t, plainPass.Gradients[i].Data, pass.Gradients[i].Data)
		}
		for i, b := range m.Buffers() {
			require.Equal(t, plainM.Buffers()[i].Value, b.Value)
		}
		require.Equal(t, modelValues(plainM), modelValues(m))
		d := a.d[0]
		for i, v := range d {
			require.Equal(t, d[i%6], v, "one estimate for all taps of a window")
			require.GreaterOrEqual(t, v, float32(0))
		}
		require.Equal(t, make([]float32, len(a.z[4])), a.z[4], "a frozen parameter does not move")
	}
	before := slices.Clone(m.Params()[4].Value)
	_, err = a.Train(s, x, labels)
	require.NoError(t, err)
	require.Equal(t, before, m.Params()[4].Value)
}

// Ten steps of Shampoo on parameters of one, two and four dimensions follow the
// definition, with roots by eigenvalues in float64.
func TestShampoo(t *testing.T) {
	m, err := nn.New(nn.Shape{5, 5, 3}, nn.Conv2d(3, 4, nn.Conv{Kernel: [2]int{2, 3}}), nn.Flatten(), nn.Linear(48, 6))
	require.NoError(t, err)
	c := ShampooDefaults()
	c.TCov, c.TRoot, c.MaxDim, c.Epsilon = 1, 2, 40, 1e-2
	s, err := NewShampoo(m, c)
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(8, 8))
	type state struct {
		w, m  []float64
		h     []*mat.SymDense
		roots []*mat.Dense
	}
	states := make([]*state, len(m.Params()))
	for i, p := range m.Params() {
		states[i] = &state{w: wide(p.Value), m: make([]float64, len(p.Value))}
		for _, n := range p.Shape {
			h := mat.NewSymDense(n, nil)
			for j := range n {
				h.SetSym(j, j, c.Epsilon)
			}
			states[i].h = append(states[i].h, h)
			states[i].roots = append(states[i].roots, nil)
		}
	}
	for step := range 10 {
		pass := &kron.Pass{}
		for _, p := range m.Params() {
			g := make([]float32, len(p.Value))
			for i := range g {
				g[i] = float32(random.NormFloat64())
			}
			pass.Gradients = append(pass.Gradients, kron.Gradient{Param: p, Data: g})
		}
		require.NoError(t, s.Step(pass))
		for i, p := range m.Params() {
			q, g := states[i], wide(pass.Gradients[i].Data)
			for d, n := range p.Shape {
				rows := unfold(g, p.Shape, d)
				product := mat.NewSymDense(n, nil)
				product.SymOuterK(1, rows)
				if n > c.MaxDim {
					for r := range n {
						for k := range r {
							product.SetSym(r, k, 0)
						}
					}
				}
				q.h[d].AddSym(q.h[d], product)
				if step%c.TRoot == 0 || step == c.TCov {
					q.roots[d] = inverseRoot(q.h[d], 2*len(p.Shape), n <= c.MaxDim)
				}
			}
			for j := range g {
				q.m[j] = c.Momentum*q.m[j] + (1-c.Momentum)*g[j]
			}
			u := slices.Clone(q.m)
			for d := range p.Shape {
				var product mat.Dense
				product.Mul(q.roots[d], unfold(u, p.Shape, d))
				u = fold(&product, p.Shape, d)
			}
			for j := range u {
				q.w[j] -= c.LR * u[j]
			}
			requireClose(t, q.w, wide(p.Value), 1e-3, fmt.Sprintf("%s in step %d", p.Name, step))
		}
	}
}

// index returns the row of an element in the matricization by a dimension, and its
// column.
func index(at int, shape []int, d int) (row, col int) {
	after := 1
	for _, n := range shape[d+1:] {
		after *= n
	}
	return at / after % shape[d], at/after/shape[d]*after + at%after
}

func unfold(x []float64, shape []int, d int) *mat.Dense {
	m := mat.NewDense(shape[d], len(x)/shape[d], nil)
	for i, v := range x {
		r, c := index(i, shape, d)
		m.Set(r, c, v)
	}
	return m
}

func fold(m *mat.Dense, shape []int, d int) []float64 {
	r, c := m.Dims()
	x := make([]float64, r*c)
	for i := range x {
		x[i] = m.At(index(i, shape, d))
	}
	return x
}

func inverseRoot(h *mat.SymDense, p int, ridged bool) *mat.Dense {
	var e mat.EigenSym
	if !e.Factorize(h, true) {
		panic("no eigenvalues")
	}
	add := 0.0
	if ridged {
		add = ridge * mat.Norm(h, 2)
	}
	var v mat.Dense
	e.VectorsTo(&v)
	n, _ := v.Dims()
	diagonal := mat.NewDiagDense(n, nil)
	for i, value := range e.Values(nil) {
		diagonal.SetDiag(i, math.Pow(value+add, -1/float64(p)))
	}
	var root mat.Dense
	root.Product(&v, diagonal, v.T())
	return &root
}

// Roots of matrices whose eigenvalues span six decades.
func TestNewton(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	for _, p := range []int{2, 4, 6, 8} {
		for _, n := range []int{1, 3, 20, 65} {
			x := mat.NewDense(n, n, nil)
			for i := range n {
				for j := range n {
					x.Set(i, j, random.NormFloat64()*math.Pow(10, -3*float64(i)/float64(n)))
				}
			}
			h := mat.NewSymDense(n, nil)
			h.SymOuterK(1, x)
			d := &shampooDim{n: n, h: make([]float32, n*n), root: make([]float32, n*n)}
			for i := range d.h {
				d.h[i] = float32(h.At(i/n, i%n))
			}
			w := &newton{scratch: make([]float32, kernels.GemmScratchLarge)}
			require.NoError(t, w.root(d, p))
			want := inverseRoot(h, p, true)
			requireClose(t, want.RawMatrix().Data, wide(d.root), 0.02, fmt.Sprintf("p = %d, n = %d", p, n))
		}
	}
}

// Elementwise has the averages of all gradients so far, each with its weight.
func TestElementwise(t *testing.T) {
	m, err := nn.NewSequential(nn.Linear(3, 2))
	require.NoError(t, err)
	c := ElementwiseDefaults()
	o, err := NewElementwise(m, c)
	require.NoError(t, err)
	m.Params()[1].Frozen = true
	p := m.Params()[0]
	want, frozen := wide(p.Value), slices.Clone(m.Params()[1].Value)
	random := rand.New(rand.NewPCG(3, 4))
	var past [][]float64 // gradients
	var squares []float64
	for step := range 20 {
		g := make([]float32, len(p.Value))
		for i := range g {
			g[i] = float32(random.NormFloat64())
		}
		past = append(past, wide(g))
		// average weighs what was k steps ago with beta^k.
		average := func(beta float64, of func(k int) float64) float64 {
			sum, weights := 0.0, 0.0
			for k := range past {
				w := math.Pow(beta, float64(step-k))
				sum, weights = sum+w*of(k), weights+w
			}
			return sum / weights
		}
		u, square := make([]float64, len(g)), 0.0
		for i := range g {
			root := math.Sqrt(average(c.Beta2, func(k int) float64 { return past[k][i] * past[k][i] })) + c.Epsilon
			u[i] = (c.Beta*average(c.Beta, func(k int) float64 { return past[k][i] }) + (1-c.Beta)*past[step][i]) / root
			square += past[step][i] * past[step][i] / root / root / float64(len(g))
		}
		squares = append(squares, square)
		scale := math.Sqrt(average(c.ScaleBeta, func(k int) float64 { return squares[k] }))
		for i := range want {
			want[i] -= c.LR * u[i] / scale
		}
		require.NoError(t, o.Step(&kron.Pass{Gradients: []kron.Gradient{{Param: p, Data: g}, {Param: m.Params()[1], Data: make([]float32, 2)}}}))
		require.InDeltaSlice(t, want, wide(p.Value), 1e-6, "step %d", step) // 20 roundings of numbers below 1
	}
	require.Equal(t, frozen, m.Params()[1].Value)
}

// What is refused changes nothing.
func TestErrors(t *testing.T) {
	m, s, _, batch := fixture(t)
	kfac, err := NewKFAC(m, KFACDefaults())
	require.NoError(t, err)
	hessian, err := NewAdaHessian(m, AdaHessianDefaults())
	require.NoError(t, err)
	shampoo, err := NewShampoo(m, ShampooDefaults())
	require.NoError(t, err)
	plainly, err := NewElementwise(m, ElementwiseDefaults())
	require.NoError(t, err)
	x, _, labels := batch()
	for name, trainer := range map[string]Trainer{"K-FAC": kfac, "AdaHessian": hessian, "Shampoo": NewTrainer(shampoo), "Elementwise": NewTrainer(plainly)} {
		require.ErrorContains(t, trainer.SetLR(-1), name+": LR is -1: want a number in")
		require.Error(t, trainer.SetLR(math.NaN()))
		before := modelValues(m)
		_, err := trainer.Train(s, x[1:], labels)
		require.Error(t, err)
		_, err = trainer.Train(s, x, append([]int{classes}, labels[1:]...))
		require.Error(t, err)
		bad := slices.Clone(x)
		bad[4] = float32(math.NaN())
		_, err = trainer.Train(s, bad, labels)
		require.ErrorContains(t, err, "not finite")
		require.Equal(t, before, modelValues(m), name)
		for range 3 {
			_, err = trainer.Train(s, x, labels)
			require.NoError(t, err, name)
		}
	}

	for want, build := range map[string]func() error{
		"K-FAC: Damping is 0": func() error { c := KFACDefaults(); c.Damping = 0; _, err := NewKFAC(m, c); return err },
		"K-FAC: TCov is 0":    func() error { c := KFACDefaults(); c.TCov = 0; _, err := NewKFAC(m, c); return err },
		"AdaHessian: Beta2 is 1": func() error {
			c := AdaHessianDefaults()
			c.Beta2 = 1
			_, err := NewAdaHessian(m, c)
			return err
		},
		"Shampoo: Epsilon is -1": func() error { c := ShampooDefaults(); c.Epsilon = -1; _, err := NewShampoo(m, c); return err },
		"Elementwise: Beta is 1": func() error { c := ElementwiseDefaults(); c.Beta = 1; _, err := NewElementwise(m, c); return err },
		"there is no model":      func() error { _, err := NewShampoo(nil, ShampooDefaults()); return err },
	} {
		require.ErrorContains(t, build(), want)
	}
}

// What each output position sees, of two samples, with zeros beyond the edge.
func TestPatches(t *testing.T) {
	c := kernels.Conv2d{H: 1, W: 3, C: 1, Out: 1, Kernel: [2]int{1, 2}, Padding: [2]int{0, 1}}
	require.Equal(t, 4, c.OutW())
	require.Equal(t, []float32{0, 1, 1, 2, 2, 3, 3, 0, 0, 4, 4, 5, 5, 6, 6, 0}, Patches([]float32{1, 2, 3, 4, 5, 6}, c))
}
