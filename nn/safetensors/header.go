package safetensors

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxHeader    = 100_000_000 // the limit of the reference implementation
	metadataName = "__metadata__"
)

// entry is a tensor and where the header says that its data lies.
type entry struct {
	Tensor
	begin, end int64
}

// parseHeader reads a header and checks it by itself: every entry is complete
// and possible, and no name occurs twice. The entries are in the order of their
// offsets.
func parseHeader(text string) (entries []entry, metadata map[string]string, err error) {
	if !strings.HasPrefix(text, "{") {
		return nil, nil, fmt.Errorf("it begins with %s: want \"{\"", quote(text[:min(1, len(text))]))
	}
	if !utf8.ValidString(text) {
		return nil, nil, errors.New("it is not UTF-8")
	}
	p := parser{text: text}
	err = p.object(func(name string) error {
		if name == metadataName {
			if metadata != nil {
				return errors.New("it occurs twice")
			}
			metadata, err = p.strings()
			return err
		}
		e, err := p.entry()
		e.Name = name
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if p.space(); p.pos != len(text) {
		return nil, nil, p.errorf("the header ends here: want nothing but white space")
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	return entries, metadata, nil
}

// A parser reads the JSON that a header can have: objects of known members,
// strings, and arrays of whole numbers.
type parser struct {
	text string
	pos  int
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("at byte %d: %w", p.pos, fmt.Errorf(format, args...))
}

func (p *parser) space() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

// skip skips white space and then one of the characters, which it returns.
func (p *parser) skip(oneOf string) (byte, error) {
	p.space()
	if p.pos == len(p.text) {
		return 0, p.errorf("it ends: want %s", strings.Join(strings.Split(oneOf, ""), " or "))
	}
	c := p.text[p.pos]
	if strings.IndexByte(oneOf, c) < 0 {
		return 0, p.errorf("found %q: want %s", c, strings.Join(strings.Split(oneOf, ""), " or "))
	}
	p.pos++
	return c, nil
}

// object reads an object and calls member after the colon of each member. The
// errors of member get the name before them.
func (p *parser) object(member func(name string) error) error {
	if _, err := p.skip("{"); err != nil {
		return err
	}
	for first := true; ; first = false {
		want := `"`
		if first {
			want = `"}`
		}
		c, err := p.skip(want)
		if err != nil {
			return err
		}
		if c == '}' {
			return nil
		}
		name, err := p.rest()
		if err != nil {
			return err
		}
		if _, err = p.skip(":"); err == nil {
			err = member(name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", quote(name), err)
		}
		if c, err = p.skip(",}"); err != nil || c == '}' {
			return err
		}
	}
}

// strings reads an object of strings.
func (p *parser) strings() (map[string]string, error) {
	m := make(map[string]string)
	err := p.object(func(key string) error {
		if _, ok := m[key]; ok {
			return errors.New("it occurs twice")
		}
		value, err := p.string()
		m[key] = value
		return err
	})
	return m, err
}

// entry reads what the header has for one tensor.
func (p *parser) entry() (entry, error) {
	var e entry
	var dtype, shape, offsets bool
	once := func(seen *bool) error {
		if *seen {
			return errors.New("it occurs twice")
		}
		*seen = true
		return nil
	}
	err := p.object(func(field string) error {
		switch field {
		case "dtype":
			name, err := p.string()
			if err != nil {
				return err
			}
			if e.DType, err = ParseDType(name); err != nil {
				return fmt.Errorf("%s is no type of the format", quote(name))
			}
			return once(&dtype)
		case "shape":
			if err := once(&shape); err != nil {
				return err
			}
			e.Shape = make([]int, 0, p.count())
			return p.numbers(func(n int64) error {
				if n > math.MaxInt {
					return p.errorf("%d is too large", n)
				}
				e.Shape = append(e.Shape, int(n))
				return nil
			})
		case "data_offsets":
			if err := once(&offsets); err != nil {
				return err
			}
			count := 0
			err := p.numbers(func(n int64) error {
				if count++; count == 1 {
					e.begin = n
				}
				e.end = n
				return nil
			})
			if err == nil && count != 2 {
				err = fmt.Errorf("it has %d numbers: want begin and end", count)
			}
			return err
		}
		return errors.New("unknown field: want dtype, shape and data_offsets")
	})
	switch {
	case err != nil:
		return e, err
	case !dtype:
		return e, errors.New("it has no dtype")
	case !shape:
		return e, errors.New("it has no shape")
	case !offsets:
		return e, errors.New("it has no data_offsets")
	case e.end < e.begin:
		return e, fmt.Errorf("data_offsets: [%d, %d]: the end is before the begin", e.begin, e.end)
	}
	n, err := e.bytes()
	if err == nil && e.end-e.begin != n {
		err = fmt.Errorf("data_offsets: [%d, %d] are %d bytes: %s of shape %s needs %d",
			e.begin, e.end, e.end-e.begin, e.DType, sizes(e.Shape), n)
	}
	return e, err
}

// count returns how many numbers the array has that begins here, if it is one.
// Each takes two bytes at least.
func (p *parser) count() int {
	array, _, _ := strings.Cut(p.text[p.pos:], "]")
	return min(strings.Count(array, ","), len(array)/2) + 1
}

// numbers reads an array of whole numbers of at least 0.
func (p *parser) numbers(number func(int64) error) error {
	if _, err := p.skip("["); err != nil {
		return err
	}
	if p.space(); strings.HasPrefix(p.text[p.pos:], "]") {
		p.pos++
		return nil
	}
	for {
		p.space()
		n, err := p.number()
		if err == nil {
			err = number(n)
		}
		if err != nil {
			return err
		}
		if c, err := p.skip(",]"); err != nil || c == ']' {
			return err
		}
	}
}

func (p *parser) number() (int64, error) {
	digits := strings.IndexFunc(p.text[p.pos:], func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 {
		digits = len(p.text) - p.pos
	}
	s := p.text[p.pos : p.pos+digits]
	if next := p.text[p.pos+digits:]; digits == 0 || digits > 1 && s[0] == '0' || next != "" && strings.IndexByte(".eE", next[0]) >= 0 {
		return 0, p.errorf("%s: want a whole number of at least 0", quote(p.token()))
	}
	var n int64
	for i := range len(s) {
		d := int64(s[i] - '0')
		if n > (math.MaxInt64-d)/10 {
			return 0, p.errorf("%s is too large", quote(s))
		}
		n = 10*n + d
	}
	p.pos += digits
	return n, nil
}

// token returns the text up to the next delimiter, for errors.
func (p *parser) token() string {
	s := p.text[p.pos:]
	if i := strings.IndexAny(s, ",]}"); i >= 0 {
		s = s[:i]
	}
	return s
}

func (p *parser) string() (string, error) {
	if _, err := p.skip(`"`); err != nil {
		return "", err
	}
	return p.rest()
}

// rest reads a string after its opening quote. A string without escapes is a
// part of the text.
func (p *parser) rest() (string, error) {
	start := p.pos
	var unescaped []byte
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; {
		case c == '"':
			tail := p.text[start:p.pos]
			p.pos++
			if unescaped == nil {
				return tail, nil
			}
			return string(append(unescaped, tail...)), nil
		case c < ' ':
			return "", p.errorf("control character %q in a string", c)
		case c == '\\':
			unescaped = append(unescaped, p.text[start:p.pos]...)
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			unescaped = utf8.AppendRune(unescaped, r)
			start = p.pos
		default:
			p.pos++
		}
	}
	return "", p.errorf("it ends inside a string")
}

// escape reads an escape sequence.
func (p *parser) escape() (rune, error) {
	const names, values = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if p.pos+1 < len(p.text) {
		if i := strings.IndexByte(names, p.text[p.pos+1]); i >= 0 {
			p.pos += 2
			return rune(values[i]), nil
		}
	}
	r, ok := p.unicode()
	if ok && utf16.IsSurrogate(r) {
		low, pair := p.unicode()
		r = utf16.DecodeRune(r, low)
		ok = pair && r != utf8.RuneError
	}
	if !ok {
		return 0, p.errorf("bad escape sequence")
	}
	return r, nil
}

// unicode reads \uXXXX.
func (p *parser) unicode() (rune, bool) {
	s := p.text[p.pos:]
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[2:6]) {
		i := strings.IndexByte("0123456789abcdef", c|' ')
		if i < 0 {
			return 0, false
		}
		r = r<<4 | rune(i)
	}
	p.pos += 6
	return r, true
}
