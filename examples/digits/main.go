// Digits trains a network to read handwritten digits, with AdaFisher, AdamW and
// SGD side by side: the same network, the same initial weights, the same
// batches. It prints a loss curve and a table, and draws a picture.
//
//	go run ./examples/digits
//	go run ./examples/digits -seeds 5
//	go run ./examples/digits -optimizer calibrated,muon,adamw
//	go run ./examples/digits -optimizer adafisher,adafisherw -variant paper-ema -plot paper.png
//	go run ./examples/digits -json
//	go run ./examples/digits -digest
//
// The images are in the program; nn/data/digits/DATA.md says where they come
// from. A fifth of them, 360, is held back for the test by a draw that is always
// the same. The defaults were chosen with -validate, without those.
package main

import (
	"slices"
	"strconv"

	"github.com/adafisher-go/adafisher/examples/internal/cli"
	"github.com/adafisher-go/adafisher/examples/internal/program"
	"github.com/adafisher-go/adafisher/examples/internal/train"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data/digits"
	"github.com/adafisher-go/adafisher/nn/models"
	"github.com/adafisher-go/adafisher/optim"
)

func main() { describe().Main() }

func describe() program.Program {
	var hidden *[]int
	return program.Program{
		Name: "digits",
		About: `digits trains a network to read handwritten digits, with several optimizers side
by side: the same network, the same initial weights, the same batches.`,
		Goal:       "Teaching a small neural network to read handwritten digits (8x8 pixels)",
		Optimizers: []string{"AdaFisher", "AdamW", "SGD"},
		Epochs:     30,
		Batch:      64,
		Workers:    1,
		Schedule:   train.Constant,
		Data:       "CSV `file` of other images in place of the embedded ones, compressed if it ends in .gz: 64 pixels from 0 to 16 and the digit a line",

		// The default of 100 is over four epochs here.
		TCov:         10,
		LearningRate: learningRate,
		Define: func(f *cli.Flags) {
			hidden = f.Ints("hidden", []int{128, 64}, 6, 1, 2048, "`widths` of the hidden layers")
		},
		Load:   func(file string, validate bool) (program.Task, error) { return load(file, validate, *hidden) },
		Digest: digestOf,
	}
}

// learningRate returns the learning rate of an optimizer where -lr doesn't say:
// of 1, 2 and 5 times the powers of ten the smallest whose accuracy with
// -validate -seeds 5 is within a standard deviation of the best one's. Calibrated
// has its default, which is for all networks.
func learningRate(optimizer string, variant kron.Variant) float64 {
	switch optimizer {
	case "Calibrated":
		return optim.CalibratedDefaults().LR
	case "SGD":
		return 0.1
	case "Adam", "AdamW", "RMSprop", "Muon":
		return 2e-3
	case "Adagrad":
		return 2e-2
	case "Lion":
		return 5e-4
	}
	switch variant {
	case kron.Paper:
		return 5e-3
	case kron.PaperEMA:
		return 1e-2
	default:
		return 1e-3
	}
}

func load(file string, validate bool, hidden []int) (program.Task, error) {
	set, err := digits.Load(file)
	if err != nil {
		return program.Task{}, err
	}
	rest, held, err := digits.Split(set, validate)
	if err != nil {
		return program.Task{}, err
	}
	widths := strconv.Itoa(set.Features)
	for _, n := range hidden {
		widths += "-" + strconv.Itoa(n)
	}
	return program.Task{
		Network: func() (*nn.Model, error) {
			return models.MLP(slices.Concat([]int{set.Features}, hidden, []int{set.Classes})...)
		},
		Layers:  widths + "-" + strconv.Itoa(set.Classes) + " units",
		Train:   rest,
		Test:    held,
		Samples: "images",
		Score:   train.Accuracy,
	}, nil
}
