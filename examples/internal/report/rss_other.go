//go:build !linux && !darwin

package report

// peakRSS returns 0: not known here.
func peakRSS() uint64 { return 0 }
