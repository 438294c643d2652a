// Package exact writes as many bytes as were announced, no more and no fewer.
package exact

import (
	"fmt"
	"io"
)

// Write calls put, which must write size bytes to w. It returns how many have been
// written, and fails where they are others: none beyond size reaches w.
func Write(w io.Writer, size int64, put func(io.Writer) error) (written int64, err error) {
	l := limited{w: w, left: size}
	if err = put(&l); err == nil && l.left != 0 {
		err = fmt.Errorf("its function wrote %d bytes: want %d", size-l.left, size)
	}
	return size - l.left, err
}

// limited passes on at most the bytes that are left.
type limited struct {
	w    io.Writer
	left int64
}

func (l *limited) Write(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		return 0, fmt.Errorf("its function writes more than the %d bytes left", l.left)
	}
	n, err := l.w.Write(p)
	l.left -= int64(n)
	return n, err
}
