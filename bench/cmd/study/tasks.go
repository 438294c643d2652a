package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/nn/data/digits"
	"github.com/adafisher-go/adafisher/nn/data/opticks"
	"github.com/adafisher-go/adafisher/nn/models"
)

// A metric is what counts on held-out samples.
type metric int

const (
	accuracy   metric = iota // share of the labels with the largest score, in percent
	perplexity               // exp of the mean cross entropy
)

func (m metric) String() string { return [...]string{"accuracy", "perplexity"}[m] }

// of returns the metric of a measurement.
func (m metric) of(s score) float64 {
	if m == perplexity {
		return math.Exp(s.Loss)
	}
	return 100 * s.Accuracy
}

// number writes a value of the metric.
func (m metric) number(v float64) string {
	if m == perplexity && v < 100 {
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// A task is a network, data, and a budget.
type task struct {
	name, title string
	about       string
	metric      metric
	batch       int
	steps       int // of Adam; the others get the same time
	seeds       int // of the final runs
	robust      bool

	// fresh says that nothing was chosen on the task: neither a default of Calibrated nor
	// which rules take part. rules are those that do, beside their untuned forms; all if
	// there are none.
	fresh bool
	rules []string

	network func() (*nn.Model, error)

	// load returns the data. Its error matches fs.ErrNotExist where a data set is not
	// installed.
	load func(dir string) (workload, error)
}

type workload struct{ train, validation, test data.Source }

// validationSeed draws the samples that are held back for validation.
const validationSeed = 1

var tasks = []task{
	{
		name: "digits", title: "Digits, MLP", metric: accuracy, batch: 64, steps: 600, seeds: 5, robust: true,
		about:   "MLP 64-128-64-10 on 8x8 digits: 1,257 to train on, 180 for validation, 360 for the test",
		network: func() (*nn.Model, error) { return models.MLP(64, 128, 64, 10) },
		load: func(string) (workload, error) {
			set, err := digits.Load("")
			if err != nil {
				return workload{}, err
			}
			rest, test, err := digits.Split(set, false)
			if err != nil {
				return workload{}, err
			}
			train, validation, err := rest.HoldOut(180, validationSeed)
			return workload{train, validation, test}, err
		},
	}, {
		name: "fashion-mlp", title: "Fashion-MNIST, MLP", metric: accuracy, batch: 128, steps: 1335, seeds: 3, robust: true,
		about: "MLP 784-512-256-10 on Fashion-MNIST, normalised: 57,000 to train on, 3,000 for validation, 10,000 for the test",
		network: func() (*nn.Model, error) {
			return nn.New(nn.Shape{28, 28, 1}, nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
		},
		load: fashion,
	}, {
		name: "opticks", title: "Opticks, transformer", metric: perplexity, batch: 16, steps: 1000, seeds: 3,
		about: "causal transformer of 2 blocks, width 96, 4 heads, on 64 characters of Newton's Opticks: the first nine tenths to train on, a twentieth each for validation and the test",
		network: func() (*nn.Model, error) {
			vocabulary, err := data.Characters(opticks.Text())
			if err != nil {
				return nil, err
			}
			return models.GPT(vocabulary.Len(), window, models.Transformer{Blocks: 2, Width: 96, Heads: 4})
		},
		load: characters,
	}, {
		name: "fashion-cnn", title: "Fashion-MNIST, CNN", metric: accuracy, batch: 128, steps: 890, seeds: 3,
		about: "3x3 convolutions to 16 and 32 channels, each with batch normalisation, ReLU and max pooling, and a linear layer, on Fashion-MNIST, normalised: split as for the MLP",
		network: func() (*nn.Model, error) {
			conv := func(in, out int) nn.Layer {
				return nn.Conv2d(in, out, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1)})
			}
			pool := nn.MaxPool2d(nn.Pooling{Kernel: nn.Square(2)})
			return nn.New(nn.Shape{28, 28, 1},
				conv(1, 16), nn.BatchNorm(), nn.ReLU(), pool,
				conv(16, 32), nn.BatchNorm(), nn.ReLU(), pool,
				nn.Flatten(), nn.Linear(7*7*32, 10))
		},
		load: fashion,
	}, {
		name: "fashion-vit", title: "Fashion-MNIST, ViT", metric: accuracy, batch: 64, steps: 400, seeds: 3, fresh: true, rules: freshRules,
		about: "vision transformer of 2 blocks, width 64, 4 heads, on 16 patches of 7x7, on Fashion-MNIST, normalised: split as for the MLP",
		network: func() (*nn.Model, error) {
			return models.ViT(nn.Shape{28, 28, 1}, 7, 10, models.Transformer{Blocks: 2, Width: 64, Heads: 4})
		},
		load: fashion,
	}, {
		name: "fashion-resnet", title: "Fashion-MNIST, ResNet", metric: accuracy, batch: 64, steps: 400, seeds: 3, fresh: true, rules: freshRules,
		about:   "3x3 convolution to 16 channels with stride 2, residual blocks of two 3x3 convolutions to 16 and, with stride 2, to 32 channels, each with batch normalisation, the mean over the image and a linear layer, on Fashion-MNIST, normalised: split as for the MLP",
		network: residual,
		load:    fashion,
	},
}

// freshRules take part in the tasks on which nothing was chosen: what AdaFisher
// calibrated has to be compared with.
var freshRules = []string{nesterov, adamW, muon, calibrated}

// residual returns a small network of the kind of models.ResNet20.
func residual() (*nn.Model, error) {
	conv := func(in, out, kernel, stride int) nn.Layer {
		c := nn.Conv{Kernel: nn.Square(kernel), Stride: nn.Square(stride), Padding: nn.Square(kernel / 2), NoBias: true}
		return nn.Sequential(nn.Conv2d(in, out, c), nn.BatchNorm())
	}
	body := func(in, out, stride int) []nn.Layer {
		return []nn.Layer{conv(in, out, 3, stride), nn.ReLU(), conv(out, out, 3, 1)}
	}
	return nn.New(nn.Shape{28, 28, 1},
		conv(1, 16, 3, 2), nn.ReLU(),
		nn.Residual(body(16, 16, 1)...), nn.ReLU(),
		nn.ResidualVia(conv(16, 32, 1, 2), body(16, 32, 2)...), nn.ReLU(),
		nn.Mean(), nn.Linear(32, 10))
}

func fashion(dir string) (workload, error) {
	all, test, err := data.FashionMNIST(dir)
	if err != nil {
		return workload{}, err
	}
	train, validation, err := all.HoldOut(3000, validationSeed)
	if err != nil {
		return workload{}, err
	}
	mean, std := train.MeanStd()
	var w workload
	for to, images := range map[*data.Source]*data.Images{&w.train: train, &w.validation: validation, &w.test: test} {
		normalised, err := images.Transform(0, data.Normalize{Mean: mean, Std: std})
		if err != nil {
			return workload{}, err
		}
		*to = normalised
	}
	return w, nil
}

// window is how many characters the transformer sees.
const window = 64

func characters(string) (workload, error) {
	text := opticks.Text()
	vocabulary, err := data.Characters(text)
	if err != nil {
		return workload{}, err
	}
	tokens, err := vocabulary.Encode(text)
	if err != nil {
		return workload{}, err
	}
	tokens, held, err := data.Split(tokens, 0.1)
	if err != nil {
		return workload{}, err
	}
	first, second, err := data.Split(held, 0.5)
	if err != nil {
		return workload{}, err
	}
	var w workload
	if w.train, err = data.NewRandomWindows(tokens, window, 1); err != nil {
		return workload{}, err
	}
	if w.validation, err = data.NewWindows(first, window); err != nil {
		return workload{}, err
	}
	w.test, err = data.NewWindows(second, window)
	return w, err
}

func taskNamed(name string) (task, error) {
	i := slices.IndexFunc(tasks, func(t task) bool { return t.name == name })
	if i < 0 {
		return task{}, fmt.Errorf("unknown task %q; -list names them", name)
	}
	return tasks[i], nil
}
