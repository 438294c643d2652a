//go:build purego || !(amd64 || arm64)

package kernels

func syrk(c, a *Matrix, n, k, from, to int, s *Syrk) { syrkRef(c, a, k, from, to, s) }
