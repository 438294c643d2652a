package kron

import (
	"fmt"
	"math"

	"github.com/adafisher-go/adafisher/kernels"
)

// FullFactor stores in dst the whole Kronecker factor of which the raw factor of a
// linear layer is the diagonal, a symmetric matrix of n x n for rows of x of n
// numbers: for the layer's inputs
//
//	dst[i,j] = (1/rows) * sum over r of x[r,i]*x[r,j]
//
// and likewise for the gradients at its outputs. AdaFisher takes the diagonals
// alone; [Gershgorin] tells what that leaves out. It costs rows*n^2/2 multiply-adds.
func FullFactor(dst, x []float32, rows int) error {
	if rows < 1 || len(x)%rows != 0 {
		return fmt.Errorf("kron: FullFactor: %d numbers are not %d rows, at least 1", len(x), rows)
	}
	n := len(x) / rows
	if len(dst) != n*n {
		return fmt.Errorf("kron: FullFactor: length of dst is %d: want %d", len(dst), n*n)
	}
	m := kernels.NewMatrix(rows, n, x)
	kernels.Syrk{Trans: true}.Multiply(kernels.NewMatrix(n, n, dst), m)
	kernels.Scale(dst, dst, float32(1/float64(rows)))
	return nil
}

// A Disc is a disc of Gershgorin: every eigenvalue of the matrix lies in one of
// them.
type Disc struct {
	Centre float64 // the diagonal entry
	Radius float64 // sum of the magnitudes of the row's other entries
}

// Gershgorin returns the discs of a square matrix, one a row. Where the radii are
// small beside the centres the diagonal stands for the matrix (arXiv 2405.16397,
// section 3.1).
func Gershgorin(matrix []float32) ([]Disc, error) {
	n := int(math.Round(math.Sqrt(float64(len(matrix)))))
	if n*n != len(matrix) {
		return nil, fmt.Errorf("kron: Gershgorin: %d numbers are no square matrix", len(matrix))
	}
	discs := make([]Disc, n)
	for i := range discs {
		row := matrix[i*n:][:n]
		for _, v := range row {
			discs[i].Radius += math.Abs(float64(v))
		}
		discs[i].Centre = float64(row[i])
		discs[i].Radius -= math.Abs(discs[i].Centre)
	}
	return discs, nil
}
