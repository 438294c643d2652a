package serve_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
	"github.com/adafisher-go/adafisher/nn/serve"
	"github.com/adafisher-go/adafisher/optim"
)

// All optimizers of package optim can be used.
var _ serve.Optimizer = optim.Optimizer(nil)

var nan, inf = float32(math.NaN()), float32(math.Inf(1))

func adaFisher(t testing.TB, m *nn.Model) *optim.AdaFisher {
	t.Helper()
	c := optim.AdaFisherDefaults()
	c.LR, c.TCov = 2e-4, 3
	opt, err := optim.NewAdaFisher(m, c)
	require.NoError(t, err)
	return opt
}

func values(m *nn.Model) []uint32 {
	var v []float32
	for _, p := range m.Params() {
		v = append(v, p.Value...)
	}
	for _, b := range m.Buffers() {
		v = append(v, b.Value...)
	}
	return bits(v)
}

// running starts the learner; the returned function stops it, and fails the
// test if it ended with an error.
func running(t *testing.T, l *serve.Learner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(time.Minute):
			t.Fatal("Run does not end")
		}
	}
}

func until(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, time.Minute, time.Millisecond)
}

// blobs returns n examples of three classes in two features.
func blobs(n int) (x [][]float32, labels []int) {
	r := rand.New(rand.NewPCG(3, 3))
	centres := [][2]float32{{1, 0}, {-1, 1}, {-1, -1}}
	for i := range n {
		c := centres[i%3]
		x = append(x, []float32{c[0] + r.Float32() - 0.5, c[1] + r.Float32() - 0.5})
		labels = append(labels, i%3)
	}
	return x, labels
}

func TestLearner(t *testing.T) {
	m := mlp(t, 2, 16, 3)
	p := predictor(t, m, serve.PredictorConfig{})
	x, labels := blobs(900)
	var held serve.Validation
	for i := range 90 {
		held.X = append(held.X, x[i]...)
		held.Labels = append(held.Labels, labels[i])
	}
	var published []serve.Publication
	l, err := serve.NewLearner(p, m, adaFisher(t, m), serve.LearnerConfig{
		PublishSteps: 4, PublishEvery: time.Hour, Validation: held,
		OnPublish: func(p serve.Publication) { published = append(published, p) },
	})
	require.NoError(t, err)
	stop := running(t, l)
	var wg sync.WaitGroup
	for sender := range 3 {
		wg.Go(func() {
			for i := 90 + sender; i < len(x); i += 3 {
				if err := l.Learn(x[i], labels[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	until(t, func() bool { return l.Stats().Examples == 810 })
	stop()

	s := l.Stats()
	require.EqualValues(t, s.Steps/4, s.Published-min(1, s.Steps%4), "every four steps, and at the end")
	require.GreaterOrEqual(t, s.Steps, uint64(810/32))
	require.EqualValues(t, 810, s.Rows)
	require.Greater(t, s.Right, uint64(400))
	require.Zero(t, s.Queued+int(s.Refused+s.Full+s.Dropped+s.Rollbacks+s.TakenBack))
	require.Greater(t, s.ValidationAccuracy, 0.95)
	require.Less(t, s.ValidationLoss, 0.5)

	require.Len(t, published, int(s.Published))
	for i, publication := range published {
		require.EqualValues(t, i+2, publication.Version)
		require.LessOrEqual(t, publication.Steps, s.Steps)
	}
	last := published[len(published)-1]
	require.Equal(t, serve.Publication{Version: p.Version(), Steps: s.Steps, Loss: s.ValidationLoss, Accuracy: s.ValidationAccuracy}, last)

	dst := make([]float32, 3)
	_, err = p.Predict(dst, x[0])
	require.NoError(t, err)
	require.Equal(t, bits(outputs(t, m, x[0])), bits(dst), "the last steps are published")
	require.ErrorIs(t, l.Learn(x[0], 0), serve.ErrStopped)
	require.EqualError(t, l.Run(t.Context()), "serve: Run: the learner has run already")
}

// feed gives the learner a whole batch and waits until it has been used.
func feed(t *testing.T, l *serve.Learner, x [][]float32, labels []int) {
	t.Helper()
	before := l.Stats()
	for i := range x {
		require.NoError(t, l.Learn(x[i], labels[i]))
	}
	until(t, func() bool {
		s := l.Stats()
		return s.Examples == before.Examples+uint64(len(x)) || s.Rollbacks > before.Rollbacks
	})
}

// TestLearnerIsTraining: the bits are those of a session's training steps.
func TestLearnerIsTraining(t *testing.T) {
	m := mlp(t, 2, 9, 3)
	twin, err := m.Clone()
	require.NoError(t, err)
	session, err := twin.NewSession(10)
	require.NoError(t, err)
	opt := adaFisher(t, twin)
	l, err := serve.NewLearner(predictor(t, m, serve.PredictorConfig{}), m, adaFisher(t, m),
		serve.LearnerConfig{Batch: 10, Wait: time.Hour, PublishSteps: 2})
	require.NoError(t, err)
	stop := running(t, l)
	sum := 0.0
	x, labels := blobs(70)
	for i := 0; i < len(x); i += 10 {
		feed(t, l, x[i:i+10], labels[i:i+10])
		var batch []float32
		for _, row := range x[i : i+10] {
			batch = append(batch, row...)
		}
		loss, err := session.TrainSoftmaxCrossEntropy(opt, batch, labels[i:i+10])
		require.NoError(t, err)
		sum += 10 * float64(loss)
	}
	stop()
	require.InDelta(t, sum, l.Stats().LossSum, 1e-9)
	require.Equal(t, values(twin), values(m))
}

func TestLearnerTargets(t *testing.T) {
	m := mlp(t, 1, 1)
	p := predictor(t, m, serve.PredictorConfig{})
	sgd, err := optim.NewSGD(m, optim.SGDConfig{LR: 0.2})
	require.NoError(t, err)
	l, err := serve.NewLearner(p, m, sgd, serve.LearnerConfig{
		Loss: serve.SquaredError, Batch: 4, Wait: time.Hour,
		Validation: serve.Validation{X: []float32{-3, 3}, Targets: []float32{-10, 8}},
	})
	require.NoError(t, err)
	stop := running(t, l)
	for range 100 {
		for x := float32(-1); x <= 2; x++ {
			for errors.Is(l.LearnTarget([]float32{x}, []float32{3*x - 1}), serve.ErrFull) {
				time.Sleep(time.Millisecond)
			}
		}
	}
	until(t, func() bool { return l.Stats().Examples == 400 })
	stop()
	dst := make([]float32, 1)
	_, err = p.Predict(dst, []float32{10})
	require.NoError(t, err)
	require.InDelta(t, 29, dst[0], 0.01)
	require.Less(t, l.Stats().ValidationLoss, 1e-4)
	require.Zero(t, l.Stats().ValidationAccuracy)
	require.EqualError(t, l.Learn([]float32{1}, 0), "serve: Learn: the learner wants targets: see LearnTarget")
	require.EqualError(t, l.LearnTarget([]float32{1}, []float32{nan}), "serve: LearnTarget: target 0 is NaN: want finite numbers")
	require.EqualError(t, l.LearnTarget([]float32{1}, nil), "serve: LearnTarget: a target of 0 numbers: want 1")
}

func TestExamplesAreRefusedAtTheDoor(t *testing.T) {
	m, err := nn.New(nn.Shape{3}, nn.Embedding(4, 5), nn.Linear(5, 6))
	require.NoError(t, err)
	l, err := serve.NewLearner(predictor(t, m, serve.PredictorConfig{}), m, adaFisher(t, m), serve.LearnerConfig{Queue: 40})
	require.NoError(t, err)
	good, labels := []float32{0, 3, 1}, []int{0, nn.Ignore, 5}
	for _, bad := range []struct {
		x      []float32
		labels []int
		want   string
	}{
		{good[:2], labels, "an input of 2 numbers: want 3"},
		{append(good, good...), labels, "an input of 6 numbers: want 3"},
		{nil, labels, "an input of 0 numbers: want 3"},
		{[]float32{0, nan, 1}, labels, "number 1 is NaN: want finite numbers"},
		{[]float32{0, 1, -inf}, labels, "number 2 is -Inf: want finite numbers"},
		{[]float32{0, 4, 1}, labels, "nn: CheckInput: token 1 is 4: want a whole number from 0 to 3"},
		{good, labels[:1], "1 labels: want 3"},
		{good, []int{0, 6, 0}, "label 1 is 6: want 0 to 5"},
		{good, []int{0, 0, -1}, "label 2 is -1: want 0 to 5"},
		{good, []int{nn.Ignore, nn.Ignore, nn.Ignore}, "all labels are Ignore"},
	} {
		require.EqualError(t, l.Learn(bad.x, bad.labels...), "serve: Learn: "+bad.want)
	}
	require.EqualError(t, l.LearnTarget(good, make([]float32, 18)), "serve: LearnTarget: the learner wants labels: see Learn")
	require.Equal(t, serve.Stats{Refused: 11}, l.Stats())

	// A caller may use its slices again.
	for range 32 {
		require.NoError(t, l.Learn(good, labels...))
	}
	clear(good)
	labels[0] = 99
	stop := running(t, l)
	until(t, func() bool { return l.Stats().Steps == 1 })
	stop()
	require.EqualValues(t, 64, l.Stats().Rows, "positions without a label don't count")
	require.Zero(t, l.Stats().Rollbacks)
}

func TestQueuePolicies(t *testing.T) {
	for _, drop := range []bool{false, true} {
		m := mlp(t, 1, 5)
		var log bytes.Buffer
		l, err := serve.NewLearner(predictor(t, m, serve.PredictorConfig{}), m, adaFisher(t, m),
			serve.LearnerConfig{Batch: 2, Queue: 3, DropOldest: drop, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		for i := range 5 {
			err := l.Learn([]float32{float32(i)}, i)
			if i < 3 || drop {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, serve.ErrFull)
			}
		}
		s := l.Stats()
		if drop {
			require.Equal(t, serve.Stats{Queued: 3, Dropped: 2}, s)
		} else {
			require.Equal(t, serve.Stats{Queued: 3, Full: 2}, s)
		}
		stop := running(t, l)
		until(t, func() bool { return l.Stats().Examples == 3 })
		stop()
		require.Zero(t, l.Stats().Queued)
		require.Empty(t, log.String())
	}
}

func TestPublishByTime(t *testing.T) {
	m := mlp(t, 2, 3)
	p := predictor(t, m, serve.PredictorConfig{})
	l, err := serve.NewLearner(p, m, adaFisher(t, m), serve.LearnerConfig{Wait: time.Millisecond, PublishEvery: 20 * time.Millisecond})
	require.NoError(t, err)
	stop := running(t, l)
	require.NoError(t, l.Learn([]float32{1, 2}, 0))
	until(t, func() bool { return p.Version() == 2 })
	time.Sleep(50 * time.Millisecond)
	require.EqualValues(t, 2, p.Version(), "without a step there is nothing to publish")
	stop()
	require.EqualValues(t, 2, p.Version())
}

// TestSave: every version is saved, at once or as soon as that is due, also where
// nothing comes after it; after an error again; and the last one at the end.
func TestSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mlp(t, 2, 3)
		type save struct {
			second  int
			version uint64
		}
		var saved []save
		var log bytes.Buffer
		begin := time.Now()
		at := func(second int) { time.Sleep(time.Duration(second)*time.Second - time.Since(begin)) }
		l, err := serve.NewLearner(predictor(t, m, serve.PredictorConfig{}), m, adaFisher(t, m), serve.LearnerConfig{
			Batch: 1, PublishSteps: 1,
			Save: func(c *checkpoint.Content) error {
				saved = append(saved, save{int(time.Since(begin).Seconds()), c.Uints["serve/version"]})
				if len(saved) == 4 {
					return errors.New("no room")
				}
				return nil
			},
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		require.NoError(t, err)
		stop := running(t, l)
		for _, second := range []int{1, 12, 13, 40, 41, 101, 102} {
			at(second)
			require.NoError(t, l.Learn([]float32{1, 2}, 0))
		}
		at(103)
		stop()
		require.Equal(t, []save{{10, 2}, {20, 4}, {40, 5}, {50, 6}, {60, 6}, {101, 7}, {103, 8}}, saved)
		require.Contains(t, log.String(), `level=ERROR msg="checkpoint not saved" error="no room"`)
	})
}

// An example that a model can't train on alone waits for another, also when a version
// is due.
func TestLearnerWaitsForPairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := nn.NewSequential(nn.Linear(2, 4), nn.BatchNorm(), nn.Linear(4, 3))
		require.NoError(t, err)
		l, err := serve.NewLearner(predictor(t, m, serve.PredictorConfig{}), m, adaFisher(t, m), serve.LearnerConfig{Batch: 4})
		require.NoError(t, err)
		stop := running(t, l)
		x, labels := blobs(8)
		learn := func(examples int, pause time.Duration, queued, steps int) {
			for i := range examples {
				require.NoError(t, l.Learn(x[i], labels[i]))
			}
			time.Sleep(pause)
			synctest.Wait()
			s := l.Stats()
			require.Equal(t, queued, s.Queued)
			require.EqualValues(t, steps, s.Steps)
			require.Zero(t, s.Rollbacks)
		}
		learn(1, time.Minute, 1, 0)
		learn(1, 200*time.Millisecond, 0, 1) // publishes
		learn(5, time.Minute, 1, 2)          // publishes a second after that, with one in the queue
		learn(2, time.Minute, 0, 3)
		stop()

		_, err = serve.NewLearner(predictor(t, m, serve.PredictorConfig{}), m, adaFisher(t, m), serve.LearnerConfig{Batch: 1})
		require.ErrorContains(t, err, "layer 1 (BatchNorm) takes moments over the rows: want at least 2")
	})
}

// A checkpoint has the values of the version that it names, also where a step since
// is not published when it is due.
func TestSavedIsTheVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mlp(t, 2, 3)
		p := predictor(t, m, serve.PredictorConfig{})
		served, err := m.Clone()
		require.NoError(t, err)
		var saved []uint64
		l, err := serve.NewLearner(p, m, adaFisher(t, m), serve.LearnerConfig{
			Batch: 1, PublishSteps: 2, PublishEvery: time.Hour, SaveEvery: time.Minute,
			Save: func(c *checkpoint.Content) error {
				saved = append(saved, c.Uints["serve/version"])
				version, err := p.CopyTo(served)
				require.NoError(t, err)
				require.Equal(t, version, c.Uints["serve/version"])
				for _, v := range served.Params() {
					require.Equal(t, bits(v.Value), bits(c.Vectors["model/"+v.Name]))
				}
				return nil
			},
		})
		require.NoError(t, err)
		stop := running(t, l)
		for range 3 {
			require.NoError(t, l.Learn([]float32{1, 2}, 0))
			synctest.Wait()
		}
		require.EqualValues(t, 2, p.Version())
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, []uint64{3}, saved)
		stop()
		require.Equal(t, []uint64{3}, saved)
	})
}

// A last version that can't be saved is an error of Run.
func TestLastSaveFails(t *testing.T) {
	m := mlp(t, 2, 3)
	l, err := serve.NewLearner(predictor(t, m, serve.PredictorConfig{}), m, adaFisher(t, m), serve.LearnerConfig{
		Batch: 1, Save: func(*checkpoint.Content) error { return errors.New("no room") },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	require.NoError(t, l.Learn([]float32{1, 2}, 0))
	until(t, func() bool { return l.Stats().Steps == 1 })
	cancel()
	require.EqualError(t, <-ended, "serve: Run: no room")
}

// meddler is an optimizer whose steps can be made to fail.
type meddler struct {
	serve.Optimizer
	meddle func(pass *kron.Pass) error // nil: the step is done
}

func (o *meddler) Step(pass *kron.Pass) error {
	if o.meddle != nil {
		if err := o.meddle(pass); err != nil {
			return err
		}
	}
	return o.Optimizer.Step(pass)
}

// TestRollback breaks the model in several ways, at a step after a published
// one. Each time the model and the optimizer must go on as if the steps since
// had not been.
func TestRollback(t *testing.T) {
	x, labels := blobs(80)
	batch := func(i int) ([][]float32, []int) { return x[10*i:][:10], labels[10*i:][:10] }
	for name, c := range map[string]struct {
		spoil      func(m *nn.Model) error
		validation bool
		reason     string
	}{
		"step":       {func(*nn.Model) error { return errors.New("no step") }, false, "no step"},
		"gradient":   {func(m *nn.Model) error { m.Params()[0].Value[1] = 3e38; return nil }, false, "is"},
		"value":      {func(m *nn.Model) error { m.Params()[5].Value[0] = inf; return nil }, false, ""},
		"loss":       {func(m *nn.Model) error { m.Params()[5].Value[0] = nan; return nil }, false, ""},
		"validation": {func(m *nn.Model) error { m.Params()[5].Value[0] = 1e4; return nil }, true, "the validation loss is "},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			var rollbacks []serve.Rollback
			run := func(spoilt bool) []uint32 {
				m, err := nn.NewSequential(nn.Linear(2, 9), nn.BatchNorm(), nn.ReLU(), nn.Linear(9, 3))
				require.NoError(t, err)
				p := predictor(t, m, serve.PredictorConfig{})
				opt := &meddler{Optimizer: adaFisher(t, m)}
				config := serve.LearnerConfig{
					Batch: 10, Wait: time.Hour, PublishSteps: 2, PublishEvery: time.Hour,
					OnRollback: func(r serve.Rollback) {
						opt.meddle = nil
						rollbacks = append(rollbacks, r)
					},
					Logger: slog.New(slog.NewTextHandler(&log, nil)),
				}
				if c.validation {
					config.Validation = serve.Validation{X: []float32{1, 0, -1, 1}, Labels: []int{0, 1}, MaxLoss: 5}
				}
				l, err := serve.NewLearner(p, m, opt, config)
				require.NoError(t, err)
				stop := running(t, l)
				good := func(i int) {
					x, labels := batch(i)
					feed(t, l, x, labels)
				}
				for i := range 4 {
					good(i)
				}
				until(t, func() bool { return p.Version() == 3 })
				if spoilt {
					good(6) // a step that is taken back
					opt.meddle = func(*kron.Pass) error { return c.spoil(m) }
					for i := 0; l.Stats().Rollbacks == 0; i++ {
						require.Less(t, i, 3, "the model is still thought good")
						good(7)
						if i == 0 && l.Stats().Rollbacks == 0 {
							until(t, func() bool { return l.Stats().Rollbacks+l.Stats().Steps >= 6 })
							time.Sleep(10 * time.Millisecond)
						}
					}
					require.EqualValues(t, 3, p.Version(), "what is served is the last good version")
				}
				good(4)
				good(5)
				until(t, func() bool { return p.Version() == 4 })
				stop()
				return append(values(m), stateBits(opt)...)
			}
			want := run(false)
			require.Empty(t, log.String())
			got := run(true)
			require.Equal(t, want, got)
			require.Len(t, rollbacks, 1)
			require.EqualValues(t, 3, rollbacks[0].Version)
			require.Positive(t, rollbacks[0].Steps)
			require.ErrorContains(t, rollbacks[0].Reason, c.reason)
			require.Contains(t, log.String(), "learner set back to its last good version")
		})
	}
}

func stateBits(opt serve.Optimizer) []uint32 {
	var s optim.State
	opt.SaveState(&s)
	b := []uint32{uint32(s.Counters["steps"])}
	for _, name := range []string{"0.weight/momentum", "3.bias/momentum", "0/H", "3/S"} {
		b = append(append(b, uint32(len(s.Vectors[name]))), bits(s.Vectors[name])...)
	}
	return b
}

func TestUntrainedModelMayBeginAboveTheLimit(t *testing.T) {
	m := mlp(t, 2, 9, 3)
	x, labels := blobs(300)
	l, err := serve.NewLearner(predictor(t, m, serve.PredictorConfig{}), m, adaFisher(t, m), serve.LearnerConfig{
		Batch: 10, PublishSteps: 1, Validation: serve.Validation{X: []float32{1, 0, -1, 1}, Labels: []int{0, 1}, MaxLoss: 1e-6},
	})
	require.NoError(t, err)
	stop := running(t, l)
	for i := range x {
		require.NoError(t, l.Learn(x[i], labels[i]))
	}
	until(t, func() bool { return l.Stats().Examples == 300 })
	stop()
	require.Greater(t, l.Stats().Published, uint64(5))
	require.Zero(t, l.Stats().Rollbacks)
	require.Less(t, l.Stats().ValidationLoss, 0.7)
}

// TestShare has steps of 20 ms, by a clock that runs while all sleep, and learners that
// may compute all the time, or for a quarter of it. They end in a rest, too.
func TestShare(t *testing.T) {
	for share, step := range map[float64]time.Duration{0: 20 * time.Millisecond, 1: 20 * time.Millisecond, 0.25: 80 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			m := mlp(t, 2, 3)
			var begun []time.Time
			l, err := serve.NewLearner(predictor(t, m, serve.PredictorConfig{}), m, adaFisher(t, m), serve.LearnerConfig{
				Share: share, Batch: 1, PublishSteps: 1,
				OnPublish: func(serve.Publication) {
					begun = append(begun, time.Now())
					time.Sleep(20 * time.Millisecond)
				},
			})
			require.NoError(t, err)
			for i := range 40 {
				require.NoError(t, l.Learn([]float32{1, 2}, i%3))
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- l.Run(ctx) }()
			time.Sleep(40*step - time.Millisecond)
			cancel()
			require.NoError(t, <-ended)
			require.Len(t, begun, 40)
			for i, at := range begun {
				require.Equal(t, time.Duration(i)*step, at.Sub(begun[0]))
			}
			if share == 0.25 {
				require.Equal(t, 40*step-time.Millisecond, time.Since(begun[0]), "no rest after the end")
			}
		})
	}
}

func TestLearnerErrors(t *testing.T) {
	m := mlp(t, 2, 3)
	p := predictor(t, m, serve.PredictorConfig{})
	opt := adaFisher(t, m)
	other := mlp(t, 2, 3)
	for want, f := range map[string]func() (*serve.Learner, error){
		"want a predictor, a model and an optimizer":          func() (*serve.Learner, error) { return serve.NewLearner(nil, m, opt, serve.LearnerConfig{}) },
		"nn: SetModel: the models are not of the same layers": func() (*serve.Learner, error) { return serve.NewLearner(p, mlp(t, 2, 4), opt, serve.LearnerConfig{}) },
		"the optimizer is of another model: 0.weight is not among its parameters": func() (*serve.Learner, error) {
			return serve.NewLearner(p, m, adaFisher(t, other), serve.LearnerConfig{})
		},
		"loss 7: want CrossEntropy (0) or SquaredError (1)": func() (*serve.Learner, error) { return serve.NewLearner(p, m, opt, serve.LearnerConfig{Loss: 7}) },
		"Batch is -1: want 0 or more":                       func() (*serve.Learner, error) { return serve.NewLearner(p, m, opt, serve.LearnerConfig{Batch: -1}) },
		"Wait is -1ns: want 0 or more":                      func() (*serve.Learner, error) { return serve.NewLearner(p, m, opt, serve.LearnerConfig{Wait: -1}) },
		"Queue is -2: want 0 or more":                       func() (*serve.Learner, error) { return serve.NewLearner(p, m, opt, serve.LearnerConfig{Queue: -2}) },
		"PublishSteps is -3: want 0 or more": func() (*serve.Learner, error) {
			return serve.NewLearner(p, m, opt, serve.LearnerConfig{PublishSteps: -3})
		},
		"PublishEvery is -1s: want 0 or more": func() (*serve.Learner, error) {
			return serve.NewLearner(p, m, opt, serve.LearnerConfig{PublishEvery: -time.Second})
		},
		"SaveEvery is -1s: want 0 or more": func() (*serve.Learner, error) {
			return serve.NewLearner(p, m, opt, serve.LearnerConfig{SaveEvery: -time.Second})
		},
		"Share is -0.1: want 0 to 1": func() (*serve.Learner, error) {
			return serve.NewLearner(p, m, opt, serve.LearnerConfig{Share: -0.1})
		},
		"Share is 2: want 0 to 1": func() (*serve.Learner, error) { return serve.NewLearner(p, m, opt, serve.LearnerConfig{Share: 2}) },
		"Share is NaN: want 0 to 1": func() (*serve.Learner, error) {
			return serve.NewLearner(p, m, opt, serve.LearnerConfig{Share: math.NaN()})
		},
		"queue of 5 examples for batches of 6: want as many at least": func() (*serve.Learner, error) {
			return serve.NewLearner(p, m, opt, serve.LearnerConfig{Batch: 6, Queue: 5})
		},
		"validation: nn: CheckInput: an input of 3 numbers is not rows of": func() (*serve.Learner, error) {
			return withValidation(p, m, opt, serve.Validation{X: []float32{1, 2, 3}})
		},
		fmt.Sprintf("a queue of %d examples needs more than %d bytes", math.MaxInt, min(16<<30, math.MaxInt/2)): func() (*serve.Learner, error) {
			return serve.NewLearner(p, m, opt, serve.LearnerConfig{Queue: math.MaxInt})
		},
		"validation: 0 labels for 1 examples: want 1": func() (*serve.Learner, error) { return withValidation(p, m, opt, serve.Validation{X: []float32{1, 2}}) },
		"validation: 1 labels for 2 examples: want 2": func() (*serve.Learner, error) {
			return withValidation(p, m, opt, serve.Validation{X: []float32{1, 2, 3, 4}, Labels: []int{0}})
		},
		"validation: targets of 3 numbers for 1 examples: want 0": func() (*serve.Learner, error) {
			return withValidation(p, m, opt, serve.Validation{X: []float32{1, 2}, Labels: []int{0}, Targets: []float32{0, 1, 0}})
		},
		"validation: 1 labels for 1 examples: want 0": func() (*serve.Learner, error) {
			return serve.NewLearner(p, m, opt, serve.LearnerConfig{Loss: serve.SquaredError, Validation: serve.Validation{X: []float32{1, 2}, Labels: []int{0}}})
		},
		"validation: targets of 2 numbers for 1 examples: want 3": func() (*serve.Learner, error) {
			return serve.NewLearner(p, m, opt, serve.LearnerConfig{Loss: serve.SquaredError, Validation: serve.Validation{X: []float32{1, 2}, Targets: []float32{0, 1}}})
		},
		"validation: labels, targets or MaxLoss, and no X": func() (*serve.Learner, error) {
			return withValidation(p, m, opt, serve.Validation{MaxLoss: 3})
		},
		"validation: example 1 of 2: label 0 is 3: want 0 to 2": func() (*serve.Learner, error) {
			return withValidation(p, m, opt, serve.Validation{X: []float32{1, 2, 3, 4}, Labels: []int{0, 3}})
		},
		"validation: MaxLoss is NaN: want a number of at least 0": func() (*serve.Learner, error) {
			return withValidation(p, m, opt, serve.Validation{X: []float32{1, 2}, Labels: []int{0}, MaxLoss: math.NaN()})
		},
	} {
		_, err := f()
		require.ErrorContains(t, err, "serve: NewLearner: "+want)
	}
	// The predictor is as it was.
	dst := make([]float32, 3)
	_, err := p.Predict(dst, []float32{1, 2})
	require.NoError(t, err)
	require.Equal(t, bits(outputs(t, m, []float32{1, 2})), bits(dst))
}

func withValidation(p *serve.Predictor, m *nn.Model, opt serve.Optimizer, v serve.Validation) (*serve.Learner, error) {
	return serve.NewLearner(p, m, opt, serve.LearnerConfig{Validation: v})
}
