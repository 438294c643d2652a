//go:build !race

package kernels

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestArgumentsDoNotEscape passes slices of local arrays: they stay on the
// stack, whatever the level. In a race build they escape to the detector.
func TestArgumentsDoNotEscape(t *testing.T) {
	const n = 64
	type array = [n]float32
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
		"Ger": func() { var a array; var x, y [8]float32; Ger(a[:], x[:], y[:], 2) },
		"Precondition": func() {
			var dst, m array
			var row, col [8]float32
			Precondition(dst[:], m[:], row[:], col[:], 1)
		},
		"ColSums":       func() { var x array; var dst [8]float32; ColSums(dst[:], x[:]) },
		"ColSumSquares": func() { var x array; var dst [8]float32; ColSumSquares(dst[:], x[:]) },
		"Transpose":     func() { var dst, src array; Transpose(NewMatrix(8, 8, dst[:]), NewMatrix(8, 8, src[:])) },
		"OuterProducts": func() {
			var a, x, y array
			OuterProducts(NewMatrix(8, 8, a[:]), NewMatrix(8, 8, x[:]), NewMatrix(8, 8, y[:]), 2)
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
