// Package opticks holds a text to train language models on: Isaac Newton's
// Opticks, the fourth edition of 1730. It is in the public domain. Only a program
// that imports this package carries it, as 130 KB.
package opticks

import (
	"compress/bzip2"
	_ "embed"
	"io"
	"strings"
	"sync"
)

// compressed is Isaac.Newton-Opticks.txt of the testdata of Go's own source,
// unchanged.
//
//go:embed opticks.txt.bz2
var compressed string

var text = sync.OnceValue(func() string {
	var b strings.Builder
	b.Grow(size)
	if _, err := io.Copy(&b, bzip2.NewReader(strings.NewReader(compressed))); err != nil {
		panic("opticks: the embedded text is damaged: " + err.Error())
	}
	return b.String()
})

const size = 567_198

// Text returns the book: 567,198 bytes of UTF-8, of 91 different characters. The
// first call unpacks it.
func Text() string { return text() }
