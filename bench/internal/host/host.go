// Package host says on what machine a measurement runs, and what time it takes.
package host

import (
	"os"
	"strings"
)

// Info returns what Linux says of the first processor, by the names that it uses:
// "model name", "cpu family". Elsewhere it is empty.
func Info() map[string]string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return nil
	}
	info := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		if name == "" {
			break
		}
		info[name] = strings.TrimSpace(value)
	}
	return info
}

// CPU returns the name of the processor, or "unknown".
func CPU() string {
	if name := Info()["model name"]; name != "" {
		return name
	}
	return "unknown"
}
