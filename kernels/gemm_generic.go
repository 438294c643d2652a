//go:build purego || !(amd64 || arm64)

package kernels

const (
	gemmScratch      = blockK * packCols
	gemmScratchLarge = gemmScratch
)

func multiply(c, a, b *Matrix, m, n, k int, alpha float32, g *Gemm) {
	gemmRef(c, a, b, m, n, k, alpha, g)
}

func multiplyFloat16(c, a *Matrix, b *Float16Matrix, m, n, k int, g *Gemm) {
	gemmFloat16Ref(c, a, b, m, n, k, g)
}

func transpose(_ Level, dst, src *Matrix) { transposeRef(dst, src) }
