// Soak torments a service for some minutes, and checks everything that it says:
// predictions, lessons, publications, hostile requests and kills together.
//
//	go run ./examples/service/soak
//	go run ./examples/service/soak -seconds 20
//
// For the first two thirds of the time the service is killed with SIGKILL at
// random moments and started again. Each time its checkpoint must hold, bit for
// bit, what the service last said was on the disk, or something newer; no
// temporary files may remain, and it must answer again soon, from that very
// checkpoint. In the last third it lives, and its memory must stay as it is, if that
// lasts 20 seconds.
//
// All the time, each prediction is compared with the one that the weights of its
// version give, bit for bit. The program ends with the counts, and fails if
// anything was wrong.
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
	"sort"
	"sync"
	"time"

	"github.com/adafisher-go/adafisher/examples/internal/cli"
	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/examples/service/harness"
	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/nn/data/digits"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
	}
	os.Exit(cli.Status(err))
}

const about = `soak torments a service with predictions, lessons, hostile requests and kills, and
checks all that it answers.`

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := cli.New("soak", about)
	seconds := f.Int("seconds", 120, 6, 3600, "`seconds` of the test")
	kills := f.Int("kills", 200, 0, 10_000, "`number` of kills in the first two thirds of the time, or as many as there is time for")
	patience := f.Int("patience", 1000, 1, 600_000, "`milliseconds` in which a service that was started must answer")
	seed := f.Uint64("seed", uint64(time.Now().UnixNano()), "`seed` of what is random")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return f.Usage(stdout)
		}
		return err
	}
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &soak{
		counts:   make(map[string]int),
		patience: time.Duration(*patience) * time.Millisecond,
		path:     filepath.Join(dir, "checkpoints", "digits.ckpt"),
		seed:     *seed,
	}
	if err := os.Mkdir(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	set, err := digits.Load("")
	if err != nil {
		return err
	}
	if s.stream, s.images, err = digits.Split(set, false); err != nil {
		return err
	}
	if s.program, err = harness.Build(ctx, dir); err != nil {
		return err
	}
	if err := collectOften(); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "soak: %d seconds, seed %d\n", *seconds, *seed)
	if err := s.torment(ctx, time.Duration(*seconds)*time.Second, *kills); err != nil {
		return err
	}
	return s.report(stdout)
}

// soak is one run. Its faults are what makes it fail.
type soak struct {
	program  string
	path     string // of the checkpoint
	patience time.Duration
	seed     uint64
	images   data.Samples
	stream   data.Samples

	mu      sync.Mutex
	counts  map[string]int
	faults  []string
	nfaults int

	onDisk       api.Checkpoint // that the last process left
	longestStart time.Duration

	before, after reading // of the service that lives: most of its traffic
}

// count adds one to a line of the report.
func (s *soak) count(what string) { s.add(what, 1) }

func (s *soak) add(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what] += n
}

// fault notes something that must not be.
func (s *soak) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nfaults++; len(s.faults) < 20 {
		s.faults = append(s.faults, fmt.Sprintf(format, args...))
	}
}

// torment does the whole test.
func (s *soak) torment(ctx context.Context, length time.Duration, kills int) error {
	start := time.Now()
	if err := s.killing(ctx, start.Add(length*2/3), kills); err != nil {
		return err
	}
	return s.living(ctx, start.Add(length))
}

// report prints the counts, and fails if there were faults.
func (s *soak) report(w io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, what := range []string{wrongAnswers, lostCheckpoints} {
		s.counts[what] += 0 // is worth a line
	}
	var lines []string
	for what := range s.counts {
		lines = append(lines, what)
	}
	sort.Strings(lines)
	for _, what := range lines {
		fmt.Fprintf(w, "%9d  %s\n", s.counts[what], what)
	}
	fmt.Fprintf(w, "%9s  longest time from start to answer\n", s.longestStart.Round(time.Millisecond))
	fmt.Fprintf(w, "%5.1f MiB  memory of the service that lived; early %.1f MiB\n", mib(s.after.resident), mib(s.before.resident))
	fmt.Fprintf(w, "%5.2f MiB  alive in its heap; early %.2f MiB\n", mib(s.after.live), mib(s.before.live))
	fmt.Fprintf(w, "%9.0f  goroutines in it; early %.0f\n", s.after.goroutines, s.before.goroutines)
	for _, fault := range s.faults {
		fmt.Fprintln(w, "FAULT:", fault)
	}
	if s.nfaults > 0 {
		return fmt.Errorf("%d faults, with seed %d", s.nfaults, s.seed)
	}
	_, err := fmt.Fprintln(w, "No fault.")
	return err
}

func mib(bytes float64) float64 { return bytes / (1 << 20) }
