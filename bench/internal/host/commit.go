package host

import (
	"os/exec"
	"strings"
)

// Dirty stands behind a commit where files differ from it.
const Dirty = "-dirty"

// Commit returns the commit of the working directory, whatever results it holds, or
// "unknown".
func Commit() string {
	head, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	name := strings.TrimSpace(string(head))
	changes, err := exec.Command("git", "status", "--porcelain", "--", ":(top)", ":(top,exclude)bench/results").Output()
	if err != nil || len(changes) > 0 {
		name += Dirty
	}
	return name
}
