package desc

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// t = alpha*x[i];  a[i,j] = fma(t, y[j], a[i,j])
func ger(k *vec.Kernel) {
	a, x, y := k.InOut("a"), k.In("x"), k.In("y")
	alpha := k.Scalar("alpha")
	var t *vec.Value
	k.Rows(4, x, y, []*vec.Slice{a}, []*vec.Slice{y},
		func() { t = k.Mul(alpha, k.Row(x)) },
		func() { k.Store(a, k.FMA(t, k.Load(y), k.Load(a))) })
}

// c[i,j] = fma(x[i], y[j], +0)
func outer(k *vec.Kernel) {
	c, x, y := k.Out("c"), k.In("x"), k.In("y")
	var t *vec.Value
	k.Rows(4, x, y, []*vec.Slice{c}, []*vec.Slice{y},
		func() { t = k.Row(x) },
		func() { k.Store(c, k.FMA(t, k.Load(y), k.Const(0))) })
}

// c[i,j] = fma(alpha, fma(x[i], y[j], +0), c[i,j])
func outerAdd(k *vec.Kernel) {
	c, x, y := k.InOut("c"), k.In("x"), k.In("y")
	alpha := k.Scalar("alpha")
	var t *vec.Value
	k.Rows(4, x, y, []*vec.Slice{c}, []*vec.Slice{y},
		func() { t = k.Row(x) },
		func() { k.Store(c, k.FMA(alpha, k.FMA(t, k.Load(y), k.Const(0)), k.Load(c))) })
}

// dst[i,j] = m[i,j] / fma(row[i], col[j], lambda)
func precondition(k *vec.Kernel) {
	dst, m, row, col := k.Out("dst"), k.In("m"), k.In("row"), k.In("col")
	lambda := k.Scalar("lambda")
	var r *vec.Value
	k.Rows(4, row, col, []*vec.Slice{dst, m}, []*vec.Slice{col},
		func() { r = k.Row(row) },
		func() { k.Store(dst, k.Div(k.Load(m), k.FMA(r, k.Load(col), lambda))) })
}

// Blocks of rows whose sums over few columns run beside each other: enough chains to
// hide the latency of an addition, for one matrix and for two. The numbers are those
// of package kernels.
const (
	narrowBlocks    = 4
	narrowBlocksTwo = 2
)

// columnSums describes sums over the rows of one matrix, or of two.
func columnSums(k *vec.Kernel, narrow bool, most int, mats, cols []*vec.Slice, sums ...vec.ColumnSum) {
	switch {
	case !narrow:
		k.ColumnSums(most, mats, nil, cols, sums...)
	case len(mats) == 1:
		k.NarrowSums(narrowBlocks, mats, cols, sums...)
	default:
		k.NarrowSums(narrowBlocksTwo, mats, cols, sums...)
	}
}

// dst[j] = sum of x[i,j]
func colSums(narrow bool) func(*vec.Kernel) {
	return func(k *vec.Kernel) {
		dst, x := k.InOut("dst"), k.In("x")
		columnSums(k, narrow, 8, []*vec.Slice{x}, nil, vec.ColumnSum{Dst: dst, Next: func(acc *vec.Value) *vec.Value {
			return k.Add(acc, k.Load(x))
		}})
	}
}

// dst[j] = chain of s = fma(x[i,j], x[i,j], s)
func colSumSquares(k *vec.Kernel) {
	dst, x := k.InOut("dst"), k.In("x")
	k.Columns(8, dst, []*vec.Slice{x}, nil, nil, func(acc *vec.Value) *vec.Value {
		v := k.Load(x)
		return k.FMA(v, v, acc)
	})
}

// dst[j] = chain of s = fma(x[i,j], y[i,j], s)
func colDots(k *vec.Kernel) {
	dst, x, y := k.InOut("dst"), k.In("x"), k.In("y")
	k.Columns(8, dst, []*vec.Slice{x, y}, nil, nil, func(acc *vec.Value) *vec.Value {
		return k.FMA(k.Load(x), k.Load(y), acc)
	})
}

// dst[i,j] = table[indices[i],j]
func gatherRows(k *vec.Kernel) {
	dst, table, indices := k.Out("dst"), k.In("table"), k.In("indices")
	k.Lookups(4, dst, table, indices, func() { k.Store(dst, k.Load(table)) })
}

// table[indices[i],j] += src[i,j]
func scatterAddRows(k *vec.Kernel) {
	table, src, indices := k.InOut("table"), k.In("src"), k.In("indices")
	k.Lookups(4, src, table, indices, func() { k.Store(table, k.Add(k.Load(table), k.Load(src))) })
}
