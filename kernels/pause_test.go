package kernels

import (
	"math"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
)

// BenchmarkStopTheWorld collects garbage while another goroutine runs kernels
// over vectors of 256 MiB, and reports how long it took to stop the world: a
// goroutine inside assembly can't be stopped.
func BenchmarkStopTheWorld(b *testing.B) {
	const n = 1 << 26
	x, y := make([]float32, n), make([]float32, n)
	for _, k := range []struct {
		name string
		run  func()
	}{
		{"Axpy", func() { Axpy(y, x, 0.5) }},
		{"AdaFisherStep", func() { // row 0: the curvature is lambda
			AdaFisherStep(y, x, x, []float32{0}, x, AdaFisherParams{Lambda: 1, Keep: 1, Add: 1, Step: 1})
		}},
		{"Dot", func() { Dot(x, y) }},
		{"Tanh", func() { Tanh(y, x) }},
		{"ColSums", func() { ColSums(y[:4096], x) }},
		{"Gemm", func() {
			Gemm{}.Multiply(NewMatrix(2048, 2048, y), NewMatrix(2048, 2048, x), NewMatrix(2048, 2048, x[n/2:]))
		}},
	} {
		b.Run(k.name, func(b *testing.B) {
			var stop atomic.Bool
			done := make(chan struct{})
			go func() {
				defer close(done)
				for !stop.Load() {
					k.run()
				}
			}()
			before := stopping()
			for b.Loop() {
				runtime.GC()
			}
			after := stopping()
			stop.Store(true)
			<-done
			for i := range after.Counts {
				after.Counts[i] -= before.Counts[i]
			}
			b.ReportMetric(quantile(after, 0.5)*1e6, "p50-us")
			b.ReportMetric(quantile(after, 0.99)*1e6, "p99-us")
			b.ReportMetric(quantile(after, 1)*1e6, "max-us")
		})
	}
}

// stopping returns the distribution of the times that the garbage collector took
// to stop the world so far.
func stopping() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(s)
	h := *s[0].Value.Float64Histogram()
	h.Counts = append([]uint64(nil), h.Counts...)
	return &h
}

// quantile returns an upper bound of the q-th quantile.
func quantile(h *metrics.Float64Histogram, q float64) float64 {
	total := uint64(0)
	for _, c := range h.Counts {
		total += c
	}
	seen := uint64(0)
	for i, c := range h.Counts {
		seen += c
		if c > 0 && float64(seen) >= q*float64(total) {
			return h.Buckets[i+1]
		}
	}
	return math.NaN()
}
