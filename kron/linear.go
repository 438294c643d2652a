package kron

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
)

// LinearInputFactor stores in h the raw input factor of a linear layer: the mean
// square of each column of x, the row-major rows x in inputs of the layer.
//
//	h[j] = (1/rows) * sum over r of x[r,j]^2
//
// A layer with a bias has one entry more, h[in] = 1: its input is a constant 1.
// So len(h) is in or in+1, where in = len(x)/rows. A square beyond the range of
// float32 gives +Inf here; the optimizer decides what that means.
func LinearInputFactor(h, x []float32, rows int) error {
	if rows < 1 || len(x)%rows != 0 {
		return fmt.Errorf("kron: LinearInputFactor: %d inputs are not %d rows, at least 1", len(x), rows)
	}
	in := len(x) / rows
	switch len(h) {
	case in:
	case in + 1:
		h[in] = 1
	default:
		return fmt.Errorf("kron: LinearInputFactor: length of h is %d: want %d, or %d with a bias", len(h), in, in+1)
	}
	meanSquares(h[:in], x, rows)
	return nil
}

// LinearOutputFactor stores in s the raw output factor of a linear layer: the
// mean square of each column of dy, the row-major rows x out gradients of the
// loss at the layer's outputs.
//
//	s[i] = (1/rows) * sum over r of dy[r,i]^2
//
// Under a loss that is a mean over the rows, dy carries a factor 1/rows and s
// therefore 1/rows^2; like the authors' code, this function leaves it there.
func LinearOutputFactor(s, dy []float32, rows int) error {
	if rows < 1 || len(dy) != rows*len(s) {
		return fmt.Errorf("kron: LinearOutputFactor: %d gradients are not %d rows, at least 1, of %d outputs", len(dy), rows, len(s))
	}
	meanSquares(s, dy, rows)
	return nil
}

// LinearInputMoments stores in h the mean square and in mean the mean of each column
// of x, the row-major rows x in inputs of a linear layer.
//
//	h[j]    = (1/rows) * sum over r of x[r,j]^2
//	mean[j] = (1/rows) * sum over r of x[r,j]
//
// A layer with a bias has h[in] = 1, as in [LinearInputFactor]. The moments at its
// outputs are [LinearOutputFactor].
func LinearInputMoments(h, mean, x []float32, rows int) error {
	if err := LinearInputFactor(h, x, rows); err != nil {
		return err
	}
	if in := len(x) / rows; len(mean) != in {
		return fmt.Errorf("kron: LinearInputMoments: length of mean is %d: want %d", len(mean), in)
	}
	kernels.ColSums(mean, x)
	kernels.Scale(mean, mean, float32(1/float64(rows)))
	return nil
}

func meanSquares(dst, x []float32, rows int) {
	kernels.ColSumSquares(dst, x)
	kernels.Scale(dst, dst, float32(1/float64(rows)))
}
