package nn

import "slices"

// A Shape is the shape of one sample, row-major, without the batch: [features],
// [tokens, features], or [height, width, channels]. The last dimension, the
// features of a position, is what most layers work on; the others are its
// positions.
type Shape []int

// Size returns the numbers in a sample of this shape.
func (s Shape) Size() int {
	n := 1
	for _, d := range s {
		n = product(n, d)
	}
	return n
}

// Features returns the last dimension, 0 of an empty shape.
func (s Shape) Features() int {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1]
}

// Positions returns the product of all dimensions but the last, 1 where there is none.
func (s Shape) Positions() int { return s[:max(1, len(s))-1].Size() }

// withFeatures returns s with another last dimension.
func (s Shape) withFeatures(n int) Shape {
	s = slices.Clone(s)
	s[len(s)-1] = n
	return s
}

// valid reports whether all dimensions are positive and the size is possible.
func (s Shape) valid() bool {
	return len(s) > 0 && slices.Min(s) > 0 && s.Size() <= maxFloats
}
