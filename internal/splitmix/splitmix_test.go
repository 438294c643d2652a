package splitmix

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The first draws with the seeds 0 and 1234567, which are widely used to check a
// SplitMix64.
func TestMix(t *testing.T) {
	for seed, draws := range map[uint64][]uint64{
		0:       {0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f},
		1234567: {6457827717110365317, 3203168211198807973},
	} {
		for k, want := range draws {
			require.Equal(t, want, Mix(seed+uint64(k)*Gamma))
		}
	}
}
