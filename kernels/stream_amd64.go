//go:build !purego

package kernels

import "unsafe"

// streamLen is the length from which on simple kernels store past the caches, where
// the output is no input: 32 MiB. A store into a cache reads the line first, and
// puts out others, which such an output does for nothing. (Measured with a third
// cache of 32 MiB: copies of 16 MiB and more at 26 to 28 GB/s, not 17 to 19, and a
// sum over the copy after it costs less than that saves; copies of 4 MiB are slower
// by the way around.) Tests lower it, to no less than chunkLen.
var streamLen = 1 << 23

// aheadLen is the length from which on kernels that update several vectors fetch ahead
// what they load, 6 MiB, up to streamLen. Three or four such vectors fill a third cache
// of 32 MiB, and a processor that is busy with many operations an element doesn't look
// far enough ahead. (Measured there, with one core of a Zen 3: vectors of 8 to 16 MiB
// take up to 12 % less time; of 5 MiB and less, and of 256 MiB, up to 5 % more. A
// greater distance than fetchDistance is better for 8 MiB and worse from 16 MiB on.)
// Tests lower it.
var aheadLen = 3 << 19

// aligned4 reports whether elements lie at multiples of their size, as all do that
// no unsafe code has made.
func aligned4(x []float32) bool { return uintptr(unsafe.Pointer(unsafe.SliceData(x)))%4 == 0 }

// untilLine returns the number of elements before the first one at a multiple of 64
// bytes.
func untilLine(x []float32) int {
	return int(-uintptr(unsafe.Pointer(unsafe.SliceData(x))) % 64 / 4)
}
