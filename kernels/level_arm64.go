//go:build !purego

package kernels

import "golang.org/x/sys/cpu"

// detect returns the assembly levels of this processor. ASIMD is mandatory on
// arm64; the flag is read only where the operating system reports it.
func detect() []Level {
	if cpu.Initialized && !cpu.ARM64.HasASIMD {
		return nil
	}
	return []Level{NEON}
}
