package nn_test

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

func sequential(t testing.TB, layers ...nn.Layer) *nn.Model {
	t.Helper()
	m, err := nn.NewSequential(layers...)
	require.NoError(t, err)
	return m
}

// weights copies all parameters of m.
func weights(m *nn.Model) []float32 {
	var w []float32
	for _, p := range m.Params() {
		w = append(w, p.Value...)
	}
	return w
}

func bits(x []float32) []uint32 {
	b := make([]uint32, len(x))
	for i, v := range x {
		b[i] = math.Float32bits(v)
	}
	return b
}

func TestSequentialParameters(t *testing.T) {
	shared := nn.Linear(7, 7)
	m := sequential(t, nn.ReLU(), nn.Linear(5, 7), nn.Tanh(), shared, shared, nn.LinearNoBias(7, 3), nn.ReLU())
	require.Equal(t, 5, m.In())
	require.Equal(t, 3, m.Out())
	require.Equal(t, 5*7+7+2*(7*7+7)+7*3, m.NumParams())

	params := m.Params()
	var names []string
	var shapes [][]int
	for _, p := range params {
		names = append(names, p.Name)
		shapes = append(shapes, p.Shape)
		require.Zero(t, uintptr(unsafe.Pointer(&p.Value[0]))%64, p.Name)
		require.Equal(t, len(p.Value), cap(p.Value))
		require.False(t, p.Frozen)
	}
	require.Equal(t, []string{"1.weight", "1.bias", "3.weight", "3.bias", "4.weight", "4.bias", "5.weight"}, names)
	require.Equal(t, [][]int{{5, 7}, {7}, {7, 7}, {7}, {7, 7}, {7}, {7, 3}}, shapes)

	layers := m.Layers()
	require.Len(t, layers, 4)
	for i, want := range []struct {
		name   string
		weight int
		bias   int
	}{{"1", 0, 1}, {"3", 2, 3}, {"4", 4, 5}, {"5", 6, -1}} {
		require.Equal(t, want.name, layers[i].Name)
		require.Same(t, params[want.weight], layers[i].Weight)
		if want.bias < 0 {
			require.Nil(t, layers[i].Bias)
		} else {
			require.Same(t, params[want.bias], layers[i].Bias)
		}
	}

	params[0], layers[0] = nil, nil
	require.NotNil(t, m.Params()[0], "the caller's list is its own")
	require.NotNil(t, m.Layers()[0], "the caller's list is its own")
}

func TestSequentialErrors(t *testing.T) {
	for _, c := range []struct {
		layers []nn.Layer
		err    string
	}{
		{nil, "nn: a sequence needs at least one layer"},
		{[]nn.Layer{nn.ReLU(), nn.Tanh()}, "nn: no layer fixes the number of features: a sequence needs at least one Linear"},
		{[]nn.Layer{nn.Linear(2, 3), nil}, "nn: layer 1 is nil"},
		{[]nn.Layer{nn.Linear(0, 3)}, "nn: layer 0 (Linear): 0 features in, 3 out: want at least 1 of each"},
		{[]nn.Layer{nn.ReLU(), nn.LinearNoBias(3, -1)}, "nn: layer 1 (Linear): 3 features in, -1 out: want at least 1 of each"},
		{[]nn.Layer{nn.Linear(math.MinInt, 3)}, fmt.Sprintf("nn: layer 0 (Linear): %d features in, 3 out: want at least 1 of each", math.MinInt)},
		{[]nn.Layer{nn.Linear(64, 128), nn.ReLU(), nn.Linear(100, 10)}, "nn: layer 2 (Linear): takes 100 features, its input has shape [128]"},
		{[]nn.Layer{nn.Tanh(), nn.Linear(4, 3), nn.Linear(4, 3)}, "nn: layer 2 (Linear): takes 4 features, its input has shape [3]"},
		{[]nn.Layer{nn.Linear(maxFloats, maxFloats)}, fmt.Sprintf("nn: layer 0 (Linear): %d features in, %[1]d out: more than %[1]d weights", maxFloats)},
		{[]nn.Layer{nn.Linear(math.MaxInt, math.MaxInt)}, fmt.Sprintf("nn: layer 0 (Linear): %d features in, %[1]d out: more than %d weights", math.MaxInt, maxFloats)},
		{[]nn.Layer{nn.Linear(1<<15, maxFloats>>15), nn.Linear(maxFloats>>15, 1<<15)}, "nn: the parameters need more than " + limit + " numbers of memory"},
	} {
		m, err := nn.NewSequential(c.layers...)
		require.EqualError(t, err, c.err)
		require.Nil(t, m)
	}
}

func TestInit(t *testing.T) {
	m := sequential(t, nn.Linear(64, 50), nn.ReLU(), nn.LinearNoBias(50, 9))
	first := weights(m)
	m.Init(1)
	other := weights(m)
	require.NotEqual(t, first, other)
	m.Init(0)
	require.Equal(t, bits(first), bits(weights(m)), "a new model has the weights of seed 0")

	for _, p := range m.Params() {
		in := 64.0
		if p.Name == "2.weight" {
			in = 50
		}
		// Of n draws from U(-b, b): mean 0 +- b/sqrt(3n), mean square b^2/3 +-
		// b^2*sqrt(4/45/n), largest close to b. 4.5 standard deviations.
		n, b := float64(len(p.Value)), 1/math.Sqrt(in)
		sum, squares, largest := 0.0, 0.0, 0.0
		for _, v := range p.Value {
			sum += float64(v)
			squares += float64(v) * float64(v)
			largest = max(largest, math.Abs(float64(v)))
		}
		require.InDelta(t, 0, sum/n, 4.5*b/math.Sqrt(3*n), p.Name)
		require.InDelta(t, b*b/3, squares/n, 4.5*b*b*math.Sqrt(4.0/45/n), p.Name)
		require.LessOrEqual(t, largest, float64(float32(b)), p.Name)
		require.Greater(t, largest, b*(1-12/n), p.Name)
	}

	// Weights of neighbouring seeds are uncorrelated.
	dot, norm := 0.0, 0.0
	for i := range first[:64*50] {
		dot += float64(first[i]) * float64(other[i])
		norm += float64(first[i]) * float64(first[i])
	}
	require.InDelta(t, 0, dot/norm, 4.5/math.Sqrt(64*50))
}

func TestCheckInput(t *testing.T) {
	m := sequential(t, nn.Linear(3, 2))
	n, err := m.CheckInput(make([]float32, 12))
	require.NoError(t, err)
	require.Equal(t, 4, n)
	_, err = m.CheckInput(make([]float32, 4))
	require.EqualError(t, err, "nn: CheckInput: an input of 4 numbers is not rows of 3 features")
	_, err = m.CheckInput(nil)
	require.EqualError(t, err, "nn: CheckInput: the input is empty: want rows of 3 features")
	m, err = nn.New(nn.Shape{2}, nn.Embedding(5, 2))
	require.NoError(t, err)
	_, err = m.CheckInput([]float32{4, 4.5})
	require.EqualError(t, err, "nn: CheckInput: token 1 is 4.5: want a whole number from 0 to 4")
}
