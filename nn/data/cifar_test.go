package data

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// someCIFAR returns the bytes of a file of n records.
func someCIFAR(n int, seed uint64) []byte {
	b := random(n*3073, 256, seed)
	for i := range n {
		b[i*3073] %= 10
	}
	return b
}

func TestReadCIFAR10(t *testing.T) {
	dir := t.TempDir()
	a, b := someCIFAR(3, 1), someCIFAR(2, 2)
	set, err := ReadCIFAR10(write(t, dir, "a", a), write(t, dir, "b", b))
	require.NoError(t, err)
	require.Equal(t, 5, set.Len())
	require.Equal(t, nn.Shape{32, 32, 3}, set.Shape())
	require.Equal(t, 10, set.Classes())
	for i := range 5 {
		record := slices.Concat(a, b)[i*3073:][:3073]
		x, labels := gather(t, set, 0, i)
		require.Equal(t, []int{int(record[0])}, labels)
		for y := range 32 {
			for column := range 32 {
				for c := range 3 {
					require.Equal(t, float32(record[1+c*1024+y*32+column])/255, x[(y*32+column)*3+c])
				}
			}
		}
	}
	require.Less(t, allocated(func() { _, err = readCIFAR10([]*file{memory("a", a), memory("b", b)}) }), uint64(len(a)+len(b)+constant))
	require.NoError(t, err)
}

func TestReadCIFAR10Errors(t *testing.T) {
	good := someCIFAR(3, 1)
	bad := slices.Clone(good)
	bad[2*3073] = 10
	size := func(n int) string {
		return fmt.Sprintf("data: b: %d bytes: want one or more records of 3073, a label and an image of 32x32 in 3 colours", n)
	}
	for _, c := range []struct {
		b    []byte
		want string
	}{
		{nil, size(0)},
		{good[:3072], size(3072)},
		{good[:len(good)-1], size(3*3073 - 1)},
		{append(slices.Clone(good), 0), size(3*3073 + 1)},
		{bad, "data: b: label 2 is 10: want 0 to 9"},
	} {
		set, err := readCIFAR10([]*file{memory("a", good), memory("b", c.b)})
		require.EqualError(t, err, c.want)
		require.Nil(t, set)
	}

	// A file that has become shorter, and one that fills the memory.
	short := memory("b", good)
	short.left += 3073
	_, err := readCIFAR10([]*file{memory("a", good), short})
	require.EqualError(t, err, "data: b: the file is truncated")
	huge := memory("b", good)
	huge.left = 3073 << 21
	_, err = readCIFAR10([]*file{memory("a", good), huge})
	require.ErrorContains(t, err, "data: b: too large for memory: want at most ")
	_, err = ReadCIFAR10()
	require.EqualError(t, err, "data: ReadCIFAR10: no files")
}

func FuzzCIFAR10(f *testing.F) {
	f.Add(someCIFAR(1, 1), someCIFAR(2, 2))
	f.Add(someCIFAR(2, 1), []byte{})
	f.Add(make([]byte, 3073), someCIFAR(1, 1)[:3072])
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var set *Images
		var err error
		bytes := allocated(func() { set, err = readCIFAR10([]*file{memory("a", a), memory("b", b)}) })
		require.LessOrEqual(t, bytes, uint64(len(a)+len(b)+constant))
		if err != nil {
			require.Nil(t, set)
			require.Regexp(t, "^data: [ab]: [^\n]*$", err.Error())
			return
		}
		var content []byte // back into planes
		for i := range set.Len() {
			content = append(content, set.labels[i])
			for c := range 3 {
				for k := c; k < 3072; k += 3 {
					content = append(content, set.image(i)[k])
				}
			}
		}
		require.Equal(t, slices.Concat(a, b), content)
	})
}
