package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// clockName says what cpu measures.
const clockName = "CPU time"

// cpu is the CPU time of the process: on a busy machine the clock on the wall
// also counts the work of others.
var cpu clock = func() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err) // the clock is there since Linux 2.6
	}
	return time.Duration(t.Nano())
}
