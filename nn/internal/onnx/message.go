package onnx

import (
	"encoding/binary"
	"io"
)

// A message is an encoded message of protocol buffers,
// https://protobuf.dev/programming-guides/encoding. The bytes of long fields are
// not in memory: functions write them.
type message struct {
	pieces []piece
	size   int64 // bytes of all pieces
}

// A piece is bytes, or a function that writes so many.
type piece struct {
	bytes []byte
	size  int64
	put   func(io.Writer) error // nil for bytes
}

// The wire types of fields.
const (
	wireVarint = 0
	wireBytes  = 2
	wireFixed  = 5 // of 32 bits
)

// tail returns the bytes at the end, to be added to.
func (m *message) tail() *piece {
	if n := len(m.pieces); n == 0 || m.pieces[n-1].put != nil {
		m.pieces = append(m.pieces, piece{})
	}
	return &m.pieces[len(m.pieces)-1]
}

func (m *message) add(encoded ...byte) {
	t := m.tail()
	t.bytes = append(t.bytes, encoded...)
	t.size += int64(len(encoded))
	m.size += int64(len(encoded))
}

func (m *message) number(v uint64) { m.add(binary.AppendUvarint(nil, v)...) }

func (m *message) key(field, wire int) { m.number(uint64(field<<3 | wire)) }

func (m *message) varint(field int, v uint64) {
	m.key(field, wireVarint)
	m.number(v)
}

func (m *message) fixed32(field int, v uint32) {
	m.key(field, wireFixed)
	m.add(binary.LittleEndian.AppendUint32(nil, v)...)
}

func (m *message) string(field int, s string) {
	m.key(field, wireBytes)
	m.number(uint64(len(s)))
	m.add([]byte(s)...)
}

// stream adds size bytes, which put writes when the message is written.
func (m *message) stream(field int, size int64, put func(io.Writer) error) {
	m.key(field, wireBytes)
	m.number(uint64(size))
	m.pieces = append(m.pieces, piece{size: size, put: put})
	m.size += size
}

func (m *message) message(field int, inner message) {
	m.key(field, wireBytes)
	m.number(uint64(inner.size))
	m.append(inner)
}

// append adds the fields of another message.
func (m *message) append(other message) {
	for _, p := range other.pieces {
		if p.put == nil {
			m.add(p.bytes...)
			continue
		}
		m.pieces = append(m.pieces, p)
		m.size += p.size
	}
}

func (m *message) writeTo(w io.Writer) error {
	for _, p := range m.pieces {
		if p.put == nil {
			if _, err := w.Write(p.bytes); err != nil {
				return err
			}
			continue
		}
		if err := p.put(w); err != nil {
			return err
		}
	}
	return nil
}
