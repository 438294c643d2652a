package main

import (
	"context"
	"runtime"
	"syscall"
	"time"
)

// onTime prepares the calling goroutine for sleepUntil, until the function that it
// returns is called: its thread may wake up without delay.
func onTime() (after func()) {
	const setTimerSlack = 29 // PR_SET_TIMERSLACK
	runtime.LockOSThread()
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0) // 50 us otherwise
	return runtime.UnlockOSThread
}

// sleepUntil returns at a moment, or soon after ctx is done. A sleep of Go's is up to a
// millisecond longer than it should be, as it waits for the network at the same time.
func sleepUntil(ctx context.Context, moment time.Time) {
	for ctx.Err() == nil {
		left := time.Until(moment)
		if left <= 0 {
			return
		}
		t := syscall.NsecToTimespec(int64(min(left, 100*time.Millisecond)))
		_ = syscall.Nanosleep(&t, nil)
	}
}
