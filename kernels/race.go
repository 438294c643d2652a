//go:build race

package kernels

import (
	"runtime"
	"unsafe"
)

// The race detector does not see what assembly touches: the dispatch tells it.

const raceEnabled = true

func raceRead[T float32 | uint16](x []T) {
	if len(x) > 0 {
		runtime.RaceReadRange(hidden(x), len(x)*int(unsafe.Sizeof(x[0])))
	}
}

func raceWrite[T float32 | uint16](x []T) {
	if len(x) > 0 {
		runtime.RaceWriteRange(hidden(x), len(x)*int(unsafe.Sizeof(x[0])))
	}
}

// The same for the rows of a matrix, which may have memory of others between them.

func raceReadRows[T float32 | uint16](x []T, cols, stride int) {
	for ; len(x) > cols; x = x[stride:] {
		raceRead(x[:cols])
	}
	raceRead(x)
}

func raceWriteRows[T float32 | uint16](x []T, cols, stride int) {
	for ; len(x) > cols; x = x[stride:] {
		raceWrite(x[:cols])
	}
	raceWrite(x)
}

// The same for those rows of a matrix that indices name.

func raceReadRowsAt(x, indices []float32, cols, stride int) {
	for _, i := range indices {
		raceRead(x[int(i)*stride:][:cols])
	}
}

func raceWriteRowsAt(x, indices []float32, cols, stride int) {
	for _, i := range indices {
		raceWrite(x[int(i)*stride:][:cols])
	}
}

// hidden returns the address of x in a form that escape analysis doesn't follow:
// the detector keeps no pointer, and arguments on the stack stay there.
func hidden[T float32 | uint16](x []T) unsafe.Pointer {
	p := uintptr(unsafe.Pointer(unsafe.SliceData(x)))
	return *(*unsafe.Pointer)(unsafe.Pointer(&p))
}
