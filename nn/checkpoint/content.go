package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/adafisher-go/adafisher/nn/safetensors"
)

// Content is what a checkpoint holds, by name. A name is any text in UTF-8, and
// each map has its own. Floating-point numbers keep their bits, NaNs included.
type Content struct {
	Vectors  map[string][]float32 // parameters, moments, factors
	Floats   map[string]float64   // a learning rate
	Ints     map[string]int64     // counters
	Uints    map[string]uint64    // seeds
	Bytes    map[string][]byte    // the state of a random generator
	Strings  map[string]string    // the name of an optimizer's rule
	Metadata json.RawMessage      // any JSON value, or nothing
}

const (
	format  = "adafisher checkpoint"
	version = "1"

	vectors = "vectors"
	floats  = "floats"
	ints    = "ints"
	uints   = "uints"
	blobs   = "bytes"
	texts   = "strings"

	// Its type and name put it behind all other tensors in the order of package
	// safetensors.
	digestName = "sha256"
)

// Encode writes c as a file. It makes no copy of the vectors, which must stay as
// they are until it returns.
func Encode(w io.Writer, c *Content) error {
	if c == nil {
		return errors.New("checkpoint: there is no content")
	}
	metadata := map[string]string{"format": format, "version": version}
	for name, s := range c.Strings {
		metadata[texts+"/"+name] = s
	}
	if c.Metadata != nil {
		if !json.Valid(c.Metadata) || !utf8.Valid(c.Metadata) {
			return errors.New("checkpoint: metadata: it is not JSON in UTF-8")
		}
		metadata["metadata"] = string(c.Metadata)
	}
	var tensors []safetensors.Tensor
	for name, v := range c.Vectors {
		tensors = append(tensors, safetensors.New(vectors+"/"+name, v, len(v)))
	}
	for name, b := range c.Bytes {
		tensors = append(tensors, safetensors.New(blobs+"/"+name, b, len(b)))
	}
	tensors = appendScalars(tensors, floats, c.Floats)
	tensors = appendScalars(tensors, ints, c.Ints)
	tensors = appendScalars(tensors, uints, c.Uints)

	h := sha256.New()
	tensors = append(tensors, safetensors.NewFunc(digestName, safetensors.U8, func(w io.Writer) error {
		_, err := w.Write(h.Sum(nil))
		return err
	}, sha256.Size))
	if err := safetensors.Write(io.MultiWriter(w, h), tensors, metadata); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

func appendScalars[T safetensors.Element](tensors []safetensors.Tensor, kind string, values map[string]T) []safetensors.Tensor {
	for name, x := range values {
		tensors = append(tensors, safetensors.New(kind+"/"+name, []T{x}))
	}
	return tensors
}

// Decode returns the content of a file in memory, of which it keeps nothing. It
// checks everything first: structure, checksum, version, and that nothing is in
// the file that a checkpoint doesn't have. The maps that it returns are never
// nil.
func Decode(file []byte) (*Content, error) {
	c, err := decode(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return c, nil
}

// errVersion is the error of an intact file of a version that this package does
// not know.
var errVersion = errors.New("unknown version")

// decode returns a copy of the content of the file that r holds.
func decode(r io.ReaderAt, size int64) (*Content, error) {
	if size > math.MaxInt {
		return nil, fmt.Errorf("%d bytes are too many", size)
	}
	f, err := open(r, size)
	if err != nil {
		return nil, err
	}
	c := &Content{
		Vectors: make(map[string][]float32),
		Floats:  make(map[string]float64),
		Ints:    make(map[string]int64),
		Uints:   make(map[string]uint64),
		Bytes:   make(map[string][]byte),
		Strings: make(map[string]string),
	}
	for key, value := range f.Metadata() {
		kind, name, named := strings.Cut(key, "/")
		switch {
		case key == "format" || key == "version":
		case key == "metadata":
			if !json.Valid([]byte(value)) {
				return nil, errors.New("metadata: it is not JSON")
			}
			c.Metadata = json.RawMessage(value)
		case kind == texts && named:
			c.Strings[name] = value
		default:
			return nil, fmt.Errorf("metadata member %.100q is not one of a checkpoint", key)
		}
	}
	tensors := f.Tensors()
	for _, t := range tensors[:len(tensors)-1] {
		kind, name, named := strings.Cut(t.Name, "/")
		switch {
		case kind == vectors && named:
			err = array(c.Vectors, name, t, safetensors.F32)
		case kind == blobs && named:
			err = array(c.Bytes, name, t, safetensors.U8)
		case kind == floats && named:
			err = scalar(c.Floats, name, t)
		case kind == ints && named:
			err = scalar(c.Ints, name, t)
		case kind == uints && named:
			err = scalar(c.Uints, name, t)
		default:
			err = fmt.Errorf("tensor %.100q is not one of a checkpoint", t.Name)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

func array[T safetensors.Element](values map[string][]T, name string, t safetensors.Tensor, want safetensors.DType) error {
	switch {
	case len(t.Shape) != 1:
		return fmt.Errorf("tensor %.100q has %d dimensions: want 1", t.Name, len(t.Shape))
	case t.DType != want: // another type could need far more memory than file
		return fmt.Errorf("tensor %.100q is of type %s: want %s", t.Name, t.DType, want)
	}
	v := make([]T, t.Len())
	if err := safetensors.Read(t, v); err != nil {
		return err
	}
	values[name] = v
	return nil
}

func scalar[T safetensors.Element](values map[string]T, name string, t safetensors.Tensor) error {
	if len(t.Shape) != 0 {
		return fmt.Errorf("tensor %.100q has %d dimensions: want none", t.Name, len(t.Shape))
	}
	var x [1]T
	if err := safetensors.Read(t, x[:]); err != nil {
		return err
	}
	values[name] = x[0]
	return nil
}

// open reads the header of the file that r holds, and checks that it is a whole
// checkpoint of a known version. However large the file says that it is, this
// needs memory for the header alone.
func open(r io.ReaderAt, size int64) (*safetensors.File, error) {
	f, err := safetensors.NewFile(r, size)
	if err != nil {
		return nil, err
	}
	metadata := f.Metadata()
	if metadata["format"] != format {
		return nil, fmt.Errorf("it is not a checkpoint: its format is %.100q", metadata["format"])
	}
	tensors := f.Tensors()
	if len(tensors) == 0 || tensors[len(tensors)-1].Name != digestName {
		return nil, errors.New("it is damaged: there is no checksum at its end")
	}
	want := make([]byte, sha256.Size)
	if err := safetensors.Read(tensors[len(tensors)-1], want); err != nil {
		return nil, err
	}
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(r, 0, size-sha256.Size))
	switch {
	case err != nil:
		return nil, err
	case n != size-sha256.Size:
		return nil, io.ErrUnexpectedEOF
	}
	if got := h.Sum(nil); !bytes.Equal(got, want) {
		return nil, fmt.Errorf("it is damaged: its SHA-256 is %x, it says %x", got, want)
	}
	if metadata["version"] != version {
		return nil, fmt.Errorf("%w: it is of version %.100q, this program reads version %q", errVersion, metadata["version"], version)
	}
	return f, nil
}
