package data

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// writeMNIST writes a small set with the files and the format of MNIST, whose
// images are all of the given pixel, and in which every other file is compressed.
func writeMNIST(t *testing.T, dir string, pixel byte) {
	for i, size := range []uint{40, 20} {
		labels := make([]byte, size)
		for i := range labels {
			labels[i] = byte(i % 10)
		}
		write(t, dir, mnistFiles[2*i]+".gz", pack(idx(bytes.Repeat([]byte{pixel}, int(size)*28*28), size, 28, 28)))
		write(t, dir, mnistFiles[2*i+1], idx(labels, size))
	}
}

func writeCIFAR10(t *testing.T, dir string) {
	for i, name := range cifar10.files {
		write(t, dir, name, someCIFAR(i+1, uint64(i)))
	}
}

// setPlaces sets where data sets are searched.
func setPlaces(t *testing.T, env, system string) {
	t.Setenv(variable, env)
	old := systemDir
	systemDir = system
	t.Cleanup(func() { systemDir = old })
}

func TestFind(t *testing.T) {
	given, env, system := t.TempDir(), t.TempDir(), t.TempDir()
	setPlaces(t, env, system)
	requireFirst := func(dir string, pixel byte) {
		t.Helper()
		train, test, err := FashionMNIST(dir)
		require.NoError(t, err)
		require.Equal(t, 40, train.Len())
		require.Equal(t, 20, test.Len())
		require.Equal(t, pixel, train.pixels[0])
		require.Equal(t, pixel, test.pixels[0])
	}
	requireMissing := func(dir, want string) {
		t.Helper()
		train, test, err := FashionMNIST(dir)
		require.EqualError(t, err, want)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.True(t, train == nil && test == nil)
	}
	const how = "; to get it: apt-get install dataset-fashion-mnist"
	tried := func(dirs ...string) string {
		return "data: fashion-mnist not found: tried " + strings.Join(dirs, " (no train-images-idx3-ubyte), ") + " (no train-images-idx3-ubyte)"
	}
	name := func(dir string) string { return filepath.Join(dir, "fashion-mnist") }

	requireMissing("", tried(name(env), env, name(system))+how)
	requireMissing(given, tried(name(given), given)+how)
	t.Setenv(variable, "")
	requireMissing("", tried(name(system))+"; ADAFISHER_DATA is not set"+how)
	t.Setenv(variable, env)

	// Each new place comes before the last.
	writeMNIST(t, name(system), 1)
	requireFirst("", 1)
	requireMissing(given, tried(name(given), given)+how) // what was asked for is not replaced
	writeMNIST(t, env, 2)
	requireFirst("", 2)
	writeMNIST(t, name(env), 3)
	requireFirst("", 3)
	writeMNIST(t, given, 4)
	requireFirst(given, 4)
	writeMNIST(t, name(given), 5)
	requireFirst(given, 5)

	_, _, err := MNIST(filepath.Join(given, "no"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "data: mnist not found: tried ")
	require.ErrorContains(t, err, "; to get it: put there train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, plain or as .gz")
	train, _, err := MNIST(given)
	require.NoError(t, err)
	require.Equal(t, byte(4), train.pixels[0])
}

// A set that is there and wrong is not passed over.
func TestFindDamaged(t *testing.T) {
	dir := t.TempDir()
	setPlaces(t, "", t.TempDir())
	writeMNIST(t, dir, 1)
	labels := write(t, dir, mnistFiles[3], idx(nil, 20))
	_, _, err := FashionMNIST(dir)
	require.EqualError(t, err, "data: "+labels+": the file is truncated: the header announces 20 labels, 20 bytes, and 0 follow")
	require.NotErrorIs(t, err, fs.ErrNotExist)

	write(t, dir, mnistFiles[3], idx([]byte{1}, 1))
	for _, side := range [][2]uint{{28, 27}, {27, 28}} {
		images := write(t, dir, mnistFiles[2], idx(make([]byte, 28*27), 1, side[0], side[1]))
		_, _, err = FashionMNIST(dir)
		require.EqualError(t, err, fmt.Sprintf("data: %s: images of %dx%d: want 28x28, as in %s.gz", images, side[0], side[1], filepath.Join(dir, mnistFiles[0])))
	}
}

func TestCIFAR10(t *testing.T) {
	dir := t.TempDir()
	setPlaces(t, dir, t.TempDir())
	_, _, err := CIFAR10("")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "data: cifar-10-batches-bin not found: tried ")
	require.ErrorContains(t, err, "; to get it: unpack cifar-10-binary.tar.gz there")
	writeCIFAR10(t, filepath.Join(dir, "cifar-10-batches-bin"))
	train, test, err := CIFAR10("")
	require.NoError(t, err)
	require.Equal(t, 1+2+3+4+5, train.Len())
	require.Equal(t, 6, test.Len())
	require.Equal(t, nn.Shape{32, 32, 3}, test.Shape())

	file := write(t, dir, "cifar-10-batches-bin/test_batch.bin", nil)
	train, test, err = CIFAR10("")
	require.ErrorContains(t, err, "data: "+file+": 0 bytes")
	require.True(t, train == nil && test == nil)
}

// The real files, where they are installed; TestFind has generated ones.
func TestFashionMNIST(t *testing.T) {
	t.Setenv(variable, "")
	files, err := fashionMNIST.find("")
	if err != nil {
		require.ErrorIs(t, err, fs.ErrNotExist)
		t.Log("only generated sets are tested, not the real one:", err)
		return
	}
	test, err := ReadIDX(files[2], files[3], 10)
	require.NoError(t, err)
	requireFashion(t, test, 10_000)
	if testing.Short() {
		t.Log("only the images to test with are read, with -short")
		return
	}
	train, again, err := FashionMNIST("")
	require.NoError(t, err)
	require.True(t, reflect.DeepEqual(test, again))
	requireFashion(t, train, 60_000)
	require.Equal(t, []byte{9, 0, 0, 3, 0, 2, 7, 2, 5, 5}, train.labels[:10])
	mean, std := train.MeanStd()
	require.InDelta(t, 0.2860, mean[0], 5e-5)
	require.InDelta(t, 0.3530, std[0], 5e-5)
}

// requireFashion checks that there are n images of 28x28, as many of each class.
func requireFashion(t *testing.T, s *Images, n int) {
	require.Equal(t, n, s.Len())
	require.Equal(t, nn.Shape{28, 28, 1}, s.Shape())
	var counts [10]int
	for _, label := range s.labels {
		counts[label]++
	}
	for _, count := range counts {
		require.Equal(t, n/10, count)
	}
}
