//go:build race && !purego && (amd64 || arm64)

package kernels

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Set for a process in which races are reported and not an error.
const makeRaces = "ADAFISHER_TEST_MAKE_RACES"

// racing returns shapes of a kernel in which all of its operands are used.
func racing(k *kernel) []shape {
	switch k.class {
	case &products: // by several ways
		return []shape{{m: 20, n: 79, k: 40, pad: 3}, {m: 9, n: 7, k: 20}, {m: 130, n: 131, k: 300}}
	case &convolutions, &poolings:
		return k.class.shapes[:2]
	case &transposes: // assembly has the first elements
		return []shape{{m: 20, n: 30, pad: 2}}
	case &triangles:
		return []shape{{m: 14, n: 7, pad: 1}}
	}
	return []shape{{m: 5, n: 42, k: 7, pad: 2}}
}

// TestRacesAreSeen writes to each operand of each kernel while the kernel uses it,
// in a process of its own, and expects a report of the race detector for each. What
// assembly touches it doesn't see by itself.
func TestRacesAreSeen(t *testing.T) {
	const mark = "racing: "
	if os.Getenv(makeRaces) != "" {
		conflicts, done := make(chan func()), make(chan bool)
		go func() { // one for all: of goroutines that have ended the detector forgets too much
			for conflict := range conflicts {
				conflict()
				done <- true
			}
		}()
		eachRace(t, func(name string, call, conflict func()) {
			fmt.Fprintln(os.Stderr, mark+name)
			conflicts <- conflict
			call()
			<-done
		})
		close(conflicts)
		fmt.Fprintln(os.Stderr, mark+"end")
		return
	}
	again := exec.Command(os.Args[0], "-test.run=^TestRacesAreSeen$")
	again.Env = append(os.Environ(), makeRaces+"=1", "GORACE=suppress_equal_stacks=0")
	out, _ := again.CombinedOutput() // fails, as there are races
	names, seen := []string{}, map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), mark); ok {
			names = append(names, name)
		} else if lines.Text() == "WARNING: DATA RACE" {
			seen[names[len(names)-1]] = true
		}
	}
	require.NotEmpty(t, names, "%s", out)
	require.Equal(t, "end", names[len(names)-1], "%s", out)
	for _, name := range names[:len(names)-1] {
		if !seen[name] {
			t.Errorf("no race seen: %s", name)
		}
	}
}

// eachRace calls f with a call of each kernel at each level that has assembly and, for
// each operand, a write to the element of it that the kernel uses in any case.
func eachRace(t *testing.T, f func(name string, call, conflict func())) {
	keepLevel(t)
	r := rand.New(rand.NewPCG(1, 2))
	for _, l := range Levels()[1:] {
		require.NoError(t, SetLevel(l))
		for i := range table {
			k := &table[i]
			for _, s := range racing(k) {
				for o, op := range k.operands {
					var w workspace // anew, as the detector reports each address once
					w.layout(k, s, 0)
					w.fill(k, func() float32 { return normal(r) })
					a := w.args(s, k.scalars, w.before)
					if x := a.v(o); len(x) > 0 {
						name := fmt.Sprintf("%s of %s at %s, %v", op.name, k.name, l, s)
						f(name, func() { k.call(a) }, func() { x[0] = 1 })
					}
				}
			}
		}
	}
}
