package kron_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// linearPass is the pass of a linear layer whose loss is the mean over rows of
// dy*y: its output gradients are dy/rows.
func linearPass(t *testing.T, l *kron.Layer, x, dy []float32) *kron.Pass {
	in, out := l.Weight.Shape[0], l.Weight.Shape[1]
	rows := len(x) / in
	d := make([]float32, len(dy))
	kernels.Scale(d, dy, 1/float32(rows))
	g := make([]float32, in*out)
	kernels.OuterProducts(kernels.NewMatrix(in, out, g), kernels.NewMatrix(rows, in, x), kernels.NewMatrix(rows, out, d), 1)
	st := kron.Statistics{Layer: l, H: make([]float32, l.Inputs()), S: make([]float32, l.Outputs())}
	require.NoError(t, kron.LinearInputFactor(st.H, x, rows))
	require.NoError(t, kron.LinearOutputFactor(st.S, d, rows))
	return &kron.Pass{Gradients: []kron.Gradient{{Param: l.Weight, Data: g}}, Statistics: []kron.Statistics{st}}
}

// TestCollectiveEqualsWholeBatch reduces two half batches and compares with one
// pass over the whole: the contract of Reduce.
func TestCollectiveEqualsWholeBatch(t *testing.T) {
	const rows, in, out = 12, 5, 3
	rng := rand.New(rand.NewPCG(6, 6))
	l := newLayer(in, out, true)
	x, dy := randoms(rng, rows*in), randoms(rng, rows*out)
	whole := linearPass(t, l, x, dy)
	a := linearPass(t, l, x[:len(x)/2], dy[:len(dy)/2])
	b := linearPass(t, l, x[len(x)/2:], dy[len(dy)/2:])

	all := newReplicas(2)
	var running sync.WaitGroup
	for rank, p := range []*kron.Pass{a, b} {
		running.Go(func() { _ = replica{all, rank}.Reduce(p) })
	}
	running.Wait()
	require.Equal(t, a, b)
	require.InDeltaSlice(t, whole.Gradients[0].Data, a.Gradients[0].Data, 1e-6)
	require.InDeltaSlice(t, whole.Statistics[0].H, a.Statistics[0].H, 1e-6)
	require.InDeltaSlice(t, whole.Statistics[0].S, a.Statistics[0].S, 1e-7)
}
