package main

import (
	"slices"
	"testing"

	"github.com/adafisher-go/adafisher/internal/gen/neon"
)

// TestLoops: the loop that is simulated of a matrix micro-kernel is that over k, with a
// multiply-add for each output and as many k as it takes at once.
func TestLoops(t *testing.T) {
	t.Chdir("../../../..")
	routines, err := read()
	if err != nil {
		t.Fatal(err)
	}
	code := map[string][]uint32{}
	for _, r := range routines {
		code[r.name] = r.code
	}
	for _, s := range neon.New().Tiles() {
		k := 4
		if s.Cols || s.Lanes {
			k = 1
		}
		loop := innermost(code[s.Name()])
		if got, want := len(multiplyAdds(loop)), k*s.Rows*s.Vectors; got != want {
			t.Errorf("%s: %d multiply-adds in the loop of %d instructions, want %d", s.Name(), got, len(loop), want)
		}
		if slices.Contains(loop, ret) {
			t.Errorf("%s: the loop returns", s.Name())
		}
	}
	for _, r := range routines {
		if innermost(r.code) == nil {
			t.Errorf("%s has no loop", r.name)
		}
	}
}
