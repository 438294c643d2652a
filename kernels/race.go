//go:build race

package kernels

import (
	"runtime"
	"unsafe"
)

// The race detector does not see what assembly touches: the dispatch tells it.

const raceEnabled = true

func raceRead(x []float32) {
	if len(x) > 0 {
		runtime.RaceReadRange(unsafe.Pointer(&x[0]), 4*len(x))
	}
}

func raceWrite(x []float32) {
	if len(x) > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(&x[0]), 4*len(x))
	}
}
