package train

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// A Score is what counts on the test samples after an epoch.
type Score int

const (
	Accuracy   Score = iota // share of the labels with the largest score, in percent
	Perplexity              // exp of the mean cross entropy: as good as a guess among so many
)

// String returns the score's name.
func (s Score) String() string { return [...]string{"accuracy", "perplexity"}[s] }

// Of returns the score of an epoch.
func (s Score) Of(e Epoch) float64 {
	if s == Perplexity {
		return math.Exp(e.TestLoss)
	}
	return 100 * e.TestAccuracy
}

// An Epoch is what one epoch of one run gave.
type Epoch struct {
	TrainLoss     float64 // mean cross entropy, in nats, of each sample before the step that used it
	TestLoss      float64 // mean cross entropy after the epoch
	TestAccuracy  float64 // after the epoch, from 0 to 1
	Seconds       float64 // of training alone, without the test
	AllocsPerStep float64 // heap allocations of the whole process in a training step
}

// A Result is what one optimizer did, over all seeds.
type Result struct {
	Choice
	Runs  [][]Epoch // one a seed
	Model *nn.Model // of the last run

	// Curvature describes each layer's curvature at the end of the last run; it
	// is empty for optimizers without one.
	Curvature []optim.Report

	// StepMemory is the memory that training steps need, in bytes: of the weights,
	// their gradients, the optimizer's state, the activations and the batch. A step
	// allocates nothing beyond it.
	StepMemory uint64

	steps []time.Duration // of all runs
}

func (r *Result) add(run *run) {
	r.Runs = append(r.Runs, run.epochs)
	r.Model = run.model
	r.Curvature = run.curvature()
	r.StepMemory = run.memory
	r.steps = append(r.steps, run.steps...)
}

// Last returns the mean over the seeds of a quantity of the last epoch, and its
// sample standard deviation, 0 for one seed.
func (r Result) Last(of func(Epoch) float64) (mean, std float64) { return meanStd(r.last(of)) }

// TrainLoss returns the mean over the seeds of the last epoch's loss.
func (r Result) TrainLoss() float64 {
	mean, _ := meanStd(r.last(func(e Epoch) float64 { return e.TrainLoss }))
	return mean
}

func (r Result) last(of func(Epoch) float64) []float64 {
	values := make([]float64, len(r.Runs))
	for i, epochs := range r.Runs {
		values[i] = of(epochs[len(epochs)-1])
	}
	return values
}

// SecondsPerEpoch returns the mean time of an epoch.
func (r Result) SecondsPerEpoch() float64 {
	mean, _ := meanStd(r.epochs(func(e Epoch) float64 { return e.Seconds }))
	return mean
}

// AllocsPerStep returns the median of the epochs' allocations in a step. A mean
// would count the few that the Go runtime makes for itself, such as for a new
// thread: about one in a thousand steps.
func (r Result) AllocsPerStep() float64 {
	return median(r.epochs(func(e Epoch) float64 { return e.AllocsPerStep }))
}

// StepTime returns the median time of a training step: copying the batch,
// forward, loss, backward and the optimizer.
func (r Result) StepTime() time.Duration { return median(r.steps) }

func (r Result) epochs(of func(Epoch) float64) []float64 {
	var values []float64
	for _, run := range r.Runs {
		for _, e := range run {
			values = append(values, of(e))
		}
	}
	return values
}

func median[T cmp.Ordered](values []T) T {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

func meanStd(values []float64) (mean, std float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	if len(values) < 2 {
		return mean, 0
	}
	for _, v := range values {
		std += (v - mean) * (v - mean) / (n - 1)
	}
	return mean, math.Sqrt(std)
}
