// Command compare runs our kernels, training steps and predictions side by side with those of
// other libraries: gonum, viterin/vek, spago, GoMLX, and, where cgo and the library are
// there, OpenBLAS, plain C by gcc, ONNX Runtime and PyTorch. It prints how close each comes to
// the roof of this machine. All contenders of a race are timed in turn, round by
// round, beside the roof: what disturbs the machine disturbs them all.
//
// The rates count the bytes that a kernel must move (a vector that is read and
// written counts twice) or its floating-point operations. Of training steps,
// predictions and short calls it is the time.
//
// With -record a run's results are written to a directory, in three files named
// after the processor: one JSON object a line, the machine first; tables; and a
// chart. With -render the tables and the chart are made from such results again.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/adafisher-go/adafisher/bench/internal/host"
)

type options struct {
	rounds int
	sample time.Duration
	match  *regexp.Regexp
	json   bool
	record string
	render string
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		if err == flag.ErrHelp {
			os.Exit(0)
		}
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(2)
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func parse(args []string, usage io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.IntVar(&o.rounds, "rounds", 15, "how often each contender is timed")
	f.DurationVar(&o.sample, "sample", 300*time.Microsecond, "time of one sample")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line, not a table")
	f.StringVar(&o.record, "record", "", "write results, tables and chart to this directory")
	f.StringVar(&o.render, "render", "", "run nothing: make tables and chart anew from this file of results")
	match := f.String("match", "", "only races whose kernel and size match this regular expression")
	if err := f.Parse(args); err != nil {
		if err == flag.ErrHelp {
			f.SetOutput(usage)
			f.Usage()
		}
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.rounds < 1 {
		return o, fmt.Errorf("-rounds %d: want at least 1", o.rounds)
	}
	if o.sample < 100*time.Microsecond || o.sample > time.Second {
		return o, fmt.Errorf("-sample %v: want 100µs to 1s", o.sample)
	}
	if o.json && o.record != "" {
		return o, errors.New("-json and -record exclude each other: -record writes the JSON to a file")
	}
	if *match != "" && o.record != "" {
		return o, errors.New("-match and -record exclude each other: what is recorded is a whole run")
	}
	var err error
	if o.match, err = regexp.Compile(*match); err != nil {
		return o, fmt.Errorf("-match: %w", err)
	}
	return o, nil
}

func run(o options) error {
	if o.render != "" {
		return render(o.render)
	}
	p, err := findLibraries()
	if err != nil {
		return err
	}
	defer p.close()
	p.findTorch()
	all, err := races(p)
	if err != nil {
		return err
	}
	m := describe(p, o)
	for _, missing := range m.Missing {
		fmt.Fprintln(os.Stderr, "compare: without", missing)
	}
	if o.record == "" {
		return compare(os.Stdout, all, o, m)
	}
	if err := os.MkdirAll(o.record, 0o755); err != nil {
		return err
	}
	path := filepath.Join(o.record, m.name()+".json")
	file, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	err = errors.Join(compare(file, all, o, m), file.Close())
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return render(path)
}

// races returns all comparisons, the ones with two workers last: they may warm
// the machine.
func races(p *peers) ([]race, error) {
	all := append(roofRaces(), vectorRaces(p)...)
	all = append(all, smallRaces()...)
	all = append(all, productRaces(p)...)
	all = append(all, outerRaces(p)...)
	all = append(all, storedRaces(p)...)
	all = append(all, symmetricRaces(p)...)
	all = append(all, convolutionRaces(p)...)
	training, err := trainingRaces(p)
	if err != nil {
		return nil, err
	}
	all = append(all, training...)
	predictions, err := predictionRaces(p)
	if err != nil {
		return nil, err
	}
	all = append(all, predictions...)
	networks, err := networkRaces(p)
	if err != nil {
		return nil, err
	}
	all = append(all, networks...)
	workers, err := workerRaces(p)
	return append(all, workers...), err
}

// compare measures the races that the options select and writes each as soon as
// it is done.
func compare(w io.Writer, all []race, o options, m machine) error {
	asJSON := o.json || o.record != ""
	encoder := json.NewEncoder(w)
	if asJSON {
		if err := encoder.Encode(m); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, "%s, one core; %d rounds of %v of %s; medians, with quartiles in brackets.\n\n", m.CPU, o.rounds, o.sample, host.ClockName)
		fmt.Fprintln(w, "| kernel | size | contender | median | of the roof |")
		fmt.Fprintln(w, "|---|---|---|---|---|")
	}
	found := false
	for _, r := range all {
		if !r.matches(o.match) {
			continue
		}
		found = true
		if o.record != "" {
			fmt.Fprintf(os.Stderr, "%s %s\n", r.contenders[0].kernel, r.size)
		}
		results, err := r.measure(o.rounds, o.sample)
		if err != nil {
			return err
		}
		for _, x := range results {
			if asJSON {
				err = encoder.Encode(x)
			} else {
				_, err = fmt.Fprintln(w, x)
			}
			if err != nil {
				return err
			}
		}
	}
	if !found {
		return fmt.Errorf("-match %q matches no race", o.match)
	}
	return nil
}

func (r race) matches(match *regexp.Regexp) bool {
	for _, c := range r.contenders {
		if match.MatchString(c.kernel + " " + r.size) {
			return true
		}
	}
	return false
}

// String returns the result as a row of a table.
func (x result) String() string {
	ratio := ""
	if x.RoofRatio != nil {
		ratio = fmt.Sprintf("%.2f of %.3g", *x.RoofRatio, x.Roof)
	}
	return fmt.Sprintf("| %s | %s | %s | %.3g [%.3g..%.3g] %s | %s |", x.Kernel, x.Size, x.Contender, x.Median, x.P25, x.P75, x.Unit, ratio)
}
