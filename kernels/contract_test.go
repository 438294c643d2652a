package kernels

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMismatchPanics lists every check of the package with its message.
func TestMismatchPanics(t *testing.T) {
	v := func(n int) []float32 { return make([]float32, n) }
	mat := func(rows, cols int) Matrix { return NewMatrix(rows, cols, v(rows*cols)) }
	const (
		axpy      = "kernels: Axpy: lengths of y and x differ"
		adam      = "kernels: AdamStep: lengths of w, m, v and g differ"
		amsGrad   = "kernels: AMSGradStep: lengths of w, m, v, top and g differ"
		adagrad   = "kernels: AdagradStep: lengths of w, s and g differ"
		rmsProp   = "kernels: RMSPropStep: lengths of w, v, a, b and g differ"
		lion      = "kernels: LionStep: lengths of w, m and g differ"
		sgd       = "kernels: SGDStep: lengths of w, v and g differ"
		calibrate = "kernels: CalibratedStep: length of w, m or g is not len(row)*len(col)"
		centre    = "kernels: CalibratedStep: length of mean is not len(row), or of shift or moved not len(col)"
		squares   = "kernels: CalibratedSquares: length of g or m is not len(row)*len(col)"
		squaresTo = "kernels: CalibratedSquares: lengths of dst and row differ"
		squaresOf = "kernels: CalibratedSquares: length of mean is not len(row), or of shift not len(col)"
		fisher    = "kernels: AdaFisherStep: length of w, m or g is not len(row)*len(col)"
		reluBack  = "kernels: ReLUBackward: lengths of dx, dy and y differ"
		tanhBack  = "kernels: TanhBackward: lengths of dx, dy and y differ"
		label     = "kernels: SoftmaxCrossEntropy: label out of range"
		shapes    = "kernels: Gemm: shapes of C, A and B don't match"
		scratch   = "kernels: Gemm: TransB needs Scratch of GemmScratch elements"
		syrk      = "kernels: Syrk: shapes of C and A don't match"
		biasLen   = "kernels: Gemm: length of Bias is not the columns of C"
		plainForm = "kernels: Gemm: no transposed forms with packed or float16 matrices"

		noActivation  = "kernels: Gemm: no such Activation"
		packShort     = "kernels: Pack: data is shorter than the matrix"
		half16Scratch = "kernels: Gemm: products with float16 need Scratch of GemmScratch elements"
		short         = "kernels: matrix data is shorter than its shape needs"
		noRow         = "kernels: Matrix.Row: no such row"
		negative      = "kernels: matrix with a negative dimension"
		transpose     = "kernels: Transpose: shape of dst is not that of the transpose of src"
		colSums       = "kernels: ColSums: length of x is not a multiple of the length of dst"
		colSqSums     = "kernels: ColSumSquares: length of x is not a multiple of the length of dst"

		softmaxBack    = "kernels: SoftmaxRowsBackward: shapes of dx, dy and y differ"
		logSoftmaxBack = "kernels: LogSoftmaxRowsBackward: shapes of dx, dy and y differ"
		causalBack     = "kernels: CausalSoftmaxRowsBackward: shapes of dx, dy and y differ"
		gather         = "kernels: GatherRows: shapes of dst, table and indices don't match"
		scatter        = "kernels: ScatterAddRows: shapes of table, src and indices don't match"

		crossRows      = "kernels: SoftmaxCrossEntropyRows: "
		sigmoidEntropy = "kernels: SigmoidCrossEntropy: "
		batchNormCols  = "kernels: BatchNormBackward: lengths of dgamma, dbeta, mean, rstd and gamma differ"
		batchNormSize  = "kernels: BatchNormBackward: lengths of dx, dy and x differ"
		batchNormRows  = "kernels: BatchNormBackward: length of x is not a multiple of the length of gamma"
		batchReLUCols  = "kernels: BatchNormReLUBackward: lengths of dgamma, dbeta, mean, rstd, gamma, scale and shift differ"
		batchReLUSize  = "kernels: BatchNormReLUBackward: lengths of dx, dy and x differ"
		batchReLURows  = "kernels: BatchNormReLUBackward: length of x is not a multiple of the length of gamma"
	)
	entropy := SoftmaxCrossEntropyRows
	half := Gemm{Scratch: v(GemmScratch)}.MultiplyFloat16
	packedHalf := Gemm{Scratch: v(GemmScratch)}.MultiplyPackedFloat16
	half16 := func(rows, cols int) Float16Matrix { return NewFloat16Matrix(rows, cols, make([]uint16, rows*cols)) }
	tooShort := Matrix{Rows: 2, Cols: 3, Stride: 3, Data: v(5)}
	wraps := Matrix{Rows: 5, Cols: 16, Stride: math.MaxInt/2 + 1, Data: v(16)} // 4 strides are 0 as an int
	for _, c := range []struct {
		message string
		call    func()
	}{
		{axpy, func() { Axpy(v(3), v(4), 1) }},
		{axpy, func() { Axpy(v(4), v(3), 1) }},
		{axpy, func() { Axpy(nil, v(1), 1) }},
		{"kernels: Scale: lengths of dst and x differ", func() { Scale(v(3), v(4), 1) }},
		{"kernels: EMA: lengths of y and x differ", func() { EMA(v(3), v(4), 1, 1) }},
		{"kernels: Dot: lengths of x and y differ", func() { Dot(v(3), v(4)) }},
		{"kernels: MinMaxNormalize: lengths of dst and x differ", func() { MinMaxNormalize(v(3), v(4)) }},
		{"kernels: MinMaxEMA: lengths of y and x differ", func() { MinMaxEMA(v(3), v(4), 1, 1) }},
		{"kernels: ReLU: lengths of dst and x differ", func() { ReLU(v(3), v(4)) }},
		{reluBack, func() { ReLUBackward(v(3), v(4), v(3)) }},
		{reluBack, func() { ReLUBackward(v(3), v(3), v(4)) }},
		{"kernels: Tanh: lengths of dst and x differ", func() { Tanh(v(3), v(4)) }},
		{tanhBack, func() { TanhBackward(v(3), v(4), v(3)) }},
		{tanhBack, func() { TanhBackward(v(3), v(3), v(4)) }},
		{"kernels: Exp: lengths of dst and x differ", func() { Exp(v(3), v(4)) }},
		{"kernels: Log: lengths of dst and x differ", func() { Log(v(3), v(4)) }},
		{"kernels: Sqrt: lengths of dst and x differ", func() { Sqrt(v(3), v(4)) }},
		{"kernels: RSqrt: lengths of dst and x differ", func() { RSqrt(v(3), v(4)) }},
		{"kernels: Erf: lengths of dst and x differ", func() { Erf(v(3), v(4)) }},
		{"kernels: Softplus: lengths of dst and x differ", func() { Softplus(v(3), v(4)) }},
		{"kernels: Sigmoid: lengths of dst and x differ", func() { Sigmoid(v(3), v(4)) }},
		{"kernels: SiLU: lengths of dst and x differ", func() { SiLU(v(3), v(4)) }},
		{"kernels: GELU: lengths of dst and x differ", func() { GELU(v(3), v(4)) }},
		{"kernels: GELUTanh: lengths of dst and x differ", func() { GELUTanh(v(3), v(4)) }},
		{"kernels: SigmoidBackward: lengths of dx, dy and y differ", func() { SigmoidBackward(v(3), v(4), v(3)) }},
		{"kernels: SigmoidBackward: lengths of dx, dy and y differ", func() { SigmoidBackward(v(3), v(3), v(4)) }},
		{"kernels: SiLUBackward: lengths of dx, dy and x differ", func() { SiLUBackward(v(3), v(4), v(3)) }},
		{"kernels: SiLUBackward: lengths of dx, dy and x differ", func() { SiLUBackward(v(3), v(3), v(4)) }},
		{"kernels: GELUBackward: lengths of dx, dy and x differ", func() { GELUBackward(v(3), v(4), v(3)) }},
		{"kernels: GELUBackward: lengths of dx, dy and x differ", func() { GELUBackward(v(3), v(3), v(4)) }},
		{"kernels: GELUTanhBackward: lengths of dx, dy and x differ", func() { GELUTanhBackward(v(3), v(4), v(3)) }},
		{"kernels: GELUTanhBackward: lengths of dx, dy and x differ", func() { GELUTanhBackward(v(3), v(3), v(4)) }},
		{"kernels: Softmax: lengths of dst and x differ", func() { Softmax(v(3), v(4)) }},
		{"kernels: LogSoftmax: lengths of dst and x differ", func() { LogSoftmax(v(3), v(4)) }},
		{"kernels: LogSoftmaxBackward: lengths of dx, dy and y differ", func() { LogSoftmaxBackward(v(3), v(4), v(3)) }},
		{"kernels: LogSoftmaxBackward: lengths of dx, dy and y differ", func() { LogSoftmaxBackward(v(3), v(3), v(4)) }},
		{"kernels: SoftmaxCrossEntropy: lengths of dx and x differ", func() { SoftmaxCrossEntropy(v(3), v(4), 0, 1) }},
		{label, func() { SoftmaxCrossEntropy(v(3), v(3), 3, 1) }},
		{label, func() { SoftmaxCrossEntropy(v(3), v(3), -1, 1) }},
		{label, func() { SoftmaxCrossEntropy(nil, nil, 0, 1) }},
		{sgd, func() { SGDStep(v(3), v(4), v(3), SGDParams{}) }},
		{sgd, func() { SGDStep(v(3), v(3), v(4), SGDParams{}) }},
		{adam, func() { AdamStep(v(3), v(4), v(3), v(3), AdamParams{}) }},
		{adam, func() { AdamStep(v(3), v(3), v(4), v(3), AdamParams{}) }},
		{adam, func() { AdamStep(v(3), v(3), v(3), v(4), AdamParams{}) }},
		{amsGrad, func() { AMSGradStep(v(3), v(4), v(3), v(3), v(3), AdamParams{}) }},
		{amsGrad, func() { AMSGradStep(v(3), v(3), v(4), v(3), v(3), AdamParams{}) }},
		{amsGrad, func() { AMSGradStep(v(3), v(3), v(3), v(4), v(3), AdamParams{}) }},
		{amsGrad, func() { AMSGradStep(v(3), v(3), v(3), v(3), v(4), AdamParams{}) }},
		{adagrad, func() { AdagradStep(v(3), v(4), v(3), AdagradParams{}) }},
		{adagrad, func() { AdagradStep(v(3), v(3), v(4), AdagradParams{}) }},
		{rmsProp, func() { RMSPropStep(v(3), v(4), nil, nil, v(3), RMSPropParams{}) }},
		{rmsProp, func() { RMSPropStep(v(3), v(3), v(4), nil, v(3), RMSPropParams{}) }},
		{rmsProp, func() { RMSPropStep(v(3), v(3), nil, v(4), v(3), RMSPropParams{}) }},
		{rmsProp, func() { RMSPropStep(v(3), v(3), v(3), v(3), v(4), RMSPropParams{}) }},
		{lion, func() { LionStep(v(3), v(4), v(3), LionParams{}) }},
		{lion, func() { LionStep(v(3), v(3), v(4), LionParams{}) }},
		{calibrate, func() { CalibratedStep(v(5), v(6), v(6), v(2), v(3), nil, nil, nil, CalibratedParams{}) }},
		{calibrate, func() { CalibratedStep(v(6), v(5), v(6), v(2), v(3), nil, nil, nil, CalibratedParams{}) }},
		{calibrate, func() { CalibratedStep(v(6), v(6), v(5), v(2), v(3), nil, nil, nil, CalibratedParams{}) }},
		{calibrate, func() { CalibratedStep(v(6), v(6), v(6), v(3), v(3), nil, nil, nil, CalibratedParams{}) }},
		{centre, func() { CalibratedStep(v(6), v(6), v(6), v(2), v(3), v(3), v(3), v(3), CalibratedParams{}) }},
		{centre, func() { CalibratedStep(v(6), v(6), v(6), v(2), v(3), v(2), v(2), v(3), CalibratedParams{}) }},
		{centre, func() { CalibratedStep(v(6), v(6), v(6), v(2), v(3), v(2), v(3), v(2), CalibratedParams{}) }},
		{squares, func() { CalibratedSquares(v(2), nil, v(5), v(2), v(3), nil, nil, CalibratedParams{}) }},
		{squares, func() { CalibratedSquares(v(2), v(5), v(6), v(2), v(3), nil, nil, CalibratedParams{}) }},
		{squaresTo, func() { CalibratedSquares(v(3), nil, v(6), v(2), v(3), nil, nil, CalibratedParams{}) }},
		{squaresOf, func() { CalibratedSquares(v(2), nil, v(6), v(2), v(3), v(3), v(3), CalibratedParams{}) }},
		{squaresOf, func() { CalibratedSquares(v(2), nil, v(6), v(2), v(3), v(2), v(2), CalibratedParams{}) }},
		{fisher, func() { AdaFisherStep(v(5), v(6), v(6), v(2), v(3), AdaFisherParams{}) }},
		{fisher, func() { AdaFisherStep(v(6), v(5), v(6), v(2), v(3), AdaFisherParams{}) }},
		{fisher, func() { AdaFisherStep(v(6), v(6), v(5), v(2), v(3), AdaFisherParams{}) }},
		{fisher, func() { AdaFisherStep(v(6), v(6), v(6), v(3), v(3), AdaFisherParams{}) }},
		{"kernels: Ger: length of a is not len(x)*len(y)", func() { Ger(v(7), v(2), v(3), 1) }},
		{"kernels: Precondition: length of m is not len(row)*len(col)", func() { Precondition(v(6), v(7), v(2), v(3), 1) }},
		{"kernels: Precondition: lengths of dst and m differ", func() { Precondition(v(7), v(6), v(2), v(3), 1) }},
		{colSums, func() { ColSums(v(3), v(4)) }},
		{colSums, func() { ColSums(nil, v(4)) }},
		{colSqSums, func() { ColSumSquares(v(3), v(4)) }},
		{colSqSums, func() { ColSumSquares(nil, v(4)) }},
		{shapes, func() { Gemm{}.Multiply(mat(2, 3), mat(2, 4), mat(5, 3)) }},
		{shapes, func() { Gemm{}.Multiply(mat(3, 3), mat(2, 4), mat(4, 3)) }},
		{shapes, func() { Gemm{}.Multiply(mat(2, 2), mat(2, 4), mat(4, 3)) }},
		{shapes, func() { Gemm{TransA: true}.Multiply(mat(2, 3), mat(2, 4), mat(4, 3)) }},
		{syrk, func() { Syrk{Trans: true}.Multiply(mat(3, 3), mat(3, 2)) }},
		{syrk, func() { Syrk{Trans: true}.Multiply(mat(2, 3), mat(3, 2)) }},
		{syrk, func() { Syrk{Scratch: v(GemmScratch)}.Multiply(mat(3, 2), mat(3, 2)) }},
		{"kernels: Syrk: without Trans it needs Scratch of GemmScratch elements", func() { Syrk{Scratch: v(GemmScratch - 1)}.Multiply(mat(3, 3), mat(3, 2)) }},
		{short, func() { Syrk{Trans: true}.Multiply(mat(3, 3), tooShort) }},
		{short, func() { Syrk{Trans: true}.Multiply(Matrix{Rows: 2, Cols: 2, Stride: 3, Data: v(4)}, mat(5, 2)) }},
		{"kernels: OuterProducts: shapes of A, X and Y don't match", func() { OuterProducts(mat(2, 3), mat(4, 2), mat(5, 3), 1) }},
		{transpose, func() { Transpose(mat(2, 3), mat(2, 3)) }},
		{transpose, func() { Transpose(mat(4, 2), mat(2, 3)) }},
		{short, func() { Transpose(mat(3, 2), Matrix{Rows: 2, Cols: 3, Stride: 4, Data: v(6)}) }},
		{short, func() { Transpose(Matrix{Rows: 3, Cols: 2, Stride: 3, Data: v(7)}, mat(2, 3)) }},
		{biasLen, func() { Gemm{Bias: v(2)}.Multiply(mat(2, 3), mat(2, 4), mat(4, 3)) }},
		{biasLen, func() { Gemm{Bias: v(0)}.Multiply(mat(2, 3), mat(2, 4), mat(4, 3)) }},
		{scratch, func() { Gemm{TransB: true}.Multiply(mat(2, 3), mat(2, 4), mat(3, 4)) }},
		{scratch, func() { Gemm{TransB: true, Scratch: v(GemmScratch - 1)}.Multiply(mat(2, 3), mat(2, 4), mat(3, 4)) }},
		{short, func() { NewMatrix(2, 3, v(5)) }},
		{short, func() { NewMatrix(math.MaxInt/2+1, 4, nil) }},
		{short, func() { NewMatrix(3, math.MaxInt, v(5)) }},
		{short, func() { Gemm{}.Multiply(wraps, mat(5, 4), mat(4, 16)) }},
		{short, func() { Gemm{}.Multiply(mat(5, 16), mat(5, 5), wraps) }},
		{short, func() { Gemm{}.Multiply(mat(5, 16), wraps, mat(16, 16)) }},
		{short, func() { Transpose(mat(16, 5), wraps) }},
		{short, func() { Pack(v(80), wraps) }},
		{short, func() { NewFloat16Matrix(math.MaxInt/2+1, 4, nil) }},
		{noRow, func() { Matrix{Rows: 2, Cols: 3, Stride: 3, Data: v(30)}.Row(2) }},
		{noRow, func() { Matrix{Rows: 2, Cols: 3, Stride: 3, Data: v(30)}.Row(-1) }},
		{short, func() { Gemm{}.Multiply(mat(2, 3), mat(2, 4), Matrix{Rows: 4, Cols: 3, Stride: 5, Data: v(17)}) }},
		{short, func() { Gemm{}.Multiply(mat(2, 3), Matrix{Rows: 2, Cols: 4, Stride: 4, Data: v(7)}, mat(4, 3)) }},
		{short, func() { Gemm{}.Multiply(Matrix{Rows: 2, Cols: 3, Stride: 4, Data: v(6)}, mat(2, 4), mat(4, 3)) }},
		{negative, func() { NewMatrix(-1, 3, nil) }},
		{negative, func() { NewMatrix(1, -3, nil) }},
		{"kernels: matrix stride is less than its columns", func() {
			Gemm{}.Multiply(mat(2, 3), Matrix{Rows: 2, Cols: 4, Stride: 3, Data: v(9)}, mat(4, 3))
		}},
		{"kernels: Add: lengths of dst, x and y differ", func() { Add(v(3), v(4), v(3)) }},
		{"kernels: Add: lengths of dst, x and y differ", func() { Add(v(3), v(3), v(2)) }},
		{"kernels: Sub: lengths of dst, x and y differ", func() { Sub(v(3), v(4), v(3)) }},
		{"kernels: Sub: lengths of dst, x and y differ", func() { Sub(v(3), v(3), v(2)) }},
		{"kernels: Mul: lengths of dst, x and y differ", func() { Mul(v(3), v(4), v(3)) }},
		{"kernels: Mul: lengths of dst, x and y differ", func() { Mul(v(3), v(3), v(2)) }},
		{"kernels: Div: lengths of dst, x and y differ", func() { Div(v(3), v(4), v(3)) }},
		{"kernels: Div: lengths of dst, x and y differ", func() { Div(v(3), v(3), v(2)) }},
		{"kernels: MulAdd: lengths of dst, x, y and z differ", func() { MulAdd(v(3), v(4), v(3), v(3)) }},
		{"kernels: MulAdd: lengths of dst, x, y and z differ", func() { MulAdd(v(3), v(3), v(4), v(3)) }},
		{"kernels: MulAdd: lengths of dst, x, y and z differ", func() { MulAdd(v(3), v(3), v(3), v(4)) }},
		{"kernels: ScaleAdd: lengths of dst, x and y differ", func() { ScaleAdd(v(3), v(4), v(3), 1, 1) }},
		{"kernels: ScaleAdd: lengths of dst, x and y differ", func() { ScaleAdd(v(3), v(3), v(4), 1, 1) }},
		{"kernels: Copy: lengths of dst and x differ", func() { Copy(v(3), v(4)) }},
		{"kernels: Clamp: lengths of dst and x differ", func() { Clamp(v(3), v(4), 0, 1) }},
		{"kernels: Abs: lengths of dst and x differ", func() { Abs(v(3), v(4)) }},
		{"kernels: Dropout: lengths of dst and x differ", func() { Dropout(v(3), v(4), 0.5, 0, 0) }},
		{"kernels: ClipGlobalNorm: limit is negative or NaN", func() { ClipGlobalNorm(nil, -1) }},
		{"kernels: ClipGlobalNorm: limit is negative or NaN", func() { ClipGlobalNorm(nil, float32(math.NaN())) }},
		{"kernels: ColAffine: lengths of dst and x differ", func() { ColAffine(v(6), v(4), v(2), v(2)) }},
		{"kernels: ColAffine: lengths of scale and shift differ", func() { ColAffine(v(6), v(6), v(2), v(3)) }},
		{"kernels: ColAffine: length of x is not a multiple of the length of scale", func() { ColAffine(v(5), v(5), v(2), v(2)) }},
		{"kernels: ColAffine: length of x is not a multiple of the length of scale", func() { ColAffine(v(5), v(5), nil, nil) }},
		{"kernels: ColAffineReLU: lengths of dst and x differ", func() { ColAffineReLU(v(6), v(4), v(2), v(2)) }},
		{"kernels: ColAffineReLU: lengths of scale and shift differ", func() { ColAffineReLU(v(6), v(6), v(2), v(3)) }},
		{"kernels: ColAffineReLU: length of x is not a multiple of the length of scale", func() { ColAffineReLU(v(5), v(5), v(2), v(2)) }},
		{"kernels: ColAffineReLU: length of x is not a multiple of the length of scale", func() { ColAffineReLU(v(5), v(5), nil, nil) }},
		{"kernels: BiasReLU: lengths of dst and x differ", func() { BiasReLU(v(6), v(4), v(2)) }},
		{"kernels: BiasReLU: length of x is not a multiple of the length of bias", func() { BiasReLU(v(5), v(5), v(2)) }},
		{"kernels: BiasReLU: length of x is not a multiple of the length of bias", func() { BiasReLU(v(5), v(5), nil) }},
		{"kernels: BiasTanh: lengths of dst and x differ", func() { BiasTanh(v(6), v(4), v(2)) }},
		{"kernels: BiasTanh: length of x is not a multiple of the length of bias", func() { BiasTanh(v(5), v(5), v(2)) }},
		{"kernels: BiasTanh: length of x is not a multiple of the length of bias", func() { BiasTanh(v(5), v(5), nil) }},
		{"kernels: RowSums: length of x is not a multiple of the length of dst", func() { RowSums(v(2), v(5)) }},
		{"kernels: RowSums: length of x is not a multiple of the length of dst", func() { RowSums(nil, v(5)) }},
		{"kernels: RowMeanVariance: lengths of mean and variance differ", func() { RowMeanVariance(v(2), v(3), v(6)) }},
		{"kernels: RowMeanVariance: length of x is not a multiple of the length of mean", func() { RowMeanVariance(v(2), v(2), v(5)) }},
		{"kernels: RowMeanVariance: length of x is not a multiple of the length of mean", func() { RowMeanVariance(nil, nil, v(5)) }},
		{"kernels: ColMeanVariance: lengths of mean and variance differ", func() { ColMeanVariance(v(2), v(3), v(6)) }},
		{"kernels: ColMeanVariance: length of x is not a multiple of the length of mean", func() { ColMeanVariance(v(2), v(2), v(5)) }},
		{"kernels: ColMeanVariance: length of x is not a multiple of the length of mean", func() { ColMeanVariance(nil, nil, v(5)) }},
		{"kernels: LayerNorm: lengths of mean and rstd differ", func() { LayerNorm(v(6), v(2), v(3), v(6), v(3), v(3), 0) }},
		{"kernels: LayerNorm: lengths of gamma and beta differ", func() { LayerNorm(v(6), v(2), v(2), v(6), v(3), v(2), 0) }},
		{"kernels: LayerNorm: length of dst or x is not len(mean)*len(gamma)", func() { LayerNorm(v(5), v(2), v(2), v(6), v(3), v(3), 0) }},
		{"kernels: LayerNorm: length of dst or x is not len(mean)*len(gamma)", func() { LayerNorm(v(6), v(2), v(2), v(7), v(3), v(3), 0) }},
		{"kernels: LayerNormBackward: lengths of mean and rstd differ", func() { LayerNormBackward(v(6), v(3), v(3), v(6), v(6), v(2), v(3), v(3)) }},
		{"kernels: LayerNormBackward: lengths of dgamma, dbeta and gamma differ", func() { LayerNormBackward(v(6), v(2), v(3), v(6), v(6), v(2), v(2), v(3)) }},
		{"kernels: LayerNormBackward: lengths of dgamma, dbeta and gamma differ", func() { LayerNormBackward(v(6), v(3), v(4), v(6), v(6), v(2), v(2), v(3)) }},
		{"kernels: LayerNormBackward: length of dx, dy or x is not len(mean)*len(gamma)", func() { LayerNormBackward(v(5), v(3), v(3), v(6), v(6), v(2), v(2), v(3)) }},
		{"kernels: LayerNormBackward: length of dx, dy or x is not len(mean)*len(gamma)", func() { LayerNormBackward(v(6), v(3), v(3), v(7), v(6), v(2), v(2), v(3)) }},
		{"kernels: LayerNormBackward: length of dx, dy or x is not len(mean)*len(gamma)", func() { LayerNormBackward(v(6), v(3), v(3), v(6), v(5), v(2), v(2), v(3)) }},
		{batchNormCols, func() { BatchNormBackward(v(6), v(2), v(3), v(6), v(6), v(3), v(3), v(3)) }},
		{batchNormCols, func() { BatchNormBackward(v(6), v(3), v(4), v(6), v(6), v(3), v(3), v(3)) }},
		{batchNormCols, func() { BatchNormBackward(v(6), v(3), v(3), v(6), v(6), v(2), v(3), v(3)) }},
		{batchNormCols, func() { BatchNormBackward(v(6), v(3), v(3), v(6), v(6), v(3), v(4), v(3)) }},
		{batchNormSize, func() { BatchNormBackward(v(5), v(3), v(3), v(6), v(6), v(3), v(3), v(3)) }},
		{batchNormSize, func() { BatchNormBackward([]float32{}, v(3), v(3), v(6), v(6), v(3), v(3), v(3)) }},
		{batchNormSize, func() { BatchNormBackward(nil, v(3), v(3), v(5), v(6), v(3), v(3), v(3)) }},
		{batchNormSize, func() { BatchNormBackward(v(6), v(3), v(3), v(6), v(5), v(3), v(3), v(3)) }},
		{batchNormRows, func() { BatchNormBackward(v(5), v(3), v(3), v(5), v(5), v(3), v(3), v(3)) }},
		{batchNormRows, func() { BatchNormBackward(v(5), nil, nil, v(5), v(5), nil, nil, nil) }},
		{batchReLUCols, func() { BatchNormReLUBackward(v(6), v(2), v(3), v(6), v(6), v(3), v(3), v(3), v(3), v(3)) }},
		{batchReLUCols, func() { BatchNormReLUBackward(v(6), v(3), v(4), v(6), v(6), v(3), v(3), v(3), v(3), v(3)) }},
		{batchReLUCols, func() { BatchNormReLUBackward(v(6), v(3), v(3), v(6), v(6), v(2), v(3), v(3), v(3), v(3)) }},
		{batchReLUCols, func() { BatchNormReLUBackward(v(6), v(3), v(3), v(6), v(6), v(3), v(4), v(3), v(3), v(3)) }},
		{batchReLUSize, func() { BatchNormReLUBackward(v(5), v(3), v(3), v(6), v(6), v(3), v(3), v(3), v(3), v(3)) }},
		{batchReLUSize, func() { BatchNormReLUBackward([]float32{}, v(3), v(3), v(6), v(6), v(3), v(3), v(3), v(3), v(3)) }},
		{batchReLUSize, func() { BatchNormReLUBackward(nil, v(3), v(3), v(5), v(6), v(3), v(3), v(3), v(3), v(3)) }},
		{batchReLUSize, func() { BatchNormReLUBackward(v(6), v(3), v(3), v(6), v(5), v(3), v(3), v(3), v(3), v(3)) }},
		{batchReLURows, func() { BatchNormReLUBackward(v(5), v(3), v(3), v(5), v(5), v(3), v(3), v(3), v(3), v(3)) }},
		{batchReLURows, func() { BatchNormReLUBackward(v(5), nil, nil, v(5), v(5), nil, nil, nil, nil, nil) }},
		{batchReLUCols, func() { BatchNormReLUBackward(v(6), v(3), v(3), v(6), v(6), v(3), v(3), v(3), v(2), v(3)) }},
		{batchReLUCols, func() { BatchNormReLUBackward(v(6), v(3), v(3), v(6), v(6), v(3), v(3), v(3), v(3), v(2)) }},
		{"kernels: SoftmaxRows: shapes of dst and x differ", func() { SoftmaxRows(mat(2, 3), mat(3, 3), 1) }},
		{"kernels: SoftmaxRows: shapes of dst and x differ", func() { SoftmaxRows(mat(2, 3), mat(2, 4), 1) }},
		{"kernels: SoftmaxRows: alpha is negative, infinite or NaN", func() { SoftmaxRows(mat(2, 3), mat(2, 3), -1) }},
		{"kernels: SoftmaxRows: alpha is negative, infinite or NaN", func() { SoftmaxRows(mat(2, 3), mat(2, 3), float32(math.NaN())) }},
		{"kernels: SoftmaxRows: alpha is negative, infinite or NaN", func() { SoftmaxRows(mat(2, 3), mat(2, 3), float32(math.Inf(1))) }},
		{short, func() { SoftmaxRows(mat(2, 3), tooShort, 1) }},
		{short, func() { SoftmaxRows(tooShort, mat(2, 3), 1) }},
		{"kernels: CausalSoftmaxRows: shapes of dst and x differ", func() { CausalSoftmaxRows(mat(3, 3), mat(6, 3), 1) }},
		{"kernels: CausalSoftmaxRows: shapes of dst and x differ", func() { CausalSoftmaxRows(mat(3, 3), mat(3, 1), 1) }},
		{"kernels: CausalSoftmaxRows: alpha is negative, infinite or NaN", func() { CausalSoftmaxRows(mat(3, 3), mat(3, 3), -1) }},
		{"kernels: CausalSoftmaxRows: alpha is negative, infinite or NaN", func() { CausalSoftmaxRows(mat(3, 3), mat(3, 3), float32(math.NaN())) }},
		{"kernels: CausalSoftmaxRows: alpha is negative, infinite or NaN", func() { CausalSoftmaxRows(mat(3, 3), mat(3, 3), float32(math.Inf(1))) }},
		{"kernels: CausalSoftmaxRows: rows are not a multiple of the columns", func() { CausalSoftmaxRows(mat(4, 3), mat(4, 3), 1) }},
		{"kernels: CausalSoftmaxRows: rows are not a multiple of the columns", func() { CausalSoftmaxRows(mat(4, 0), mat(4, 0), 1) }},
		{short, func() { CausalSoftmaxRows(mat(2, 2), Matrix{Rows: 2, Cols: 2, Stride: 4, Data: v(5)}, 1) }},
		{short, func() { CausalSoftmaxRows(Matrix{Rows: 2, Cols: 2, Stride: 4, Data: v(5)}, mat(2, 2), 1) }},
		{softmaxBack, func() { SoftmaxRowsBackward(mat(2, 3), mat(2, 2), mat(2, 3), 1) }},
		{softmaxBack, func() { SoftmaxRowsBackward(mat(2, 3), mat(1, 3), mat(2, 3), 1) }},
		{softmaxBack, func() { SoftmaxRowsBackward(mat(2, 2), mat(2, 3), mat(2, 3), 1) }},
		{softmaxBack, func() { SoftmaxRowsBackward(mat(1, 3), mat(2, 3), mat(2, 3), 1) }},
		{short, func() { SoftmaxRowsBackward(tooShort, mat(2, 3), mat(2, 3), 1) }},
		{short, func() { SoftmaxRowsBackward(mat(2, 3), tooShort, mat(2, 3), 1) }},
		{short, func() { SoftmaxRowsBackward(mat(2, 3), mat(2, 3), tooShort, 1) }},
		{"kernels: LogSoftmaxRows: shapes of dst and x differ", func() { LogSoftmaxRows(mat(2, 3), mat(3, 3)) }},
		{"kernels: LogSoftmaxRows: shapes of dst and x differ", func() { LogSoftmaxRows(mat(2, 3), mat(2, 4)) }},
		{short, func() { LogSoftmaxRows(mat(2, 3), tooShort) }},
		{short, func() { LogSoftmaxRows(tooShort, mat(2, 3)) }},
		{logSoftmaxBack, func() { LogSoftmaxRowsBackward(mat(2, 3), mat(2, 2), mat(2, 3)) }},
		{logSoftmaxBack, func() { LogSoftmaxRowsBackward(mat(2, 3), mat(1, 3), mat(2, 3)) }},
		{logSoftmaxBack, func() { LogSoftmaxRowsBackward(mat(2, 2), mat(2, 3), mat(2, 3)) }},
		{logSoftmaxBack, func() { LogSoftmaxRowsBackward(mat(1, 3), mat(2, 3), mat(2, 3)) }},
		{short, func() { LogSoftmaxRowsBackward(tooShort, mat(2, 3), mat(2, 3)) }},
		{short, func() { LogSoftmaxRowsBackward(mat(2, 3), tooShort, mat(2, 3)) }},
		{short, func() { LogSoftmaxRowsBackward(mat(2, 3), mat(2, 3), tooShort) }},
		{causalBack, func() { CausalSoftmaxRowsBackward(mat(3, 3), mat(6, 3), mat(3, 3), 1) }},
		{causalBack, func() { CausalSoftmaxRowsBackward(mat(3, 3), mat(3, 1), mat(3, 3), 1) }},
		{causalBack, func() { CausalSoftmaxRowsBackward(mat(6, 3), mat(3, 3), mat(3, 3), 1) }},
		{causalBack, func() { CausalSoftmaxRowsBackward(mat(3, 1), mat(3, 3), mat(3, 3), 1) }},
		{"kernels: CausalSoftmaxRowsBackward: rows are not a multiple of the columns", func() { CausalSoftmaxRowsBackward(mat(2, 3), mat(2, 3), mat(2, 3), 1) }},
		{short, func() { CausalSoftmaxRowsBackward(tooShort, mat(2, 3), mat(2, 3), 1) }},
		{short, func() { CausalSoftmaxRowsBackward(mat(2, 3), tooShort, mat(2, 3), 1) }},
		{short, func() { CausalSoftmaxRowsBackward(mat(2, 3), mat(2, 3), tooShort, 1) }},
		{crossRows + "lengths of losses and labels differ", func() { entropy(v(3), v(6), v(6), make([]int, 2), CrossEntropyParams{}) }},
		{crossRows + "lengths of dx and x differ", func() { entropy(v(2), v(5), v(6), make([]int, 2), CrossEntropyParams{}) }},
		{crossRows + "length of x is not a multiple of the length of labels", func() { entropy(v(2), v(5), v(5), make([]int, 2), CrossEntropyParams{}) }},
		{crossRows + "length of x is not a multiple of the length of labels", func() { entropy(nil, v(5), v(5), nil, CrossEntropyParams{}) }},
		{crossRows + "length of Weights is not that of labels", func() { entropy(v(2), v(6), v(6), make([]int, 2), CrossEntropyParams{Weights: v(3)}) }},
		{crossRows + "length of ClassWeights is not the columns of x", func() { entropy(v(2), v(6), v(6), make([]int, 2), CrossEntropyParams{ClassWeights: v(2)}) }},
		{crossRows + "Smoothing is not between 0 and 1", func() { entropy(v(2), v(6), v(6), make([]int, 2), CrossEntropyParams{Smoothing: 1.5}) }},
		{crossRows + "Smoothing is not between 0 and 1", func() { entropy(v(2), v(6), v(6), make([]int, 2), CrossEntropyParams{Smoothing: -0.1}) }},
		{crossRows + "Smoothing is not between 0 and 1", func() { entropy(v(2), v(6), v(6), make([]int, 2), CrossEntropyParams{Smoothing: float32(math.NaN())}) }},
		{crossRows + "label out of range", func() { entropy(v(2), v(6), v(6), []int{2, 3}, CrossEntropyParams{}) }},
		{crossRows + "label out of range", func() { entropy(v(2), v(6), v(6), []int{-1, 0}, CrossEntropyParams{}) }},
		{crossRows + "label out of range", func() { entropy(v(1), nil, nil, []int{0}, CrossEntropyParams{}) }},
		{crossRows + "label out of range", func() { entropy(v(2), v(6), v(6), []int{3, -1}, CrossEntropyParams{Weights: []float32{0, 1}}) }},
		{"kernels: FromFloat16: lengths of dst and x differ", func() { FromFloat16(v(3), make([]uint16, 4)) }},
		{"kernels: ToFloat16: lengths of dst and x differ", func() { ToFloat16(make([]uint16, 3), v(4)) }},
		{shapes, func() { half(mat(2, 3), mat(2, 4), half16(3, 3)) }},
		{shapes, func() { half(mat(2, 3), mat(2, 4), half16(4, 2)) }},
		{shapes, func() { half(mat(1, 3), mat(2, 4), half16(4, 3)) }},
		{biasLen, func() { Gemm{Bias: v(2), Scratch: v(GemmScratch)}.MultiplyFloat16(mat(2, 3), mat(2, 4), half16(4, 3)) }},
		{noActivation, func() {
			Gemm{Activation: ActivationGELUTanh + 1, Scratch: v(GemmScratch)}.MultiplyFloat16(mat(2, 3), mat(2, 4), half16(4, 3))
		}},
		{noActivation, func() { Gemm{Activation: ActivationGELUTanh + 1}.Multiply(mat(2, 3), mat(2, 4), mat(4, 3)) }},
		{noActivation, func() {
			Gemm{Activation: ActivationGELUTanh + 1}.MultiplyPacked(mat(2, 3), mat(2, 4), Pack(v(12), mat(4, 3)))
		}},
		{packShort, func() { Pack(v(11), mat(4, 3)) }},
		{packShort, func() { PackFloat16(make([]uint16, 11), mat(4, 3)) }},
		{short, func() { Pack(v(12), Matrix{Rows: 4, Cols: 3, Stride: 5, Data: v(17)}) }},
		{shapes, func() { Gemm{}.MultiplyPacked(mat(2, 3), mat(2, 4), Pack(v(15), mat(5, 3))) }},
		{shapes, func() { Gemm{}.MultiplyPacked(mat(2, 2), mat(2, 4), Pack(v(12), mat(4, 3))) }},
		{shapes, func() { Gemm{}.MultiplyPacked(mat(3, 3), mat(2, 4), Pack(v(12), mat(4, 3))) }},
		{biasLen, func() { Gemm{Bias: v(2)}.MultiplyPacked(mat(2, 3), mat(2, 4), Pack(v(12), mat(4, 3))) }},
		{plainForm, func() { Gemm{TransA: true}.MultiplyPacked(mat(4, 4), mat(4, 4), Pack(v(16), mat(4, 4))) }},
		{shapes, func() { new(Pool).MultiplyPacked(Gemm{}, mat(2, 3), mat(2, 4), Pack(v(15), mat(5, 3))) }},
		{plainForm, func() { new(Pool).MultiplyPacked(Gemm{TransA: true}, mat(4, 4), mat(4, 4), Pack(v(16), mat(4, 4))) }},
		{plainForm, func() { Gemm{TransB: true}.MultiplyPacked(mat(4, 4), mat(4, 4), Pack(v(16), mat(4, 4))) }},
		{shapes, func() { packedHalf(mat(2, 3), mat(2, 4), PackFloat16(make([]uint16, 15), mat(5, 3))) }},
		{half16Scratch, func() {
			Gemm{Scratch: v(GemmScratch - 1)}.MultiplyPackedFloat16(mat(2, 3), mat(2, 4), PackFloat16(make([]uint16, 12), mat(4, 3)))
		}},
		{half16Scratch, func() { Gemm{Scratch: v(GemmScratch - 1)}.MultiplyFloat16(mat(2, 3), mat(2, 4), half16(4, 3)) }},
		{plainForm, func() {
			Gemm{TransA: true, Scratch: v(GemmScratch)}.MultiplyFloat16(mat(4, 4), mat(4, 4), half16(4, 4))
		}},
		{plainForm, func() {
			Gemm{TransB: true, Scratch: v(GemmScratch)}.MultiplyFloat16(mat(4, 4), mat(4, 4), half16(4, 4))
		}},
		{short, func() {
			half(mat(2, 3), mat(2, 4), Float16Matrix{Rows: 4, Cols: 3, Stride: 5, Data: make([]uint16, 17)})
		}},
		{short, func() { half(tooShort, mat(2, 4), half16(4, 3)) }},
		{short, func() { half(mat(2, 2), tooShort, half16(3, 2)) }},
		{short, func() { NewFloat16Matrix(2, 3, make([]uint16, 5)) }},
		{negative, func() { NewFloat16Matrix(-1, 3, nil) }},
		{"kernels: ColMul: lengths of dst and x differ", func() { ColMul(v(6), v(4), v(2)) }},
		{"kernels: ColMul: length of x is not a multiple of the length of scale", func() { ColMul(v(5), v(5), v(2)) }},
		{"kernels: ColMul: length of x is not a multiple of the length of scale", func() { ColMul(v(5), v(5), nil) }},
		{"kernels: ColDots: lengths of x and y differ", func() { ColDots(v(2), v(6), v(4)) }},
		{"kernels: ColDots: length of x is not a multiple of the length of dst", func() { ColDots(v(2), v(5), v(5)) }},
		{"kernels: ColDots: length of x is not a multiple of the length of dst", func() { ColDots(nil, v(5), v(5)) }},
		{gather, func() { GatherRows(mat(2, 3), mat(4, 3), v(3)) }},
		{gather, func() { GatherRows(mat(2, 3), mat(4, 2), v(2)) }},
		{short, func() { GatherRows(tooShort, mat(4, 3), v(2)) }},
		{short, func() { GatherRows(mat(2, 3), tooShort, v(2)) }},
		{"kernels: GatherRows: index out of range, or not whole", func() { GatherRows(mat(2, 3), mat(4, 3), []float32{3, 4}) }},
		{"kernels: GatherRows: index out of range, or not whole", func() { GatherRows(mat(2, 3), mat(4, 3), []float32{0.5, 0}) }},
		{scatter, func() { ScatterAddRows(mat(4, 3), mat(2, 3), v(3)) }},
		{scatter, func() { ScatterAddRows(mat(4, 2), mat(2, 3), v(2)) }},
		{short, func() { ScatterAddRows(tooShort, mat(2, 3), v(2)) }},
		{short, func() { ScatterAddRows(mat(4, 3), tooShort, v(2)) }},
		{"kernels: ScatterAddRows: index out of range, or not whole", func() { ScatterAddRows(mat(4, 3), mat(2, 3), []float32{-1, 0}) }},
		{"kernels: CountIndices: index out of range, or not whole", func() { CountIndices(v(4), []float32{0, 4}) }},
		{sigmoidEntropy + "lengths of dx, x and targets differ", func() { SigmoidCrossEntropy(v(5), v(6), v(6), SigmoidCrossEntropyParams{}) }},
		{sigmoidEntropy + "lengths of dx, x and targets differ", func() { SigmoidCrossEntropy(v(6), v(6), v(5), SigmoidCrossEntropyParams{}) }},
		{sigmoidEntropy + "length of Weights is not that of x", func() { SigmoidCrossEntropy(v(6), v(6), v(6), SigmoidCrossEntropyParams{Weights: v(5)}) }},
		{sigmoidEntropy + "length of x is not a multiple of the length of PosWeights", func() { SigmoidCrossEntropy(v(6), v(6), v(6), SigmoidCrossEntropyParams{PosWeights: v(4)}) }},
		{sigmoidEntropy + "length of x is not a multiple of the length of PosWeights", func() { SigmoidCrossEntropy(v(6), v(6), v(6), SigmoidCrossEntropyParams{PosWeights: v(0)}) }},
	} {
		require.PanicsWithValue(t, c.message, c.call)
	}
}

func TestMinMaxRules(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	zero := float32(math.Copysign(0, -1))
	eachLevel(t, func(t *testing.T) {
		for _, c := range []struct{ x, want []float32 }{
			{nil, []float32{inf, -inf}},
			{[]float32{nan, nan}, []float32{inf, -inf}},
			{[]float32{nan, 3, nan, -2}, []float32{-2, 3}},
			{[]float32{zero}, []float32{0, 0}},
			{[]float32{0, zero, 5}, []float32{0, 5}},
			{[]float32{inf, 1}, []float32{1, inf}},
			{[]float32{-inf, nan}, []float32{-inf, -inf}},
		} {
			lo, hi := MinMax(c.x)
			require.Equal(t, math.Float32bits(c.want[0]), math.Float32bits(lo), "%v", c.x)
			require.Equal(t, math.Float32bits(c.want[1]), math.Float32bits(hi), "%v", c.x)
		}
	})
}

// TestSumsOfUnderflow: with a lane that is empty, a sum isn't -0, though all products
// underflow to it.
func TestSumsOfUnderflow(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for n := range lanes {
			x, y := make([]float32, n), make([]float32, n)
			for i := range x {
				x[i], y[i] = 1e-30, -1e-30
			}
			require.Equal(t, uint32(0), math.Float32bits(Dot(x, y)), "n=%d", n)
			clear(x)
			require.Equal(t, uint32(0), math.Float32bits(Dot(x, y)), "n=%d", n)
			for i := range x {
				x[i] = float32(math.Copysign(0, -1))
			}
			require.Equal(t, uint32(0), math.Float32bits(Sum(x)), "n=%d", n)
		}
	})
}

// TestAllFinite puts one special value at every place.
func TestAllFinite(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		require.True(t, AllFinite(nil))
		for _, n := range []int{1, 7, 64, 100, chunkLen + 3} {
			x := make([]float32, n)
			for i := range x {
				x[i] = math.MaxFloat32
			}
			require.True(t, AllFinite(x))
			for i := 0; i < n; i += 1 + n/100 {
				for _, bits := range []uint32{0x7f800000, 0xff800000, 0x7fc00000, 0xff800001} {
					x[i] = math.Float32frombits(bits)
					require.False(t, AllFinite(x), "%08x at %d of %d", bits, i, n)
				}
				x[i] = math.MaxFloat32
			}
		}
	})
}

// TestMinMaxNormalize compares with the documented equations; differences and
// quotients of floats are rounded the same by way of float64.
func TestMinMaxNormalize(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	r := rand.New(rand.NewPCG(18, 19))
	random := make([]float64, 200)
	for i := range random {
		random[i] = r.NormFloat64()
	}
	eachLevel(t, func(t *testing.T) {
		for _, values := range [][]float64{
			{}, {5}, {3, 3, 3}, {0, 1, 2, 4}, {-1, 1e-7, 1e-6}, {1e30, -1e30, 0}, {3e38, -3e38, 1}, random,
			{inf, 3, -2}, {-inf, 3, 2}, {inf, -inf}, {inf, inf}, {-inf, inf, 0.25, 7},
			{nan, 1, 2}, {1, nan}, {nan, inf, -inf},
		} {
			x := make([]float32, len(values))
			lo, hi, bad := inf, -inf, false
			replaced := make([]float64, len(values))
			for i, v := range values {
				switch {
				case v == inf:
					v = 1
				case v == -inf:
					v = 0
				}
				x[i], replaced[i] = float32(values[i]), float64(float32(v))
				bad = bad || v != v
				lo, hi = min(lo, replaced[i]), max(hi, replaced[i])
			}
			width := float32(float64(float32(hi-lo)) + float64(float32(1e-6)))
			want := make([]float32, len(x))
			for i, v := range replaced {
				if want[i] = float32(float64(float32(v-lo)) / float64(width)); bad {
					want[i] = float32(nan)
				}
			}
			got := make([]float32, len(x))
			MinMaxNormalize(got, x)
			average := make([]float32, len(x))
			for i := range average {
				average[i] = 0.5
			}
			MinMaxEMA(average, x, 0.25, 0.75)
			for i := range got {
				require.True(t, sameFloat(got[i], want[i]), "%v, element %d: got %g, want %g", values, i, got[i], want[i])
				ema := fmaExact(0.25, 0.5, float32(float64(0.75)*float64(want[i])))
				require.True(t, sameFloat(average[i], ema), "%v, element %d: got %g, want %g", values, i, average[i], ema)
			}
		}
	})
}

func TestReLURules(t *testing.T) {
	inf, nan, zero := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	x := []float32{-1, 0, zero, 2, nan, inf, -inf, -0x1p-149, 0x1p-149}
	want := []float32{0, 0, zero, 2, nan, inf, 0, 0, 0x1p-149}
	dy := []float32{7, 7, 7, 7, 7, nan, nan, -7, zero}
	grad := []float32{0, 0, 0, 7, 0, nan, 0, 0, zero}
	eachLevel(t, func(t *testing.T) {
		y, dx := make([]float32, len(x)), make([]float32, len(x))
		ReLU(y, x)
		ReLUBackward(dx, dy, x)
		for i := range x {
			require.True(t, sameFloat(y[i], want[i]), "ReLU(%g) = %s", x[i], show(y[i]))
			require.True(t, sameFloat(dx[i], grad[i]), "ReLU'(%g)*%g = %s", x[i], dy[i], show(dx[i]))
		}
	})
}

// TestSpecialValues covers infinities, NaN, zeros and the ends of the ranges.
func TestSpecialValues(t *testing.T) {
	inf, nan, zero := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	const least = 0x1p-149
	x := []float32{0, zero, least, -least, inf, -inf, nan, math.MaxFloat32, -math.MaxFloat32}
	for _, c := range []struct {
		name string
		f    func(dst, x []float32)
		want []float32
	}{
		{"Exp", Exp, []float32{1, 1, 1, 1, inf, 0, nan, inf, 0}},
		{"Log", Log, []float32{-inf, -inf, -103.27893, nan, inf, nan, nan, 88.72284, nan}},
		{"Sqrt", Sqrt, []float32{0, zero, 3.743392e-23, nan, inf, nan, nan, 1.8446743e19, nan}},
		{"RSqrt", RSqrt, []float32{inf, -inf, 2.6713738e22, nan, 0, nan, nan, 5.421011e-20, nan}},
		{"Erf", Erf, []float32{0, zero, least, -least, 1, -1, nan, 1, -1}},
		{"Softplus", Softplus, []float32{math.Ln2, math.Ln2, math.Ln2, math.Ln2, inf, 0, nan, math.MaxFloat32, 0}},
		{"Tanh", Tanh, []float32{0, zero, least, -least, 1, -1, nan, 1, -1}},
		{"Sigmoid", Sigmoid, []float32{0.5, 0.5, 0.5, 0.5, 1, 0, nan, 1, 0}},
		{"SiLU", SiLU, []float32{0, zero, 0, zero, inf, zero, nan, math.MaxFloat32, zero}},
		{"GELU", GELU, []float32{0, zero, 0, zero, inf, zero, nan, math.MaxFloat32, zero}},
		{"GELUTanh", GELUTanh, []float32{0, zero, 0, zero, inf, zero, nan, math.MaxFloat32, zero}},
		{"SiLUBackward", derivative(SiLUBackward), []float32{0.5, 0.5, 0.5, 0.5, 1, 0, nan, 1, 0}},
		{"GELUBackward", derivative(GELUBackward), []float32{0.5, 0.5, 0.5, 0.5, 1, 0, nan, 1, 0}},
		{"GELUTanhBackward", derivative(GELUTanhBackward), []float32{0.5, 0.5, 0.5, 0.5, 1, 0, nan, 1, 0}},
	} {
		eachLevel(t, func(t *testing.T) {
			got := make([]float32, len(x))
			c.f(got, x)
			for i := range x {
				require.True(t, sameFloat(got[i], c.want[i]), "%s(%s): want %s, got %s", c.name, show(x[i]), show(c.want[i]), show(got[i]))
			}
		})
	}
	eachLevel(t, func(t *testing.T) {
		y := make([]float32, 4)
		Exp(y, []float32{88.72283, 88.72284, -103.97207, -103.97209})
		require.Equal(t, []float32{3.4027985e38, inf, least, 0}, y)
	})
}

// derivative is a backward kernel as a function of its input alone.
func derivative(f func(dx, dy, x []float32)) func(dst, x []float32) {
	return func(dst, x []float32) {
		for i := range dst {
			dst[i] = 1
		}
		f(dst, dst, x)
	}
}

func TestSoftmaxRules(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		for _, bad := range []float32{nan, inf} {
			x := []float32{1, 2, bad, 3, -4}
			y := make([]float32, len(x))
			Softmax(y, x)
			for i := range y {
				require.True(t, y[i] != y[i], "softmax of %v: %v", x, y)
			}
			LogSoftmax(y, x)
			for i := range y {
				require.True(t, y[i] != y[i], "log-softmax of %v: %v", x, y)
			}
			require.True(t, math.IsNaN(float64(SoftmaxCrossEntropy(y, x, 0, 1))))
		}
		y := make([]float32, 3)
		Softmax(y, []float32{-inf, 2, 2})
		require.Equal(t, []float32{0, 0.5, 0.5}, y)
		LogSoftmax(y, []float32{-inf, 2, 2})
		require.Equal(t, []float32{-inf, -math.Ln2, -math.Ln2}, y)
		LogSoftmaxBackward(y, []float32{4, 1, -1}, []float32{-inf, 0, -inf})
		require.Equal(t, []float32{4, -3, -1}, y)
		loss := SoftmaxCrossEntropy(y, []float32{-inf, 2, 2}, 0, 1)
		require.Equal(t, inf, loss)
		require.Equal(t, []float32{-1, 0.5, 0.5}, y)
		require.Zero(t, SoftmaxCrossEntropy(y[:1], []float32{-3}, 0, 1))
		require.Zero(t, y[0])
	})
}

// eachLevel runs f on every level.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	keepLevel(t)
	for _, l := range Levels() {
		t.Run(l.String(), func(t *testing.T) {
			require.NoError(t, SetLevel(l))
			f(t)
		})
	}
}

// TestEveryKernelIsTested holds the exported functions against the table, the
// fuzz targets and the benchmarks, and the methods against what tests call.
func TestEveryKernelIsTested(t *testing.T) {
	exported, tests := map[string]bool{}, map[string]bool{}
	methods, called := map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		test := strings.HasSuffix(name, "_test.go")
		if test {
			ast.Inspect(file, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					if method, ok := call.Fun.(*ast.SelectorExpr); ok {
						called[method.Sel.Name] = true
					}
				}
				return true
			})
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			if f.Recv != nil {
				methods[f.Name.Name] = true
			} else if test {
				tests[f.Name.Name] = true
			} else {
				exported[f.Name.Name] = true
			}
		}
	}
	for _, name := range []string{"NewMatrix", "NewFloat16Matrix", "NewPool", "ParseLevel", "Levels", "CurrentLevel", "SetLevel"} {
		require.Contains(t, exported, name)
		delete(exported, name)
	}
	rows := map[string]bool{}
	for _, k := range table {
		require.False(t, rows[k.name], "%s is in the table twice", k.name)
		rows[k.name] = true
	}
	for name := range exported {
		require.Contains(t, rows, name, "table")
		require.Contains(t, tests, "Fuzz"+name)
		require.Contains(t, tests, "Benchmark"+name)
	}
	for name := range methods {
		require.True(t, called[name], "no test calls the method %s", name)
	}
}
