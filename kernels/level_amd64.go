//go:build !purego

package kernels

import "golang.org/x/sys/cpu"

// shortLen is the length up to which AVX-512 takes the routines of AVX2 for simple
// kernels. What these stored a moment ago is loaded sooner than a wider vector, on a
// Zen 4 by up to 3 ns; an Intel Xeon takes as long with either, but for 2 % at 64.
const shortLen = 64

// detect returns the assembly levels of this processor, slowest first. BMI2 is
// used by the generated loops for tail masks, F16C by the conversions of float16.
func detect() []Level {
	x := &cpu.X86
	if !(x.HasAVX2 && x.HasFMA && x.HasBMI2 && x.HasF16C) {
		return nil
	}
	if !(x.HasAVX512F && x.HasAVX512VL && x.HasAVX512BW && x.HasAVX512DQ) {
		return []Level{AVX2}
	}
	return []Level{AVX2, AVX512}
}
