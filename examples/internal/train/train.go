// Package train trains one network with several optimizers, from the same start
// and on the same batches, and measures what each of them does: the part that
// the example programs share.
package train

import (
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/optim"
)

// Config says what to compare.
type Config struct {
	Network     func() (*nn.Model, error)
	Train, Test data.Source
	Choices     []Choice
	Epochs      int
	Batch       int
	Seed        uint64 // of the first run: initial weights and order of the batches
	Seeds       int    // runs for each choice, with Seed, Seed+1, ..
	Schedule    Schedule

	Pool *kernels.Pool // splits large matrix products; nil for one goroutine
}

// A Schedule is how the learning rate changes over a run.
type Schedule string

const (
	Constant Schedule = "constant"
	Cosine   Schedule = "cosine" // rises for a twentieth of the steps, then falls to 0
)

// Schedules returns the names of all schedules.
func Schedules() []string { return []string{string(Constant), string(Cosine)} }

func (s Schedule) over(lr float64, steps int) (optim.Schedule, error) {
	if s != Cosine {
		return optim.Constant(lr)
	}
	warm := int64(max(steps/20, 1))
	fall, err := optim.Cosine(lr, 0, max(int64(steps)-warm, 1))
	if err != nil {
		return nil, err
	}
	return optim.Warmup(warm, fall)
}

// Compare trains the network with each choice and seed, and returns one result
// a choice. It calls progress after each epoch of a run; there are
// len(Choices)*Epochs*Seeds of them.
//
// The choices take turns epoch by epoch, so that whatever else the machine does
// falls on all of them. An error stops everything; a run that diverges gives
// one that names the optimizer, its learning rate and the epoch.
func Compare(c Config, progress func()) ([]Result, error) {
	results := make([]Result, len(c.Choices))
	for i, choice := range c.Choices {
		results[i].Choice = choice
	}
	runs := make([]*run, len(c.Choices))
	for s := range c.Seeds {
		for i, choice := range c.Choices {
			r, err := newRun(c, choice, c.Seed+uint64(s))
			if err != nil {
				return nil, err
			}
			runs[i] = r
		}
		for epoch := range c.Epochs {
			for i, r := range runs {
				if err := r.epoch(epoch); err != nil {
					return nil, fmt.Errorf("%s with learning rate %v stopped in epoch %d: %w",
						c.Choices[i].Optimizer, c.Choices[i].LR, epoch+1, err)
				}
				progress()
			}
		}
		for i, r := range runs {
			results[i].add(r)
		}
	}
	return results, nil
}

// Steps does n training steps on batches of the source, epoch by epoch, in the
// order that the seed draws.
func Steps(m *nn.Model, opt optim.Optimizer, source data.Source, batch, n int, seed uint64, pool *kernels.Pool) error {
	l, err := newLoop(m, opt, source, batch, seed, pool)
	if err != nil {
		return err
	}
	for i := range n {
		if _, _, err := l.step(i/l.batches.Len(), i%l.batches.Len()); err != nil {
			return err
		}
	}
	return nil
}

// loop feeds a model and its optimizer with batches.
type loop struct {
	model     *nn.Model
	optimizer optim.Optimizer
	session   *nn.Session
	batches   *data.Loader
}

func newLoop(m *nn.Model, opt optim.Optimizer, source data.Source, batch int, seed uint64, pool *kernels.Pool) (loop, error) {
	session, err := m.NewSession(batch)
	if err != nil {
		return loop{}, err
	}
	session.SetPool(pool)
	opt.SetPool(pool)
	session.SetRandom(seed, 0)
	batches, err := data.NewLoader(source, batch, seed)
	return loop{m, opt, session, batches}, err
}

// step trains on one batch and returns its number of samples, and its loss before
// the step.
func (l *loop) step(epoch, batch int) (samples int, loss float32, err error) {
	x, labels, err := l.batches.Batch(epoch, batch)
	if err != nil {
		return 0, 0, err
	}
	loss, err = l.session.TrainSoftmaxCrossEntropy(l.optimizer, x, labels)
	return len(x) / l.model.In(), loss, err
}

// run is the training of one model, with its test and its measurements.
type run struct {
	loop
	test      *data.Loader
	predictor *nn.Predictor
	spare     []float32 // a row of scores
	rate      optim.Schedule

	memory uint64 // of a step, in bytes
	epochs []Epoch
	steps  []time.Duration
}

func newRun(c Config, choice Choice, seed uint64) (*run, error) {
	before := heapInUse()
	model, err := c.Network()
	if err != nil {
		return nil, err
	}
	model.Init(seed)
	opt, err := choice.New(model)
	if err != nil {
		return nil, err
	}
	l, err := newLoop(model, opt, c.Train, c.Batch, seed, c.Pool)
	if err != nil {
		return nil, err
	}
	memory := heapInUse() - before
	test, err := data.NewLoader(c.Test, c.Batch, 0)
	if err != nil {
		return nil, err
	}
	predictor, err := model.NewPredictor(c.Batch)
	if err != nil {
		return nil, err
	}
	rate, err := c.Schedule.over(choice.LR, c.Epochs*l.batches.Len())
	if err != nil {
		return nil, err
	}
	return &run{
		loop:      l,
		rate:      rate,
		test:      test,
		predictor: predictor,
		memory:    memory,
		spare:     make([]float32, model.OutputShape().Features()),
		epochs:    make([]Epoch, 0, c.Epochs),
		steps:     make([]time.Duration, 0, c.Epochs*l.batches.Len()),
	}, nil
}

// heapInUse returns the bytes of the heap that something refers to.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// epoch trains on all batches once, and tests.
func (r *run) epoch(epoch int) error {
	var before, after runtime.MemStats
	sum, samples, done := 0.0, 0, len(r.steps)
	runtime.ReadMemStats(&before)
	start := time.Now()
	for batch := range r.batches.Len() {
		stepStart := time.Now()
		if err := r.optimizer.SetLR(r.rate(int64(len(r.steps)))); err != nil {
			return err
		}
		n, loss, err := r.step(epoch, batch)
		if err != nil {
			return err
		}
		r.steps = append(r.steps, time.Since(stepStart))
		sum += float64(float64(loss) * float64(n))
		samples += n
	}
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	loss, accuracy, err := r.measure()
	if err != nil {
		return err
	}
	r.epochs = append(r.epochs, Epoch{
		TrainLoss:     sum / float64(samples),
		TestLoss:      loss,
		TestAccuracy:  accuracy,
		Seconds:       elapsed.Seconds(),
		AllocsPerStep: float64(after.Mallocs-before.Mallocs) / float64(len(r.steps)-done),
	})
	return nil
}

// measure returns the mean cross entropy of the test samples' labels, and the
// share of the labels that have the largest score.
func (r *run) measure() (loss, accuracy float64, err error) {
	labels, right := 0, 0
	for batch := range r.test.Len() {
		x, want, err := r.test.Batch(0, batch)
		if err != nil {
			return 0, 0, err
		}
		scores, err := r.predictor.Predict(x)
		if err != nil {
			return 0, 0, err
		}
		classes := len(r.spare)
		for i, label := range want {
			row := scores[i*classes:][:classes]
			loss += float64(kernels.SoftmaxCrossEntropy(r.spare, row, label, 1))
			if kernels.ArgMax(row) == label {
				right++
			}
		}
		labels += len(want)
	}
	if loss /= float64(labels); math.IsNaN(loss) {
		return 0, 0, fmt.Errorf("the test loss is not a number")
	}
	return loss, float64(right) / float64(labels), nil
}

// curvature describes the layers' curvature where the optimizer has one.
func (r *run) curvature() []optim.Report {
	if o, ok := r.optimizer.(interface{ Reports() []optim.Report }); ok {
		return o.Reports()
	}
	return nil
}
