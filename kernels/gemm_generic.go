package kernels

const packCols = 32

func gemm(c, a, b Matrix, m, n, k int, alpha float32, g Gemm) { gemmRef(c, a, b, m, n, k, alpha, g) }
