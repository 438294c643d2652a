// Package roof measures what one core of a machine can do at most: how fast it
// moves memory in each of the patterns that kernels have, and how fast it
// multiplies and adds. A kernel at the roof of its pattern has nothing left to
// gain but from moving less.
//
// The loops use the widest vectors of the machine: AVX-512, AVX2 or NEON.
package roof

import "unsafe"

// A Pattern is what a loop does to memory.
type Pattern int

const (
	Read     Pattern = iota // reads x
	ReadBoth                // reads x and dst
	Copy                    // reads x, writes dst
	Modify                  // reads and writes dst
	Update                  // reads x, reads and writes dst
)

var patternNames = [...]string{"read", "read both", "copy", "modify", "update"}

// String returns the pattern's name.
func (p Pattern) String() string { return patternNames[p] }

// Bytes returns the number of bytes that the pattern moves per element.
func (p Pattern) Bytes() int { return [...]int{4, 8, 8, 8, 12}[p] }

// block is the number of elements that a pass of a loop moves.
const block = 64

// Run runs a pattern once over dst and x. Copy stores x, Update the bitwise or of
// dst and x; the others change nothing. It panics unless the lengths are equal
// and a multiple of 64, and on a machine without loops.
func (p Pattern) Run(dst, x []float32) {
	if len(dst) != len(x) || len(x)%block != 0 {
		panic("roof: the lengths are not equal and a multiple of 64")
	}
	if Vectors == "" {
		panic("roof: no loops for this machine")
	}
	if len(x) > 0 {
		p.run(unsafe.SliceData(dst), unsafe.SliceData(x), len(x))
	}
}

// FMA does at least n floating-point operations as fused multiply-adds on
// registers, in chains that don't wait for each other, and returns how many it
// did. It panics on a machine without loops.
func FMA(n int) int {
	if Vectors == "" {
		panic("roof: no loops for this machine")
	}
	passes := max(1, (n+flopsPerPass-1)/flopsPerPass)
	fma(passes)
	return passes * flopsPerPass
}
