package main

import (
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/nlpodyssey/spago/mat"
	"github.com/viterin/vek/vek32"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/adafisher-go/adafisher/bench/roof"
	"github.com/adafisher-go/adafisher/kernels"
)

// A kernel streams over vectors or over the elements of a matrix.
type kernel struct {
	name    string
	pattern roof.Pattern      // what it does to memory
	bytes   float64           // that it must move for an element; 0 for those of the pattern
	shape   func(o *operands) // another one than the size has, and what it needs besides; nil for none
	scalars []float32
	ours    func(o *operands)
	gonum   func(o *operands)           // nil where the library has no such kernel
	vek     func(o *operands)           // the same
	spago   func(o *operands) contender // the same
	c       string                      // routine of plain C and of OpenBLAS
	large   bool                        // measured in memory too
	along   string                      // kernel in whose race it is timed, so that the two compare; "" for one of its own
	within  bound                       // of plain C with -O3; nil for the same bits
	result  func(o *operands)           // brings results into one form, for tests; nil if they are
}

// A bound is how far results may be from ours, in units of 2^-24 of an operand's largest
// number.
type bound func(o *operands) float64

// few is enough for a function that isn't rounded correctly, or a few operations in
// another order.
const few = 8

func approximate(*operands) float64   { return few }
func overAll(o *operands) float64     { return few + sumBound(len(o.A)) }
func overRows(o *operands) float64    { return few + sumBound(o.N) }
func overColumns(o *operands) float64 { return few + sumBound(o.M) }

// sumBound is for n numbers of one sign in another order. n is what it can be; roundings
// that are like random ones come to less than a few roots of n.
func sumBound(n int) float64 { return min(float64(n), few*math.Sqrt(float64(n))) }

// within is how far from ours a contender may be where plain C with -O3 may be as far as
// it says. The other levels have our bits; other libraries may estimate, and don't all
// multiply and add at once.
func within(contender string, plain float64) float64 {
	switch {
	case isOurs(contender):
		return 0
	case contender != exactC:
		plain += few
	}
	return plain
}

// streams returns the operands that a pattern walks over: outputs C, D and E,
// inputs A and B.
func streams(p roof.Pattern, o *operands) [][]float32 {
	switch p {
	case roof.Read:
		return [][]float32{o.A}
	case roof.ReadBoth:
		return [][]float32{o.A, o.B}
	case roof.Write, roof.Modify:
		return [][]float32{o.C}
	case roof.Copy, roof.Update:
		return [][]float32{o.C, o.A}
	case roof.Combine, roof.Accumulate:
		return [][]float32{o.C, o.A, o.B}
	case roof.Update2:
		return [][]float32{o.C, o.D, o.A}
	}
	return [][]float32{o.C, o.D, o.E, o.A}
}

// memoryRoof is the roof of a pattern on its streams, by the best vectors, with
// the work that a contender does meanwhile; nil without a probe.
func memoryRoof(p roof.Pattern, work float64, s ...[]float32) *roofline {
	if len(roof.Vectors) == 0 {
		return nil
	}
	top := &roofline{work: work}
	for _, v := range roof.Vectors {
		top.runs = append(top.runs, cpu.every(func(n int) { p.Run(v, n, s...) }))
	}
	return top
}

// vectorSizes are the sizes of a vector.
var vectorSizes = []struct {
	name string
	m, n int
}{
	{"4 KiB", 16, 64},
	{"256 KiB", 128, 512},
	{"8 MiB", 1024, 2048},
	{"256 MiB", 8192, 8192},
}

const largest = "256 MiB"

// vectorRaces returns the races of all streaming kernels.
func vectorRaces(p *peers) []race {
	var all []race
	for _, size := range vectorSizes {
		var memory *operands // of all kernels
		for _, k := range streaming {
			if size.name == largest && !k.large {
				continue
			}
			if memory == nil {
				memory = newOperands(size.m, size.n)
			}
			r := k.race(p, size.name, memory)
			joins := func(r race) bool { return r.size == size.name && r.contenders[0].kernel == k.along }
			if i := slices.IndexFunc(all, joins); i >= 0 {
				all[i].contenders = append(all[i].contenders, r.contenders...)
				continue
			}
			all = append(all, r)
		}
	}
	return all
}

func (k kernel) race(p *peers, size string, memory *operands) race {
	o := new(operands)
	*o = *memory
	copy(o.S[:], k.scalars)
	if k.shape != nil {
		k.shape(o)
	}
	contenders := ours(func() { k.ours(o) })
	contenders = append(contenders, p.c(k.c, o)...)
	if k.gonum != nil {
		contenders = append(contenders, goPeer(gonum, func() { k.gonum(o) }))
	}
	if k.vek != nil {
		contenders = append(contenders, goPeer(vekName(), func() { k.vek(o) }))
	}
	if k.spago != nil {
		contenders = append(contenders, k.spago(o))
	}
	work := float64(k.pattern.Bytes() * len(o.A))
	top := memoryRoof(k.pattern, work, streams(k.pattern, o)...)
	if k.bytes > 0 {
		work = k.bytes * float64(len(o.A))
	}
	plain := 0.0
	if k.within != nil {
		plain = k.within(o)
	}
	for i := range contenders {
		c := &contenders[i]
		c.kernel, c.roof, c.work, c.within = k.name, top, work, within(c.name, plain)
		if k.result != nil {
			c.result = func() { k.result(o) }
		}
	}
	return race{contenders: contenders, size: size, unit: "GB/s", fewer: size == largest, operands: o}
}

// keepMost is a factor of decay that isn't 1.
const keepMost = 1 - 1e-7

// small is a factor that leaves a sum as it is, so that a run can be repeated.
const small = 1e-9

var (
	fisherParams = kernels.AdaFisherParams{Beta: 0.9, Add: 0.1, Step: small, Lambda: 1e-3, Keep: 1}
	calibParams  = kernels.CalibratedParams{Beta: 0.9, Add: 0.1, Share: 0.9, Step: small, Keep: 1}
	adamParams   = kernels.AdamParams{Beta1: 0.9, Add1: 0.1, Beta2: 0.999, Add2: 0.001, Step: small, Correct2: 1, Epsilon: 1e-8, Keep: 1}
	sgdParams    = kernels.SGDParams{Momentum: 0.9, Add: 1, VelPart: 1, LR: small}
	lionParams   = kernels.LionParams{Beta1: 0.9, Add1: 0.1, Beta2: 0.99, Add2: 0.01, Step: small, Keep: 1 - small}
	gradParams   = kernels.AdagradParams{Step: small, Epsilon: 1e-10}
	calibScalars = []float32{calibParams.Beta, calibParams.Add, calibParams.Share, calibParams.Step, calibParams.Keep}
	rmsParams    = kernels.RMSPropParams{Alpha: 0.99, Add: 0.01, Epsilon: 1e-8, LR: small}
)

// fisherScalars and adamScalars are the parameters in the order of plain C.

func fisherScalars(p kernels.AdaFisherParams) []float32 {
	return []float32{p.Beta, p.Add, p.Step, p.Lambda, p.WeightDecay, p.Keep}
}

func adamScalars(p kernels.AdamParams) []float32 {
	return []float32{p.Beta1, p.Add1, p.Beta2, p.Add2, p.Step, p.Correct2, p.Epsilon, p.WeightDecay, p.Keep}
}

// fisherwParams and adamwParams have decoupled weight decay.
var fisherwParams, adamwParams = decayed(fisherParams, adamParams)

func decayed(f kernels.AdaFisherParams, a kernels.AdamParams) (kernels.AdaFisherParams, kernels.AdamParams) {
	f.Keep, a.Keep = keepMost, keepMost
	return f, a
}

// spagoMap makes a contender of an operation on the first input.
func spagoMap(operation func(x *mat.Dense[float32]) mat.Matrix) func(o *operands) contender {
	return func(o *operands) contender {
		x := dense(o.A)
		return spagoMaps(o.C, func() mat.Matrix { return operation(x) })
	}
}

// spagoPair makes a contender of an operation on both inputs.
func spagoPair(operation func(x, y *mat.Dense[float32]) mat.Matrix) func(o *operands) contender {
	return func(o *operands) contender {
		x, y := dense(o.A), dense(o.B)
		return spagoMaps(o.C, func() mat.Matrix { return operation(x, y) })
	}
}

// unary makes a kernel of a function of one vector.
func unary(f func(dst, x []float32)) func(o *operands) { return func(o *operands) { f(o.C, o.A) } }

// binary makes a kernel of a function of two vectors.
func binary(f func(dst, x, y []float32)) func(o *operands) {
	return func(o *operands) { f(o.C, o.A, o.B) }
}

// reduction makes a kernel of a function of a vector that returns a number.
func reduction(f func(x []float32) float32) func(o *operands) {
	return func(o *operands) { o.Out[0] = f(o.A) }
}

// columns makes a kernel of a function that reduces the rows of a matrix.
func columns(f func(dst, x []float32)) func(o *operands) {
	return func(o *operands) { f(o.E[:o.N], o.A) }
}

var streaming = []kernel{
	{
		name: "axpy", pattern: roof.Update, large: true, c: "axpy", scalars: []float32{small},
		ours:  func(o *operands) { kernels.Axpy(o.C, o.A, o.S[0]) },
		gonum: func(o *operands) { blas32.Axpy(o.S[0], vec(o.A), vec(o.C)) },
	}, {
		name: "scale", pattern: roof.Modify, large: true, c: "scale", scalars: []float32{-1},
		ours:  func(o *operands) { kernels.Scale(o.C, o.C, o.S[0]) },
		gonum: func(o *operands) { blas32.Scal(o.S[0], vec(o.C)) },
		vek:   func(o *operands) { vek32.MulNumber_Inplace(o.C, o.S[0]) },
		spago: func(o *operands) contender {
			x, factor := dense(o.C), float64(o.S[0])
			return goPeer(spago, func() { x.ProdScalarInPlace(factor) })
		},
	}, {
		name: "ema", pattern: roof.Update, large: true, c: "ema", scalars: []float32{0.9, 0.1},
		ours: func(o *operands) { kernels.EMA(o.C, o.A, o.S[0], o.S[1]) },
	}, {
		name: "copy", pattern: roof.Copy, large: true, c: "copy",
		ours:  unary(kernels.Copy),
		gonum: func(o *operands) { blas32.Copy(vec(o.A), vec(o.C)) },
	}, {
		name: "fill", pattern: roof.Write, c: "fill", scalars: []float32{1.5},
		ours: func(o *operands) { kernels.Fill(o.C, o.S[0]) },
		vek:  func(o *operands) { vek32.Repeat_Into(o.C, o.S[0], len(o.C)) },
	}, {
		name: "add", pattern: roof.Combine, large: true, c: "add",
		ours: binary(kernels.Add), vek: binary(into(vek32.Add_Into)),
		spago: spagoPair(func(x, y *mat.Dense[float32]) mat.Matrix { return x.Add(y) }),
	}, {
		name: "sub", pattern: roof.Combine, c: "sub",
		ours: binary(kernels.Sub), vek: binary(into(vek32.Sub_Into)),
		spago: spagoPair(func(x, y *mat.Dense[float32]) mat.Matrix { return x.Sub(y) }),
	}, {
		name: "mul", pattern: roof.Combine, c: "mul",
		ours: binary(kernels.Mul), vek: binary(into(vek32.Mul_Into)),
		spago: spagoPair(func(x, y *mat.Dense[float32]) mat.Matrix { return x.Prod(y) }),
	}, {
		name: "div", pattern: roof.Combine, c: "divide",
		ours: binary(kernels.Div), vek: binary(into(vek32.Div_Into)),
		spago: spagoPair(func(x, y *mat.Dense[float32]) mat.Matrix { return x.Div(y) }),
	}, {
		name: "muladd", pattern: roof.Accumulate, c: "muladd",
		ours: func(o *operands) { kernels.MulAdd(o.C, o.A, o.B, o.C) },
	}, {
		name: "scaleadd", pattern: roof.Combine, c: "scaleadd", scalars: []float32{0.7, -0.3},
		ours: func(o *operands) { kernels.ScaleAdd(o.C, o.A, o.B, o.S[0], o.S[1]) },
	}, {
		name: "clamp", pattern: roof.Copy, c: "clamp", scalars: []float32{0.75, 1.25},
		ours: func(o *operands) { kernels.Clamp(o.C, o.A, o.S[0], o.S[1]) },
	}, {
		name: "abs", pattern: roof.Copy, c: "absolute",
		ours: unary(kernels.Abs), vek: unary(mapInto(vek32.Abs_Into)),
		spago: spagoMap(func(x *mat.Dense[float32]) mat.Matrix { return x.Abs() }),
	}, {
		name: "sqrt", pattern: roof.Copy, c: "squareroot",
		ours: unary(kernels.Sqrt), vek: unary(mapInto(vek32.Sqrt_Into)),
		spago: spagoMap(func(x *mat.Dense[float32]) mat.Matrix { return x.Sqrt() }),
	}, {
		name: "rsqrt", pattern: roof.Copy, within: approximate, c: "rsqrt",
		ours: unary(kernels.RSqrt),
	}, {
		name: "relu", pattern: roof.Copy, large: true, c: "relu",
		ours: unary(kernels.ReLU),
		vek:  func(o *operands) { vek32.MaximumNumber_Into(o.C, o.A, 0) },
	}, {
		name: "relu backward", pattern: roof.Combine, c: "relu_backward",
		ours: binary(kernels.ReLUBackward),
	}, {
		name: "dropout", pattern: roof.Copy, c: "dropout",
		ours: func(o *operands) { kernels.Dropout(o.C, o.A, 0.5, dropoutSeed, 0) },
	}, {
		name: "dot", pattern: roof.ReadBoth, large: true, within: overAll, c: "dot",
		ours:  func(o *operands) { o.Out[0] = kernels.Dot(o.A, o.B) },
		gonum: func(o *operands) { o.Out[0] = blas32.Dot(vec(o.A), vec(o.B)) },
		vek:   func(o *operands) { o.Out[0] = vek32.Dot(o.A, o.B) },
		spago: func(o *operands) contender {
			x, y := dense(o.A), dense(o.B)
			return spagoMaps(o.Out[:1], func() mat.Matrix { return x.DotUnitary(y) })
		},
	}, {
		name: "sum", pattern: roof.Read, large: true, within: overAll, c: "sum",
		ours: reduction(kernels.Sum), vek: reduction(vek32.Sum),
		spago: func(o *operands) contender {
			x := dense(o.A)
			return spagoMaps(o.Out[:1], func() mat.Matrix { return x.Sum() })
		},
	}, {
		name: "sumsquares", pattern: roof.Read, within: overAll, c: "sumsquares",
		ours: reduction(kernels.SumSquares),
	}, {
		name: "l1norm", pattern: roof.Read, within: overAll, c: "l1norm",
		ours:  reduction(kernels.L1Norm),
		gonum: func(o *operands) { o.Out[0] = blas32.Asum(vec(o.A)) },
	}, {
		name: "l2norm", pattern: roof.Read, within: overAll, c: "l2norm",
		ours: reduction(kernels.L2Norm), vek: reduction(vek32.Norm),
		gonum: func(o *operands) { o.Out[0] = blas32.Nrm2(vec(o.A)) },
	}, {
		name: "global norm", pattern: roof.ReadBoth, within: overAll, c: "globalnorm",
		ours: func(o *operands) {
			xs := &[2][]float32{o.A, o.B} // in place: a copy waits for what was just stored
			o.Out[0] = kernels.GlobalNorm(xs[:])
		},
		gonum: func(o *operands) { o.Out[0] = hypot(blas32.Nrm2(vec(o.A)), blas32.Nrm2(vec(o.B))) },
		vek:   func(o *operands) { o.Out[0] = hypot(vek32.Norm(o.A), vek32.Norm(o.B)) },
	}, {
		// A second vector, of one number that is large, keeps the norm what it is: the
		// limit is always passed, by little.
		name: "clip global norm", pattern: roof.Modify, within: overAll, c: "clipglobalnorm", scalars: []float32{1e9, 1e9 - 1e3},
		ours: func(o *operands) {
			o.D[0] = o.S[0]
			xs := &[2][]float32{o.C, o.D[:1]}
			o.Out[0] = kernels.ClipGlobalNorm(xs[:], o.S[1])
		},
		gonum: func(o *operands) {
			o.Out[0] = hypot(blas32.Nrm2(vec(o.C)), o.S[0])
			if o.Out[0] > o.S[1] {
				o.D[0] = o.S[0] * (o.S[1] / o.Out[0])
				blas32.Scal(o.S[1]/o.Out[0], vec(o.C))
			}
		},
		vek: func(o *operands) {
			o.Out[0] = hypot(vek32.Norm(o.C), o.S[0])
			if o.Out[0] > o.S[1] {
				o.D[0] = o.S[0] * (o.S[1] / o.Out[0])
				vek32.MulNumber_Inplace(o.C, o.S[1]/o.Out[0])
			}
		},
	}, {
		name: "maxabs", pattern: roof.Read, c: "maxabs",
		ours:  reduction(kernels.MaxAbs),
		gonum: func(o *operands) { o.Out[0] = float32(math.Abs(float64(o.A[blas32.Iamax(vec(o.A))]))) },
	}, {
		name: "minmax", pattern: roof.Read, large: true, c: "minmax",
		ours: func(o *operands) { o.Out[0], o.Out[1] = kernels.MinMax(o.A) },
		vek:  func(o *operands) { o.Out[0], o.Out[1] = vek32.Min(o.A), vek32.Max(o.A) },
		spago: func(o *operands) contender {
			x := dense(o.A)
			return goPeer(spago, func() { o.Out[0], o.Out[1] = x.Min().Data().F32()[0], x.Max().Data().F32()[0] })
		},
	}, {
		name: "argmax", pattern: roof.Read, c: "argmax",
		ours: func(o *operands) { o.Out[0] = o.A[kernels.ArgMax(o.A)] },
		vek:  func(o *operands) { o.Out[0] = o.A[vek32.ArgMax(o.A)] },
		spago: func(o *operands) contender {
			x := dense(o.A)
			return goPeer(spago, func() { o.Out[0] = o.A[x.ArgMax()] })
		},
	}, {
		name: "allfinite", pattern: roof.Read, c: "allfinite",
		ours: func(o *operands) {
			o.Out[0] = 0
			if kernels.AllFinite(o.A) {
				o.Out[0] = 1
			}
		},
	}, {
		name: "invalid index", pattern: roof.Read, c: "invalid_index", shape: indices,
		ours: func(o *operands) { o.Out[0] = float32(kernels.InvalidIndex(o.Index, o.M)) },
	}, {
		name: "count indices", pattern: roof.Update, c: "count_indices", shape: indices,
		ours: func(o *operands) { kernels.CountIndices(o.C, o.Index) },
	}, {
		name: "from float16", pattern: roof.Copy, bytes: 6, c: "from_float16",
		ours: func(o *operands) { kernels.FromFloat16(o.C, halves(o.A)) },
	}, {
		name: "to float16", pattern: roof.Copy, bytes: 6, c: "to_float16",
		ours: func(o *operands) { kernels.ToFloat16(halves(o.C), o.A) },
	}, {
		name: "minmax normalize", pattern: roof.Copy, c: "minmaxnormalize",
		ours: unary(kernels.MinMaxNormalize),
	}, {
		name: "minmax ema", pattern: roof.Update, c: "minmaxema", scalars: []float32{0.9, 0.1},
		ours: func(o *operands) { kernels.MinMaxEMA(o.C, o.A, o.S[0], o.S[1]) },
	}, {
		name: "exp", pattern: roof.Copy, large: true, within: approximate, c: "exponential",
		ours: unary(kernels.Exp), vek: unary(mapInto(vek32.Exp_Into)),
		spago: spagoMap(func(x *mat.Dense[float32]) mat.Matrix { return x.Exp() }),
	}, {
		name: "log", pattern: roof.Copy, within: approximate, c: "logarithm",
		ours: unary(kernels.Log), vek: unary(mapInto(vek32.Log_Into)),
		spago: spagoMap(func(x *mat.Dense[float32]) mat.Matrix { return x.Log() }),
	}, {
		name: "tanh", pattern: roof.Copy, large: true, within: approximate, c: "hyperbolic_tangent",
		ours: unary(kernels.Tanh),
	}, {
		name: "erf", pattern: roof.Copy, within: approximate, c: "errorfunction",
		ours: unary(kernels.Erf),
	}, {
		name: "sigmoid", pattern: roof.Copy, within: approximate, c: "sigmoid",
		ours:  unary(kernels.Sigmoid),
		spago: spagoMap(func(x *mat.Dense[float32]) mat.Matrix { return x.Sigmoid() }),
	}, {
		name: "silu", pattern: roof.Copy, within: approximate, c: "silu",
		ours: unary(kernels.SiLU),
	}, {
		name: "gelu", pattern: roof.Copy, within: approximate, c: "gelu",
		ours: unary(kernels.GELU),
	}, {
		name: "gelu tanh", pattern: roof.Copy, within: approximate, c: "gelutanh",
		ours: unary(kernels.GELUTanh),
	}, {
		name: "softplus", pattern: roof.Copy, within: approximate, c: "softplus",
		ours: unary(kernels.Softplus),
	}, {
		name: "tanh backward", pattern: roof.Combine, c: "tanh_backward",
		ours: binary(kernels.TanhBackward),
	}, {
		name: "sigmoid backward", pattern: roof.Combine, c: "sigmoid_backward",
		ours: binary(kernels.SigmoidBackward),
	}, {
		name: "silu backward", pattern: roof.Combine, within: approximate, c: "silu_backward",
		ours: binary(kernels.SiLUBackward),
	}, {
		name: "gelu backward", pattern: roof.Combine, within: approximate, c: "gelu_backward",
		ours: binary(kernels.GELUBackward),
	}, {
		name: "gelu tanh backward", pattern: roof.Combine, within: approximate, c: "gelutanh_backward",
		ours: binary(kernels.GELUTanhBackward),
	}, {
		name: "softmax", pattern: roof.Copy, within: overAll, c: "softmax",
		ours:  unary(kernels.Softmax),
		spago: spagoMap(func(x *mat.Dense[float32]) mat.Matrix { return x.Softmax() }),
	}, {
		name: "log softmax", pattern: roof.Copy, within: overAll, c: "logsoftmax",
		ours: unary(kernels.LogSoftmax),
	}, {
		name: "log softmax backward", pattern: roof.Combine, within: overAll, c: "logsoftmax_backward",
		ours: binary(kernels.LogSoftmaxBackward),
	}, {
		name: "softmax cross entropy", pattern: roof.Copy, within: overAll, c: "softmax_cross_entropy", scalars: []float32{1. / 32},
		ours: func(o *operands) { o.Out[0] = kernels.SoftmaxCrossEntropy(o.C, o.A, 0, o.S[0]) },
	}, {
		name: "sigmoid cross entropy", pattern: roof.Combine, within: overAll, c: "sigmoid_cross_entropy", scalars: []float32{1. / 32},
		ours: func(o *operands) {
			o.Out[0] = kernels.SigmoidCrossEntropy(o.C, o.A, o.B, kernels.SigmoidCrossEntropyParams{Scale: o.S[0]})
		},
	}, {
		name: "sgd", pattern: roof.Update2, large: true, c: "sgd", scalars: []float32{sgdParams.Momentum, sgdParams.Add, sgdParams.VelPart, sgdParams.GradPart, sgdParams.LR, sgdParams.WeightDecay},
		ours: func(o *operands) { kernels.SGDStep(o.C, o.D, o.A, sgdParams) },
	}, {
		name: "lion", pattern: roof.Update2, large: true, c: "lion",
		scalars: []float32{lionParams.Beta1, lionParams.Add1, lionParams.Beta2, lionParams.Add2, lionParams.Step, lionParams.Keep},
		ours:    func(o *operands) { kernels.LionStep(o.C, o.D, o.A, lionParams) },
	}, {
		name: "rmsprop", pattern: roof.Update2, large: true, c: "rmsprop",
		scalars: []float32{rmsParams.Alpha, rmsParams.Add, rmsParams.Epsilon, rmsParams.LR, rmsParams.WeightDecay},
		ours:    func(o *operands) { kernels.RMSPropStep(o.C, o.D, nil, nil, o.A, rmsParams) },
	}, {
		name: "adagrad", pattern: roof.Update2, large: true, c: "adagrad",
		scalars: []float32{gradParams.Step, gradParams.Epsilon, gradParams.WeightDecay},
		ours:    func(o *operands) { kernels.AdagradStep(o.C, o.D, o.A, gradParams) },
	}, {
		name: "adafisher", pattern: roof.Update2, large: true, c: "adafisher",
		scalars: fisherScalars(fisherParams),
		ours:    func(o *operands) { kernels.AdaFisherStep(o.C, o.D, o.A, o.Row, o.Col, fisherParams) },
	}, {
		name: "adafisherw", pattern: roof.Update2, large: true, c: "adafisher",
		scalars: fisherScalars(fisherwParams),
		ours:    func(o *operands) { kernels.AdaFisherStep(o.C, o.D, o.A, o.Row, o.Col, fisherwParams) },
	}, {
		name: "calibrated", pattern: roof.Update2, large: true, c: "calibrated",
		scalars: calibScalars,
		ours: func(o *operands) {
			kernels.CalibratedStep(o.C, o.D, o.A, o.Row, o.Col, nil, nil, nil, calibParams)
		},
	}, {
		name: "calibrated centred", pattern: roof.Update2, c: "calibrated_centred",
		scalars: calibScalars,
		ours: func(o *operands) {
			kernels.CalibratedStep(o.C, o.D, o.A, o.Row, o.Col, o.Row, o.Col, o.E[:o.N], calibParams)
		},
	}, {
		name: "calibrated squares", pattern: roof.ReadBoth, within: overRows, c: "calibrated_squares",
		scalars: calibScalars,
		ours: func(o *operands) {
			kernels.CalibratedSquares(o.E[:o.M], o.B, o.A, o.Row, o.Col, nil, nil, calibParams)
		},
	}, {
		name: "adam", pattern: roof.Update3, large: true, along: "adafisher", c: "adam",
		scalars: adamScalars(adamParams),
		ours:    func(o *operands) { kernels.AdamStep(o.C, o.D, o.E, o.A, adamParams) },
	}, {
		name: "adamw", pattern: roof.Update3, large: true, c: "adam",
		scalars: adamScalars(adamwParams),
		ours:    func(o *operands) { kernels.AdamStep(o.C, o.D, o.E, o.A, adamwParams) },
	}, {
		name: "amsgrad", pattern: roof.Update3, bytes: 36, c: "amsgrad", shape: another,
		scalars: adamScalars(adamParams),
		ours:    func(o *operands) { kernels.AMSGradStep(o.C, o.D, o.E, o.F, o.A, adamParams) },
	}, {
		name: "precondition", pattern: roof.Copy, c: "precondition", scalars: []float32{fisherParams.Lambda},
		ours: func(o *operands) { kernels.Precondition(o.C, o.A, o.Row, o.Col, o.S[0]) },
	}, {
		name: "ger", pattern: roof.Modify, large: true, c: "ger", scalars: []float32{small},
		ours: func(o *operands) { kernels.Ger(o.C, o.Row, o.Col, o.S[0]) },
		gonum: func(o *operands) {
			blas32.Ger(o.S[0], vec(o.Row), vec(o.Col), blas32.General{Rows: o.M, Cols: o.N, Stride: o.N, Data: o.C})
		},
	}, {
		name: "colsums", pattern: roof.Read, within: overColumns, c: "colsums",
		ours: columns(kernels.ColSums),
	}, {
		name: "colsumsquares", pattern: roof.Read, large: true, within: overColumns, c: "colsumsquares",
		ours: columns(kernels.ColSumSquares),
	}, {
		name: "col mean variance", pattern: roof.Read, within: overColumns, c: "colmeanvariance",
		ours: func(o *operands) { kernels.ColMeanVariance(o.D[:o.N], o.E[:o.N], o.A) },
	}, {
		name: "rowsums", pattern: roof.Read, within: overRows, c: "rowsums",
		ours: func(o *operands) { kernels.RowSums(o.E[:o.M], o.A) },
	}, {
		name: "row mean variance", pattern: roof.Read, within: overRows, c: "rowmeanvariance",
		ours: func(o *operands) { kernels.RowMeanVariance(o.D[:o.M], o.E[:o.M], o.A) },
	}, {
		name: "layernorm", pattern: roof.Copy, within: overRows, c: "layernorm",
		ours: func(o *operands) { kernels.LayerNorm(o.C, o.D[:o.M], o.E[:o.M], o.A, o.Col, o.Col, 1e-5) },
	}, {
		name: "layernorm backward", pattern: roof.Combine, within: overColumns, c: "layernorm_backward",
		ours: func(o *operands) {
			kernels.LayerNormBackward(o.C, o.D[:o.N], o.E[:o.N], o.A, o.B, o.Row, o.Row, o.Col)
		},
	}, {
		name: "batchnorm backward", pattern: roof.Combine, within: overColumns, c: "batchnorm_backward",
		ours: func(o *operands) {
			kernels.BatchNormBackward(o.C, o.D[:o.N], o.E[:o.N], o.A, o.B, o.Col, o.Col, o.Col)
		},
	}, {
		name: "batchnorm relu backward", pattern: roof.Combine, within: overColumns, c: "batchnorm_relu_backward",
		ours: func(o *operands) {
			kernels.BatchNormReLUBackward(o.C, o.D[:o.N], o.E[:o.N], o.A, o.B, o.Col, o.Col, o.Col, o.Col, o.Col)
		},
	}, {
		name: "colaffine", pattern: roof.Copy, c: "colaffine",
		ours: func(o *operands) { kernels.ColAffine(o.C, o.A, o.Col, o.Col) },
	}, {
		name: "colaffine relu", pattern: roof.Copy, c: "colaffine_relu",
		ours: func(o *operands) { kernels.ColAffineReLU(o.C, o.A, o.Col, o.Col) },
	}, {
		name: "colmul", pattern: roof.Copy, c: "colmul",
		ours: func(o *operands) { kernels.ColMul(o.C, o.A, o.Col) },
	}, {
		name: "coldots", pattern: roof.ReadBoth, within: overColumns, c: "coldots",
		ours: func(o *operands) { kernels.ColDots(o.E[:o.N], o.A, o.B) },
	}, {
		name: "softmax rows", pattern: roof.Copy, within: overRows, c: "softmax_rows",
		ours: func(o *operands) { kernels.SoftmaxRows(matrix(o, o.C), matrix(o, o.A), 1) },
	}, {
		name: "softmax rows backward", pattern: roof.Combine, within: overRows, c: "softmax_rows_backward",
		ours: func(o *operands) { kernels.SoftmaxRowsBackward(matrix(o, o.C), matrix(o, o.A), matrix(o, o.B), 1) },
	}, {
		name: "causal softmax rows", pattern: roof.Copy, bytes: 6, within: overRows, c: "causal_softmax_rows", shape: squares,
		ours: func(o *operands) { kernels.CausalSoftmaxRows(matrix(o, o.C), matrix(o, o.A), 1) },
	}, {
		name: "causal softmax rows backward", pattern: roof.Combine, bytes: 8, within: overRows, c: "causal_softmax_rows_backward", shape: squares,
		ours: func(o *operands) {
			kernels.CausalSoftmaxRowsBackward(matrix(o, o.C), matrix(o, o.A), matrix(o, o.B), 1)
		},
	}, {
		name: "softmax cross entropy rows", pattern: roof.Copy, within: overRows, c: "softmax_cross_entropy_rows", scalars: []float32{1. / 32}, shape: labelled,
		ours: func(o *operands) {
			kernels.SoftmaxCrossEntropyRows(o.E[:o.M], o.C, o.A, view[int](o.Index, o.M), kernels.CrossEntropyParams{Scale: o.S[0]})
		},
	}, {
		name: "log softmax rows", pattern: roof.Copy, within: overRows, c: "logsoftmax_rows",
		ours: func(o *operands) { kernels.LogSoftmaxRows(matrix(o, o.C), matrix(o, o.A)) },
	}, {
		name: "log softmax rows backward", pattern: roof.Combine, within: overRows, c: "logsoftmax_rows_backward",
		ours: func(o *operands) { kernels.LogSoftmaxRowsBackward(matrix(o, o.C), matrix(o, o.A), matrix(o, o.B)) },
	}, {
		name: "bias relu", pattern: roof.Copy, c: "biasrelu",
		ours: func(o *operands) { kernels.BiasReLU(o.C, o.A, o.Col) },
	}, {
		name: "bias tanh", pattern: roof.Copy, within: approximate, c: "biastanh",
		ours: func(o *operands) { kernels.BiasTanh(o.C, o.A, o.Col) },
	}, {
		name: "transpose", pattern: roof.Copy, c: "transpose",
		ours: func(o *operands) {
			kernels.Transpose(kernels.NewMatrix(o.N, o.M, o.C), kernels.NewMatrix(o.M, o.N, o.A))
		},
	}, {
		name: "gather rows", pattern: roof.Copy, c: "gather_rows", shape: tokens,
		ours: func(o *operands) { kernels.GatherRows(matrix(o, o.C), matrix(o, o.A), o.Index) },
	}, {
		name: "scatter add rows", pattern: roof.Update, c: "scatter_add_rows", shape: tokens,
		ours: func(o *operands) { kernels.ScatterAddRows(matrix(o, o.C), matrix(o, o.A), o.Index) },
	}, {
		name: "max pool", pattern: roof.Read, bytes: 6, c: "max_pool", shape: images,
		ours: func(o *operands) { pooling(o).Max(pooled(o, o.C), view[int32](o.D, len(o.A)/4), o.A) },
	}, {
		name: "max pool backward", pattern: roof.Write, bytes: 6, c: "max_pool_backward", shape: images,
		ours: func(o *operands) { pooling(o).MaxBackward(o.C, pooled(o, o.A), view[int32](o.Index, len(o.A)/4)) },
	}, {
		name: "average pool", pattern: roof.Read, bytes: 5, c: "average_pool", shape: images,
		ours: func(o *operands) { pooling(o).Average(pooled(o, o.C), o.A) },
	}, {
		name: "average pool backward", pattern: roof.Write, bytes: 5, c: "average_pool_backward", shape: images,
		ours: func(o *operands) { pooling(o).AverageBackward(o.C, pooled(o, o.A)) },
	}, {
		name: "global average pool", pattern: roof.Read, c: "global_average_pool", shape: wholeImages,
		ours: func(o *operands) { kernels.GlobalAveragePool(o.C[:o.M*o.K], o.A, o.K) },
	}, {
		name: "global average pool backward", pattern: roof.Write, c: "global_average_pool_backward", shape: wholeImages,
		ours: func(o *operands) { kernels.GlobalAveragePoolBackward(o.C, o.A[:o.M*o.K], o.K) },
	}, {
		name: "pack", pattern: roof.Copy, c: "pack",
		result: func(o *operands) { slices.Sort(o.C) }, // levels have orders of their own
		ours:   func(o *operands) { kernels.Pack(o.C, matrix(o, o.A)) },
	}, {
		name: "pack transposed", pattern: roof.Copy, c: "transpose",
		result: func(o *operands) { slices.Sort(o.C) },
		ours:   func(o *operands) { kernels.PackTransposed(o.C, matrix(o, o.A)) },
	}, {
		name: "pack float16", pattern: roof.Copy, bytes: 6, c: "pack_float16",
		result: func(o *operands) { slices.Sort(halves(o.C)) },
		ours:   func(o *operands) { kernels.PackFloat16(halves(o.C), matrix(o, o.A)) },
	},
}

func hypot(x, y float32) float32 { return float32(math.Hypot(float64(x), float64(y))) }

// another makes one vector more.
func another(o *operands) { o.F = allocate(len(o.A)) }

// squares is the shape of the scores of attention: of as many positions as make one
// square or two.
func squares(o *operands) {
	for o.N = 1; 4*o.N*o.N <= len(o.A); o.N *= 2 {
	}
	o.M = len(o.A) / o.N
}

// labelled has a label for each row.
func labelled(o *operands) {
	o.Index = allocate(2 * o.M)
	for i, x := range scattered(o.M, o.N) {
		view[int](o.Index, o.M)[i] = x
	}
}

// tokens is the shape of an embedding: rows of 64, each of which is taken once.
func tokens(o *operands) {
	o.M, o.N = len(o.A)/64, 64
	o.Index = allocate(o.M)
	for i, x := range scattered(o.M, o.M) {
		o.Index[i] = float32(x)
	}
}

// indices is a vector of the indices of as many elements.
func indices(o *operands) {
	o.M, o.N = len(o.A), 1
	o.Index = allocate(o.M)
	for i, x := range scattered(o.M, o.M) {
		o.Index[i] = float32(x)
	}
}

// scattered returns n numbers below a power of two, no two in a row of as many the same.
func scattered(n, below int) []int {
	x := make([]int, n)
	for i := range x {
		x[i] = i * 0x9e3779b1 % below
	}
	return x
}

// images is the shape of pools of 2 x 2 pixels: an image of 8x8x16, or some of 32x32x64.
// Each place in a pool has the maximum of some.
func images(o *operands) {
	o.N, o.K = 4, 16
	if len(o.A) > 4*o.N*o.N*o.K {
		o.N, o.K = 16, 64
	}
	o.M = len(o.A) / (4 * o.N * o.K)
	o.Index = allocate(len(o.A) / 4)
	for i, x := range scattered(len(o.Index), 4) {
		view[int32](o.Index, len(o.Index))[i] = int32(x)
	}
}

func pooling(o *operands) kernels.Pooling2d {
	return kernels.Pooling2d{H: 2 * o.N, W: 2 * o.N, C: o.K, Kernel: [2]int{2, 2}}
}

// pooled is the part of an operand that the pools fill.
func pooled(o *operands, x []float32) []float32 { return x[:len(o.A)/4] }

// wholeImages is the shape of images of 8x8x16, or of 8x8x64.
func wholeImages(o *operands) {
	o.N, o.K = 64, min(len(o.A)/64, 64)
	o.M = len(o.A) / (o.N * o.K)
}

// halves is the memory of a vector for as many float16 numbers.
func halves(x []float32) []uint16 { return view[uint16](x, len(x)) }

// view is the memory of a vector for n numbers of another type.
func view[T any](x []float32, n int) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(x))), n)
}

// matrix returns an operand of a race as its m x n matrix.
func matrix(o *operands, x []float32) kernels.Matrix { return kernels.NewMatrix(o.M, o.N, x) }

// dropoutSeed has the keys that the plain loop holds.
const dropoutSeed = 0

// into and mapInto drop the result of a function of vek32, its destination.
func into(f func(dst, x, y []float32) []float32) func(dst, x, y []float32) {
	return func(dst, x, y []float32) { f(dst, x, y) }
}

func mapInto(f func(dst, x []float32) []float32) func(dst, x []float32) {
	return func(dst, x []float32) { f(dst, x) }
}

// roofRaces returns the roofs themselves: memory at each size, and multiply-adds.
func roofRaces() []race {
	if len(roof.Vectors) == 0 {
		return nil
	}
	var all []race
	for _, size := range vectorSizes {
		memory := newOperands(size.m, size.n)
		r := race{size: size.name, unit: "GB/s", fewer: size.name == largest, operands: memory}
		for _, p := range roof.Patterns() {
			top := memoryRoof(p, float64(p.Bytes()*len(memory.A)), streams(p, memory)...)
			for i, v := range roof.Vectors {
				r.contenders = append(r.contenders, contender{kernel: "roof " + p.String(), name: "roof/" + v, run: top.runs[i], work: top.work})
			}
		}
		all = append(all, r)
	}
	add := func(name, unit string, f func(vectors string, passes int) int) {
		r := race{size: "registers", unit: unit}
		for _, v := range roof.Vectors {
			top := arithmeticRoof(f, v)
			r.contenders = append(r.contenders, contender{kernel: "roof " + name, name: "roof/" + v, run: top.runs[0], work: top.work})
		}
		all = append(all, r)
	}
	add("fma", "GFLOP/s", roof.FMA)
	add("divide", "G/s", roof.Divide)
	add("root", "G/s", roof.Root)
	return all
}

// arithmeticRoof is the roof of one of package roof's loops in registers, with a kind of
// vectors.
func arithmeticRoof(loop func(vectors string, passes int) int, vectors string) *roofline {
	const passes = 1000
	return &roofline{[]timed{cpu.each(func() { loop(vectors, passes) })}, float64(loop(vectors, 1) * passes)}
}

// fmaRoof is the roof of multiply-adds with a kind of vectors.
func fmaRoof(vectors string) *roofline { return arithmeticRoof(roof.FMA, vectors) }

// smallSizes are those of the calls whose cost is that of a call.
var smallSizes = []int{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256}

// smallRaces returns the races of short calls, at every level.
func smallRaces() []race {
	var all []race
	memory := newOperands(1, smallSizes[len(smallSizes)-1])
	for _, n := range smallSizes {
		x, y := memory.A[:n], memory.C[:n]
		for _, k := range []struct {
			name       string
			ours       func(times int)
			gonum, vek func(times int)
		}{
			{
				"axpy",
				func(times int) {
					for range times {
						kernels.Axpy(y, x, small)
					}
				},
				func(times int) {
					for range times {
						blas32.Axpy(small, vec(x), vec(y))
					}
				}, nil,
			}, {
				"dot",
				func(times int) {
					for range times {
						memory.Out[0] = kernels.Dot(x, y)
					}
				},
				func(times int) {
					for range times {
						memory.Out[0] = blas32.Dot(vec(x), vec(y))
					}
				},
				func(times int) {
					for range times {
						memory.Out[0] = vek32.Dot(x, y)
					}
				},
			}, {
				"ema",
				func(times int) {
					for range times {
						kernels.EMA(y, x, 0.9, 0.1)
					}
				}, nil, nil,
			},
		} {
			r := race{size: fmt.Sprintf("n=%d", n), unit: "ns", operands: memory}
			for _, l := range kernels.Levels() {
				r.contenders = append(r.contenders, contender{kernel: k.name, name: ourName(l), prepare: func() { setLevel(l) }, run: cpu.every(k.ours)})
			}
			if k.gonum != nil {
				r.contenders = append(r.contenders, contender{kernel: k.name, name: gonum, run: cpu.every(k.gonum)})
			}
			if k.vek != nil {
				r.contenders = append(r.contenders, contender{kernel: k.name, name: vekName(), run: cpu.every(k.vek)})
			}
			for i := range r.contenders {
				c := &r.contenders[i]
				c.work, c.within = 1, within(c.name, few+sumBound(n))
			}
			all = append(all, r)
		}
	}
	return all
}
