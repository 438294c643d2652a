package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/adafisher-go/adafisher/examples/internal/cli"
	"github.com/adafisher-go/adafisher/examples/internal/report"
	"github.com/adafisher-go/adafisher/examples/internal/train"
	"github.com/adafisher-go/adafisher/kron"
)

// options are what the flags say.
type options struct {
	flags      *cli.Flags
	optimizers []string
	variant    kron.Variant
	epochs     int
	batch      int
	lr         float64 // 0: the optimizer's own
	hidden     []int
	seed       uint64
	seeds      int
	workers    int
	data       string // "": the embedded images
	validate   bool
	plot       string
	json       bool
	digest     bool
}

const about = `digits trains a network to read handwritten digits, with several optimizers side
by side: the same network, the same initial weights, the same batches.`

// tcov is how often AdaFisher updates its statistics, in steps. Its default of
// 100 is over four epochs here.
const tcov = 10

// learningRate returns the learning rate of an optimizer where -lr doesn't say:
// of 1, 2 and 5 times the powers of ten the smallest whose accuracy with
// -validate -seeds 5 is within a standard deviation of the best one's.
func learningRate(optimizer string, variant kron.Variant) float64 {
	switch optimizer {
	case "SGD":
		return 0.1
	case "Adam", "AdamW":
		return 2e-3
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

// learningRates lists the learning rates for the usage.
func learningRates() string {
	var list []string
	for _, name := range train.Optimizers() {
		list = append(list, fmt.Sprintf("%s %g", name, learningRate(name, kron.Published)))
	}
	return strings.Join(list, ", ")
}

var variants = []string{kron.Published.String(), kron.Paper.String(), kron.PaperEMA.String()}

// parseOptions reads the flags. Its flags are there on an error too.
func parseOptions(args []string) (*options, error) {
	f := cli.New("digits", about)
	o := &options{flags: f}
	optimizers := f.Names("optimizer", []string{"AdaFisher", "AdamW", "SGD"}, train.Optimizers(), "`names` of the optimizers to compare")
	variant := f.Name("variant", kron.Published.String(), variants, "`name` of the way AdaFisher averages its statistics")
	epochs := f.Int("epochs", 30, 1, 10_000, "`number` of passes over the images")
	batch := f.Int("batch", 64, 1, 100_000, "`number` of images in a training step, at most as many as there are")
	lr := f.Positive("lr", 1000, "learning `rate` of all optimizers, in place of each one's own ("+learningRates()+")")
	hidden := f.Ints("hidden", []int{128, 64}, 6, 1, 2048, "`widths` of the hidden layers")
	seed := f.Uint64("seed", 1, "`seed` of the initial weights and of the order of the images")
	seeds := f.Int("seeds", 1, 1, 100, "`number` of runs, with seeds from -seed on; results are mean and standard deviation")
	workers := f.Int("workers", 1, 1, 64, "`number` of goroutines that share large matrix products; results don't depend on it")
	data := f.String("data", "", "CSV `file` of other images in place of the embedded ones, compressed if it ends in .gz: 64 pixels from 0 to 16 and the digit a line")
	validate := f.Bool("validate", "leave the test images out, and hold back an eighth of the others to choose settings by")
	plot := f.File("plot", "digits.svg", report.PlotEndings, "picture `file` for loss and accuracy; with -json there is none unless it is given")
	json := f.Bool("json", "print one JSON object a line for each optimizer, and nothing else")
	digest := f.Bool("digest", "print the level in use and the SHA-256 of the weights after a short fixed run, and nothing else; of the other flags only -workers matters, and not to the result")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	v, err := kron.ParseVariant(*variant)
	if err != nil {
		return o, err
	}
	*o = options{f, *optimizers, v, *epochs, *batch, *lr, *hidden, *seed, *seeds, *workers, *data, *validate, *plot, *json, *digest}
	if dir, err := os.Stat(filepath.Dir(o.plot)); err != nil || !dir.IsDir() {
		return o, f.Invalid("plot", "a file in a directory that exists")
	}
	return o, nil
}

// heldOut names what the accuracy is measured on.
func (o *options) heldOut() string {
	if o.validate {
		return "validation"
	}
	return "test"
}

// config loads the images and puts together what to compare.
func (o *options) config() (train.Config, error) {
	set, err := loadDigits(o.data)
	if err != nil {
		return train.Config{}, err
	}
	c := train.Config{Hidden: o.hidden, Epochs: o.epochs, Batch: o.batch, Seed: o.seed, Seeds: o.seeds}
	if c.Train, c.Test, err = split(set, o.validate); err != nil {
		return train.Config{}, err
	}
	if o.batch > c.Train.Len() {
		return train.Config{}, o.flags.Invalid("batch", fmt.Sprintf("an integer from 1 to %d, the images to train on", c.Train.Len()))
	}
	for _, name := range o.optimizers {
		choice := train.Choice{Optimizer: name, LR: o.lr, Variant: o.variant, TCov: tcov}
		if choice.LR == 0 {
			choice.LR = learningRate(name, o.variant)
		}
		c.Choices = append(c.Choices, choice)
	}
	return c, nil
}
