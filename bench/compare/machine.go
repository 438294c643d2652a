package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	x86 "golang.org/x/sys/cpu"

	"github.com/adafisher-go/adafisher/bench/internal/host"
	"github.com/adafisher-go/adafisher/bench/roof"
)

// A machine describes where and with what a run was done: the first object of a
// recorded run.
type machine struct {
	CPU          string            `json:"cpu"`
	Model        string            `json:"model,omitempty"` // family and model numbers
	Cores        int               `json:"cores"`
	Caches       map[string]string `json:"caches,omitempty"`
	System       string            `json:"system"`
	Vectors      []string          `json:"vectors"` // of the roof
	Go           string            `json:"go"`
	GCC          string            `json:"gcc,omitempty"`
	OpenBLAS     string            `json:"openblas,omitempty"`
	OpenBLASCore string            `json:"openblas_core,omitempty"`
	PyTorch      string            `json:"pytorch,omitempty"`
	ONNXRuntime  string            `json:"onnxruntime,omitempty"`
	Clock        string            `json:"clock"`
	Rounds       int               `json:"rounds"`
	Sample       string            `json:"sample"`
	Date         string            `json:"date"`
	Commit       string            `json:"commit,omitempty"`  // that was measured, see host.Commit; "" in old runs
	Missing      []string          `json:"missing,omitempty"` // contenders, with the reason
}

func describe(p *peers, o options) machine {
	m := machine{
		CPU:     host.CPU(),
		Cores:   runtime.NumCPU(),
		Caches:  caches(),
		System:  runtime.GOOS + "/" + runtime.GOARCH,
		Vectors: roof.Vectors,
		Go:      runtime.Version(),
		Clock:   host.ClockName,
		Rounds:  o.rounds,
		Sample:  o.sample.String(),
		Date:    time.Now().UTC().Format(time.RFC3339),
		Commit:  host.Commit(),
		Missing: p.missing,
	}
	if info := host.Info(); info["cpu family"] != "" {
		m.Model = fmt.Sprintf("family %s, model %s", info["cpu family"], info["model"])
	}
	if text, err := exec.Command("gcc", "-dumpfullversion").Output(); err == nil {
		m.GCC = strings.TrimSpace(string(text))
	}
	if p.blas != nil {
		m.OpenBLAS, m.OpenBLASCore = p.blas.Config(), p.blas.Core()
	}
	m.ONNXRuntime = p.ort
	if p.torch != nil {
		m.PyTorch = p.torch.version
	}
	return m
}

// name is a name for the machine's files.
func (m machine) name() string {
	name := strings.ToLower(m.CPU + " " + m.Model)
	name = strings.NewReplacer("(r)", "", "(tm)", "", " processor", "", " cpu", "").Replace(name)
	return strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(name, "-"), "-")
}

// caches returns the sizes that Linux knows of the first processor's caches.
func caches() map[string]string {
	all := map[string]string{}
	dirs, _ := filepath.Glob("/sys/devices/system/cpu/cpu0/cache/index*") // the pattern is well formed
	for _, dir := range dirs {
		var v [3]string
		for i, name := range []string{"level", "type", "size"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return all
			}
			v[i] = strings.TrimSpace(string(text))
		}
		if v[1] != "Instruction" {
			all["L"+v[0]] = v[2]
		}
	}
	return all
}

// coreType is the type of core that OpenBLAS is told to have kernels for: old
// versions take a new processor for an ancient one. An environment variable
// overrides it; "" leaves the choice to the library.
func coreType() string {
	if core := os.Getenv("OPENBLAS_CORETYPE"); core != "" {
		return core
	}
	switch {
	case x86.X86.HasAVX512BF16, x86.X86.HasAVX512VNNI:
		return "Cooperlake"
	case x86.X86.HasAVX512F && x86.X86.HasAVX512DQ && x86.X86.HasAVX512BW && x86.X86.HasAVX512VL:
		return "SkylakeX"
	case x86.X86.HasAVX2 && x86.X86.HasFMA:
		return "Haswell"
	}
	return ""
}
