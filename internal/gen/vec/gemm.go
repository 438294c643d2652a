package vec

import "fmt"

// A Tile is the shape of one matrix micro-kernel: Rows x Vectors vectors of the
// output stay in registers while k runs.
type Tile struct {
	Rows    int
	Vectors int
	Cols    bool // A is read by columns, A[k*stride+i] (transposed), not A[i*stride+k]
	Partial bool // the last vector has TileArgs.Columns elements
}

// Name is that of the routine in package asm, without the level.
func (s Tile) Name() string {
	order, partial := "Rows", ""
	if s.Cols {
		order = "Cols"
	}
	if s.Partial {
		partial = "Partial"
	}
	return fmt.Sprintf("Gemm%s%dx%d%s", order, s.Rows, s.Vectors, partial)
}

// Tiles returns the shapes that a level has: rows 1..max of one and two vectors,
// with the last one whole or partial; and shapes of few rows with more vectors,
// wide[rows-1], so that enough chains are in flight.
func Tiles(max int, wide ...int) []Tile {
	var all []Tile
	for _, cols := range []bool{false, true} {
		for r := 1; r <= max; r++ {
			for v := 1; v <= 2; v++ {
				all = append(all,
					Tile{Rows: r, Vectors: v, Cols: cols},
					Tile{Rows: r, Vectors: v, Cols: cols, Partial: true})
			}
		}
		for i, v := range wide {
			all = append(all, Tile{Rows: i + 1, Vectors: v, Cols: cols})
		}
	}
	return all
}

// Offsets of the fields of asm.Tile, all of 8 bytes; strides are in bytes.
const (
	TileA       = 8 * iota // first element of A
	TileB                  // of B
	TileC                  // of C
	TileBias               // bias of the columns, or nil
	TileK                  // number of k, at least 1
	TileAStride            // between rows of A, with Cols between its k
	TileBStride            // between k of B
	TileCStride            // between rows of C
	TileCount              // row tiles, at least 1
	TileANext              // from one row tile to the next in A
	TileColumns            // elements of the last vector, with Partial
	TileAdd                // not 0: C += Alpha*A*B; 0: C = A*B
	TileAlpha              // float32
)

// TileStruct is the Go declaration of asm.Tile.
const TileStruct = `// Tile holds the arguments of the matrix micro-kernels. One call computes Count
// tiles of R rows, below each other, of a panel of columns: C = A*B, or
// C += Alpha*A*B with Add, then C += Bias. Strides are in bytes.
type Tile struct {
	A, B, C *float32
	Bias    *float32 // one value a column, or nil
	K       int      // at least 1
	AStride int      // between rows of A, of routines with Cols between its k
	BStride int      // between k of B
	CStride int      // between rows of C
	Count   int      // row tiles, at least 1
	ANext   int      // from one row tile to the next in A
	Columns int      // elements of the last vector, of routines with Partial
	Add     int      // 0 or 1
	Alpha   float32
}
`

// TransposeSignature is the type of the routines that transpose a strip of
// src, as many rows as a block is wide, into dst. Strides are in elements.
const TransposeSignature = "func(dst, src *float32, dstStride, srcStride, blocks int)"

// PackSignature is the type of the routines that copy rows of two vectors, at a
// stride in elements, into consecutive memory.
const PackSignature = "func(dst, src *float32, stride, rows int)"
