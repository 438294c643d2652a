package kernels

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKernelsDoNotAllocate(t *testing.T) {
	keepLevel(t)
	for _, l := range Levels() {
		require.NoError(t, SetLevel(l))
		for i := range table {
			k := &table[i]
			shapes := []shape{{m: 1, n: 100, k: 3}}
			if k.class != &symmetric { // n x n
				shapes = append(shapes, shape{m: 1, n: chunkLen + 100, k: 1})
			}
			if k.class != &vectors {
				shapes = append(shapes, shape{m: 5, n: 37, k: blockK + 3})
			}
			for _, s := range shapes {
				a := newArgs(k, s)
				require.Zero(t, testing.AllocsPerRun(2, func() { k.call(a) }), "%s at %s: %v", k.name, l, s)
			}
		}
	}
}
