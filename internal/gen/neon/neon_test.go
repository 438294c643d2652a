package neon

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// lines returns what the calls of f write, between a routine's first line and its RET.
func lines(f func(t *Target)) []string {
	t := New()
	t.Func("fNEON", "func()")
	start := t.out.Len()
	f(t)
	return strings.Split(strings.ReplaceAll(strings.TrimSpace(t.out.String()[start:]), "\t", ""), "\n")
}

// TestStorePairs: two stores of adjacent vectors one right after the other are one
// instruction, others stay apart.
func TestStorePairs(t *testing.T) {
	got := lines(func(t *Target) {
		for i := range 3 {
			t.Store(vec.Reg(i), 2, 16*i, false)
		}
		t.Store(3, 4, 48, false) // another pointer
		t.Store(4, 4, 48+32, false)
		t.AddImm(4, 16)
		t.Store(5, 4, 48+32+16, false) // the pointer has moved
	})
	require.Equal(t, []string{
		"FSTPQ (F0, F1), 0(R2)",
		"FMOVQ F2, 32(R2)",
		"FMOVQ F3, 48(R4)",
		"FMOVQ F4, 80(R4)",
		"ADD $16, R4",
		"FMOVQ F5, 96(R4)",
	}, got)
}

// TestConstants: a routine that loads constants has a pointer to them, others none;
// each is in the file once.
func TestConstants(t *testing.T) {
	target := New()
	for _, bits := range [][]uint32{{1, 2, 1}, {}, {2}} {
		target.Func("fNEON", "func()")
		for i, b := range bits {
			target.Constant(vec.Reg(i), b)
		}
		target.End()
	}
	_, file, _ := strings.Cut(string(target.Bytes()), "func fNEON()")
	require.Equal(t, `
TEXT ·fNEON(SB), NOSPLIT, $0-0
	MOVD $constants<>(SB), R25
	FMOVQ 0(R25), F0 // 0x00000001
	FMOVQ 16(R25), F1 // 0x00000002
	FMOVQ 0(R25), F2 // 0x00000001
	RET

// func fNEON()
TEXT ·fNEON(SB), NOSPLIT, $0-0
	RET

// func fNEON()
TEXT ·fNEON(SB), NOSPLIT, $0-0
	MOVD $constants<>(SB), R25
	FMOVQ 16(R25), F0 // 0x00000002
	RET

DATA constants<>+0(SB)/8, $0x0000000100000001
DATA constants<>+8(SB)/8, $0x0000000100000001
DATA constants<>+16(SB)/8, $0x0000000200000002
DATA constants<>+24(SB)/8, $0x0000000200000002
GLOBL constants<>(SB), RODATA|NOPTR, $32
`, file)
}
