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

// syrkTask is a symmetric product, split by columns.
type syrkTask struct {
	Syrk
	c, a           Matrix
	n, k           int
	parts, workers int
}

// MultiplySymmetric is s.Multiply, split among the workers where the product is
// large, as in [Pool.Multiply]. The result has the same bits.
func (p *Pool) MultiplySymmetric(s Syrk, c, a Matrix) {
	n, k := s.shape(&c, &a)
	workers := p.Workers()
	if !s.Trans {
		workers = min(workers, len(s.Scratch)/GemmScratch)
	}
	parts := min(workers, (n+packCols-1)/packCols)
	if parts < 2 || workers < 2 || n*n*k < poolFlops {
		s.run(&c, &a, n, k, 0, n)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.syrk = syrkTask{s, c, a, n, k, parts, workers}
	p.do(workers, parts, &p.syrk)
	p.syrk = syrkTask{}
}

// run computes panels of columns with an equal share of the triangle's area.
func (t *syrkTask) run(part, worker int) {
	s := t.Syrk
	scratch := len(s.Scratch) / t.workers
	s.Scratch = s.Scratch[worker*scratch:][:scratch]
	border := func(part int) int {
		panels := float64(t.n) / packCols * math.Sqrt(float64(part)/float64(t.parts))
		return min(int(panels+0.5)*packCols, t.n)
	}
	to := t.n
	if part < t.parts-1 {
		to = border(part + 1)
	}
	s.run(&t.c, &t.a, t.n, t.k, border(part), to)
}
