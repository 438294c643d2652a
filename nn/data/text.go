package data

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// ReadText reads a text file, plain and whole. It fails on an empty file.
// It allocates the file's size.
func ReadText(path string) (string, error) {
	f, err := open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return readText(f)
}

func readText(f *file) (string, error) {
	switch {
	case f.left == 0:
		return "", f.errorf("the file is empty")
	case f.left > maxBytes:
		return "", f.errorf("%d bytes are too large for memory: want at most %d", f.left, maxBytes)
	}
	var text strings.Builder
	text.Grow(int(f.left))
	if _, err := io.CopyN(&text, f.r, int64(f.left)); err != nil {
		return "", f.readError(err)
	}
	return text.String(), nil
}

// A Vocabulary numbers the tokens of a text, from 0 on: its bytes, or its
// characters, which are Unicode code points in UTF-8. It never changes.
type Vocabulary struct {
	characters []rune // in increasing order; nil if tokens are bytes
}

// maxTokens is the number of tokens that 16 bits can tell apart.
const maxTokens = 1 << 16

// Bytes returns the vocabulary of the 256 bytes, each its own number. It knows
// every text.
func Bytes() *Vocabulary { return &Vocabulary{} }

// Characters returns the vocabulary of the characters in a text, in increasing
// order. The String of a vocabulary, kept beside a model, gives the vocabulary
// again.
//
// It fails if the text is empty or not UTF-8, or has more than 65536 different
// characters.
func Characters(text string) (*Vocabulary, error) {
	seen := make(map[rune]struct{})
	for at, r := range text {
		if err := checkUTF8(text, at, r); err != nil {
			return nil, fmt.Errorf("data: Characters: %w", err)
		}
		if seen[r] = struct{}{}; len(seen) > maxTokens {
			return nil, fmt.Errorf("data: Characters: more than %d different characters", maxTokens)
		}
	}
	if len(seen) == 0 {
		return nil, errors.New("data: Characters: the text is empty")
	}
	v := &Vocabulary{make([]rune, 0, len(seen))}
	for r := range seen {
		v.characters = append(v.characters, r)
	}
	slices.Sort(v.characters)
	return v, nil
}

// checkUTF8 checks that the character r that range gave at a place is in the text.
func checkUTF8(text string, at int, r rune) error {
	if r == utf8.RuneError {
		if _, size := utf8.DecodeRuneInString(text[at:]); size == 1 {
			return fmt.Errorf("byte %#02x at offset %d is not UTF-8", text[at], at)
		}
	}
	return nil
}

// Len returns the number of tokens.
func (v *Vocabulary) Len() int {
	if v.characters == nil {
		return 256
	}
	return len(v.characters)
}

// String returns the characters in order, or "" for the vocabulary of bytes.
func (v *Vocabulary) String() string { return string(v.characters) }

// Encode returns the tokens of a text. It fails on a character that the
// vocabulary lacks and on text that is not UTF-8, which bytes need not be.
func (v *Vocabulary) Encode(text string) ([]uint16, error) {
	if v.characters == nil {
		tokens := make([]uint16, len(text))
		for i := range tokens {
			tokens[i] = uint16(text[i])
		}
		return tokens, nil
	}
	tokens := make([]uint16, 0, utf8.RuneCountInString(text))
	for at, r := range text {
		if err := checkUTF8(text, at, r); err != nil {
			return nil, fmt.Errorf("data: Encode: %w", err)
		}
		token, known := slices.BinarySearch(v.characters, r)
		if !known {
			return nil, fmt.Errorf("data: Encode: character %q at offset %d is not one of the vocabulary's %d", r, at, v.Len())
		}
		tokens = append(tokens, uint16(token))
	}
	return tokens, nil
}

// Decode returns the text of tokens. It fails on a token that is not below Len.
func (v *Vocabulary) Decode(tokens []uint16) (string, error) {
	var text strings.Builder
	for i, token := range tokens {
		switch {
		case int(token) >= v.Len():
			return "", fmt.Errorf("data: Decode: token %d is %d: want 0 to %d", i, token, v.Len()-1)
		case v.characters == nil:
			text.WriteByte(byte(token))
		default:
			text.WriteRune(v.characters[token])
		}
	}
	return text.String(), nil
}

// Split divides tokens in two, without a copy: the last share of them, from 0 to
// 1 and rounded down, is for validation.
//
// It fails unless both sides get a token.
func Split(tokens []uint16, share float64) (train, validation []uint16, err error) {
	n := 0
	if share > 0 && share < 1 {
		n = int(float64(len(tokens)) * share)
	}
	if n < 1 || n >= len(tokens) {
		return nil, nil, fmt.Errorf("data: Split: a share of %v of %d tokens: want at least 1 on both sides", share, len(tokens))
	}
	at := len(tokens) - n
	return tokens[:at:at], tokens[at:], nil
}

// Windows are stretches of a text, to learn each token from those before it: a
// [Source] whose samples have as inputs length tokens, as float32, and as labels
// the length tokens that begin one later. Any number of goroutines may use them.
type Windows struct {
	tokens []uint16
	length int
	n      int // windows

	seed    uint64
	offsets int // how many places the first window may have
}

// NewWindows cuts tokens into windows that begin at 0, length, 2*length and so
// on, the same in each epoch: together they have each token but the first as a
// label once, unless fewer than length are left at the end. It is for
// validation.
//
// The tokens belong to the windows from then on. It fails unless there is at
// least one window, of length+1 tokens.
func NewWindows(tokens []uint16, length int) (*Windows, error) {
	if length < 1 || length >= len(tokens) {
		return nil, fmt.Errorf("data: windows of %d inputs and as many labels in %d tokens: want 1 to %d", length, len(tokens), len(tokens)-1)
	}
	return &Windows{tokens: tokens, length: length, n: (len(tokens) - 1) / length, offsets: 1}, nil
}

// NewRandomWindows is like [NewWindows], but draws anew for each epoch where the
// first window begins, so that over the epochs they begin everywhere. It is for
// training.
//
// The first of all n = max(1, (len(tokens)-length)/length) windows begins at
// IntN(min(length, len(tokens)-n*length)) of the [Draws] with index and place 0.
func NewRandomWindows(tokens []uint16, length int, seed uint64) (*Windows, error) {
	w, err := NewWindows(tokens, length)
	if err != nil {
		return nil, err
	}
	w.seed = seed
	w.n = max(1, (len(tokens)-length)/length)
	w.offsets = min(length, len(tokens)-w.n*length)
	return w, nil
}

// Len returns the number of windows.
func (w *Windows) Len() int { return w.n }

// Sizes returns the length of the windows, twice.
func (w *Windows) Sizes() (inputs, labels int) { return w.length, w.length }

// Gather stores the windows with the given indices in x and labels, as they are
// in the given epoch, as [Source] has it.
func (w *Windows) Gather(x []float32, labels []int, epoch int, indices []int) error {
	if err := checkGather(w.n, w.length, w.length, x, labels, indices); err != nil {
		return err
	}
	draws := newDraws(w.seed, epoch, 0, 0)
	offset := draws.IntN(w.offsets)
	for r, i := range indices {
		window := w.tokens[offset+i*w.length:][:w.length+1]
		for k := range w.length {
			x[r*w.length+k] = float32(window[k])
			labels[r*w.length+k] = int(window[k+1])
		}
	}
	return nil
}
