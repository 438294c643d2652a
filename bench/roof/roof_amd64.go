package roof

import "golang.org/x/sys/cpu"

// Vectors names the vectors that the loops use; "" if there are no loops for
// this machine.
var Vectors = func() string {
	switch {
	case cpu.X86.HasAVX512F:
		return "AVX-512"
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA:
		return "AVX2"
	}
	return ""
}()

var wide = Vectors == "AVX-512"

// flopsPerPass is the number of operations of a pass of fma: 14 chains.
var flopsPerPass = map[bool]int{false: 14 * 8 * 2, true: 14 * 16 * 2}[wide]

func (p Pattern) run(dst, x *float32, n int) {
	if wide {
		switch p {
		case Read:
			readAVX512(x, n)
		case ReadBoth:
			readBothAVX512(dst, x, n)
		case Copy:
			copyAVX512(dst, x, n)
		case Modify:
			modifyAVX512(dst, n)
		case Update:
			updateAVX512(dst, x, n)
		}
		return
	}
	switch p {
	case Read:
		readAVX2(x, n)
	case ReadBoth:
		readBothAVX2(dst, x, n)
	case Copy:
		copyAVX2(dst, x, n)
	case Modify:
		modifyAVX2(dst, n)
	case Update:
		updateAVX2(dst, x, n)
	}
}

func fma(passes int) {
	if wide {
		fmaAVX512(passes)
	} else {
		fmaAVX2(passes)
	}
}

//go:noescape
func readAVX512(x *float32, n int)

//go:noescape
func readBothAVX512(dst, x *float32, n int)

//go:noescape
func copyAVX512(dst, x *float32, n int)

//go:noescape
func modifyAVX512(dst *float32, n int)

//go:noescape
func updateAVX512(dst, x *float32, n int)

func fmaAVX512(passes int)

//go:noescape
func readAVX2(x *float32, n int)

//go:noescape
func readBothAVX2(dst, x *float32, n int)

//go:noescape
func copyAVX2(dst, x *float32, n int)

//go:noescape
func modifyAVX2(dst *float32, n int)

//go:noescape
func updateAVX2(dst, x *float32, n int)

func fmaAVX2(passes int)
