package kron

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/adafisher-go/adafisher/kernels"
)

// A Param is one named tensor of a model. Optimizers key their state by the
// pointer, never by name, position or shape; a saved state has the names, which
// must be unique in a model for that.
type Param struct {
	Name   string    // as PyTorch names it: "0.weight"
	Shape  []int     // of Value, row-major; a Linear weight is [in, out]
	Value  []float32 // the weights themselves
	Frozen bool      // optimizers leave it alone, and a pass may do without its gradient
}

// A Buffer is one named tensor of a model that training changes but no optimizer
// sees: a running mean of batch normalisation.
type Buffer struct {
	Name  string // as PyTorch names it: "1.running_mean"
	Value []float32
}

// A Layer is a layer with Kronecker-factored curvature. Its weight is a matrix
// [in, out]: a shape's last dimension is out, the product of the others in. The
// curvature of the weight's entry (i, j) is H[i]*S[j], of the bias' entry j
// H[in]*S[j].
//
// A normalisation has in = 1, its scale as weight and its shift as bias, both one
// number a feature.
type Layer struct {
	Name   string
	Weight *Param // [in, out], [kh, kw, in/groups, out], or [out]
	Bias   *Param // [out]; nil without bias

	// Extension marks a kind of layer that the authors' code gives no factors:
	// an embedding.
	Extension bool
}

// Inputs is the length of H: the weight's inputs, and one for the bias.
func (l *Layer) Inputs() int {
	n := 1
	for _, d := range l.Weight.Shape[:len(l.Weight.Shape)-1] {
		n *= d
	}
	if l.Bias != nil {
		n++
	}
	return n
}

// Outputs is the length of S.
func (l *Layer) Outputs() int { return l.Weight.Shape[len(l.Weight.Shape)-1] }

// Check returns an error unless the layer's shapes belong together.
func (l *Layer) Check() error {
	if l == nil || l.Weight == nil {
		return errors.New("kron: layer without a weight")
	}
	w := l.Weight
	if len(w.Shape) == 0 || slices.Min(w.Shape) < 1 {
		return fmt.Errorf("kron: layer %s: shape of the weight is %v: want [in, out], or more dimensions of inputs", l.Name, w.Shape)
	}
	size, fits := 1, true
	for _, n := range w.Shape {
		fits = fits && size <= math.MaxInt/n
		size *= n
	}
	if !fits || len(w.Value) != size {
		return fmt.Errorf("kron: layer %s: the weight has %d entries: want as many as its shape %v", l.Name, len(w.Value), w.Shape)
	}
	if l.Bias != nil && len(l.Bias.Value) != l.Outputs() {
		return fmt.Errorf("kron: layer %s: the bias has %d entries: want %d, as the weight's shape %v", l.Name, len(l.Bias.Value), l.Outputs(), w.Shape)
	}
	return nil
}

// checkEntries returns an error unless x has n entries, all of them from least to most.
func (l *Layer) checkEntries(kind, name string, x []float32, n int, least, most float32) error {
	if len(x) != n {
		return fmt.Errorf("kron: layer %s: %s %s has %d entries: want %d", l.Name, kind, name, len(x), n)
	}
	if lo, _ := kernels.MinMax(x); lo >= least && kernels.AllFinite(x) {
		return nil
	}
	i := slices.IndexFunc(x, func(v float32) bool { return !(v >= least && v <= most) })
	if i < 0 {
		return nil
	}
	want := "finite numbers"
	if least == 0 {
		want += ", 0 or more"
	}
	return fmt.Errorf("kron: layer %s: %s %s: entry %d is %v: want %s", l.Name, kind, name, i, x[i], want)
}

// Gradient is the gradient of the loss with respect to one parameter.
type Gradient struct {
	Param *Param
	Data  []float32 // as long as Param.Value
}

// Collect says which statistics a pass has.
type Collect int

const (
	CollectNone    Collect = iota // no statistics
	CollectFactors                // the raw factors of AdaFisher, for [Factors]
	CollectMoments                // mean squares, and the means of inputs, for [Moments]
)

// Statistics are those of one batch at one layer: raw factors or moments.
type Statistics struct {
	Layer *Layer
	H     []float32 // one entry an input, and one for the bias
	S     []float32 // one entry an output

	// Mean is the mean of each of the weight's inputs, without an entry for the
	// bias. Only moments have it, and only those of linear layers and convolutions.
	Mean []float32
}

// A Pass is what one forward and backward pass leaves for an optimizer. The
// slices belong to the session that made it, until its next pass.
type Pass struct {
	Gradients  []Gradient   // one for each parameter that the pass reached
	Statistics []Statistics // one for each factored layer that it reached, all of one kind; empty unless collected
}
