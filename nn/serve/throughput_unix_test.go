//go:build unix

package serve_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn/serve"
)

// BenchmarkGoroutines is one row through 64-128-64-10 in one goroutine, and in 64.
// ns/op is the time between two answers, cpu-ns that of the processors for one: where
// it is the same for 64, nothing but the processors bounds them, also on a machine
// that has other things to do.
func BenchmarkGoroutines(b *testing.B) {
	m := mlp(b, 64, 128, 64, 10)
	for _, goroutines := range []int{1, 64} {
		b.Run(fmt.Sprint(goroutines), func(b *testing.B) {
			p, err := serve.NewPredictor(m, serve.PredictorConfig{Sessions: goroutines})
			require.NoError(b, err)
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			start := processorTime(b)
			for range goroutines {
				wg.Go(func() {
					const each = 64 // answers for one look at the counter
					dst, x := make([]float32, 10), make([]float32, 64)
					for left.Add(-each) > -each {
						for range each {
							if _, err := p.Predict(dst, x); err != nil {
								b.Error(err)
								return
							}
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(processorTime(b)-start)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(min(goroutines, runtime.GOMAXPROCS(0))), "processors")
		})
	}
}

// processorTime returns the time that the program has had processors for.
func processorTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
