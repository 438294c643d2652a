package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"unsafe"
)

// A File is a safetensors file whose header has been read and found good. Any
// number of goroutines may use it.
type File struct {
	closer   io.Closer
	tensors  []Tensor
	names    map[string]int // positions in tensors
	metadata map[string]string
}

// Open opens a file and reads its header. The file must be closed after use.
func Open(path string) (*File, error) {
	// Opening a named pipe would wait for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("safetensors: %s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	if info, err = file.Stat(); err != nil {
		file.Close()
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	f, err := newFile(file, info.Size())
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	f.closer = file
	return f, nil
}

// NewFile reads the header of a file of the given size. The tensors read their
// data from r.
func NewFile(r io.ReaderAt, size int64) (*File, error) {
	f, err := newFile(r, size)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return f, nil
}

// Parse reads the header of a file in memory. The tensors refer to b, which must
// stay as it is while they are in use.
func Parse(b []byte) (*File, error) {
	f, err := NewFile(inMemory(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	for i := range f.tensors {
		s := f.tensors[i].data.(*section)
		f.tensors[i].data = memory{b[s.begin:s.end:s.end], 1}
	}
	return f, nil
}

// inMemory is a file of which no more than its header is read.
type inMemory []byte

func (b inMemory) ReadAt(p []byte, off int64) (int, error) { return copy(p, b[off:]), nil }

func newFile(r io.ReaderAt, size int64) (*File, error) {
	const prefix = 8
	if size < prefix {
		return nil, fmt.Errorf("it has %d bytes: the length of the header alone needs %d", size, prefix)
	}
	var length [prefix]byte
	if err := readFull(r, length[:], 0); err != nil {
		return nil, fmt.Errorf("length of the header: %w", err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	switch {
	case n > maxHeader:
		return nil, fmt.Errorf("the header has %d bytes: want at most %d", n, maxHeader)
	case int64(n) > size-prefix:
		return nil, fmt.Errorf("the header has %d bytes: only %d follow in the file", n, size-prefix)
	}
	text := make([]byte, n)
	if err := readFull(r, text, prefix); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	// Nobody changes text any more.
	entries, metadata, err := parseHeader(unsafe.String(unsafe.SliceData(text), len(text)))
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	f := &File{
		metadata: metadata,
		tensors:  make([]Tensor, len(entries)),
		names:    make(map[string]int, len(entries)),
	}
	if err := f.place(entries, r, prefix+int64(n), size); err != nil {
		return nil, err
	}
	return f, nil
}

// place checks that the entries cover the data, from begin to end of the file,
// and makes them the file's tensors.
func (f *File) place(entries []entry, r io.ReaderAt, begin, end int64) error {
	sections := make([]section, len(entries))
	size := end - begin
	var at int64
	for i, e := range entries {
		var err error
		switch _, again := f.names[e.Name]; {
		case again:
			err = errors.New("it occurs twice")
		case e.begin > at:
			err = fmt.Errorf("data_offsets: it begins at %d: no tensor has the data from %d on", e.begin, at)
		case e.begin < at:
			err = fmt.Errorf("data_offsets: it begins at %d, inside of %s, which ends at %d", e.begin, quote(entries[i-1].Name), at)
		case e.end > size:
			err = fmt.Errorf("data_offsets: it ends at %d: the file has %d bytes of data", e.end, size)
		}
		if err != nil {
			return fmt.Errorf("header: %s: %w", quote(e.Name), err)
		}
		at = e.end
		sections[i] = section{r, begin + e.begin, begin + e.end}
		f.tensors[i] = e.Tensor
		f.tensors[i].data = &sections[i]
		f.names[e.Name] = i
	}
	if at != size {
		return fmt.Errorf("the tensors end at %d: the file has %d bytes of data", at, size)
	}
	return nil
}

// Tensors returns the tensors in the order of their data. The sizes of their
// shapes must stay as they are.
func (f *File) Tensors() []Tensor { return slices.Clone(f.tensors) }

// Tensor returns the tensor with the given name.
func (f *File) Tensor(name string) (Tensor, error) {
	i, ok := f.names[name]
	if !ok {
		return Tensor{}, fmt.Errorf("safetensors: there is no tensor %s", quote(name))
	}
	return f.tensors[i], nil
}

// Metadata returns a copy of the free text in the header, nil if there is none.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Close closes a file of [Open]; its tensors can't be read any more. For other
// files it does nothing.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	if err := f.closer.Close(); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}
