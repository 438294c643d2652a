package main

import "golang.org/x/sys/unix"

// allocate returns n floats on pages of their own, large ones where the system
// has them, so that no contender is slowed by address translation.
func allocate(n int) []float32 {
	const huge = 2 << 20
	size := (4*n + huge - 1) / huge * huge
	b, err := unix.Mmap(-1, 0, size+huge, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic("compare: no memory for the operands: " + err.Error())
	}
	b = b[aligned(b, huge):][:size]
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // without large pages it works as well
	return floats(b)[:n]
}
