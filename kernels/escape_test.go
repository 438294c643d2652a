package kernels

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestArgumentsDoNotEscape passes slices of local arrays: they stay on the
// stack, whatever the level.
func TestArgumentsDoNotEscape(t *testing.T) {
	const n = 64
	type array = [n]float32
	c := Conv2d{H: 4, W: 4, C: 4, Out: 4, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}}
	scratch := make([]float32, c.Scratch(1)) // too large for the stack
	calls := map[string]func(){
		"Axpy":            func() { var y, x array; Axpy(y[:], x[:], 2) },
		"Scale":           func() { var y, x array; Scale(y[:], x[:], 2) },
		"EMA":             func() { var y, x array; EMA(y[:], x[:], 0.9, 0.1) },
		"Dot":             func() { var y, x array; Dot(y[:], x[:]) },
		"Sum":             func() { var x array; Sum(x[:]) },
		"SumSquares":      func() { var x array; SumSquares(x[:]) },
		"MinMax":          func() { var x array; MinMax(x[:]) },
		"AllFinite":       func() { var x array; AllFinite(x[:]) },
		"MinMaxNormalize": func() { var y, x array; MinMaxNormalize(y[:], x[:]) },
		"MinMaxEMA":       func() { var y, x array; MinMaxEMA(y[:], x[:], 0.9, 0.1) },
		"ReLU":            func() { var y, x array; ReLU(y[:], x[:]) },
		"ReLUBackward":    func() { var dx, dy, y array; ReLUBackward(dx[:], dy[:], y[:]) },
		"Tanh":            func() { var y, x array; Tanh(y[:], x[:]) },
		"TanhBackward":    func() { var dx, dy, y array; TanhBackward(dx[:], dy[:], y[:]) },
		"Softmax":         func() { var y, x array; Softmax(y[:], x[:]) },
		"SoftmaxCrossEntropy": func() {
			var y, x array
			SoftmaxCrossEntropy(y[:], x[:], 3, 1)
		},
		"SGDStep":  func() { var w, v, g array; SGDStep(w[:], v[:], g[:], SGDParams{}) },
		"AdamStep": func() { var w, m, v, g array; AdamStep(w[:], m[:], v[:], g[:], AdamParams{}) },
		"AdaFisherStep": func() {
			var w, m, g array
			var row, col [8]float32
			AdaFisherStep(w[:], m[:], g[:], row[:], col[:], AdaFisherParams{})
		},
		"CalibratedStep": func() {
			var w, m, g array
			var row, col, mean, shift, moved [8]float32
			CalibratedStep(w[:], m[:], g[:], row[:], col[:], mean[:], shift[:], moved[:], CalibratedParams{})
		},
		"CalibratedSquares": func() {
			var m, g array
			var dst, row, col, mean, shift [8]float32
			CalibratedSquares(dst[:], m[:], g[:], row[:], col[:], mean[:], shift[:], CalibratedParams{})
		},
		"Ger": func() { var a array; var x, y [8]float32; Ger(a[:], x[:], y[:], 2) },
		"Precondition": func() {
			var dst, m array
			var row, col [8]float32
			Precondition(dst[:], m[:], row[:], col[:], 1)
		},
		"ColSums":       func() { var x array; var dst [8]float32; ColSums(dst[:], x[:]) },
		"ColSumSquares": func() { var x array; var dst [8]float32; ColSumSquares(dst[:], x[:]) },
		"Transpose":     func() { var dst, src array; Transpose(NewMatrix(8, 8, dst[:]), NewMatrix(8, 8, src[:])) },
		"Add":           func() { var dst, x, y array; Add(dst[:], x[:], y[:]) },
		"Sub":           func() { var dst, x, y array; Sub(dst[:], x[:], y[:]) },
		"Mul":           func() { var dst, x, y array; Mul(dst[:], x[:], y[:]) },
		"Div":           func() { var dst, x, y array; Div(dst[:], x[:], y[:]) },
		"MulAdd":        func() { var dst, x, y, z array; MulAdd(dst[:], x[:], y[:], z[:]) },
		"ScaleAdd":      func() { var dst, x, y array; ScaleAdd(dst[:], x[:], y[:], 2, 3) },
		"Copy":          func() { var dst, x array; Copy(dst[:], x[:]) },
		"Fill":          func() { var dst array; Fill(dst[:], 2) },
		"Clamp":         func() { var dst, x array; Clamp(dst[:], x[:], 0, 1) },
		"Abs":           func() { var dst, x array; Abs(dst[:], x[:]) },
		"L1Norm":        func() { var x array; L1Norm(x[:]) },
		"L2Norm":        func() { var x array; L2Norm(x[:]) },
		"MaxAbs":        func() { var x array; MaxAbs(x[:]) },
		"ArgMax":        func() { var x array; ArgMax(x[:]) },
		"GlobalNorm":    func() { var x, y array; GlobalNorm([][]float32{x[:], y[:]}) },
		"ClipGlobalNorm": func() {
			x, y := array{3}, array{4}
			ClipGlobalNorm([][]float32{x[:], y[:]}, 1)
		},
		"Dropout":         func() { var dst, x array; Dropout(dst[:], x[:], 0.5, 1, 0) },
		"ColAffine":       func() { var dst, x array; var s, t [8]float32; ColAffine(dst[:], x[:], s[:], t[:]) },
		"ColAffineReLU":   func() { var dst, x array; var s, t [8]float32; ColAffineReLU(dst[:], x[:], s[:], t[:]) },
		"BiasReLU":        func() { var dst, x array; var bias [8]float32; BiasReLU(dst[:], x[:], bias[:]) },
		"BiasTanh":        func() { var dst, x array; var bias [8]float32; BiasTanh(dst[:], x[:], bias[:]) },
		"RowSums":         func() { var x array; var dst [8]float32; RowSums(dst[:], x[:]) },
		"RowMeanVariance": func() { var x array; var m, v [8]float32; RowMeanVariance(m[:], v[:], x[:]) },
		"ColMeanVariance": func() { var x array; var m, v [8]float32; ColMeanVariance(m[:], v[:], x[:]) },
		"LayerNorm": func() {
			var dst, x array
			var mean, rstd, gamma, beta [8]float32
			LayerNorm(dst[:], mean[:], rstd[:], x[:], gamma[:], beta[:], 1e-5)
		},
		"LayerNormBackward": func() {
			var dx, dy, x array
			var dgamma, dbeta, mean, rstd, gamma [8]float32
			LayerNormBackward(dx[:], dgamma[:], dbeta[:], dy[:], x[:], mean[:], rstd[:], gamma[:])
		},
		"BatchNormBackward": func() {
			var dx, dy, x array
			var dgamma, dbeta, mean, rstd, gamma [8]float32
			BatchNormBackward(dx[:], dgamma[:], dbeta[:], dy[:], x[:], mean[:], rstd[:], gamma[:])
		},
		"BatchNormReLUBackward": func() {
			var dx, dy, x array
			var dgamma, dbeta, mean, rstd, gamma, scale, shift [8]float32
			BatchNormReLUBackward(dx[:], dgamma[:], dbeta[:], dy[:], x[:], mean[:], rstd[:], gamma[:], scale[:], shift[:])
		},
		"SoftmaxRows": func() { var y, x array; SoftmaxRows(NewMatrix(8, 8, y[:]), NewMatrix(8, 8, x[:]), 1) },
		"CausalSoftmaxRows": func() {
			var y, x array
			CausalSoftmaxRows(NewMatrix(8, 8, y[:]), NewMatrix(8, 8, x[:]), 1)
		},
		"SoftmaxRowsBackward": func() {
			var dx, dy, y array
			SoftmaxRowsBackward(NewMatrix(8, 8, dx[:]), NewMatrix(8, 8, dy[:]), NewMatrix(8, 8, y[:]), 1)
		},
		"CausalSoftmaxRowsBackward": func() {
			var dx, dy, y array
			CausalSoftmaxRowsBackward(NewMatrix(8, 8, dx[:]), NewMatrix(8, 8, dy[:]), NewMatrix(8, 8, y[:]), 1)
		},
		"SoftmaxCrossEntropyRows": func() {
			var dx, x array
			var losses, weights, classWeights [8]float32
			var labels [8]int
			SoftmaxCrossEntropyRows(losses[:], dx[:], x[:], labels[:], CrossEntropyParams{
				Smoothing: 0.1, Weights: weights[:], ClassWeights: classWeights[:]})
		},
		"SigmoidCrossEntropy": func() {
			var dx, x, targets, weights array
			var posWeights [8]float32
			SigmoidCrossEntropy(dx[:], x[:], targets[:], SigmoidCrossEntropyParams{
				Weights: weights[:], PosWeights: posWeights[:]})
		},
		"InvalidIndex": func() { var x array; InvalidIndex(x[:], 1) },
		"CountIndices": func() { var counts, x array; CountIndices(counts[:], x[:]) },
		"GatherRows": func() {
			var dst, table array
			var indices [8]float32
			GatherRows(NewMatrix(8, 8, dst[:]), NewMatrix(8, 8, table[:]), indices[:])
		},
		"ScatterAddRows": func() {
			var table, src array
			var indices [8]float32
			ScatterAddRows(NewMatrix(8, 8, table[:]), NewMatrix(8, 8, src[:]), indices[:])
		},
		"ColMul":      func() { var dst, x array; var scale [8]float32; ColMul(dst[:], x[:], scale[:]) },
		"ColDots":     func() { var x, y array; var dst [8]float32; ColDots(dst[:], x[:], y[:]) },
		"FromFloat16": func() { var dst array; var x [n]uint16; FromFloat16(dst[:], x[:]) },
		"ToFloat16":   func() { var x array; var dst [n]uint16; ToFloat16(dst[:], x[:]) },
		"MultiplyFloat16": func() {
			var c, a array
			var b [n]uint16
			var bias [8]float32
			var scratch [GemmScratch]float32
			Gemm{Bias: bias[:], Scratch: scratch[:]}.MultiplyFloat16(
				NewMatrix(8, 8, c[:]), NewMatrix(8, 8, a[:]), NewFloat16Matrix(8, 8, b[:]))
		},
		"OuterProducts": func() {
			var a, x, y array
			OuterProducts(NewMatrix(8, 8, a[:]), NewMatrix(8, 8, x[:]), NewMatrix(8, 8, y[:]), 2)
		},
		"Syrk": func() {
			var c, a array
			var scratch [GemmScratch]float32
			Syrk{Scratch: scratch[:]}.Multiply(NewMatrix(8, 8, c[:]), NewMatrix(8, 8, a[:]))
		},
		"Conv2d": func() {
			var x, y, dx array
			var w, dw [144]float32
			var squares [36]float32
			var bias [4]float32
			c.Forward(y[:], x[:], w[:], bias[:], scratch)
			c.InputGradient(dx[:], y[:], w[:], scratch)
			c.WeightGradient(dw[:], x[:], y[:], scratch)
			c.PatchSumSquares(squares[:], x[:], scratch)
			c.PatchSums(squares[:], x[:], scratch)
		},
		"Pooling2d": func() {
			p := Pooling2d{H: 4, W: 4, C: 4, Kernel: [2]int{2, 2}}
			var x, dx array
			var y [16]float32
			var index [16]int32
			p.Max(y[:], index[:], x[:])
			p.MaxBackward(dx[:], y[:], index[:])
			p.Average(y[:], x[:])
			p.AverageBackward(dx[:], y[:])
		},
		"GlobalAveragePool":         func() { var x array; var y [8]float32; GlobalAveragePool(y[:], x[:], 4) },
		"GlobalAveragePoolBackward": func() { var dx array; var dy [8]float32; GlobalAveragePoolBackward(dx[:], dy[:], 4) },
		"MultiplyPacked": func() {
			var c, a, b, packed array
			var bias [8]float32
			Gemm{Bias: bias[:], Activation: ActivationGELU}.MultiplyPacked(
				NewMatrix(8, 8, c[:]), NewMatrix(8, 8, a[:]), Pack(packed[:], NewMatrix(8, 8, b[:])))
		},
		"PackTransposed": func() { var b, packed array; PackTransposed(packed[:], NewMatrix(8, 8, b[:])) },
		"MultiplyPackedFloat16": func() {
			var c, a, b array
			var packed [n]uint16
			var scratch [GemmScratch]float32
			Gemm{Scratch: scratch[:]}.MultiplyPackedFloat16(
				NewMatrix(8, 8, c[:]), NewMatrix(8, 8, a[:]), PackFloat16(packed[:], NewMatrix(8, 8, b[:])))
		},
		"Gemm": func() {
			var c, a, b array
			var bias [8]float32
			var scratch [GemmScratch]float32
			Gemm{TransB: true, Bias: bias[:], Scratch: scratch[:]}.Multiply(
				NewMatrix(8, 8, c[:]), NewMatrix(8, 8, a[:]), NewMatrix(8, 8, b[:]))
		},
	}
	keepLevel(t)
	for _, l := range Levels() {
		require.NoError(t, SetLevel(l))
		for name, call := range calls {
			require.Zero(t, testing.AllocsPerRun(2, call), "%s at %s", name, l)
		}
	}
}
