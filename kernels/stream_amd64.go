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
// what they load: 6 MiB. Three or four such vectors fill a third cache of 32 MiB, and a
// processor that is busy with many operations an element doesn't look far enough ahead.
// Tests lower it.
var aheadLen = 3 << 19

// fetchDistance is how far ahead of n elements a kernel fetches, in bytes. Measured with
// one core of a Zen 3 and distances from 512 to 3072: up to 12 MiB the longer the
// faster, to some 2 KiB, by a fifth; beyond, what is fetched too early is put out
// again, and a short distance is faster than none by up to a tenth.
func fetchDistance(n int) int {
	if n < 3<<20 {
		return 2048
	}
	return 768
}

// aligned4 reports whether elements lie at multiples of their size, as all do that
// no unsafe code has made.
func aligned4(x []float32) bool { return uintptr(unsafe.Pointer(unsafe.SliceData(x)))%4 == 0 }

// untilLine returns the number of elements before the first one at a multiple of 64
// bytes.
func untilLine(x []float32) int {
	return int(-uintptr(unsafe.Pointer(unsafe.SliceData(x))) % 64 / 4)
}
