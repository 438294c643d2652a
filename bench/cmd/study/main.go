// Command study compares the optimizers that people compare with AdaFisher, on six
// tasks with real data, and writes a report with plots.
//
//	go run ./bench/cmd/study            all of it, some hours
//	go run ./bench/cmd/study -quick     a first look, some minutes
//	go run ./bench/cmd/study -list      tasks and optimizers
//	go run ./bench/cmd/study -report    the report alone, of the results so far
//	go run ./bench/cmd/study -time      steps timed anew, and the report
//
// Each run appends one line of JSON to its task's file in the directory of results.
// A study that was stopped goes on where it was when it is started again. To do an
// optimizer anew, remove its lines.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/adafisher-go/adafisher/bench/internal/host"
)

const about = `study compares the optimizers that people compare with AdaFisher, on six tasks with
real data: it measures what a step of each costs, gives all of them the same time and
the same number of learning rates to try, and trains with the best from several seeds.
It appends one line of JSON a run to files in the directory of results, goes on where
it was stopped, and writes the report README.md and its plots there.

`

type options struct {
	scale  scale
	out    string
	data   string
	tasks  []task
	rules  []rule
	jobs   int
	report bool
	time   bool
	list   bool
	dirty  bool
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		fmt.Fprintln(os.Stderr, "study:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := do(ctx, o, os.Stdout); err != nil {
		if errors.Is(err, context.Canceled) {
			err = errors.New("stopped; the same command goes on from here")
		}
		fmt.Fprintln(os.Stderr, "study:", err)
		os.Exit(1)
	}
}

func parse(args []string, usage io.Writer) (options, error) {
	o := options{scale: full}
	f := flag.NewFlagSet("study", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	short := f.Bool("quick", false, "a first look: four tasks, fewer steps, rates and seeds, and few optimizers but on the digits")
	f.StringVar(&o.out, "out", "", "`directory` of the results (default bench/results/study, with -quick bench/results/study-quick)")
	f.StringVar(&o.data, "data", "", "`directory` of Fashion-MNIST, in place of ADAFISHER_DATA and /usr/share/datasets")
	f.IntVar(&o.jobs, "jobs", runtime.NumCPU(), "`number` of runs at a time; each uses one core, and its result does not depend on it")
	f.BoolVar(&o.report, "report", false, "run nothing: write the report of the results so far")
	f.BoolVar(&o.dirty, "dirty", false, "run although files differ from the commit, and mark the lines so; -quick does that anyway")
	f.BoolVar(&o.time, "time", false, "time the steps of all optimizers anew, and run nothing; the numbers of steps in runs stay")
	f.BoolVar(&o.list, "list", false, "print tasks and optimizers, and run nothing")
	taskNames := f.String("tasks", "", "comma-separated `names` of tasks; all by default")
	ruleNames := f.String("optimizers", "", "comma-separated `names` of optimizers; all by default. Adam's steps are timed always")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			f.SetOutput(usage)
			fmt.Fprint(usage, about)
			f.PrintDefaults()
		}
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.jobs < 1 || o.jobs > 1024 {
		return o, fmt.Errorf("-jobs %d: want 1 to 1024", o.jobs)
	}
	if *short {
		o.scale, o.dirty = quick, true
	}
	if o.out == "" {
		o.out = filepath.Join("bench", "results", "study")
		if *short {
			o.out += "-quick"
		}
	}
	var err error
	if o.tasks, err = choose(tasks, *taskNames, taskNamed); err != nil {
		return o, err
	}
	o.rules, err = choose(rules, *ruleNames, func(name string) (rule, error) {
		r, err := ruleNamed(name)
		if err == nil && strings.HasPrefix(name, ablated) {
			err = fmt.Errorf("%q is run beside %q, not by itself", name, calibrated)
		}
		return r, err
	})
	return o, err
}

// choose returns those of all that are named.
func choose[T any](all []T, names string, named func(string) (T, error)) ([]T, error) {
	if names == "" {
		return all, nil
	}
	var chosen []T
	list := strings.Split(names, ",")
	for i, name := range list {
		name = strings.TrimSpace(name)
		if slices.Contains(list[:i], name) {
			continue
		}
		x, err := named(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, x)
	}
	return chosen, nil
}

func do(ctx context.Context, o options, w io.Writer) error {
	if o.list {
		list(w, o)
		return nil
	}
	store, err := open(o.out)
	if err != nil {
		return err
	}
	s := &study{scale: o.scale, store: store, data: o.data, rules: o.rules, jobs: o.jobs, progress: w}
	if !o.report {
		if err := o.mayRun(store.where.Commit); err != nil {
			return err
		}
		if o.time {
			err = s.timeAll(ctx, o.tasks)
		} else {
			err = s.all(ctx, o.tasks, func() error { return report(store) })
		}
		if err != nil {
			return err
		}
	}
	if err := report(store); err != nil {
		return err
	}
	fmt.Fprintf(w, "The report is in %s.\n", filepath.Join(o.out, reportName))
	return nil
}

// mayRun returns an error if lines would name a commit that has not made them.
func (o options) mayRun(commit string) error {
	if name, ok := strings.CutSuffix(commit, host.Dirty); ok && !o.dirty {
		return fmt.Errorf("files differ from commit %s: commit them, or say -dirty", name)
	}
	return nil
}

func list(w io.Writer, o options) {
	fmt.Fprintln(w, "Tasks:")
	for _, t := range o.tasks {
		fmt.Fprintf(w, "  %-18s  %s\n", t.name, t.about)
	}
	fmt.Fprintln(w, "Optimizers:")
	for _, r := range o.rules {
		rates := r.trials(o.scale.trials)
		if len(rates) == 1 {
			fmt.Fprintf(w, "  %-33s  %s: %g\n", r.name, r.about, rates[0])
			continue
		}
		fmt.Fprintf(w, "  %-33s  %s; learning rates %g to %g\n", r.name, r.about, rates[0], rates[len(rates)-1])
	}
	fmt.Fprintf(w, "Beside %s:\n", calibrated)
	for _, r := range ablations {
		fmt.Fprintf(w, "  %-33s  %s\n", r.name, r.about)
	}
}
