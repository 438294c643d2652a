package kernels

func windowMax(y, x []float32, pixels, channels, dstStep, srcStep, taps, tapStep, more int) {
	windowMaxRef(y, x, pixels, channels, dstStep, srcStep, taps, tapStep, more)
}
func windowSum(y, x []float32, pixels, channels, dstStep, srcStep, taps, tapStep, more int) {
	windowSumRef(y, x, pixels, channels, dstStep, srcStep, taps, tapStep, more)
}
func windowArgMax(y, index, x []float32, pixels, channels, dstStep, srcStep, taps, tapStep, more int, first uint32) {
	windowArgMaxRef(y, index, x, pixels, channels, dstStep, srcStep, taps, tapStep, more, first)
}
func windowSelect(dx, dy, index []float32, pixels, channels, dstStep, srcStep, taps, tapStep, more int, place float32) {
	windowSelectRef(dx, dy, index, pixels, channels, dstStep, srcStep, taps, tapStep, more, place)
}
