//go:build !linux

package host

// Pin does nothing: only Linux lets a thread be kept on one processor.
func Pin() (release func()) { return func() {} }
