package neon

import (
	"fmt"
	"strings"
)

// V is a vector register, V0 to V31, with four float32 lanes; R a general one.
type (
	V uint8
	R uint8
)

// words holds the A64 instructions that Go's assembler has no name for: the
// encoding of the 4S (bitwise ones: 16B) arrangement with zero register fields.
// Every entry is decoded back by a test.
var words = map[string]uint32{
	// Vd = Vn op Vm
	"FADD": 0x4e20d400, "FSUB": 0x4ea0d400, "FMUL": 0x6e20dc00, "FDIV": 0x6e20fc00,
	"FCMGT": 0x6ea0e400, "FCMEQ": 0x4e20e400, "MUL": 0x4ea09c00, "SMAX": 0x4ea06400, "CMGT": 0x4ea03400,
	"BIC": 0x4e601c00, "ORN": 0x4ee01c00, "BIT": 0x6ea01c00, "BIF": 0x6ee01c00,
	// Vd = op Vn
	"FSQRT": 0x6ea1f800, "FNEG": 0x6ea0f800, "SCVTF": 0x4e21d800,
	"CMGT0":  0x4ea08800,                       // ones where Vn > 0 as an integer
	"UMAXV":  0x6eb0a800,                       // the largest lane as an unsigned integer
	"FCMGE0": 0x6ea0c800, "FCMEQ0": 0x4ea0d800, // ones where Vn >= 0, == 0
	"FCVTL": 0x0e217800, "FCVTL2": 0x4e217800, // from float16, in the lower or upper half
	"FCVTN": 0x0e216800, // to float16, in the lower half
}

// bitwise holds the instructions whose arrangement is written 16B.
var bitwise = map[string]bool{"BIC": true, "ORN": true, "BIT": true, "BIF": true}

// unary holds the instructions with one source.
var unary = map[string]bool{"FSQRT": true, "FNEG": true, "SCVTF": true, "CMGT0": true, "UMAXV": true, "FCMGE0": true, "FCMEQ0": true, "FCVTL": true, "FCVTL2": true, "FCVTN": true}

// word returns the encoding of Vd = Vn op Vm.
func word(op string, d, n, m V) uint32 {
	w, ok := words[op]
	if !ok {
		panic("neon: no encoding of " + op)
	}
	if unary[op] {
		m = 0
	}
	return w | uint32(m)<<16 | uint32(n)<<5 | uint32(d)
}

// text returns the instruction in the notation of Arm's manual.
func text(op string, d, n, m V) string {
	a := "4S"
	if bitwise[op] {
		a = "16B"
	}
	if name, found := strings.CutSuffix(op, "0"); found {
		return fmt.Sprintf("%s V%d.%s, V%d.%s, #0", name, d, a, n, a)
	}
	switch op {
	case "UMAXV":
		return fmt.Sprintf("UMAXV S%d, V%d.%s", d, n, a)
	case "FCVTL":
		return fmt.Sprintf("FCVTL V%d.4S, V%d.4H", d, n)
	case "FCVTL2":
		return fmt.Sprintf("FCVTL2 V%d.4S, V%d.8H", d, n)
	case "FCVTN":
		return fmt.Sprintf("FCVTN V%d.4H, V%d.4S", d, n)
	}
	if unary[op] {
		return fmt.Sprintf("%s V%d.%s, V%d.%s", op, d, a, n, a)
	}
	return fmt.Sprintf("%s V%d.%s, V%d.%s, V%d.%s", op, d, a, n, a, m, a)
}

// elementWord returns the encoding of FMLA Vd.4S, Vn.4S, Vm.S[i].
func elementWord(d, n, m V, i int) uint32 {
	return 0x4f801000 | uint32(i&1)<<21 | uint32(m)<<16 | uint32(i>>1)<<11 | uint32(n)<<5 | uint32(d)
}

func elementText(d, n, m V, i int) string {
	return fmt.Sprintf("FMLA V%d.4S, V%d.4S, V%d.S[%d]", d, n, m, i)
}

// shiftWord returns the encoding of SSHR Vd.4S, Vn.4S, #bits, for 1 to 32 bits.
func shiftWord(d, n V, bits uint32) uint32 {
	return 0x4f000400 | (64-bits)<<16 | uint32(n)<<5 | uint32(d)
}

func shiftText(d, n V, bits uint32) string {
	return fmt.Sprintf("SSHR V%d.4S, V%d.4S, #%d", d, n, bits)
}
