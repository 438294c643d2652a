package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn/serve"
)

// A refusal is an error with what a client is told.
type refusal struct {
	status   int
	code     string
	message  string
	accepted int
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

//go:embed page
var page embed.FS

// handler returns all routes.
func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(method, path string, h http.HandlerFunc) {
		mux.HandleFunc(method+" "+path, h)
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", method)
			s.fail(w, refuse(http.StatusMethodNotAllowed, "method_not_allowed", "want %s", method))
		})
	}
	route := func(method, path string, h func(w http.ResponseWriter, r *http.Request) error) {
		h = s.measured(path, h)
		handle(method, path, func(w http.ResponseWriter, r *http.Request) { _ = h(w, r) })
	}
	route(http.MethodPost, "/v1/predict", s.limited(s.predict))
	route(http.MethodPost, "/v1/learn", s.authorized(s.limited(s.teach)))
	route(http.MethodGet, "/v1/model", s.describe)
	route(http.MethodGet, "/v1/weights", s.weights)
	route(http.MethodGet, "/v1/history", s.recent)
	route(http.MethodGet, "/v1/example", s.example)
	route(http.MethodGet, "/v1/lesson", s.lesson)
	route(http.MethodGet, "/healthz", s.healthz)
	route(http.MethodGet, "/readyz", s.readyz)
	// Not compressed: that would take 0.8 MiB, several times what it works on.
	metrics := promhttp.HandlerOpts{MaxRequestsInFlight: 4, DisableCompression: true}
	handle(http.MethodGet, "/metrics", promhttp.HandlerFor(s.metrics.registry, metrics).ServeHTTP)

	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the directory is in the program
	}
	static := http.FileServerFS(files)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.fail(w, refuse(http.StatusNotFound, "not_found", "there is nothing at this path"))
	})
	show := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		static.ServeHTTP(w, r)
	}
	handle(http.MethodGet, "/{$}", show)
	for _, name := range []string{"/page.js", "/style.css"} {
		handle(http.MethodGet, name, show)
	}
	return mux
}

// measured answers errors, and measures how long it takes.
func (s *service) measured(path string, h func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	seconds := s.metrics.seconds.MustCurryWith(map[string]string{"path": path})
	return func(w http.ResponseWriter, r *http.Request) error {
		start := time.Now()
		status := http.StatusOK
		err := h(w, r)
		if err != nil {
			status = s.fail(w, err)
		}
		elapsed := time.Since(start)
		seconds.WithLabelValues(strconv.Itoa(status)).Observe(elapsed.Seconds())
		if path == "/v1/predict" && err == nil {
			s.history.latencies.add(elapsed)
		}
		return err
	}
}

// fail answers with an error, as JSON, and returns its status.
func (s *service) fail(w http.ResponseWriter, err error) int {
	var r *refusal
	if !errors.As(err, &r) {
		s.log.Error("request failed", "error", err)
		r = refuse(http.StatusInternalServerError, "internal", "the service failed")
	}
	s.metrics.refusals.WithLabelValues(r.code).Inc()
	if r.status == http.StatusServiceUnavailable || r.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	answer(w, r.status, api.Failure{Error: api.Error{Code: r.code, Message: r.message}, Accepted: r.accepted})
	return r.status
}

// answer writes v as JSON. An error is that v has none, and nothing is written; whether
// the client has gone is not its business.
func answer(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
	_, _ = io.WriteString(w, "\n")
	return nil
}

// limited hands on the bodies of requests, and refuses what is too much: of a body,
// and of requests that are worked on at the same time. A client that is slow to send
// its body holds up nobody's work.
func (s *service) limited(h func(w http.ResponseWriter, work *scratch) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		work := s.scratch.get()
		defer s.scratch.put(work)
		if err := s.receive(work, w, r); err != nil {
			return err
		}
		select {
		case s.slots <- struct{}{}:
		default:
			return refuse(http.StatusServiceUnavailable, "overloaded", "%d requests are in progress, the most there may be", cap(s.slots))
		}
		defer func() { <-s.slots }()
		return h(w, work)
	}
}

// receive reads the body of a request. Where too many arrive at the same time it gives
// up the one that began first.
func (s *service) receive(work *scratch, w http.ResponseWriter, r *http.Request) error {
	controller := http.NewResponseController(w)
	s.arriving.see(controller)
	err := work.read(http.MaxBytesReader(w, r.Body, s.limits.body))
	stayed := s.arriving.leave(controller)
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "body_too_large", "the body has more than %d bytes", tooLarge.Limit)
	case !stayed:
		return refuse(http.StatusRequestTimeout, "too_slow", "%d requests that began later are arriving, the most there may be", s.arriving.room)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, "timeout", "the body took longer than %v", s.limits.timeout)
	}
	return refuse(http.StatusBadRequest, "malformed", "%v", err)
}

// authorized demands the token.
func (s *service) authorized(h func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if s.token == "" {
			return refuse(http.StatusForbidden, "learning_disabled", "the service takes no examples: it was started without %s", tokenVariable)
		}
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		digest := sha256.Sum256([]byte(given))
		if !ok || subtle.ConstantTimeCompare(digest[:], s.digest[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			return refuse(http.StatusUnauthorized, "unauthorized", "want the header Authorization: Bearer, with the token of the service")
		}
		return h(w, r)
	}
}

func (s *service) checkRows(n int) error {
	if n > s.limits.rows {
		return refuse(http.StatusRequestEntityTooLarge, "too_many_rows", "%d rows: want at most %d in one request", n, s.limits.rows)
	}
	return nil
}

// scratch is the memory of one request.
type scratch struct {
	body []byte
	x, y []float32
}

// read reads a body to its end. It has little more memory than what has arrived: many
// that are slow may be on their way.
func (s *scratch) read(r io.Reader) error {
	for s.body = s.body[:0]; ; {
		if len(s.body) == cap(s.body) {
			s.body = slices.Grow(s.body, max(512, len(s.body)/4))
		}
		n, err := r.Read(s.body[len(s.body):cap(s.body)])
		s.body = s.body[:len(s.body)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

type scratchPool struct{ pool sync.Pool }

func (p *scratchPool) get() *scratch {
	if s, ok := p.pool.Get().(*scratch); ok {
		return s
	}
	return new(scratch)
}

// put keeps s for another request, unless its body was so large that most would waste it.
func (p *scratchPool) put(s *scratch) {
	const usual = 16 << 10
	if cap(s.body) <= usual {
		p.pool.Put(s)
	}
}

func (s *service) predict(w http.ResponseWriter, work *scratch) error {
	var request api.Predict
	if err := api.Read(work.body, &request); err != nil {
		return refuse(http.StatusBadRequest, "malformed", "%v", err)
	}
	inputs, err := request.All()
	if err != nil {
		return refuse(http.StatusBadRequest, "malformed", "%v", err)
	}
	if err := s.checkRows(len(inputs)); err != nil {
		return err
	}
	in, out := s.model.In(), s.model.Out()
	x := work.x[:0]
	for i, input := range inputs {
		if len(input) != in {
			return refuse(http.StatusUnprocessableEntity, "wrong_shape", "input %d has %d numbers: want %d", i, len(input), in)
		}
		x = append(x, input...)
	}
	y := slices.Grow(work.y[:0], len(inputs)*out)[:len(inputs)*out]
	work.x, work.y = x, y
	version, err := s.predictor.Predict(y, x)
	if err != nil {
		return err
	}
	reply := api.Predictions{Version: version, Predictions: make([]api.Prediction, len(inputs))}
	for i := range inputs {
		p := y[i*out:][:out]
		kernels.Softmax(p, p)
		if !kernels.AllFinite(p) {
			return refuse(http.StatusUnprocessableEntity, "not_finite", "input %d has numbers too large for the model: its outputs are not finite", i)
		}
		reply.Predictions[i] = api.Prediction{Class: kernels.ArgMax(p), Probabilities: p}
	}
	return answer(w, http.StatusOK, reply)
}

func (s *service) teach(w http.ResponseWriter, work *scratch) error {
	var request api.Learn
	if err := api.Read(work.body, &request); err != nil {
		return refuse(http.StatusBadRequest, "malformed", "%v", err)
	}
	examples, err := request.All()
	if err != nil {
		return refuse(http.StatusBadRequest, "malformed", "%v", err)
	}
	if err := s.checkRows(len(examples)); err != nil {
		return err
	}
	for i, e := range examples {
		err := s.learner.Learn(e.Input, *e.Label)
		if err == nil {
			continue
		}
		place := request.Place(i)
		refused := refuse(http.StatusUnprocessableEntity, "bad_example", "%s%v", place, s.wrongWith(e, err))
		switch {
		case errors.Is(err, serve.ErrFull):
			refused = refuse(http.StatusTooManyRequests, "queue_full", "%s%d others wait to be learnt", place, s.queue)
		case errors.Is(err, serve.ErrStopped):
			refused = refuse(http.StatusServiceUnavailable, "stopping", "the service is shutting down")
		}
		refused.accepted = i
		return refused
	}
	return answer(w, http.StatusAccepted, api.Accepted{Accepted: len(examples)})
}

// wrongWith says for a client why the learner refused an example.
func (s *service) wrongWith(e api.Example, err error) string {
	switch in, classes := s.model.In(), s.model.Out(); {
	case len(e.Input) != in:
		return fmt.Sprintf(`"input" has %d numbers: want %d`, len(e.Input), in)
	case *e.Label < 0 || *e.Label >= classes:
		return fmt.Sprintf(`"label" is %d: want an integer from 0 to %d`, *e.Label, classes-1)
	}
	return err.Error()
}

func (s *service) describe(w http.ResponseWriter, _ *http.Request) error {
	published, stats := s.predictor.Published(), s.learner.Stats()
	return answer(w, http.StatusOK, api.Model{
		Version:    s.predictor.Version(),
		Published:  published,
		AgeSeconds: time.Since(published).Seconds(),
		Parameters: s.model.NumParams(),
		Inputs:     s.model.In(),
		Classes:    s.model.Out(),
		Summary:    s.model.Summary(),
		Level:      kernels.CurrentLevel().String(),
		Learning: api.Learning{
			Enabled:            s.token != "",
			Queued:             stats.Queued,
			Refused:            stats.Refused,
			QueueFull:          stats.Full,
			Examples:           stats.Examples,
			Steps:              stats.Steps,
			Published:          stats.Published,
			Rollbacks:          stats.Rollbacks,
			ValidationLoss:     stats.ValidationLoss,
			ValidationAccuracy: stats.ValidationAccuracy,
		},
		Checkpoint: s.store.last.Load(),
	})
}

// weights answers with the newest version as a safetensors file, and its number in
// a header.
func (s *service) weights(w http.ResponseWriter, _ *http.Request) error {
	var file bytes.Buffer
	s.exportMu.Lock()
	version, err := s.predictor.CopyTo(s.exported)
	if err == nil {
		err = s.exported.WriteSafetensors(&file)
	}
	s.exportMu.Unlock()
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(file.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set(api.VersionHeader, strconv.FormatUint(version, 10))
	_, _ = w.Write(file.Bytes())
	return nil
}

func (s *service) recent(w http.ResponseWriter, r *http.Request) error {
	since, err := parseQuery(r, "since", math.MaxUint64)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, api.History{Started: s.history.started, Points: s.history.after(since)})
}

// example answers with an image of the held-out set, as the body of a prediction.
func (s *service) example(w http.ResponseWriter, r *http.Request) error {
	i, err := parseQuery(r, "index", uint64(s.held.Len()-1))
	if err != nil {
		return err
	}
	in := s.model.In()
	return answer(w, http.StatusOK, api.Predict{Input: s.held.X[int(i)*in:][:in]})
}

// lesson answers with an image of the stream and its label, as the body of a lesson.
func (s *service) lesson(w http.ResponseWriter, r *http.Request) error {
	i, err := parseQuery(r, "index", uint64(s.stream.Len()-1))
	if err != nil {
		return err
	}
	in := s.model.In()
	return answer(w, http.StatusOK, api.Example{Input: s.stream.X[int(i)*in:][:in], Label: &s.stream.Labels[i]})
}

func parseQuery(r *http.Request, name string, last uint64) (uint64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > last {
		return 0, refuse(http.StatusBadRequest, "malformed", "query parameter %s is %.40q: want an integer from 0 to %d", name, text, last)
	}
	return n, nil
}

func (s *service) healthz(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *service) readyz(w http.ResponseWriter, _ *http.Request) error {
	if err := s.ready(); err != nil {
		return refuse(http.StatusServiceUnavailable, "not_ready", "%v", err)
	}
	return answer(w, http.StatusOK, map[string]string{"status": "ready"})
}
