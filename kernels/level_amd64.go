//go:build !purego

package kernels

import (
	"golang.org/x/sys/cpu"

	"github.com/adafisher-go/adafisher/asm"
)

// shortLen is the length up to which AVX-512 takes the routines of AVX2 for simple
// kernels. What these stored a moment ago is loaded sooner than a wider vector, on a
// Zen 4 by up to 3 ns; an Intel Xeon takes as long with either, but for 2 % at 64.
const shortLen = 64

// fastDivider says that the divider alone is faster than with the estimates that AVX-512
// mixes in: AMD's takes 3 cycles for eight quotients and 5 for as many roots, Intel's 5 and
// 6 to 10. On a Zen 4 AdaFisher's step near the processor is 1.4 times as fast by AVX2 as
// with estimates, on an Intel Xeon .9 times. Tests turn it.
var fastDivider = amd()

// amd reports whether the processor's maker is "AuthenticAMD".
func amd() bool {
	b, d, c := asm.Vendor()
	return b == 0x68747541 && d == 0x69746e65 && c == 0x444d4163
}

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
