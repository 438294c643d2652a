package digits

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn/data"
)

func TestEmbedded(t *testing.T) {
	sum := sha256.Sum256(embedded)
	require.Len(t, embedded, 57_512)
	require.Equal(t, "46abec6b12486ad9e51943373abcf22bbea1b5a51a1619b361570d8893f1464a", hex.EncodeToString(sum[:]), "as DATA.md says")

	set, err := Load("")
	require.NoError(t, err)
	require.Equal(t, 1797, set.Len())
	require.Len(t, set.X, 1797*64)
	require.Equal(t, 64, set.Features)
	require.Equal(t, 10, set.Classes)
	// The counts that the UCI repository states for each digit.
	require.Equal(t, []int{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}, classCounts(set))
	require.Equal(t, []float32{0, 0, 0.3125, 0.8125, 0.5625, 0.0625, 0, 0}, set.X[:8], "the first row of the first image")
	require.Equal(t, []int{0, 1, 2, 3, 4}, set.Labels[:5])
	require.Equal(t, float32(0), slices.Min(set.X))
	require.Equal(t, float32(1), slices.Max(set.X))
}

func classCounts(s data.Samples) []int {
	counts := make([]int, s.Classes)
	for _, label := range s.Labels {
		counts[label]++
	}
	return counts
}

// lines returns n valid lines.
func lines(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = strings.Repeat(fmt.Sprintf("%d,", i%17), 64) + fmt.Sprint(i%10)
	}
	return all
}

func compress(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.String()
}

func TestRead(t *testing.T) {
	text := strings.Join(lines(20), "\n")
	want, err := read("a.csv", strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, 20, want.Len())
	require.Equal(t, float32(3)/16, want.X[3*64])
	for name, content := range map[string]string{
		"newline at the end": text + "\n",
		"CR LF":              strings.ReplaceAll(text, "\n", "\r\n") + "\r\n",
		"spaces":             strings.ReplaceAll(text, ",", ", "),
	} {
		got, err := read("a.csv", strings.NewReader(content))
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
	got, err := read("a.CSV.GZ", strings.NewReader(compress(text)))
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestReadErrors(t *testing.T) {
	with := func(line int, text string) string {
		all := lines(20)
		all[line-1] = text
		return strings.Join(all, "\n")
	}
	row := lines(1)[0]
	zipped := compress(strings.Join(lines(20), "\n"))
	damaged := []byte(zipped)
	damaged[len(damaged)-6] ^= 0xFF // in the checksum
	for _, c := range []struct{ name, text, want string }{
		{"a.csv", "", "a.csv: line 1: the file ends after 0 images: want at least 10"},
		{"a.csv", strings.Join(lines(9), "\n"), "a.csv: line 10: the file ends after 9 images: want at least 10"},
		{"a.csv", with(3, row[2:]), "a.csv: line 3: the number of columns is 64: want 65, the pixels and the digit"},
		{"a.csv", with(1, row+",1"), "a.csv: line 1: the number of columns is 66: want 65"},
		{"a.csv", with(4, ""), "a.csv: line 4: the number of columns is 1: want 65"},
		{"a.csv", with(2, "17"+row[1:]), `a.csv: line 2: column 1: pixel "17": want an integer from 0 to 16`},
		{"a.csv", with(2, "-1"+row[1:]), `column 1: pixel "-1": want an integer from 0 to 16`},
		{"a.csv", with(2, "1.5"+row[1:]), `column 1: pixel "1.5": want`},
		{"a.csv", with(2, "NaN"+row[1:]), `column 1: pixel "NaN": want`},
		{"a.csv", with(2, row[1:]), `column 1: pixel "": want`},
		{"a.csv", with(2, "99999999999999999999"+row[1:]), `pixel "99999999999999999999": want`},
		{"a.csv", with(20, row[:len(row)-1]+"10"), `a.csv: line 20: column 65: digit "10": want an integer from 0 to 9`},
		{"a.csv", with(20, row[:len(row)-1]), `a.csv: line 20: column 65: digit "": want an integer from 0 to 9`},
		{"a.csv", with(2, "\x00\x01"+row[1:]), `pixel "\x00\x01": want`},
		{"a.csv", zipped, "a.csv: line 1: "},
		{"a.csv", strings.Repeat(row+"\n", maxText/len(row)+1), "the file has more than 4 MiB of text"},
		{"a.csv.gz", compress(strings.Repeat(row+"\n", maxText/len(row)+1)), "the file has more than 4 MiB of text"},
		{"a.csv.gz", "", "a.csv.gz: line 1: the compressed file is truncated"},
		{"a.csv.gz", row, "a.csv.gz: line 1: gzip: invalid header"},
		{"a.csv.gz", zipped[:20], "a.csv.gz: line 1: the compressed file is truncated"},
		{"a.csv.gz", zipped[:len(zipped)-1], "a.csv.gz: line 20: the compressed file is truncated"},
		{"a.csv.gz", string(damaged), "a.csv.gz: line 20: gzip: invalid checksum"},
	} {
		set, err := read(c.name, strings.NewReader(c.text))
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, c.name+": line ")
		require.NotContains(t, err.Error(), "\n")
		require.Zero(t, set)
	}
}

// Wherever the real file is cut off, the error says so.
func TestTruncated(t *testing.T) {
	for n := 0; n < len(embedded); n += 1009 {
		_, err := read("d.csv.gz", bytes.NewReader(embedded[:n]))
		require.ErrorContains(t, err, "the compressed file is truncated", "%d bytes", n)
		require.Regexp(t, `^d\.csv\.gz: line \d+: `, err.Error())
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "d.csv")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines(12), "\n")), 0o600))
	set, err := Load(file)
	require.NoError(t, err)
	require.Equal(t, 12, set.Len())

	_, err = Load(file + ".no")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestSplit(t *testing.T) {
	set, err := Load("")
	require.NoError(t, err)
	rest, test, err := Split(set, false)
	require.NoError(t, err)
	require.Equal(t, 1437, rest.Len())
	require.Equal(t, 360, test.Len())
	require.Equal(t, []int{32, 33, 35, 38, 31, 34, 36, 44, 33, 44}, classCounts(test))
	total := classCounts(set)
	for class, n := range classCounts(rest) {
		require.Equal(t, total[class], n+classCounts(test)[class])
	}

	_, again, err := Split(set, false)
	require.NoError(t, err)
	require.Equal(t, test, again)

	fit, validation, err := Split(set, true)
	require.NoError(t, err)
	require.Equal(t, 1257, fit.Len())
	require.Equal(t, 180, validation.Len())
	seen := make(map[string]bool)
	for i := range test.Len() {
		seen[fmt.Sprint(test.X[i*Pixels:][:Pixels])] = true
	}
	for _, part := range []data.Samples{fit, validation} {
		for i := range part.Len() {
			require.False(t, seen[fmt.Sprint(part.X[i*Pixels:][:Pixels])], "a test image in the validation run")
		}
	}

	small := data.Samples{X: make([]float32, 10*Pixels), Labels: make([]int, 10), Features: Pixels, Classes: Classes}
	rest, test, err = Split(small, true)
	require.NoError(t, err)
	require.Equal(t, 7, rest.Len())
	require.Equal(t, 1, test.Len())
}

func FuzzRead(f *testing.F) {
	f.Add("a.csv", strings.Join(lines(10), "\n"))
	f.Add("a.csv.gz", compress(strings.Join(lines(10), "\n")))
	f.Add("a.csv", "1,2\n\n,,,\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		set, err := read(name, strings.NewReader(text))
		if err != nil {
			require.Zero(t, set)
			return
		}
		require.GreaterOrEqual(t, set.Len(), minSamples)
		require.Len(t, set.X, set.Len()*Pixels)
		require.GreaterOrEqual(t, slices.Min(set.X), float32(0))
		require.LessOrEqual(t, slices.Max(set.X), float32(1))
		require.GreaterOrEqual(t, slices.Min(set.Labels), 0)
		require.Less(t, slices.Max(set.Labels), Classes)
	})
}
