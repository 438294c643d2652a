package kernels

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
)

// Level is an instruction set that the kernels can run on. All levels give the
// same bits. Generic is there to check the others and for processors that have none
// of them: it rounds each multiply-add exactly, by way of float64, and takes tens to
// hundreds of times as long.
//
// The program starts with the last of [Levels], or with the level that the environment
// variable ADAFISHER_LEVEL names. One that is unknown or not available is ignored, with
// a warning on the default logger of package slog.
type Level uint32

const (
	Generic Level = iota // the pure-Go reference
	AVX2                 // x86-64 with AVX2, FMA, BMI2 and F16C
	AVX512               // x86-64 with AVX-512 F, VL, BW and DQ besides
	NEON                 // arm64
)

var levelNames = [...]string{"generic", "avx2", "avx512", "neon"}

// String returns the name that [ParseLevel] and ADAFISHER_LEVEL take.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return fmt.Sprintf("Level(%d)", uint32(l))
}

// ParseLevel returns the level with the given name.
func ParseLevel(name string) (Level, error) {
	i := slices.Index(levelNames[:], name)
	if i < 0 {
		return Generic, fmt.Errorf("kernels: unknown level %q: want one of %s", name, strings.Join(levelNames[:], ", "))
	}
	return Level(i), nil
}

// Levels returns the levels that this build can use on this machine, from the
// reference to the fastest.
func Levels() []Level { return slices.Clone(available) }

var (
	available = append([]Level{Generic}, detect()...)
	current   atomic.Uint32
)

// CurrentLevel returns the level in use.
func CurrentLevel() Level { return Level(current.Load()) }

// SetLevel selects a level for the whole process. It may be called at any time:
// results don't depend on the level. An unavailable level is an error and
// changes nothing.
func SetLevel(l Level) error {
	if !slices.Contains(available, l) {
		return fmt.Errorf("kernels: level %s is not available here: have %s", l, joinLevels(available))
	}
	current.Store(uint32(l))
	return nil
}

func joinLevels(ls []Level) string {
	names := make([]string, len(ls))
	for i, l := range ls {
		names[i] = l.String()
	}
	return strings.Join(names, ", ")
}

func init() {
	current.Store(uint32(available[len(available)-1]))
	if name := os.Getenv("ADAFISHER_LEVEL"); name != "" {
		if err := selectByName(name); err != nil {
			slog.Warn("ADAFISHER_LEVEL ignored", "using", CurrentLevel().String(), "error", err)
		}
	}
}

func selectByName(name string) error {
	l, err := ParseLevel(name)
	if err != nil {
		return err
	}
	return SetLevel(l)
}
