package kernels_test

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
)

// The nearest neighbour by cosine similarity: rows are scaled to length 1 once, then a
// query takes a matrix-vector product and the place of the largest element.
func ExampleGemm_neighbours() {
	const n, dim = 4, 3
	rows := []float32{
		1, 0, 0,
		0, 2, 0,
		3, 3, 0,
		0, 0, 5,
	}
	for i := range n {
		row := rows[i*dim:][:dim]
		kernels.Scale(row, row, 1/kernels.L2Norm(row))
	}
	all := kernels.NewMatrix(n, dim, rows)
	query := kernels.NewMatrix(dim, 1, []float32{1, 2, 0})
	similarity := kernels.NewMatrix(n, 1, make([]float32, n))

	kernels.Gemm{}.Multiply(similarity, all, query)
	fmt.Println(kernels.ArgMax(similarity.Data))

	// Many queries, one a row, against the same rows: these are packed once.
	packed := kernels.Pack(make([]float32, n*dim), transposed(all))
	queries := kernels.NewMatrix(2, dim, []float32{1, 2, 0, 0, 1, 9})
	scores := kernels.NewMatrix(2, n, make([]float32, 2*n))
	kernels.Gemm{}.MultiplyPacked(scores, queries, packed)
	for i := range scores.Rows {
		fmt.Println(kernels.ArgMax(scores.Row(i)))
	}
	// Output:
	// 2
	// 2
	// 3
}

func transposed(m kernels.Matrix) kernels.Matrix {
	t := kernels.NewMatrix(m.Cols, m.Rows, make([]float32, m.Rows*m.Cols))
	kernels.Transpose(t, m)
	return t
}
