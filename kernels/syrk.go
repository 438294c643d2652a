package kernels

import "math"

// Syrk selects the form of a symmetric rank-k update, the product of a matrix and
// its own transpose. The zero value is C = A*A^T.
type Syrk struct {
	Trans      bool      // use A^T: C = A^T*A
	Accumulate bool      // add the product to C instead of storing it
	Scratch    []float32 // workspace: GemmScratch elements unless Trans; see there
}

// Multiply computes the symmetric matrix C = op(A)*op(A)^T, or C += op(A)*op(A)^T,
// of shape n x n over k, where op(A) is n x k.
//
//	C[i,j] as Gemm.Multiply has it, for i <= j
//	C[j,i] = C[i,j]
//
// It has the bits of that product, at half the work. With Accumulate the elements
// of C below the diagonal don't count: they are those above it. It panics if C is
// not n x n, a matrix is shorter than its shape, or Scratch is missing; c must not
// overlap a.
func (s Syrk) Multiply(c, a Matrix) {
	n, k := s.shape(&c, &a)
	s.run(&c, &a, n, k, 0, n)
}

// shape returns n and k, after the checks of Multiply.
func (s *Syrk) shape(c, a *Matrix) (n, k int) {
	a.check()
	c.check()
	n, k = a.Rows, a.Cols
	if s.Trans {
		n, k = k, n
	}
	if c.Rows != n || c.Cols != n {
		panic("kernels: Syrk: shapes of C and A don't match")
	}
	if !s.Trans && len(s.Scratch) < GemmScratch {
		panic("kernels: Syrk: without Trans it needs Scratch of GemmScratch elements")
	}
	return n, k
}

// run computes columns from to to of the triangle above the diagonal, and their
// mirror image.
func (s *Syrk) run(c, a *Matrix, n, k, from, to int) {
	switch {
	case from >= to:
	case k > 0:
		syrk(c, a, n, k, from, to, s)
	case s.Accumulate:
		for j := from; j < to; j++ {
			mirrorRef(c, j)
		}
	default:
		for i := range n {
			clear(c.Row(i)[from:to])
		}
	}
}

func syrkRef(c, a *Matrix, k, from, to int, s *Syrk) {
	g := s.gemm()
	next := a.Stride // from one row of op(A) to the next
	if s.Trans {
		next = 1
	}
	for j := from; j < to; j++ {
		gemmRef(&Matrix{Rows: j + 1, Cols: 1, Stride: c.Stride, Data: c.Data[j:]},
			a, &Matrix{Stride: a.Stride, Data: a.Data[j*next:]}, j+1, 1, k, 1, &g)
		mirrorRef(c, j)
	}
}

// gemm is the product of which the update computes half.
func (s *Syrk) gemm() Gemm {
	return Gemm{TransA: s.Trans, TransB: !s.Trans, Accumulate: s.Accumulate, Scratch: s.Scratch}
}

// mirrorRef copies column j above the diagonal to row j.
func mirrorRef(c *Matrix, j int) {
	for i := range j {
		c.Data[j*c.Stride+i] = c.Data[i*c.Stride+j]
	}
}

// MultiplySymmetric is s.Multiply, split among the workers where the product is
// large, as in [Pool.Multiply]. The result has the same bits.
func (p *Pool) MultiplySymmetric(s Syrk, c, a Matrix) {
	n, k := s.shape(&c, &a)
	parts := min(p.Workers(), (n+packCols-1)/packCols)
	if !s.Trans {
		parts = min(parts, len(s.Scratch)/GemmScratch)
	}
	if parts < 2 || n*n*k < poolFlops {
		s.run(&c, &a, n, k, 0, n)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.job = job{parts: parts, c: c, a: a, n: n, k: k, syrk: s, triangle: true}
	p.run()
}

// multiplyTriangle computes one part of a symmetric product: panels of columns
// with an equal share of the triangle's area.
func (j *job) multiplyTriangle(part int) {
	s := j.syrk
	scratch := len(s.Scratch) / j.parts
	s.Scratch = s.Scratch[part*scratch:][:scratch]
	border := func(part int) int {
		panels := float64(j.n) / packCols * math.Sqrt(float64(part)/float64(j.parts))
		return min(int(panels+0.5)*packCols, j.n)
	}
	to := j.n
	if part < j.parts-1 {
		to = border(part + 1)
	}
	s.run(&j.c, &j.a, j.n, j.k, border(part), to)
}
