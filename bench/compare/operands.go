package main

import (
	"unsafe"

	"github.com/adafisher-go/adafisher/bench/clib"
)

// operands are the memory and the parameters of a race. Runs write to C, D, E, F
// and Out alone, and so that they can be repeated without end.
type operands = clib.Operands

// newOperands returns operands for vectors of m*n elements, or m x n matrices.
// All begin at the same place of a page: else a processor takes some loads for
// loads of what was stored shortly before, by the lower bits of their addresses.
func newOperands(m, n int) *operands {
	return &operands{
		M: m, N: n,
		A: allocate(m * n), B: allocate(m * n), C: allocate(m * n), D: allocate(m * n), E: allocate(m * n),
		Row: allocate(m), Col: allocate(n),
	}
}

// reset fills the operands with numbers from 0.5 to 1.5, multiples of 1/64, which float16
// has.
func reset(o *operands) {
	for k, s := range [][]float32{o.A, o.B, o.C, o.D, o.E, o.Row, o.Col, o.F} {
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
