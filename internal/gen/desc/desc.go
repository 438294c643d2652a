// Package desc describes the kernels: each function reads like the formula in
// the documentation of the public kernel that it serves.
package desc

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// Kernels returns the descriptions, in the order in which they are emitted. The
// names are those of the functions in package kernels.
func Kernels() []*vec.Kernel {
	return []*vec.Kernel{
		vec.Describe("axpy", axpy),
		vec.Describe("scale", scale),
		vec.Describe("ema", ema),

		vec.Describe("dot", dot),
		vec.Describe("sum", sum),
		vec.Describe("sumSquares", sumSquares),
		vec.Describe("minMax", minMax),
		vec.Describe("finiteSum", finiteSum),

		vec.Describe("normalize", normalize),
		vec.Describe("normalizeEMA", normalizeEMA),

		vec.Describe("ger", ger),
		vec.Describe("precondition", precondition),
		vec.Describe("colSums", colSums),
		vec.Describe("colSumSquares", colSumSquares),

		vec.Describe("adaFisher", adaFisher),
		vec.Describe("adaFisherBounded", adaFisherBounded),
		vec.Describe("sgd", sgd),
		vec.Describe("adam", adam),
		vec.Describe("adamBounded", adamBounded),
		vec.Describe("amsGrad", amsGrad),
		vec.Describe("amsGradBounded", amsGradBounded),
		vec.Describe("adagrad", adagrad),
		vec.Describe("rmsProp", rmsProp(false, false)),
		vec.Describe("rmsPropCentered", rmsProp(true, false)),
		vec.Describe("rmsPropMomentum", rmsProp(false, true)),
		vec.Describe("rmsPropCenteredMomentum", rmsProp(true, true)),
		vec.Describe("lion", lion),

		vec.Describe("relu", relu),
		vec.Describe("reluBackward", reluBackward),
		vec.Describe("tanh", each(2, tanh)),
		vec.Describe("tanhBackward", tanhBackward),
		vec.Describe("expSum", expSum),

		vec.Describe("exp", each(4, exp)),
		vec.Describe("log", each(4, log)),
		vec.Describe("sqrt", each(4, sqrt)),
		vec.Describe("rsqrt", each(4, rsqrt)),
		vec.Describe("erf", each(4, erf)),
		vec.Describe("softplus", each(4, softplus)),
		vec.Describe("sigmoid", each(4, sigmoid)),
		vec.Describe("sigmoidBackward", sigmoidBackward),
		vec.Describe("silu", each(2, silu)),
		vec.Describe("siluBackward", eachSlope(4, siluSlope)),
		vec.Describe("gelu", each(2, gelu)),
		vec.Describe("geluBackward", eachSlope(4, geluSlope)),
		vec.Describe("geluTanh", each(2, geluTanh)),
		vec.Describe("geluTanhBackward", eachSlope(4, geluTanhSlope)),
		vec.Describe("expTotal", expTotal),
		vec.Describe("logSoftmax", logSoftmax),
		vec.Describe("logSoftmaxBackward", logSoftmaxBackward),

		vec.Describe("add", add),
		vec.Describe("sub", sub),
		vec.Describe("mul", mul),
		vec.Describe("div", div),
		vec.Describe("mulAdd", mulAdd),
		vec.Describe("scaleAdd", scaleAdd),
		vec.Describe("copyVector", copyVector),
		vec.Describe("fill", fill),
		vec.Describe("clamp", clampBoth),
		vec.Describe("abs", each(4, abs)),

		vec.Describe("sumMagnitudes", sumMagnitudes),
		vec.Describe("sumSquaresScaled", sumSquaresScaled),
		vec.Describe("maxAbs", maxAbs),
		vec.Describe("maximum", maximum),
		vec.Describe("firstEqual", firstEqual),

		vec.Describe("sumShifted", sumShifted),
		vec.Describe("sumSquaresShifted", sumSquaresShifted),
		vec.Describe("rowSums", rowSums),
		vec.Describe("rowMoments", rowMoments),
		vec.Describe("layerNormRows", layerNormRows),
		vec.Describe("layerNormBackwardRows", layerNormBackwardRows),
		vec.Describe("layerNorm", layerNorm),
		vec.Describe("layerNormDot", layerNormDot),
		vec.Describe("layerNormBackward", layerNormBackward),
		vec.Describe("colDotNormalized", colDotNormalized),
		vec.Describe("colSumsShifted", colSumsShifted),
		vec.Describe("colSumSquaresShifted", colSumSquaresShifted),
		vec.Describe("colAffine", colAffine),
		vec.Describe("biasReLU", biasReLU),
		vec.Describe("biasTanh", biasTanh),
		vec.Describe("dropout", dropout),

		vec.Describe("batchNormSums", batchNormSums),
		vec.Describe("batchNormBackward", batchNormBackward),
		vec.Describe("windowMax", windowMax),
		vec.Describe("windowArgMax", windowArgMax),
		vec.Describe("windowSum", windowSum),
		vec.Describe("windowShare", windowShare),
		vec.Describe("windowSelect", windowSelect),

		vec.Describe("rowMaxima", rowMaxima),
		vec.Describe("expRows", expRows),
		vec.Describe("scaleRows", scaleRows),
		vec.Describe("rowDots", rowDots),
		vec.Describe("softmaxBackward", softmaxBackward),
		vec.Describe("dotShifted", dotShifted),
		vec.Describe("sigmoidCrossEntropy", sigmoidCrossEntropy),
		vec.Describe("firstInvalid", firstInvalid),
		vec.Describe("colMul", colMul),
		vec.Describe("colDots", colDots),

		vec.Describe("fromFloat16", fromFloat16),
		vec.Describe("toFloat16", toFloat16),
	}
}
