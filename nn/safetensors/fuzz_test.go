package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn/safetensors"
)

// A judge reads a file by the rules of the format, on encoding/json and
// math/big, and says whether it is good and what it holds.
type judge struct {
	tensors  map[string]judged
	metadata map[string]string
}

type judged struct {
	dtype      string
	shape      []int64
	begin, end int64
}

var (
	whole = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	// encoding/json replaces what is no character by U+FFFD.
	surrogate = regexp.MustCompile(`(?i)\\ud[89a-f]`)
)

// members splits a JSON object; a name that occurs twice is an error.
func members(text []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if c, err := d.Token(); err != nil || c != json.Delim('{') {
		return nil, errors.New("no object")
	}
	m := make(map[string]json.RawMessage)
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if _, again := m[name]; !ok || again {
			return nil, errors.New("bad name")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		m[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than an object")
	}
	return m, nil
}

func text(value json.RawMessage) (s string, err error) {
	var p *string
	if err = json.Unmarshal(value, &p); err == nil && p == nil {
		err = errors.New("null")
	}
	if err == nil {
		s = *p
	}
	return s, err
}

func numbers(value json.RawMessage) ([]int64, error) {
	var list *[]json.RawMessage
	if err := json.Unmarshal(value, &list); err != nil || list == nil {
		return nil, errors.New("no array")
	}
	numbers := []int64{}
	for _, x := range *list {
		if !whole.Match(x) {
			return nil, errors.New("no whole number")
		}
		n, err := strconv.ParseInt(string(x), 10, 64)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

func (j *judge) read(b []byte) error {
	if len(b) < 8 {
		return errors.New("short")
	}
	n := binary.LittleEndian.Uint64(b)
	if n > 100_000_000 || n > uint64(len(b)-8) {
		return errors.New("length of the header")
	}
	header := b[8 : 8+n]
	if n == 0 || header[0] != '{' || !utf8.Valid(header) {
		return errors.New("no header")
	}
	all, err := members(header)
	if err != nil {
		return err
	}
	j.tensors = make(map[string]judged)
	for name, value := range all {
		m, err := members(value)
		if err != nil {
			return err
		}
		if name == "__metadata__" {
			j.metadata = make(map[string]string)
			for key, value := range m {
				if j.metadata[key], err = text(value); err != nil {
					return err
				}
			}
			continue
		}
		var x judged
		if len(m) != 3 {
			return errors.New("fields")
		}
		if x.dtype, err = text(m["dtype"]); err != nil {
			return err
		}
		if x.shape, err = numbers(m["shape"]); err != nil {
			return err
		}
		offsets, err := numbers(m["data_offsets"])
		if err != nil || len(offsets) != 2 {
			return errors.New("offsets")
		}
		x.begin, x.end = offsets[0], offsets[1]
		j.tensors[name] = x
	}
	return j.measure(int64(len(b)) - 8 - int64(n))
}

// measure checks sizes, and that the tensors cover the data.
func (j *judge) measure(size int64) error {
	bits := map[string]int64{
		"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
		"F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32,
		"F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64,
	}
	var order []judged
	for _, x := range j.tensors {
		if bits[x.dtype] == 0 {
			return errors.New("dtype")
		}
		product, nonzero := big.NewInt(1), big.NewInt(1)
		for _, d := range x.shape {
			product.Mul(product, big.NewInt(d))
			nonzero.Mul(nonzero, big.NewInt(max(d, 1)))
		}
		if !nonzero.IsInt64() || strconv.IntSize == 32 && nonzero.BitLen() > 31 {
			return errors.New("too large")
		}
		product.Mul(product, big.NewInt(bits[x.dtype]))
		if product.Cmp(new(big.Int).Mul(big.NewInt(x.end-x.begin), big.NewInt(8))) != 0 {
			return errors.New("size")
		}
		order = append(order, x)
	}
	slices.SortFunc(order, func(a, b judged) int {
		if a.begin != b.begin {
			return int(min(max(a.begin-b.begin, -1), 1))
		}
		return int(min(max(a.end-b.end, -1), 1))
	})
	var at int64
	for _, x := range order {
		if x.begin != at || x.end < x.begin {
			return errors.New("offsets")
		}
		at = x.end
	}
	if at != size {
		return errors.New("end")
	}
	return nil
}

// heap returns how many bytes have been allocated so far, a little less where
// that was in small pieces. It doesn't stop the world.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// FuzzParse gets a file in parts: the header, by how much the length before it is
// wrong, and the data.
func FuzzParse(f *testing.F) {
	for _, c := range []struct {
		header string
		data   int
	}{
		{`{}`, 0},
		{`{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"U8","shape":[],"data_offsets":[16,17]}}`, 17},
		{`{"__metadata__":{"k\n\u00e9\ud83d\ude00":"v"},"x":{"dtype":"BF16","shape":[0,3],"data_offsets":[0,0]}}`, 0},
		{`{"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]},"b":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[2,5]}}`, 5},
		{`{"a":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},"b":{"dtype":"F64","shape":[1],"data_offsets":[6,14]}} `, 14},
		{`{"a":{"dtype":"F32","shape":[9223372036854775807,2],"data_offsets":[0,16]}}`, 16},
		{`{"a":{"dtype":"F32","shape":[1.0,NaN,-1,1e9],"data_offsets":[0,18446744073709551615]}}`, 16},
		{`{"a":` + strings.Repeat(`{"x":`, 100), 0},
	} {
		f.Add(c.header, int64(0), make([]byte, c.data))
	}
	f.Add("{}", int64(-10), []byte{})
	f.Add("{}", int64(1), []byte{'}'})
	f.Fuzz(func(t *testing.T, header string, wrong int64, data []byte) {
		b := binary.LittleEndian.AppendUint64(nil, uint64(int64(len(header))+wrong))
		b = append(append(b, header...), data...)
		before := heap()
		file, err := safetensors.Parse(b)
		if n := heap() - before; n > uint64(20*len(b)+1<<20) {
			t.Fatalf("%d bytes allocated for a file of %d", n, len(b))
		}
		var j judge
		verdict := j.read(b)
		if verdict == nil && !surrogate.Match(b[8:8+binary.LittleEndian.Uint64(b)]) {
			require.NoError(t, err)
		}
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "safetensors: "))
			return
		}
		require.NoError(t, verdict)
		checkFile(t, file, &j, b)

		// What it holds can be written, and comes back.
		again := encode(t, file.Tensors(), file.Metadata())
		copied, err := safetensors.Parse(again)
		require.NoError(t, err)
		require.NoError(t, j.read(again))
		checkFile(t, copied, &j, again)
		require.Equal(t, again, encode(t, copied.Tensors(), copied.Metadata()))
	})
}

// checkFile compares a file with what the judge has found in b, and reads all of it.
func checkFile(t *testing.T, f *safetensors.File, j *judge, b []byte) {
	t.Helper()
	data := b[8+binary.LittleEndian.Uint64(b):]
	require.Equal(t, j.metadata, f.Metadata())
	require.Len(t, f.Tensors(), len(j.tensors))
	for name, want := range j.tensors {
		x, err := f.Tensor(name)
		require.NoError(t, err)
		require.Equal(t, name, x.Name)
		require.Equal(t, want.dtype, x.DType.String())
		require.Equal(t, fmt.Sprint(want.shape), fmt.Sprint(x.Shape))
		require.True(t, bytes.Equal(data[want.begin:want.end], raw(t, x)))
		if x.Len() > len(b) {
			continue // elements of less than a byte
		}
		values := make([]float32, x.Len())
		switch err := safetensors.ReadFloat32(x, values); x.DType {
		case safetensors.F32, safetensors.F16, safetensors.BF16:
			require.NoError(t, err)
		case safetensors.F64:
			if err != nil {
				require.ErrorContains(t, err, "too large for float32")
			}
		default:
			require.Error(t, err)
		}
		if view, ok := safetensors.View[float32](x); ok {
			require.NoError(t, safetensors.Read(x, values))
			require.True(t, bytes.Equal(raw(t, safetensors.New("", view, len(view))), raw(t, safetensors.New("", values, len(values)))))
		}
	}
}

// Whatever Write accepts, Parse gives back; what it refuses, it has not begun.
func FuzzWrite(f *testing.F) {
	f.Add("0.weight", "k", "v", byte(safetensors.F32), 2, 3, []byte("123456781234567812345678"))
	f.Add("", "", "", byte(safetensors.U8), 0, -1, []byte{})
	f.Add("__metadata__", "\"\\\x00\x1f\x7f\u2028", "\xff", byte(0), 1, 1, []byte{1})
	f.Add("a\nb", "é😀", "\ufffd", byte(safetensors.F4), 2, 1, []byte{1})
	f.Fuzz(func(t *testing.T, name, key, value string, dtype byte, rows, columns int, data []byte) {
		tensors := []safetensors.Tensor{
			safetensors.NewRaw(name, safetensors.DType(dtype), data, rows, columns),
			safetensors.New(name+"'", []int64{int64(rows)}),
		}
		metadata := map[string]string{key: value}
		var b bytes.Buffer
		if err := safetensors.Write(&b, tensors, metadata); err != nil {
			require.Zero(t, b.Len())
			return
		}
		file, err := safetensors.Parse(b.Bytes())
		require.NoError(t, err)
		require.Equal(t, metadata, file.Metadata())
		x, err := file.Tensor(name)
		require.NoError(t, err)
		require.Equal(t, []int{rows, columns}, x.Shape)
		require.Equal(t, safetensors.DType(dtype), x.DType)
		require.True(t, bytes.Equal(data, raw(t, x)))
		x, err = file.Tensor(name + "'")
		require.NoError(t, err)
		steps := []int64{0}
		require.NoError(t, safetensors.Read(x, steps))
		require.Equal(t, int64(rows), steps[0])
		require.NoError(t, new(judge).read(b.Bytes()))
	})
}
