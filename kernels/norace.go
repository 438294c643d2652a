//go:build !race

package kernels

const raceEnabled = false

func raceRead([]float32)  {}
func raceWrite([]float32) {}
