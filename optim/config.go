package optim

import (
	"fmt"
	"math"
)

// minNormal is the smallest normal float32: a divisor below it would lose bits
// or vanish when it is rounded.
const minNormal = 0x1p-126

// setting is one scalar of a configuration, to be checked.
type setting struct {
	name  string
	value float64
	kind  settingKind
}

type settingKind int

const (
	decay    settingKind = iota // [0, 1)
	fraction                    // [0, 1]
	size                        // [0, largest float32]
	divisor                     // [smallest normal float32, largest float32]
)

// checkSettings returns an error for the first setting outside its range.
func checkSettings(optimizer string, settings ...setting) error {
	for _, s := range settings {
		var ok bool
		var want string
		switch s.kind {
		case decay:
			ok, want = s.value >= 0 && s.value < 1, "[0, 1)"
		case fraction:
			ok, want = s.value >= 0 && s.value <= 1, "[0, 1]"
		case size:
			ok, want = s.value >= 0 && s.value <= math.MaxFloat32, "[0, 3.4e38]"
		case divisor:
			ok, want = s.value >= minNormal && s.value <= math.MaxFloat32, "[1.2e-38, 3.4e38]"
		}
		if !ok {
			return fmt.Errorf("optim: %s: %s is %v: want a number in %s", optimizer, s.name, s.value, want)
		}
	}
	return nil
}
