// Package program is what the example programs have in common: their flags, and
// what they print and draw. A program adds its data and its network.
package program

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/adafisher-go/adafisher/examples/internal/cli"
	"github.com/adafisher-go/adafisher/examples/internal/report"
	"github.com/adafisher-go/adafisher/examples/internal/train"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
)

// A Program trains one network with several optimizers side by side.
type Program struct {
	Name  string
	About string // opens the usage
	Goal  string // "Teaching a network to read": what is written first

	Optimizers []string // the defaults of the flags
	Epochs     int
	Batch      int
	Workers    int
	Schedule   train.Schedule
	Data       string // usage of the flag -data

	// TCov is how often AdaFisher updates its statistics, in steps.
	TCov int

	// LearningRate is that of an optimizer where -lr doesn't say.
	LearningRate func(optimizer string, variant kron.Variant) float64

	// Define adds the program's own flags; it may be nil.
	Define func(f *cli.Flags)

	// Load reads the data, of which -data and -validate say more, and describes
	// the network.
	Load func(from string, validate bool) (Task, error)

	// Digest returns the SHA-256 of the weights after a short fixed run. It is
	// nil if there is none.
	Digest func(pool *kernels.Pool) (string, error)

	// After writes what there is to say about the results beside the table; it
	// may be nil.
	After func(w io.Writer, results []train.Result) error
}

// A Task is what a program trains, on what.
type Task struct {
	Network     func() (*nn.Model, error)
	Layers      string // of the network, in words
	Train, Test data.Source
	Samples     string // what they are: "images"
	Score       train.Score
}

// Main runs the program with the arguments of the process, and ends it.
func (p Program) Main() {
	err := p.Run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
	}
	os.Exit(cli.Status(err))
}

// Run is the program. Its error is one line.
func (p Program) Run(args []string, stdout, stderr io.Writer) error {
	o, err := p.parse(args)
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
		return p.printDigest(stdout, pool)
	}
	task, config, err := p.config(o)
	if err != nil {
		return err
	}
	config.Pool = pool
	if o.json {
		return o.runJSON(task, config, stdout)
	}
	return p.runTerminal(o, task, config, stdout, stderr)
}

func (p Program) printDigest(w io.Writer, pool *kernels.Pool) error {
	sum, err := p.Digest(pool)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, kernels.CurrentLevel(), sum)
	return err
}

// options are what the flags say.
type options struct {
	flags      *cli.Flags
	optimizers []string
	variant    kron.Variant
	epochs     int
	batch      int
	lr         float64 // 0: the optimizer's own
	seed       uint64
	seeds      int
	workers    int
	schedule   train.Schedule
	data       string
	validate   bool
	plot       string
	json       bool
	digest     bool
}

// learningRates lists the learning rates for the usage.
func (p Program) learningRates() string {
	var list []string
	for _, name := range train.Optimizers() {
		list = append(list, fmt.Sprintf("%s %g", name, p.LearningRate(name, kron.Published)))
	}
	return strings.Join(list, ", ")
}

var variants = []string{kron.Published.String(), kron.Paper.String(), kron.PaperEMA.String()}

// parse reads the flags. Its flags are there on an error too.
func (p Program) parse(args []string) (*options, error) {
	f := cli.New(p.Name, p.About)
	o := &options{flags: f}
	if p.Define != nil {
		p.Define(f)
	}
	optimizers := f.Names("optimizer", p.Optimizers, train.Optimizers(), "`names` of the optimizers to compare")
	variant := f.Name("variant", kron.Published.String(), variants, "`name` of the way AdaFisher averages its statistics")
	epochs := f.Int("epochs", p.Epochs, 1, 10_000, "`number` of passes over the data")
	batch := f.Int("batch", p.Batch, 1, 100_000, "`number` of samples in a training step, at most as many as there are")
	lr := f.Positive("lr", 1000, "learning `rate` of all optimizers, in place of each one's own ("+p.learningRates()+")")
	seed := f.Uint64("seed", 1, "`seed` of the initial weights and of the order of the samples")
	seeds := f.Int("seeds", 1, 1, 100, "`number` of runs, with seeds from -seed on; results are mean and standard deviation")
	workers := f.Int("workers", p.Workers, 1, 64, "`number` of goroutines that share the work; results don't depend on it")
	schedule := f.Name("schedule", string(p.Schedule), train.Schedules(), "`name` of the way the learning rate changes over a run; cosine rises for a twentieth of the steps, then falls to 0")
	from := f.String("data", "", p.Data)
	validate := f.Bool("validate", "leave the test samples out, and hold back some of the others to choose settings by")
	plot := f.File("plot", p.Name+".svg", report.PlotEndings, "picture `file` for loss and score; with -json there is none unless it is given")
	json := f.Bool("json", "print one JSON object a line for each optimizer, and nothing else")
	digest := new(bool)
	if p.Digest != nil {
		digest = f.Bool("digest", "print the level in use and the SHA-256 of the weights after a short fixed run, and nothing else; of the other flags only -workers matters, and not to the result")
	}
	if err := f.Parse(args); err != nil {
		return o, err
	}
	v, err := kron.ParseVariant(*variant)
	if err != nil {
		return o, err
	}
	*o = options{f, *optimizers, v, *epochs, *batch, *lr, *seed, *seeds, *workers, train.Schedule(*schedule), *from, *validate, *plot, *json, *digest}
	if dir, err := os.Stat(filepath.Dir(o.plot)); err != nil || !dir.IsDir() {
		return o, f.Invalid("plot", "a file in a directory that exists")
	}
	return o, nil
}

// heldOut names what the score is measured on.
func (o *options) heldOut() string {
	if o.validate {
		return "validation"
	}
	return "test"
}

// config loads the data and puts together what to compare.
func (p Program) config(o *options) (Task, train.Config, error) {
	task, err := p.Load(o.data, o.validate)
	if err != nil {
		return Task{}, train.Config{}, err
	}
	if n := task.Train.Len(); o.batch > n {
		return Task{}, train.Config{}, o.flags.Invalid("batch", fmt.Sprintf("an integer from 1 to %d, the %s to train on", n, task.Samples))
	}
	c := train.Config{
		Network:  task.Network,
		Train:    task.Train,
		Test:     task.Test,
		Epochs:   o.epochs,
		Batch:    o.batch,
		Seed:     o.seed,
		Seeds:    o.seeds,
		Schedule: o.schedule,
	}
	for _, name := range o.optimizers {
		choice := train.Choice{Optimizer: name, LR: o.lr, Variant: o.variant, TCov: p.TCov}
		if choice.LR == 0 {
			choice.LR = p.LearningRate(name, o.variant)
		}
		c.Choices = append(c.Choices, choice)
	}
	return task, c, nil
}

func (o *options) runJSON(task Task, c train.Config, stdout io.Writer) error {
	results, err := train.Compare(c, func() {})
	if err != nil {
		return err
	}
	if err := report.JSON(stdout, c, results, task.Layers, o.heldOut()); err != nil {
		return err
	}
	if o.flags.Given("plot") {
		return report.Plot(o.plot, results, task.Score, o.heldOut())
	}
	return nil
}

func (p Program) runTerminal(o *options, task Task, c train.Config, stdout, stderr io.Writer) error {
	if err := p.introduce(stdout, task, c, o.heldOut()); err != nil {
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
	if err := report.Table(stdout, results, task.Score, o.heldOut()); err != nil {
		return err
	}
	what := "The accuracy is the share of the %d %s %s that the network names rightly at the end."
	if task.Score == train.Perplexity {
		what = "The perplexity is exp of the mean cross entropy on the %d %s %s at the end: as good as a guess among so many."
	}
	if _, err := fmt.Fprintf(stdout, "\n"+what+" A step is one batch: its median time.\n", c.Test.Len(), o.heldOut(), task.Samples); err != nil {
		return err
	}
	if err := report.Damping(stdout, results); err != nil {
		return err
	}
	if err := report.Plot(o.plot, results, task.Score, o.heldOut()); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "Loss and %v by epoch are drawn in %s.\n", task.Score, o.plot); err != nil {
		return err
	}
	if p.After != nil {
		return p.After(stdout, results)
	}
	return nil
}

// introduce says in a few lines what is about to happen.
func (p Program) introduce(w io.Writer, task Task, c train.Config, heldOut string) error {
	model, err := c.Network()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, `%s, with %s.
Network: %s, %d weights. Data: %d %s to train on, %d others held back for the %s.
Training: %s (each once through the data) in batches of %d, %s each, from the same start for all, on the %s kernels.

`,
		p.Goal, list(c.Choices), task.Layers, model.NumParams(), c.Train.Len(), task.Samples, c.Test.Len(), heldOut,
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
