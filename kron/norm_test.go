package kron_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// requireFactor compares a factor with its definition in float64, relative to the
// largest entry. floor is the size of the terms where the sums behind it cancel.
func requireFactor(t *testing.T, want []float64, got []float32, floor float64, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for _, w := range want {
		floor = max(floor, w)
	}
	for i, w := range want {
		require.InDelta(t, w, got[i], 5e-6*floor, "%s[%d]", what, i)
	}
}

// colSums returns the sums of columns.
func colSums(x []float32, cols int) []float32 {
	sums := make([]float32, cols)
	kernels.ColSums(sums, x)
	return sums
}

func TestBatchNormFactors(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 1))
	for samples := 1; samples <= 4; samples++ {
		for positions := 1; positions <= 6; positions++ {
			for channels := 1; channels <= 5; channels++ {
				x, dy := randoms(rng, samples*positions*channels), randoms(rng, samples*positions*channels)
				n, p := float64(samples), float64(positions)
				sums, wantS := make([]float64, channels), make([]float64, channels)
				for i, v := range x {
					sums[i%channels] += float64(v)
					wantS[i%channels] += float64(dy[i])
				}
				wantH := []float64{0, float64(channels) / (n * n)}
				for c, sum := range sums {
					a := sum / (p * p)
					wantH[0] += a * a / (n * n)
					wantS[c] = wantS[c] * wantS[c] / n
				}
				h, s := make([]float32, 2), make([]float32, channels)
				require.NoError(t, kron.BatchNormFactors(h, s, x, colSums(dy, channels), samples))
				what := fmt.Sprint([]int{samples, positions, channels})
				requireFactor(t, wantH, h, 0, "H of "+what)
				requireFactor(t, wantS, s, 0.1, "S of "+what)
			}
		}
	}
}

// Samples of one to three dimensions: all but the batch and the first are summed.
func TestLayerNormFactors(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 1))
	check := func(samples int, shape ...int) {
		size := 1
		for _, d := range shape {
			size *= d
		}
		kept, features := shape[0], shape[len(shape)-1]
		rest := size / kept
		x, dy := randoms(rng, samples*size), randoms(rng, samples*size)
		n := float64(samples)
		sums, wantS := make([]float64, kept), make([]float64, features)
		for i, v := range x {
			sums[i%size/rest] += float64(v)
			wantS[i%features] += float64(dy[i])
		}
		wantH := []float64{0, float64(kept) / (n * n)}
		for _, sum := range sums {
			a := sum / (float64(rest) * float64(rest))
			wantH[0] += a * a / (n * n)
		}
		for d, sum := range wantS {
			wantS[d] = sum * sum / n
		}
		h, s := make([]float32, 2), make([]float32, features)
		require.NoError(t, kron.LayerNormFactors(h, s, x, colSums(dy, features), samples, kept))
		what := fmt.Sprint(samples, shape)
		requireFactor(t, wantH, h, 0, "H of "+what)
		requireFactor(t, wantS, s, 0.1, "S of "+what)
	}
	for samples := 1; samples <= 4; samples++ {
		for a := 1; a <= 5; a++ {
			check(samples, a)
			for b := 1; b <= 5; b++ {
				check(samples, a, b)
				for c := 1; c <= 5; c++ {
					check(samples, a, b, c)
				}
			}
		}
	}
	check(300, 7)
	check(300, 2, 70)
}

func TestEmbeddingFactors(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 1))
	for rows := 1; rows <= 9; rows++ {
		for vocabulary := 1; vocabulary <= 5; vocabulary++ {
			for features := 1; features <= 5; features++ {
				tokens, dy := make([]float32, rows), randoms(rng, rows*features)
				wantH, wantS := make([]float64, vocabulary), make([]float64, features)
				for r := range tokens {
					v := rng.IntN(vocabulary)
					tokens[r] = float32(v)
					wantH[v] += 1 / float64(rows)
				}
				for i, v := range dy {
					wantS[i%features] += float64(v) * float64(v) / float64(rows)
				}
				h, s := randoms(rng, vocabulary), randoms(rng, features)
				require.NoError(t, kron.EmbeddingFactors(h, s, tokens, dy))
				requireFactor(t, wantH, h, 0, "H")
				requireFactor(t, wantS, s, 0, "S")
			}
		}
	}
}

func TestNormFactorsRefuse(t *testing.T) {
	n := func(n int) []float32 { return make([]float32, n) }
	for _, c := range []struct {
		h, s, x, dbeta, samples int
		err                     string
	}{
		{1, 3, 12, 3, 2, "length of h is 1: want 2"},
		{3, 3, 12, 3, 2, "length of h is 3: want 2"},
		{2, 3, 12, 3, 0, "12 inputs are not 0 samples, at least 1, of positions with 3 features"},
		{2, 3, 12, 3, -2, "12 inputs are not -2 samples, at least 1, of positions with 3 features"},
		{2, 0, 12, 0, 2, "12 inputs are not 2 samples, at least 1, of positions with 0 features"},
		{2, 3, 0, 3, 2, "0 inputs are not 2 samples, at least 1, of positions with 3 features"},
		{2, 3, 13, 3, 2, "13 inputs are not 2 samples, at least 1, of positions with 3 features"},
		{2, 4, 12, 4, 2, "12 inputs are not 2 samples, at least 1, of positions with 4 features"},
		{2, 3, 12, 4, 2, "length of dbeta is 4: want 3"},
	} {
		h, s := n(c.h), n(c.s)
		require.EqualError(t, kron.BatchNormFactors(h, s, n(c.x), n(c.dbeta), c.samples), "kron: BatchNormFactors: "+c.err)
		require.EqualError(t, kron.LayerNormFactors(h, s, n(c.x), n(c.dbeta), c.samples, 1), "kron: LayerNormFactors: "+c.err)
	}
	for _, kept := range []int{0, -1, 4, 12} {
		err := kron.LayerNormFactors(n(2), n(3), n(12), n(3), 2, kept)
		require.EqualError(t, err, fmt.Sprintf("kron: LayerNormFactors: 12 inputs of 2 samples don't have %d parts", kept))
	}
}

func TestEmbeddingFactorsRefuse(t *testing.T) {
	for _, c := range []struct {
		h, s   int
		tokens []float32
		dy     int
		err    string
	}{
		{3, 2, nil, 0, "0 gradients are not those of 0 tokens, at least 1, with 2 features"},
		{3, 0, []float32{1}, 0, "0 gradients are not those of 1 tokens, at least 1, with 0 features"},
		{3, 2, []float32{1, 2}, 3, "3 gradients are not those of 2 tokens, at least 1, with 2 features"},
		{3, 1, []float32{0, 3}, 2, "token 1 is 3: want a whole number from 0 to 2"},
		{3, 1, []float32{-1, 2}, 2, "token 0 is -1: want a whole number from 0 to 2"},
		{3, 1, []float32{0.5, 2}, 2, "token 0 is 0.5: want a whole number from 0 to 2"},
		{3, 1, []float32{1, nan()}, 2, "token 1 is NaN: want a whole number from 0 to 2"},
		{3, 1, []float32{inf(), 1}, 2, "token 0 is +Inf: want a whole number from 0 to 2"},
	} {
		h, s := []float32{7, 7, 7}[:c.h], []float32{7, 7}[:c.s]
		require.EqualError(t, kron.EmbeddingFactors(h, s, c.tokens, make([]float32, c.dy)), "kron: EmbeddingFactors: "+c.err)
		require.Equal(t, []float32{7, 7, 7}, h, "nothing is stored")
	}
}
