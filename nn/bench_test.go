package nn_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

func benchmark(b *testing.B, f func(b *testing.B)) {
	before := kernels.CurrentLevel()
	defer func() { require.NoError(b, kernels.SetLevel(before)) }()
	for _, l := range kernels.Levels() {
		require.NoError(b, kernels.SetLevel(l))
		b.Run(l.String(), f)
	}
}

// BenchmarkStep is forward, loss and backward of 64-128-64-10 at batch 64; a
// floating-point operation is a multiplication or addition of a matrix product.
func BenchmarkStep(b *testing.B) {
	const batch = 64
	m := sequential(b, nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
	s := session(b, m, batch)
	x := uniform(rand.New(rand.NewPCG(11, 1)), batch*64)
	labels := make([]int, batch)
	for i := range labels {
		labels[i] = i % 10
	}
	flops := 2 * batch * (2*64*128 + 3*128*64 + 3*64*10)
	for statistics, name := range []string{kron.CollectNone: "plain", kron.CollectFactors: "factors", kron.CollectMoments: "moments"} {
		s.CollectStatistics(kron.Collect(statistics))
		b.Run(name, func(b *testing.B) {
			benchmark(b, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, ferr := s.Forward(x)
					_, lerr := s.SoftmaxCrossEntropy(labels)
					_, berr := s.Backward()
					if ferr != nil || lerr != nil || berr != nil {
						b.Fatal(ferr, lerr, berr)
					}
				}
				b.ReportMetric(float64(flops)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		})
	}
}

// BenchmarkPredict is one row through 64-128-64-10.
func BenchmarkPredict(b *testing.B) {
	m := sequential(b, nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
	p, err := m.NewPredictor(1)
	require.NoError(b, err)
	x := uniform(rand.New(rand.NewPCG(12, 1)), 64)
	benchmark(b, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Predict(x); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(2*m.NumParams())*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	})
}
