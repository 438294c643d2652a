// Command compare runs our kernels side by side with those of gonum and of
// viterin/vek, on one core, and prints rates and how close each comes to the
// roof of this machine. All contenders of a race are timed in turn, round by
// round, beside the roof: what disturbs the machine disturbs them all.
//
// The rates count the bytes that a kernel must move (a vector that is read and
// written counts twice) or its floating-point operations.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"time"

	"github.com/adafisher-go/adafisher/bench/roof"
)

type options struct {
	rounds int
	sample time.Duration
	only   *regexp.Regexp
	json   bool
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
	runtime.GOMAXPROCS(1)
	if err := compare(os.Stdout, races(), o); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func parse(args []string, usage io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.IntVar(&o.rounds, "rounds", 15, "how often each contender is timed")
	f.DurationVar(&o.sample, "sample", 2*time.Millisecond, "time of one sample")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line, not a table")
	only := f.String("run", "", "only races whose kernel and size match this regular expression")
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
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	return o, nil
}

// compare measures the races that the options select and writes each as soon as
// it is done.
func compare(w io.Writer, all []race, o options) error {
	if !o.json {
		probe := roof.Vectors
		if probe == "" {
			probe = "no probe on this machine"
		}
		fmt.Fprintf(w, "%s/%s, one core; roof: %s; %d rounds of %v of %s; medians, with quartiles in brackets.\n\n",
			runtime.GOOS, runtime.GOARCH, probe, o.rounds, o.sample, clockName)
		fmt.Fprintln(w, "| kernel | size | contender | rate | of the roof |")
		fmt.Fprintln(w, "|---|---|---|---|---|")
	}
	found := false
	for _, r := range all {
		if !o.only.MatchString(r.kernel + " " + r.size) {
			continue
		}
		found = true
		for _, x := range r.measure(o.rounds, o.sample) {
			if err := x.write(w, o.json); err != nil {
				return err
			}
		}
	}
	if !found {
		return fmt.Errorf("-run %q matches no race", o.only)
	}
	return nil
}

// write writes the result as a row of the table or as a line of JSON.
func (x result) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(x)
	}
	ofRoof := ""
	if x.Roof > 0 {
		ofRoof = fmt.Sprintf("%.2f [%.2f..%.2f] of %.3g", x.OfRoof, x.OfRoofP25, x.OfRoofP75, x.Roof)
	}
	_, err := fmt.Fprintf(w, "| %s | %s | %s | %.3g [%.3g..%.3g] %s | %s |\n",
		x.Kernel, x.Size, x.Contender, x.Median, x.P25, x.P75, x.Unit, ofRoof)
	return err
}
