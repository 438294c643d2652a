package safetensors

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strconv"

	"github.com/adafisher-go/adafisher/nn/internal/exact"
)

// A Tensor is a named array of a [File] or one to be written. To write it under
// another name, set Name.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // row-major; empty for a scalar

	data source
}

// New returns a tensor with the elements of data, which it refers to and doesn't
// copy. Without sizes it is a scalar. That data has as many elements as the
// shape is checked by [Write].
func New[T Element](name string, data []T, shape ...int) Tensor {
	return Tensor{
		Name:  name,
		DType: dtypeOf[T](),
		Shape: slices.Clone(shape),
		data:  memory{bytesOf(data), sizeof[T]()},
	}
}

// NewRaw returns a tensor of any type from its bytes in the format's byte order,
// little-endian, which it refers to and doesn't copy.
func NewRaw(name string, dtype DType, data []byte, shape ...int) Tensor {
	return Tensor{Name: name, DType: dtype, Shape: slices.Clone(shape), data: memory{data, 1}}
}

// NewFunc returns a tensor whose data doesn't lie in memory as it is to be
// written, a transpose for instance. [Write] calls put, which must write
// all bytes of the tensor, little-endian.
func NewFunc(name string, dtype DType, put func(io.Writer) error, shape ...int) Tensor {
	t := Tensor{Name: name, DType: dtype, Shape: slices.Clone(shape)}
	if put != nil {
		n, _ := t.bytes() // Write finds the same error
		t.data = function{n, put}
	}
	return t
}

// Len returns the number of elements, 0 if that is more than an int or a size is
// negative.
func (t Tensor) Len() int {
	n, err := elements(t.Shape)
	if err != nil {
		return 0
	}
	return n
}

// elements returns the product of the sizes.
func elements(shape []int) (int, error) {
	n, empty := 1, false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, fmt.Errorf("shape: %d is negative", d)
		case d == 0:
			empty = true
		case n > math.MaxInt/d:
			return 0, fmt.Errorf("shape: the product of %s is too large", sizes(shape))
		default:
			n *= d
		}
	}
	if empty {
		n = 0
	}
	return n, nil
}

// bytes returns the size of the data that type and shape ask for.
func (t Tensor) bytes() (int64, error) {
	if !t.DType.known() {
		return 0, fmt.Errorf("dtype: %s is no type of the format", t.DType)
	}
	n, err := elements(t.Shape)
	if err != nil {
		return 0, err
	}
	hi, lo := bits.Mul64(uint64(n), uint64(t.DType.Bits()))
	switch {
	case hi != 0 || lo/8 > math.MaxInt64:
		return 0, fmt.Errorf("shape: %s of %s are too many bytes", sizes(t.Shape), t.DType)
	case lo%8 != 0:
		return 0, fmt.Errorf("shape: %s of %s are no whole number of bytes", sizes(t.Shape), t.DType)
	}
	return int64(lo / 8), nil
}

// check returns an error unless the tensor has the data that it says it has.
func (t Tensor) check() error {
	n, err := t.bytes()
	switch {
	case err != nil:
		return t.error(err)
	case t.data == nil:
		return t.error(errors.New("it has no data"))
	case t.data.size() != n:
		return t.error(fmt.Errorf("it has %d bytes of data: %s of shape %s needs %d", t.data.size(), t.DType, sizes(t.Shape), n))
	}
	return nil
}

func (t Tensor) error(err error) error {
	return fmt.Errorf("safetensors: tensor %s: %w", quote(t.Name), err)
}

// WriteTo writes the data as it is in a file, little-endian. It implements
// [io.WriterTo].
func (t Tensor) WriteTo(w io.Writer) (int64, error) {
	if err := t.check(); err != nil {
		return 0, err
	}
	n, err := exact.Write(w, t.data.size(), t.data.writeTo)
	if err != nil {
		err = t.error(err)
	}
	return n, err
}

// Read copies all elements to dst, which must be as long as the tensor. T must
// be the Go type of the tensor's type; F16 and BF16 are read as the bits of an
// uint16, BOOL and the 8-bit floats as a uint8. It reads straight into dst. After
// an error dst may be partly overwritten.
func Read[T Element](t Tensor, dst []T) error {
	if err := checkRead(t, len(dst)); err != nil {
		return err
	}
	if dtypes[t.DType].as != dtypeOf[T]() {
		return t.error(fmt.Errorf("it is of type %s: can't be read as %T", t.DType, *new(T)))
	}
	b := bytesOf(dst)
	if err := t.data.readAt(b, 0); err != nil {
		return t.error(err)
	}
	if !littleEndian {
		swap(b, sizeof[T]())
	}
	return nil
}

// checkRead returns an error unless t is whole and has n elements.
func checkRead(t Tensor, n int) error {
	if err := t.check(); err != nil {
		return err
	}
	if t.Len() != n {
		return t.error(fmt.Errorf("it has %d elements of shape %s: the destination has %d", t.Len(), sizes(t.Shape), n))
	}
	return nil
}

// View returns the elements without a copy, as [Read] would read them. It fails
// where that can't be: the data isn't in memory ([Parse] reads from memory),
// isn't aligned for T or in another byte order than this machine's, or is not of
// this type. The result shares its memory with what was given to Parse or New.
func View[T Element](t Tensor) ([]T, bool) {
	if t.check() != nil || dtypes[t.DType].as != dtypeOf[T]() {
		return nil, false
	}
	m, ok := t.data.(memory)
	if !ok || !littleEndian && m.element != sizeof[T]() {
		return nil, false
	}
	s, ok := elementsOf[T](m.data)
	return s[:len(s):len(s)], ok
}

// ReadFloat32 copies all elements to dst as float32; dst must be as long as the
// tensor. F32, F16 and BF16 keep their values, F64 is rounded to nearest even; a
// finite F64 beyond the range of float32 is an error, and so is any other type.
// After an error dst may be partly overwritten.
func ReadFloat32(t Tensor, dst []float32) error {
	if err := checkRead(t, len(dst)); err != nil {
		return err
	}
	var convert func(dst []float32, src []byte) error
	switch t.DType {
	case F32:
		return Read(t, dst)
	case F16:
		convert = fromF16
	case BF16:
		convert = fromBF16
	case F64:
		convert = fromF64
	default:
		return t.error(fmt.Errorf("it is of type %s: want F32, F16, BF16 or F64", t.DType))
	}
	size := t.DType.Bits() / 8
	buf := make([]byte, min(chunk, len(dst)*size))
	for off := 0; off < len(dst); off += chunk / size {
		part := dst[off:min(off+chunk/size, len(dst))]
		b := buf[:len(part)*size]
		if err := t.data.readAt(b, int64(off)*int64(size)); err != nil {
			return t.error(err)
		}
		if err := convert(part, b); err != nil {
			return t.error(err)
		}
	}
	return nil
}

// longest is how much of a hostile file's text goes into an error.
const longest = 100

func quote(s string) string {
	if len(s) > longest {
		return strconv.Quote(s[:longest]) + ".."
	}
	return strconv.Quote(s)
}

func sizes(shape []int) string {
	if len(shape) > longest/10 {
		return fmt.Sprint(shape[:longest/10]) + ".."
	}
	return fmt.Sprint(shape)
}
