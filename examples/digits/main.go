// Digits trains a network to read handwritten digits, with AdaFisher, AdamW and
// SGD side by side: the same network, the same initial weights, the same
// batches. It prints a loss curve and a table, and draws a picture.
//
//	go run ./examples/digits
//	go run ./examples/digits -seeds 5
//	go run ./examples/digits -optimizer adafisher,adafisherw -variant paper-ema -plot paper.png
//	go run ./examples/digits -json
//	go run ./examples/digits -digest
//
// The images are in the program; DATA.md says where they come from. A fifth of
// them, 360, is held back for the test by a draw that is always the same. The
// defaults were chosen with -validate, without those.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/adafisher-go/adafisher/examples/internal/cli"
	"github.com/adafisher-go/adafisher/examples/internal/report"
	"github.com/adafisher-go/adafisher/examples/internal/train"
	"github.com/adafisher-go/adafisher/kernels"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "digits:", err)
	}
	os.Exit(cli.Status(err))
}

// run is the program. Its error is one line.
func run(args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return o.flags.Usage(stdout)
	case err != nil:
		return err
	}
	pool, err := kernels.NewPool(o.workers)
	if err != nil {
		return err
	}
	defer pool.Close()
	if o.digest {
		return printDigest(stdout, pool)
	}
	config, err := o.config()
	if err != nil {
		return err
	}
	config.Pool = pool
	if o.json {
		return o.runJSON(config, stdout)
	}
	return o.runTerminal(config, stdout, stderr)
}

func printDigest(w io.Writer, pool *kernels.Pool) error {
	sum, err := digest(pool)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, kernels.CurrentLevel(), sum)
	return err
}

func (o *options) runJSON(c train.Config, stdout io.Writer) error {
	results, err := train.Compare(c, func() {})
	if err != nil {
		return err
	}
	if err := report.JSON(stdout, c, results, o.heldOut()); err != nil {
		return err
	}
	if o.flags.Given("plot") {
		return report.Plot(o.plot, results, o.heldOut())
	}
	return nil
}

func (o *options) runTerminal(c train.Config, stdout, stderr io.Writer) error {
	if err := introduce(stdout, c, o.heldOut()); err != nil {
		return err
	}
	terminal := report.IsTerminal(stdout)
	progress, done := func() {}, func() {}
	if terminal {
		progress, done = report.Progress(stderr, len(c.Choices)*c.Epochs*c.Seeds)
	}
	results, err := train.Compare(c, progress)
	done()
	if err != nil {
		return err
	}
	if err := report.LossCurve(stdout, results, terminal && os.Getenv("NO_COLOR") == ""); err != nil {
		return err
	}
	if err := report.Table(stdout, results, o.heldOut()); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "\nThe accuracy is the share of the %d %s images that the network names rightly at the end. A step is one batch: its median time.\n",
		c.Test.Len(), o.heldOut()); err != nil {
		return err
	}
	if err := report.Damping(stdout, results); err != nil {
		return err
	}
	if err := report.Plot(o.plot, results, o.heldOut()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "Loss and accuracy by epoch are drawn in %s.\n", o.plot)
	return err
}

// introduce says in a few lines what is about to happen.
func introduce(w io.Writer, c train.Config, heldOut string) error {
	model, err := train.Network(c.Train.Features, c.Hidden, c.Train.Classes)
	if err != nil {
		return err
	}
	widths := []string{strconv.Itoa(c.Train.Features)}
	for _, h := range append(append([]int(nil), c.Hidden...), c.Train.Classes) {
		widths = append(widths, strconv.Itoa(h))
	}
	_, err = fmt.Fprintf(w, `Teaching a small neural network to read handwritten digits (8x8 pixels), with %s.
Network: %s units, %d weights. Data: %d images to train on, %d others held back for the %s.
Training: %s (each once through the images) in batches of %d, %s each, from the same start for all, on the %s kernels.

`,
		list(c.Choices), strings.Join(widths, "-"), model.NumParams(), c.Train.Len(), c.Test.Len(), heldOut,
		count(c.Epochs, "epoch"), c.Batch, count(c.Seeds, "run"), kernels.CurrentLevel())
	return err
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// list returns the optimizers as part of a sentence.
func list(choices []train.Choice) string {
	names := ""
	for i, c := range choices {
		switch {
		case i == 0:
		case i == len(choices)-1:
			names += " and "
		default:
			names += ", "
		}
		names += c.Optimizer
	}
	return names
}
