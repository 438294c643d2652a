package safetensors

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"unsafe"
)

// littleEndian reports whether this machine has the byte order of the format.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// bytesOf returns the memory of s.
func bytesOf[T Element](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*sizeof[T]())
}

// elementsOf returns b as elements in this machine's byte order. It fails unless
// b is aligned for them.
func elementsOf[T Element](b []byte) ([]T, bool) {
	if len(b) == 0 {
		return []T{}, true
	}
	first := unsafe.Pointer(unsafe.SliceData(b))
	if uintptr(first)%unsafe.Alignof(*new(T)) != 0 {
		return nil, false
	}
	return unsafe.Slice((*T)(first), len(b)/sizeof[T]()), true
}

func sizeof[T Element]() int { return int(unsafe.Sizeof(*new(T))) }

// swap reverses the bytes of each element.
func swap(b []byte, size int) {
	for ; len(b) >= size; b = b[size:] {
		slices.Reverse(b[:size])
	}
}

// A source gives the data of a tensor in the format's byte order.
type source interface {
	size() int64
	readAt(p []byte, off int64) error // all of p or an error; off is a multiple of 8
	writeTo(w io.Writer) error
}

const chunk = 16 << 10

// memory is data of this process. Elements of more than one byte are in the
// machine's byte order.
type memory struct {
	data    []byte
	element int // bytes of an element
}

func (m memory) size() int64 { return int64(len(m.data)) }

func (m memory) readAt(p []byte, off int64) error {
	copy(p, m.data[off:])
	if !littleEndian && m.element > 1 {
		swap(p, m.element)
	}
	return nil
}

func (m memory) writeTo(w io.Writer) error {
	if littleEndian || m.element == 1 {
		return write(w, m.data)
	}
	var buf [chunk]byte
	for off := 0; off < len(m.data); off += chunk {
		p := buf[:min(chunk, len(m.data)-off)]
		m.readAt(p, int64(off))
		if err := write(w, p); err != nil {
			return err
		}
	}
	return nil
}

func write(w io.Writer, p []byte) error {
	n, err := w.Write(p)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	return err
}

// section is data of a file.
type section struct {
	file       io.ReaderAt
	begin, end int64
}

func (s *section) size() int64 { return s.end - s.begin }

func (s *section) readAt(p []byte, off int64) error {
	return readFull(s.file, p, s.begin+off)
}

func (s *section) writeTo(w io.Writer) error {
	n, err := io.Copy(w, io.NewSectionReader(s.file, s.begin, s.size()))
	if err == nil && n != s.size() {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// readFull fills p from off.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// function is data that doesn't exist before it is written.
type function struct {
	bytes int64
	put   func(io.Writer) error
}

func (f function) size() int64 { return f.bytes }

func (f function) readAt([]byte, int64) error {
	return errors.New("its data comes from a function: it can only be written")
}

func (f function) writeTo(w io.Writer) error { return f.put(w) }
