// Service answers over HTTP which digit an image shows, and learns from the
// examples that it is brought while it does.
//
//	go run ./examples/service -demo
//
// begins with an untrained model that learns from images in the program; its
// page at http://127.0.0.1:8080/ shows how. README.md beside this file has lines
// for asking and teaching, and all routes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/adafisher-go/adafisher/examples/internal/cli"
	"github.com/adafisher-go/adafisher/kernels"
)

const tokenVariable = "ADAFISHER_SERVICE_TOKEN"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if os.Getenv("GOGC") == "" {
		// A few megabytes live here: to collect at five times as much, not at twice,
		// costs little memory, and requests meet a quarter of the collections.
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		// Bodies that clients are slow to send may be 256 MiB by the usual limits.
		debug.SetMemoryLimit(512 << 20)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// A training step may keep one of them for milliseconds: requests have all the
		// processors beside it, and the system shares those out.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	err := run(ctx, os.Args[1:], os.Getenv(tokenVariable), os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "service:", err)
	}
	os.Exit(cli.Status(err))
}

const about = `service answers over HTTP which digit an image of 8x8 pixels shows, and learns from
the examples that it is brought. They need a bearer token: the value of the
environment variable ` + tokenVariable + `, without which there is no learning from
clients.`

// run is the program, until ctx is done. Its error is one line.
func run(ctx context.Context, args []string, token string, stdout, stderr io.Writer) error {
	f := cli.New("service", about)
	listen := f.String("listen", "127.0.0.1:8080", "`address` to listen on: a host and a port, 0 for any free one")
	demo := f.Bool("demo", "learn from images in the program, and ask for predictions of others")
	rate := f.Int("rate", 400, 1, 100_000, "`number` of images a second to learn from in the demonstration")
	seed := f.Uint64("seed", 1, "`seed` of the untrained model, and of the order of the images")
	batch := f.Int("batch", 32, 1, 4096, "`number` of examples in a training step, at most")
	queue := f.Int("queue", 4096, 1, 1<<20, "`number` of examples that may wait to be learnt")
	drop := f.Bool("drop-oldest", "drop the oldest example when the queue is full; else the newest is refused")
	steps := f.Int("publish-steps", 10, 1, 1_000_000, "`number` of steps after which the model is published, and after a second in any case")
	share := f.Int("learn-share", 25, 1, 100, "`percent` of the time in which the learner may compute, where much waits to be learnt")
	path := f.String("checkpoint", "", "`file` that keeps what was learnt; without it all is lost when the service stops")
	every := f.Int("checkpoint-every", 10_000, 1, 86_400_000, "`milliseconds` between two checkpoints; what was published longer ago survives a crash")
	rows := f.Int("max-rows", 256, 1, 1<<16, "`number` of inputs or examples in one request, at most")
	body := f.Int("max-body", 256, 1, 1<<20, "size of a request's body in `KiB`, at most")
	timeout := f.Int("timeout", 10, 1, 3600, "`seconds` that reading a request or writing its answer may take")
	drain := f.Int("drain", 0, 0, 3_600_000, "`milliseconds` between a signal to stop, from which on /readyz says so, and the end of listening")
	concurrency := f.Int("concurrency", 64, 1, 1<<16, "`number` of requests that are worked on, at most; when 16 times as many are arriving, the oldest of them gives way to the next")
	connections := f.Int("connections", 4096, 1, 1<<20, "`number` of open connections, at most; then the one that was quiet the longest gives way to the next")
	format := f.Name("log", "text", []string{"text", "json"}, "`format` of the log")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return f.Usage(stdout)
		}
		return err
	}
	if *queue < *batch {
		return f.Invalid("queue", "at least as many as a training step takes (-batch)")
	}
	if _, port, err := net.SplitHostPort(*listen); err != nil || !isPort(port) {
		return f.Invalid("listen", "a host and a port, as 127.0.0.1:8080")
	}
	var handler slog.Handler = slog.NewTextHandler(stderr, nil)
	if *format == "json" {
		handler = slog.NewJSONHandler(stderr, nil)
	}
	s, err := newService(config{
		seed:         *seed,
		batch:        *batch,
		queue:        *queue,
		dropOldest:   *drop,
		publishSteps: *steps,
		publishEvery: time.Second,
		share:        float64(*share) / 100,
		path:         *path,
		saveEvery:    time.Duration(*every) * time.Millisecond,
		token:        token,
		drain:        time.Duration(*drain) * time.Millisecond,
		limits: limits{
			body:        int64(*body) << 10,
			rows:        *rows,
			concurrency: *concurrency,
			connections: *connections,
			timeout:     time.Duration(*timeout) * time.Second,
		},
		log: slog.New(handler),
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	if *demo {
		s.demo = *rate
	}
	return s.serve(ctx, listener)
}

func isPort(name string) bool {
	_, err := net.LookupPort("tcp", name)
	return err == nil
}

// watch follows a connection.
func (s *service) watch(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew, http.StateActive, http.StateIdle:
		s.open.see(c)
	case http.StateClosed, http.StateHijacked:
		s.open.leave(c)
	}
}

// serve answers requests, and learns, until ctx is done, and for a while in which it
// says that it is not ready. Then it finishes the requests in progress and the step
// in hand, and writes a last checkpoint.
func (s *service) serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: s.limits.timeout,
		ReadTimeout:       s.limits.timeout,
		WriteTimeout:      2 * s.limits.timeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnState:         s.watch,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // what clients do wrong
	}
	base := "http://" + listener.Addr().String()
	s.log.Info("listening", "url", base+"/", "version", s.predictor.Version(), "level", kernels.CurrentLevel().String(), "learning", s.token != "" || s.demo > 0)

	// What feeds the learner stops before it, and it before the last words.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	learning, stopLearning := context.WithCancel(context.Background())
	defer stopLearning()
	errs := make(chan error, 4)
	var learner, others sync.WaitGroup
	learner.Go(func() {
		if err := s.learn(learning); err != nil {
			s.log.Error("no more learning", "error", err)
			errs <- err
		}
	})
	others.Go(func() { s.history.run(ctx) })
	if s.demo > 0 {
		others.Go(func() {
			if err := s.demonstrate(ctx, s.demo, base); err != nil {
				s.log.Error("no more demonstration", "error", err)
			}
		})
	}
	others.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			errs <- err
			cancel()
		}
	})

	<-ctx.Done()
	s.stopping.Store(true)
	s.log.Info("shutting down")
	time.Sleep(s.drain)
	patience, done := context.WithTimeout(context.Background(), s.limits.timeout)
	defer done()
	if err := server.Shutdown(patience); err != nil {
		s.log.Warn("requests in progress were cut off", "error", err)
		_ = server.Close()
	}
	others.Wait()
	stopLearning()
	learner.Wait()
	stats := s.learner.Stats()
	s.log.Info("stopped", "version", s.predictor.Version(), "checkpoint", s.path, "examples", stats.Examples, "steps", stats.Steps, "unlearnt", stats.Queued)
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}
