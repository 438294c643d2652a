package data

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestReadText(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{"a", "one\r\ntwo é", "\xff\x00", strings.Repeat("long ", 100_000)} {
		got, err := ReadText(write(t, dir, "text", []byte(want)))
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Less(t, allocated(func() { _, err = readText(memory("t", []byte(want))) }), uint64(2*len(want)+constant), "the copy for the test counts")
		require.NoError(t, err)
	}
}

func TestReadTextErrors(t *testing.T) {
	_, err := readText(memory("t", nil))
	require.EqualError(t, err, "data: t: the file is empty")
	short := memory("t", []byte("text"))
	short.left = 5
	_, err = readText(short)
	require.EqualError(t, err, "data: t: the file is truncated")
	short.left = 1 << 33
	_, err = readText(short)
	require.ErrorContains(t, err, "data: t: 8589934592 bytes are too large for memory: want at most ")
}

func TestCharacters(t *testing.T) {
	v, err := Characters("hé, 世界! hé\n")
	require.NoError(t, err)
	require.Equal(t, "\n !,hé世界", v.String())
	require.Equal(t, 8, v.Len())
	tokens, err := v.Encode("hé 世!\n")
	require.NoError(t, err)
	require.Equal(t, []uint16{4, 5, 1, 6, 2, 0}, tokens)
	text, err := v.Decode(tokens)
	require.NoError(t, err)
	require.Equal(t, "hé 世!\n", text)
	again, err := Characters(v.String())
	require.NoError(t, err)
	require.Equal(t, v, again)
	replacement, err := Characters("a\uFFFD")
	require.NoError(t, err, "the character itself is no mistake")
	require.Equal(t, 2, replacement.Len())

	_, err = v.Encode("hé ho")
	require.EqualError(t, err, `data: Encode: character 'o' at offset 5 is not one of the vocabulary's 8`)
	_, err = v.Encode("h\xc3")
	require.EqualError(t, err, "data: Encode: byte 0xc3 at offset 1 is not UTF-8")
	_, err = replacement.Encode("a\xff")
	require.EqualError(t, err, "data: Encode: byte 0xff at offset 1 is not UTF-8")
	_, err = v.Decode([]uint16{7, 8})
	require.EqualError(t, err, "data: Decode: token 1 is 8: want 0 to 7")
	empty, err := v.Encode("")
	require.NoError(t, err)
	require.Empty(t, empty)

	_, err = Characters("")
	require.EqualError(t, err, "data: Characters: the text is empty")
	_, err = Characters("ab\xff")
	require.EqualError(t, err, "data: Characters: byte 0xff at offset 2 is not UTF-8")
}

func TestMostCharacters(t *testing.T) {
	var text strings.Builder
	r := rune(0)
	for n := 0; n < maxTokens; r++ {
		if utf8.ValidRune(r) {
			text.WriteRune(r)
			n++
		}
	}
	v, err := Characters(text.String())
	require.NoError(t, err)
	require.Equal(t, maxTokens, v.Len())
	tokens, err := v.Encode(text.String())
	require.NoError(t, err)
	for i, token := range tokens {
		require.Equal(t, uint16(i), token)
	}
	text.WriteRune(r)
	_, err = Characters(text.String())
	require.EqualError(t, err, "data: Characters: more than 65536 different characters")
}

func TestBytes(t *testing.T) {
	v := Bytes()
	require.Equal(t, 256, v.Len())
	require.Empty(t, v.String())
	tokens, err := v.Encode("a\xff\x00é")
	require.NoError(t, err)
	require.Equal(t, []uint16{97, 255, 0, 0xc3, 0xa9}, tokens)
	text, err := v.Decode(tokens)
	require.NoError(t, err)
	require.Equal(t, "a\xff\x00é", text)
	_, err = v.Decode([]uint16{256})
	require.EqualError(t, err, "data: Decode: token 0 is 256: want 0 to 255")
}

func TestSplit(t *testing.T) {
	tokens := counting(10)
	for share, n := range map[float64]int{0.1: 1, 0.25: 2, 0.5: 5, 0.9: 9, 0.99: 9} {
		train, validation, err := Split(tokens, share)
		require.NoError(t, err)
		require.Len(t, validation, n)
		require.Equal(t, tokens, slices.Concat(train, validation))
		require.Equal(t, len(train), cap(train), "appending to one side leaves the other alone")
	}
	for _, share := range []float64{0, 0.05, 1, -1, 2, math.NaN(), math.Inf(1)} {
		_, _, err := Split(tokens, share)
		require.ErrorContains(t, err, "of 10 tokens: want at least 1 on both sides")
	}
	_, _, err := Split(nil, 0.5)
	require.Error(t, err)
}

func counting(n int) []uint16 {
	tokens := make([]uint16, n)
	for i := range tokens {
		tokens[i] = uint16(i)
	}
	return tokens
}

// windowBegin checks that a window is a stretch of counting tokens, and returns
// where it begins.
func windowBegin(t *testing.T, s Source, epoch, index int) int {
	t.Helper()
	x, labels := gather(t, s, epoch, index)
	for k := range x {
		if x[k] != x[0]+float32(k) || labels[k] != int(x[k])+1 {
			require.Fail(t, "not a stretch", "%v, %v", x, labels)
		}
	}
	return int(x[0])
}

func TestWindows(t *testing.T) {
	for n := 2; n <= 20; n++ {
		for length := 1; length < n; length++ {
			w, err := NewWindows(counting(n), length)
			require.NoError(t, err)
			require.Equal(t, (n-1)/length, w.Len())
			for i := range w.Len() {
				require.Equal(t, i*length, windowBegin(t, w, i, i))
			}
		}
	}
	for _, length := range []int{-1, 0, 5, math.MaxInt} {
		_, err := NewWindows(make([]uint16, 5), length)
		require.ErrorContains(t, err, "in 5 tokens: want 1 to 4")
		_, err = NewRandomWindows(make([]uint16, 5), length, 1)
		require.ErrorContains(t, err, "in 5 tokens: want 1 to 4")
	}
}

func TestRandomWindows(t *testing.T) {
	for n := 2; n <= 13; n++ {
		for length := 1; length < n; length++ {
			w, err := NewRandomWindows(counting(n), length, 5)
			require.NoError(t, err)
			require.Equal(t, max(1, (n-length)/length), w.Len())
			begins := make(map[int]bool)
			for epoch := range 100 {
				first := windowBegin(t, w, epoch, 0)
				require.Equal(t, first, windowBegin(t, w, epoch, 0), "it repeats")
				for i := range w.Len() {
					require.Equal(t, first+i*length, windowBegin(t, w, epoch, i))
					begins[first+i*length] = true
				}
			}
			// Windows begin everywhere, but where the text ends within length.
			require.Len(t, begins, min(n-length, w.Len()*length), "%d tokens, windows of %d", n, length)
		}
	}
	a, err := NewRandomWindows(counting(1000), 90, 1)
	require.NoError(t, err)
	b, err := NewRandomWindows(counting(1000), 90, 2)
	require.NoError(t, err)
	require.NotEqual(t, windowBegin(t, a, 0, 0), windowBegin(t, b, 0, 0), "another seed")
}

func FuzzText(f *testing.F) {
	f.Add([]byte("to be\n"), "be")
	f.Add([]byte("é世界"), "\xff")
	f.Add([]byte{}, "")
	f.Add([]byte("\xed\xa0\x80"), "a")
	f.Fuzz(func(t *testing.T, content []byte, other string) {
		var text string
		var err error
		bytes := allocated(func() { text, err = readText(memory("t", content)) })
		require.LessOrEqual(t, bytes, uint64(len(content)+constant))
		if len(content) == 0 {
			require.EqualError(t, err, "data: t: the file is empty")
			return
		}
		require.NoError(t, err)
		require.Equal(t, string(content), text)

		vocabularies := []*Vocabulary{Bytes()}
		v, err := Characters(text)
		require.Equal(t, utf8.ValidString(text), err == nil)
		if err == nil {
			require.LessOrEqual(t, v.Len(), utf8.RuneCountInString(text))
			vocabularies = append(vocabularies, v)
		}
		for _, v := range vocabularies {
			for _, s := range []string{text, other} {
				var tokens []uint16
				bytes := allocated(func() { tokens, err = v.Encode(s) })
				require.LessOrEqual(t, bytes, uint64(2*len(s)+constant))
				known := v.String() == "" || utf8.ValidString(s) && strings.Trim(s, v.String()) == ""
				require.Equal(t, known, err == nil, err)
				if err != nil {
					require.Nil(t, tokens)
					require.NotContains(t, err.Error(), "\n")
					continue
				}
				decoded, err := v.Decode(tokens)
				require.NoError(t, err)
				require.Equal(t, s, decoded)
			}
			tokens, err := v.Encode(text)
			require.NoError(t, err)
			for _, length := range []int{1, len(tokens) / 2, len(tokens) - 1} {
				w, err := NewRandomWindows(tokens, length, uint64(len(other)))
				if length < 1 || length >= len(tokens) {
					require.Error(t, err)
					continue
				}
				require.NoError(t, err)
				gather(t, w, length, w.Len()-1)
			}
		}
	})
}
