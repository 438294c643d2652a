package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/adafisher-go/adafisher/nn/internal/durable"
)

// Write writes a file of the tensors and the metadata to w; nil metadata is left
// out. The same arguments give the same bytes, whatever the order of tensors.
//
// Everything that can be wrong with the arguments is found before the first byte
// is written: a tensor without data or with more or less of it than its shape
// needs, a name that is not UTF-8, is "__metadata__" or occurs twice, a header
// above the format's limit.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	sorted := slices.Clone(tensors)
	slices.SortStableFunc(sorted, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.DType, a.DType), cmp.Compare(a.Name, b.Name))
	})
	header, err := makeHeader(sorted, metadata)
	if err != nil {
		return err
	}
	if err := write(w, header); err != nil {
		return fmt.Errorf("safetensors: header: %w", err)
	}
	for _, t := range sorted {
		if _, err := t.WriteTo(w); err != nil {
			return err
		}
	}
	return nil
}

// WriteFile writes a file as [Write] does. It appears at path when it is complete
// and on the disk; until then, and after an error, a file that was there before
// is as it was.
func WriteFile(path string, tensors []Tensor, metadata map[string]string) error {
	err := durable.Replace(path, nil, func(w io.Writer) error { return Write(w, tensors, metadata) })
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// makeHeader returns the header and the length before it.
func makeHeader(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	h := append(make([]byte, 8), '{')
	if metadata != nil {
		h = append(appendString(h, metadataName), ":{"...)
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			value := metadata[key]
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return nil, fmt.Errorf("safetensors: metadata %s: it is not UTF-8", quote(key))
			}
			if i > 0 {
				h = append(h, ',')
			}
			h = append(appendString(h, key), ':')
			h = appendString(h, value)
		}
		h = append(h, '}')
	}
	names := make(map[string]bool, len(tensors))
	var at int64
	for _, t := range tensors {
		if err := t.check(); err != nil {
			return nil, err
		}
		n := t.data.size()
		switch {
		case t.Name == metadataName:
			return nil, t.error(errors.New("the format has another use for this name"))
		case !utf8.ValidString(t.Name):
			return nil, t.error(errors.New("the name is not UTF-8"))
		case names[t.Name]:
			return nil, t.error(errors.New("the name occurs twice"))
		case at > math.MaxInt64-n:
			return nil, t.error(errors.New("the file is too large"))
		}
		names[t.Name] = true
		if len(h) > 9 {
			h = append(h, ',')
		}
		h = append(appendString(h, t.Name), `:{"dtype":"`...)
		h = append(append(h, t.DType.String()...), `","shape":[`...)
		for i, d := range t.Shape {
			if i > 0 {
				h = append(h, ',')
			}
			h = strconv.AppendInt(h, int64(d), 10)
		}
		h = append(h, `],"data_offsets":[`...)
		h = append(strconv.AppendInt(h, at, 10), ',')
		at += n
		h = append(strconv.AppendInt(h, at, 10), "]}"...)
	}
	h = append(h, '}')
	for len(h)%8 != 0 {
		h = append(h, ' ')
	}
	if n := len(h) - 8; n > maxHeader {
		return nil, fmt.Errorf("safetensors: the header would have %d bytes: the format allows %d", n, maxHeader)
	}
	binary.LittleEndian.PutUint64(h, uint64(len(h)-8))
	return h, nil
}

// appendString appends s as a JSON string, escaped as the reference
// implementation does.
func appendString(h []byte, s string) []byte {
	h = append(h, '"')
	plain := 0 // where what needs no escape begins
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		h = append(h, s[plain:i]...)
		plain = i + 1
		if k := strings.IndexByte("\"\\\b\f\n\r\t", c); k >= 0 {
			h = append(h, '\\', `"\bfnrt`[k])
		} else {
			h = fmt.Appendf(h, `\u%04x`, c)
		}
	}
	return append(append(h, s[plain:]...), '"')
}
