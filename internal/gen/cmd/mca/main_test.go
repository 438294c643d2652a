package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/adafisher-go/adafisher/internal/gen/neon"
)

const root = "../../../.."

// TestLoops: the loop that is simulated of a matrix micro-kernel is that over k, with a
// multiply-add for each output and as many k as it takes at once. The others have loops
// of whole vectors.
func TestLoops(t *testing.T) {
	t.Chdir(root)
	routines, err := read()
	if err != nil {
		t.Fatal(err)
	}
	tiles := map[string]int{} // the multiply-adds
	for _, s := range neon.New().Tiles() {
		tiles[s.Name()] = 4 * s.Rows * s.Vectors
		if s.Cols || s.Lanes {
			tiles[s.Name()] /= 4
		}
	}
	for _, r := range routines {
		loop := innermost(r.code)
		if loop == nil {
			t.Errorf("%s has no loop", r.name)
			continue
		}
		if slices.Contains(loop, ret) {
			t.Errorf("%s: the loop returns", r.name)
		}
		want, tile := tiles[r.name]
		delete(tiles, r.name)
		switch got := multiplyAdds(path(loop)); {
		case tile && got != want:
			t.Errorf("%s: %d multiply-adds in the loop of %d instructions, want %d", r.name, got, len(loop), want)
		case !tile && partial(loop):
			t.Errorf("%s: the loop is that of a partial vector", r.name)
		}
	}
	for name := range tiles {
		t.Errorf("no routine %s", name)
	}
}

// multiplyAdds counts the instructions FMLA of four elements.
func multiplyAdds(code []uint32) (n int) {
	for _, w := range code {
		byElement, byVector := w&0xffc0f400 == 0x4f801000, w&0xffe0fc00 == 0x4e20cc00
		if byElement || byVector {
			n++
		}
	}
	return n
}

// TestRecord: the table has a line for each routine that package asm declares, of the
// loop that the routine has.
func TestRecord(t *testing.T) {
	t.Chdir(root)
	find := func(file, pattern string) (all []string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			all = append(all, string(m[1]))
		}
		slices.Sort(all)
		return all
	}
	routines, err := read()
	if err != nil {
		t.Fatal(err)
	}
	var names, lines []string
	for _, r := range routines {
		names = append(names, r.name)
		lines = append(lines, fmt.Sprintf("%s | %d", r.name, len(path(innermost(r.code)))))
	}
	slices.Sort(lines)
	if declared := find("asm/kernels_arm64.go", `(?m)^func (\w+)NEON\(`); !slices.Equal(names, declared) {
		t.Errorf("routines %q, package asm declares %q", names, declared)
	}
	recorded := find("bench/results/mca.md", `(?m)^\| (\w+ \| \d+) \|`)
	for _, l := range lines {
		if !slices.Contains(recorded, l) {
			t.Errorf("the table has no line %q: run make mca", l)
		}
	}
	if len(recorded) != len(lines) {
		t.Errorf("the table has %d lines, for %d routines", len(recorded), len(lines))
	}
}

// TestPath: what a loop runs when no condition holds.
func TestPath(t *testing.T) {
	const nop = 0xd503201f
	loop := []uint32{
		nop,
		0x36080069, // TBZ 3 further
		nop + 1,
		0x14000002, // B 2 further
		nop + 2,
		nop + 3,
		0x54ffff41, // BNE to the first
	}
	if got, want := path(loop), []uint32{nop, nop + 1, nop + 3}; !slices.Equal(got, want) {
		t.Errorf("path %x, want %x", got, want)
	}
	if got := innermost(loop); !slices.Equal(got, loop) {
		t.Errorf("the loop is %x", got)
	}
}

// TestBusiest: the bound is that of the group of units that has the most to do.
func TestBusiest(t *testing.T) {
	const report = `0

Resources:
[0]   - N2UnitL:3   N2UnitL01, N2UnitL01, N2UnitL2
[1]   - N2UnitL01:2
[2]   - N2UnitV:2   N2UnitV0, N2UnitV1
[3]   - N2UnitV0:1

 1      6     0.33    *                    6     N2UnitL                   LDRQui       ldr	q0, [x0]
 1      6     0.33    *                    6     N2UnitL                   LDRQui       ldr	q0, [x0]
 2      2     0.50           *             2     N2UnitL,N2UnitL01,N2UnitV STRQui       str	q0, [x1]
 2      4     2.00                         4     N2UnitV[2],N2UnitV0[2]    FCVTLv4i16   fcvtl	v3.4s, v1.4h
 1      4     0.50                         4     N2UnitV                   FMLAv4f32    fmla	v0.4s, v1.4s, v2.4s
`
	everything := func(string) bool { return true }
	cycles, unit := busiest(report, everything)
	if cycles != 2 || unit != "V" { // (1+2+1)/2; V0 has 2 as well, L 1
		t.Errorf("%v cycles of %s, want 2 of V", cycles, unit)
	}
	if cycles, unit = busiest(report, multiplyAdd); cycles != 0.5 || unit != "V" {
		t.Errorf("%v cycles of %s for the multiply-add, want 0.5 of V", cycles, unit)
	}
}
