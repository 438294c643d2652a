package yardstick

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

// AdaHessianConfig is the configuration of [AdaHessian].
type AdaHessianConfig struct {
	LR           float64 // learning rate
	Beta1, Beta2 float64 // decays of the first moment and of the squares, in [0, 1)
	Epsilon      float64 // added to the root, above 0
	Distance     float64 // of the differences, in root mean squares of the weights; above 0
	Seed         uint64  // of the directions
}

// AdaHessianDefaults returns the authors' defaults: a learning rate of 0.15, betas
// 0.9 and 0.999, epsilon 1e-4.
func AdaHessianDefaults() AdaHessianConfig {
	return AdaHessianConfig{LR: 0.15, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-4, Distance: 1e-2}
}

// AdaHessian is AdaHessian (Yao et al., arXiv 2006.00719), with a Hessian power of
// 1. In the k-th step, with a direction z of random signs:
//
//	d = z * (H*z)                            Hutchinson's estimate of diag(H)
//	d = mean over the window of |d|          for weights of convolutions
//	m = Beta1*m + (1-Beta1)*gradient
//	v = Beta2*v + (1-Beta2)*d^2
//	w = w - LR * m/(1-Beta1^k) / (sqrt(v/(1-Beta2^k)) + Epsilon)
//
// In place of a second differentiation H*z is a central difference of gradients on
// the same batch, with the same dropout:
//
//	H*z = (gradient(w+h*z) - gradient(w-h*z)) / (2*h), h = Distance * rms(w)
//
// So a step costs three passes, where the authors' costs about as much as two or
// three.
type AdaHessian struct {
	rate
	config  AdaHessianConfig
	params  []*kron.Param
	buffers []*kron.Buffer
	steps   int64
	random  *rand.Rand

	m, v, z, d, saved [][]float32 // of each parameter
	savedBuffers      [][]float32
	window            []float32
}

// NewAdaHessian returns an AdaHessian optimizer for the model.
func NewAdaHessian(m *nn.Model, c AdaHessianConfig) (*AdaHessian, error) {
	if m == nil {
		return nil, errNoModel
	}
	a := &AdaHessian{rate: rate{"AdaHessian", c.LR}, config: c, params: m.Params(), buffers: m.Buffers(), random: rand.New(rand.NewPCG(c.Seed, 0))}
	err := a.in(
		limits{"Beta1", c.Beta1, 0, largestDecay},
		limits{"Beta2", c.Beta2, 0, largestDecay},
		limits{"Epsilon", c.Epsilon, tiny, 1e6},
		limits{"Distance", c.Distance, 1e-6, 1})
	if err != nil {
		return nil, err
	}
	for _, p := range a.params {
		for _, to := range []*[][]float32{&a.m, &a.v, &a.z, &a.d, &a.saved} {
			*to = append(*to, make([]float32, len(p.Value)))
		}
		if len(p.Shape) == 4 {
			a.window = make([]float32, max(len(a.window), p.Shape[2]*p.Shape[3]))
		}
	}
	for _, b := range a.buffers {
		a.savedBuffers = append(a.savedBuffers, make([]float32, len(b.Value)))
	}
	return a, nil
}

// Train does one step; see [Trainer].
func (a *AdaHessian) Train(s *nn.Session, x []float32, labels []int) (float32, error) {
	pass, loss, err := a.differentiate(s, x, labels)
	if err != nil {
		return loss, err
	}
	a.steps++
	c := a.config
	scalars := kernels.AdamParams{
		Beta1: 1, // the moment has its own gradient
		Beta2: float32(c.Beta2), Add2: float32(1 - c.Beta2),
		Step:     float32(a.lr / (1 - power(c.Beta1, a.steps))),
		Correct2: float32(1 / (1 - power(c.Beta2, a.steps))),
		Epsilon:  float32(c.Epsilon),
		Keep:     1,
	}
	for i, p := range a.params {
		if !p.Frozen {
			kernels.EMA(a.m[i], pass.Gradients[i].Data, float32(c.Beta1), float32(1-c.Beta1))
			kernels.AdamStep(p.Value, a.m[i], a.v[i], a.d[i], scalars)
		}
	}
	return loss, nil
}

// differentiate stores the estimate of the Hessian's diagonal in a.d, and returns
// the pass and the loss at the parameters as they are.
func (a *AdaHessian) differentiate(s *nn.Session, x []float32, labels []int) (*kron.Pass, float32, error) {
	squares, n := 0.0, 0
	for i, p := range a.params {
		a.drawSigns(a.z[i])
		if p.Frozen {
			clear(a.z[i])
			continue
		}
		copy(a.saved[i], p.Value)
		norm := float64(kernels.L2Norm(p.Value))
		squares += norm * norm
		n += len(p.Value)
	}
	for i, b := range a.buffers {
		copy(a.savedBuffers[i], b.Value)
	}
	h := a.config.Distance * math.Sqrt(squares/float64(max(n, 1)))
	if !(h > 0 && h < 1e6) {
		return nil, 0, fmt.Errorf("yardstick: AdaHessian: the weights have a root mean square of %v", h/a.config.Distance)
	}
	seed, forwards := s.Random()
	evaluate := func(distance float64) (*kron.Pass, float32, error) {
		for i, p := range a.params {
			switch {
			case p.Frozen:
			case distance == 0:
				copy(p.Value, a.saved[i])
			default:
				kernels.ScaleAdd(p.Value, a.z[i], a.saved[i], float32(distance), 1)
			}
		}
		for i, b := range a.buffers {
			copy(b.Value, a.savedBuffers[i])
		}
		s.SetRandom(seed, forwards) // the same dropout each time
		if _, err := s.Forward(x); err != nil {
			return nil, 0, err
		}
		loss, err := s.SoftmaxCrossEntropy(labels)
		if err != nil {
			return nil, 0, err
		}
		pass, err := s.Backward()
		if err != nil {
			return nil, loss, err
		}
		return pass, loss, checkPass(a.name, pass, a.params)
	}
	pass, _, err := evaluate(h)
	if err == nil {
		for i, g := range pass.Gradients {
			copy(a.d[i], g.Data)
		}
		pass, _, err = evaluate(-h)
	}
	if err == nil {
		for i, g := range pass.Gradients {
			kernels.Sub(a.d[i], a.d[i], g.Data)
			kernels.Mul(a.d[i], a.d[i], a.z[i])
			kernels.Scale(a.d[i], a.d[i], float32(1/(2*h)))
			a.average(i)
		}
	}
	again, loss, err2 := evaluate(0) // also after an error: it brings the parameters back
	if err == nil {
		err = err2
	}
	return again, loss, err
}

// drawSigns stores 1 or -1 in each element.
func (a *AdaHessian) drawSigns(z []float32) {
	var bits uint64
	for i := range z {
		if i%64 == 0 {
			bits = a.random.Uint64()
		}
		z[i] = 1 - 2*float32(bits&1)
		bits >>= 1
	}
}

// average replaces the magnitudes in the window of a convolution by their mean.
func (a *AdaHessian) average(i int) {
	shape := a.params[i].Shape
	if len(shape) != 4 {
		return
	}
	d, taps, n := a.d[i], shape[0]*shape[1], shape[2]*shape[3]
	for j, v := range d {
		d[j] = max(v, -v)
	}
	mean := a.window[:n]
	kernels.ColSums(mean, d)
	kernels.Scale(mean, mean, float32(1/float64(taps)))
	for t := range taps {
		copy(d[t*n:], mean)
	}
}
