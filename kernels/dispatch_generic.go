package kernels

func axpy(y, x []float32, alpha float32)                  { axpyRef(y, x, alpha) }
func scale(dst, x []float32, alpha float32)               { scaleRef(dst, x, alpha) }
func ema(y, x []float32, keep, add float32)               { emaRef(y, x, keep, add) }
func dot(acc *[lanes]float32, x, y []float32) float32     { return dotRef(acc, x, y) }
func sum(acc *[lanes]float32, x []float32) float32        { return sumRef(acc, x) }
func sumSquares(acc *[lanes]float32, x []float32) float32 { return sumSquaresRef(acc, x) }
func minMax(x []float32) (lo, hi float32)                 { return minMaxRef(x) }
func finiteSum(x []float32) float32                       { return finiteSumRef(x) }
func normalize(dst, x []float32, lo, width float32)       { normalizeRef(dst, x, lo, width) }
func normalizeEMA(y, x []float32, lo, width, keep, add float32) {
	normalizeEMARef(y, x, lo, width, keep, add)
}
func ger(a, x, y []float32, alpha float32) { gerRef(a, x, y, alpha) }
func precondition(dst, m, row, col []float32, lambda float32) {
	preconditionRef(dst, m, row, col, lambda)
}
func colSums(dst, x []float32, rows, stride, add int) { colSumsRef(dst, x, rows, stride, add) }
func colSumSquares(dst, x []float32, rows, stride, add int) {
	colSumSquaresRef(dst, x, rows, stride, add)
}
func adaFisher(w, m, g, row, col []float32, beta, add, step, lambda, decay, keep float32) {
	adaFisherRef(w, m, g, row, col, beta, add, step, lambda, decay, keep)
}
func sgd(w, v, g []float32, momentum, add, gradPart, velPart, lr, decay float32) {
	sgdRef(w, v, g, momentum, add, gradPart, velPart, lr, decay)
}
func adam(w, m, v, g []float32, beta1, add1, beta2, add2, step, correct2, epsilon, decay, keep float32) {
	adamRef(w, m, v, g, beta1, add1, beta2, add2, step, correct2, epsilon, decay, keep)
}
func relu(dst, x []float32)            { reluRef(dst, x) }
func reluBackward(dx, dy, y []float32) { reluBackwardRef(dx, dy, y) }
func tanh(dst, x []float32)            { tanhRef(dst, x) }
func tanhBackward(dx, dy, y []float32) { tanhBackwardRef(dx, dy, y) }
func expSum(acc *[lanes]float32, dst, x []float32, m float32) float32 {
	return expSumRef(acc, dst, x, m)
}

const packCols = 32

func gemm(c, a, b Matrix, m, n, k int, alpha float32, g Gemm) { gemmRef(c, a, b, m, n, k, alpha, g) }
