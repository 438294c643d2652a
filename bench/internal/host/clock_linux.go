package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// ClockName says what CPUTime measures.
const ClockName = "CPU time"

// CPUTime is the CPU time of the process: on a busy machine the clock on the wall
// also counts the work of others.
func CPUTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err) // the clock is there since Linux 2.6
	}
	return time.Duration(t.Nano())
}
