package kernels

// blockK is the number of consecutive k in one chain of fused multiply-adds.
const blockK = 256

// Gemm selects the form of a matrix product. The zero value is C = A*B. A product of one
// row or one column is a matrix-vector product. It is fast if the columns are contiguous,
// and on ARM an m x k matrix times a column takes Scratch for that.
type Gemm struct {
	TransA     bool      // use A^T
	TransB     bool      // use B^T
	Accumulate bool      // add the product to C instead of storing it
	Bias       []float32 // if not nil, added to every row of C at the end; one value a column
	Activation Activation
	Scratch    []float32 // workspace, see GemmScratch
}

// An Activation is an element-wise function that a product applies to C at its very
// end, while those elements are in registers or in the cache. The bits are those of
// the kernel with its name.
type Activation uint8

const (
	ActivationNone     Activation = iota
	ActivationReLU                // [ReLU]
	ActivationTanh                // [Tanh]
	ActivationSigmoid             // [Sigmoid]
	ActivationSiLU                // [SiLU]
	ActivationGELU                // [GELU]
	ActivationGELUTanh            // [GELUTanh]
)

// Lengths of workspace. A product with TransB needs GemmScratch elements, others may be
// faster with them, and large products are with GemmScratchLarge. The contents don't
// matter before or after, and the result doesn't depend on the length.
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
//	C[i,j] = f(C[i,j]), if there is an activation f
//
// With k = 0 the product is zero. It panics if shapes don't match, a matrix is
// shorter than its shape, Scratch is missing, or Activation is none of the
// constants; c must not overlap the others.
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
	g.checkActivation()
	return m, n, k
}

func (g *Gemm) checkActivation() {
	if g.Activation > ActivationGELUTanh {
		panic("kernels: Gemm: no such Activation")
	}
}

// run is Multiply, with the factor alpha on what is added to C.
func (g *Gemm) run(c, a, b *Matrix, alpha float32) {
	m, n, k := g.shape(c, a, b)
	if g.trivial(c, k) || k == 1 && g.outer(c, a, b, m, n, alpha) {
		return
	}
	if g.Activation <= ActivationReLU { // at once: small products take no longer than a few calls
		multiply(c, a, b, m, n, k, alpha, g)
		return
	}
	g.multiply(c, a, b, m, n, k, alpha)
}

// multiply is run without checks.
func (g *Gemm) multiply(c, a, b *Matrix, m, n, k int, alpha float32) {
	step := g.step(m, n)
	if step >= m {
		multiply(c, a, b, m, n, k, alpha, g)
		g.activate(c)
		return
	}
	for i := 0; i < m; i += step {
		cb, ab := g.block(c, a, i, min(i+step, m))
		multiply(&cb, &ab, b, cb.Rows, n, k, alpha, g)
		g.activate(&cb)
	}
}

// activationBlock is how many elements of C stay in the second cache until an
// activation is applied to them, and minStep how few rows at a time cost nothing.
const (
	activationBlock = 1 << 16
	minStep         = 48
)

// step returns how many of the m rows of C to compute before an activation. The
// multiplication itself has applied ReLU.
func (g *Gemm) step(m, n int) int {
	if g.Activation <= ActivationReLU || g.TransB {
		return m
	}
	return max(minStep, activationBlock/n)
}

// block returns rows from i to end of C, and those of op(A) that they come from.
func (g *Gemm) block(c, a *Matrix, i, end int) (cb, ab Matrix) {
	cb, ab = *c, *a
	cb.Data, cb.Rows = c.Data[i*c.Stride:], end-i
	if g.TransA {
		ab.Data, ab.Cols = a.Data[i:], end-i
	} else {
		ab.Data, ab.Rows = a.Data[i*a.Stride:], end-i
	}
	return cb, ab
}

// activate applies the activation to c, unless the multiplication has.
func (g *Gemm) activate(c *Matrix) {
	if g.Activation > ActivationReLU {
		g.Activation.applyRows(c)
	}
}

func (a Activation) applyRows(c *Matrix) {
	if c.Stride == c.Cols {
		a.apply(c.Data[:c.Rows*c.Cols])
		return
	}
	for i := range c.Rows {
		a.apply(c.Row(i))
	}
}

func (a Activation) apply(x []float32) {
	switch a {
	case ActivationReLU:
		ReLU(x, x)
	case ActivationTanh:
		Tanh(x, x)
	case ActivationSigmoid:
		Sigmoid(x, x)
	case ActivationSiLU:
		SiLU(x, x)
	case ActivationGELU:
		GELU(x, x)
	case ActivationGELUTanh:
		GELUTanh(x, x)
	}
}

// outerCols is the least columns for which rows of outer products are faster than
// tiles.
const outerCols = 16

// outer computes a product over a single k, the gradient at weights in a batch of
// one: whole rows of C are written one after another. It reports whether it did, as
// the operands must be contiguous.
func (g *Gemm) outer(c, a, b *Matrix, m, n int, alpha float32) bool {
	if !g.TransA && a.Stride > 1 || g.TransB && b.Stride > 1 || c.Stride > n || g.Bias != nil || g.Activation != ActivationNone || n < outerCols {
		return false
	}
	if g.Accumulate {
		outerAdd(c.Data[:m*n], a.Data[:m], b.Data[:n], alpha)
	} else {
		outer(c.Data[:m*n], a.Data[:m], b.Data[:n])
	}
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

// trivial computes a product without outputs or with an empty sum, and reports
// whether it is one.
func (g *Gemm) trivial(c *Matrix, k int) bool {
	if k > 0 && c.Rows > 0 && c.Cols > 0 {
		return false
	}
	g.empty(c)
	return true
}

// empty computes a product without outputs or with an empty sum.
func (g *Gemm) empty(c *Matrix) {
	if c.Cols == 0 { // any number of rows fits
		return
	}
	for i := range c.Rows {
		if !g.Accumulate {
			clear(c.Row(i))
		}
		if g.Bias != nil {
			axpy(c.Row(i), g.Bias, 1)
		}
		g.Activation.apply(c.Row(i))
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
		}
		g.finish(row)
	}
}

// finish adds the bias to a row of C and rectifies it; other activations follow.
func (g *Gemm) finish(row []float32) {
	if g.Bias != nil {
		for j, b := range g.Bias {
			row[j] += b
		}
	}
	if g.Activation == ActivationReLU {
		reluRef(row, row)
	}
}
