//go:build !purego && (amd64 || arm64)

package kernels

import (
	"unsafe"

	"github.com/adafisher-go/adafisher/asm"
)

// tileShape names a matrix micro-kernel: rows, vectors of columns, the order in
// which A is read, and whether the last vector is partial.
type tileShape int

const (
	shapeVector  tileShape = 1 << 4 // times the number of vectors, plus the rows
	shapeCols    tileShape = 1 << 9
	shapePartial tileShape = 1 << 10
)

// tiling is the set of micro-kernels that a level has.
type tiling struct {
	lanes int
	rows  int   // most rows of a tile
	wide  []int // vectors of a panel for products of 1, 2, .. rows
	block int   // columns of a transposition block
}

// panelVectors is the width of a panel for products of more rows.
const panelVectors = 2

func tilingOf(l Level) tiling {
	switch l {
	case AVX512:
		return tiling{lanes: 16, rows: 14, wide: []int{16, 8}, block: 8}
	case AVX2:
		return tiling{lanes: 8, rows: 6, wide: []int{8, 4}, block: 8}
	case NEON:
		return tiling{lanes: 4, rows: 8, wide: []int{8, 8}, block: 4}
	}
	panic("kernels: level without tiles")
}

const (
	// maxTiles bounds the row tiles of one assembly call, for preemption.
	maxTiles = 32
	// rowBlock is the number of rows that share a pass over the panels of B when
	// there are many rows: 256 x 256 elements of A stay in the second cache.
	rowBlock = 256
)

func gemm(c, a, b Matrix, m, n, k int, alpha float32, g Gemm) {
	l := CurrentLevel()
	if l == Generic {
		gemmRef(c, a, b, m, n, k, alpha, g)
		return
	}
	raceReadMatrix(a)
	raceReadMatrix(b)
	raceWriteMatrix(c)
	t := tilingOf(l)
	step := m
	if m > rowBlock+rowBlock/2 && !g.TransB {
		step = rowBlock
	}
	for k0 := 0; k0 < k; k0 += blockK {
		kb := min(blockK, k-k0)
		args := asm.Tile{
			K:       kb,
			AStride: 4 * a.Stride,
			CStride: 4 * c.Stride,
			Alpha:   alpha,
		}
		if k0 > 0 || g.Accumulate {
			args.Add = 1
		}
		for i := 0; i < m; i += step {
			rows := min(step, m-i)
			for j := 0; j < n; {
				vectors := panelVectors
				if rows <= len(t.wide) && !g.TransB && n-j >= t.wide[rows-1]*t.lanes {
					vectors = t.wide[rows-1]
				}
				cols := min(vectors*t.lanes, n-j)
				if g.TransB {
					panel := Matrix{Rows: kb, Cols: cols, Stride: packCols, Data: g.Scratch}
					transpose(l, panel, Matrix{Rows: cols, Cols: kb, Stride: b.Stride, Data: b.Data[j*b.Stride+k0:]})
					args.B, args.BStride = &g.Scratch[0], 4*packCols
				} else {
					args.B, args.BStride = &b.Data[k0*b.Stride+j], 4*b.Stride
				}
				if g.Bias != nil && k0+kb == k {
					args.Bias = &g.Bias[j]
				}
				ca := Matrix{Rows: rows, Cols: cols, Stride: c.Stride, Data: c.Data[i*c.Stride+j:]}
				if g.TransA {
					gemmPanel(l, t, ca, a.Data[k0*a.Stride+i:], true, args)
				} else {
					gemmPanel(l, t, ca, a.Data[i*a.Stride+k0:], false, args)
				}
				j += cols
			}
		}
	}
}

// gemmPanel computes the panel c of one block of k. a begins at the panel's
// first element of A, which cols says is read by columns; args has what doesn't
// depend on rows.
func gemmPanel(l Level, t tiling, c Matrix, a []float32, cols bool, args asm.Tile) {
	vectors := (c.Cols + t.lanes - 1) / t.lanes
	shape := tileShape(vectors) * shapeVector
	if last := c.Cols - (vectors-1)*t.lanes; last < t.lanes {
		shape += shapePartial
		args.Columns = last
	}
	aRow := args.AStride / 4 // elements from one row of op(A) to the next
	if cols {
		shape += shapeCols
		aRow = 1
	}
	// Rows are split evenly: the first tiles have one row more than the others.
	tiles := (c.Rows + t.rows - 1) / t.rows
	height, taller := c.Rows/tiles, c.Rows%tiles
	row := 0
	for tile := 0; tile < tiles; {
		h, count := height, tiles-tile
		if tile < taller {
			h, count = height+1, taller-tile
		}
		count = min(count, maxTiles)
		args.A, args.C = &a[row*aRow], &c.Data[row*c.Stride]
		args.Count, args.ANext = count, 4*h*aRow
		runTile(l, shape+tileShape(h), &args)
		tile += count
		row += count * h
	}
}

func raceReadMatrix(m Matrix) {
	if raceEnabled {
		for i := range m.Rows {
			raceRead(m.Row(i))
		}
	}
}

func raceWriteMatrix(m Matrix) {
	if raceEnabled {
		for i := range m.Rows {
			raceWrite(m.Row(i))
		}
	}
}

// transpose stores the transpose of src: whole blocks of a strip by the level's
// routine, the edges by the reference.
func transpose(l Level, dst, src Matrix) {
	if l == Generic {
		transposeRef(dst, src)
		return
	}
	b := tilingOf(l).block
	blocks := min(src.Cols/b, chunkLen/b/b)
	if blocks == 0 {
		transposeRef(dst, src)
		return
	}
	rows := src.Rows - src.Rows%b
	cols := src.Cols - src.Cols%b
	for i := 0; i < rows; i += b {
		for j := 0; j < cols; j += blocks * b {
			transposeStrip(l, unsafe.SliceData(dst.Data[j*dst.Stride+i:]), unsafe.SliceData(src.Data[i*src.Stride+j:]),
				dst.Stride, src.Stride, min(blocks, (cols-j)/b))
		}
	}
	if cols < src.Cols {
		transposeRef(Matrix{Rows: src.Cols - cols, Cols: src.Rows, Stride: dst.Stride, Data: dst.Data[cols*dst.Stride:]},
			Matrix{Rows: src.Rows, Cols: src.Cols - cols, Stride: src.Stride, Data: src.Data[cols:]})
	}
	if rows < src.Rows {
		transposeRef(Matrix{Rows: cols, Cols: src.Rows - rows, Stride: dst.Stride, Data: dst.Data[rows:]},
			Matrix{Rows: src.Rows - rows, Cols: cols, Stride: src.Stride, Data: src.Data[rows*src.Stride:]})
	}
}
