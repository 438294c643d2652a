package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/examples/internal/cli"
	"github.com/adafisher-go/adafisher/examples/internal/report"
	"github.com/adafisher-go/adafisher/kernels"
)

// runDigits runs the program in an empty directory.
func runDigits(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	err = describe().Run(args, &out, &errs)
	return out.String(), errs.String(), err
}

func TestOutput(t *testing.T) {
	stdout, stderr, err := runDigits(t, "-epochs", "3", "-hidden", "16,8")
	require.NoError(t, err)
	require.Empty(t, stderr, "no progress bar in a pipe")
	require.True(t, strings.HasPrefix(stdout, `Teaching a small neural network to read handwritten digits (8x8 pixels), with AdaFisher, AdamW and SGD.
Network: 64-16-8-10 units, 1266 weights. Data: 1437 images to train on, 360 others held back for the test.
Training: 3 epochs (each once through the data) in batches of 64, 1 run each, from the same start for all, on the `+
		kernels.CurrentLevel().String()+` kernels.
`), stdout)
	require.Contains(t, stdout, "Training loss by epoch")
	require.Regexp(t, `(?m)^AdaFisher +published +0.001 .*\nAdamW +- +0.002 .*\nSGD +- +0.1 `, stdout)
	require.Contains(t, stdout, "drawn in digits.svg.\n")
	picture, err := os.ReadFile("digits.svg")
	require.NoError(t, err)
	require.Contains(t, string(picture), "</svg>")
}

func TestSentence(t *testing.T) {
	for names, want := range map[string]string{
		"sgd":                                  "with SGD.",
		"sgd,adam":                             "with SGD and Adam.",
		"calibrated,muon,lion,rmsprop,adagrad": "with Calibrated, Muon, Lion, RMSprop and Adagrad.",
		"sgd,adam,adaw":                        "",
	} {
		stdout, _, err := runDigits(t, "-epochs", "1", "-hidden", "2", "-optimizer", names)
		if want == "" {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Contains(t, stdout, want)
	}
}

func TestPlotFlag(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.png")
	stdout, _, err := runDigits(t, "-epochs", "1", "-hidden", "2", "-plot", file)
	require.NoError(t, err)
	require.Contains(t, stdout, file)
	require.FileExists(t, file)
	require.NoFileExists(t, "digits.svg")
}

func TestJSONAccuracy(t *testing.T) {
	stdout, stderr, err := runDigits(t, "-json", "-optimizer", "adafisher")
	require.NoError(t, err)
	require.Empty(t, stderr)
	require.NoFileExists(t, "digits.svg", "no picture that was not asked for")
	require.Equal(t, 1, strings.Count(stdout, "\n"))
	var got report.Record
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	require.Equal(t, "AdaFisher", got.Optimizer)
	require.Equal(t, "published", got.Variant)
	require.Equal(t, "test", got.HeldOut)
	require.Greater(t, got.TestAccuracy, 0.97)
	require.Less(t, got.TrainLoss, 0.01)
	require.Zero(t, got.AllocsPerStep)
	weights := uint64(4 * got.Weights)
	require.Greater(t, got.StepMemoryBytes, 3*weights, "with gradients and the momentum")
	require.Less(t, got.StepMemoryBytes, 3*weights+1<<20, "that of one batch of 32 in a small network")
}

func TestJSONLines(t *testing.T) {
	stdout, _, err := runDigits(t, "-json", "-epochs", "2", "-seeds", "2", "-seed", "7", "-hidden", "8", "-batch", "100", "-lr", "0.01",
		"-optimizer", "SGD,AdaFisherW", "-variant", "paper", "-validate", "-plot", "asked.png")
	require.NoError(t, err)
	require.FileExists(t, "asked.png")
	decoder := json.NewDecoder(strings.NewReader(stdout))
	for _, want := range []report.Record{{Optimizer: "SGD"}, {Optimizer: "AdaFisherW", Variant: "paper"}} {
		var got report.Record
		require.NoError(t, decoder.Decode(&got))
		require.Equal(t, want.Optimizer, got.Optimizer)
		require.Equal(t, want.Variant, got.Variant)
		require.Equal(t, kernels.CurrentLevel().String(), got.Level)
		require.Equal(t, 0.01, got.LR)
		require.Equal(t, "64-8-10 units", got.Network)
		require.Equal(t, 2, got.Epochs)
		require.Equal(t, 100, got.Batch)
		require.Equal(t, uint64(7), got.Seed)
		require.Equal(t, 2, got.Seeds)
		require.Equal(t, "validation", got.HeldOut)
	}
	require.False(t, decoder.More())
}

func TestVariantsHaveTheirOwnLearningRate(t *testing.T) {
	for variant, lr := range map[string]float64{"published": 1e-3, "paper": 5e-3, "paper-ema": 1e-2} {
		stdout, _, err := runDigits(t, "-json", "-epochs", "1", "-hidden", "2", "-optimizer", "adafisherw,sgd", "-variant", variant)
		require.NoError(t, err)
		decoder := json.NewDecoder(strings.NewReader(stdout))
		for _, want := range []float64{lr, 0.1} {
			var got report.Record
			require.NoError(t, decoder.Decode(&got))
			require.Equal(t, want, got.LR)
		}
	}
}

func TestOtherData(t *testing.T) {
	file := filepath.Join(t.TempDir(), "other.csv")
	var text strings.Builder
	for i := range 50 {
		fmt.Fprintf(&text, "%s%d\n", strings.Repeat(fmt.Sprint(i%17, ","), 64), i%10)
	}
	require.NoError(t, os.WriteFile(file, []byte(text.String()), 0o600))
	stdout, _, err := runDigits(t, "-data", file, "-epochs", "1", "-batch", "40")
	require.NoError(t, err)
	require.Contains(t, stdout, "40 images to train on, 10 others")

	_, _, err = runDigits(t, "-data", file, "-batch", "41")
	require.EqualError(t, err, `invalid value "41" for flag -batch: want an integer from 1 to 40, the images to train on`)
	require.Equal(t, 2, cli.Status(err))

	require.NoError(t, os.WriteFile(file, []byte("1,2,3\n"), 0o600))
	stdout, _, err = runDigits(t, "-data", file)
	require.EqualError(t, err, file+": line 1: the number of columns is 3: want 65, the pixels and the digit")
	require.Equal(t, 1, cli.Status(err))
	require.Empty(t, stdout)
}

func TestWrongFlags(t *testing.T) {
	for _, c := range []struct{ args, flag, want string }{
		{"-epochs 0", "-epochs", "want an integer from 1 to 10000"},
		{"-batch 0", "-batch", "want an integer from 1 to 100000"},
		{"-batch 1438", "-batch", "want an integer from 1 to 1437"},
		{"-lr -0.1", "-lr", "want a number above 0, at most 1000"},
		{"-lr NaN", "-lr", "want a number above 0, at most 1000"},
		{"-hidden 128,0", "-hidden", "want 1 to 6 integers from 1 to 2048"},
		{"-seed -1", "-seed", "want an integer from 0 to 18446744073709551615"},
		{"-seeds 101", "-seeds", "want an integer from 1 to 100"},
		{"-optimizer newton", "-optimizer", "want one or several of AdaFisher, AdaFisherW, Calibrated, SGD, Adam, AdamW, Adagrad, RMSprop, Lion, Muon"},
		{"-variant v2", "-variant", "want one of published, paper, paper-ema"},
		{"-plot a.pdf", "-plot", "want a file name that ends in .svg or .png"},
		{"-plot no/a.svg", "-plot", "want a file in a directory that exists"},
		{"-json=5", "-json", "want true or false"},
		{"-data", "-data", "flag needs an argument"},
		{"-verbose", "-verbose", "not defined"},
	} {
		stdout, stderr, err := runDigits(t, strings.Fields(c.args)...)
		require.ErrorContains(t, err, c.want, c.args)
		require.ErrorContains(t, err, c.flag)
		require.NotContains(t, err.Error(), "\n")
		require.Equal(t, 2, cli.Status(err))
		require.Empty(t, stdout)
		require.Empty(t, stderr)
	}
}

func TestDivergence(t *testing.T) {
	_, _, err := runDigits(t, "-optimizer", "adafisher", "-lr", "1000", "-hidden", "64,64,64,64")
	require.ErrorContains(t, err, "AdaFisher with learning rate 1000 stopped in epoch 1: optim: AdaFisher: gradient of ")
	require.Equal(t, 1, cli.Status(err))
}

func TestHelp(t *testing.T) {
	stdout, _, err := runDigits(t, "-help")
	require.NoError(t, err)
	for _, name := range []string{"optimizer", "variant", "epochs", "batch", "lr", "hidden", "seed", "seeds", "plot", "json", "digest", "data", "validate"} {
		require.Contains(t, stdout, "\n  -"+name)
	}
}

// The weights after the digest's run. Every level and every architecture gives
// this number; it changes only with the network, the data, or an update rule.
const wantDigest = "f0f5ab7ea74d9a8d455bdad4ad7df0a5308323e59b29481fe69c5e3dc5386a51"

func TestDigest(t *testing.T) {
	best := kernels.CurrentLevel()
	defer func() { require.NoError(t, kernels.SetLevel(best)) }()
	for _, level := range kernels.Levels() {
		require.NoError(t, kernels.SetLevel(level))
		stdout, stderr, err := runDigits(t, "-digest")
		require.NoError(t, err)
		require.Empty(t, stderr)
		require.Equal(t, level.String()+" "+wantDigest+"\n", stdout)
	}
	require.NoError(t, kernels.SetLevel(best))
	for _, workers := range []string{"2", "3", "16"} {
		stdout, _, err := runDigits(t, "-digest", "-workers", workers)
		require.NoError(t, err)
		require.Equal(t, best.String()+" "+wantDigest+"\n", stdout, "%s workers", workers)
	}
}
