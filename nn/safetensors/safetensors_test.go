package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn/safetensors"
)

// build returns a file of this header, filled up with spaces, and n zeros of data.
func build(header string, n int) []byte {
	for len(header)%8 != 0 {
		header += " "
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

func encode(t testing.TB, tensors []safetensors.Tensor, metadata map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, safetensors.Write(&b, tensors, metadata))
	return b.Bytes()
}

func raw(t testing.TB, x safetensors.Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := x.WriteTo(&b)
	require.NoError(t, err)
	require.EqualValues(t, b.Len(), n)
	return b.Bytes()
}

// The files that the reference implementation writes: compact JSON, padded to
// 8 bytes, metadata first, then types by rank and names in order.
func TestBytesOfTheReference(t *testing.T) {
	six := []float32{0, 1, 2, 3, 4, 5}
	data := "\x00\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40\x00\x00\xa0\x40"
	for _, c := range []struct {
		tensors  []safetensors.Tensor
		metadata map[string]string
		want     string
	}{
		{nil, nil, "\x08\x00\x00\x00\x00\x00\x00\x00{}      "},
		{nil, map[string]string{"framework": "pt"},
			"\x28\x00\x00\x00\x00\x00\x00\x00{\"__metadata__\":{\"framework\":\"pt\"}}     "},
		{[]safetensors.Tensor{safetensors.New("attn.0", six, 1, 2, 3)}, nil,
			"\x40\x00\x00\x00\x00\x00\x00\x00{\"attn.0\":{\"dtype\":\"F32\",\"shape\":[1,2,3],\"data_offsets\":[0,24]}}" + data},
		{[]safetensors.Tensor{safetensors.New("attn0", six, 1, 1, 2, 3)}, nil,
			"\x48\x00\x00\x00\x00\x00\x00\x00{\"attn0\":{\"dtype\":\"F32\",\"shape\":[1,1,2,3],\"data_offsets\":[0,24]}}       " + data},
		{[]safetensors.Tensor{
			safetensors.New("b", []uint8{7}, 1),
			safetensors.New("a\x01\"\\\n\u2028<é", []uint8{8}),
			safetensors.New("z", []float32{1}, 1, 1),
			safetensors.New("empty", []int64{}, 2, 0),
		}, map[string]string{"y": "\t", "x": "\b\f\r\x1f\x7f"},
			"\x20\x01\x00\x00\x00\x00\x00\x00" +
				`{"__metadata__":{"x":"\b\f\r\u001f` + "\x7f" + `","y":"\t"},` +
				`"empty":{"dtype":"I64","shape":[2,0],"data_offsets":[0,0]},` +
				`"z":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},` +
				`"a\u0001\"\\\n` + "\u2028<é" + `":{"dtype":"U8","shape":[],"data_offsets":[4,5]},` +
				`"b":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}}` + "      " +
				"\x00\x00\x80\x3f\x08\x07"},
	} {
		got := encode(t, c.tensors, c.metadata)
		require.Equal(t, c.want, string(got))

		f, err := safetensors.Parse(got)
		require.NoError(t, err)
		require.Equal(t, c.metadata, f.Metadata())
		require.Len(t, f.Tensors(), len(c.tensors))
		for _, x := range c.tensors {
			y, err := f.Tensor(x.Name)
			require.NoError(t, err)
			require.Equal(t, x.DType, y.DType)
			require.Equal(t, append([]int{}, x.Shape...), y.Shape)
			require.Equal(t, raw(t, x), raw(t, y))
		}
	}
}

// The file that the format's description has as its example, and what other
// writers may do: any order, white space, no padding.
func TestParseForeign(t *testing.T) {
	header := "{ \"c\" : { \"data_offsets\" : [ 16 , 17 ] , \"shape\" : [ ] ,\t\"dtype\" : \"BOOL\" } ,\r\n" +
		`"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},` +
		`"\u00e9\ud83d\ude00\/": {"dtype": "F8_E4M3", "shape": [0, 3], "data_offsets": [16, 16]},` +
		`"__metadata__": {}} ` + "\t\r\n"
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(append(b, header...), make([]byte, 17)...)

	f, err := safetensors.Parse(b)
	require.NoError(t, err)
	require.Equal(t, map[string]string{}, f.Metadata())
	var names []string
	for _, x := range f.Tensors() {
		names = append(names, fmt.Sprint(x.Name, x.DType, x.Shape, x.Len()))
	}
	require.Equal(t, []string{"aF32 [2 2] 4", "é😀/F8_E4M3 [0 3] 0", "cBOOL [] 1"}, names)
}

const long = 1000

func TestHostileFiles(t *testing.T) {
	tensor := func(fields string) string { return `{"a":{` + fields + `}}` }
	shape := func(s string) string { return tensor(`"dtype":"F32","shape":` + s + `,"data_offsets":[0,4]`) }
	offsets := func(s string) string { return tensor(`"dtype":"F32","shape":[1],"data_offsets":` + s) }
	for _, c := range []struct {
		file []byte
		want string
	}{
		{nil, `safetensors: it has 0 bytes: the length of the header alone needs 8`},
		{make([]byte, 7), `safetensors: it has 7 bytes`},
		{make([]byte, 8), `safetensors: header: it begins with "": want "{"`},
		{binary.LittleEndian.AppendUint64(nil, 1), `the header has 1 bytes: only 0 follow`},
		{binary.LittleEndian.AppendUint64(nil, 100_000_000), `the header has 100000000 bytes: only 0 follow`},
		{binary.LittleEndian.AppendUint64(nil, 100_000_001), `the header has 100000001 bytes: want at most 100000000`},
		{binary.LittleEndian.AppendUint64(nil, math.MaxUint64), `the header has 18446744073709551615 bytes`},
		{build(" {}", 0), `header: it begins with " "`},
		{build("\ufeff{}", 0), `header: it begins with "\xef"`},
		{build("[]", 0), `header: it begins with "["`},
		{build("{\"\xff\":1}", 0), `header: it is not UTF-8`},
		{build("{", 0), `at byte 8: it ends: want " or }`},
		{build("{}}", 0), `at byte 2: the header ends here`},
		{build("{}\x00", 0), `at byte 2: the header ends here`},
		{build("{,}", 0), `at byte 1: found ',': want " or }`},
		{build(`{"a"}`, 0), `found '}': want :`},
		{build(`{"a":1}`, 0), `header: "a": at byte 5: found '1': want {`},
		{build(`{"a":null}`, 0), `header: "a": at byte 5: found 'n': want {`},
		{build(`{"a":{}}`, 0), `header: "a": it has no dtype`},
		{build(`{"a":{},}`, 0), `header: "a": it has no dtype`},
		{build(`{"__metadata__":{},}`, 0), `found '}': want "`},
		{build(`{"a`, 0), `it ends inside a string`},
		{build("{\"a\n\"", 0), `control character '\n' in a string`},
		{build(`{"a\x"`, 0), `at byte 3: bad escape sequence`},
		{build(`{"a\u12g4"`, 0), `bad escape sequence`},
		{build(`{"\ud800"`, 0), `bad escape sequence`},
		{build(`{"\ude00\ud83d"`, 0), `bad escape sequence`},
		{build(`{"\ud800\u0041"`, 0), `bad escape sequence`},
		{build(`{"__metadata__":null}`, 0), `header: "__metadata__": at byte 16: found 'n': want {`},
		{build(`{"__metadata__":{"k":1}}`, 0), `header: "__metadata__": "k": at byte 21: found '1': want "`},
		{build(`{"__metadata__":{"k":"","\u006b":""}}`, 0), `header: "__metadata__": "k": it occurs twice`},
		{build(`{"__metadata__":{},"__metadata__":{}}`, 0), `header: "__metadata__": it occurs twice`},
		{build(`{"a":`+strings.Repeat(`[`, long)+`}`, 0), `header: "a": at byte 5: found '[': want {`},
		{build(`{"a":{"x":`+strings.Repeat(`{"x":`, long), 0), `header: "a": "x": unknown field: want dtype, shape and data_offsets`},
		{build(tensor(`"dtype":"F32","shape":[1]`), 4), `header: "a": it has no data_offsets`},
		{build(tensor(`"dtype":"F32","data_offsets":[0,4]`), 4), `header: "a": it has no shape`},
		{build(tensor(`"dtype":"F32","dtype":"F32"`), 4), `header: "a": "dtype": it occurs twice`},
		{build(tensor(`"shape":[1],"shape":[1]`), 4), `header: "a": "shape": it occurs twice`},
		{build(tensor(`"data_offsets":[0,4],"data_offsets":[0,4]`), 4), `header: "a": "data_offsets": it occurs twice`},
		{build(tensor(`"dtype":"f32","shape":[1],"data_offsets":[0,4]`), 4), `header: "a": "dtype": "f32" is no type of the format`},
		{build(tensor(`"dtype":32`), 4), `header: "a": "dtype": at byte 14: found '3': want "`},
		{build(tensor(`"dtype":"`+strings.Repeat("F", long)+`"`), 4), `"` + strings.Repeat("F", 100) + `".. is no type`},
		{build(shape(`1`), 4), `header: "a": "shape": at byte 28: found '1': want [`},
		{build(shape(`[-1]`), 4), `header: "a": "shape": at byte 29: "-1": want a whole number of at least 0`},
		{build(shape(`[1.0]`), 4), `"1.0": want a whole number`},
		{build(shape(`[1e0]`), 4), `"1e0": want a whole number`},
		{build(shape(`[+1]`), 4), `"+1": want a whole number`},
		{build(shape(`[01]`), 4), `"01": want a whole number`},
		{build(shape(`[NaN]`), 4), `"NaN": want a whole number`},
		{build(shape(`[Infinity]`), 4), `"Infinity": want a whole number`},
		{build(shape(`["1"]`), 4), `want a whole number`},
		{build(shape(`[[1]]`), 4), `want a whole number`},
		{build(shape(`[1,]`), 4), `want a whole number`},
		{build(shape(`[1 1]`), 4), `found '1': want , or ]`},
		{build(shape(`[`+strings.Repeat(`,`, long)+`]`), 4), `want a whole number`},
		{build(shape(`[9223372036854775808]`), 4), `header: "a": "shape": at byte 29: "9223372036854775808" is too large`},
		{build(shape(`[18446744073709551617]`), 4), `is too large`},
		{build(shape(`[`+strings.Repeat(`9`, long)+`]`), 4), `".. is too large`},
		{build(shape(`[2,0]`), 4), `header: "a": data_offsets: [0, 4] are 4 bytes: F32 of shape [2 0] needs 0`},
		{build(shape(`[`+strings.Repeat(`1,`, 20)+`2]`), 4), `are 4 bytes: F32 of shape [1 1 1 1 1 1 1 1 1 1].. needs 8`},
		{build(offsets(`[0,3]`), 4), `header: "a": data_offsets: [0, 3] are 3 bytes: F32 of shape [1] needs 4`},
		{build(offsets(`[4,0]`), 4), `header: "a": data_offsets: [4, 0]: the end is before the begin`},
		{build(offsets(`[-4,0]`), 4), `header: "a": "data_offsets": at byte 48: "-4": want a whole number`},
		{build(offsets(`[]`), 4), `header: "a": "data_offsets": it has 0 numbers: want begin and end`},
		{build(offsets(`[4]`), 4), `it has 1 numbers`},
		{build(offsets(`[0,4,4]`), 4), `it has 3 numbers`},
		{build(offsets(`{}`), 4), `found '{': want [`},
		{build(offsets(`[0,9223372036854775808]`), 4), `"9223372036854775808" is too large`},
		{build(offsets(`[9223372036854775803,9223372036854775807]`), 4), `header: "a": data_offsets: it begins at 9223372036854775803: no tensor has the data from 0 on`},
		{build(offsets(`[4,8]`), 8), `header: "a": data_offsets: it begins at 4: no tensor has the data from 0 on`},
		{build(offsets(`[0,4]`), 3), `header: "a": data_offsets: it ends at 4: the file has 3 bytes of data`},
		{build(offsets(`[0,4]`), 5), `safetensors: the tensors end at 4: the file has 5 bytes of data`},
		{build(`{}`, 1), `the tensors end at 0: the file has 1 bytes of data`},
		{build(tensor(`"dtype":"F4","shape":[3],"data_offsets":[0,1]`), 1), `header: "a": shape: [3] of F4 are no whole number of bytes`},
		{build(tensor(`"dtype":"F6_E2M3","shape":[2],"data_offsets":[0,1]`), 1), `shape: [2] of F6_E2M3 are no whole number of bytes`},
		{build(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3),
			`header: "b": data_offsets: it begins at 1, inside of "a", which ends at 2`},
		{build(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2),
			`header: "b": data_offsets: it begins at 0, inside of "a", which ends at 2`},
		{build(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}`, 5),
			`header: "b": data_offsets: it begins at 3: no tensor has the data from 2 on`},
		{build(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2),
			`header: "a": it occurs twice`},
		{build(`{"`+strings.Repeat("n", long)+`":1}`, 2), `header: "` + strings.Repeat("n", 100) + `"..: at byte`},
	} {
		_, err := safetensors.Parse(c.file)
		require.ErrorContains(t, err, c.want)
		require.Less(t, len(err.Error()), 400)
		_, err2 := safetensors.NewFile(bytes.NewReader(c.file), int64(len(c.file)))
		require.EqualError(t, err2, err.Error())
	}

	if math.MaxInt > math.MaxInt32 {
		for _, c := range [][2]string{
			{`[4294967296,4294967296,4294967296]`, `header: "a": shape: the product of [4294967296 4294967296 4294967296] is too large`},
			{`[0,4294967296,4294967296]`, `header: "a": shape: the product of [0 4294967296 4294967296] is too large`},
			{`[9223372036854775807]`, `header: "a": shape: [9223372036854775807] of F32 are too many bytes`},
		} {
			_, err := safetensors.Parse(build(shape(c[0]), 4))
			require.ErrorContains(t, err, c[1])
		}
	}
}

// Every file that is cut off or has bytes behind its end is refused.
func TestWrongSize(t *testing.T) {
	b := encode(t, []safetensors.Tensor{
		safetensors.New("w", []float32{1, 2, 3}, 3),
		safetensors.New("n", []int64{4}),
	}, map[string]string{"k": "v"})
	for n := range b {
		_, err := safetensors.Parse(b[:n])
		require.Error(t, err, n)
	}
	_, err := safetensors.Parse(append(b, 0))
	require.Error(t, err)
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Headers that ask for the most memory for their length: the limit is that of the
// documentation.
func TestMemoryOfHeader(t *testing.T) {
	var many, metadata, escapes strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&many, `%s"%x":{"dtype":"U8","shape":[],"data_offsets":[%d,%d]}`, "{,"[min(i, 1):][:1], i, i, i+1)
		fmt.Fprintf(&metadata, `,"%x":""`, i)
		escapes.WriteString(`\n`)
	}
	for name, header := range map[string]string{
		"tensors":  many.String() + "}",
		"metadata": `{"__metadata__":{"":""` + metadata.String() + `}}`,
		"sizes":    `{"a":{"shape":[` + strings.Repeat("0,", 200_000) + `0]}}`,
		"commas":   `{"a":{"shape":[` + strings.Repeat(",", 200_000) + `0]}}`,
		"digits":   `{"a":{"shape":[` + strings.Repeat("9", 200_000) + `]}}`,
		"name":     `{"` + strings.Repeat("a", 200_000) + `":1}`,
		"escapes":  `{"` + escapes.String() + `":1}`,
		"nesting":  strings.Repeat(`{"a":`, 200_000),
	} {
		b := build(header, 0)
		got := allocated(func() { _, _ = safetensors.Parse(b) })
		t.Logf("%s: %.2f times the header", name, float64(got)/float64(len(header)))
		require.Less(t, float64(got), 20*float64(len(header)), name)
	}
	for _, n := range []uint64{100_000_000, 100_000_001, math.MaxInt64, math.MaxUint64} {
		b := append(binary.LittleEndian.AppendUint64(nil, n), "{}"...)
		require.Less(t, allocated(func() { _, _ = safetensors.Parse(b) }), uint64(1<<16))
	}
}

func TestTypes(t *testing.T) {
	bits := map[safetensors.DType]int{
		safetensors.BOOL: 8, safetensors.F4: 4, safetensors.F6_E2M3: 6, safetensors.F6_E3M2: 6,
		safetensors.U8: 8, safetensors.I8: 8, safetensors.F8_E5M2: 8, safetensors.F8_E4M3: 8,
		safetensors.F8_E8M0: 8, safetensors.F8_E4M3FNUZ: 8, safetensors.F8_E5M2FNUZ: 8,
		safetensors.I16: 16, safetensors.U16: 16, safetensors.F16: 16, safetensors.BF16: 16,
		safetensors.I32: 32, safetensors.U32: 32, safetensors.F32: 32,
		safetensors.C64: 64, safetensors.F64: 64, safetensors.I64: 64, safetensors.U64: 64,
	}
	var tensors []safetensors.Tensor
	for d, n := range bits {
		require.Equal(t, n, d.Bits())
		back, err := safetensors.ParseDType(d.String())
		require.NoError(t, err)
		require.Equal(t, d, back)
		tensors = append(tensors, safetensors.NewRaw("t", d, make([]byte, n), 8))
		tensors[len(tensors)-1].Name += d.String()
	}
	f, err := safetensors.Parse(encode(t, tensors, nil))
	require.NoError(t, err)
	var order []string
	for _, x := range f.Tensors() {
		order = append(order, x.DType.String())
	}
	require.Equal(t, "U64 I64 F64 C64 F32 U32 I32 BF16 F16 U16 I16 F8_E5M2FNUZ F8_E4M3FNUZ F8_E8M0 F8_E4M3 F8_E5M2 I8 U8 F6_E3M2 F6_E2M3 F4 BOOL",
		strings.Join(order, " "))

	for _, d := range []safetensors.DType{0, safetensors.U64 + 1, 255} {
		require.Zero(t, d.Bits())
		require.Equal(t, fmt.Sprintf("DType(%d)", d), d.String())
		_, err := safetensors.ParseDType(d.String())
		require.EqualError(t, err, fmt.Sprintf("safetensors: unknown type \"DType(%d)\"", d))
	}
}

// testElement writes, reads and views tensors of one Go type.
func testElement[T safetensors.Element](t *testing.T, d safetensors.DType, put func([]byte, T) []byte, values ...T) {
	t.Run(d.String(), func(t *testing.T) {
		// Longer than the buffers of conversions, and not a multiple of them.
		data := slices.Repeat(values, 20_000/len(values)+1)
		x := safetensors.New("x", data, len(data))
		require.Equal(t, d, x.DType)
		var want []byte
		for _, v := range data {
			want = put(want, v)
		}
		b := encode(t, []safetensors.Tensor{x}, nil)
		require.Equal(t, want, b[len(b)-len(want):])

		f, err := safetensors.Parse(b)
		require.NoError(t, err)
		file, err := safetensors.NewFile(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		fromMemory, err := f.Tensor("x")
		require.NoError(t, err)
		fromFile, err := file.Tensor("x")
		require.NoError(t, err)
		for _, y := range []safetensors.Tensor{x, fromMemory, fromFile} {
			got := make([]T, len(data))
			require.NoError(t, safetensors.Read(y, got))
			requireSameBytes(t, put, data, got)
			require.Equal(t, want, raw(t, y))
			require.ErrorContains(t, safetensors.Read(y, got[1:]), `safetensors: tensor "x": it has`)
			require.ErrorContains(t, safetensors.Read(y, append(got, 0)), `the destination has`)
		}
		_, ok := safetensors.View[T](fromFile)
		require.False(t, ok)
		view, ok := safetensors.View[T](x)
		require.True(t, ok)
		require.Same(t, &data[0], &view[0])
		if view, ok = safetensors.View[T](fromMemory); ok {
			requireSameBytes(t, put, data, view)
		}
		require.Equal(t, littleEndian || d.Bits() == 8, ok)
	})
}

func requireSameBytes[T any](t *testing.T, put func([]byte, T) []byte, want, got []T) {
	t.Helper()
	var w, g []byte
	for _, x := range want {
		w = put(w, x)
	}
	for _, x := range got {
		g = put(g, x)
	}
	require.Equal(t, w, g)
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

func TestElements(t *testing.T) {
	le := binary.LittleEndian
	testElement(t, safetensors.U8, func(b []byte, x uint8) []byte { return append(b, x) }, 0, 1, 255)
	testElement(t, safetensors.I8, func(b []byte, x int8) []byte { return append(b, byte(x)) }, 0, -1, 127, -128)
	testElement(t, safetensors.U16, le.AppendUint16, 0, 1, 0x1234, 0xffff)
	testElement(t, safetensors.I16, func(b []byte, x int16) []byte { return le.AppendUint16(b, uint16(x)) }, 0, -2, 0x1234)
	testElement(t, safetensors.U32, le.AppendUint32, 0, 1, 0x12345678)
	testElement(t, safetensors.I32, func(b []byte, x int32) []byte { return le.AppendUint32(b, uint32(x)) }, 0, -2, 0x12345678)
	testElement(t, safetensors.U64, le.AppendUint64, 0, 1, 0x123456789abcdef0)
	testElement(t, safetensors.I64, func(b []byte, x int64) []byte { return le.AppendUint64(b, uint64(x)) }, 0, -2, 0x123456789abcdef0)
	testElement(t, safetensors.F32, func(b []byte, x float32) []byte { return le.AppendUint32(b, math.Float32bits(x)) },
		0, float32(math.Copysign(0, -1)), 1, 1e-45, float32(math.Inf(-1)), math.Float32frombits(0x7fc12345), math.Float32frombits(0xffc54321))
	testElement(t, safetensors.F64, func(b []byte, x float64) []byte { return le.AppendUint64(b, math.Float64bits(x)) },
		0, math.Copysign(0, -1), 1, 5e-324, math.Inf(1), math.Float64frombits(0x7ff8123456789abc))
}

func TestReadOfOtherType(t *testing.T) {
	x := safetensors.New("x", []float32{1}, 1)
	require.EqualError(t, safetensors.Read(x, []uint32{0}), `safetensors: tensor "x": it is of type F32: can't be read as uint32`)
	_, ok := safetensors.View[uint32](x)
	require.False(t, ok)

	// Types without a Go type: as bits, or as bytes alone.
	for _, d := range []safetensors.DType{safetensors.F16, safetensors.BF16} {
		got := []uint16{0}
		require.NoError(t, safetensors.Read(safetensors.NewRaw("x", d, []byte{1, 2}), got))
		require.Equal(t, []uint16{0x0201}, got)
	}
	for _, d := range []safetensors.DType{safetensors.BOOL, safetensors.F8_E4M3, safetensors.F8_E5M2} {
		got := []uint8{0}
		require.NoError(t, safetensors.Read(safetensors.NewRaw("x", d, []byte{2}), got))
		require.Equal(t, []uint8{2}, got)
	}
	c64 := safetensors.NewRaw("x", safetensors.C64, make([]byte, 8))
	require.ErrorContains(t, safetensors.Read(c64, []float32{0}), `it is of type C64: can't be read as float32`)
	require.ErrorContains(t, safetensors.ReadFloat32(c64, []float32{0}), `it is of type C64: want F32, F16, BF16 or F64`)
	require.Len(t, raw(t, c64), 8)

	require.ErrorContains(t, safetensors.Read(safetensors.Tensor{}, []float32{}), `dtype: DType(0) is no type of the format`)
	require.ErrorContains(t, safetensors.Read(safetensors.Tensor{DType: safetensors.F32}, []float32{0}), `it has no data`)
}

func TestViewAlignment(t *testing.T) {
	b := make([]byte, 64)
	for off := range 8 {
		x := safetensors.NewRaw("x", safetensors.F32, b[off:off+8], 2)
		v, ok := safetensors.View[float32](x)
		require.Equal(t, littleEndian && off%4 == 0, ok)
		if ok {
			require.Len(t, v, 2)
			require.Equal(t, 2, cap(v))
		}
	}
	v, ok := safetensors.View[float32](safetensors.NewRaw("x", safetensors.F32, b[1:1], 0))
	require.Equal(t, littleEndian, ok)
	require.Empty(t, v)
}

func TestFloat16(t *testing.T) {
	bits := make([]byte, 2<<16)
	for i := range 1 << 16 {
		binary.LittleEndian.PutUint16(bits[2*i:], uint16(i))
	}
	got := make([]float32, 1<<16)
	require.NoError(t, safetensors.ReadFloat32(safetensors.NewRaw("x", safetensors.F16, bits, 1<<16), got))
	for i, x := range got {
		fraction, exponent := float64(i&0x3ff), i>>10&0x1f
		var want float64
		switch exponent {
		case 0:
			want = math.Ldexp(fraction, -24)
		case 31:
			want = math.Inf(1)
			if fraction != 0 {
				want = math.NaN()
			}
		default:
			want = math.Ldexp(1024+fraction, exponent-25)
		}
		if i>>15 == 1 {
			want = -want
		}
		if math.IsNaN(want) {
			require.True(t, math.IsNaN(float64(x)), "%#x", i)
			require.Equal(t, uint32(i&0x3ff)<<13, math.Float32bits(x)&(1<<23-1), "%#x", i)
		} else {
			require.Equal(t, math.Float64bits(want), math.Float64bits(float64(x)), "%#x", i)
		}
		require.Equal(t, i>>15 == 1, math.Signbit(float64(x)), "%#x", i)
	}

	require.NoError(t, safetensors.ReadFloat32(safetensors.NewRaw("x", safetensors.BF16, bits, 1<<16), got))
	for i, x := range got {
		require.Equal(t, uint32(i)<<16, math.Float32bits(x))
	}
}

func TestReadFloat32(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	wide := make([]float64, 5000)
	for i := range wide {
		wide[i] = r.NormFloat64() * math.Ldexp(1, r.IntN(300)-200)
		if math.Abs(wide[i]) > math.MaxFloat32 {
			wide[i] = math.Inf(1)
		}
	}
	wide[0], wide[1], wide[2] = math.NaN(), 1+0x1p-24, 1+0x3p-24 // ties go to even
	b := encode(t, []safetensors.Tensor{
		safetensors.New("wide", wide, 50, 100),
		safetensors.New("same", []float32{1, 2}, 2),
		safetensors.New("ints", []int32{1}, 1),
	}, nil)
	f, err := safetensors.NewFile(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)

	x, err := f.Tensor("wide")
	require.NoError(t, err)
	got := make([]float32, len(wide))
	require.NoError(t, safetensors.ReadFloat32(x, got))
	for i := range got {
		require.Equal(t, math.Float32bits(float32(wide[i])), math.Float32bits(got[i]), i)
	}
	require.Equal(t, []float32{1, 1 + 0x1p-22}, got[1:3])

	x, err = f.Tensor("same")
	require.NoError(t, err)
	require.NoError(t, safetensors.ReadFloat32(x, got[:2]))
	require.Equal(t, []float32{1, 2}, got[:2])
	require.ErrorContains(t, safetensors.ReadFloat32(x, got), `it has 2 elements of shape [2]: the destination has 5000`)

	x, err = f.Tensor("ints")
	require.NoError(t, err)
	require.ErrorContains(t, safetensors.ReadFloat32(x, got[:1]), `it is of type I32`)
	err = safetensors.ReadFloat32(safetensors.New("x", []float64{1, -1e39}, 2), got[:2])
	require.EqualError(t, err, `safetensors: tensor "x": -1e+39 is too large for float32`)

	_, err = f.Tensor("none")
	require.EqualError(t, err, `safetensors: there is no tensor "none"`)
}

func TestWriteRefuses(t *testing.T) {
	one := []float32{1}
	for _, c := range []struct {
		tensors  []safetensors.Tensor
		metadata map[string]string
		want     string
	}{
		{[]safetensors.Tensor{{}}, nil, `tensor "": dtype: DType(0) is no type of the format`},
		{[]safetensors.Tensor{{Name: "a", DType: safetensors.F32}}, nil, `tensor "a": it has no data`},
		{[]safetensors.Tensor{safetensors.New("a", one, 2)}, nil, `tensor "a": it has 4 bytes of data: F32 of shape [2] needs 8`},
		{[]safetensors.Tensor{safetensors.New("a", one, 0)}, nil, `tensor "a": it has 4 bytes of data: F32 of shape [0] needs 0`},
		{[]safetensors.Tensor{safetensors.New("a", one, -1, -1)}, nil, `tensor "a": shape: -1 is negative`},
		{[]safetensors.Tensor{safetensors.New("a", one, math.MaxInt, 2)}, nil, `tensor "a": shape: the product of`},
		{[]safetensors.Tensor{safetensors.NewRaw("a", safetensors.F4, []byte{1}, 1)}, nil, `tensor "a": shape: [1] of F4 are no whole number of bytes`},
		{[]safetensors.Tensor{safetensors.New("a", one, 1), safetensors.New("a", []int64{1}, 1)}, nil, `tensor "a": the name occurs twice`},
		{[]safetensors.Tensor{safetensors.New("\xff", one, 1)}, nil, `tensor "\xff": the name is not UTF-8`},
		{[]safetensors.Tensor{safetensors.New("__metadata__", one, 1)}, nil, `tensor "__metadata__": the format has another use for this name`},
		{[]safetensors.Tensor{safetensors.NewFunc("a", safetensors.F32, nil, 1)}, nil, `tensor "a": it has no data`},
		{nil, map[string]string{"\xff": ""}, `metadata "\xff": it is not UTF-8`},
		{nil, map[string]string{"k": "\xff"}, `metadata "k": it is not UTF-8`},
		{nil, map[string]string{"k": strings.Repeat("x", 100_000_000)}, `the header would have 100000032 bytes: the format allows 100000000`},
	} {
		var b bytes.Buffer
		err := safetensors.Write(&b, c.tensors, c.metadata)
		require.ErrorContains(t, err, "safetensors: "+c.want)
		require.Zero(t, b.Len())
	}
	huge := func(io.Writer) error { return nil }
	err := safetensors.Write(io.Discard, []safetensors.Tensor{
		safetensors.NewFunc("a", safetensors.U8, huge, math.MaxInt),
		safetensors.NewFunc("b", safetensors.U8, huge, math.MaxInt),
		safetensors.NewFunc("c", safetensors.U8, huge, math.MaxInt),
	}, nil)
	require.Error(t, err)
}

func TestNewFunc(t *testing.T) {
	put := func(parts ...string) func(io.Writer) error {
		return func(w io.Writer) error {
			for _, p := range parts {
				if _, err := io.WriteString(w, p); err != nil {
					return err
				}
			}
			return nil
		}
	}
	b := encode(t, []safetensors.Tensor{safetensors.NewFunc("a", safetensors.U8, put("ab", "", "c"), 3)}, nil)
	require.Equal(t, "abc", string(b[len(b)-3:]))

	failed := errors.New("failed")
	for _, c := range []struct {
		put  func(io.Writer) error
		want string
	}{
		{put("a"), `safetensors: tensor "a": its function wrote 1 bytes: want 3`},
		{put("ab", "cd"), `safetensors: tensor "a": its function writes more than the 1 bytes left`},
		{func(io.Writer) error { return failed }, `safetensors: tensor "a": failed`},
	} {
		x := safetensors.NewFunc("a", safetensors.U8, c.put, 3)
		require.EqualError(t, safetensors.Write(io.Discard, []safetensors.Tensor{x}, nil), c.want)
	}
	x := safetensors.NewFunc("a", safetensors.U8, put("abc"), 3)
	require.ErrorContains(t, safetensors.Read(x, make([]uint8, 3)), `its data comes from a function`)
	_, ok := safetensors.View[uint8](x)
	require.False(t, ok)
}

// limited fails after some bytes.
type limited struct{ left int }

var errFull = errors.New("no space left")

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func TestFailingWriterAndReader(t *testing.T) {
	tensors := []safetensors.Tensor{
		safetensors.New("w", make([]float32, 100), 10, 10),
		safetensors.New("n", []int64{1}, 1),
	}
	b := encode(t, tensors, nil)
	for n := range b {
		require.ErrorIs(t, safetensors.Write(&limited{n}, tensors, nil), errFull, n)
	}
	require.NoError(t, safetensors.Write(&limited{len(b)}, tensors, nil))

	// A file that shrinks or fails after its header has been read.
	f, err := safetensors.NewFile(bytes.NewReader(b[:len(b)-1]), int64(len(b)))
	require.NoError(t, err)
	w, err := f.Tensor("w")
	require.NoError(t, err)
	require.ErrorIs(t, safetensors.Read(w, make([]float32, 100)), io.ErrUnexpectedEOF)
	require.ErrorIs(t, safetensors.ReadFloat32(w, make([]float32, 100)), io.ErrUnexpectedEOF)
	require.ErrorIs(t, safetensors.Write(io.Discard, f.Tensors(), nil), io.ErrUnexpectedEOF)
	for n := range 8 + 10 {
		_, err = safetensors.NewFile(bytes.NewReader(b[:n]), int64(len(b)))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, n)
	}
	_, err = safetensors.NewFile(failingReaderAt{}, 100)
	require.ErrorIs(t, err, iotest.ErrTimeout)
}

type failingReaderAt struct{}

func (failingReaderAt) ReadAt([]byte, int64) (int, error) { return 0, iotest.ErrTimeout }

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.safetensors")
	_, err := safetensors.Open(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = safetensors.Open(dir)
	require.ErrorContains(t, err, "is not a regular file")

	weights := []float32{1, 2, 3, 4}
	require.NoError(t, safetensors.WriteFile(path, []safetensors.Tensor{safetensors.New("w", weights, 2, 2)}, nil))
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	w, err := f.Tensor("w")
	require.NoError(t, err)
	require.Equal(t, []int{2, 2}, w.Shape)

	// The open file is the old one, whole, while a new one takes its name. A
	// tensor of a file can be written again, under another name.
	w.Name = "copy"
	require.NoError(t, safetensors.WriteFile(path, []safetensors.Tensor{w}, map[string]string{"from": "w"}))
	got := make([]float32, 4)
	require.NoError(t, safetensors.Read(w, got))
	require.Equal(t, weights, got)
	require.NoError(t, f.Close())
	require.Error(t, safetensors.Read(w, got))

	f, err = safetensors.Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, map[string]string{"from": "w"}, f.Metadata())
	_, err = f.Tensor("copy")
	require.NoError(t, err)

	err = safetensors.WriteFile(path, []safetensors.Tensor{safetensors.New("w", weights, 3)}, nil)
	require.ErrorContains(t, err, `safetensors: tensor "w": it has 16 bytes`)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)

	require.NoError(t, os.WriteFile(path, []byte("nonsense"), 0o666))
	_, err = safetensors.Open(path)
	require.ErrorContains(t, err, "safetensors: "+path+": the header has")
}

// What Parse and View return is the caller's memory: reading a file allocates no
// second copy of it.
func TestNoCopies(t *testing.T) {
	data := make([]float32, 1<<20)
	x := safetensors.New("x", data, len(data))
	require.Less(t, allocated(func() { require.NoError(t, safetensors.Write(io.Discard, []safetensors.Tensor{x}, nil)) }), uint64(1<<16))
	b := encode(t, []safetensors.Tensor{x}, nil)
	require.Less(t, allocated(func() {
		f, err := safetensors.NewFile(bytes.NewReader(b), int64(len(b)))
		require.NoError(t, err)
		y, err := f.Tensor("x")
		require.NoError(t, err)
		require.NoError(t, safetensors.Read(y, data))
		require.NoError(t, safetensors.ReadFloat32(y, data))
		require.NoError(t, safetensors.Write(io.Discard, f.Tensors(), nil))
	}), uint64(1<<17))
}
