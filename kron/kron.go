package kron

// A Param is one named tensor of a model. Optimizers key their state by the
// pointer, never by name, position or shape.
type Param struct {
	Name   string    // as PyTorch names it: "0.weight"
	Shape  []int     // of Value, row-major; a Linear weight is [in, out]
	Value  []float32 // the weights themselves
	Frozen bool      // optimizers leave it alone
}

// A Layer is a layer with Kronecker-factored curvature: the curvature of the
// weight's entry (i, j) is H[i]*S[j], of the bias' entry j H[in]*S[j].
type Layer struct {
	Name   string
	Weight *Param // [in, out]
	Bias   *Param // [out]; nil without bias
}

// Inputs is the length of H: the input features, and one for the bias.
func (l *Layer) Inputs() int {
	if l.Bias != nil {
		return l.Weight.Shape[0] + 1
	}
	return l.Weight.Shape[0]
}

// Outputs is the length of S.
func (l *Layer) Outputs() int { return l.Weight.Shape[1] }

// Gradient is the gradient of the loss with respect to one parameter.
type Gradient struct {
	Param *Param
	Data  []float32 // as long as Param.Value
}

// Statistics are the raw factors of one batch at one layer.
type Statistics struct {
	Layer *Layer
	H     []float32 // mean square of each input, and 1 for the bias
	S     []float32 // mean square of each output's gradient
}

// A Pass is what one forward and backward pass leaves for an optimizer. The
// slices belong to the session that made it, until its next pass.
type Pass struct {
	Gradients  []Gradient   // one for each parameter that the pass reached
	Statistics []Statistics // one for each factored layer; empty unless collected
}
