package kron

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
)

// BatchNormFactors stores the raw factors of a batch normalisation of images,
// from its inputs x, which are [samples, P, C] with P positions and C = len(s)
// channels, and the gradient dbeta of its shift: the sums over samples and positions
// of the gradient at its outputs.
//
//	a[c] = (sum over samples and positions of x[n,p,c]) / P^2
//	h    = [sum over c of a[c]^2, C] / samples^2      of scale and shift
//	s[c] = dbeta[c]^2 / samples
//
// That is what the authors' code computes. len(h) is 2.
func BatchNormFactors(h, s, x, dbeta []float32, samples int) error {
	channels := len(s)
	if err := checkNorm("BatchNormFactors", h, s, x, dbeta, samples); err != nil {
		return err
	}
	positions := float64(len(x) / samples / channels)
	kernels.ColSums(s, x)
	var sum float64
	for _, a := range s {
		sum += squareOf(float64(a) / float64(positions*positions))
	}
	normFactor(h, sum, channels, samples)
	squares(s, dbeta, samples)
	return nil
}

// LayerNormFactors stores the raw factors of a layer normalisation of the last
// dimension, from its inputs x, which are [samples, kept, rest] where the last
// dimension of rest, or kept if there is no rest, is D = len(s), and the gradient
// dbeta of its shift: the sums over all positions of the gradient at its outputs. The
// authors keep the first dimension of a sample and sum over the others:
//
//	a[t] = (sum over samples and rest of x[n,t,i]) / rest^2
//	h    = [sum over t of a[t]^2, kept] / samples^2   of scale and shift
//	s[d] = dbeta[d]^2 / samples
//
// len(h) is 2.
func LayerNormFactors(h, s, x, dbeta []float32, samples, kept int) error {
	const call = "LayerNormFactors"
	if err := checkNorm(call, h, s, x, dbeta, samples); err != nil {
		return err
	}
	if kept < 1 || len(x)/samples%kept != 0 {
		return fmt.Errorf("kron: %s: %d inputs of %d samples don't have %d parts", call, len(x), samples, kept)
	}
	rest := len(x) / samples / kept
	var sum float64
	if rest == 1 && kept == len(s) {
		kernels.ColSums(s, x)
		for _, a := range s {
			sum += squareOf(float64(a))
		}
	} else {
		area := float64(rest) * float64(rest)
		for t := range kept {
			var a float64
			for n := range samples {
				a += float64(kernels.Sum(x[(n*kept+t)*rest:][:rest]))
			}
			sum += squareOf(a / area)
		}
	}
	normFactor(h, sum, kept, samples)
	squares(s, dbeta, samples)
	return nil
}

// NormMoments turns the sums over all positions of the squares of the gradients at the
// outputs of a batch or layer normalisation, in s, into its moments. What it scales
// has a mean square of 1, and what it shifts by is 1.
//
//	h    = [1, 1]
//	s[d] = (sum over positions of dy[p,d]^2) / positions
//
// len(h) is 2.
func NormMoments(h, s []float32, positions int) error {
	if len(h) != 2 {
		return fmt.Errorf("kron: NormMoments: length of h is %d: want 2", len(h))
	}
	if positions < 1 {
		return fmt.Errorf("kron: NormMoments: %d positions: want at least 1", positions)
	}
	h[0], h[1] = 1, 1
	kernels.Scale(s, s, float32(1/float64(positions)))
	return nil
}

func checkNorm(call string, h, s, x, dbeta []float32, samples int) error {
	features := len(s)
	if len(h) != 2 {
		return fmt.Errorf("kron: %s: length of h is %d: want 2", call, len(h))
	}
	if samples < 1 || features < 1 || len(x) == 0 || len(x)%samples != 0 || len(x)/samples%features != 0 {
		return fmt.Errorf("kron: %s: %d inputs are not %d samples, at least 1, of positions with %d features", call, len(x), samples, features)
	}
	if len(dbeta) != features {
		return fmt.Errorf("kron: %s: length of dbeta is %d: want %d", call, len(dbeta), features)
	}
	return nil
}

func squareOf(x float64) float64 { return float64(x * x) }

// normFactor stores the input factor of a normalisation.
func normFactor(h []float32, sum float64, parts, samples int) {
	n := squareOf(float64(samples))
	h[0], h[1] = float32(sum/n), float32(float64(parts)/n)
}

// squares stores the output factor of a normalisation.
func squares(s, dbeta []float32, samples int) {
	for i, v := range dbeta {
		s[i] = float32(squareOf(float64(v)) / float64(samples))
	}
}
