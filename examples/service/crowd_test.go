package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCrowd(t *testing.T) {
	var given []int
	c := newCrowd(3, func(k int) { given = append(given, k) })
	for k := range 3 {
		c.see(k)
	}
	c.see(0)
	require.Empty(t, given)
	c.see(3)
	require.Equal(t, []int{1}, given, "the longest quiet, not the first that came")
	require.False(t, c.leave(1))
	require.True(t, c.leave(0))
	c.see(4)
	c.see(5)
	require.Equal(t, []int{1, 2}, given)
	require.Equal(t, 3, c.size())
	for k := range 6 {
		require.Equal(t, k >= 3, c.leave(k))
	}
	require.Zero(t, c.size())
	require.Zero(t, c.quiet.Len())
}
