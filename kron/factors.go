package kron

import (
	"errors"
	"fmt"
	"math"

	"github.com/adafisher-go/adafisher/kernels"
)

// Factors are the running averages of the Kronecker factors of one layer.
//
// A change has two halves, so that many layers can be changed all or none: Stage
// and StageAverages prepare the next averages beside the current ones and may
// fail; Commit makes them current and cannot. None of them allocates.
type Factors struct {
	layer   *Layer
	variant Variant
	gamma   float64
	current factorPair
	next    factorPair
	staged  bool
}

// A factorPair is H and S: the running averages and what F is formed of. In the
// variants that normalise first these are the same slices.
type factorPair struct{ h, s, usedH, usedS []float32 }

func newFactorPair(l *Layer, v Variant) factorPair {
	p := factorPair{h: make([]float32, l.Inputs()), s: make([]float32, l.Outputs())}
	p.usedH, p.usedS = p.h, p.s
	if v == Paper {
		p.usedH, p.usedS = make([]float32, len(p.h)), make([]float32, len(p.s))
	}
	return p
}

// settle brings the factors used in F up to date with the averages.
func (p factorPair) settle(v Variant) {
	if v == Paper {
		kernels.MinMaxNormalize(p.usedH, p.h)
		kernels.MinMaxNormalize(p.usedS, p.s)
	}
}

// NewFactors returns factors whose averages are ones. It fails on a layer whose
// shapes don't belong together, an unknown variant, or gamma outside [0,1).
func NewFactors(l *Layer, v Variant, gamma float64) (*Factors, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	if err := v.Check(); err != nil {
		return nil, err
	}
	if err := checkGamma(gamma); err != nil {
		return nil, err
	}
	f := &Factors{layer: l, variant: v, gamma: gamma, current: newFactorPair(l, v), next: newFactorPair(l, v)}
	for _, avg := range [][]float32{f.current.h, f.current.s} {
		for i := range avg {
			avg[i] = 1
		}
	}
	f.current.settle(v)
	return f, nil
}

// made returns an error if f is nil or zero.
func (f *Factors) made() error {
	if f == nil || f.layer == nil {
		return errors.New("kron: the factors are nil or zero: want those of NewFactors")
	}
	return nil
}

// Layer returns the layer that the factors belong to.
func (f *Factors) Layer() *Layer { return f.layer }

// Stage computes the averages that follow from the raw factors of one batch.
// The current ones stay until [Factors.Commit].
//
// It fails if st is of another layer, a length is wrong, or an entry is negative or
// NaN, which no mean of squares is. An infinity (a square beyond float32) is an
// error in Paper alone: the variants that normalise first replace it by 1, as the
// authors' code does.
func (f *Factors) Stage(st Statistics) error {
	if err := f.made(); err != nil {
		return err
	}
	f.staged = false
	if st.Layer != f.layer {
		return fmt.Errorf("kron: statistics of another layer than %s", f.layer.Name)
	}
	for _, e := range [...]struct {
		name               string
		raw, current, next []float32
	}{
		{"H", st.H, f.current.h, f.next.h},
		{"S", st.S, f.current.s, f.next.s},
	} {
		if err := f.layer.checkEntries("raw factor", e.name, e.raw, len(e.next), 0, f.variant.largest()); err != nil {
			return err
		}
		copy(e.next, e.current)
		f.variant.average(e.next, e.raw, f.gamma)
	}
	f.next.settle(f.variant)
	f.staged = true
	return nil
}

// Commit makes the averages of the last Stage or StageAverages current; if that
// failed, or was committed before, it does nothing.
func (f *Factors) Commit() {
	if f.staged {
		f.current, f.next, f.staged = f.next, f.current, false
	}
}

// Used returns the factors that form F: H, one entry an input and one for the
// bias, and S, one an output. They are read-only and good until the next Commit.
func (f *Factors) Used() (h, s []float32) { return f.current.usedH, f.current.usedS }

// Averages returns the running averages, the state that a resumed run needs.
// They are read-only and good until the next Commit.
func (f *Factors) Averages() (h, s []float32) { return f.current.h, f.current.s }

// StageAverages prepares copies of h and s, from [Factors.Averages] of an equal
// layer, as the next averages: Commit then resumes from them. It fails unless
// they have this layer's lengths and are finite and not negative.
func (f *Factors) StageAverages(h, s []float32) error {
	if err := f.made(); err != nil {
		return err
	}
	f.staged = false
	for _, e := range [...]struct {
		name      string
		avg, next []float32
	}{{"H", h, f.next.h}, {"S", s, f.next.s}} {
		if err := f.layer.checkEntries("average of factor", e.name, e.avg, len(e.next), 0, math.MaxFloat32); err != nil {
			return err
		}
		copy(e.next, e.avg)
	}
	f.next.settle(f.variant)
	f.staged = true
	return nil
}

// Curvature stores F of the whole layer in dst, the weight's [in, out] and then
// the bias' row: the divisor of the momentum in an AdaFisher step.
//
//	dst[j*out+i] = fma(H[j], S[i], lambda)
//
// It fails if dst is not Inputs*Outputs long.
func (f *Factors) Curvature(dst []float32, lambda float32) error {
	if err := f.made(); err != nil {
		return err
	}
	if h, s := f.Used(); len(dst) != len(h)*len(s) {
		return fmt.Errorf("kron: layer %s: Curvature: length of dst is %d: want %d", f.layer.Name, len(dst), len(h)*len(s))
	}
	f.curvature(dst, lambda)
	return nil
}

func (f *Factors) curvature(dst []float32, lambda float32) {
	for i := range dst {
		dst[i] = lambda
	}
	h, s := f.Used()
	kernels.Ger(dst, h, s, 1)
}
