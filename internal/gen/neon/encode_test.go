package neon

import (
	"encoding/binary"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/arch/arm64/arm64asm"
)

// decode returns the instruction in the notation of Arm's manual.
func decode(t *testing.T, word uint32) string {
	in, err := arm64asm.Decode(binary.LittleEndian.AppendUint32(nil, word))
	require.NoError(t, err, "%#08x", word)
	return in.String()
}

// registers have each bit of a register field both set and clear.
var registers = []V{0, 1, 2, 4, 8, 15, 16, 30, 31}

func TestWords(t *testing.T) {
	for op := range words {
		for _, d := range registers {
			for _, n := range registers {
				for _, m := range registers {
					require.Equal(t, text(op, d, n, m), decode(t, word(op, d, n, m)), op)
				}
			}
		}
	}
}

func TestElementWords(t *testing.T) {
	for _, d := range registers {
		for _, n := range registers {
			for _, m := range registers {
				for i := range 4 {
					require.Equal(t, elementText(d, n, m, i), decode(t, elementWord(d, n, m, i)))
				}
			}
		}
	}
}

func TestTextNotation(t *testing.T) {
	require.Equal(t, "FSUB V31.4S, V0.4S, V7.4S", text("FSUB", 31, 0, 7))
	require.Equal(t, "BIT V1.16B, V2.16B, V3.16B", text("BIT", 1, 2, 3))
	require.Equal(t, "FSQRT V1.4S, V2.4S", text("FSQRT", 1, 2, 3))
	require.Equal(t, "CMGT V1.4S, V2.4S, #0", text("CMGT0", 1, 2, 3))
	require.Equal(t, "FMLA V1.4S, V2.4S, V3.S[2]", elementText(1, 2, 3, 2))
}

func TestUnknownWord(t *testing.T) {
	require.PanicsWithValue(t, "neon: no encoding of FMULX", func() { word("FMULX", 0, 0, 0) })
}

// TestGeneratedWords decodes every WORD in the generated file and compares it
// with the comment beside it.
func TestGeneratedWords(t *testing.T) {
	source, err := os.ReadFile("../../../asm/kernels_arm64.s")
	require.NoError(t, err)
	line := regexp.MustCompile(`^WORD \$0x([0-9a-f]{8}) // (.+)$`)
	found := 0
	for i, s := range strings.Split(string(source), "\n") {
		s = strings.TrimSpace(s)
		if !strings.Contains(s, "WORD") {
			continue
		}
		m := line.FindStringSubmatch(s)
		require.NotNil(t, m, "line %d: %s", i+1, s)
		word, err := strconv.ParseUint(m[1], 16, 32)
		require.NoError(t, err)
		require.Equal(t, m[2], decode(t, uint32(word)), "line %d", i+1)
		found++
	}
	require.Positive(t, found)
}
