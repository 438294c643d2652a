package report

import "syscall"

// peakRSS returns the peak resident memory of the process in bytes, 0 if it is
// not known.
func peakRSS() uint64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return uint64(usage.Maxrss)
}
