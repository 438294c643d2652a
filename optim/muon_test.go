package optim_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/optim"
)

// TestMuonIsOrthogonal: the singular values of an update are near 1, but for the
// documented factor, and it goes down.
func TestMuonIsOrthogonal(t *testing.T) {
	rng := rand.New(rand.NewPCG(81, 1))
	for _, shape := range [][]int{{24, 24}, {16, 48}, {48, 16}, {3, 4, 4, 20}} {
		w := newParam(rng, "w", shape...)
		before := widen(w.Value)
		n := &network{params: []*kron.Param{w}}
		c := optim.MuonDefaults()
		c.LR, c.WeightDecay = 1, 0
		opt, err := optim.NewMuon(n, c)
		require.NoError(t, err)
		pass := n.pass(rng)
		require.NoError(t, opt.Step(pass))

		cols := shape[len(shape)-1]
		rows := len(w.Value) / cols
		scale := 0.2 * math.Sqrt(float64(max(rows, cols)))
		update := make([]float64, len(before))
		for i := range update {
			update[i] = (before[i] - float64(w.Value[i])) / scale
		}
		if rows < cols {
			update, rows, cols = transposed(update, cols), cols, rows
		}
		gram := matmul(transposed(update, cols), update, rows) // cols x cols
		// The largest eigenvalue by power iteration; the smallest is 2 minus the
		// largest one of 2 - gram.
		eigenvalue := func(m []float64) float64 {
			x := make([]float64, cols)
			for i := range x {
				x[i] = rng.NormFloat64()
			}
			for range 3000 {
				x = matmul(m, x, cols)
				norm := math.Sqrt(matmul(x, x, cols)[0])
				for i := range x {
					x[i] /= norm
				}
			}
			return matmul(x, matmul(m, x, cols), cols)[0]
		}
		largest := eigenvalue(gram)
		left := make([]float64, len(gram))
		for i := range gram {
			left[i] = -gram[i]
			if i/cols == i%cols {
				left[i] += 2
			}
		}
		smallest := 2 - eigenvalue(left)
		require.Less(t, math.Sqrt(largest), 1.25, "%v", shape)
		require.Greater(t, math.Sqrt(smallest), 0.5, "%v", shape)

		down := 0.0
		for i, g := range pass.Gradients[0].Data {
			down += float64(g) * (before[i] - float64(w.Value[i]))
		}
		require.Positive(t, down)
	}
}

// TestMuonTakesMatrices: a weight of more dimensions moves as the matrix [in, out].
func TestMuonTakesMatrices(t *testing.T) {
	rng := rand.New(rand.NewPCG(82, 1))
	flat := &network{params: []*kron.Param{newParam(rng, "w", 18, 5)}}
	conv := flat.clone()
	conv.params[0].Shape = []int{3, 3, 2, 5}
	for _, n := range []*network{flat, conv} {
		opt, err := optim.NewMuon(n, optim.MuonDefaults())
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(83, 1))
		for range 4 {
			require.NoError(t, opt.Step(n.pass(rng)))
		}
	}
	require.Equal(t, flat.values(), conv.values())
}

// TestMuonWithoutGradient: a gradient of zero, or one too small to be scaled, leaves
// the weight decay alone.
func TestMuonWithoutGradient(t *testing.T) {
	for _, size := range []float32{0, 0x1p-140, 0x1p-110} {
		rng := rand.New(rand.NewPCG(84, 1))
		n := &network{params: []*kron.Param{newParam(rng, "w", 6, 5)}}
		before := n.values()
		c := optim.MuonDefaults()
		c.LR = 0.1
		opt, err := optim.NewMuon(n, c)
		require.NoError(t, err)
		pass := n.pass(rng)
		for i := range pass.Gradients[0].Data {
			pass.Gradients[0].Data[i] = size
		}
		require.NoError(t, opt.Step(pass))
		for i, w := range before[0] {
			require.Equal(t, float32(w*float32(1-0.1*0.1)), n.params[0].Value[i])
		}
	}
}

// TestMuonOfTinyGradients: the size of a gradient doesn't matter.
func TestMuonOfTinyGradients(t *testing.T) {
	var first [][]float32
	for _, size := range []float32{1, 0x1p-60, 0x1p-90, 0x1p40} {
		rng := rand.New(rand.NewPCG(85, 1))
		n := &network{params: []*kron.Param{newParam(rng, "w", 6, 5)}}
		opt, err := optim.NewMuon(n, optim.MuonDefaults())
		require.NoError(t, err)
		for range 3 {
			pass := n.pass(rng)
			for i := range pass.Gradients[0].Data {
				pass.Gradients[0].Data[i] *= size
			}
			require.NoError(t, opt.Step(pass))
		}
		if first == nil {
			first = n.values()
		}
		require.InDeltaSlice(t, first[0], n.params[0].Value, 1e-6)
	}
}

func TestNotHidden(t *testing.T) {
	n := newNetwork(rand.New(rand.NewPCG(34, 1)), 5, 7)
	output := n.layers[1].Weight
	require.Equal(t, []*kron.Param{output}, optim.NotHidden(n))
	n.layers[0].Extension = true // an embedding
	require.Equal(t, []*kron.Param{n.layers[0].Weight, output}, optim.NotHidden(n))
	n.layers[0].Extension = false
	positions := newParam(rand.New(rand.NewPCG(34, 2)), "positions", 2, 3)
	n.params = append(n.params, positions)
	require.Equal(t, []*kron.Param{output, positions}, optim.NotHidden(n))
	require.Empty(t, optim.NotHidden(nil))
	require.Empty(t, optim.NotHidden((*network)(nil)))
}
