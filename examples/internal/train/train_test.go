package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/nn/models"
)

// newSet returns samples of two features whose class is the quadrant that they
// lie in.
func newSet(n int) data.Samples {
	r := rand.New(rand.NewPCG(1, 2))
	s := data.Samples{Features: 2, Classes: 4}
	for range n {
		x, y := 2*r.Float32()-1, 2*r.Float32()-1
		label := 0
		if x > 0 {
			label = 1
		}
		if y > 0 {
			label += 2
		}
		s.X = append(s.X, x, y)
		s.Labels = append(s.Labels, label)
	}
	return s
}

func newConfig() Config {
	return Config{
		Train:   newSet(90),
		Test:    newSet(40),
		Network: func() (*nn.Model, error) { return models.MLP(2, 16, 4) },
		Choices: []Choice{
			{Optimizer: "AdaFisher", LR: 1e-3, TCov: 2},
			{Optimizer: "AdaFisherW", LR: 1e-2, Variant: kron.Paper, TCov: 2},
			{Optimizer: "Calibrated", LR: 5e-3},
			{Optimizer: "SGD", LR: 0.1},
			{Optimizer: "Adam", LR: 1e-2},
			{Optimizer: "AdamW", LR: 1e-2},
			{Optimizer: "Adagrad", LR: 0.1},
			{Optimizer: "RMSprop", LR: 1e-2},
			{Optimizer: "Lion", LR: 1e-2},
			{Optimizer: "Muon", LR: 1e-2},
		},
		Epochs: 3,
		Batch:  20,
		Seed:   5,
		Seeds:  2,
	}
}

func nothing() {}

func TestChoice(t *testing.T) {
	model, err := models.MLP(2, 3, 4)
	require.NoError(t, err)
	for _, name := range Optimizers() {
		c := Choice{Optimizer: name, LR: 0.5, Variant: kron.Paper, TCov: 1}
		variant := ""
		if name == "AdaFisher" || name == "AdaFisherW" {
			variant = "paper"
		}
		require.Equal(t, variant, c.VariantName())
		opt, err := c.New(model)
		require.NoError(t, err)
		require.Equal(t, name, opt.Name())
		require.Equal(t, 0.5, opt.LR())

		c.LR = -1
		_, err = c.New(model)
		require.ErrorContains(t, err, "LR is -1")
	}
	_, err = Choice{Optimizer: "Newton"}.New(model)
	require.EqualError(t, err, `train: unknown optimizer "Newton": want one of AdaFisher, AdaFisherW, Calibrated, SGD, Adam, AdamW, Adagrad, RMSprop, Lion, Muon`)
}

func TestCompareLearns(t *testing.T) {
	c := newConfig()
	c.Epochs = 30
	calls := 0
	results, err := Compare(c, func() { calls++ })
	require.NoError(t, err)
	require.Len(t, results, len(Optimizers()), "all of them")
	require.Equal(t, len(results)*30*2, calls)
	for i, r := range results {
		require.Equal(t, c.Choices[i], r.Choice)
		require.Len(t, r.Runs, 2)
		require.Len(t, r.Runs[0], 30)
		require.NotEqual(t, r.Runs[0][0].TrainLoss, r.Runs[1][0].TrainLoss, "another seed")
		require.Less(t, r.TrainLoss(), r.Runs[0][0].TrainLoss)
		accuracy, _ := r.Last(Accuracy.Of)
		require.Greater(t, accuracy, 80.0, r.Optimizer)
		require.Positive(t, r.SecondsPerEpoch())
		require.Positive(t, r.StepTime())
		require.Equal(t, i < 3, len(r.Curvature) == 2, r.Optimizer)
	}
}

// The choices don't influence each other, nor does the level the numbers.
func TestCompareRepeats(t *testing.T) {
	c := newConfig()
	want := numbers(t, c)
	all := c.Choices
	for i := range all {
		c.Choices = all[i : i+1]
		require.Equal(t, want[i], numbers(t, c)[0])
	}
	c.Choices = all
	defer restoreLevel(t, kernels.CurrentLevel())
	for _, level := range kernels.Levels() {
		require.NoError(t, kernels.SetLevel(level))
		require.Equal(t, want, numbers(t, c), level)
	}
}

func restoreLevel(t *testing.T, l kernels.Level) { require.NoError(t, kernels.SetLevel(l)) }

// numbers returns losses and accuracies of all epochs.
func numbers(t *testing.T, c Config) [][]float64 {
	results, err := Compare(c, nothing)
	require.NoError(t, err)
	all := make([][]float64, len(results))
	for i, r := range results {
		all[i] = append(r.epochs(func(e Epoch) float64 { return e.TrainLoss }),
			r.epochs(func(e Epoch) float64 { return e.TestAccuracy })...)
	}
	return all
}

func TestCompareErrors(t *testing.T) {
	c := newConfig()
	c.Train.(data.Samples).X[7] = float32(math.NaN())
	_, err := Compare(c, nothing)
	require.ErrorContains(t, err, "AdaFisher with learning rate 0.001 stopped in epoch 1: optim: AdaFisher: gradient of 0.weight")

	for want, spoil := range map[string]func(*Config){
		"nn: layer 0 (Linear)": func(c *Config) { c.Network = func() (*nn.Model, error) { return models.MLP(2, 0, 4) } },
		"nn: NewSession":       func(c *Config) { c.Batch = 0 },
		"optim: SGD: LR is -1": func(c *Config) { c.Choices[3].LR = -1 },
	} {
		c := newConfig()
		spoil(&c)
		_, err := Compare(c, nothing)
		require.ErrorContains(t, err, want)
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	c := newConfig()
	for _, choice := range c.Choices {
		choice.TCov = 1 // statistics in every step
		r, err := newRun(c, choice, 1)
		require.NoError(t, err)
		require.Zero(t, testing.AllocsPerRun(20, func() {
			if _, _, err := r.step(0, 1); err != nil {
				t.Error(err)
			}
		}), choice.Optimizer)
	}
}

func TestSteps(t *testing.T) {
	values := func(n int) []float32 {
		model, err := models.MLP(2, 3, 4)
		require.NoError(t, err)
		opt, err := Choice{Optimizer: "SGD", LR: 0.1}.New(model)
		require.NoError(t, err)
		require.NoError(t, Steps(model, opt, newSet(50), 20, n, 1, nil))
		require.Equal(t, int64(n), opt.State().Counters["steps"])
		return slices.Clone(model.Params()[0].Value)
	}
	require.NotEqual(t, values(0), values(1))
	require.NotEqual(t, values(3), values(4), "a second epoch")
	require.Equal(t, values(4), values(4))
}

func TestResult(t *testing.T) {
	r := Result{
		Runs: [][]Epoch{
			{{TrainLoss: 3, TestAccuracy: 0.1, Seconds: 1, AllocsPerStep: 9}, {TrainLoss: 1, TestAccuracy: 0.5, Seconds: 2}},
			{{TrainLoss: 4, TestAccuracy: 0.2, Seconds: 3}, {TrainLoss: 2, TestAccuracy: 1, Seconds: 6}},
		},
	}
	mean, std := r.Last(Accuracy.Of)
	require.Equal(t, 75.0, mean)
	require.InDelta(t, math.Sqrt(1250), std, 1e-12)
	require.Equal(t, 1.5, r.TrainLoss())
	require.Equal(t, 3.0, r.SecondsPerEpoch())
	require.Zero(t, r.AllocsPerStep())

	r.Runs = r.Runs[:1]
	mean, std = r.Last(Accuracy.Of)
	require.Equal(t, 50.0, mean)
	require.Zero(t, std)
}
