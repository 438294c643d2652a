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

func multiplyPacked(c, a *Matrix, b *PackedMatrix, m, n, k int, g *Gemm) {
	gemmPackedRef(c, a, b, m, n, k, g)
}

func multiplyPackedFloat16(c, a *Matrix, b *PackedFloat16Matrix, m, n, k int, g *Gemm) {
	gemmPackedFloat16Ref(c, a, b, m, n, k, g)
}

// packWidth is the columns of a panel.
func packWidth() int { return packCols }

func packPanels(dst []float32, b *Matrix, s *strip) { packPanelsRef(dst, b, s) }

func packPanelsFloat16(dst []uint16, b *Matrix, s *strip) { packPanelsFloat16Ref(dst, b, s) }

func transpose(_ Level, dst, src *Matrix) { transposeRef(dst, src) }
