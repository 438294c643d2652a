//go:build purego || !(amd64 || arm64)

package kernels

const (
	gemmScratch      = blockK * packCols
	gemmScratchLarge = gemmScratch
)

func multiply(c, a, b *Matrix, m, n, k int, alpha float32, g *Gemm) {
	gemmRef(c, a, b, m, n, k, alpha, g)
}

func transpose(_ Level, dst, src *Matrix) { transposeRef(dst, src) }
