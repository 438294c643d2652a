package main

import (
	"fmt"

	"github.com/viterin/vek"
	"github.com/viterin/vek/vek32"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/adafisher-go/adafisher/bench/roof"
	"github.com/adafisher-go/adafisher/kernels"
)

// A race is one kernel at one size.
type race struct {
	kernel, size string
	unit         string  // of rates: GB/s or GFLOP/s
	work         float64 // bytes or floating-point operations of a run
	contenders   []contender

	roof     func() // does the machine's best on roofWork bytes or operations
	roofWork float64

	operands *operands
}

// A contender does the work of a race on the race's operands.
type contender struct {
	name    string
	prepare func() // before runs that are timed; nil for nothing
	run     func()
}

// operands are the memory of a race. Runs write to c and to the numbers alone,
// and so that they can be repeated without end.
type operands struct {
	a, b, c []float32
	numbers [2]float32
}

func newOperands(a, b, c int) *operands {
	o := &operands{a: make([]float32, a), b: make([]float32, b), c: make([]float32, c)}
	o.reset()
	return o
}

// reset fills the operands with numbers from 0.5 to 1.5.
func (o *operands) reset() {
	for k, s := range [][]float32{o.a, o.b, o.c} {
		for i := range s {
			s[i] = 0.5 + float32((i*(7+2*k)+k)%64)/64
		}
	}
	o.numbers = [2]float32{}
}

// ours returns a contender for each assembly level of this machine, or the
// generic one if it has none.
func ours(run func()) []contender {
	levels := kernels.Levels()
	if len(levels) > 1 {
		levels = levels[1:]
	}
	var all []contender
	for _, l := range levels {
		all = append(all, contender{"adafisher/" + l.String(), func() {
			if err := kernels.SetLevel(l); err != nil {
				panic(err) // Levels listed it
			}
		}, run})
	}
	return all
}

func gonum(run func()) contender { return contender{"gonum", nil, run} }

func vekName() string {
	if vek.Info().Acceleration {
		return "vek32/avx2"
	}
	return "vek32/generic"
}

func viterin(run func()) contender { return contender{vekName(), nil, run} }

// memory completes a race whose roof is a pattern over dst and x, operands of the
// race: the roof is that of the same memory in the same caches.
func (r race) memory(p roof.Pattern, dst, x []float32) race {
	r.unit = "GB/s"
	r.work = float64(p.Bytes() * len(x))
	r.roofWork = r.work
	if roof.Vectors != "" {
		r.roof = func() { p.Run(dst, x) }
	}
	return r
}

// small is a factor that leaves a sum as it is, so that a run can be repeated.
const small = 1e-9

// races returns all comparisons.
func races() []race {
	var all []race
	for _, s := range []struct {
		name string
		n    int
	}{{"4 KiB", 1 << 10}, {"256 KiB", 1 << 16}, {"8 MiB", 1 << 21}} {
		all = append(all, vectors(s.name, s.n)...)
	}
	for _, s := range [][2]int{{16, 64}, {128, 512}, {1024, 2048}} {
		all = append(all, outer(s[0], s[1]))
	}
	for _, n := range []int{16, 32, 64, 128, 256, 512} {
		all = append(all, product(n, n, n, kernels.Gemm{}))
	}
	for _, s := range [][3]int{{1, 784, 512}, {32, 784, 512}, {128, 512, 512}, {128, 512, 10}} {
		batch, in, out := s[0], s[1], s[2]
		all = append(all,
			product(batch, in, out, kernels.Gemm{}),             // forward
			product(in, batch, out, kernels.Gemm{TransA: true}), // gradient of the weights
			product(batch, out, in, kernels.Gemm{TransB: true})) // gradient of the input
	}
	return all
}

// vectors returns the races over vectors of n elements.
func vectors(size string, n int) []race {
	o := newOperands(n, n, n)
	a, c := blas32.Vector{N: n, Inc: 1, Data: o.a}, blas32.Vector{N: n, Inc: 1, Data: o.c}
	b := blas32.Vector{N: n, Inc: 1, Data: o.b}
	return []race{
		race{kernel: "axpy", size: size, operands: o, contenders: append(
			ours(func() { kernels.Axpy(o.c, o.a, small) }),
			gonum(func() { blas32.Axpy(small, a, c) }))}.memory(roof.Update, o.c, o.a),
		race{kernel: "scale", size: size, operands: o, contenders: append(
			ours(func() { kernels.Scale(o.c, o.c, -1) }),
			gonum(func() { blas32.Scal(-1, c) }),
			viterin(func() { vek32.MulNumber_Inplace(o.c, -1) }))}.memory(roof.Modify, o.c, o.c),
		race{kernel: "dot", size: size, operands: o, contenders: append(
			ours(func() { o.numbers[0] = kernels.Dot(o.a, o.b) }),
			gonum(func() { o.numbers[0] = blas32.Dot(a, b) }),
			viterin(func() { o.numbers[0] = vek32.Dot(o.a, o.b) }))}.memory(roof.ReadBoth, o.b, o.a),
		race{kernel: "sum", size: size, operands: o, contenders: append(
			ours(func() { o.numbers[0] = kernels.Sum(o.a) }),
			viterin(func() { o.numbers[0] = vek32.Sum(o.a) }))}.memory(roof.Read, o.a, o.a),
		race{kernel: "minmax", size: size, operands: o, contenders: append(
			ours(func() { o.numbers[0], o.numbers[1] = kernels.MinMax(o.a) }),
			viterin(func() { o.numbers[0], o.numbers[1] = vek32.Min(o.a), vek32.Max(o.a) }))}.memory(roof.Read, o.a, o.a),
	}
}

// outer returns the race of the rank-1 update of an m x n matrix.
func outer(m, n int) race {
	o := newOperands(m, n, m*n)
	x, y := blas32.Vector{N: m, Inc: 1, Data: o.a}, blas32.Vector{N: n, Inc: 1, Data: o.b}
	c := blas32.General{Rows: m, Cols: n, Stride: n, Data: o.c}
	return race{kernel: "ger", size: fmt.Sprintf("%d x %d", m, n), operands: o, contenders: append(
		ours(func() { kernels.Ger(o.c, o.a, o.b, small) }),
		gonum(func() { blas32.Ger(small, x, y, c) }))}.memory(roof.Modify, o.c, o.c)
}

// product returns the race of an m x k by k x n product.
func product(m, k, n int, form kernels.Gemm) race {
	o := newOperands(m*k, k*n, m*n)
	a, b, c := [2]int{m, k}, [2]int{k, n}, kernels.NewMatrix(m, n, o.c)
	letters := []byte("NN")
	transA, transB := blas.NoTrans, blas.NoTrans
	if form.TransA {
		a, letters[0], transA = [2]int{k, m}, 'T', blas.Trans
	}
	if form.TransB {
		b, letters[1], transB = [2]int{n, k}, 'T', blas.Trans
		form.Scratch = make([]float32, kernels.GemmScratch)
	}
	ma, mb := kernels.NewMatrix(a[0], a[1], o.a), kernels.NewMatrix(b[0], b[1], o.b)
	ga := blas32.General{Rows: a[0], Cols: a[1], Stride: a[1], Data: o.a}
	gb := blas32.General{Rows: b[0], Cols: b[1], Stride: b[1], Data: o.b}
	gc := blas32.General{Rows: m, Cols: n, Stride: n, Data: o.c}
	r := race{
		kernel:   "gemm " + string(letters),
		size:     fmt.Sprintf("%d x %d x %d", m, k, n),
		unit:     "GFLOP/s",
		work:     2 * float64(m) * float64(k) * float64(n),
		operands: o,
		contenders: append(
			ours(func() { form.Multiply(c, ma, mb) }),
			gonum(func() { blas32.Gemm(transA, transB, 1, ga, gb, 0, gc) })),
	}
	if !form.TransA && !form.TransB {
		r.contenders = append(r.contenders, viterin(func() { vek32.MatMul_Into(o.c, o.a, o.b, k) }))
	}
	if roof.Vectors != "" {
		const flops = 1 << 20
		r.roofWork = float64(roof.FMA(flops))
		r.roof = func() { roof.FMA(flops) }
	}
	return r
}
