//go:build !purego

package kernels

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/asm"
)

// lower makes vectors large that are not, until the end of the test.
func lower(t *testing.T, large *int, n int) {
	old := *large
	*large = n
	t.Cleanup(func() { *large = old })
}

// TestStreamsAgree runs all kernels of vectors at lengths about that from which on
// they store past the caches, with outputs at all alignments, apart from the inputs
// and on them.
func TestStreamsAgree(t *testing.T) {
	keepLevel(t)
	const large = chunkLen + 7
	lower(t, &streamLen, large)
	var w workspace
	for i := range table {
		k := &table[i]
		if k.class != &vectors {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			pick := rand.New(rand.NewPCG(3, uint64(i)))
			for j, n := range []int{large - 1, large, chunkLen + 16, 2*chunkLen - 1, 2 * chunkLen, 2*chunkLen + 15, 2*chunkLen + 77} {
				s := shape{m: 1, n: n, k: n / 2}
				c := trial{kernel: k, shape: s, offset: (i + j) % 16, typical: true}
				c.values, c.origin = drawn(mixes[pick.IntN(len(mixes))], uint64(i<<8|j))
				if pairs := k.overlaps(s); len(pairs) > 0 && j%3 == 2 {
					c.same = pairs[pick.IntN(len(pairs))]
				}
				c.run(t, &w)
			}
		})
	}
}

// TestStreams: an output that is an input, or at an odd address, takes the way
// through the caches, and so does the reference.
func TestStreams(t *testing.T) {
	keepLevel(t)
	const n = 2*chunkLen + 5
	x, y, dst := make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range x {
		x[i], y[i] = float32(i), float32(2*i)
	}
	for _, l := range Levels() {
		require.NoError(t, SetLevel(l))
		if l == Generic {
			require.False(t, addStream(dst, x, y), "level %s", l)
			continue
		}
		require.True(t, addStream(dst, x, y))
		for i := range dst {
			require.Equal(t, float32(3*i), dst[i])
		}
		require.True(t, addStream(dst, x, x), "one input twice")
		require.False(t, addStream(x, x, y))
		require.False(t, addStream(y, x, y))
		require.False(t, copyVectorStream(x, x))
		require.Equal(t, float32(n-1), x[n-1])
		require.True(t, fillStream(dst, 1))
		require.Equal(t, float32(1), dst[n-1])
	}
}

// TestAheadAgrees runs the steps of optimizers with vectors of all lengths taken for
// so large that they are fetched ahead.
func TestAheadAgrees(t *testing.T) {
	keepLevel(t)
	lower(t, &aheadLen, 1)
	stepsAgree(t)
}

// stepsAgree runs the steps of optimizers.
func stepsAgree(t *testing.T) {
	var w workspace
	steps := 0
	for i := range table {
		k := &table[i]
		if !strings.Contains(k.name, "Step") {
			continue
		}
		steps++
		t.Run(k.name, func(t *testing.T) {
			for round := range 4 {
				agree(t, k, round, &w)
			}
		})
	}
	require.GreaterOrEqual(t, steps, 10)
}

// TestDividersAgree runs the steps with what another maker's processor takes: the divider
// alone, or estimates besides.
func TestDividersAgree(t *testing.T) {
	if !slices.Contains(Levels(), AVX512) {
		t.Skip("AVX-512 alone has estimates")
	}
	keepLevel(t)
	fastDivider = !fastDivider
	defer func() { fastDivider = !fastDivider }()
	stepsAgree(t)
}

// TestVendor: twelve letters, and whether they are AMD's.
func TestVendor(t *testing.T) {
	b, d, c := asm.Vendor()
	var name []byte
	for _, letters := range []uint32{b, d, c} {
		name = binary.LittleEndian.AppendUint32(name, letters)
	}
	require.Regexp(t, `^[ -~]{12}$`, string(name))
	require.Equal(t, string(name) == "AuthenticAMD", amd())
}

func TestUntilLine(t *testing.T) {
	x := aligned(64)
	for i := range 33 {
		require.Equal(t, (16-i%16)%16, untilLine(x[i:]))
	}
}
