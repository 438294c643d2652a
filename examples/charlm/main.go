// Charlm trains a small causal transformer to write the English of Newton's
// Opticks (1730), character by character. It prints how well it guesses the next
// character, and a sample of what it writes.
//
//	go run ./examples/charlm
//	go run ./examples/charlm -optimizer adafisherw,adamw -variant paper-ema
//	go run ./examples/charlm -data book.txt -prompt "The "
//	go run ./examples/charlm -json
//	go run ./examples/charlm -digest
//
// The text is in the program. Its last tenth is held back for the test.
package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/adafisher-go/adafisher/examples/internal/cli"
	"github.com/adafisher-go/adafisher/examples/internal/program"
	"github.com/adafisher-go/adafisher/examples/internal/train"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/nn/data/opticks"
	"github.com/adafisher-go/adafisher/nn/models"
	"github.com/adafisher-go/adafisher/optim"
)

func main() { charlm().Main() }

// context is the number of characters that the network sees.
const context = 64

func charlm() program.Program {
	var blocks, width, length *int
	var prompt *string
	var flags *cli.Flags
	var vocabulary *data.Vocabulary
	return program.Program{
		Name: "charlm",
		About: `charlm trains a small transformer to write the English of Newton's Opticks,
character by character.`,
		Goal:       "Teaching a small transformer to write like Newton, character by character",
		Optimizers: []string{"AdamW"},
		Epochs:     5,
		Batch:      16,
		Workers:    min(runtime.NumCPU(), 64),
		Schedule:   train.Cosine,
		Data:       "text `file` in UTF-8 in place of Newton's",

		TCov:         20,
		LearningRate: learningRate,
		Define: func(f *cli.Flags) {
			flags = f
			blocks = f.Int("blocks", 4, 1, 48, "`number` of transformer blocks")
			width = f.Int("width", 128, 4, 1024, "`number` of features of a character, a multiple of 4")
			prompt = f.String("prompt", "The Rays of Light ", "`text` that the sample goes on from; with -data the first letter of the text unless it is given")
			length = f.Int("sample", 400, 0, 100_000, "`number` of characters in the sample")
		},
		Load: func(file string, validate bool) (program.Task, error) {
			text, err := readText(file)
			if err != nil {
				return program.Task{}, err
			}
			if file != "" && !flags.Given("prompt") {
				_, first := utf8.DecodeRuneInString(text)
				*prompt = text[:first]
			}
			if vocabulary, err = data.Characters(text); err != nil {
				return program.Task{}, err
			}
			if _, err := vocabulary.Encode(*prompt); err != nil {
				return program.Task{}, err
			}
			return task(text, vocabulary, validate, models.Transformer{Blocks: *blocks, Width: *width, Heads: 4})
		},
		Digest: digestOf,
		After: func(w io.Writer, results []train.Result) error {
			for _, r := range results {
				text, err := sample(r.Model, vocabulary, *prompt, *length)
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintf(w, "\nWritten by the network that %s trained:\n\n%s\n", r.Optimizer, text); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// learningRate returns the learning rate of an optimizer where -lr doesn't say.
// Those of AdamW, of AdaFisherW and of its variant paper-ema were tried with
// -validate -epochs 3. The published variant, much like SGD with momentum, learns
// slowly here. Calibrated has its default, which is for all networks; those of
// Adagrad, RMSprop, Lion and Muon were best with the transformer of the study,
// bench/results/study.
func learningRate(optimizer string, variant kron.Variant) float64 {
	switch optimizer {
	case "Calibrated":
		return optim.CalibratedDefaults().LR
	case "SGD":
		return 0.2
	case "Adam", "AdamW":
		return 2e-3
	case "Adagrad", "Muon":
		return 1e-2
	case "RMSprop":
		return 1e-3
	case "Lion":
		return 3e-4
	}
	if variant == kron.PaperEMA {
		return 1e-2
	}
	return 2e-3
}

// readText returns the text in a file, or Newton's where there is no name.
func readText(file string) (string, error) {
	if file == "" {
		return opticks.Text(), nil
	}
	return data.ReadText(file)
}

// task cuts the text into windows of characters. The last tenth of it is for the
// test; with validate that is left out, and the last tenth of the rest held back.
func task(text string, vocabulary *data.Vocabulary, validate bool, sizes models.Transformer) (program.Task, error) {
	tokens, err := vocabulary.Encode(text)
	if err != nil {
		return program.Task{}, err
	}
	const share = 0.1
	rest, held, err := data.Split(tokens, share)
	if err == nil && validate {
		rest, held, err = data.Split(rest, share)
	}
	if err != nil || len(held) <= context {
		return program.Task{}, fmt.Errorf("the text has %d characters: want enough that a tenth of it, to be held back, is more than the %d that the network sees", len(tokens), context)
	}
	const drawSeed = 1 // where the windows of an epoch begin, whatever -seed is
	trainSet, err := data.NewRandomWindows(rest, context, drawSeed)
	if err != nil {
		return program.Task{}, err
	}
	test, err := data.NewWindows(held, context)
	if err != nil {
		return program.Task{}, err
	}
	return program.Task{
		Network: func() (*nn.Model, error) { return models.GPT(vocabulary.Len(), context, sizes) },
		Layers: fmt.Sprintf("%d transformer blocks of %d features in %d heads, on %d characters out of %d",
			sizes.Blocks, sizes.Width, sizes.Heads, context, vocabulary.Len()),
		Train:   trainSet,
		Test:    test,
		Samples: fmt.Sprintf("windows of %d characters", context),
		Score:   train.Perplexity,
	}, nil
}

// temperature below 1 makes the sample keep to likely characters.
const temperature = 0.8

// sample returns the prompt and n characters after it, each drawn from what the
// model thinks of the characters before.
func sample(m *nn.Model, v *data.Vocabulary, prompt string, n int) (string, error) {
	tokens, err := v.Encode(prompt)
	if err != nil {
		return "", err
	}
	predictor, err := m.NewPredictor(1)
	if err != nil {
		return "", err
	}
	random := rand.New(rand.NewPCG(1, 2))
	window := make([]float32, context)
	for range n {
		seen := tokens[max(0, len(tokens)-context):]
		clear(window) // what comes after the last character has no say
		for i, token := range seen {
			window[i] = float32(token)
		}
		scores, err := predictor.Predict(window)
		if err != nil {
			return "", err
		}
		last := max(len(seen)-1, 0)
		tokens = append(tokens, draw(random, scores[last*v.Len():][:v.Len()]))
	}
	text, err := v.Decode(tokens)
	return strings.TrimSpace(text), err
}

// draw returns an index with the probabilities that follow from the scores.
func draw(random *rand.Rand, scores []float32) uint16 {
	best := float64(scores[0])
	for _, s := range scores {
		best = max(best, float64(s))
	}
	weights, sum := make([]float64, len(scores)), 0.0
	for i, s := range scores {
		weights[i] = math.Exp((float64(s) - best) / temperature)
		sum += weights[i]
	}
	left := random.Float64() * sum
	for i, w := range weights {
		if left -= w; left < 0 {
			return uint16(i)
		}
	}
	return uint16(len(weights) - 1)
}
