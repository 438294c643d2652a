package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// The generic level is slow, and its speed hardly depends on the size: it is
// measured at one, the first of so many multiply-adds.
const genericWork = 1 << 10

// benchmark measures a kernel of the table on every level at the sizes of its
// class: bytes/s of the traffic that the algorithm needs, or GFLOP/s.
func benchmark(b *testing.B, name string) {
	keepLevel(b)
	for i := range table {
		k := &table[i]
		if k.name != name {
			continue
		}
		for _, l := range Levels() {
			sizes := k.class.benched
			if l == Generic {
				i := slices.IndexFunc(sizes, func(s shape) bool { return s.m*s.n*max(s.k, 1) >= genericWork })
				sizes = sizes[i : i+1]
			}
			for _, s := range sizes {
				b.Run(fmt.Sprintf("%s/%s", l, sizeName(k, s)), func(b *testing.B) {
					require.NoError(b, SetLevel(l))
					measure(b, k, s)
				})
			}
		}
		return
	}
	b.Fatalf("no kernel %s in the table", name)
}

func sizeName(k *kernel, s shape) string {
	switch k.class {
	case &vectors:
		return fmt.Sprint(s.n)
	case &products:
		return fmt.Sprintf("%dx%dx%d", s.m, s.k, s.n)
	case &symmetric:
		return fmt.Sprintf("%dx%d", s.n, s.k)
	}
	return fmt.Sprintf("%dx%d", s.m, s.n)
}

func measure(b *testing.B, k *kernel, s shape) {
	a := newArgs(k, s)
	if flops := k.flops(s); flops > 0 {
		for b.Loop() {
			k.call(a)
		}
		b.ReportMetric(float64(flops)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		return
	}
	b.SetBytes(int64(k.bytes * s.m * s.n))
	for b.Loop() {
		k.call(a)
	}
}

// newArgs returns aligned operands with typical scalars: positive values below
// one, as curvature factors and second moments are.
func newArgs(k *kernel, s shape) *args {
	var w workspace
	w.layout(k, s, 0)
	r := rand.New(rand.NewPCG(1, 1))
	w.fill(k, func() float32 { return 0.25 + r.Float32()/2 })
	return w.args(s, k.scalars, w.before)
}

func BenchmarkAxpy(b *testing.B)                { benchmark(b, "Axpy") }
func BenchmarkScale(b *testing.B)               { benchmark(b, "Scale") }
func BenchmarkEMA(b *testing.B)                 { benchmark(b, "EMA") }
func BenchmarkDot(b *testing.B)                 { benchmark(b, "Dot") }
func BenchmarkSum(b *testing.B)                 { benchmark(b, "Sum") }
func BenchmarkSumSquares(b *testing.B)          { benchmark(b, "SumSquares") }
func BenchmarkMinMax(b *testing.B)              { benchmark(b, "MinMax") }
func BenchmarkAllFinite(b *testing.B)           { benchmark(b, "AllFinite") }
func BenchmarkMinMaxNormalize(b *testing.B)     { benchmark(b, "MinMaxNormalize") }
func BenchmarkMinMaxEMA(b *testing.B)           { benchmark(b, "MinMaxEMA") }
func BenchmarkReLU(b *testing.B)                { benchmark(b, "ReLU") }
func BenchmarkReLUBackward(b *testing.B)        { benchmark(b, "ReLUBackward") }
func BenchmarkTanh(b *testing.B)                { benchmark(b, "Tanh") }
func BenchmarkTanhBackward(b *testing.B)        { benchmark(b, "TanhBackward") }
func BenchmarkSoftmax(b *testing.B)             { benchmark(b, "Softmax") }
func BenchmarkSoftmaxCrossEntropy(b *testing.B) { benchmark(b, "SoftmaxCrossEntropy") }
func BenchmarkSGDStep(b *testing.B)             { benchmark(b, "SGDStep") }
func BenchmarkAdamStep(b *testing.B)            { benchmark(b, "AdamStep") }
func BenchmarkAMSGradStep(b *testing.B)         { benchmark(b, "AMSGradStep") }
func BenchmarkAdagradStep(b *testing.B)         { benchmark(b, "AdagradStep") }
func BenchmarkRMSPropStep(b *testing.B)         { benchmark(b, "RMSPropStep") }
func BenchmarkLionStep(b *testing.B)            { benchmark(b, "LionStep") }
func BenchmarkAdaFisherStep(b *testing.B)       { benchmark(b, "AdaFisherStep") }
func BenchmarkCalibratedStep(b *testing.B)      { benchmark(b, "CalibratedStep") }
func BenchmarkCalibratedSquares(b *testing.B)   { benchmark(b, "CalibratedSquares") }
func BenchmarkGer(b *testing.B)                 { benchmark(b, "Ger") }
func BenchmarkPrecondition(b *testing.B)        { benchmark(b, "Precondition") }
func BenchmarkColSums(b *testing.B)             { benchmark(b, "ColSums") }
func BenchmarkColSumSquares(b *testing.B)       { benchmark(b, "ColSumSquares") }
func BenchmarkTranspose(b *testing.B)           { benchmark(b, "Transpose") }
func BenchmarkAdd(b *testing.B)                 { benchmark(b, "Add") }
func BenchmarkSub(b *testing.B)                 { benchmark(b, "Sub") }
func BenchmarkMul(b *testing.B)                 { benchmark(b, "Mul") }
func BenchmarkDiv(b *testing.B)                 { benchmark(b, "Div") }
func BenchmarkMulAdd(b *testing.B)              { benchmark(b, "MulAdd") }
func BenchmarkScaleAdd(b *testing.B)            { benchmark(b, "ScaleAdd") }
func BenchmarkCopy(b *testing.B)                { benchmark(b, "Copy") }
func BenchmarkFill(b *testing.B)                { benchmark(b, "Fill") }
func BenchmarkClamp(b *testing.B)               { benchmark(b, "Clamp") }
func BenchmarkAbs(b *testing.B)                 { benchmark(b, "Abs") }
func BenchmarkL1Norm(b *testing.B)              { benchmark(b, "L1Norm") }
func BenchmarkL2Norm(b *testing.B)              { benchmark(b, "L2Norm") }
func BenchmarkMaxAbs(b *testing.B)              { benchmark(b, "MaxAbs") }
func BenchmarkArgMax(b *testing.B)              { benchmark(b, "ArgMax") }
func BenchmarkGlobalNorm(b *testing.B)          { benchmark(b, "GlobalNorm") }
func BenchmarkClipGlobalNorm(b *testing.B)      { benchmark(b, "ClipGlobalNorm") }
func BenchmarkDropout(b *testing.B)             { benchmark(b, "Dropout") }
func BenchmarkColAffine(b *testing.B)           { benchmark(b, "ColAffine") }
func BenchmarkColAffineReLU(b *testing.B)       { benchmark(b, "ColAffineReLU") }
func BenchmarkBiasReLU(b *testing.B)            { benchmark(b, "BiasReLU") }
func BenchmarkBiasTanh(b *testing.B)            { benchmark(b, "BiasTanh") }
func BenchmarkRowSums(b *testing.B)             { benchmark(b, "RowSums") }
func BenchmarkRowMeanVariance(b *testing.B)     { benchmark(b, "RowMeanVariance") }
func BenchmarkColMeanVariance(b *testing.B)     { benchmark(b, "ColMeanVariance") }
func BenchmarkLayerNorm(b *testing.B)           { benchmark(b, "LayerNorm") }
func BenchmarkLayerNormBackward(b *testing.B)   { benchmark(b, "LayerNormBackward") }
func BenchmarkOuterProducts(b *testing.B)       { benchmark(b, "OuterProducts") }
func BenchmarkSyrk(b *testing.B)                { benchmark(b, "Syrk") }
func BenchmarkSyrkTransposed(b *testing.B)      { benchmark(b, "Syrk transposed") }
func BenchmarkGemmNN(b *testing.B)              { benchmark(b, "GemmNN") }
func BenchmarkGemmNT(b *testing.B)              { benchmark(b, "GemmNT") }
func BenchmarkGemmTN(b *testing.B)              { benchmark(b, "GemmTN") }
func BenchmarkGemmTT(b *testing.B)              { benchmark(b, "GemmTT") }

func BenchmarkGlobalAveragePool(b *testing.B)         { benchmark(b, "GlobalAveragePool") }
func BenchmarkGlobalAveragePoolBackward(b *testing.B) { benchmark(b, "GlobalAveragePoolBackward") }

func BenchmarkExp(b *testing.B)                    { benchmark(b, "Exp") }
func BenchmarkLog(b *testing.B)                    { benchmark(b, "Log") }
func BenchmarkSqrt(b *testing.B)                   { benchmark(b, "Sqrt") }
func BenchmarkRSqrt(b *testing.B)                  { benchmark(b, "RSqrt") }
func BenchmarkErf(b *testing.B)                    { benchmark(b, "Erf") }
func BenchmarkSoftplus(b *testing.B)               { benchmark(b, "Softplus") }
func BenchmarkSigmoid(b *testing.B)                { benchmark(b, "Sigmoid") }
func BenchmarkSiLU(b *testing.B)                   { benchmark(b, "SiLU") }
func BenchmarkGELU(b *testing.B)                   { benchmark(b, "GELU") }
func BenchmarkGELUTanh(b *testing.B)               { benchmark(b, "GELUTanh") }
func BenchmarkSigmoidBackward(b *testing.B)        { benchmark(b, "SigmoidBackward") }
func BenchmarkSiLUBackward(b *testing.B)           { benchmark(b, "SiLUBackward") }
func BenchmarkGELUBackward(b *testing.B)           { benchmark(b, "GELUBackward") }
func BenchmarkGELUTanhBackward(b *testing.B)       { benchmark(b, "GELUTanhBackward") }
func BenchmarkLogSoftmax(b *testing.B)             { benchmark(b, "LogSoftmax") }
func BenchmarkLogSoftmaxBackward(b *testing.B)     { benchmark(b, "LogSoftmaxBackward") }
func BenchmarkLogSoftmaxRows(b *testing.B)         { benchmark(b, "LogSoftmaxRows") }
func BenchmarkLogSoftmaxRowsBackward(b *testing.B) { benchmark(b, "LogSoftmaxRowsBackward") }

func BenchmarkBatchNormBackward(b *testing.B)         { benchmark(b, "BatchNormBackward") }
func BenchmarkBatchNormReLUBackward(b *testing.B)     { benchmark(b, "BatchNormReLUBackward") }
func BenchmarkSoftmaxRows(b *testing.B)               { benchmark(b, "SoftmaxRows") }
func BenchmarkCausalSoftmaxRows(b *testing.B)         { benchmark(b, "CausalSoftmaxRows") }
func BenchmarkSoftmaxRowsBackward(b *testing.B)       { benchmark(b, "SoftmaxRowsBackward") }
func BenchmarkCausalSoftmaxRowsBackward(b *testing.B) { benchmark(b, "CausalSoftmaxRowsBackward") }
func BenchmarkSoftmaxCrossEntropyRows(b *testing.B)   { benchmark(b, "SoftmaxCrossEntropyRows") }
func BenchmarkSigmoidCrossEntropy(b *testing.B)       { benchmark(b, "SigmoidCrossEntropy") }
func BenchmarkInvalidIndex(b *testing.B)              { benchmark(b, "InvalidIndex") }
func BenchmarkCountIndices(b *testing.B)              { benchmark(b, "CountIndices") }
func BenchmarkGatherRows(b *testing.B)                { benchmark(b, "GatherRows") }
func BenchmarkScatterAddRows(b *testing.B)            { benchmark(b, "ScatterAddRows") }
func BenchmarkColMul(b *testing.B)                    { benchmark(b, "ColMul") }
func BenchmarkColDots(b *testing.B)                   { benchmark(b, "ColDots") }
func BenchmarkFromFloat16(b *testing.B)               { benchmark(b, "FromFloat16") }
func BenchmarkToFloat16(b *testing.B)                 { benchmark(b, "ToFloat16") }
func BenchmarkPack(b *testing.B)                      { benchmark(b, "Pack") }
func BenchmarkPackFloat16(b *testing.B)               { benchmark(b, "PackFloat16") }
func BenchmarkPackTransposed(b *testing.B)            { benchmark(b, "PackTransposed") }
func BenchmarkGemmFloat16(b *testing.B)               { benchmark(b, "GemmFloat16") }
