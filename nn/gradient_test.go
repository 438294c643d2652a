package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// Both tolerances are relative to the largest entry of an array. Where a sum
// cancels, its error is still of the size of its terms; so the entry counts as
// at least the floor, which is below the usual size of such terms here.
const (
	differenceTolerance = 1e-8 // central difference with h = 1e-5 against the float64 gradient
	float32Tolerance    = 2e-6 // float32 against float64, 17 units of 2^-23

	gradientFloor = 0.1
	factorFloor   = 0.01
)

func requireNear[T float32 | float64](t *testing.T, want []float64, got []T, tolerance, floor float64, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	scale := floor
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= tolerance*scale) {
			require.Failf(t, "not near", "%s[%d]: got %v, want %v within %v", what, i, got[i], w, tolerance*scale)
		}
	}
}

func uniform(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 2*r.Float32() - 1
	}
	return x
}

func layersOf(sizes []int, kinds []string) []nn.Layer {
	var layers []nn.Layer
	for _, kind := range kinds {
		switch kind {
		case "linear":
			layers = append(layers, nn.Linear(sizes[0], sizes[1]))
			sizes = sizes[1:]
		case "nobias":
			layers = append(layers, nn.LinearNoBias(sizes[0], sizes[1]))
			sizes = sizes[1:]
		case "relu":
			layers = append(layers, nn.ReLU())
		case "tanh":
			layers = append(layers, nn.Tanh())
		}
	}
	return layers
}

// checkGradients compares one pass of a session, which has room for more rows,
// with the reference, and the reference with central differences.
func checkGradients(t *testing.T, r *rand.Rand, sizes []int, kinds []string, rows int, crossEntropy bool) {
	t.Helper()
	m, err := nn.NewSequential(layersOf(sizes, kinds)...)
	require.NoError(t, err)
	m.Init(r.Uint64())
	s, err := m.NewSession(rows + r.IntN(3))
	require.NoError(t, err)
	s.CollectStatistics(true)
	s.CollectInputGradient(true)

	x := uniform(r, rows*m.In())
	_, err = s.Forward(x)
	require.NoError(t, err)
	var loss float32
	var refLoss refLoss
	if crossEntropy {
		labels := make([]int, rows)
		for i := range labels {
			labels[i] = r.IntN(m.Out())
		}
		loss, err = s.SoftmaxCrossEntropy(labels)
		refLoss = refCrossEntropy(labels, m.Out())
	} else {
		target := uniform(r, rows*m.Out())
		loss, err = s.MSE(target)
		refLoss = refMSE(target)
	}
	require.NoError(t, err)
	pass, err := s.Backward()
	require.NoError(t, err)

	ref := newRef(m, kinds...)
	x64 := widen(x)
	want := ref.backward(x64, rows, refLoss)

	for p, v := range append(ref.params(), x64) {
		analytic := append(want.params, want.input)[p]
		numeric := make([]float64, len(v))
		for i := range v {
			numeric[i] = ref.difference(&v[i], x64, rows, refLoss)
		}
		requireNear(t, numeric, analytic, differenceTolerance, gradientFloor, fmt.Sprintf("float64 gradient %d", p))
	}

	require.InDelta(t, want.loss, loss, float32Tolerance*max(want.loss, 1))
	require.Len(t, pass.Gradients, len(want.params))
	for i, g := range pass.Gradients {
		require.Same(t, m.Params()[i], g.Param)
		requireNear(t, want.params[i], g.Data, float32Tolerance, gradientFloor, "gradient of "+g.Param.Name)
	}
	dx, err := s.InputGradient()
	require.NoError(t, err)
	requireNear(t, want.input, dx, float32Tolerance, gradientFloor, "gradient at the input")
	require.Len(t, pass.Statistics, len(want.h))
	for i, st := range pass.Statistics {
		require.Same(t, m.Layers()[i], st.Layer)
		requireNear(t, want.h[i], st.H, float32Tolerance, factorFloor, "H of "+st.Layer.Name)
		requireNear(t, want.s[i], st.S, float32Tolerance, factorFloor, "S of "+st.Layer.Name)
	}
}

func TestGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for in := 1; in <= 5; in++ {
		for hidden := 1; hidden <= 5; hidden++ {
			for out := 1; out <= 5; out++ {
				for rows := 1; rows <= 4; rows++ {
					for _, linear := range []string{"linear", "nobias"} {
						for _, act := range []string{"relu", "tanh"} {
							for _, crossEntropy := range []bool{true, false} {
								kinds := []string{linear, act, linear}
								checkGradients(t, r, []int{in, hidden, out}, kinds, rows, crossEntropy)
							}
						}
					}
				}
			}
		}
	}
}

// Depth, order and position of the layers, and large sizes.
func TestGradientsOfSequences(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	for _, c := range []struct {
		rows  int
		sizes []int
		kinds []string
	}{
		{3, []int{3, 4}, []string{"linear"}},
		{3, []int{4, 2}, []string{"nobias"}},
		{3, []int{3, 4}, []string{"linear", "tanh"}},
		{3, []int{3, 4}, []string{"tanh", "linear"}},
		{3, []int{3, 4}, []string{"relu", "tanh", "nobias", "relu"}},
		{3, []int{2, 5, 3}, []string{"linear", "nobias"}},
		{3, []int{5, 4, 1, 3}, []string{"linear", "tanh", "tanh", "nobias", "linear"}},
		{3, []int{4, 5, 5, 2, 3}, []string{"linear", "relu", "linear", "tanh", "nobias", "relu", "linear"}},
		{3, []int{3, 40, 17, 4}, []string{"linear", "tanh", "nobias", "tanh", "linear"}},
		{260, []int{2, 2}, []string{"tanh", "linear"}}, // sums over more rows than a block
		{2, []int{300, 2}, []string{"linear"}},
	} {
		for _, crossEntropy := range []bool{true, false} {
			t.Run(fmt.Sprint(c.rows, c.sizes, c.kinds, crossEntropy), func(t *testing.T) {
				checkGradients(t, r, c.sizes, c.kinds, c.rows, crossEntropy)
			})
		}
	}
}
