package host

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Pin keeps the calling goroutine, and the processes that it starts meanwhile, on one
// processor, the last of those it may use, until release is called. Where the system
// refuses, nothing changes.
func Pin() (release func()) {
	runtime.LockOSThread()
	var all unix.CPUSet
	if unix.SchedGetaffinity(0, &all) != nil {
		return runtime.UnlockOSThread
	}
	var one unix.CPUSet
	for i := len(all)*64 - 1; i >= 0; i-- {
		if all.IsSet(i) {
			one.Set(i)
			break
		}
	}
	if unix.SchedSetaffinity(0, &one) != nil {
		return runtime.UnlockOSThread
	}
	return func() {
		_ = unix.SchedSetaffinity(0, &all) // they were allowed before
		runtime.UnlockOSThread()
	}
}
