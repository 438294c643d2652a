// Package ort runs ONNX files with ONNX Runtime, on one thread. The library is
// loaded at run time, so that a program works, and can say what it lacks, without
// it or without cgo.
package ort

import "os"

// Variable is the environment variable that names the library's file. Without it
// the library is the one that the system's loader finds.
const Variable = "ONNXRUNTIME"

// library is the file to load.
func library() string {
	if path := os.Getenv(Variable); path != "" {
		return path
	}
	return "libonnxruntime.so.1"
}

// A Session runs one model on tensors that are made once.
type Session[T Element] struct {
	X []T       // the input; may be written between runs
	Y []float32 // the output of the last Run

	session
}

// An Element is what the input of a model has.
type Element interface{ float32 | int64 }
