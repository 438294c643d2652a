package kernels

// Ger adds an outer product to the contiguous len(x) x len(y) matrix a: the
// rank-1 update A += alpha * x * y^T.
//
//	t = alpha * x[i]
//	a[i,j] = fma(t, y[j], a[i,j])
//
// It panics if len(a) is not len(x)*len(y).
func Ger(a, x, y []float32, alpha float32) {
	if len(a) != len(x)*len(y) {
		panic("kernels: Ger: length of a is not len(x)*len(y)")
	}
	ger(a, x, y, alpha)
}

func gerRef(a, x, y []float32, alpha float32) {
	for i, v := range x {
		t := float32(alpha * v)
		row := a[i*len(y):][:len(y)]
		for j, w := range y {
			row[j] = fma32(t, w, row[j])
		}
	}
}

// Precondition divides the contiguous len(row) x len(col) matrix m by a damped
// rank-1 (block-diagonal Kronecker) curvature.
//
//	dst[i,j] = m[i,j] / fma(row[i], col[j], lambda)
//
// It panics if len(dst) or len(m) is not len(row)*len(col).
func Precondition(dst, m, row, col []float32, lambda float32) {
	if len(m) != len(row)*len(col) {
		panic("kernels: Precondition: length of m is not len(row)*len(col)")
	}
	if len(dst) != len(m) {
		panic("kernels: Precondition: lengths of dst and m differ")
	}
	precondition(dst, m, row, col, lambda)
}

func preconditionRef(dst, m, row, col []float32, lambda float32) {
	for i, r := range row {
		d, v := dst[i*len(col):][:len(col)], m[i*len(col):][:len(col)]
		for j, c := range col {
			d[j] = float32(v[j] / fma32(r, c, lambda))
		}
	}
}
