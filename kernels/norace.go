//go:build !race

package kernels

func raceRead([]float32)  {}
func raceWrite([]float32) {}
