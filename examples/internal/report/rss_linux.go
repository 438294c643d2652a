package report

import (
	"os"
	"strconv"
	"strings"
)

// peakRSS returns the peak resident memory of the process in bytes, 0 if it is
// not known. It reads VmHWM: getrusage's maximum is inherited from the program
// that started this one.
func peakRSS() uint64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "VmHWM:" {
			if kib, err := strconv.ParseUint(words[1], 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
