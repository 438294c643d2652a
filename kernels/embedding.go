package kernels

import (
	"math"
	"slices"
)

// Indices are whole numbers in float32 slices, as tokens travel through a network:
// exact below 2^24.
const maxIndices = 1 << 24

// InvalidIndex returns the place of the first element of indices that is not a whole
// number from 0 to n-1, or -1 if all are. A number from 2^24 on is not one, whatever
// n is: not all of them have a float32.
func InvalidIndex(indices []float32, n int) int {
	limit := float32(max(0, min(n, maxIndices)))
	for i := 0; i < len(indices); i += chunkLen {
		part := indices[i:min(i+chunkLen, len(indices))]
		if math.Float32bits(largestIndex(part))^(1<<31) >= math.Float32bits(limit) {
			return i + firstInvalid(part, limit)
		}
	}
	return -1
}

// firstInvalid returns the first i for which x[i] is not a whole number in [0, limit).
func firstInvalid(x []float32, limit float32) int {
	return slices.IndexFunc(x, func(v float32) bool { return !(v >= 0 && v < limit && v == float32(int32(v))) })
}

// largestIndexRef returns the largest of the bits of x+0, as unsigned integers, with the
// sign changed. That is the largest number if all are whole numbers from 0 on; for one
// below 0 or a NaN it is larger, and one that is not whole counts as a NaN.
func largestIndexRef(x []float32) float32 {
	const whole = 1 << 23 // from here on all are
	top := uint32(0)
	for _, v := range x {
		y := v
		if whole < v {
			y = whole
		}
		if float32(y+whole)-whole != y {
			top = math.MaxUint32
		}
		top = max(top, math.Float32bits(v+0))
	}
	return math.Float32frombits(top ^ 1<<31)
}

// GatherRows stores rows of table: an embedding of tokens.
//
//	dst[i,j] = table[indices[i],j]
//
// It panics if dst has not as many rows as there are indices or not the columns of
// table, or an index is not that of a row of table; see [InvalidIndex].
func GatherRows(dst, table Matrix, indices []float32) {
	dst.check()
	table.check()
	if dst.Rows != len(indices) || dst.Cols != table.Cols {
		panic("kernels: GatherRows: shapes of dst, table and indices don't match")
	}
	if InvalidIndex(indices, table.Rows) >= 0 {
		panic("kernels: GatherRows: index out of range, or not whole")
	}
	n := dst.Cols
	if n == 0 {
		return
	}
	for i, step := 0, lookupRows(&dst); i < dst.Rows; i += step {
		if n > chunkLen {
			Copy(dst.Row(i), table.Row(int(indices[i])))
			continue
		}
		end := min(i+step, dst.Rows)
		gatherRows(dst.span(i, end), table.Data, indices[i:end], n, dst.Stride, table.Stride)
	}
}

// lookupRows returns the number of rows of m that one call takes: a single one if that
// is longer than a chunk.
func lookupRows(m *Matrix) int {
	if m.Rows <= rowChunk && m.Rows*m.Cols <= chunkLen { // before a division
		return m.Rows
	}
	return max(1, min(rowChunk, chunkLen/m.Cols))
}

func gatherRowsRef(dst, table, indices []float32, cols, dstStride, tableStride int) {
	for i, v := range indices {
		copy(dst[i*dstStride:][:cols], table[int(v)*tableStride:])
	}
}

// ScatterAddRows adds rows to those of table, in order: the gradient at the table of
// [GatherRows].
//
//	table[indices[i],j] += src[i,j]      for i = 0, 1, ..
//
// It panics if src has not as many rows as there are indices or not the columns of
// table, or an index is not that of a row of table; see [InvalidIndex].
func ScatterAddRows(table, src Matrix, indices []float32) {
	table.check()
	src.check()
	if src.Rows != len(indices) || src.Cols != table.Cols {
		panic("kernels: ScatterAddRows: shapes of table, src and indices don't match")
	}
	if InvalidIndex(indices, table.Rows) >= 0 {
		panic("kernels: ScatterAddRows: index out of range, or not whole")
	}
	n := src.Cols
	if n == 0 {
		return
	}
	for i, step := 0, lookupRows(&src); i < src.Rows; i += step {
		if n > chunkLen {
			row := table.Row(int(indices[i]))
			add(row, row, src.Row(i))
			continue
		}
		end := min(i+step, src.Rows)
		scatterAddRows(table.Data, src.span(i, end), indices[i:end], n, src.Stride, table.Stride)
	}
}

func scatterAddRowsRef(table, src, indices []float32, cols, srcStride, tableStride int) {
	for i, v := range indices {
		row := table[int(v)*tableStride:][:cols]
		addRef(row, row, src[i*srcStride:][:cols])
	}
}

// CountIndices counts each index.
//
//	counts[indices[i]] += 1      for i = 0, 1, ..
//
// It panics if an index is not one of counts; see [InvalidIndex].
func CountIndices(counts, indices []float32) {
	if InvalidIndex(indices, len(counts)) >= 0 {
		panic("kernels: CountIndices: index out of range, or not whole")
	}
	for _, v := range indices {
		counts[int(v)]++
	}
}
