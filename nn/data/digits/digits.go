// Package digits holds 1,797 images of handwritten digits, 8x8 pixels each: enough
// to train a small network on in seconds. Only a program that imports this package
// carries them, as 57 KB. They are from the UCI Machine Learning Repository, under
// CC BY 4.0; DATA.md beside this file has the details.
package digits

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/adafisher-go/adafisher/nn/data"
)

const (
	Pixels  = 64 // of an image, 8x8
	Classes = 10

	maxPixel   = 16
	minSamples = 10
	maxText    = 4 << 20 // bytes: over 20,000 images
)

// embeddedName stands for the file in messages.
const embeddedName = "digits.csv.gz"

//go:embed digits.csv.gz
var embedded []byte

// Load reads the images in the file, or the embedded ones where path is
// empty.
func Load(path string) (data.Samples, error) {
	if path == "" {
		return read(embeddedName, bytes.NewReader(embedded))
	}
	f, err := os.Open(path)
	if err != nil {
		return data.Samples{}, err
	}
	defer f.Close()
	return read(path, f)
}

// read reads one image a line: 64 pixels from 0 to 16, row by row, and the
// digit, all integers with commas between them. If name ends in .gz, r is
// compressed with gzip. Pixels become numbers from 0 to 1, exactly v/16.
//
// It fails on a line with another number of columns or a number out of range,
// on a damaged compressed file, on more than 4 MiB of text and on fewer than 10
// images. The error has the name, the line and the cause.
func read(name string, r io.Reader) (data.Samples, error) {
	set := data.Samples{Features: Pixels, Classes: Classes}
	text, readErr := readText(name, r)
	line := 0
	for row := range strings.Lines(text) {
		line++
		if readErr != nil && !strings.HasSuffix(row, "\n") {
			line-- // the line that the file breaks off in
			break
		}
		if err := appendDigit(&set, strings.TrimRight(row, "\r\n")); err != nil {
			return data.Samples{}, fmt.Errorf("%s: line %d: %w", name, line, err)
		}
	}
	if readErr == nil && set.Len() < minSamples {
		readErr = fmt.Errorf("the file ends after %d images: want at least %d", set.Len(), minSamples)
	}
	if readErr != nil {
		return data.Samples{}, fmt.Errorf("%s: line %d: %w", name, line+1, readErr)
	}
	return set, nil
}

// readText returns what could be read, and why it is not all.
func readText(name string, r io.Reader) (string, error) {
	if strings.HasSuffix(strings.ToLower(name), ".gz") {
		z, err := gzip.NewReader(r)
		if err != nil {
			return "", gzipError(err)
		}
		r = z
	}
	text, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err == nil && len(text) > maxText {
		err = fmt.Errorf("the file has more than %d MiB of text", maxText>>20)
	}
	return string(text), gzipError(err)
}

// gzipError says in words where a reader of compressed data stopped too early.
func gzipError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the compressed file is truncated")
	}
	return err
}

func appendDigit(set *data.Samples, line string) error {
	columns := strings.Split(line, ",")
	if len(columns) != Pixels+1 {
		return fmt.Errorf("the number of columns is %d: want %d, the pixels and the digit", len(columns), Pixels+1)
	}
	for i, column := range columns[:Pixels] {
		v, err := parseInt(column, maxPixel)
		if err != nil {
			return fmt.Errorf("column %d: pixel %w", i+1, err)
		}
		set.X = append(set.X, float32(v)/maxPixel)
	}
	label, err := parseInt(columns[Pixels], Classes-1)
	if err != nil {
		return fmt.Errorf("column %d: digit %w", Pixels+1, err)
	}
	set.Labels = append(set.Labels, label)
	return nil
}

func parseInt(s string, last int) (int, error) {
	v, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || v < 0 || v > last {
		return 0, fmt.Errorf("%q: want an integer from 0 to %d", s, last)
	}
	return v, nil
}

// splitSeed draws the images that are held back. It is the same for every -seed.
const splitSeed = 1

// Split holds back a fifth of the images for the test, rounded up: 360 of the
// 1,797. For validation it divides the others once more and holds back an
// eighth of them, 180 of 1,437; the test images then take no part at all.
func Split(set data.Samples, validate bool) (rest, held data.Samples, err error) {
	rest, held, err = set.HoldOut((set.Len()+4)/5, splitSeed)
	if err != nil || !validate {
		return rest, held, err
	}
	return rest.HoldOut((rest.Len()+7)/8, splitSeed)
}
