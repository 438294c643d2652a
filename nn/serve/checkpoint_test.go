package serve_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
	"github.com/adafisher-go/adafisher/nn/serve"
	"github.com/adafisher-go/adafisher/optim"
)

// trained is a learner with all that it works with. Dropout and batch
// normalisation carry state from step to step beside the weights.
type trained struct {
	model     *nn.Model
	optimizer *optim.AdaFisher
	predictor *serve.Predictor
	learner   *serve.Learner
}

func newTrained(t *testing.T, seed uint64, onPublish func(serve.Publication)) *trained {
	t.Helper()
	m, err := nn.NewSequential(nn.Linear(2, 9), nn.BatchNorm(), nn.ReLU(), nn.Dropout(0.3), nn.Linear(9, 3))
	require.NoError(t, err)
	m.Init(seed)
	r := &trained{model: m, optimizer: adaFisher(t, m), predictor: predictor(t, m, serve.PredictorConfig{})}
	r.learner, err = serve.NewLearner(r.predictor, m, r.optimizer, serve.LearnerConfig{
		Batch: 10, Wait: time.Hour, PublishSteps: 1, OnPublish: onPublish,
	})
	require.NoError(t, err)
	return r
}

func (r *trained) feed(t *testing.T, from, to int) {
	t.Helper()
	x, labels := blobs(80)
	stop := running(t, r.learner)
	for i := from; i < to; i++ {
		feed(t, r.learner, x[10*i:][:10], labels[10*i:][:10])
	}
	stop()
}

// TestCheckpoint stops a learner half-way, and lets another go on from its file.
func TestCheckpoint(t *testing.T) {
	whole := newTrained(t, 1, nil)
	whole.feed(t, 0, 8)

	path := filepath.Join(t.TempDir(), "model.ckpt")
	var half *trained
	half = newTrained(t, 1, func(p serve.Publication) {
		c := half.learner.Checkpoint()
		c.Ints["mine"] = int64(p.Steps)
		require.NoError(t, checkpoint.Save(path, c))
	})
	half.feed(t, 0, 4)

	loaded, err := checkpoint.Load(path)
	require.NoError(t, err)
	require.EqualValues(t, 4, loaded.Ints["mine"])
	rest := newTrained(t, 99, nil)
	require.NoError(t, rest.learner.Restore(&loaded.Content))
	require.EqualValues(t, 5, rest.predictor.Version())
	require.Equal(t, values(half.model), values(rest.model))
	y := make([]float32, 3)
	version, err := rest.predictor.Predict(y, []float32{1, 0})
	require.NoError(t, err)
	require.EqualValues(t, 5, version)
	require.Equal(t, bits(outputs(t, half.model, []float32{1, 0})), bits(y))

	rest.feed(t, 4, 8)
	require.EqualValues(t, 9, rest.predictor.Version())
	require.Equal(t, values(whole.model), values(rest.model))
	require.Equal(t, whole.optimizer.State(), rest.optimizer.State())
	require.EqualError(t, rest.learner.Restore(&loaded.Content), "serve: Restore: the learner has run already")
}

// TestRestoreRefuses spoils a checkpoint in every way; nothing moves.
func TestRestoreRefuses(t *testing.T) {
	good := newTrained(t, 1, nil)
	good.feed(t, 0, 2)
	r := newTrained(t, 2, nil)
	_, err := r.predictor.Publish(r.model)
	require.NoError(t, err)
	before, state := values(r.model), r.optimizer.State()
	require.EqualError(t, r.learner.Restore(nil), "serve: Restore: there is no checkpoint")
	version := func(n uint64) func(*checkpoint.Content) {
		return func(c *checkpoint.Content) { c.Uints["serve/version"] = n }
	}
	for want, spoil := range map[string]func(*checkpoint.Content){
		"serve/version is missing or 0: want 1 to 2^63":                    func(c *checkpoint.Content) { delete(c.Uints, "serve/version") },
		"serve/version is missing or 18446744073709551615: want 1 to 2^63": version(math.MaxUint64),
		"version 1 is older than the predictor's newest, 2":                version(1),
		"checkpoint: Restore: model/0.weight is missing":                   func(c *checkpoint.Content) { delete(c.Vectors, "model/0.weight") },
		"checkpoint: Restore: session/seed is missing":                     func(c *checkpoint.Content) { delete(c.Uints, "session/seed") },
	} {
		c := good.learner.Checkpoint()
		spoil(c)
		require.EqualError(t, r.learner.Restore(c), "serve: Restore: "+want)
		require.Equal(t, before, values(r.model), want)
		require.Equal(t, state, r.optimizer.State(), want)
		require.EqualValues(t, 2, r.predictor.Version())
	}
	require.NoError(t, r.learner.Restore(good.learner.Checkpoint()))
	require.Equal(t, values(good.model), values(r.model))
	require.NotEqual(t, before, values(r.model))
	require.EqualValues(t, 3, r.predictor.Version())
}

// What the run takes, the predictor may refuse: then the run is as it was, too.
func TestRestoreTooLargeForFloat16(t *testing.T) {
	good := newTrained(t, 1, nil)
	good.feed(t, 0, 2)
	m, err := nn.NewSequential(nn.Linear(2, 9), nn.BatchNorm(), nn.ReLU(), nn.Dropout(0.3), nn.Linear(9, 3))
	require.NoError(t, err)
	opt, p := adaFisher(t, m), predictor(t, m, serve.PredictorConfig{Float16: true})
	l, err := serve.NewLearner(p, m, opt, serve.LearnerConfig{})
	require.NoError(t, err)
	l.Session().SetRandom(3, 4)
	before, state := values(m), opt.State()

	c := good.learner.Checkpoint()
	small := c.Vectors["model/0.weight"]
	large := slices.Clone(small)
	large[1] = 1e5
	c.Vectors["model/0.weight"] = large
	require.ErrorContains(t, l.Restore(c), "weight 1 of 0.weight is 100000: float16 has numbers up to 65504")
	require.Equal(t, before, values(m))
	require.Equal(t, state, opt.State())
	seed, forwards := l.Session().Random()
	require.Equal(t, []uint64{3, 4}, []uint64{seed, forwards})
	require.EqualValues(t, 1, p.Version())

	c.Vectors["model/0.weight"] = small
	require.NoError(t, l.Restore(c))
	require.Equal(t, values(good.model), values(m))
	require.EqualValues(t, 3, p.Version())
}
