// Load asks a service for predictions at a given rate, while it learns, and
// prints how long the answers took.
//
//	go run ./examples/service/load
//	go run ./examples/service/load -url http://127.0.0.1:8080 -rate 500 -seconds 30 -json
//
// Requests come at times that are drawn before, whether or not the ones before
// them are answered, and each answer's time counts from the moment at which its
// request should have been sent: a service that stalls can't hide it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/adafisher-go/adafisher/examples/internal/cli"
	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/examples/service/harness"
	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/nn/data/digits"
)

func main() {
	// What this program's own collector takes from the processors would count as the
	// service's: it runs when there is much to collect.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(512 << 20)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
	}
	os.Exit(cli.Status(err))
}

const about = `load asks a service for predictions at a given rate, while it learns, and prints how
long the answers took, from the moments at which the requests were due.`

// load is one test.
type load struct {
	rate        float64 // requests a second
	seconds     int
	connections int
	rows        int // inputs of a request
	lessons     int // examples a second

	client   *api.Client
	address  string
	requests [][]byte // to send over and over, laid out
	teaching [][]byte // lessons
}

// together is how many examples a lesson has.
const together = 16

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := cli.New("load", about)
	base := f.String("url", "", "`address` of a service on this machine; without it, one is built and started")
	rate := f.Positive("rate", 100_000, "`number` of requests a second; without it, half of what the service can answer while it learns, which is measured first")
	seconds := f.Int("seconds", 10, 1, 600, "`seconds` of the test")
	connections := f.Int("connections", 16, 1, 1024, "`number` of requests in progress, at most")
	rows := f.Int("rows", 1, 1, 256, "`number` of inputs in a request")
	lessons := f.Int("learn", 320, 0, 100_000, "`number` of examples a second to teach")
	token := f.String("token", os.Getenv("ADAFISHER_SERVICE_TOKEN"), "bearer `token` for teaching; by default that of the environment")
	asJSON := f.Bool("json", "print JSON in place of the table")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return f.Usage(stdout)
		}
		return err
	}
	if *base == "" {
		process, cleanup, err := startOwn(ctx)
		if err != nil {
			return err
		}
		defer cleanup()
		*base, *token = process.URL, harness.Token
	}
	if err := harness.CheckLoopback(*base); err != nil {
		return err
	}
	set, err := digits.Load("")
	if err != nil {
		return err
	}
	l := &load{rate: *rate, seconds: *seconds, connections: *connections, rows: *rows, lessons: *lessons}
	if err := l.layOut(*base, *token, set); err != nil {
		return err
	}
	l.client = api.NewClient(*base, *token, *connections+2)
	defer l.client.Close()
	if err := l.client.Ready(ctx); err != nil {
		return err
	}
	learning, stopLearning := context.WithCancel(ctx)
	defer stopLearning()
	taught := make(chan error, 1)
	go func() { taught <- l.teach(learning) }()
	if l.rate == 0 {
		most, err := l.capacity(ctx)
		if err != nil {
			return err
		}
		l.rate = most / 2
		fmt.Fprintf(stderr, "The service answers %.0f requests a second while it learns: the test has %.0f.\n", most, l.rate)
	}
	r, err := l.test(ctx)
	if err != nil {
		return err
	}
	stopLearning()
	if err := <-taught; err != nil {
		r.Refused["learning: "+reason(err)]++
	}
	if *asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return r.table(stdout)
}

// startOwn builds a service, and starts it with an untrained model.
func startOwn(ctx context.Context) (*harness.Process, func(), error) {
	dir, err := os.MkdirTemp("", "load")
	if err != nil {
		return nil, nil, err
	}
	program, err := harness.Build(ctx, dir)
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	process, err := harness.Start(program)
	if err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return process, func() { process.Kill(); os.RemoveAll(dir) }, nil
}

// layOut makes all requests and lessons, before any is sent.
func (l *load) layOut(base, token string, set data.Samples) error {
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	l.address = u.Host
	stream, images, err := digits.Split(set, false)
	if err != nil {
		return err
	}
	for first := range images.Len() {
		var p api.Predict
		for r := range l.rows {
			at := (first*l.rows + r) % images.Len()
			p.Inputs = append(p.Inputs, images.X[64*at:][:64])
		}
		request, err := layOut(base, "/v1/predict", "", p)
		if err != nil {
			return err
		}
		l.requests = append(l.requests, request)
	}
	for first := 0; first < stream.Len(); first += together {
		var p api.Learn
		for r := range together {
			at := (first + r) % stream.Len()
			p.Examples = append(p.Examples, api.Example{Input: stream.X[64*at:][:64], Label: &stream.Labels[at]})
		}
		lesson, err := layOut(base, "/v1/learn", token, p)
		if err != nil {
			return err
		}
		l.teaching = append(l.teaching, lesson)
	}
	return nil
}

// capacity returns how many requests a second the service answers, while it learns, when
// each connection sends the next request after an answer, over two seconds.
func (l *load) capacity(ctx context.Context) (float64, error) {
	const seconds = 2
	end := time.Now().Add(seconds * time.Second)
	var answered atomic.Int64
	var wg sync.WaitGroup
	for worker := range l.connections {
		wg.Go(func() {
			w := wire{ctx: ctx, address: l.address, deadline: end}
			defer w.close()
			for i := worker; time.Now().Before(end) && ctx.Err() == nil; i += l.connections {
				if w.ask(l.requests[i%len(l.requests)]) == nil {
					answered.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if answered.Load() == 0 {
		return 0, errors.New("the service answers nothing")
	}
	return float64(answered.Load()) / seconds, nil
}

// result is what a test gave.
type result struct {
	Rate         float64          `json:"rate"` // asked for, a second
	Seconds      float64          `json:"seconds"`
	Connections  int              `json:"connections"`
	Rows         int              `json:"rows"`
	Processors   int              `json:"processors"`
	Answered     int64            `json:"answered"`
	Refused      map[string]int64 `json:"refused"`
	AnsweredRate float64          `json:"answered_rate"`
	Due          times            `json:"milliseconds_from_due"`
	Sent         times            `json:"milliseconds_from_sent"`
	Own          times            `json:"milliseconds_client_late"` // when it could have sent: counts in Due
	Examples     uint64           `json:"examples_learnt"`
	Steps        uint64           `json:"steps"`
	Versions     uint64           `json:"versions"`
	Pauses       *pauses          `json:"gc_pauses,omitempty"`
	Stopping     *pauses          `json:"gc_stopping,omitempty"` // of the pauses, until nothing ran
}

// times are percentiles, in milliseconds.
type times struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

func timesOf(h *hdrhistogram.Histogram) times {
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	return times{at(50), at(90), at(99), at(99.9), float64(h.Max()) / 1000}
}

// longest is the longest time that the histograms have room for, in
// microseconds.
const longest = int64(time.Minute / time.Microsecond)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, 3) }

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 1), longest)) // always in range
}

// test sends the requests.
func (l *load) test(ctx context.Context) (*result, error) {
	before, err := l.client.Model(ctx)
	if err != nil {
		return nil, err
	}
	pausesBefore, stoppingBefore := l.pauses(ctx)
	start := time.Now()
	end := start.Add(time.Duration(l.seconds) * time.Second)
	late := end.Add(30 * time.Second) // requests due at the end have time to be answered

	due, sent, own := newHistogram(), newHistogram(), newHistogram()
	refused := make(map[string]int64)
	var mu sync.Mutex // of these four
	free := make(chan *wire, l.connections)
	var wg sync.WaitGroup
	for range l.connections {
		w := &wire{ctx: ctx, address: l.address, deadline: late, sent: make(chan asked, 1)}
		wg.Go(func() {
			defer w.close()
			w.follow(free, func(r asked, err error) {
				now := time.Now()
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					refused[reason(err)]++
					return
				}
				record(due, now.Sub(r.due))
				record(sent, now.Sub(r.began))
				record(own, r.began.Sub(r.could))
			})
		})
	}
	l.send(ctx, start, end, free)
	wg.Wait()
	elapsed := time.Since(start).Seconds()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	after, err := l.client.Model(ctx)
	if err != nil {
		return nil, err
	}
	pauses, stopping := l.pauses(ctx)
	return &result{
		Rate:         l.rate,
		Seconds:      elapsed,
		Connections:  l.connections,
		Rows:         l.rows,
		Processors:   runtime.NumCPU(),
		Answered:     due.TotalCount(),
		Refused:      refused,
		AnsweredRate: float64(due.TotalCount()) / elapsed,
		Due:          timesOf(due),
		Sent:         timesOf(sent),
		Own:          timesOf(own),
		Examples:     after.Learning.Examples - before.Learning.Examples,
		Steps:        after.Learning.Steps - before.Learning.Steps,
		Versions:     after.Version - before.Version,
		Pauses:       pauses.since(pausesBefore),
		Stopping:     stopping.since(stoppingBefore),
	}, nil
}

// send sends requests at moments that are drawn whether or not those before are answered,
// over connections that are free, and ends these when all is answered.
func (l *load) send(ctx context.Context, start, end time.Time, free <-chan *wire) {
	defer onTime()()
	random := rand.New(rand.NewPCG(1, 1))
	moment, mean := start, float64(time.Second)/l.rate
	for number := 1; ctx.Err() == nil; number++ {
		moment = moment.Add(time.Duration(random.ExpFloat64() * mean))
		if moment.After(end) {
			break
		}
		sleepUntil(ctx, moment)
		(<-free).send(l.requests[number%len(l.requests)], moment)
	}
	for range l.connections {
		(<-free).end()
	}
}

// reason is why a request has no answer.
func reason(err error) string {
	var r *api.Refused
	if errors.As(err, &r) {
		return r.Failure.Error.Code
	}
	return "no answer"
}

// teach brings examples, some at a time, until ctx is done.
func (l *load) teach(ctx context.Context) error {
	if l.lessons == 0 {
		return nil
	}
	w := wire{ctx: ctx, address: l.address}
	defer w.close()
	tick := time.NewTicker(together * time.Second / time.Duration(l.lessons))
	defer tick.Stop()
	for next := 0; ; next = (next + 1) % len(l.teaching) {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var r *api.Refused
		if err := w.ask(l.teaching[next]); err != nil && ctx.Err() == nil && !(errors.As(err, &r) && r.Status == http.StatusTooManyRequests) {
			return err
		}
	}
}

// table prints the result for people.
func (r *result) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "milliseconds\tp50\tp90\tp99\tp99.9\tmax\t\n")
	for _, line := range []struct {
		name string
		times
	}{{"from when due", r.Due}, {"from when sent", r.Sent}, {"client late", r.Own}} {
		fmt.Fprintf(t, "%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t\n", line.name, line.P50, line.P90, line.P99, line.P999, line.Max)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	rows := "one input each"
	if r.Rows > 1 {
		rows = fmt.Sprintf("%d inputs each", r.Rows)
	}
	fmt.Fprintf(w, "\n%d requests of %s in %.1f s, %.0f a second of %.0f due, over %d connections on %d processors.\n",
		r.Answered, rows, r.Seconds, r.AnsweredRate, r.Rate, r.Connections, r.Processors)
	fmt.Fprintf(w, "Meanwhile %d examples were learnt in %d steps, and %d versions published.\n", r.Examples, r.Steps, r.Versions)
	if r.Pauses != nil && r.Stopping != nil {
		fmt.Fprintf(w, "The garbage collector stopped the service %d times: p99 at most %.3f ms, of it at most %.3f ms until all stood still.\n", r.Pauses.Count, r.Pauses.P99, r.Stopping.P99)
	}
	var reasons []string
	for reason, n := range r.Refused {
		reasons = append(reasons, fmt.Sprintf("%d %s", n, reason))
	}
	sort.Strings(reasons)
	if len(reasons) == 0 {
		reasons = []string{"none"}
	}
	_, err := fmt.Fprintf(w, "Requests without an answer: %s.\n", strings.Join(reasons, ", "))
	return err
}
