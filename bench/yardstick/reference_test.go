package yardstick

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"

	"github.com/adafisher-go/adafisher/nn"
)

// reference is Linear, Tanh, Linear and the softmax cross entropy in float64.
type reference struct {
	w [2]*mat.Dense // [in+1, out]: the bias is the last row
}

func newReference(m *nn.Model) *reference {
	r := &reference{}
	for l := range r.w {
		w, b := m.Params()[2*l], m.Params()[2*l+1]
		d := mat.NewDense(w.Shape[0]+1, w.Shape[1], nil)
		for i, v := range w.Value {
			d.Set(i/w.Shape[1], i%w.Shape[1], float64(v))
		}
		for j, v := range b.Value {
			d.Set(w.Shape[0], j, float64(v))
		}
		r.w[l] = d
	}
	return r
}

// values returns the parameters in the model's order.
func (r *reference) values() []float64 {
	var all []float64
	for _, w := range r.w {
		all = append(all, w.RawMatrix().Data...)
	}
	return all
}

func modelValues(m *nn.Model) []float64 {
	var all []float64
	for _, p := range m.Params() {
		for _, v := range p.Value {
			all = append(all, float64(v))
		}
	}
	return all
}

// trace is what one pass computes.
type trace struct {
	inputs  [2]*mat.Dense // of each layer, with ones: [rows, in+1]
	scores  *mat.Dense
	outputs [2]*mat.Dense // derivatives of the mean loss at each layer's outputs
	grads   [2]*mat.Dense
	loss    float64
}

func (r *reference) forward(x *mat.Dense) *trace {
	t := &trace{}
	t.inputs[0] = withOnes(x)
	var hidden, scores mat.Dense
	hidden.Mul(t.inputs[0], r.w[0])
	hidden.Apply(func(_, _ int, v float64) float64 { return math.Tanh(v) }, &hidden)
	t.inputs[1] = withOnes(&hidden)
	scores.Mul(t.inputs[1], r.w[1])
	t.scores = &scores
	return t
}

func withOnes(x *mat.Dense) *mat.Dense {
	rows, cols := x.Dims()
	y := mat.NewDense(rows, cols+1, nil)
	y.Slice(0, rows, 0, cols).(*mat.Dense).Copy(x)
	for i := range rows {
		y.Set(i, cols, 1)
	}
	return y
}

func softmax(scores *mat.Dense, row int) []float64 {
	p := mat.Row(nil, row, scores)
	sum := 0.0
	for j := range p {
		p[j] = math.Exp(p[j])
		sum += p[j]
	}
	for j := range p {
		p[j] /= sum
	}
	return p
}

func (r *reference) backward(t *trace, labels []int) {
	rows, classes := t.scores.Dims()
	t.loss = 0
	t.outputs[1] = mat.NewDense(rows, classes, nil)
	for i, label := range labels {
		p := softmax(t.scores, i)
		t.loss -= math.Log(p[label]) / float64(rows)
		p[label]--
		for j, v := range p {
			t.outputs[1].Set(i, j, v/float64(rows))
		}
	}
	hidden, _ := r.w[1].Dims()
	var d mat.Dense
	d.Mul(t.outputs[1], r.w[1].Slice(0, hidden-1, 0, classes).T())
	d.Apply(func(i, j int, v float64) float64 { h := t.inputs[1].At(i, j); return v * (1 - h*h) }, &d)
	t.outputs[0] = &d
	for l := range t.grads {
		t.grads[l] = &mat.Dense{}
		t.grads[l].Mul(t.inputs[l].T(), t.outputs[l])
	}
}

func (r *reference) gradient(x *mat.Dense, labels []int) ([]float64, float64) {
	t := r.forward(x)
	r.backward(t, labels)
	return append(append([]float64(nil), t.grads[0].RawMatrix().Data...), t.grads[1].RawMatrix().Data...), t.loss
}

// with returns the reference with other values, in its order.
func (r *reference) with(values []float64) *reference {
	other := &reference{}
	for l, w := range r.w {
		rows, cols := w.Dims()
		other.w[l] = mat.NewDense(rows, cols, append([]float64(nil), values[:rows*cols]...))
		values = values[rows*cols:]
	}
	return other
}

const (
	features = 3
	classes  = 4
	rows     = 12
)

// fixture is a model, its reference, and batches.
func fixture(t *testing.T) (*nn.Model, *nn.Session, *reference, func() ([]float32, *mat.Dense, []int)) {
	m, err := nn.NewSequential(nn.Linear(features, 5), nn.Tanh(), nn.Linear(5, classes))
	require.NoError(t, err)
	m.Init(3)
	s, err := m.NewSession(rows)
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	return m, s, newReference(m), func() ([]float32, *mat.Dense, []int) {
		x, wide, labels := make([]float32, rows*features), mat.NewDense(rows, features, nil), make([]int, rows)
		for i := range x {
			x[i] = float32(random.NormFloat64())
			wide.Set(i/features, i%features, float64(x[i]))
		}
		for i := range labels {
			labels[i] = random.IntN(classes)
		}
		return x, wide, labels
	}
}

func requireClose(t *testing.T, want, got []float64, tolerance float64, name string) {
	t.Helper()
	require.Len(t, got, len(want))
	norm := 0.0
	for _, v := range want {
		norm = max(norm, math.Abs(v))
	}
	for i := range want {
		require.InDelta(t, want[i], got[i], tolerance*norm, "%s: element %d", name, i)
	}
}
