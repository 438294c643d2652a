package main

import (
	"fmt"
	"runtime"
	"time"

	"github.com/nlpodyssey/spago/mat"
	"github.com/viterin/vek/vek32"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/adafisher-go/adafisher/bench/roof"
	"github.com/adafisher-go/adafisher/kernels"
)

var squareSizes = []int{8, 16, 24, 32, 64, 128, 256, 512, 768, 1024, 2048}

// layerShapes are batch, inputs and outputs of layers in training.
var layerShapes = [][3]int{{1, 784, 512}, {32, 784, 512}, {128, 784, 512}, {128, 512, 512}, {128, 512, 10}}

// patient is the size from which the slow contenders sit out.
const patient = 768

// products are the forms of the matrix product: of a forward pass, of the
// gradient of the weights, stored and added, and of the gradient of the input,
// for weights that are inputs x outputs.
var (
	forward     = kernels.Gemm{}
	weights     = kernels.Gemm{TransA: true}
	moreWeights = kernels.Gemm{TransA: true, Accumulate: true}
	inputs      = kernels.Gemm{TransB: true}
)

func productName(g kernels.Gemm) string {
	letter := map[bool]string{false: "N", true: "T"}
	name := "gemm " + letter[g.TransA] + letter[g.TransB]
	if g.Accumulate {
		name += " accumulate"
	}
	return name
}

// productRaces returns the races of matrix products on one core.
func productRaces(p *peers) []race {
	var all []race
	for _, n := range squareSizes {
		all = append(all, product(p, n, n, n, forward))
	}
	for _, s := range layerShapes {
		batch, in, out := s[0], s[1], s[2]
		all = append(all,
			product(p, batch, in, out, forward),
			product(p, in, batch, out, weights),
			product(p, in, batch, out, moreWeights),
			product(p, batch, out, in, inputs))
	}
	return all
}

// outerShapes are rows and columns on both sides of outer products: of batches with the
// inputs and gradients of layers.
var outerShapes = [][3]int{{32, 784, 512}, {128, 784, 512}, {128, 512, 10}}

// outerRaces returns the races of sums of outer products, which are added to a matrix.
func outerRaces(p *peers) []race {
	var all []race
	for _, s := range outerShapes {
		f := newFactors(s[1], s[0], s[2], moreWeights)
		contenders := ours(func() { kernels.OuterProducts(f.c, f.a, f.b, 1) })
		contenders = append(contenders, p.c("gemm", f.operands)...)
		contenders = append(contenders, goPeer(gonum, f.gonum()))
		all = append(all, f.race("outer products", f.roof(), contenders))
	}
	return all
}

// storedShapes are batch, inputs and outputs of layers that predict.
var storedShapes = [][3]int{{1, 784, 512}, {32, 784, 512}, {128, 784, 512}}

// storedRaces returns the races of products with weights that are packed, of float16, or
// both. Others have the weights as they are: OpenBLAS has no packed ones, and plain C the
// float16 ones in rows.
func storedRaces(p *peers) []race {
	var all []race
	for _, s := range storedShapes {
		f := newFactors(s[0], s[1], s[2], forward)
		half := f // B is the same numbers, of float16
		half.operands = new(operands)
		*half.operands = *f.operands
		half.B = allocate(len(f.B) / 2)
		data, halfData := allocate(len(f.B)), view[uint16](allocate(len(f.B)/2), len(f.B))
		numbers := view[uint16](half.B, len(f.B))
		weights := kernels.NewFloat16Matrix(f.K, f.N, numbers)
		var packed kernels.PackedMatrix
		var packedHalf kernels.PackedFloat16Matrix
		// A level has the order that is best for it.
		prepared := func(contenders []contender) []contender {
			for i := range contenders {
				level := contenders[i].prepare
				contenders[i].prepare = func() {
					level()
					kernels.ToFloat16(numbers, f.B)
					packed, packedHalf = kernels.Pack(data, f.b), kernels.PackFloat16(halfData, f.b)
				}
			}
			return contenders
		}
		all = append(all,
			f.race("gemm packed", f.roof(), append(prepared(ours(func() { f.form.MultiplyPacked(f.c, f.a, packed) })), p.c("gemm", f.operands)...)),
			f.race("gemm float16", half.roof(), append(prepared(ours(func() { f.form.MultiplyFloat16(f.c, f.a, weights) })), p.c("gemm_float16", half.operands)...)),
			f.race("gemm packed float16", half.roof(), append(prepared(ours(func() { f.form.MultiplyPackedFloat16(f.c, f.a, packedHalf) })), p.c("gemm_float16", half.operands)...)))
	}
	return all
}

// symmetricShapes are the rows and columns of the matrices of which the factors of
// layers are made.
var symmetricShapes = [][2]int{{32, 64}, {128, 512}, {128, 784}, {1024, 512}}

// symmetricRaces returns the races of symmetric rank-k updates, C = A^T*A.
func symmetricRaces(p *peers) []race {
	var all []race
	for _, s := range symmetricShapes {
		k, n := s[0], s[1]
		o := &operands{M: n, N: n, K: k, TransA: true, A: allocate(k * n), C: allocate(n * n)}
		form := kernels.Syrk{Trans: true, Scratch: allocate(kernels.GemmScratchLarge)}
		a, c := kernels.NewMatrix(k, n, o.A), kernels.NewMatrix(n, n, o.C)
		contenders := ours(func() { form.Multiply(c, a) })
		contenders = append(contenders, p.c("syrk", o)...)
		x, y := blas32.General{Rows: k, Cols: n, Stride: n, Data: o.A}, blas32.Symmetric{N: n, Stride: n, Data: o.C, Uplo: blas.Upper}
		contenders = append(contenders, goPeer(gonum, func() { blas32.Syrk(blas.Trans, 1, x, 0, y) }))
		var top *roofline
		if len(roof.Vectors) > 0 {
			top = fmaRoof(roof.Vectors[0])
		}
		for i := range contenders {
			r := &contenders[i]
			r.kernel, r.roof, r.work, r.within = "syrk", top, float64(n*(n+1)*k), within(r.name, few+sumBound(k))
			r.result = func() { // BLAS leaves the lower triangle alone
				for i := range n {
					for j := range i {
						o.C[i*n+j] = o.C[j*n+i]
					}
				}
			}
		}
		all = append(all, race{contenders: contenders, size: fmt.Sprintf("%d x %d", n, k), unit: "GFLOP/s", operands: o})
	}
	return all
}

// factors is the memory of a product.
type factors struct {
	*operands
	form    kernels.Gemm
	a, b, c kernels.Matrix
}

func newFactors(m, k, n int, form kernels.Gemm) factors {
	// The workspace makes large products fast; small ones don't look at it.
	form.Scratch = allocate(kernels.GemmScratchLarge)
	f := factors{operands: &operands{M: m, N: n, K: k, TransA: form.TransA, TransB: form.TransB}, form: form}
	f.A, f.B, f.C = allocate(m*k), allocate(k*n), allocate(m*n)
	if form.Accumulate {
		f.S[0] = 1
	}
	f.a, f.b, f.c = kernels.NewMatrix(m, k, f.A), kernels.NewMatrix(k, n, f.B), kernels.NewMatrix(m, n, f.C)
	if form.TransA {
		f.a = kernels.NewMatrix(k, m, f.A)
	}
	if form.TransB {
		f.b = kernels.NewMatrix(n, k, f.B)
	}
	return f
}

func (f factors) size() string { return fmt.Sprintf("%d x %d x %d", f.M, f.K, f.N) }

func (f factors) flops() float64 { return 2 * float64(f.M) * float64(f.K) * float64(f.N) }

// product returns the race of an m x k by k x n product.
func product(p *peers, m, k, n int, form kernels.Gemm) race {
	f := newFactors(m, k, n, form)
	hurry := min(m, k, n) >= patient
	contenders := ours(func() { f.form.Multiply(f.c, f.a, f.b) })
	for _, c := range p.c("gemm", f.operands) {
		if !hurry || p.blas != nil && c.name == p.blas.Name {
			contenders = append(contenders, c)
		}
	}
	if !form.TransA && !form.TransB && !hurry && len(p.loops) > 0 {
		tiles := p.loops[len(p.loops)-1]
		if r, ok := tiles.Routine("gemm_tiles"); ok {
			contenders = append(contenders, contender{name: "C intrinsics", run: cpu.every(func(n int) { r.Repeat(f.operands, n) })})
		}
	}
	contenders = append(contenders, goPeer(gonum, f.gonum()))
	if !form.TransA && !form.TransB && !hurry {
		contenders = append(contenders, goPeer(vekName(), func() { vek32.MatMul_Into(f.C, f.A, f.B, k) }))
		x, y := dense(f.A, m, k), dense(f.B, k, n)
		contenders = append(contenders, spagoMaps(f.C, func() mat.Matrix { return x.Mul(y) }))
	}
	r := f.race(productName(form), f.roof(), contenders)
	r.fewer = hurry
	return r
}

// race returns the race of contenders for a product.
func (f factors) race(name string, top *roofline, contenders []contender) race {
	for i := range contenders {
		c := &contenders[i]
		c.kernel, c.roof, c.work, c.within = name, top, f.flops(), within(c.name, few+sumBound(f.K))
	}
	return race{contenders: contenders, size: f.size(), unit: "GFLOP/s", operands: f.operands}
}

// roof is that of multiply-adds, or for a batch of one row that of the weights'
// memory; nil without a probe.
func (f factors) roof() *roofline {
	if len(roof.Vectors) == 0 {
		return nil
	}
	switch {
	case f.M == 1:
		return memoryRoof(roof.Read, f.flops(), f.B)
	case f.K == 1 && f.form.Accumulate:
		return memoryRoof(roof.Modify, f.flops(), f.C)
	case f.K == 1:
		return memoryRoof(roof.Write, f.flops(), f.C)
	}
	return fmaRoof(roof.Vectors[0])
}

func (f factors) gonum() func() {
	form := map[bool]blas.Transpose{false: blas.NoTrans, true: blas.Trans}
	matrix := func(m kernels.Matrix) blas32.General {
		return blas32.General{Rows: m.Rows, Cols: m.Cols, Stride: m.Stride, Data: m.Data}
	}
	a, b, c := matrix(f.a), matrix(f.b), matrix(f.c)
	return func() { blas32.Gemm(form[f.TransA], form[f.TransB], 1, a, b, f.S[0], c) }
}

// workerRaces returns the races of two workers and of one, by the clock on the
// wall; none on a machine with one processor.
func workerRaces(p *peers) ([]race, error) {
	if runtime.NumCPU() < 2 {
		p.missing = append(p.missing, "two workers: the machine has one processor")
		return nil, nil
	}
	pool, err := kernels.NewPool(2)
	if err != nil {
		return nil, err
	}
	var all []race
	for _, n := range []int{256, 512, 1024, 2048} {
		all = append(all, workers(p, pool, n))
	}
	steps, err := workerSteps(p, pool)
	return append(all, steps...), err
}

// rest waits for the threads of other libraries, which look out for work for some time
// after their turn, to sleep.
func rest() {
	setLevel(best())
	time.Sleep(100 * time.Millisecond)
}

func workers(p *peers, pool *kernels.Pool, n int) race {
	f := newFactors(n, n, n, kernels.Gemm{})
	each := f.form // a workspace for each worker
	each.Scratch = allocate(pool.Workers() * kernels.GemmScratchLarge)
	var one, two *roofline
	if len(roof.Vectors) > 0 {
		const passes = 1e6 // long beside the start of a worker
		flops := float64(roof.FMA(roof.Vectors[0], 1) * passes)
		fma := func(int) { roof.FMA(roof.Vectors[0], passes) }
		one = &roofline{[]timed{wall.each(func() { fma(0) })}, flops}
		two = &roofline{[]timed{wall.each(func() { pool.Run(2, fma) })}, 2 * flops}
	}
	level := best()
	// One after the other, as in a training step, products find the workers awake.
	const together = 5e9 // operations
	r := race{size: f.size(), unit: "GFLOP/s", procs: 2, fewer: n >= patient, several: max(2, int(together/f.flops())), operands: f.operands, contenders: []contender{
		{kernel: "gemm NN, 1 worker", name: ourName(level), roof: one, prepare: rest, run: wall.each(func() { f.form.Multiply(f.c, f.a, f.b) })},
		{kernel: "gemm NN, 2 workers", name: ourName(level), roof: two, prepare: rest, run: wall.each(func() { pool.Multiply(each, f.c, f.a, f.b) })},
	}}
	if p.blas != nil {
		if routine, ok := p.blas.Routine("gemm"); ok {
			run := wall.every(func(n int) { routine.Repeat(f.operands, n) })
			for i, our := range r.contenders {
				r.contenders = append(r.contenders, contender{kernel: our.kernel, name: p.blas.Name, roof: our.roof, run: func(runs int) (time.Duration, error) {
					p.blas.SetThreads(1 + i)
					defer p.blas.SetThreads(1)
					return run(runs)
				}})
			}
		}
	}
	r.contenders = append(r.contenders, contender{kernel: r.contenders[1].kernel, name: gonum, roof: two, run: wall.each(f.gonum())})
	for i := range r.contenders {
		c := &r.contenders[i]
		c.work, c.within = f.flops(), within(c.name, few+sumBound(n))
	}
	return r
}
