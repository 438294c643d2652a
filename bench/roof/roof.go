// Package roof measures what one core of a machine can do at most: how fast it
// moves memory in each of the patterns that kernels have, and how fast it
// multiplies and adds, divides, and takes roots. A kernel at the roof of its pattern
// has nothing left to gain but from moving less.
//
// The loops use AVX-512, AVX2 or NEON, whatever the machine has.
package roof

import (
	"slices"
	"unsafe"
)

// A Pattern is what a loop does to memory, as a list of streams.
type Pattern int

const (
	Read       Pattern = iota // reads x
	ReadBoth                  // reads x and y
	Write                     // writes dst
	Copy                      // dst, x: reads x, writes dst
	Combine                   // dst, x, y: reads x and y, writes dst
	Modify                    // reads and writes dst
	Update                    // dst, x: reads x, reads and writes dst
	Accumulate                // dst, x, y: reads x and y, reads and writes dst
	Update2                   // w, m, g: reads g, reads and writes w and m
	Update3                   // w, m, v, g: reads g, reads and writes w, m and v
)

// patterns holds the names, the numbers of streams and the bytes moved for each
// element.
var patterns = [...]struct {
	name           string
	streams, bytes int
}{
	Read:       {"read", 1, 4},
	ReadBoth:   {"read both", 2, 8},
	Write:      {"write", 1, 4},
	Copy:       {"copy", 2, 8},
	Combine:    {"combine", 3, 12},
	Modify:     {"modify", 1, 8},
	Update:     {"update", 2, 12},
	Accumulate: {"accumulate", 3, 16},
	Update2:    {"update 2", 3, 20},
	Update3:    {"update 3", 4, 28},
}

// Patterns returns all patterns.
func Patterns() []Pattern {
	all := make([]Pattern, len(patterns))
	for i := range all {
		all[i] = Pattern(i)
	}
	return all
}

// String returns the pattern's name.
func (p Pattern) String() string { return patterns[p].name }

// Streams returns the number of vectors that the pattern walks over.
func (p Pattern) Streams() int { return patterns[p].streams }

// Bytes returns the number of bytes that the pattern moves per element: 4 for
// each stream that it reads or writes, 8 for one that it does both to.
func (p Pattern) Bytes() int { return patterns[p].bytes }

// block is the number of elements that a pass of a loop moves at most.
const block = 128

type streams [4]*float32

// Run walks over the streams, in the order of the pattern's list, a number of
// times, with vectors of a kind that Vectors lists; near the processor the widest
// are not always the fastest. Write stores zeros, Copy x; Combine stores the bitwise
// or of x and y; what is both read and written becomes the bitwise or of itself and
// the streams that are only read. It panics unless there are Streams of one length, a
// multiple of 128, and on a machine without loops.
func (p Pattern) Run(vectors string, times int, s ...[]float32) {
	if len(s) != p.Streams() {
		panic("roof: another number of streams than the pattern has")
	}
	n := len(s[0])
	for _, x := range s {
		if len(x) != n || n%block != 0 {
			panic("roof: the lengths are not equal and a multiple of 128")
		}
	}
	mustHave(vectors)
	if n == 0 || times < 1 {
		return
	}
	var first streams
	for i, x := range s {
		first[i] = unsafe.SliceData(x)
	}
	p.run(vectors, &first, n, times)
}

// FMA does some number of passes of fused multiply-adds on registers, with
// vectors of a kind that Vectors lists and in chains that don't wait for each
// other, and returns the number of floating-point operations. It panics if there
// are no such vectors or no passes.
func FMA(vectors string, passes int) int {
	mustPass(vectors, passes)
	return fma(vectors, passes)
}

// Mixed is FMA with as many other instructions as multiply-adds. It takes the same time
// on a core of its own; a busy other thread of the core, which takes up to half of the
// instructions, slows it down as it does kernels, and FMA hardly.
func Mixed(vectors string, passes int) int {
	mustPass(vectors, passes)
	return mixed(vectors, passes)
}

// Divide does some number of passes of divisions, as FMA of multiply-adds, and returns
// the number of quotients.
func Divide(vectors string, passes int) int {
	mustPass(vectors, passes)
	return divide(vectors, passes)
}

// Root does some number of passes of square roots, as FMA of multiply-adds, and returns
// the number of roots.
func Root(vectors string, passes int) int {
	mustPass(vectors, passes)
	return root(vectors, passes)
}

func mustPass(vectors string, passes int) {
	mustHave(vectors)
	if passes < 1 {
		panic("roof: no passes")
	}
}

func mustHave(vectors string) {
	if !slices.Contains(Vectors, vectors) {
		panic("roof: no vectors " + vectors + " on this machine")
	}
}
