//go:build !cgo

package ort

import "errors"

var errNoCgo = errors.New("ONNX Runtime: this program was built without cgo")

// Load fails.
func Load() error { return errNoCgo }

// Version is that of the library.
func Version() string { return "" }

type session struct{}

// New fails.
func New[T Element](file []byte, input, output string, in, out []int) (*Session[T], error) {
	return nil, errNoCgo
}

// Run fails.
func (s *Session[T]) Run() error { return errNoCgo }

// Close does nothing.
func (s *Session[T]) Close() error { return nil }
