// Command mca estimates the speed of the NEON kernels, for which a schedule is
// simulated by llvm-mca (Debian's llvm-16): for the longest innermost loop of
// each routine, the cycles of an iteration and the bound that the processor's
// units set; for a matrix micro-kernel also the share of those cycles that its
// multiply-adds alone would take. These are estimates of a model, not measurements:
// llvm-mca 16 has the model of neoverse-n2 for neoverse-v1 too, cyclone's for apple-m1
// and cortex-a57's for cortex-a76. Run it in the root of the library:
// go run ./internal/gen/cmd/mca.
package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"flag"
	"fmt"
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
	flag.Parse()
	pattern, err := regexp.Compile(*match)
	if err != nil {
		log.Fatal(err)
	}
	routines, err := read()
	if err != nil {
		log.Fatal(err)
	}
	list := strings.Split(*cpus, ",")
	fmt.Printf("| routine | instructions | %s |\n|---|---|%s\n", strings.Join(list, " | "), strings.Repeat("---|", len(list)))
	for _, r := range routines {
		if !pattern.MatchString(r.name) {
			continue
		}
		loop := innermost(r.code)
		if loop == nil {
			log.Printf("%s has no loop", r.name)
			continue
		}
		fmt.Printf("| %s | %d |", r.name, len(loop))
		for _, cpu := range list {
			cycles, bound, err := simulate(loop, cpu)
			if err != nil {
				log.Fatalf("%s on %s: %v", r.name, cpu, err)
			}
			fmt.Printf(" %.1f of %.1f: %.2f", cycles, bound, cycles/bound)
			if strings.HasPrefix(r.name, "Gemm") {
				_, bound, err := simulate(multiplyAdds(loop), cpu)
				if err != nil {
					log.Fatalf("%s on %s: %v", r.name, cpu, err)
				}
				fmt.Printf(", FMA %.2f", bound/cycles)
			}
			fmt.Print(" |")
		}
		fmt.Println()
	}
	fmt.Println("\nCycles an iteration of the longest innermost loop, the bound of the processor's units, and their ratio; " +
		"FMA: the share of the cycles that the multiply-adds need. By llvm-mca, an estimate.")
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
	case w>>26 == 0x05: // B
		return i + extend(w, 26), true
	case w>>24 == 0x54, w>>25&0x3f == 0x1a: // B.cond, CBZ, CBNZ
		return i + extend(w>>5, 19), true
	}
	return 0, false
}

const ret = 0xd65f03c0

// innermost returns the longest loop without another one in it. A branch back over
// a RET closes none: it leaves what is rare, which is after the RET.
func innermost(code []uint32) []uint32 {
	type span struct{ from, to int }
	var loops []span
	for i, w := range code {
		if t, ok := target(w, i); ok && t <= i && t >= 0 && !slices.Contains(code[t:i], ret) {
			loops = append(loops, span{t, i + 1})
		}
	}
	var best []uint32
	for _, l := range loops {
		inner := true
		for _, m := range loops {
			inner = inner && (m == l || m.from < l.from || m.to > l.to)
		}
		if inner && l.to-l.from > len(best) {
			best = code[l.from:l.to]
		}
	}
	return best
}

// multiplyAdds returns the instructions FMLA of four elements.
func multiplyAdds(code []uint32) (all []uint32) {
	for _, w := range code {
		byElement, byVector := w&0xffc0f400 == 0x4f801000, w&0xffe0fc00 == 0x4e20cc00
		if byElement || byVector {
			all = append(all, w)
		}
	}
	return all
}

// disassemble returns the text of a loop without its branches, which the
// simulation's iterations stand for.
func disassemble(code []uint32) (string, error) {
	var in bytes.Buffer
	for i, w := range code {
		if _, branch := target(w, i); branch {
			continue
		}
		fmt.Fprintf(&in, "0x%02x 0x%02x 0x%02x 0x%02x\n", w&0xff, w>>8&0xff, w>>16&0xff, w>>24)
	}
	return run(in.String(), "llvm-mc-16", "-disassemble", "-triple=aarch64", "-mattr=+neon")
}

var (
	total      = regexp.MustCompile(`Total Cycles:\s+(\d+)`)
	iterations = regexp.MustCompile(`Iterations:\s+(\d+)`)
	throughput = regexp.MustCompile(`Block RThroughput:\s+([\d.]+)`)
)

// simulate returns the cycles of an iteration and their lower bound.
func simulate(loop []uint32, cpu string) (cycles, bound float64, err error) {
	text, err := disassemble(loop)
	if err != nil {
		return 0, 0, err
	}
	out, err := run(text, "llvm-mca-16", "-march=aarch64", "-mcpu="+cpu, "-iterations=1000")
	if err != nil {
		return 0, 0, err
	}
	find := func(r *regexp.Regexp) float64 {
		m := r.FindStringSubmatch(out)
		if m == nil {
			err = fmt.Errorf("llvm-mca's report has no %v", r)
			return 0
		}
		x, _ := strconv.ParseFloat(m[1], 64)
		return x
	}
	t, n, b := find(total), find(iterations), find(throughput)
	return t / n, b, err
}

func run(input, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s(Debian's package llvm-16 has it)", name, err, stderr.Bytes())
	}
	return string(out), nil
}
