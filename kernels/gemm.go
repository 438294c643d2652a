package kernels

// blockK is the number of consecutive k in one chain of fused multiply-adds.
const blockK = 256

// Gemm selects the form of a matrix product. The zero value is C = A*B.
type Gemm struct {
	TransA     bool      // use A^T
	TransB     bool      // use B^T
	Accumulate bool      // add the product to C instead of storing it
	Bias       []float32 // if not nil, added to every row of C at the end; one value a column
	Scratch    []float32 // workspace, see GemmScratch
}

// Lengths of workspace. A product with TransB needs GemmScratch elements; large
// products are faster with GemmScratchLarge. The contents don't matter before or
// after, and the result doesn't depend on the length.
const (
	GemmScratch      = gemmScratch
	GemmScratchLarge = gemmScratchLarge
)

// packCols is the most columns of a panel.
const packCols = 32

// Multiply computes the matrix product C = op(A)*op(B), or C += op(A)*op(B), of
// shape m x n over k, where op(A) is m x k and op(B) is k x n.
//
//	for each block of 256 consecutive k, in order:
//	    s = +0;  s = fma(op(A)[i,k], op(B)[k,j], s) for each k of the block
//	    C[i,j] = s for the first block without Accumulate, else C[i,j] + s
//	C[i,j] = C[i,j] + Bias[j], if there is a bias
//
// With k = 0 the product is zero. It panics if shapes don't match, a matrix is
// shorter than its shape, or Scratch is missing; c must not overlap the others.
func (g Gemm) Multiply(c, a, b Matrix) {
	g.run(&c, &a, &b, 1)
}

// OuterProducts adds the outer products of the rows of x and y to a:
// A += alpha * X^T * Y, where X is rows x m, Y is rows x n and A is m x n.
//
//	for each block of 256 consecutive rows r, in order:
//	    s = +0;  s = fma(X[r,i], Y[r,j], s) for each row of the block
//	    A[i,j] = fma(alpha, s, A[i,j])
//
// It panics if shapes don't match; a must not overlap the others.
func OuterProducts(a, x, y Matrix, alpha float32) {
	if x.Rows != y.Rows || a.Rows != x.Cols || a.Cols != y.Cols {
		panic("kernels: OuterProducts: shapes of A, X and Y don't match")
	}
	g := Gemm{TransA: true, Accumulate: true}
	g.run(&a, &x, &y, alpha)
}

// shape returns the shape m x n of a product over k, after the checks of Multiply.
func (g *Gemm) shape(c, a, b *Matrix) (m, n, k int) {
	a.check()
	b.check()
	c.check()
	m, k = a.Rows, a.Cols
	if g.TransA {
		m, k = k, m
	}
	kb, n := b.Rows, b.Cols
	if g.TransB {
		kb, n = n, kb
	}
	if k != kb || c.Rows != m || c.Cols != n {
		panic("kernels: Gemm: shapes of C, A and B don't match")
	}
	if g.Bias != nil && len(g.Bias) != n {
		panic("kernels: Gemm: length of Bias is not the columns of C")
	}
	if g.TransB && len(g.Scratch) < GemmScratch {
		panic("kernels: Gemm: TransB needs Scratch of GemmScratch elements")
	}
	return m, n, k
}

// run is Multiply, with the factor alpha on what is added to C.
func (g *Gemm) run(c, a, b *Matrix, alpha float32) {
	m, n, k := g.shape(c, a, b)
	if m == 0 || n == 0 {
		return
	}
	if k == 0 {
		g.empty(c)
		return
	}
	if k == 1 && g.outer(c, a, b, m, n, alpha) {
		return
	}
	multiply(c, a, b, m, n, k, alpha, g)
}

// outerCols is the least columns for which rows of outer products are faster than
// tiles.
const outerCols = 16

// outer computes a product over a single k, the gradient at weights in a batch of
// one: whole rows of C are written one after another. It reports whether it did, as
// the operands must be contiguous.
func (g *Gemm) outer(c, a, b *Matrix, m, n int, alpha float32) bool {
	if !g.TransA && a.Stride > 1 || g.TransB && b.Stride > 1 || c.Stride > n || g.Bias != nil || n < outerCols {
		return false
	}
	x, y := a.Data[:m], b.Data[:n]
	eachBlock(m, n, func(r0, r1, c0, c1 int) {
		if c := c.Data[r0*n+c0 : (r1-1)*n+c1]; g.Accumulate {
			outerAdd(c, x[r0:r1], y[c0:c1], alpha)
		} else {
			outer(c, x[r0:r1], y[c0:c1])
		}
	})
	return true
}

func outerRef(c, x, y []float32) {
	for i, v := range x {
		row := c[i*len(y):][:len(y)]
		for j, w := range y {
			row[j] = fma32(v, w, 0)
		}
	}
}

func outerAddRef(c, x, y []float32, alpha float32) {
	for i, v := range x {
		row := c[i*len(y):][:len(y)]
		for j, w := range y {
			row[j] = fma32(alpha, fma32(v, w, 0), row[j])
		}
	}
}

// empty is a product with an empty sum.
func (g *Gemm) empty(c *Matrix) {
	for i := range c.Rows {
		if !g.Accumulate {
			clear(c.Row(i))
		}
		if g.Bias != nil {
			axpy(c.Row(i), g.Bias, 1)
		}
	}
}

func gemmRef(c, a, b *Matrix, m, n, k int, alpha float32, g *Gemm) {
	ai, ak := a.Stride, 1
	if g.TransA {
		ai, ak = ak, ai
	}
	bk, bj := b.Stride, 1
	if g.TransB {
		bk, bj = bj, bk
	}
	for i := range m {
		row := c.Row(i)
		for j := range n {
			for k0 := 0; k0 < k; k0 += blockK {
				s := float32(0)
				for p := k0; p < min(k0+blockK, k); p++ {
					s = fma32(a.Data[i*ai+p*ak], b.Data[p*bk+j*bj], s)
				}
				if k0 == 0 && !g.Accumulate {
					row[j] = s
				} else {
					row[j] = fma32(alpha, s, row[j])
				}
			}
			if g.Bias != nil {
				row[j] += g.Bias[j]
			}
		}
	}
}
