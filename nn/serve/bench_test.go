package serve_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/serve"
)

func mlp(t testing.TB, widths ...int) *nn.Model {
	t.Helper()
	var layers []nn.Layer
	for i := range len(widths) - 1 {
		if i > 0 {
			layers = append(layers, nn.ReLU())
		}
		layers = append(layers, nn.Linear(widths[i], widths[i+1]))
	}
	m, err := nn.NewSequential(layers...)
	require.NoError(t, err)
	return m
}

// BenchmarkPredict is one row through 64-128-64-10, on all processors: with a
// predictor of nn for each goroutine, with this package's, and with its weights
// replaced a hundred times a second. p99-ns is the 99th percentile of a call.
func BenchmarkPredict(b *testing.B) {
	m := mlp(b, 64, 128, 64, 10)
	run := func(b *testing.B, predict func() func(dst, x []float32)) {
		var mu sync.Mutex
		var times []time.Duration // of the last calls
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			dst, x, call := make([]float32, 10), make([]float32, 64), predict()
			last, n := make([]time.Duration, 1<<17), 0
			for ; pb.Next(); n++ {
				start := time.Now()
				call(dst, x)
				last[n%len(last)] = time.Since(start)
			}
			mu.Lock()
			defer mu.Unlock()
			times = append(times, last[:min(n, len(last))]...)
		})
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)*99/100]), "p99-ns")
	}
	p, err := serve.NewPredictor(m, serve.PredictorConfig{})
	require.NoError(b, err)
	shared := func() func(dst, x []float32) {
		return func(dst, x []float32) {
			if _, err := p.Predict(dst, x); err != nil {
				b.Error(err)
			}
		}
	}
	b.Run("own", func(b *testing.B) {
		run(b, func() func(dst, x []float32) {
			own, err := m.NewPredictor(32)
			if err != nil {
				b.Error(err)
			}
			return func(dst, x []float32) {
				if err := own.PredictInto(dst, x); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("shared", func(b *testing.B) { run(b, shared) })
	b.Run("publishing", func(b *testing.B) {
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
					if _, err := p.Publish(m); err != nil {
						b.Error(err)
					}
				}
			}
		}()
		run(b, shared)
		close(stop)
	})
	b.Run("borrow", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Borrow().Return()
		}
	})
}

// BenchmarkPublish is a version of 535,818 weights.
func BenchmarkPublish(b *testing.B) {
	m := mlp(b, 784, 512, 256, 10)
	p, err := serve.NewPredictor(m, serve.PredictorConfig{})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Publish(m); err != nil {
			b.Fatal(err)
		}
	}
}
