//go:build cgo && (linux || darwin)

package clib

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompile(t *testing.T) {
	l, err := Compile(t.TempDir(), "-O3")
	require.NoError(t, err)
	require.Equal(t, "gcc -O3", l.Name)
	axpy, ok := l.Routine("axpy")
	require.True(t, ok)
	o := &Operands{A: []float32{1, 2, 3, 4}, C: []float32{1, 1, 1, 1}, M: 2, N: 2}
	o.S[0] = 10
	axpy.Repeat(o, 2)
	require.Equal(t, []float32{21, 41, 61, 81}, o.C)

	minmax, ok := l.Routine("minmax")
	require.True(t, ok)
	minmax.Repeat(o, 1)
	require.Equal(t, [2]float32{1, 4}, o.Out)

	_, ok = l.Routine("no_such_loop")
	require.False(t, ok)
}

// subnormal is a variable, for the processor to divide and not the compiler.
var subnormal = math.Float32frombits(2)

// TestSubnormals: a library of fast and loose code must not make this process
// flush subnormal numbers to zero.
func TestSubnormals(t *testing.T) {
	_, err := Compile(t.TempDir(), "-Ofast")
	require.NoError(t, err)
	require.Equal(t, math.Float32frombits(1), subnormal/2)
}

func TestCompileError(t *testing.T) {
	_, err := Compile(t.TempDir(), "-fno-such-flag")
	require.ErrorContains(t, err, "gcc -fno-such-flag: exit status 1")
	require.ErrorContains(t, err, "no-such-flag")
}
