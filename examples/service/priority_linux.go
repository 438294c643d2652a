package main

import (
	"fmt"
	"runtime"
	"syscall"
)

// giveWay makes everything else in the program go before what the calling goroutine
// computes from now on, where there are more threads than processors. It keeps the
// thread, which nobody else has again. The larger nice, at most 19, the less it gets;
// 10 is a tenth of what another thread does, and 0 changes nothing.
func giveWay(nice int) error {
	if nice == 0 {
		return nil
	}
	runtime.LockOSThread()
	const thisThread = 0
	inverse, err := syscall.Getpriority(syscall.PRIO_PROCESS, thisThread)
	if err == nil {
		err = syscall.Setpriority(syscall.PRIO_PROCESS, thisThread, min(20-inverse+nice, 19))
	}
	if err != nil {
		return fmt.Errorf("priority of a thread: %w", err)
	}
	return nil
}
