//go:build !race

package kernels

const raceEnabled = false

func raceRead[T float32 | uint16]([]T)  {}
func raceWrite[T float32 | uint16]([]T) {}

func raceReadRows[T float32 | uint16](x []T, cols, stride int)  {}
func raceWriteRows[T float32 | uint16](x []T, cols, stride int) {}

func raceReadRowsAt(x, indices []float32, cols, stride int)  {}
func raceWriteRowsAt(x, indices []float32, cols, stride int) {}
