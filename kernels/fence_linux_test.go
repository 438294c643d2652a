package kernels

import (
	"fmt"
	"runtime/debug"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// fence is memory between two pages that may not be touched.
type fence []float32

func newFence(t *testing.T, n int) fence {
	page := syscall.Getpagesize()
	size := (4*n + page - 1) / page * page
	mem, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(mem)) })
	require.NoError(t, syscall.Mprotect(mem[:page], syscall.PROT_NONE))
	require.NoError(t, syscall.Mprotect(mem[page+size:], syscall.PROT_NONE))
	return unsafe.Slice((*float32)(unsafe.Pointer(&mem[page])), size/4)
}

// TestNoAccessOutside puts every operand against a protected page, after it and
// then before it: a read or write outside faults, even one that has no effect.
func TestNoAccessOutside(t *testing.T) {
	keepLevel(t)
	var w workspace
	var fences []fence
	most, longest := 0, 0 // operands of a kernel, elements of one
	for i := range table {
		k := &table[i]
		most = max(most, len(k.operands))
		for _, s := range k.class.fenced {
			for w.layout(k, s, 0); len(w.regions) > 0; w.regions = w.regions[1:] {
				longest = max(longest, w.regions[0].len())
			}
		}
	}
	for range most {
		fences = append(fences, newFence(t, longest))
	}
	for _, l := range Levels() {
		require.NoError(t, SetLevel(l))
		for i := range table {
			k := &table[i]
			for _, s := range k.class.fenced {
				for _, atEnd := range []bool{false, true} {
					w.layout(k, s, 0)
					a := &args{shape: s, s: k.scalars}
					for o, r := range w.regions {
						data := fences[o][:r.len()]
						if atEnd {
							data = fences[o][len(fences[o])-r.len():]
						}
						for i := range data {
							data[i] = 1
						}
						a.m = append(a.m, Matrix{Rows: r.rows, Cols: r.cols, Stride: r.stride, Data: data})
					}
					require.NoError(t, faults(func() { k.call(a) }), "%s at %s: %v, at the end %v", k.name, l, s, atEnd)
				}
			}
		}
	}
}

// TestNoFloat16Outside: the same for numbers of two bytes, up to the last one.
func TestNoFloat16Outside(t *testing.T) {
	x, y, scratch := halves(newFence(t, 9000)), newFence(t, 300), make([]float32, GemmScratch)
	clear(x)
	place := func(n int, atEnd bool) []uint16 {
		if atEnd {
			return x[len(x)-n:]
		}
		return x[:n]
	}
	const k = 5
	eachLevel(t, func(t *testing.T) {
		for n := range 140 {
			for _, atEnd := range []bool{false, true} {
				h, v := place(n, atEnd), y[:n]
				if atEnd {
					v = y[len(y)-n:]
				}
				require.NoError(t, faults(func() { FromFloat16(v, h) }), "n=%d, at the end %v", n, atEnd)
				require.NoError(t, faults(func() { ToFloat16(h, v) }), "n=%d, at the end %v", n, atEnd)
				b := NewFloat16Matrix(k, n, place(k*n, atEnd))
				for _, m := range []int{1, 2, 3, 20} {
					c, a := NewMatrix(m, n, make([]float32, m*n)), NewMatrix(m, k, make([]float32, m*k))
					require.NoError(t, faults(func() { Gemm{Scratch: scratch}.MultiplyFloat16(c, a, b) }),
						"%d x %d, at the end %v", m, n, atEnd)
					packed := PackFloat16(b.Data, NewMatrix(k, n, make([]float32, k*n)))
					require.NoError(t, faults(func() { Gemm{Scratch: scratch}.MultiplyPackedFloat16(c, a, packed) }),
						"packed %d x %d, at the end %v", m, n, atEnd)
				}
			}
		}
	})
}

// faults runs f and returns an error if it touched protected memory.
func faults(f func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			err = fmt.Errorf("fault at %#x", r.Addr())
		default:
			panic(r)
		}
	}()
	f()
	return nil
}

// TestFencesHold shows that the fence test can fail.
func TestFencesHold(t *testing.T) {
	f := newFence(t, 1)
	require.NoError(t, faults(func() { f[len(f)-1] = 1 }))
	after := unsafe.Slice(&f[0], len(f)+1)
	require.EqualError(t, faults(func() { after[len(f)] = 1 }), fmt.Sprintf("fault at %p", &after[len(f)]))
}
