package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// random returns n bytes below limit.
func random(n, limit int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(limit))
	}
	return b
}

// someImages returns n images with random pixels and labels.
func someImages(t testing.TB, n, height, width, channels, classes int) *Images {
	s, err := NewImages(nn.Shape{height, width, channels}, classes, random(n*height*width*channels, 256, 1), random(n, classes, 2))
	require.NoError(t, err)
	return s
}

// idx returns the bytes of an IDX file.
func idx(body []byte, dims ...uint) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	return append(b, body...)
}

func pack(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	return z.Bytes()
}

func write(t *testing.T, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

// memory returns a file that isn't on disk.
func memory(name string, b []byte) *file {
	r := bytes.NewReader(b)
	return &file{name: name, source: r, r: r, left: uint64(len(b))}
}

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// constant is what a reader may allocate beside what its file holds: buffers of
// its own and of gzip, and what the test's own process does meanwhile.
const constant = 1 << 19

// gather returns one sample.
func gather(t testing.TB, s Source, epoch, index int) ([]float32, []int) {
	inputs, perSample := s.Sizes()
	x, labels := make([]float32, inputs), make([]int, perSample)
	require.NoError(t, s.Gather(x, labels, epoch, []int{index}))
	return x, labels
}

// unpack returns a reader of what is in a file.
func unpack(b []byte) io.Reader {
	if bytes.HasPrefix(b, []byte("\x1f\x8b")) {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return strings.NewReader("")
		}
		return z
	}
	return bytes.NewReader(b)
}

// unpackedSize returns the bytes that can be read of what is in a file.
func unpackedSize(b []byte) uint64 {
	n, _ := io.Copy(io.Discard, unpack(b))
	return uint64(n)
}
