package onnx

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// A small file, byte by byte.
func TestWrite(t *testing.T) {
	g := &Graph{
		Name: "g",
		Nodes: []Node{{Name: "n", Operator: "Op", Inputs: []string{"x", "w"}, Outputs: []string{"y"}, Attributes: []Attribute{
			FloatAttribute("f", 1.5), IntAttribute("i", -1), IntsAttribute("l", 3, 300),
		}}},
		Initializers: []Tensor{{Name: "w", Type: Int64, Shape: []int{1, 2}, Put: func(w io.Writer) error {
			_, err := w.Write([]byte("0123456789abcdef"))
			return err
		}}},
		Inputs:  []Value{{"x", Int64, []Dim{{Name: "batch"}, {Size: 2}}}},
		Outputs: []Value{{"y", Float, nil}},
	}
	var b bytes.Buffer
	require.NoError(t, Write(&b, g))
	join := func(all ...any) string {
		var s []byte
		for _, x := range all {
			switch x := x.(type) {
			case string:
				s = append(append(s, byte(len(x))), x...)
			case int:
				s = append(s, byte(x))
			}
		}
		return string(s)
	}
	node := join(0x0a, "x", 0x0a, "w", 0x12, "y", 0x1a, "n", 0x22, "Op",
		0x2a, join(0x0a, "f", 0x15, 0, 0, 0xc0, 0x3f, 0xa0, 1, 1),
		0x2a, join(0x0a, "i", 0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0xa0, 1, 2),
		0x2a, join(0x0a, "l", 0x40, 3, 0x40, 0xac, 2, 0xa0, 1, 7))
	tensor := join(0x08, 1, 0x08, 2, 0x10, 7, 0x42, "w", 0x4a, "0123456789abcdef")
	x := join(0x0a, "x", 0x12, join(0x0a, join(0x08, 7, 0x12, join(0x0a, join(0x12, "batch"), 0x0a, join(0x08, 2)))))
	y := join(0x0a, "y", 0x12, join(0x0a, join(0x08, 1, 0x12, "")))
	graph := join(0x0a, node, 0x12, "g", 0x2a, tensor, 0x5a, x, 0x62, y)
	require.Len(t, graph, 0x86)
	want := join(0x08, 8, 0x12, "adafisher", 0x3a, 0x86, 1) + graph + join(0x42, join(0x0a, "", 0x10, 17))
	require.Equal(t, want, b.String())
}

func TestWriteErrors(t *testing.T) {
	tensor := func(text string, err error) *Graph {
		return &Graph{Initializers: []Tensor{{Name: "w", Type: Float, Shape: []int{2}, Put: func(w io.Writer) error {
			_, e := io.WriteString(w, text)
			return errors.Join(e, err)
		}}}}
	}
	require.NoError(t, Write(io.Discard, tensor("12345678", nil)))
	require.EqualError(t, Write(io.Discard, tensor("1234567", nil)), `tensor "w": its function wrote 7 bytes: want 8`)
	require.EqualError(t, Write(io.Discard, tensor("123456789", nil)), `tensor "w": its function writes more than the 8 bytes left`)
	require.EqualError(t, Write(io.Discard, tensor("12345678", errors.New("broken"))), `tensor "w": broken`)

	var b bytes.Buffer
	big := &Graph{Initializers: []Tensor{{Name: "w", Type: Float, Shape: []int{1 << 29}}}}
	require.ErrorContains(t, Write(&b, big), "bytes: the format allows 2147483647")
	require.Zero(t, b.Len())
}
