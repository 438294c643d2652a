package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/examples/internal/cli"
	"github.com/adafisher-go/adafisher/examples/internal/report"
	"github.com/adafisher-go/adafisher/kernels"
)

// runFashion runs the program in an empty directory.
func runFashion(t *testing.T, args ...string) (stdout string, err error) {
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	err = fashion().Run(args, &out, &errs)
	require.Empty(t, errs.String())
	return out.String(), err
}

// pictures writes a data set in which the class is the distance of bright stripes.
func pictures(t *testing.T) string {
	dir := t.TempDir()
	for name, n := range map[string]int{"train": 100, "t10k": 40} {
		images := binary.BigEndian.AppendUint32(nil, 0x803)
		labels := binary.BigEndian.AppendUint32(nil, 0x801)
		for _, size := range []int{n, 28, 28} {
			images = binary.BigEndian.AppendUint32(images, uint32(size))
		}
		labels = binary.BigEndian.AppendUint32(labels, uint32(n))
		for i := range n {
			class := i % 10
			picture := make([]byte, 28*28)
			for k := i % 3; k < len(picture); k += class + 2 {
				picture[k] = byte(150 + i%100)
			}
			images, labels = append(images, picture...), append(labels, byte(class))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+"-images-idx3-ubyte"), images, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+"-labels-idx1-ubyte"), labels, 0o600))
	}
	return dir
}

func TestOutput(t *testing.T) {
	stdout, err := runFashion(t, "-data", pictures(t), "-widths", "4,6", "-epochs", "2", "-batch", "20", "-augment")
	require.NoError(t, err)
	require.Contains(t, stdout, `Teaching a small convolutional network to tell clothes apart (28x28 pixels), with AdaFisher.
Network: 3x3 convolutions of twice 4 and twice 6 channels with batch normalisation, `)
	require.Contains(t, stdout, "Data: 100 pictures to train on, 40 others held back for the test.")
	require.Contains(t, stdout, "Loss and accuracy by epoch are drawn in fashion.svg.\n")
	require.FileExists(t, "fashion.svg")
}

func TestLearns(t *testing.T) {
	stdout, err := runFashion(t, "-data", pictures(t), "-widths", "4", "-epochs", "30", "-batch", "20", "-json", "-optimizer", "adamw", "-workers", "2")
	require.NoError(t, err)
	var got report.Record
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	require.Greater(t, got.TestAccuracy, 0.3, "a guess is right once in ten times")
	require.Equal(t, "cosine", got.Schedule)
}

func TestErrors(t *testing.T) {
	empty := t.TempDir()
	_, err := runFashion(t, "-data", empty)
	require.ErrorContains(t, err, empty)
	require.NotContains(t, err.Error(), "\n")
	require.Equal(t, 1, cli.Status(err))
	_, err = runFashion(t, "-data", pictures(t), "-widths", "4,4,4,4,4")
	require.ErrorContains(t, err, "want 1 to 4 integers")
	require.Equal(t, 2, cli.Status(err))
	_, err = runFashion(t, "-data", pictures(t), "-validate")
	require.ErrorContains(t, err, "5000 of 100 images")
}

func TestDigest(t *testing.T) {
	best := kernels.CurrentLevel()
	defer func() { require.NoError(t, kernels.SetLevel(best)) }()
	sums := make(map[string]bool)
	for _, level := range kernels.Levels() {
		require.NoError(t, kernels.SetLevel(level))
		stdout, err := runFashion(t, "-digest", "-workers", "2")
		require.NoError(t, err)
		sums[strings.Fields(stdout)[1]] = true
	}
	require.Len(t, sums, 1)
}
