//go:build !linux

package main

// allocate returns n floats.
func allocate(n int) []float32 {
	const line = 64
	b := make([]byte, 4*n+line)
	return floats(b[aligned(b, line):])[:n]
}
