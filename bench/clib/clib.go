// Package clib runs C code beside Go code: plain loops that the C compiler of
// this machine builds, and the routines of OpenBLAS. Both are loaded at run time,
// so that a program works, and can say what it lacks, without them or without
// cgo.
package clib

import "unsafe"

// Operands are the memory and the parameters of a C routine. Slices that are not
// needed may be nil.
type Operands struct {
	A, B           []float32 // inputs
	C, D, E, F     []float32 // outputs
	Row, Col       []float32 // inputs of M and N elements
	Index          []float32 // input of whole numbers, or their memory
	M, N, K        int       // vectors have M*N elements; a product is M x K by K x N
	S              [12]float32
	TransA, TransB bool
	Out            [2]float32 // numbers that a routine returns
}

// A Routine does some work on operands.
type Routine struct{ address unsafe.Pointer }

// A Library is a set of routines.
type Library struct {
	Name    string
	routine func(name string) unsafe.Pointer
}

// Routine returns the routine with the name, and whether there is one.
func (l *Library) Routine(name string) (Routine, bool) {
	p := l.routine(name)
	return Routine{p}, p != nil
}
