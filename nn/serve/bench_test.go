package serve_test

import (
	"slices"
	"sync"
	"sync/atomic"
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
// predictor of nn for each goroutine, and with this package's. p99-ns is the 99th
// percentile of a call.
func BenchmarkPredict(b *testing.B) {
	m := mlp(b, 64, 128, 64, 10)
	p, err := serve.NewPredictor(m, serve.PredictorConfig{})
	require.NoError(b, err)
	b.Run("own", func(b *testing.B) {
		p99 := percentiles(b, nil, func() func(dst, x []float32) error {
			own, err := m.NewPredictor(32)
			if err != nil {
				b.Error(err)
			}
			return own.PredictInto
		})
		b.ReportMetric(p99[0], "p99-ns")
	})
	b.Run("shared", func(b *testing.B) {
		p99 := percentiles(b, nil, func() func(dst, x []float32) error { return shared(p) })
		b.ReportMetric(p99[0], "p99-ns")
	})
	b.Run("borrow", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Borrow().Return()
		}
	})
}

// BenchmarkPublishing is one row through 64-128-64-10, on all processors, whose weights
// are replaced a hundred times a second for a fifth of a second, and not for another, and
// so on. p99-ns and quiet-p99-ns are the 99th percentiles of calls with and without: what
// else the machine does meets both.
func BenchmarkPublishing(b *testing.B) {
	m := mlp(b, 64, 128, 64, 10)
	p, err := serve.NewPredictor(m, serve.PredictorConfig{})
	require.NoError(b, err)
	var publishing atomic.Bool
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for tick := 0; ; tick++ {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			publishing.Store(tick%40 < 20)
			if publishing.Load() {
				if _, err := p.Publish(m); err != nil {
					b.Error(err)
				}
			}
		}
	})
	p99 := percentiles(b, &publishing, func() func(dst, x []float32) error { return shared(p) })
	close(stop)
	wg.Wait()
	b.ReportMetric(p99[0], "quiet-p99-ns")
	b.ReportMetric(p99[1], "p99-ns")
}

func shared(p *serve.Predictor) func(dst, x []float32) error {
	return func(dst, x []float32) error {
		_, err := p.Predict(dst, x)
		return err
	}
}

// percentiles calls what predict returns, one for each goroutine, b.N times in all. It
// returns the 99th percentiles of the last calls while a flag was down, and up.
func percentiles(b *testing.B, flag *atomic.Bool, predict func() func(dst, x []float32) error) (p99 [2]float64) {
	var mu sync.Mutex
	var times [2][]time.Duration
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		dst, x, call := make([]float32, 10), make([]float32, 64), predict()
		var last [2][]time.Duration
		var n [2]int
		for i := range last {
			last[i] = make([]time.Duration, 1<<17)
		}
		for pb.Next() {
			up := 0
			if flag != nil && flag.Load() {
				up = 1
			}
			start := time.Now()
			err := call(dst, x)
			last[up][n[up]%len(last[up])] = time.Since(start)
			n[up]++
			if err != nil {
				b.Error(err)
				return
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for i := range times {
			times[i] = append(times[i], last[i][:min(n[i], len(last[i]))]...)
		}
	})
	for i, t := range times {
		slices.Sort(t)
		if len(t) > 0 {
			p99[i] = float64(t[len(t)*99/100])
		}
	}
	return p99
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
