package data

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxBytes is the most that one data set may take in memory.
const maxBytes = min(1<<32, uint64(^uint(0)>>1))

// bufferSize is that of the readers' own buffers.
const bufferSize = 1 << 16

// maxRatio is the most by which deflate can compress.
const maxRatio = 1032

// A file is the input of a reader.
type file struct {
	name   string
	source io.ReadSeeker
	r      io.Reader // what is in source, unpacked
	done   uint64    // bytes that came from r
	left   uint64    // bytes to come from r; at most, if packed
	packed bool
	io.Closer
}

// open opens the file at path, which must be a regular one.
func open(path string) (*file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if !info.Mode().IsRegular() { // others have no size, and opening may wait forever
		return nil, fmt.Errorf("data: %s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return &file{name: path, source: f, r: f, left: uint64(info.Size()), Closer: f}, nil
}

func (f *file) errorf(format string, args ...any) error {
	return fmt.Errorf("data: %s: %w", f.name, fmt.Errorf(format, args...))
}

// unpack makes f read what is inside if it is compressed with gzip.
func (f *file) unpack() error {
	r := bufio.NewReaderSize(f.r, bufferSize)
	f.r = r
	if magic, _ := r.Peek(2); string(magic) != "\x1f\x8b" {
		return nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return f.readError(err)
	}
	f.r, f.left, f.packed = z, f.left*maxRatio, true
	return nil
}

// readError returns the error for a read that failed.
func (f *file) readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return f.errorf("the file is truncated")
	}
	return f.errorf("%w", err)
}

// fill reads all of b.
func (f *file) fill(b []byte) error {
	n, err := io.ReadFull(f.r, b)
	f.done += uint64(n)
	f.left -= min(f.left, uint64(n))
	if err != nil {
		return f.readError(err)
	}
	return nil
}

// rest reads the rest of the file, which must be n bytes, since its header
// announces so much of something. Memory is taken once it is known that there are so
// many: a compressed file is read twice.
func (f *file) rest(n uint64, what string) ([]byte, error) {
	switch {
	case n > maxBytes:
		return nil, f.errorf("the header announces %s, which are too large for memory: want at most %d bytes", what, maxBytes)
	case n > f.left:
		return nil, f.errorf("the file is truncated: the header announces %s, %d bytes, and %s follow", what, n, f.following())
	case n < f.left && !f.packed:
		return nil, f.errorf("the file is too long: the header announces %s, %d bytes, and %s follow", what, n, f.following())
	}
	if f.packed {
		if err := f.skip(n); err != nil {
			return nil, err
		}
		if err := f.end(what); err != nil {
			return nil, err
		}
		if err := f.rewind(f.done - n); err != nil {
			return nil, err
		}
	}
	b := make([]byte, n)
	if err := f.fill(b); err != nil {
		return nil, err
	}
	return b, f.end(what)
}

// skip reads n bytes that don't matter.
func (f *file) skip(n uint64) error {
	count, err := io.CopyN(io.Discard, f.r, int64(n))
	f.done += uint64(count)
	if err != nil {
		return f.readError(err)
	}
	return nil
}

// rewind goes to a place in a compressed file.
func (f *file) rewind(place uint64) error {
	size, err := f.source.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.source.Seek(0, io.SeekStart)
	}
	if err != nil {
		return f.errorf("%w", err)
	}
	f.r, f.done, f.left = f.source, 0, uint64(size)
	if err := f.unpack(); err != nil {
		return err
	}
	return f.skip(place)
}

func (f *file) following() string {
	if f.packed {
		return fmt.Sprintf("at most %d", f.left)
	}
	return fmt.Sprint(f.left)
}

// end checks that nothing follows, and so the checksum of a compressed file.
func (f *file) end(what string) error {
	switch n, err := io.ReadFull(f.r, make([]byte, 1)); {
	case n > 0:
		return f.errorf("the file is too long: more follows behind the %s that the header announces", what)
	case err != io.EOF:
		return f.readError(err)
	}
	return nil
}
