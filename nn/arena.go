package nn

import (
	"fmt"
	"math"
	"unsafe"
)

const (
	// maxFloats bounds one allocation: 16 GiB, and 1 GiB where int has 32 bits.
	maxFloats = min(1<<32, math.MaxInt/8)

	alignment = 16 // float32 values in 64 bytes
)

var errTooLarge = fmt.Errorf("more than %d numbers of memory", maxFloats)

// product returns a*b for sizes of at least 0, or a number above maxFloats
// where the product is larger than that.
func product(a, b int) int {
	if b > 0 && a > maxFloats/b {
		return maxFloats + 1
	}
	return a * b
}

// carve cuts slices of the given lengths out of one allocation, in order, each
// starting at a multiple of 64 bytes.
func carve[T float32 | uint16](lengths ...int) ([][]T, error) {
	alignment := 64 / int(unsafe.Sizeof(T(0)))
	total := alignment
	for _, n := range lengths {
		if n > maxFloats || total > maxFloats-n {
			return nil, errTooLarge
		}
		total += (n + alignment - 1) / alignment * alignment
	}
	free := make([]T, total)
	// The heap aligns to an element at least and doesn't move.
	if r := int(uintptr(unsafe.Pointer(&free[0])) % 64 / unsafe.Sizeof(T(0))); r != 0 {
		free = free[alignment-r:]
	}
	slices := make([][]T, len(lengths))
	for i, n := range lengths {
		slices[i] = free[:n:n]
		free = free[(n+alignment-1)/alignment*alignment:]
	}
	return slices, nil
}
