package main

import (
	"unsafe"

	"github.com/adafisher-go/adafisher/bench/clib"
)

// operands are the memory and the parameters of a race. Runs write to C, D, E
// and Out alone, and so that they can be repeated without end.
type operands = clib.Operands

// newOperands returns operands for vectors of m*n elements, or m x n matrices.
func newOperands(m, n int) *operands {
	o := &operands{M: m, N: n}
	place := func(dst *[]float32, k, n int) {
		// Vectors that start at the same place of a page disturb each other.
		const line = 16
		*dst = allocate(n + 5*k*line)[5*k*line:]
	}
	place(&o.A, 0, m*n)
	place(&o.B, 1, m*n)
	place(&o.C, 2, m*n)
	place(&o.D, 3, m*n)
	place(&o.E, 4, m*n)
	place(&o.Row, 5, m)
	place(&o.Col, 6, n)
	return o
}

// reset fills the operands with numbers from 0.5 to 1.5.
func reset(o *operands) {
	for k, s := range [][]float32{o.A, o.B, o.C, o.D, o.E, o.Row, o.Col} {
		for i := range s {
			s[i] = 0.5 + float32((i*(7+2*k)+k)%64)/64
		}
	}
	o.Out = [2]float32{}
}

// aligned returns how far into b the first multiple of size lies.
func aligned(b []byte, size uintptr) uintptr {
	return -uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (size - 1)
}

func floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}
