package data

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

func TestReadIDX(t *testing.T) {
	dir := t.TempDir()
	pixels, labels := random(6*3*4, 256, 1), []byte{0, 1, 2, 3, 9, 0}
	for name, pack := range map[string]func([]byte) []byte{"plain": slices.Clone[[]byte], "packed": pack} {
		images := write(t, dir, name+"-images", pack(idx(pixels, 6, 3, 4)))
		set, err := ReadIDX(images, write(t, dir, name+"-labels", pack(idx(labels, 6))), 10)
		require.NoError(t, err)
		require.Equal(t, 6, set.Len())
		require.Equal(t, nn.Shape{3, 4, 1}, set.Shape())
		require.Equal(t, 10, set.Classes())
		require.Equal(t, pixels, set.pixels)
		require.Equal(t, labels, set.labels)
	}
}

// A packed file that takes many turns of growing its memory.
func TestReadIDXLarge(t *testing.T) {
	const n, side = 3001, 17
	pixels, labels := random(n*side*side, 256, 1), random(n, 10, 2)
	images, packed := idx(pixels, n, side, side), idx(labels, n)
	for _, z := range [][2][]byte{{images, packed}, {pack(images), pack(packed)}} {
		var set *Images
		var err error
		bytes := allocated(func() { set, err = readIDX(memory("i", z[0]), memory("l", z[1]), 10) })
		require.NoError(t, err)
		require.True(t, slices.Equal(pixels, set.pixels))
		require.Equal(t, n*side*side, cap(set.pixels))
		require.Less(t, bytes, uint64(3*len(images)+constant))
	}
}

func TestReadIDXErrors(t *testing.T) {
	const huge = 1<<32 - 1
	pixels, labels := random(24, 256, 1), []byte{0, 1, 2, 3}
	images, good := idx(pixels, 4, 2, 3), idx(labels, 4)
	edited := func(b []byte, at int, to byte) []byte {
		b = slices.Clone(b)
		b[at] = to
		return b
	}
	badSum := pack(images)
	badSum = edited(badSum, len(badSum)-6, badSum[len(badSum)-6]^1)
	zeros := make([]byte, 1<<22)
	for _, c := range []struct {
		images, labels []byte
		want           string
	}{
		{nil, good, "data: i: the file is truncated"},
		{images[:3], good, "data: i: the file is truncated"},
		{images[:15], good, "data: i: the file is truncated"},
		{images[:16], good, "data: i: the file is truncated: the header announces 4 images of 2x3, 24 bytes, and 0 follow"},
		{images[:39], good, "data: i: the file is truncated: the header announces 4 images of 2x3, 24 bytes, and 23 follow"},
		{append(slices.Clone(images), 0), good, "data: i: the file is too long: the header announces 4 images of 2x3, 24 bytes, and 25 follow"},
		{images, nil, "data: l: the file is truncated"},
		{images, good[:11], "data: l: the file is truncated: the header announces 4 labels, 4 bytes, and 3 follow"},
		{images, append(slices.Clone(good), 0), "data: l: the file is too long: the header announces 4 labels, 4 bytes, and 5 follow"},
		{good, good, "data: i: magic number 0x00000801: want 0x00000803, that of an IDX file of images"},
		{images, images, "data: l: magic number 0x00000803: want 0x00000801, that of an IDX file of labels"},
		{edited(images, 2, 0x0d), good, "data: i: magic number 0x00000d03: want 0x00000803"},
		{[]byte("<!DOCTYPE html><html>"), good, "data: i: magic number 0x3c21444f: want 0x00000803"},
		{images, idx(labels[:3], 3), "data: l: 3 labels for the 4 images in i"},
		{images, edited(good, 11, 10), "data: l: label 3 is 10: want 0 to 9"},
		{idx(nil, 0, 2, 3), idx(nil, 0), "data: i: no images"},
		{idx(nil, 4, 0, 3), good, "data: i: images of shape [0 3 1]: want [height, width, channels], at least 1 each"},
		{idx(nil, 4, 2, 0), good, "data: i: images of shape [2 0 1]: want"},
		// 2^32 images in a file of 20 bytes.
		{idx(make([]byte, 4), huge, 28, 28), idx(nil, huge), "the header announces 4294967295 labels"},
		{idx(pixels, 4, huge, huge), good, "data: i: the header announces 4 images of 4294967295x4294967295, which are too large for memory: want at most "},
		{idx(pixels, 4, 1<<31, 1<<31), good, "too large for memory"}, // 2^64, as 64 bits don't tell from 0
		{idx(pixels, 4, 1<<14, 1<<14), good, "data: i: the file is truncated: the header announces 4 images of 16384x16384, 1073741824 bytes, and 24 follow"},
		// The same compressed.
		{pack(images[:15]), good, "data: i: the file is truncated"},
		{pack(images[:39]), good, "data: i: the file is truncated"},
		{pack(images)[:5], good, "data: i: the file is truncated"},
		{pack(images)[:30], good, "data: i: the file is truncated"},
		{pack(images)[:len(pack(images))-1], good, "data: i: the file is truncated"},
		{badSum, good, "data: i: gzip: invalid checksum"},
		{append(pack(images), 0), good, "data: i: "},
		{append(pack(images), pack([]byte{1})...), good, "data: i: the file is too long: more follows behind the 4 images of 2x3 that the header announces"},
		{pack(append(slices.Clone(images), zeros...)), good, "data: i: the file is too long: more follows behind the 4 images of 2x3"},
		{pack(idx(pixels, 4, 1<<14, 1<<14)), good, "data: i: the file is truncated: the header announces 4 images of 16384x16384, 1073741824 bytes, and at most "},
		{pack(idx(zeros, 4, 1<<10, 1<<10+1)), good, "data: i: the file is truncated"},
		{pack(pack(images)), good, "data: i: magic number 0x1f8b"},
	} {
		var set *Images
		var err error
		bytes := allocated(func() { set, err = readIDX(memory("i", c.images), memory("l", c.labels), 10) })
		require.ErrorContains(t, err, c.want)
		require.NotContains(t, err.Error(), "\n")
		require.Nil(t, set)
		if len(c.images) < 100 {
			require.Less(t, bytes, uint64(constant), c.want)
		}
	}
	for _, classes := range []int{-1, 0, 257} {
		_, err := readIDX(memory("i", images), memory("l", good), classes)
		require.EqualError(t, err, fmt.Sprintf("data: ReadIDX: %d classes: want 1 to 256", classes))
	}
}

// Of a small file that unpacks to much, no more is read than its header announces;
// and for much that is announced and does not arrive, no memory is taken.
func TestReadIDXBomb(t *testing.T) {
	labels := idx(make([]byte, 4), 4)
	bomb := pack(idx(make([]byte, 1<<23), 4, 2, 3))
	var err error
	require.Less(t, allocated(func() { _, err = readIDX(memory("i", bomb), memory("l", labels), 10) }), uint64(constant))
	require.ErrorContains(t, err, "data: i: the file is too long")

	// It could hold 2^25 bytes by its size, and does not.
	random := pack(idx(random(1<<16, 256, 1), 4, 1<<10, 1<<11))
	require.Greater(t, len(random)*maxRatio, 1<<23)
	require.Less(t, allocated(func() { _, err = readIDX(memory("i", random), memory("l", labels), 10) }), uint64(constant))
	require.ErrorContains(t, err, "data: i: the file is truncated")
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	labels := write(t, dir, "labels", idx([]byte{1}, 1))
	missing := filepath.Join(dir, "missing")
	for _, read := range []func(string) error{
		func(path string) error { _, err := ReadIDX(path, labels, 10); return err },
		func(path string) error { _, err := ReadIDX(labels, path, 10); return err },
		func(path string) error { _, err := ReadCIFAR10(path); return err },
		func(path string) error { _, err := ReadText(path); return err },
	} {
		err := read(missing)
		require.ErrorIs(t, err, os.ErrNotExist)
		require.ErrorContains(t, err, "data: ")
		require.ErrorContains(t, err, missing)
		require.EqualError(t, read(dir), "data: "+dir+": not a regular file")
		require.EqualError(t, read(os.DevNull), "data: "+os.DevNull+": not a regular file")
	}
}

func FuzzIDX(f *testing.F) {
	images, labels := idx(random(12, 256, 1), 2, 2, 3), idx([]byte{1, 2}, 2)
	f.Add(images, labels, false)
	f.Add(images, labels, true)
	f.Add(pack(images), pack(labels), false)
	f.Add(idx(nil, 1<<32-1, 28, 28), idx(nil, 1<<32-1), false)
	f.Add(idx(nil, 2, 1<<31, 1<<31), labels, true)
	f.Add(pack(make([]byte, 1<<20)), labels, false)
	f.Fuzz(func(t *testing.T, images, labels []byte, packed bool) {
		i, l := images, labels
		if packed {
			i, l = pack(i), pack(l)
		}
		var set *Images
		var err error
		bytes := allocated(func() { set, err = readIDX(memory("images", i), memory("labels", l), 10) })
		require.LessOrEqual(t, bytes, unpackedSize(i)+unpackedSize(l)+constant)
		if err != nil {
			require.Nil(t, set)
			require.True(t, strings.HasPrefix(err.Error(), "data: images: ") || strings.HasPrefix(err.Error(), "data: labels: "), err)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		// A set that is read says all that was in the files.
		shape := set.Shape()
		content, err := io.ReadAll(unpack(i))
		require.NoError(t, err)
		require.Equal(t, content, idx(set.pixels, uint(set.Len()), uint(shape[0]), uint(shape[1])))
		content, err = io.ReadAll(unpack(l))
		require.NoError(t, err)
		require.Equal(t, content, idx(set.labels, uint(set.Len())))
		require.Less(t, slices.Max(set.labels), byte(10))
		x, y := gather(t, set, 0, set.Len()-1)
		require.Equal(t, int(set.labels[set.Len()-1]), y[0])
		require.Len(t, x, shape[0]*shape[1])
	})
}
