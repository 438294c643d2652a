package kernels

import "math"

// Indices are whole numbers in float32 slices, as tokens travel through a network:
// exact below 2^24.
const maxIndices = 1 << 24

// InvalidIndex returns the place of the first element of indices that is not a whole
// number from 0 to n-1, or -1 if all are. A number from 2^24 on is not one, whatever
// n is: not all of them have a float32.
func InvalidIndex(indices []float32, n int) int {
	limit := float32(max(0, min(n, maxIndices)))
	for i := 0; i < len(indices); i += chunkLen {
		if first := firstInvalid(indices[i:min(i+chunkLen, len(indices))], limit); first < chunkLen {
			return i + int(first)
		}
	}
	return -1
}

// firstInvalidRef returns the first i for which x[i] is not a whole number in
// [0, limit), +Inf without one. The index is exact in a float32: x is not longer
// than chunkLen.
func firstInvalidRef(x []float32, limit float32) float32 {
	for i, v := range x {
		if !(v >= 0 && v < limit && v == float32(int32(v))) {
			return float32(i)
		}
	}
	return float32(math.Inf(1))
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
	eachLookup(len(indices), dst.Cols, func(i, end int) {
		if n := dst.Cols; n > chunkLen {
			Copy(dst.Row(i), table.Row(int(indices[i])))
		} else {
			gatherRows(dst.span(i, end), table.Data, indices[i:end], n, dst.Stride, table.Stride)
		}
	})
}

// eachLookup calls f with the half-open ranges of rows that one call takes: a single
// one if that is longer than a chunk.
func eachLookup(rows, cols int, f func(i, end int)) {
	if cols == 0 {
		return
	}
	step := max(1, min(rowChunk, chunkLen/cols))
	for i := 0; i < rows; i += step {
		f(i, min(i+step, rows))
	}
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
	eachLookup(len(indices), src.Cols, func(i, end int) {
		if n := src.Cols; n > chunkLen {
			row := table.Row(int(indices[i]))
			add(row, row, src.Row(i))
		} else {
			scatterAddRows(table.Data, src.span(i, end), indices[i:end], n, src.Stride, table.Stride)
		}
	})
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
