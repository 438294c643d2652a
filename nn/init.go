package nn

import (
	"math"
	"math/rand/v2"

	"github.com/adafisher-go/adafisher/kernels"
)

// An initializer draws the first values of a parameter, the same on every
// machine.
type initializer func(dst []float32, r *rand.PCG)

// uniform draws from the multiples of bound*2^-23 in [-bound, bound).
func uniform(bound float32) initializer {
	return func(dst []float32, r *rand.PCG) {
		for i := range dst {
			dst[i] = float32(bound * signed(r))
		}
	}
}

// fanIn is the default of PyTorch's linear and convolutional layers with n inputs
// an output: U(-1/sqrt(n), 1/sqrt(n)), which is kaiming_uniform with a = sqrt(5)
// (He et al., arXiv 1502.01852).
func fanIn(n int) initializer { return uniform(float32(1 / math.Sqrt(float64(n)))) }

// signed returns a multiple of 2^-23 in [-1, 1).
func signed(r *rand.PCG) float32 {
	k := int32(r.Uint64()>>40) - 1<<23
	return float32(float32(k) * 0x1p-23)
}

// normal draws from the normal distribution with mean 0, two values at a time, by
// the polar method (Marsaglia and Bray, SIAM Review 6, 1964) in float32.
func normal(deviation float32) initializer {
	return func(dst []float32, r *rand.PCG) {
		for i := 0; i < len(dst); i += 2 {
			x, y := polar(r)
			dst[i] = float32(deviation * x)
			if i+1 < len(dst) {
				dst[i+1] = float32(deviation * y)
			}
		}
	}
}

func polar(r *rand.PCG) (x, y float32) {
	for {
		x, y = signed(r), signed(r)
		s := [1]float32{float32(x*x) + float32(y*y)}
		if s[0] >= 1 || s[0] == 0 {
			continue
		}
		var log [1]float32
		kernels.Log(log[:], s[:])
		scale := float32(math.Sqrt(float64(float32(-2*log[0]) / s[0])))
		return float32(x * scale), float32(y * scale)
	}
}

// constant sets all values.
func constant(c float32) initializer {
	return func(dst []float32, _ *rand.PCG) { kernels.Fill(dst, c) }
}
