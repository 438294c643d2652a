package main

import (
	"bytes"
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

// runCharlm runs the program in an empty directory.
func runCharlm(t *testing.T, args ...string) (stdout string, err error) {
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	err = charlm().Run(args, &out, &errs)
	require.Empty(t, errs.String())
	return out.String(), err
}

// verse is a text that even the smallest network learns something of.
func verse(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "verse.txt")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("the rays of light are bent by glass. ", 120)), 0o600))
	return file
}

func TestOutput(t *testing.T) {
	stdout, err := runCharlm(t, "-data", verse(t), "-blocks", "1", "-width", "8", "-epochs", "3", "-batch", "4", "-workers", "1",
		"-prompt", "the ", "-sample", "30", "-optimizer", "adamw,adafisher")
	require.NoError(t, err)
	require.Contains(t, stdout, "Teaching a small transformer to write like Newton, character by character, with AdamW and AdaFisher.\n"+
		"Network: 1 transformer blocks of 8 features in 4 heads, on 64 characters out of 16, ")
	require.Contains(t, stdout, "test perplexity")
	require.Contains(t, stdout, "Loss and perplexity by epoch are drawn in charlm.svg.\n")
	for _, optimizer := range []string{"AdamW", "AdaFisher"} {
		_, after, found := strings.Cut(stdout, "Written by the network that "+optimizer+" trained:\n\n")
		require.True(t, found)
		text, _, _ := strings.Cut(after, "\n")
		require.True(t, strings.HasPrefix(text, "the "), text)
		require.Greater(t, len(text), 20)
	}
	picture, err := os.ReadFile("charlm.svg")
	require.NoError(t, err)
	require.Contains(t, string(picture), "perplexity (logarithmic)")
}

func TestJSON(t *testing.T) {
	stdout, err := runCharlm(t, "-data", verse(t), "-blocks", "1", "-width", "8", "-epochs", "4", "-batch", "4", "-workers", "1", "-json", "-validate")
	require.NoError(t, err)
	var got report.Record
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	require.Equal(t, "validation", got.HeldOut)
	require.Less(t, got.TestPerplexity, 16.0, "better than a guess among all characters")
	require.Positive(t, got.PeakRSSBytes)
}

func TestErrors(t *testing.T) {
	file := verse(t)
	short := filepath.Join(t.TempDir(), "short.txt")
	require.NoError(t, os.WriteFile(short, []byte("abc"), 0o600))
	line := filepath.Join(t.TempDir(), "line.txt") // as short as it may be, but for -validate
	require.NoError(t, os.WriteFile(line, []byte(strings.Repeat("abcde fghi", 65)), 0o600))
	for _, c := range []struct {
		args   []string
		want   string
		status int
	}{
		{[]string{"-data", file, "-prompt", "Who?"}, "Encode: character 'W' at offset 0 is not one of the vocabulary's 16", 1},
		{[]string{"-data", short}, "the text has 3 characters: want enough that a tenth of it, to be held back, is more than the 64 that the network sees", 1},
		{[]string{"-data", line, "-validate"}, "the text has 650 characters", 1},
		{[]string{"-data", short + "x"}, "no such file", 1},
		{[]string{"-data", file, "-width", "10"}, "nn: layer block0.attention (SelfAttention): 10 features in 4 heads", 1},
		{[]string{"-blocks", "0"}, "want an integer from 1 to 48", 2},
		{[]string{"-schedule", "linear"}, "want one of constant, cosine", 2},
	} {
		stdout, err := runCharlm(t, c.args...)
		require.ErrorContains(t, err, c.want)
		require.Equal(t, c.status, cli.Status(err))
		require.Empty(t, stdout)
	}
}

func TestDigest(t *testing.T) {
	best := kernels.CurrentLevel()
	defer func() { require.NoError(t, kernels.SetLevel(best)) }()
	sums := make(map[string]bool)
	for _, level := range kernels.Levels() {
		require.NoError(t, kernels.SetLevel(level))
		stdout, err := runCharlm(t, "-digest", "-workers", "2")
		require.NoError(t, err)
		sums[strings.Fields(stdout)[1]] = true
	}
	require.Len(t, sums, 1)
}
