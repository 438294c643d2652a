package main

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/nlpodyssey/spago/mat"
	"github.com/viterin/vek"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/adafisher-go/adafisher/bench/clib"
	"github.com/adafisher-go/adafisher/bench/internal/host"
	"github.com/adafisher-go/adafisher/bench/ort"
	"github.com/adafisher-go/adafisher/kernels"
)

// peers are the other libraries that can be had on this machine.
type peers struct {
	loops   []*clib.Library // plain C by the C compiler
	blas    *clib.BLAS      // nil without one
	torch   *torch          // nil without it
	torch2  *torch          // on two threads
	ort     string          // the version of ONNX Runtime, "" without it
	missing []string        // what is not there, and why
	dir     string          // holds what is built here

	sessions []io.Closer // of ONNX Runtime
}

// The flags for plain C. Without -fno-math-errno a square root is not vectorised.
var loopFlags = [][]string{
	{"-O3", "-march=native", "-fno-math-errno"},
	{"-Ofast", "-march=native", "-mprefer-vector-width=512"},
}

// exactC is plain C without -ffast-math: it does what it is told.
var exactC = "gcc " + loopFlags[0][0]

// findLibraries builds and loads what there is. close must be called at the end.
func findLibraries() (*peers, error) {
	dir, err := os.MkdirTemp("", "compare")
	if err != nil {
		return nil, err
	}
	p := &peers{dir: dir}
	for _, flags := range loopFlags {
		library, err := clib.Compile(dir, flags...)
		if err != nil {
			p.missing = append(p.missing, fmt.Sprintf("plain C with gcc %v: %v", flags, err))
			continue
		}
		library.Name = "gcc " + flags[0]
		p.loops = append(p.loops, library)
	}
	core := coreType()
	if p.blas, err = clib.OpenBLAS(core); err != nil {
		p.missing = append(p.missing, fmt.Sprintf("OpenBLAS (Debian's libopenblas-dev): %v", err))
	} else if got := p.blas.Core(); core != "" && got != core {
		p.missing = append(p.missing, fmt.Sprintf("OpenBLAS's kernels for %s: this build has none and runs those for %s", core, got))
	}
	if err := ort.Load(); err != nil {
		p.missing = append(p.missing, fmt.Sprintf("ONNX Runtime (make onnx fetches it): %v", err))
	} else {
		p.ort = ort.Version()
	}
	return p, nil
}

// findTorch starts PyTorch, once where the races of one core run.
func (p *peers) findTorch() {
	release := host.Pin()
	var err error
	p.torch, err = startTorch(coreType(), 1)
	release()
	if err == nil && runtime.NumCPU() > 1 {
		p.torch2, err = startTorch(coreType(), 2)
	}
	if err != nil {
		p.missing = append(p.missing, fmt.Sprintf("PyTorch (Debian's python3-torch): %v", err))
	}
}

func (p *peers) close() {
	p.torch.close()
	p.torch2.close()
	for _, s := range p.sessions {
		s.Close()
	}
	os.RemoveAll(p.dir)
}

// c returns a contender for each C library that has the routine.
func (p *peers) c(routine string, o *operands) []contender {
	var all []contender
	add := func(l *clib.Library, prepare func()) {
		if r, ok := l.Routine(routine); ok {
			all = append(all, contender{name: l.Name, prepare: prepare, run: cpu.every(func(n int) { r.Repeat(o, n) })})
		}
	}
	for _, l := range p.loops {
		add(l, nil)
	}
	if p.blas != nil {
		add(&p.blas.Library, nil)
	}
	return all
}

// ours returns a contender for each assembly level of this machine, or the
// generic one if it has none.
func ours(run func()) []contender {
	levels := kernels.Levels()
	if len(levels) > 1 {
		levels = levels[1:]
	}
	var all []contender
	for _, l := range levels {
		all = append(all, contender{name: ourName(l), prepare: func() { setLevel(l) }, run: cpu.each(run)})
	}
	return all
}

// best is the fastest level of this machine.
func best() kernels.Level {
	levels := kernels.Levels()
	return levels[len(levels)-1]
}

func ourName(l kernels.Level) string { return "adafisher/" + l.String() }

func setLevel(l kernels.Level) {
	if err := kernels.SetLevel(l); err != nil {
		panic(err) // Levels listed it
	}
}

func goPeer(name string, run func()) contender { return contender{name: name, run: cpu.each(run)} }

const gonum = "gonum"

// vec is a slice as gonum takes it.
func vec(x []float32) blas32.Vector { return blas32.Vector{N: len(x), Inc: 1, Data: x} }

func vekName() string {
	if vek.Info().Acceleration {
		return "vek32/avx2"
	}
	return "vek32/generic"
}

const (
	spago = "spago"
	gomlx = "GoMLX"
)

// dense is a slice as spago takes it: a column, or a matrix.
func dense(x []float32, shape ...int) *mat.Dense[float32] {
	if len(shape) == 0 {
		shape = []int{len(x), 1}
	}
	return mat.NewDense[float32](mat.WithBacking(x), mat.WithShape(shape...))
}

// spagoMaps returns a contender for an operation of spago, whose result is a
// matrix of its own.
func spagoMaps(dst []float32, operation func() mat.Matrix) contender {
	var y mat.Matrix
	c := goPeer(spago, func() { y = operation() })
	c.result = func() { copy(dst, y.Data().F32()) }
	return c
}
