package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A standing is what we reach in a row, as a share of something, and what we want.
type standing struct {
	kernel, size, of string
	share, want      float64
}

// standings compares a run with what we want of it. What a run lacks is left out.
type standings struct {
	rows map[[2]string][]result
	all  []standing
}

// Whom a row's speed is compared with: a contender whose name begins so, or one of these.
const (
	us          = "adafisher/"
	withFloat16 = "float16 weights" // that is ours, too
	fastest     = ""                // of the others
)

// find returns the fastest contender in a row that a name stands for.
func (s *standings) find(kernel, size, name string) (best result, found bool) {
	for _, x := range s.rows[[2]string{kernel, size}] {
		float16 := strings.HasSuffix(x.Contender, withFloat16)
		var fits bool
		switch name {
		case withFloat16:
			fits = float16
		case fastest:
			fits = !isOurs(x.Contender)
		default:
			fits = !float16 && strings.HasPrefix(x.Contender, name)
		}
		if fits && (!found || x.better(best.Median)) {
			best, found = x, true
		}
	}
	return best, found
}

// roof wants shares of the roof.
func (s *standings) roof(want float64, kernel string, sizes ...string) {
	for _, size := range sizes {
		if x, ok := s.find(kernel, size, us); ok && x.RoofRatio != nil {
			s.all = append(s.all, standing{kernel, size, "the roof", *x.RoofRatio, want})
		}
	}
}

// faster wants us to be so many times as fast as another contender.
func (s *standings) faster(want float64, kernel, size, than string) {
	s.speed(want, kernel, size, us, kernel, than, 1)
}

// speed wants a row's contender to be so many times as fast as one in another row of the
// same size, whose work is larger by a factor.
func (s *standings) speed(want float64, kernel, size, name, other, than string, work float64) {
	x, ok := s.find(kernel, size, name)
	y, others := s.find(other, size, than)
	if !ok || !others {
		return
	}
	share, of := x.Median/y.Median*work, y.Contender
	if x.Unit == "us" || x.Unit == "ns" {
		share = y.Median / x.Median * work
	}
	if kernel != other {
		of += ", " + other
	}
	if name != us {
		kernel += ", " + name
	}
	s.all = append(s.all, standing{kernel, size, of, share, want})
}

// vectors compares the streaming kernels.
func (s *standings) vectors() {
	sizes := []string{"4 KiB", "256 KiB", "8 MiB", "256 MiB"}
	near, beyond, far := sizes[:2], sizes[1:], sizes[2:]
	for _, kernel := range []string{"axpy", "ema", "scale", "add", "relu", "dot", "sum", "colsumsquares", "minmax", "ger"} {
		s.roof(0.8, kernel, sizes[0])
		s.roof(0.95, kernel, beyond...)
		for _, size := range sizes {
			s.faster(1, kernel, size, fastest)
		}
	}
	for _, kernel := range []string{"adafisher", "adafisherw"} {
		s.roof(0.95, kernel, beyond...)
	}
	for _, kernel := range []string{"adafisher", "adafisherw", "adam", "adamw"} {
		s.faster(1.3, kernel, sizes[0], "gcc -O3")
	}
	for _, kernel := range []string{"sgd", "lion", "adam", "adamw"} {
		s.roof(0.95, kernel, "8 MiB")
	}
	for _, size := range far { // in at most .75 of the time, where it moves 20 bytes for 28
		s.speed(1/0.75, "adafisher", size, us, "adam", us, 28.0/20)
	}
	for _, kernel := range []string{"exp", "log", "tanh", "sigmoid", "silu", "gelu", "gelu tanh", "softmax"} {
		for _, size := range near {
			s.faster(1, kernel, size, "gcc -Ofast")
		}
	}
}

// products compares the matrix products, by what a processor's vectors can.
func (s *standings) products(wide bool) {
	share := map[int]float64{32: 0.93, 64: 0.93, 128: 0.93, 256: 0.93, 512: 0.93}
	if wide {
		share = map[int]float64{8: 0.3, 16: 0.78, 24: 0.67, 32: 0.93, 64: 0.96, 128: 0.96, 256: 0.96, 512: 0.93, 768: 0.92, 1024: 0.88, 2048: 0.88}
	}
	for _, n := range squareSizes {
		size := fmt.Sprintf("%d x %d x %d", n, n, n)
		if want, ok := share[n]; ok {
			s.roof(want, "gemm NN", size)
		}
		s.faster(1, "gemm NN", size, "OpenBLAS")
		if n >= 256 {
			s.speed(1.85, "gemm NN, 2 workers", size, us, "gemm NN, 1 worker", us, 1)
		}
	}
	for _, shape := range layerShapes {
		batch, in, out := shape[0], shape[1], shape[2]
		product := func(want float64, kernel string, m, k, n int) {
			size := fmt.Sprintf("%d x %d x %d", m, k, n)
			s.faster(want, kernel, size, fastest)
			if batch == 1 {
				s.roof(0.95, kernel, size)
			}
		}
		weights, inputs := 1.15, 1.15
		if in == 784 && batch == 128 {
			weights = 1
		}
		if out == 10 {
			inputs = 1
		}
		product(1.15, "gemm NN", batch, in, out)
		product(weights, "gemm TN", in, batch, out)
		product(1, "gemm TN accumulate", in, batch, out)
		product(inputs, "gemm NT", batch, out, in)
	}
}

// networks compares training steps and predictions.
func (s *standings) networks() {
	const seldom, always = "mlp step AdaFisher TCov=100", "mlp step AdaFisher TCov=1"
	for i, size := range []string{"batch 1", "batch 32", "batch 128"} {
		s.speed([]float64{5, 3, 1.8}[i], seldom, size, us, "mlp step Adam", "PyTorch", 1)
		s.speed(1, seldom, size, us, "mlp step Adam", us, 1)
		s.speed(1/1.05, always, size, us, seldom, us, 1)
	}
	s.roof(1/1.25, seldom, "batch 128")
	// The optimizer takes at most .12 of a step.
	s.speed(0.88, seldom, "batch 128", us, "mlp forward + backward", us, 1)

	const large = "predict 784-512-256-10"
	s.faster(1.2, large, "batch 1", fastest)
	s.faster(1.15, large, "batch 32", fastest)
	s.faster(1.15, large, "batch 128", fastest)
	s.speed(2.5, large, "batch 1", withFloat16, large, fastest, 1)
	s.faster(1.6, "predict 64-128-64-10", "batch 1", fastest)
	s.faster(1.6, "predict 64-128-64-10", "batch 32", fastest)
}

// goals lists what a run misses of what we want.
func (run report) goals(w io.Writer) {
	s := standings{rows: map[[2]string][]result{}}
	for _, x := range run.results {
		k := [2]string{x.Kernel, x.Size}
		s.rows[k] = append(s.rows[k], x)
	}
	s.vectors()
	s.products(len(run.machine.Vectors) > 0 && run.machine.Vectors[0] == "AVX-512")
	s.networks()
	all := len(s.all)
	if all == 0 {
		return
	}
	missed := slices.DeleteFunc(s.all, func(x standing) bool { return x.share >= x.want })
	fmt.Fprintf(w, "\n## What is missed\n\nOf %d goals in this run, %d are reached. Shares are of the roof, or of the speed of another contender. bench/README.md says what keeps us from the others:\n\n", all, all-len(missed))
	fmt.Fprintf(w, "| kernel | size | share of | wanted | reached |\n|---|---|---|---:|---:|\n")
	for _, x := range missed {
		fmt.Fprintf(w, "| %s | %s | %s | %.2f | %.3f |\n", x.kernel, x.size, x.of, x.want, x.share)
	}
}
