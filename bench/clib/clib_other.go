//go:build !cgo || !(linux || darwin)

package clib

import "errors"

var errNoCgo = errors.New("built without cgo")

// Compile returns an error: C can't be called without cgo.
func Compile(dir string, flags ...string) (*Library, error) { return nil, errNoCgo }

// OpenBLAS returns an error: C can't be called without cgo.
func OpenBLAS(core string) (*BLAS, error) { return nil, errNoCgo }

// A BLAS can't be had without cgo.
type BLAS struct{ Library }

// SetThreads does nothing.
func (*BLAS) SetThreads(int) {}

// Config is empty.
func (*BLAS) Config() string { return "" }

// Core is empty.
func (*BLAS) Core() string { return "" }

// Repeat panics: there are no routines without cgo.
func (r Routine) Repeat(o *Operands, times int) { panic("clib: " + errNoCgo.Error()) }
