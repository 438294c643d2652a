//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"sync"

	"github.com/yalue/onnxruntime_go"
)

// Load loads the library. It must come before all else and may be called again;
// an error says why there is none.
var Load = sync.OnceValue(func() error {
	onnxruntime_go.SetSharedLibraryPath(library())
	if err := onnxruntime_go.InitializeEnvironment(onnxruntime_go.WithLogLevelError()); err != nil {
		return fmt.Errorf("ONNX Runtime, %s: %w", library(), err)
	}
	return nil
})

// Version is that of the library.
func Version() string { return onnxruntime_go.GetVersion() }

type session struct {
	run     *onnxruntime_go.AdvancedSession
	tensors []onnxruntime_go.Value
}

// New returns a session for a file's model, whose one input and one output have
// the given names and shapes. It must be closed after use.
func New[T Element](file []byte, input, output string, in, out []int) (*Session[T], error) {
	x, err := onnxruntime_go.NewEmptyTensor[T](shape(in))
	if err != nil {
		return nil, err
	}
	s := &Session[T]{X: x.GetData()}
	s.tensors = append(s.tensors, x)
	y, err := onnxruntime_go.NewEmptyTensor[float32](shape(out))
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.Y = y.GetData()
	s.tensors = append(s.tensors, y)
	options, err := onnxruntime_go.NewSessionOptions()
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	defer options.Destroy()
	if err := errors.Join(options.SetIntraOpNumThreads(1), options.SetInterOpNumThreads(1)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.run, err = onnxruntime_go.NewAdvancedSessionWithONNXData(file, []string{input}, []string{output}, s.tensors[:1], s.tensors[1:], options)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func shape(sizes []int) onnxruntime_go.Shape {
	var s onnxruntime_go.Shape
	for _, n := range sizes {
		s = append(s, int64(n))
	}
	return s
}

// Run computes Y from X.
func (s *Session[T]) Run() error { return s.run.Run() }

// Close frees what the library holds for the session.
func (s *Session[T]) Close() error {
	var errs []error
	if s.run != nil {
		errs = append(errs, s.run.Destroy())
	}
	for _, t := range s.tensors {
		errs = append(errs, t.Destroy())
	}
	return errors.Join(errs...)
}
