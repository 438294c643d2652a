// Package train trains one network with several optimizers, from the same start
// and on the same batches, and measures what each of them does: the part that
// the example programs share.
package train

import (
	"fmt"
	"runtime"
	"time"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// Config says what to compare.
type Config struct {
	Train, Test Set
	Hidden      []int // widths of the hidden layers
	Choices     []Choice
	Epochs      int
	Batch       int
	Seed        uint64 // of the first run: initial weights and order of the batches
	Seeds       int    // runs for each choice, with Seed, Seed+1, ..

	Pool *kernels.Pool // splits large matrix products; nil for one goroutine
}

// Network returns the multilayer perceptron with the given widths of hidden
// layers, a ReLU after each.
func Network(features int, hidden []int, classes int) (*nn.Model, error) {
	var layers []nn.Layer
	for _, width := range hidden {
		layers = append(layers, nn.Linear(features, width), nn.ReLU())
		features = width
	}
	return nn.NewSequential(append(layers, nn.Linear(features, classes))...)
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

// Steps does n training steps on batches of the set, epoch by epoch, in the
// order that the seed draws.
func Steps(m *nn.Model, opt optim.Optimizer, set Set, batch, n int, seed uint64, pool *kernels.Pool) error {
	l, err := newLoop(m, opt, set, batch, seed, pool)
	if err != nil {
		return err
	}
	for epoch := 0; ; epoch++ {
		for indices := range l.batches.Epoch(epoch) {
			if n == 0 {
				return nil
			}
			if _, err := l.step(indices); err != nil {
				return err
			}
			n--
		}
	}
}

// loop feeds a model and its optimizer with batches.
type loop struct {
	set       Set
	optimizer optim.Optimizer
	session   *nn.Session
	batches   *nn.Batches
	x         []float32 // the batch
	labels    []int
}

func newLoop(m *nn.Model, opt optim.Optimizer, set Set, batch int, seed uint64, pool *kernels.Pool) (loop, error) {
	session, err := m.NewSession(batch)
	if err != nil {
		return loop{}, err
	}
	session.SetPool(pool)
	batches, err := nn.NewBatches(set.Len(), batch, seed)
	if err != nil {
		return loop{}, err
	}
	return loop{set, opt, session, batches, make([]float32, batch*set.Features), make([]int, batch)}, nil
}

// step trains on one batch and returns its loss before the step.
func (l *loop) step(indices []int) (float32, error) {
	x, labels := l.x[:len(indices)*l.set.Features], l.labels[:len(indices)]
	l.set.gather(x, labels, indices)
	return l.session.TrainSoftmaxCrossEntropy(l.optimizer, x, labels)
}

// run is the training of one model, with its test and its measurements.
type run struct {
	loop
	test      Set
	predictor *nn.Predictor
	classes   []int // predicted for test

	epochs []Epoch
	steps  []time.Duration
}

func newRun(c Config, choice Choice, seed uint64) (*run, error) {
	model, err := Network(c.Train.Features, c.Hidden, c.Train.Classes)
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
	predictor, err := model.NewPredictor(c.Batch)
	if err != nil {
		return nil, err
	}
	return &run{
		loop:      l,
		test:      c.Test,
		predictor: predictor,
		classes:   make([]int, c.Test.Len()),
		epochs:    make([]Epoch, 0, c.Epochs),
		steps:     make([]time.Duration, 0, c.Epochs*((c.Train.Len()+c.Batch-1)/c.Batch)),
	}, nil
}

// epoch trains on all batches once, and tests.
func (r *run) epoch(epoch int) error {
	var before, after runtime.MemStats
	sum, done := 0.0, len(r.steps)
	runtime.ReadMemStats(&before)
	start := time.Now()
	for indices := range r.batches.Epoch(epoch) {
		stepStart := time.Now()
		loss, err := r.step(indices)
		if err != nil {
			return err
		}
		r.steps = append(r.steps, time.Since(stepStart))
		sum += float64(float64(loss) * float64(len(indices)))
	}
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)

	accuracy, err := r.accuracy()
	if err != nil {
		return err
	}
	r.epochs = append(r.epochs, Epoch{
		TrainLoss:     sum / float64(r.set.Len()),
		TestAccuracy:  accuracy,
		Seconds:       elapsed.Seconds(),
		AllocsPerStep: float64(after.Mallocs-before.Mallocs) / float64(len(r.steps)-done),
	})
	return nil
}

// accuracy returns the share of the test samples that the model gets right.
func (r *run) accuracy() (float64, error) {
	if err := r.predictor.Classify(r.classes, r.test.X); err != nil {
		return 0, err
	}
	right := 0
	for i, class := range r.classes {
		if class == r.test.Labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(r.classes)), nil
}

// curvature describes the layers' curvature where the optimizer has one.
func (r *run) curvature() []kron.Report {
	if o, ok := r.optimizer.(*optim.AdaFisher); ok {
		return o.Reports()
	}
	return nil
}
