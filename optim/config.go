package optim

import (
	"fmt"

	"github.com/adafisher-go/adafisher/internal/float"
)

// maxDecay is the largest weight decay.
const maxDecay = 100

// setting is one scalar of a configuration, to be checked.
type setting struct {
	name  string
	value float64
	kind  settingKind
}

type settingKind int

const (
	decay       settingKind = iota // [0, 1) as a float32
	fraction                       // [0, 1]
	weightDecay                    // [0, maxDecay]
	size                           // [0, 1e30]
	divisor                        // [smallest normal float32, 1e30]: what is smaller loses bits or vanishes as a float32
	damping                        // [1e-8, 1e30]
)

// checkSettings returns an error for the first setting outside its range.
func checkSettings(optimizer string, settings ...setting) error {
	for _, s := range settings {
		var ok bool
		var want string
		switch s.kind {
		case decay:
			ok, want = s.value >= 0 && float32(s.value) < 1, "[0, 1) as a float32"
		case fraction:
			ok, want = s.value >= 0 && s.value <= 1, "[0, 1]"
		case weightDecay:
			ok, want = s.value >= 0 && s.value <= maxDecay, "[0, 100]"
		case size:
			ok, want = s.value >= 0 && s.value <= 1e30, "[0, 1e30]"
		case divisor:
			ok, want = s.value >= float.MinNormal && s.value <= 1e30, "[1.2e-38, 1e30]"
		case damping:
			ok, want = s.value >= 1e-8 && s.value <= 1e30, "[1e-8, 1e30]"
		}
		if !ok {
			return fmt.Errorf("optim: %s: %s is %v: want a number in %s", optimizer, s.name, s.value, want)
		}
	}
	return nil
}

// checkPositive returns an error if a number of something is not positive.
func checkPositive(optimizer, name string, n int) error {
	if n < 1 {
		return fmt.Errorf("optim: %s: %s is %d: want 1 or more", optimizer, name, n)
	}
	return nil
}
