// Package onnx writes files of the ONNX format, https://onnx.ai: a graph of
// operators with its weights, as protocol buffers. It has the part of the format
// that networks of this library need, with the field numbers of onnx.proto3.
package onnx

import (
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/adafisher-go/adafisher/nn/internal/exact"
)

const (
	// Opset is the version of ONNX's operators that nodes are of.
	Opset = 17

	irVersion = 8 // of the format, which came with this Opset
	producer  = "adafisher"
)

// A Graph is what a file holds. Nodes stand in an order in which each comes after
// those whose outputs it takes.
type Graph struct {
	Name         string
	Nodes        []Node
	Initializers []Tensor
	Inputs       []Value
	Outputs      []Value
}

// A Node applies an operator to the values of the given names, each the output of
// another node, an initializer or an input of the graph.
type Node struct {
	Name       string
	Operator   string // "Conv"
	Inputs     []string
	Outputs    []string
	Attributes []Attribute
}

// A Type is the type of a tensor's elements, as TensorProto numbers them.
type Type int

const (
	Float Type = 1
	Int64 Type = 7
)

func (t Type) size() int {
	if t == Int64 {
		return 8
	}
	return 4
}

// A Tensor is an array that a file holds.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int                 // row-major; empty for a scalar
	Put   func(io.Writer) error // writes all elements, little-endian
}

// A Value is an input or an output of a graph.
type Value struct {
	Name  string
	Type  Type
	Shape []Dim
}

// A Dim is a dimension of a size, or one that has a name because its size is not
// known.
type Dim struct {
	Size int
	Name string
}

// An Attribute is a constant of a node.
type Attribute struct {
	name  string
	value message
}

// The types of attributes, as AttributeProto numbers them.
const (
	attributeFloat = 1
	attributeInt   = 2
	attributeInts  = 7
)

// FloatAttribute returns an attribute that is a number.
func FloatAttribute(name string, v float32) Attribute {
	a := Attribute{name: name}
	a.value.fixed32(2, math.Float32bits(v))
	a.value.varint(20, attributeFloat)
	return a
}

// IntAttribute returns an attribute that is a whole number.
func IntAttribute(name string, v int) Attribute {
	a := Attribute{name: name}
	a.value.varint(3, uint64(v))
	a.value.varint(20, attributeInt)
	return a
}

// IntsAttribute returns an attribute that is a list of whole numbers.
func IntsAttribute(name string, v ...int) Attribute {
	a := Attribute{name: name}
	for _, n := range v {
		a.value.varint(8, uint64(n))
	}
	a.value.varint(20, attributeInts)
	return a
}

// Write writes a file of the graph to w, the elements of tensors as their
// functions give them. The same graph gives the same bytes.
//
// It fails before the first byte is written if a name is not UTF-8 or the file
// would have 2 GiB or more, which readers of protocol buffers refuse.
func Write(w io.Writer, g *Graph) error {
	if err := g.checkNames(); err != nil {
		return err
	}
	var opset message
	opset.string(1, "") // the standard operators
	opset.varint(2, Opset)
	var m message
	m.varint(1, irVersion)
	m.string(2, producer)
	m.message(7, g.encode())
	m.message(8, opset)
	if m.size > math.MaxInt32 {
		return fmt.Errorf("the file would have %d bytes: the format allows %d", m.size, math.MaxInt32)
	}
	return m.writeTo(w)
}

var errNotUTF8 = errors.New("the name is not UTF-8")

// checkNames looks at initializers and nodes; all other names are theirs or those
// of the caller's code.
func (g *Graph) checkNames() error {
	for _, t := range g.Initializers {
		if !utf8.ValidString(t.Name) {
			return fmt.Errorf("tensor %q: %w", t.Name, errNotUTF8)
		}
	}
	for _, n := range g.Nodes {
		if !utf8.ValidString(n.Name) {
			return fmt.Errorf("node %q: %w", n.Name, errNotUTF8)
		}
	}
	return nil
}

func (g *Graph) encode() (m message) {
	for _, n := range g.Nodes {
		m.message(1, n.encode())
	}
	m.string(2, g.Name)
	for _, t := range g.Initializers {
		m.message(5, t.encode())
	}
	for _, v := range g.Inputs {
		m.message(11, v.encode())
	}
	for _, v := range g.Outputs {
		m.message(12, v.encode())
	}
	return m
}

func (n Node) encode() (m message) {
	for _, name := range n.Inputs {
		m.string(1, name)
	}
	for _, name := range n.Outputs {
		m.string(2, name)
	}
	m.string(3, n.Name)
	m.string(4, n.Operator)
	for _, a := range n.Attributes {
		var attribute message
		attribute.string(1, a.name)
		attribute.append(a.value)
		m.message(5, attribute)
	}
	return m
}

func (t Tensor) encode() (m message) {
	size := int64(t.Type.size())
	for _, d := range t.Shape {
		m.varint(1, uint64(d))
		size *= int64(d)
	}
	m.varint(2, uint64(t.Type))
	m.string(8, t.Name)
	m.stream(9, size, func(w io.Writer) error {
		if _, err := exact.Write(w, size, t.Put); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		return nil
	})
	return m
}

func (v Value) encode() (m message) {
	var shape message
	for _, d := range v.Shape {
		var dim message
		if d.Name != "" {
			dim.string(2, d.Name)
		} else {
			dim.varint(1, uint64(d.Size))
		}
		shape.message(1, dim)
	}
	var tensor, kind message
	tensor.varint(1, uint64(v.Type))
	tensor.message(2, shape)
	kind.message(1, tensor)
	m.string(1, v.Name)
	m.message(2, kind)
	return m
}
