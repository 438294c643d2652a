// Package api is what the service and its clients say to each other, in JSON.
package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Predict asks for predictions: POST /v1/predict. It has either one input or
// several.
type Predict struct {
	Input  Vector   `json:"input,omitempty"`
	Inputs []Vector `json:"inputs,omitempty"`
}

// All returns the inputs.
func (p Predict) All() ([]Vector, error) {
	switch {
	case p.Input != nil && p.Inputs != nil:
		return nil, errors.New(`both "input" and "inputs" are there: want one of them`)
	case p.Input != nil:
		return []Vector{p.Input}, nil
	case len(p.Inputs) == 0:
		return nil, errors.New(`want "input", a list of numbers, or "inputs", a list of one or more such lists`)
	}
	return p.Inputs, nil
}

// Predictions is the answer: one prediction for each input, all of one version.
type Predictions struct {
	Version     uint64       `json:"version"`
	Predictions []Prediction `json:"predictions"`
}

// A Prediction is the class with the largest probability, the softmax of the
// model's outputs. The probabilities are printed so that they parse to the same
// float32.
type Prediction struct {
	Class         int       `json:"class"`
	Probabilities []float32 `json:"probabilities"`
}

// Learn brings examples: POST /v1/learn, with a bearer token. It has either one
// example or several.
type Learn struct {
	Input    Vector    `json:"input,omitempty"`
	Label    *int      `json:"label,omitempty"`
	Examples []Example `json:"examples,omitempty"`
}

// An Example is an input and the class that it belongs to.
type Example struct {
	Input Vector `json:"input"`
	Label *int   `json:"label"`
}

// All returns the examples, which have labels.
func (l Learn) All() ([]Example, error) {
	all := l.Examples
	if l.Input != nil || l.Label != nil {
		if all != nil {
			return nil, errors.New(`both an example and "examples" are there: want one of them`)
		}
		all = []Example{{l.Input, l.Label}}
	}
	if len(all) == 0 {
		return nil, errors.New(`want "input" and "label", or "examples", a list of one or more of them`)
	}
	for i, e := range all {
		if e.Label == nil {
			return nil, fmt.Errorf(`%s"label" is missing: want an integer, the class of the input`, l.Place(i))
		}
	}
	return all, nil
}

// Place says in an error which example is meant: nothing where there is but one.
func (l Learn) Place(i int) string {
	if l.Examples == nil {
		return ""
	}
	return fmt.Sprintf("example %d: ", i)
}

// VersionHeader has the number of the version that GET /v1/weights answers with,
// a safetensors file.
const VersionHeader = "Model-Version"

// Accepted is the answer to Learn: how many examples are in the queue.
type Accepted struct {
	Accepted int `json:"accepted"`
}

// Failure is the body of every answer with a status of 400 or more.
type Failure struct {
	Error    Error `json:"error"`
	Accepted int   `json:"accepted,omitempty"` // examples before the one that was refused
}

// Error says what was wrong, in a word for programs and a sentence for people.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Model describes the model and what it has learnt: GET /v1/model.
type Model struct {
	Version    uint64      `json:"version"`
	Published  time.Time   `json:"published"`
	AgeSeconds float64     `json:"age_seconds"`
	Parameters int         `json:"parameters"`
	Inputs     int         `json:"inputs"`
	Classes    int         `json:"classes"`
	Summary    string      `json:"summary"`
	Level      string      `json:"level"` // of the kernels
	Learning   Learning    `json:"learning"`
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"` // the last that was written
}

// Learning is what the learner has done since the process started.
type Learning struct {
	Enabled            bool    `json:"enabled"` // examples are taken from clients
	Queued             int     `json:"queued"`
	Refused            uint64  `json:"refused"`
	QueueFull          uint64  `json:"queue_full"`
	Examples           uint64  `json:"examples"`
	Steps              uint64  `json:"steps"`
	Published          uint64  `json:"published"`
	Rollbacks          uint64  `json:"rollbacks"`
	ValidationLoss     float64 `json:"validation_loss"`
	ValidationAccuracy float64 `json:"validation_accuracy"`
}

// Checkpoint is a file that is safe on the disk.
type Checkpoint struct {
	Version uint64    `json:"version"` // of the model in it
	Steps   int64     `json:"steps"`   // of the optimizer, over all processes
	SHA256  string    `json:"sha256"`  // of the file
	Written time.Time `json:"written"` // by whichever process
}

// History are the measurements of each second, oldest first: GET /v1/history.
// Query parameter since leaves out those up to a number.
type History struct {
	Started time.Time `json:"started"` // when the process began to count
	Points  []Point   `json:"points"`
}

// A Point is one second. What did not happen in it is null.
type Point struct {
	Number             uint64   `json:"n"`    // from 1 on
	Time               int64    `json:"time"` // Unix, in seconds
	Loss               *float64 `json:"loss"` // mean over the examples learnt in it, before their steps
	Accuracy           *float64 `json:"accuracy"`
	ValidationLoss     *float64 `json:"validation_loss"` // of the newest version
	ValidationAccuracy *float64 `json:"validation_accuracy"`
	P50                *float64 `json:"p50"` // of the predictions' times in the service, in milliseconds
	P99                *float64 `json:"p99"`
	Requests           uint64   `json:"requests"` // predictions that were answered
	Examples           uint64   `json:"examples"`
	Queued             int      `json:"queued"`
	Version            uint64   `json:"version"`
}

// A Vector is a list of finite numbers.
type Vector []float32

// UnmarshalJSON reads a list of numbers, each of which float32 has room for. A
// null is an error, as are numbers in quotes.
func (v *Vector) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if len(b) < 2 || b[0] != '[' || b[len(b)-1] != ']' {
		return errors.New("want a list of numbers")
	}
	b = bytes.TrimSpace(b[1 : len(b)-1])
	*v = make(Vector, 0, bytes.Count(b, []byte{','})+1)
	for len(b) > 0 {
		item, rest, more := bytes.Cut(b, []byte{','})
		item = bytes.TrimSpace(item)
		if len(item) == 0 || item[0] != '-' && (item[0] < '0' || item[0] > '9') {
			return fmt.Errorf("number %d is %.40q: want a number", len(*v), item)
		}
		x, err := strconv.ParseFloat(string(item), 32)
		if err != nil {
			return fmt.Errorf("number %d is %.40q: want a number that float32 has room for", len(*v), item)
		}
		*v = append(*v, float32(x))
		if b = rest; more && len(bytes.TrimSpace(b)) == 0 {
			return errors.New("want a list of numbers")
		}
	}
	return nil
}

// Read reads one JSON value of the given type, and nothing but it. Members that
// the type doesn't have are errors. Errors say in which part of the value they are, in
// words for a client.
func Read(text []byte, v any) error {
	if p, ok := v.(*Predict); ok && p.readUsual(text) {
		return nil
	}
	return readAny(text, v)
}

func readAny(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if part := partOf(text); part != nil {
			return part
		}
		return inWords(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON value")
	}
	return nil
}

// readUsual reads what nearly all requests are, {"input": [..]} or {"inputs": [[..], ..]},
// in a quarter of the time that encoding/json needs. Anything else, right or wrong, it
// leaves to that: it reports false, and p is as it was.
func (p *Predict) readUsual(text []byte) bool {
	s := usual{text}
	var read Predict
	if !s.skip('{') {
		return false
	}
	ok := false
	switch {
	case s.skip([]byte(`"input"`)...) && s.skip(':'):
		read.Input, ok = s.vector()
	case s.skip([]byte(`"inputs"`)...) && s.skip(':') && s.skip('['):
		for ok = true; ok; ok = s.skip(',') {
			v, isVector := s.vector()
			if !isVector {
				return false
			}
			read.Inputs = append(read.Inputs, v)
		}
		ok = s.skip(']')
	}
	if !ok || !s.skip('}') || len(s.space()) > 0 {
		return false
	}
	*p = read
	return true
}

// usual is the rest of a text.
type usual struct{ text []byte }

// space skips white space and returns what follows.
func (s *usual) space() []byte {
	for len(s.text) > 0 && (s.text[0] == ' ' || s.text[0] == '\n' || s.text[0] == '\t' || s.text[0] == '\r') {
		s.text = s.text[1:]
	}
	return s.text
}

// skip skips what follows after white space, if it is that.
func (s *usual) skip(what ...byte) bool {
	rest, ok := bytes.CutPrefix(s.space(), what)
	if ok {
		s.text = rest
	}
	return ok
}

// vector reads a list of one or more numbers.
func (s *usual) vector() (Vector, bool) {
	if !s.skip('[') {
		return nil, false
	}
	end := bytes.IndexByte(s.text, ']')
	if end < 0 {
		return nil, false
	}
	v := make(Vector, 0, bytes.Count(s.text[:end], []byte{','})+1)
	for {
		n := lengthOfNumber(s.space())
		x, err := strconv.ParseFloat(string(s.text[:n]), 32)
		if err != nil {
			return nil, false
		}
		v, s.text = append(v, float32(x)), s.text[n:]
		if !s.skip(',') {
			return v, s.skip(']')
		}
	}
}

// lengthOfNumber returns how many bytes a number has that a text begins with, by the
// grammar of JSON (RFC 8259, section 6); 0 if it begins with none.
func lengthOfNumber(text []byte) int {
	i := 0
	digits := func() bool {
		first := i
		for i < len(text) && '0' <= text[i] && text[i] <= '9' {
			i++
		}
		return i > first
	}
	one := func(set string) bool {
		ok := i < len(text) && strings.IndexByte(set, text[i]) >= 0
		if ok {
			i++
		}
		return ok
	}
	one("-")
	if !one("0") && !digits() || one(".") && !digits() {
		return 0
	}
	if one("eE") {
		one("+-")
		if !digits() {
			return 0
		}
	}
	return i
}

// partOf returns what is wrong with the first part of a request that is wrong by itself,
// nil if there is none.
func partOf(text []byte) error {
	var parts struct {
		Input            json.RawMessage
		Inputs, Examples []json.RawMessage
	}
	if json.Unmarshal(text, &parts) != nil {
		return nil
	}
	if parts.Input != nil {
		if err := new(Vector).UnmarshalJSON(parts.Input); err != nil {
			return fmt.Errorf(`"input": %w`, err)
		}
	}
	for i, part := range parts.Inputs {
		if err := new(Vector).UnmarshalJSON(part); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	for i, part := range parts.Examples {
		if err := Read(part, new(Example)); err != nil {
			return fmt.Errorf("example %d: %w", i, err)
		}
	}
	return nil
}

// inWords returns an error of encoding/json as a client, who doesn't know Go, can
// understand it.
func inWords(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	member, unknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON text ends too early")
	case errors.As(err, &syntax):
		return fmt.Errorf("it is not JSON: byte %d: %w", syntax.Offset, err)
	case unknown:
		return fmt.Errorf("there is no member %s", member)
	case errors.As(err, &kind):
		what := "the value"
		if kind.Field != "" {
			what = strconv.Quote(kind.Field)
		}
		want := "an object"
		switch kind.Type.Kind() {
		case reflect.Int:
			want = "an integer"
		case reflect.Slice:
			want = "a list"
		}
		return fmt.Errorf("%s is %.40s: want %s", what, strings.Replace(kind.Value, "array", "list", 1), want)
	}
	return err
}
