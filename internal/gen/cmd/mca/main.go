// Command mca estimates the speed of the NEON kernels, for which a schedule is
// simulated by llvm-mca (Debian's llvm-22): for the longest innermost loop of
// each routine, the cycles of an iteration beside the least that the processor's
// units could take, and for a matrix micro-kernel the share of the cycles that its
// multiply-adds alone would take. These are estimates of a model, not measurements.
// Run it in the root of the library: go run ./internal/gen/cmd/mca.
package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("mca: ")
	cpus := flag.String("cpu", "neoverse-n2,neoverse-v1,apple-m1,cortex-a76", "processors that llvm-mca knows")
	match := flag.String("match", ".", "regular expression of routines to show")
	over := flag.Float64("over", 0, "show only routines whose cycles are more than this times the bound on some processor")
	record := flag.String("record", "", "file to write instead of the standard output")
	flag.Parse()
	pattern, err := regexp.Compile(*match)
	if err != nil {
		log.Fatal(err)
	}
	routines, err := read()
	if err != nil {
		log.Fatal(err)
	}
	routines = slices.DeleteFunc(routines, func(r routine) bool { return !pattern.MatchString(r.name) })
	var out bytes.Buffer
	if err := report(&out, routines, strings.Split(*cpus, ","), *over); err != nil {
		log.Fatal(err)
	}
	if *record == "" {
		os.Stdout.Write(out.Bytes())
	} else if err := os.WriteFile(*record, out.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}

const explanation = `# The inner loops of the NEON kernels, by a model

Written by ` + "`make mca`" + `, with %s. Estimates, not measurements: no ARM processor ran them.

For the longest innermost loop of each routine: its instructions without branches, the cycles of an iteration that are simulated, those that its busiest unit needs at least, that unit with the model's name, and the ratio. FMA: the share of the cycles that the multiply-adds of a matrix micro-kernel need. Where vectors may be partial, the loop is that of whole ones, if there is one; else a partial vector has three elements.

In brackets, where the ratio is above 1.15, what keeps instructions from being dispatched most often, if anything does, and in how many of the cycles: the processor has no place for more that wait for operands (SCHEDQ, the queues of its units) or that aren't retired (RCU, the window in which it may reorder them). Chains of dependent operations longer than those hide fill them. Without brackets, it dispatches as many instructions a cycle as it can: 5, 8, 6 and 3.

`

// report writes the table.
func report(w io.Writer, routines []routine, cpus []string, over float64) error {
	version, err := run("", mca, "--version")
	if err != nil {
		return err
	}
	version, _, _ = strings.Cut(version[strings.Index(version, "LLVM"):], "\n")
	fmt.Fprintf(w, explanation, "llvm-mca of "+version)
	fmt.Fprintf(w, "| routine | instructions | %s |\n|---|---|%s\n", strings.Join(cpus, " | "), strings.Repeat("---|", len(cpus)))
	loops := make([][]uint32, len(routines))
	for i, r := range routines {
		if loops[i] = innermost(r.code); loops[i] == nil {
			return fmt.Errorf("%s has no loop", r.name)
		}
	}
	rows := make([]string, len(routines))
	worst := make([]float64, len(routines))
	texts, err := disassemble(loops)
	if err != nil {
		return err
	}
	for _, cpu := range cpus {
		all, err := simulate(texts, cpu)
		if err != nil {
			return fmt.Errorf("%s: %w", cpu, err)
		}
		for i, e := range all {
			rows[i] += fmt.Sprintf(" %.1f of %.1f %s: %.2f", e.cycles, e.bound, e.unit, e.cycles/e.bound)
			worst[i] = max(worst[i], e.cycles/e.bound)
			if e.cycles > explain*e.bound && e.stall != "" {
				rows[i] += fmt.Sprintf(" (%s)", e.stall)
			}
			if strings.HasPrefix(routines[i].name, "Gemm") {
				rows[i] += fmt.Sprintf(", FMA %.2f", e.multiplyAdds/e.cycles)
			}
			rows[i] += " |"
		}
	}
	for i, r := range routines {
		if worst[i] >= over {
			fmt.Fprintf(w, "| %s | %d |%s\n", r.name, len(texts[i]), rows[i])
		}
	}
	return nil
}

// A routine is one of package asm.
type routine struct {
	name string
	code []uint32
}

// read assembles the library for arm64 and returns its routines by name.
func read() ([]routine, error) {
	dir, err := os.MkdirTemp("", "mca")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binaryFile := filepath.Join(dir, "kernels.test")
	build := exec.Command("go", "test", "-c", "-o", binaryFile, "./kernels")
	build.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	f, err := elf.Open(binaryFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return nil, err
	}
	text := f.Section(".text")
	data, err := text.Data()
	if err != nil {
		return nil, err
	}
	var all []routine
	for _, s := range symbols {
		name, ok := strings.CutPrefix(s.Name, "github.com/adafisher-go/adafisher/asm.")
		name, abi := strings.CutSuffix(name, ".abi0")
		if !ok || !abi || !strings.HasSuffix(name, "NEON") {
			continue
		}
		r := routine{name: strings.TrimSuffix(name, "NEON")}
		for at := s.Value - text.Addr; at < s.Value-text.Addr+s.Size; at += 4 {
			r.code = append(r.code, binary.LittleEndian.Uint32(data[at:]))
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no NEON routine in the binary")
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all, nil
}

// target returns where a branch at index i goes, if it is one with an offset.
func target(w uint32, i int) (int, bool) {
	extend := func(x uint32, bits int) int { return int(int32(x<<(32-bits)) >> (32 - bits)) }
	switch {
	case always(w):
		return i + extend(w, 26), true
	case w>>24 == 0x54, w>>25&0x3f == 0x1a: // B.cond, CBZ, CBNZ
		return i + extend(w>>5, 19), true
	case bitTest(w):
		return i + extend(w>>5, 14), true
	}
	return 0, false
}

// always: B.
func always(w uint32) bool { return w>>26 == 0x05 }

// bitTest: TBZ, TBNZ.
func bitTest(w uint32) bool { return w>>25&0x3f == 0x1b }

// partial reports whether a loop is one of partial vectors, which test the bits of
// their length.
func partial(loop []uint32) bool {
	for i, w := range loop {
		if to, _ := target(w, i); bitTest(w) && to < len(loop) {
			return true
		}
	}
	return false
}

const ret = 0xd65f03c0

// innermost returns the longest loop without another one in it, one of whole vectors
// if there is one. A branch back over a RET closes none: it leaves what is rare, which
// is after the RET.
func innermost(code []uint32) (best []uint32) {
	type span struct{ from, to int }
	var loops []span
	for i, w := range code {
		if t, ok := target(w, i); ok && t <= i && t >= 0 && !slices.Contains(code[t:i], ret) {
			loops = append(loops, span{t, i + 1})
		}
	}
	for _, l := range loops {
		inner := true
		for _, m := range loops {
			inner = inner && (m == l || m.from < l.from || m.to > l.to)
		}
		if !inner {
			continue
		}
		loop := code[l.from:l.to]
		switch was, is := partial(best), partial(loop); {
		case best == nil, was && !is, was == is && len(loop) > len(best):
			best = loop
		}
	}
	return best
}

// path returns the instructions of a loop that run when no condition holds, without
// the branches, which the simulation's iterations stand for.
func path(loop []uint32) (all []uint32) {
	for i := 0; i < len(loop); i++ {
		switch to, branch := target(loop[i], i); {
		case !branch:
			all = append(all, loop[i])
		case always(loop[i]) && to > i:
			i = to - 1
		}
	}
	return all
}

// disassemble returns the instructions of each loop in LLVM's notation.
func disassemble(loops [][]uint32) ([][]string, error) {
	var in bytes.Buffer
	var lengths []int
	for _, l := range loops {
		p := path(l)
		lengths = append(lengths, len(p))
		for _, w := range p {
			fmt.Fprintf(&in, "0x%02x 0x%02x 0x%02x 0x%02x\n", w&0xff, w>>8&0xff, w>>16&0xff, w>>24)
		}
	}
	out, err := run(in.String(), "llvm-mc-22", "-disassemble", "-triple=aarch64", "-mattr=+neon")
	if err != nil {
		return nil, err
	}
	lines := slices.DeleteFunc(strings.Split(out, "\n"), func(s string) bool {
		s = strings.TrimSpace(s)
		return s == "" || strings.HasPrefix(s, ".")
	})
	var all [][]string
	for _, n := range lengths {
		if n > len(lines) {
			return nil, fmt.Errorf("llvm-mc doesn't know all instructions")
		}
		all, lines = append(all, lines[:n]), lines[n:]
	}
	return all, nil
}

// An estimate is that of an iteration of a loop, in cycles.
type estimate struct {
	cycles       float64
	bound        float64 // of the unit that is busiest
	unit         string
	multiplyAdds float64 // that bound, of the multiply-adds alone
	stall        string  // why instructions wait most often, and the share of the cycles
}

// explain is the ratio above which the table says why instructions wait.
const explain = 1.15

const mca = "llvm-mca-22"

var (
	total    = regexp.MustCompile(`Total Cycles:\s+(\d+)`)
	stall    = regexp.MustCompile(`(?m)^(RAT|RCU|SCHEDQ|LQ|SQ|GROUP)\s.*:\s+(\d+)\s+\((\d+)[.\d]*%\)`)
	count    = regexp.MustCompile(`^\[\d+\]\s+- ([^:]+):(\d+)`)
	resource = regexp.MustCompile(`(\w+Unit\w+)(?:\[(?:\d+,)?(\d+)\])?`)
)

// simulate returns the estimates of loops.
func simulate(loops [][]string, cpu string) ([]estimate, error) {
	var in strings.Builder
	for i, l := range loops {
		fmt.Fprintf(&in, "# LLVM-MCA-BEGIN %d\n%s\n# LLVM-MCA-END\n", i, strings.Join(l, "\n"))
	}
	// regions calls f with what mca says about each loop.
	regions := func(f func(i int, report string), args ...string) error {
		out, err := run(in.String(), mca, append([]string{"-march=aarch64", "-mcpu=" + cpu, "-resource-pressure=false"}, args...)...)
		if err != nil {
			return err
		}
		parts := strings.Split(out, " Code Region - ")[1:]
		if len(parts) != len(loops) {
			return fmt.Errorf("llvm-mca reports %d loops of %d", len(parts), len(loops))
		}
		for i, p := range parts {
			f(i, p)
		}
		return nil
	}
	all := make([]estimate, len(loops))
	// The first iterations, which start with empty queues, don't count.
	const first, last = 50, 150
	for _, n := range []int{-first, last} {
		err := regions(func(i int, report string) {
			cycles, _ := strconv.Atoi(total.FindStringSubmatch(report)[1])
			if n < 0 {
				cycles = -cycles
			}
			all[i].cycles += float64(cycles) / (last - first)
			all[i].stall = worstStall(report)
		}, "-instruction-info=false", "-dispatch-stats", fmt.Sprint("-iterations=", max(n, -n)))
		if err != nil {
			return nil, err
		}
	}
	err := regions(func(i int, report string) {
		all[i].bound, all[i].unit = busiest(report, func(string) bool { return true })
		all[i].multiplyAdds, _ = busiest(report, multiplyAdd)
	}, "-instruction-tables=full")
	return all, err
}

// worstStall returns what most often kept instructions from being dispatched, as a share
// of the cycles.
func worstStall(report string) (text string) {
	worst := 0
	for _, m := range stall.FindAllStringSubmatch(report, -1) {
		if n, _ := strconv.Atoi(m[2]); n > worst {
			worst, text = n, fmt.Sprintf("%s %s %%", m[1], m[3])
		}
	}
	return text
}

// multiplyAdd reports whether a line of the table of instructions is a multiply-add.
func multiplyAdd(line string) bool { return strings.Contains(line, "fmla\t") }

// busiest returns the cycles of the unit, or of the group of units, that needs most
// for some of the instructions. In llvm-mca's table an instruction that one unit of a
// group must do counts for the group as well; its own bound leaves that out.
func busiest(report string, which func(line string) bool) (cycles float64, unit string) {
	units, busy := map[string]float64{}, map[string]float64{}
	for _, line := range strings.Split(report, "\n") {
		if m := count.FindStringSubmatch(line); m != nil {
			units[m[1]], _ = strconv.ParseFloat(m[2], 64)
		} else if which(line) {
			for _, m := range resource.FindAllStringSubmatch(line, -1) {
				n := 1.0
				if m[2] != "" {
					n, _ = strconv.ParseFloat(m[2], 64)
				}
				busy[m[1]] += n
			}
		}
	}
	for name, n := range busy {
		if c := n / units[name]; c > cycles || c == cycles && name < unit {
			cycles, unit = c, name
		}
	}
	_, short, _ := strings.Cut(unit, "Unit")
	return cycles, short
}

func run(input, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s(Debian's package llvm-22 has it)", name, err, stderr.Bytes())
	}
	return string(out), nil
}
