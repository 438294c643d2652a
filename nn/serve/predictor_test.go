package serve_test

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/serve"
)

func bits(x []float32) []uint32 {
	b := make([]uint32, len(x))
	for i, v := range x {
		b[i] = math.Float32bits(v)
	}
	return b
}

// mixed is a model with several kinds of layers, and inputs for three samples.
func mixed(t testing.TB) (*nn.Model, []float32) {
	t.Helper()
	m, err := nn.New(nn.Shape{4}, nn.Embedding(9, 6), nn.Positions(),
		nn.Residual(nn.LayerNorm(), nn.SelfAttention(nn.Attention{Heads: 2})),
		nn.Mean(), nn.Dropout(0.5), nn.Linear(6, 3))
	require.NoError(t, err)
	return m, []float32{0, 1, 2, 3, 8, 8, 0, 5, 7, 6, 5, 4}
}

func predictor(t testing.TB, m *nn.Model, c serve.PredictorConfig) *serve.Predictor {
	t.Helper()
	p, err := serve.NewPredictor(m, c)
	require.NoError(t, err)
	return p
}

// outputs are what a predictor of nn alone gives.
func outputs(t testing.TB, m *nn.Model, x []float32) []float32 {
	t.Helper()
	p, err := m.NewPredictor(len(x) / m.In())
	require.NoError(t, err)
	y, err := p.Predict(x)
	require.NoError(t, err)
	return y
}

func TestPredictor(t *testing.T) {
	m, x := mixed(t)
	p := predictor(t, m, serve.PredictorConfig{Batch: 2})
	first := append([]float32(nil), outputs(t, m, x)...)

	m.Init(5)
	dst := make([]float32, len(first))
	version, err := p.Predict(dst, x)
	require.NoError(t, err)
	require.EqualValues(t, 1, version)
	require.Equal(t, bits(first), bits(dst), "the first version is a copy")
	require.WithinDuration(t, time.Now(), p.Published(), time.Minute)

	old := p.Borrow()
	clone, err := m.Clone()
	require.NoError(t, err)
	version, err = p.Publish(clone)
	require.NoError(t, err)
	require.EqualValues(t, 2, version)
	require.EqualValues(t, 2, p.Version())
	second := outputs(t, m, x)
	require.NotEqual(t, bits(first), bits(second))
	version, err = p.Predict(dst, x)
	require.NoError(t, err)
	require.EqualValues(t, 2, version)
	require.Equal(t, bits(second), bits(dst))

	// The session keeps its version.
	require.EqualValues(t, 1, old.Version())
	for range 5 {
		_, err = p.Publish(m)
		require.NoError(t, err)
	}
	y, err := old.Predict(x[:8])
	require.NoError(t, err)
	require.Equal(t, bits(first[:6]), bits(y))
	old.Return()

	want, classes := make([]int, 3), make([]int, 3)
	reference, err := m.NewPredictor(3)
	require.NoError(t, err)
	require.NoError(t, reference.Classify(want, x))
	version, err = p.Classify(classes, x)
	require.NoError(t, err)
	require.EqualValues(t, 7, version)
	require.Equal(t, want, classes)
}

// With float16 weights, each version predicts what its packed model does; CopyTo has
// the values themselves.
func TestFloat16(t *testing.T) {
	m, x := mixed(t)
	p := predictor(t, m, serve.PredictorConfig{Batch: 2, Float16: true})
	check := func(version uint64) {
		packed, err := m.Pack(nn.PackConfig{Float16: true})
		require.NoError(t, err)
		reference, err := packed.NewPredictor(3)
		require.NoError(t, err)
		want, err := reference.Predict(x)
		require.NoError(t, err)
		require.NotEqual(t, bits(outputs(t, m, x)), bits(want))
		dst := make([]float32, len(want))
		got, err := p.Predict(dst, x)
		require.NoError(t, err)
		require.Equal(t, version, got)
		require.Equal(t, bits(want), bits(dst))
		other, err := m.Clone()
		require.NoError(t, err)
		other.Init(99)
		_, err = p.CopyTo(other)
		require.NoError(t, err)
		require.Equal(t, values(m), values(other))
	}
	check(1)
	for i := range 4 {
		m.Init(uint64(50 + i))
		_, err := p.Publish(m)
		require.NoError(t, err)
		check(uint64(2 + i))
	}
	before, err := m.Clone()
	require.NoError(t, err)
	last := m.Params()[len(m.Params())-2] // a weight
	last.Value[1] = 7e4
	_, err = p.Publish(m)
	require.EqualError(t, err, "serve: Publish: nn: CopyFrom: weight 1 of "+last.Name+" is 70000: float16 has numbers up to 65504")
	_, err = serve.NewPredictor(m, serve.PredictorConfig{Float16: true})
	require.EqualError(t, err, "serve: NewPredictor: nn: Pack: weight 1 of "+last.Name+" is 70000: float16 has numbers up to 65504")
	require.NoError(t, m.CopyFrom(before))
	check(5)
}

func TestCopyTo(t *testing.T) {
	m, _ := mixed(t)
	p := predictor(t, m, serve.PredictorConfig{Version: 6})
	want := values(m)
	other, err := m.Clone()
	require.NoError(t, err)
	other.Init(77)
	m.Init(78)
	version, err := p.CopyTo(other)
	require.NoError(t, err)
	require.EqualValues(t, 6, version)
	require.Equal(t, want, values(other))
	_, err = p.Publish(m)
	require.NoError(t, err)
	version, err = p.CopyTo(other)
	require.NoError(t, err)
	require.EqualValues(t, 7, version)
	require.Equal(t, values(m), values(other))
	stranger := mlp(t, 2, 3)
	_, err = p.CopyTo(stranger)
	require.EqualError(t, err, "serve: CopyTo: nn: CopyFrom: the models are not of the same layers")
	_, err = p.CopyTo(nil)
	require.EqualError(t, err, "serve: CopyTo: there is no model")
}

func TestPredictorErrors(t *testing.T) {
	m, x := mixed(t)
	for want, c := range map[string]serve.PredictorConfig{
		"serve: NewPredictor: batch of -1 rows, 0 sessions: want 0 or more":                                   {Batch: -1},
		"serve: NewPredictor: batch of 0 rows, -2 sessions: want 0 or more":                                   {Sessions: -2},
		"serve: NewPredictor: 1073741824 sessions: want at most 65536":                                        {Sessions: 1 << 30},
		"serve: NewPredictor: version 18446744073709551615: want at most 2^63":                                {Version: math.MaxUint64},
		fmt.Sprintf("serve: NewPredictor: nn: NewPredictor: a batch of %d rows needs more than", math.MaxInt): {Batch: math.MaxInt},
	} {
		_, err := serve.NewPredictor(m, c)
		require.ErrorContains(t, err, want)
	}
	_, err := serve.NewPredictor(nil, serve.PredictorConfig{})
	require.EqualError(t, err, "serve: NewPredictor: there is no model")
	_, err = serve.NewPredictor(new(nn.Model), serve.PredictorConfig{})
	require.EqualError(t, err, "serve: NewPredictor: nn: Clone: the model has no layers")

	p := predictor(t, m, serve.PredictorConfig{Batch: 2, Version: 41})
	want := append([]float32(nil), outputs(t, m, x)...)
	dst := make([]float32, len(want))

	for _, x := range [][]float32{x[:11], x[:8], {0, 0, 9, 0}} {
		dst := []float32{7, 7, 7}
		_, err := p.Predict(dst, x)
		require.ErrorContains(t, err, "serve: Predict: nn: PredictInto: ")
		_, err = p.Classify([]int{0}, x)
		require.ErrorContains(t, err, "serve: Classify: nn: Classify: ")
		require.Equal(t, []float32{7, 7, 7}, dst)
	}

	// What can't be published changes nothing.
	w := m.Params()[3].Value
	w[len(w)-1] = float32(math.Inf(1))
	_, err = serve.NewPredictor(m, serve.PredictorConfig{})
	require.EqualError(t, err, "serve: NewPredictor: "+m.Params()[3].Name+" has a value that is not finite")
	_, err = p.Publish(m)
	require.EqualError(t, err, "serve: Publish: "+m.Params()[3].Name+" has a value that is not finite")
	_, err = p.Publish(mlp(t, 2, 3))
	require.EqualError(t, err, "serve: Publish: nn: CopyFrom: the models are not of the same layers")
	_, err = p.Publish(nil)
	require.EqualError(t, err, "serve: Publish: nn: CopyFrom: the models are not of the same layers")
	version, err := p.Predict(dst, x)
	require.NoError(t, err)
	require.EqualValues(t, 41, version)
	require.Equal(t, bits(want), bits(dst))
}

// TestVersionsAreWhole publishes as fast as it can beside readers, and requires
// each answer to be the one of its version.
func TestVersionsAreWhole(t *testing.T) {
	const publications, readers = 400, 8
	m := mlp(t, 6, 40, 40, 5)
	x := []float32{1, -1, 0.5, 2, -0.25, 3}
	want := make([][]uint32, publications+2)
	at := func(version int) []uint32 {
		m.Init(uint64(version))
		return bits(outputs(t, m, x))
	}
	for v := range want {
		want[v] = at(v)
	}
	at(1)
	p := predictor(t, m, serve.PredictorConfig{Batch: 1, Sessions: 1})

	var wrong, backwards, failed, answers atomic.Int64
	var wg sync.WaitGroup
	done := make(chan struct{})
	for reader := range readers {
		wg.Go(func() {
			dst, last := make([]float32, 5), uint64(0)
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				var version uint64
				var err error
				if y := dst; reader%2 == 0 {
					version, err = p.Predict(y, x)
				} else {
					s := p.Borrow()
					for range 1 + i%4 { // some hold a session longer
						y, err = s.Predict(x)
					}
					version = s.Version()
					copy(dst, y)
					s.Return()
				}
				if err != nil {
					failed.Add(1)
				}
				for j, v := range dst {
					if math.Float32bits(v) != want[version][j] {
						wrong.Add(1)
					}
				}
				if version < last {
					backwards.Add(1)
				}
				last = version
				answers.Add(1)
			}
		})
	}
	for v := 2; v < publications+2; v++ {
		m.Init(uint64(v))
		version, err := p.Publish(m)
		require.NoError(t, err)
		require.EqualValues(t, v, version)
		if v%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	close(done)
	wg.Wait()
	require.Zero(t, wrong.Load(), "answers that are not their version's")
	require.Zero(t, backwards.Load(), "versions below one that the reader had seen")
	require.Zero(t, failed.Load())
	require.Positive(t, answers.Load())
}

func TestSessionsGrow(t *testing.T) {
	m, x := mixed(t)
	p := predictor(t, m, serve.PredictorConfig{Sessions: 3})
	taken := make(map[*serve.Session]bool)
	for range 48 { // 3, doubled four times
		s := p.Borrow()
		require.False(t, taken[s], "two have one session")
		taken[s] = true
		_, err := p.Publish(m) // all sessions have versions of their own
		require.NoError(t, err)
	}
	versions := make(map[uint64]bool)
	want := bits(outputs(t, m, x))
	for s := range taken {
		y, err := s.Predict(x)
		require.NoError(t, err)
		require.Equal(t, want, bits(y))
		versions[s.Version()] = true
		s.Return()
	}
	require.Len(t, versions, 48)
	for range 48 {
		require.Contains(t, taken, p.Borrow(), "sessions are used again")
	}
}

func TestPredictorDoesntAllocate(t *testing.T) {
	m, x := mixed(t)
	p := predictor(t, m, serve.PredictorConfig{Batch: 2})
	dst, classes := make([]float32, 9), make([]int, 3)
	held := p.Borrow() // costs one version, no more
	for range 3 {
		_, err := p.Publish(m)
		require.NoError(t, err)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, publish := p.Publish(m)
		_, predict := p.Predict(dst, x)
		_, classify := p.Classify(classes, x)
		s := p.Borrow()
		_, session := s.Predict(x[:4])
		s.Return()
		if publish != nil || predict != nil || classify != nil || session != nil {
			t.Error(publish, predict, classify, session)
		}
	}))
	held.Return()
}
