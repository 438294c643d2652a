//go:build !linux

package host

import "time"

// ClockName says what CPUTime measures.
const ClockName = "wall-clock time"

var start = time.Now()

// CPUTime stands for the CPU time of the process.
func CPUTime() time.Duration { return time.Since(start) }
