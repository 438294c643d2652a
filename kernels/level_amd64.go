//go:build !purego

package kernels

import "golang.org/x/sys/cpu"

// shortLen is the length from which on AVX-512 takes its own routines of simple
// kernels. It has masks for shorter vectors, which take longer than the instructions
// of AVX2.
const shortLen = 16

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
