//go:build purego || !(amd64 || arm64)

package kernels

func convScratch(c *Conv2d) int { return max(1, convRows(c)) }

func convolvePart(v *convolution, r convPart, _ int) { v.reference(r) }
