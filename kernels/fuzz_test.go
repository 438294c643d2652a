package kernels

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// trialHeader is the number of bytes before the values of a fuzzed trial.
const trialHeader = 10

// fuzzed reads a trial from bytes: which of the kernels, m, n (two bytes each),
// k (two bytes), pad, offset, then which operands are one slice and, in the
// highest bit, typical scalars. The rest are the bits of scalars and operands,
// over and over.
func fuzzed(kernels []*kernel, data []byte) trial {
	var h [trialHeader]byte
	rest := data[copy(h[:], data):]
	k := kernels[int(h[0])%len(kernels)]
	word := func(i int) int { return int(binary.LittleEndian.Uint16(h[i:])) }
	lim := k.class.limit
	c := trial{
		kernel:  k,
		shape:   shape{m: word(1) % lim.m, n: word(3) % lim.n, k: word(5) % lim.k, pad: int(h[7]) % lim.pad},
		offset:  int(h[8] % 16),
		typical: h[9]>>7 == 1,
		origin:  hex.EncodeToString(data),
	}
	if lim.m == 1 {
		c.shape.m = 1
	}
	if pairs := k.overlaps(c.shape); h[9]&1 == 1 && len(pairs) > 0 {
		c.same = pairs[int(h[9]>>1&63)%len(pairs)]
	}
	c.values = func() func() float32 {
		i := 0
		return func() float32 {
			if len(rest) < 4 {
				return 0
			}
			if i+4 > len(rest) {
				i = 0
			}
			x := math.Float32frombits(binary.LittleEndian.Uint32(rest[i:]))
			i += 4
			return x
		}
	}
	return c
}

// fuzz fuzzes one kernel of the table in all its forms, which a word after the
// name tells apart; "Gemm" stands for all forms of the matrix product. One that has
// workers is fuzzed with their number: a byte n for n mod 4 beside the caller.
func fuzz(f *testing.F, name string) {
	var chosen []*kernel
	pooled := false
	for i := range table {
		if n := table[i].name; n == name || strings.HasPrefix(n, name+" ") || name == "Gemm" && strings.HasPrefix(n, name) {
			chosen = append(chosen, &table[i])
			pooled = pooled || table[i].pooled != nil
		}
	}
	keepLevel(f)
	var w workspace
	add := func(data []byte) { f.Add(data) }
	target := any(func(t *testing.T, data []byte) {
		c := fuzzed(chosen, data)
		c.run(t, &w)
	})
	if pooled {
		added, pools := 0, smallPools(f)
		add = func(data []byte) {
			f.Add(data, byte(0))
			f.Add(data, byte(1+added%3))
			added++
		}
		target = func(t *testing.T, data []byte, others byte) {
			c := fuzzed(chosen, data)
			if n := others % 4; n > 0 {
				c.pool = pools[n]
			}
			c.run(t, &w)
		}
	}
	for i, k := range chosen {
		seeds(i, k.class.seeds, add)
	}
	f.Fuzz(target)
}

// seeds adds trials of one kernel: shapes around the widths of vectors and
// blocks, with all special values in turn, then values that round in a tie,
// and a vector of ones that holds a single special value. Then come the class's own
// shapes.
func seeds(kernel int, shapes []shape, add func(data []byte)) {
	head := func(i, m, n, k int) []byte {
		h := []byte{byte(kernel)}
		for _, x := range []int{m, n, k} {
			h = binary.LittleEndian.AppendUint16(h, uint16(x))
		}
		return append(h, byte(i%4), byte(i%16), byte(i<<7|i>>1&7))
	}
	values := func(h []byte, bits ...uint32) []byte {
		for _, b := range bits {
			h = binary.LittleEndian.AppendUint32(h, b)
		}
		return h
	}
	for i, n := range []int{0, 1, 7, 8, 9, 16, 31, 33, 63, 64, 65, 130, 257} {
		add(values(head(i, n%20, n, n), specials...))
		add(values(head(i+1, 3, n, 300-n), 0x3f800001, 0xbf7fffff, 0x39800800, 0x33800000, 0x1f800000))
	}
	ones := make([]uint32, 33)
	for i := range ones {
		ones[i] = 0x3f800000
	}
	for i, s := range specials {
		ones[20] = s
		add(values(head(i, 5, 40+i, 5+i), ones...))
	}
	for i, s := range shapes {
		add(values(head(4*i+s.pad, s.m, s.n, s.k), 0x3f800001, 0xbf7fffff, 0x39800800, 0xbe99999a, 0x40490fdb, 0xbfb504f3,
			0x3dcccccd, 0xc02df854, 0x3f317218, 0xbd1234ab, 0x3fcf1bbd))
	}
}

// FuzzMatrix holds what a matrix panics for against the definition: its last element
// lies outside of its data.
func FuzzMatrix(f *testing.F) {
	for _, s := range [][4]int{
		{3, 4, 5, 14}, {3, 4, 5, 13}, {1, 4, math.MaxInt, 4}, {2, 4, math.MaxInt, 100}, {5, 16, math.MaxInt/2 + 1, 16},
		{math.MaxInt/2 + 1, 4, 4, 0}, {math.MaxInt, 0, 0, 0}, {0, 7, 9, 0}, {-1, 2, 3, 9}, {2, 3, 2, 9}, {2, -1, 3, 9},
	} {
		f.Add(s[0], s[1], s[2], uint16(s[3]))
	}
	data := make([]float32, math.MaxUint16)
	f.Fuzz(func(t *testing.T, rows, cols, stride int, length uint16) {
		m := Matrix{Rows: rows, Cols: cols, Stride: stride, Data: data[:length]}
		fits := rows >= 0 && cols >= 0 && stride >= cols
		if fits && rows > 0 && cols > 0 {
			last := new(big.Int).Mul(big.NewInt(int64(rows-1)), big.NewInt(int64(stride)))
			fits = last.Add(last, big.NewInt(int64(cols))).Cmp(big.NewInt(int64(length))) <= 0
		}
		if fits {
			require.NotPanics(t, m.check)
		} else {
			require.Panics(t, m.check)
		}
	})
}

func FuzzAxpy(f *testing.F)                { fuzz(f, "Axpy") }
func FuzzScale(f *testing.F)               { fuzz(f, "Scale") }
func FuzzEMA(f *testing.F)                 { fuzz(f, "EMA") }
func FuzzDot(f *testing.F)                 { fuzz(f, "Dot") }
func FuzzSum(f *testing.F)                 { fuzz(f, "Sum") }
func FuzzSumSquares(f *testing.F)          { fuzz(f, "SumSquares") }
func FuzzMinMax(f *testing.F)              { fuzz(f, "MinMax") }
func FuzzAllFinite(f *testing.F)           { fuzz(f, "AllFinite") }
func FuzzMinMaxNormalize(f *testing.F)     { fuzz(f, "MinMaxNormalize") }
func FuzzMinMaxEMA(f *testing.F)           { fuzz(f, "MinMaxEMA") }
func FuzzReLU(f *testing.F)                { fuzz(f, "ReLU") }
func FuzzReLUBackward(f *testing.F)        { fuzz(f, "ReLUBackward") }
func FuzzTanh(f *testing.F)                { fuzz(f, "Tanh") }
func FuzzTanhBackward(f *testing.F)        { fuzz(f, "TanhBackward") }
func FuzzSoftmax(f *testing.F)             { fuzz(f, "Softmax") }
func FuzzSoftmaxCrossEntropy(f *testing.F) { fuzz(f, "SoftmaxCrossEntropy") }
func FuzzSGDStep(f *testing.F)             { fuzz(f, "SGDStep") }
func FuzzAdamStep(f *testing.F)            { fuzz(f, "AdamStep") }
func FuzzAMSGradStep(f *testing.F)         { fuzz(f, "AMSGradStep") }
func FuzzAdagradStep(f *testing.F)         { fuzz(f, "AdagradStep") }
func FuzzRMSPropStep(f *testing.F)         { fuzz(f, "RMSPropStep") }
func FuzzLionStep(f *testing.F)            { fuzz(f, "LionStep") }
func FuzzAdaFisherStep(f *testing.F)       { fuzz(f, "AdaFisherStep") }
func FuzzCalibratedStep(f *testing.F)      { fuzz(f, "CalibratedStep") }
func FuzzCalibratedSquares(f *testing.F)   { fuzz(f, "CalibratedSquares") }
func FuzzGer(f *testing.F)                 { fuzz(f, "Ger") }
func FuzzPrecondition(f *testing.F)        { fuzz(f, "Precondition") }
func FuzzColSums(f *testing.F)             { fuzz(f, "ColSums") }
func FuzzColSumSquares(f *testing.F)       { fuzz(f, "ColSumSquares") }
func FuzzTranspose(f *testing.F)           { fuzz(f, "Transpose") }
func FuzzAdd(f *testing.F)                 { fuzz(f, "Add") }
func FuzzSub(f *testing.F)                 { fuzz(f, "Sub") }
func FuzzMul(f *testing.F)                 { fuzz(f, "Mul") }
func FuzzDiv(f *testing.F)                 { fuzz(f, "Div") }
func FuzzMulAdd(f *testing.F)              { fuzz(f, "MulAdd") }
func FuzzScaleAdd(f *testing.F)            { fuzz(f, "ScaleAdd") }
func FuzzCopy(f *testing.F)                { fuzz(f, "Copy") }
func FuzzFill(f *testing.F)                { fuzz(f, "Fill") }
func FuzzClamp(f *testing.F)               { fuzz(f, "Clamp") }
func FuzzAbs(f *testing.F)                 { fuzz(f, "Abs") }
func FuzzL1Norm(f *testing.F)              { fuzz(f, "L1Norm") }
func FuzzL2Norm(f *testing.F)              { fuzz(f, "L2Norm") }
func FuzzMaxAbs(f *testing.F)              { fuzz(f, "MaxAbs") }
func FuzzArgMax(f *testing.F)              { fuzz(f, "ArgMax") }
func FuzzGlobalNorm(f *testing.F)          { fuzz(f, "GlobalNorm") }
func FuzzClipGlobalNorm(f *testing.F)      { fuzz(f, "ClipGlobalNorm") }
func FuzzDropout(f *testing.F)             { fuzz(f, "Dropout") }
func FuzzColAffine(f *testing.F)           { fuzz(f, "ColAffine") }
func FuzzColAffineReLU(f *testing.F)       { fuzz(f, "ColAffineReLU") }
func FuzzBiasReLU(f *testing.F)            { fuzz(f, "BiasReLU") }
func FuzzBiasTanh(f *testing.F)            { fuzz(f, "BiasTanh") }
func FuzzRowSums(f *testing.F)             { fuzz(f, "RowSums") }
func FuzzRowMeanVariance(f *testing.F)     { fuzz(f, "RowMeanVariance") }
func FuzzColMeanVariance(f *testing.F)     { fuzz(f, "ColMeanVariance") }
func FuzzLayerNorm(f *testing.F)           { fuzz(f, "LayerNorm") }
func FuzzLayerNormBackward(f *testing.F)   { fuzz(f, "LayerNormBackward") }
func FuzzOuterProducts(f *testing.F)       { fuzz(f, "OuterProducts") }
func FuzzSyrk(f *testing.F)                { fuzz(f, "Syrk") }
func FuzzGemm(f *testing.F)                { fuzz(f, "Gemm") }

func FuzzConv2dForward(f *testing.F)             { fuzz(f, "Conv2dForward") }
func FuzzConv2dInputGradient(f *testing.F)       { fuzz(f, "Conv2dInputGradient") }
func FuzzConv2dWeightGradient(f *testing.F)      { fuzz(f, "Conv2dWeightGradient") }
func FuzzConv2dPatchSumSquares(f *testing.F)     { fuzz(f, "Conv2dPatchSumSquares") }
func FuzzConv2dPatchSums(f *testing.F)           { fuzz(f, "Conv2dPatchSums") }
func FuzzPooling2dMax(f *testing.F)              { fuzz(f, "Pooling2dMax") }
func FuzzPooling2dMaxBackward(f *testing.F)      { fuzz(f, "Pooling2dMaxBackward") }
func FuzzPooling2dAverage(f *testing.F)          { fuzz(f, "Pooling2dAverage") }
func FuzzPooling2dAverageBackward(f *testing.F)  { fuzz(f, "Pooling2dAverageBackward") }
func FuzzGlobalAveragePool(f *testing.F)         { fuzz(f, "GlobalAveragePool") }
func FuzzGlobalAveragePoolBackward(f *testing.F) { fuzz(f, "GlobalAveragePoolBackward") }

func FuzzExp(f *testing.F)                    { fuzz(f, "Exp") }
func FuzzLog(f *testing.F)                    { fuzz(f, "Log") }
func FuzzSqrt(f *testing.F)                   { fuzz(f, "Sqrt") }
func FuzzRSqrt(f *testing.F)                  { fuzz(f, "RSqrt") }
func FuzzErf(f *testing.F)                    { fuzz(f, "Erf") }
func FuzzSoftplus(f *testing.F)               { fuzz(f, "Softplus") }
func FuzzSigmoid(f *testing.F)                { fuzz(f, "Sigmoid") }
func FuzzSiLU(f *testing.F)                   { fuzz(f, "SiLU") }
func FuzzGELU(f *testing.F)                   { fuzz(f, "GELU") }
func FuzzGELUTanh(f *testing.F)               { fuzz(f, "GELUTanh") }
func FuzzSigmoidBackward(f *testing.F)        { fuzz(f, "SigmoidBackward") }
func FuzzSiLUBackward(f *testing.F)           { fuzz(f, "SiLUBackward") }
func FuzzGELUBackward(f *testing.F)           { fuzz(f, "GELUBackward") }
func FuzzGELUTanhBackward(f *testing.F)       { fuzz(f, "GELUTanhBackward") }
func FuzzLogSoftmax(f *testing.F)             { fuzz(f, "LogSoftmax") }
func FuzzLogSoftmaxBackward(f *testing.F)     { fuzz(f, "LogSoftmaxBackward") }
func FuzzLogSoftmaxRows(f *testing.F)         { fuzz(f, "LogSoftmaxRows") }
func FuzzLogSoftmaxRowsBackward(f *testing.F) { fuzz(f, "LogSoftmaxRowsBackward") }

func FuzzBatchNormBackward(f *testing.F)         { fuzz(f, "BatchNormBackward") }
func FuzzBatchNormReLUBackward(f *testing.F)     { fuzz(f, "BatchNormReLUBackward") }
func FuzzSoftmaxRows(f *testing.F)               { fuzz(f, "SoftmaxRows") }
func FuzzCausalSoftmaxRows(f *testing.F)         { fuzz(f, "CausalSoftmaxRows") }
func FuzzSoftmaxRowsBackward(f *testing.F)       { fuzz(f, "SoftmaxRowsBackward") }
func FuzzCausalSoftmaxRowsBackward(f *testing.F) { fuzz(f, "CausalSoftmaxRowsBackward") }
func FuzzSoftmaxCrossEntropyRows(f *testing.F)   { fuzz(f, "SoftmaxCrossEntropyRows") }
func FuzzSigmoidCrossEntropy(f *testing.F)       { fuzz(f, "SigmoidCrossEntropy") }
func FuzzInvalidIndex(f *testing.F)              { fuzz(f, "InvalidIndex") }
func FuzzCountIndices(f *testing.F)              { fuzz(f, "CountIndices") }
func FuzzGatherRows(f *testing.F)                { fuzz(f, "GatherRows") }
func FuzzScatterAddRows(f *testing.F)            { fuzz(f, "ScatterAddRows") }
func FuzzColMul(f *testing.F)                    { fuzz(f, "ColMul") }
func FuzzColDots(f *testing.F)                   { fuzz(f, "ColDots") }
func FuzzFromFloat16(f *testing.F)               { fuzz(f, "FromFloat16") }
func FuzzPack(f *testing.F)                      { fuzz(f, "Pack") }
func FuzzPackFloat16(f *testing.F)               { fuzz(f, "PackFloat16") }
func FuzzPackTransposed(f *testing.F)            { fuzz(f, "PackTransposed") }
func FuzzToFloat16(f *testing.F)                 { fuzz(f, "ToFloat16") }
