package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/examples/internal/cli"
	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/kernels"
)

const secret = "correct horse"

func testConfig() config {
	return config{
		seed: 1, batch: 32, queue: 64, publishSteps: 10, publishEvery: time.Second, token: secret,
		limits: limits{body: 64 << 10, rows: 8, concurrency: 4, connections: 64, timeout: 2 * time.Second},
		log:    slog.New(slog.DiscardHandler),
	}
}

func start(t testing.TB, c config) (*service, *httptest.Server) {
	t.Helper()
	s, err := newService(c)
	require.NoError(t, err)
	server := httptest.NewServer(s.handler())
	t.Cleanup(server.Close)
	return s, server
}

// send does one request, and returns status and body.
func send(t testing.TB, server *httptest.Server, method, path, token, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	if token != "" {
		request.Header.Set("Authorization", token)
	}
	response, err := server.Client().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

// image is an input as JSON.
func image(first string) string { return "[" + first + strings.Repeat(",0.5", 63) + "]" }

func TestPredict(t *testing.T) {
	s, server := start(t, testConfig())
	x := s.held.X[:3*64]
	p, err := s.model.NewPredictor(3)
	require.NoError(t, err)
	want, err := p.Predict(x)
	require.NoError(t, err)

	client := api.NewClient(server.URL, "", 1)
	defer client.Close()
	answer, err := client.Predict(t.Context(), api.Predict{Inputs: []api.Vector{x[:64], x[64:128], x[128:]}})
	require.NoError(t, err)
	require.EqualValues(t, 1, answer.Version)
	require.Len(t, answer.Predictions, 3)
	for i, got := range answer.Predictions {
		row := want[10*i:][:10]
		require.Equal(t, kernels.ArgMax(row), got.Class)
		kernels.Softmax(row, row)
		for j, v := range row {
			require.Equal(t, math.Float32bits(v), math.Float32bits(got.Probabilities[j]), "bits survive JSON")
		}
	}
	one, err := client.Predict(t.Context(), api.Predict{Input: x[64:128]})
	require.NoError(t, err)
	require.Equal(t, answer.Predictions[1:2], one.Predictions)

	// An example is the body of a prediction.
	status, body := send(t, server, "GET", "/v1/example?index=1", "", "")
	require.Equal(t, 200, status)
	status, body = send(t, server, "POST", "/v1/predict", "", body)
	require.Equal(t, 200, status)
	var again api.Predictions
	require.NoError(t, json.Unmarshal([]byte(body), &again))
	require.Equal(t, one, again)
}

// TestRefusals sends what a service must not accept. Each gets its code, and the
// service goes on.
func TestRefusals(t *testing.T) {
	s, server := start(t, testConfig())
	rows := func(n int) string {
		return `{"inputs": [` + strings.TrimSuffix(strings.Repeat(image("0")+",", n), ",") + `]}`
	}
	bearer := "Bearer " + secret
	for _, c := range []struct {
		method, path, token, body string
		status                    int
		code, message             string
	}{
		{"POST", "/v1/predict", "", "", 400, "malformed", "the JSON text ends too early"},
		{"POST", "/v1/predict", "", "{", 400, "malformed", "the JSON text ends too early"},
		{"POST", "/v1/predict", "", "[]", 400, "malformed", "the value is list: want an object"},
		{"POST", "/v1/predict", "", "null", 400, "malformed", "want \"input\""},
		{"POST", "/v1/predict", "", "{}", 400, "malformed", "want \"input\", a list of numbers, or"},
		{"POST", "/v1/predict", "", `{"inputs": []}`, 400, "malformed", "want \"input\""},
		{"POST", "/v1/predict", "", `{"input": null}`, 400, "malformed", `"input": want a list of numbers`},
		{"POST", "/v1/predict", "", `{"inputs": [[1], null]}`, 400, "malformed", "input 1: want a list of numbers"},
		{"POST", "/v1/predict", "", `{"input": [1, null]}`, 400, "malformed", `"input": number 1 is "null": want a number`},
		{"POST", "/v1/predict", "", `{"input": ["1"]}`, 400, "malformed", `want a number`},
		{"POST", "/v1/predict", "", `{"input": [[1]]}`, 400, "malformed", "want a number"},
		{"POST", "/v1/predict", "", `{"input": [NaN]}`, 400, "malformed", "invalid character 'N'"},
		{"POST", "/v1/predict", "", `{"input": [1e39]}`, 400, "malformed", "want a number that float32 has room for"},
		{"POST", "/v1/predict", "", `{"input": [1], "inputs": [[1]]}`, 400, "malformed", "both"},
		{"POST", "/v1/predict", "", `{"input": [1], "admin": true}`, 400, "malformed", `there is no member "admin"`},
		{"POST", "/v1/predict", "", `{"input": [1]} {}`, 400, "malformed", "there is more after the JSON value"},
		{"POST", "/v1/predict", "", `{"input": [1]}x`, 400, "malformed", "there is more after the JSON value"},
		{"POST", "/v1/predict", "", `{"input": [1, 2]}`, 422, "wrong_shape", "input 0 has 2 numbers: want 64"},
		{"POST", "/v1/predict", "", `{"input": []}`, 422, "wrong_shape", "input 0 has 0 numbers: want 64"},
		{"POST", "/v1/predict", "", `{"input": ` + image("3e38") + `}`, 200, "", ""},
		{"POST", "/v1/predict", "", `{"input": [` + strings.TrimSuffix(strings.Repeat("3e38,", 64), ",") + `]}`, 422, "not_finite", "its outputs are not finite"},
		{"POST", "/v1/predict", "", rows(8), 200, "", ""},
		{"POST", "/v1/predict", "", rows(9), 413, "too_many_rows", "9 rows: want at most 8"},
		{"POST", "/v1/predict", "", `{"input": [` + strings.Repeat(" ", 64<<10) + `1]}`, 413, "body_too_large", "more than 65536 bytes"},
		{"POST", "/v1/predict", "", strings.Repeat("[", 60000), 400, "malformed", ""},
		{"GET", "/v1/predict", "", "", 405, "method_not_allowed", "want POST"},
		{"DELETE", "/v1/model", "", "", 405, "method_not_allowed", "want GET"},
		{"POST", "/metrics", "", "", 405, "method_not_allowed", "want GET"},
		{"POST", "/", "", "", 405, "method_not_allowed", "want GET"},
		{"DELETE", "/page.js", "", "", 405, "method_not_allowed", "want GET"},
		{"GET", "/index.html", "", "", 404, "not_found", ""},
		{"DELETE", "/index.html", "", "", 404, "not_found", ""},
		{"GET", "/v1/nothing", "", "", 404, "not_found", ""},
		{"GET", "/../service.go", "", "", 404, "not_found", ""},
		{"GET", "/v1/history?since=-1", "", "", 400, "malformed", `query parameter since is "-1"`},
		{"GET", "/v1/example?index=360", "", "", 400, "malformed", "want an integer from 0 to 359"},
		{"GET", "/v1/lesson?index=1437", "", "", 400, "malformed", "want an integer from 0 to 1436"},

		{"POST", "/v1/learn", "", `{"input": ` + image("0") + `, "label": 1}`, 401, "unauthorized", ""},
		{"POST", "/v1/learn", "Bearer wrong", `{"input": ` + image("0") + `, "label": 1}`, 401, "unauthorized", ""},
		{"POST", "/v1/learn", secret, `{"input": ` + image("0") + `, "label": 1}`, 401, "unauthorized", ""},
		{"POST", "/v1/learn", "Bearer ", `{}`, 401, "unauthorized", ""},
		{"POST", "/v1/learn", bearer, `{}`, 400, "malformed", "want \"input\" and \"label\""},
		{"POST", "/v1/learn", bearer, `{"label": 1}`, 422, "bad_example", `"input" has 0 numbers: want 64`},
		{"POST", "/v1/learn", bearer, `{"input": ` + image("0") + `}`, 400, "malformed", `"label" is missing: want an integer, the class of the input`},
		{"POST", "/v1/learn", bearer, `{"input": ` + image("0") + `, "label": null}`, 400, "malformed", `"label" is missing: want an integer, the class of the input`},
		{"POST", "/v1/learn", bearer, `{"input": ` + image("0") + `, "label": 1.5}`, 400, "malformed", `"label" is number 1.5: want an integer`},
		{"POST", "/v1/learn", bearer, `{"input": ` + image("0") + `, "label": 10}`, 422, "bad_example", `"label" is 10: want an integer from 0 to 9`},
		{"POST", "/v1/learn", bearer, `{"input": ` + image("0") + `, "label": -100}`, 422, "bad_example", `"label" is -100: want an integer from 0 to 9`},
		{"POST", "/v1/learn", bearer, `{"input": [1], "label": 1, "examples": []}`, 400, "malformed", "both"},
		{"POST", "/v1/learn", bearer, `{"examples": [{"input": ` + image("0") + `, "label": 11}, {"input": ` + image("0") + `, "label": 1}]}`, 422, "bad_example", `example 0: "label" is 11: want an integer from 0 to 9`},
		{"POST", "/v1/learn", bearer, `{"examples": [{"input": [1, 2], "label": 1}]}`, 422, "bad_example", `example 0: "input" has 2 numbers: want 64`},
		{"POST", "/v1/learn", bearer, `{"examples": [{"input": [1], "label": 1}, {"input": [1]}]}`, 400, "malformed", `example 1: "label" is missing: want an integer`},
	} {
		what := c.method + " " + c.path + " " + c.body[:min(len(c.body), 80)]
		status, body := send(t, server, c.method, c.path, c.token, c.body)
		require.Equal(t, c.status, status, "%s: %s", what, body)
		if c.code == "" {
			continue
		}
		var failure api.Failure
		require.NoError(t, json.Unmarshal([]byte(body), &failure), what)
		require.Equal(t, c.code, failure.Error.Code, what)
		require.Contains(t, failure.Error.Message, c.message, what)
		require.Zero(t, failure.Accepted)
	}
	require.Zero(t, s.learner.Stats().Queued, "nothing was learnt")

	// Without a token in the environment nobody can teach, with whatever token.
	c := testConfig()
	c.token = ""
	_, server = start(t, c)
	for _, token := range []string{"", "Bearer ", bearer} {
		status, body := send(t, server, "POST", "/v1/learn", token, `{"input": `+image("0")+`, "label": 1}`)
		require.Equal(t, 403, status)
		require.Contains(t, body, `"learning_disabled"`)
	}
}

func TestLearn(t *testing.T) {
	s, server := start(t, testConfig())
	client := api.NewClient(server.URL, secret, 1)
	defer client.Close()
	next := 0
	lesson := func(n int) (l api.Learn) {
		for ; n > 0; n-- {
			l.Examples = append(l.Examples, api.Example{Input: s.stream.X[64*next:][:64], Label: &s.stream.Labels[next]})
			next++
		}
		return l
	}

	// The queue of 64 fills, and the rest is refused with how many there was room for.
	for range 10 {
		accepted, err := client.Learn(t.Context(), lesson(6))
		require.NoError(t, err)
		require.Equal(t, 6, accepted.Accepted)
	}
	bad, wrong := lesson(3), 10
	bad.Examples[2].Label = &wrong
	_, err := client.Learn(t.Context(), bad)
	var refused *api.Refused
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 422, refused.Status)
	require.Equal(t, 2, refused.Accepted)
	_, err = client.Learn(t.Context(), lesson(3))
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 429, refused.Status)
	require.Equal(t, "queue_full", refused.Failure.Error.Code)
	require.Equal(t, 2, refused.Accepted)

	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.learn(ctx); err != nil {
			t.Error(err)
		}
	})
	require.Eventually(t, func() bool { return s.learner.Stats().Examples == 64 }, time.Minute, time.Millisecond)
	cancel()
	wg.Wait()
	s.history.add(time.Unix(7, 0))
	_, err = client.Learn(t.Context(), lesson(1))
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "stopping", refused.Failure.Error.Code)

	model, err := client.Model(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, model.Version)
	require.EqualValues(t, 64, model.Learning.Examples)
	require.EqualValues(t, 2, model.Learning.Steps)
	require.EqualValues(t, 1, model.Learning.Refused)
	require.EqualValues(t, 1, model.Learning.QueueFull)
	require.True(t, model.Learning.Enabled)
	require.Equal(t, 17226, model.Parameters)
	require.Equal(t, kernels.CurrentLevel().String(), model.Level)

	_, body := send(t, server, "GET", "/v1/history", "", "")
	var h api.History
	require.NoError(t, json.Unmarshal([]byte(body), &h))
	require.WithinDuration(t, time.Now(), h.Started, time.Minute)
	require.Len(t, h.Points, 1)
	require.EqualValues(t, 64, h.Points[0].Examples)
	require.InDelta(t, 2.3, *h.Points[0].Loss, 0.5)
	require.Nil(t, h.Points[0].P50)
	_, body = send(t, server, "GET", "/v1/history?since=1", "", "")
	require.JSONEq(t, fmt.Sprintf(`{"started": %q, "points": []}`, s.history.started.Format(time.RFC3339Nano)), body)

	status, body := send(t, server, "GET", "/metrics", "", "")
	require.Equal(t, 200, status)
	for _, want := range []string{
		`service_request_seconds_bucket{path="/v1/learn",status="422",le="`, `service_refusals_total{code="queue_full"} 1`,
		"model_version 2", "model_age_seconds ", "learner_steps_total 2", "learner_examples_total 64", "learner_queue_examples 0",
		"learner_validation_loss 2.", "learner_rollbacks_total 0", "go_sched_pauses_total_gc_seconds_bucket",
	} {
		require.Contains(t, body, want)
	}
}

func TestPage(t *testing.T) {
	_, server := start(t, testConfig())
	for path, want := range map[string]string{"/": "<title>AdaFisher service", "/page.js": "'use strict'", "/style.css": ":root"} {
		status, body := send(t, server, "GET", path, "", "")
		require.Equal(t, 200, status)
		require.Contains(t, body, want)
		require.NotContains(t, body, "//cdn")
		require.NotRegexp(t, `(src|href)="(https?:)?//`, body)
	}
}

// TestLesson: what the service has to teach is what it takes, with the right label,
// and not what it asks about.
func TestLesson(t *testing.T) {
	s, server := start(t, testConfig())
	status, lesson := send(t, server, "GET", "/v1/lesson?index=5", "", "")
	require.Equal(t, 200, status)
	var l api.Learn
	require.NoError(t, json.Unmarshal([]byte(lesson), &l))
	require.Equal(t, s.stream.Labels[5], *l.Label)
	require.Equal(t, s.stream.X[5*64:][:64], []float32(l.Input))
	status, body := send(t, server, "POST", "/v1/learn", "Bearer "+secret, lesson)
	require.Equal(t, 202, status, body)
	require.Equal(t, 1, s.learner.Stats().Queued)
}

// TestOverload has as many requests in progress as there may be, and then asks once
// more.
func TestOverload(t *testing.T) {
	s, server := start(t, testConfig())
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	status, body := send(t, server, "POST", "/v1/predict", "", `{"input": `+image("0")+`}`)
	require.Equal(t, 503, status)
	require.Contains(t, body, `"overloaded","message":"4 requests are in progress`)
	status, _ = send(t, server, "GET", "/healthz", "", "")
	require.Equal(t, 200, status, "health does not depend on load")
	for range cap(s.slots) {
		<-s.slots
	}
	status, _ = send(t, server, "POST", "/v1/predict", "", `{"input": `+image("0")+`}`)
	require.Equal(t, 200, status)
}

// TestSlowClients has many times as many clients as the service has places for, all
// of one address, that never send the rest of what they began, and others meanwhile
// that do.
func TestSlowClients(t *testing.T) {
	c := testConfig()
	c.limits.timeout = time.Minute // gives up nobody in this test
	c.limits.connections = 200
	s, err := newService(c)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx, listener) }()
	var all []net.Conn
	hangUp := func() {
		for _, connection := range all {
			connection.Close()
		}
	}
	defer hangUp()
	begin := func(text string) net.Conn {
		connection, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		all = append(all, connection)
		require.NoError(t, connection.SetDeadline(time.Now().Add(time.Minute)))
		_, err = io.WriteString(connection, text)
		require.NoError(t, err)
		return connection
	}
	answer := func(connection net.Conn) string {
		text, err := io.ReadAll(connection)
		require.NoError(t, err)
		return string(text)
	}
	predict := func(times int) {
		client := api.NewClient("http://"+listener.Addr().String(), "", 1)
		defer client.Close()
		for range times {
			if _, err := client.Predict(t.Context(), api.Predict{Input: s.held.X[:64]}); err != nil {
				t.Error(err)
				return
			}
		}
	}

	body := `{"input": ` + image("0") + `}`
	half := fmt.Sprintf("POST /v1/predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:20])
	// arrived waits until so many of the slow requests are with their handlers, which run in
	// no order, or have been refused.
	arrived := func(n int) {
		require.Eventually(t, func() bool {
			seen := s.arriving.size()
			families, err := s.metrics.registry.Gather()
			require.NoError(t, err)
			for _, family := range families {
				if family.GetName() == "service_refusals_total" {
					seen += int(family.GetMetric()[0].GetCounter().GetValue())
				}
			}
			return seen == n
		}, time.Minute, 10*time.Millisecond)
	}
	places := arrivals * c.limits.concurrency
	slow := []net.Conn{begin(half)}
	arrived(1)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { predict(300) })
	}
	for range 3*places/2 - 2 {
		slow = append(slow, begin(half))
	}
	wg.Wait()
	predict(1)
	require.LessOrEqual(t, s.arriving.size(), places)
	require.Contains(t, answer(slow[0]), `{"error":{"code":"too_slow","message":"64 requests that began later are arriving`)
	arrived(len(slow))
	last := begin(half)
	arrived(len(slow) + 1)
	_, err = io.WriteString(last, body[20:])
	require.NoError(t, err)
	require.Contains(t, answer(last), "200 OK", "slow is not yet too slow")

	// Those who owe even the header, or the body of a request that has none, cost a
	// connection each.
	for _, text := range []string{"POST /v1/predict HTTP/1.1\r\nHost: ", "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", ""} {
		first := begin(text)
		for range c.limits.connections {
			begin(text)
		}
		predict(1)
		_, err := io.ReadAll(first)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it was not closed")
		require.LessOrEqual(t, s.open.size(), c.limits.connections)
	}
	hangUp()
	cancel()
	require.NoError(t, <-ended)
	require.Eventually(t, func() bool { return s.open.size() == 0 && s.arriving.size() == 0 }, time.Minute, time.Millisecond)
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestRun runs the program with its demonstration, until it has learnt, and
// stops it with a request in progress.
func TestRun(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	var log lines
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-listen", "127.0.0.1:0", "-demo", "-rate", "5000", "-timeout", "20", "-drain", "1000"}, secret, io.Discard, &log)
	}()
	var base string
	require.Eventually(t, func() bool {
		_, after, found := strings.Cut(log.String(), "url=")
		base, _, _ = strings.Cut(after, "/ ")
		return found
	}, time.Minute, time.Millisecond)
	client := api.NewClient(base, secret, 2)
	defer client.Close()
	require.NoError(t, client.Ready(t.Context()))
	require.Eventually(t, func() bool {
		m, err := client.Model(t.Context())
		return err == nil && m.Learning.ValidationAccuracy > 0.85
	}, time.Minute, 20*time.Millisecond)

	connection, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	require.NoError(t, err)
	defer connection.Close()
	body := `{"input": ` + image("0") + `}`
	_, err = fmt.Fprintf(connection, "POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:20])
	require.NoError(t, err)
	time.Sleep(50 * time.Millisecond)
	cancel()
	var refused *api.Refused
	require.Eventually(t, func() bool { return errors.As(client.Ready(t.Context()), &refused) }, time.Minute, time.Millisecond)
	require.Equal(t, "not_ready", refused.Failure.Error.Code)
	require.Eventually(t, func() bool { // it listens no more
		c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	}, time.Minute, 10*time.Millisecond)
	_, err = connection.Write([]byte(body[20:]))
	require.NoError(t, err)
	answer, err := io.ReadAll(connection)
	require.NoError(t, err)
	require.Contains(t, string(answer), "HTTP/1.1 200 OK", "requests in progress are answered")
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		t.Fatal("the program does not end")
	}
	require.Contains(t, log.String(), "msg=stopped")
	require.NotContains(t, log.String(), "level=ERROR")
	client.Close()
	for patience := time.Now().Add(time.Minute); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(patience), "%d goroutines are left, of %d", runtime.NumGoroutine(), goroutines)
	}
}

func TestRunErrors(t *testing.T) {
	for args, want := range map[string]string{
		"-rate 0":                "want an integer from 1 to 100000",
		"-queue 10":              `invalid value "10" for flag -queue: want at least as many as a training step takes (-batch)`,
		"-listen 256.0.0.1:1":    "256.0.0.1",
		"-listen foo":            `invalid value "foo" for flag -listen: want a host and a port, as 127.0.0.1:8080`,
		"-listen :70000":         `invalid value ":70000" for flag -listen: want a host and a port`,
		"-listen 127.0.0.1:9 -x": "flag provided but not defined: -x",
		"more":                   `unexpected argument "more"`,
	} {
		err := run(t.Context(), strings.Fields(args), "", io.Discard, io.Discard)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "\n")
		require.Equal(t, strings.Contains(args, "256"), cli.Status(err) != 2, args)
	}
	var usage strings.Builder
	require.NoError(t, run(t.Context(), []string{"-help"}, "", &usage, io.Discard))
	require.Contains(t, usage.String(), tokenVariable)
}

func TestLatencies(t *testing.T) {
	var l latencies
	end := 0.0
	for i := range buckets {
		require.Greater(t, upper(i), end)
		end = upper(i)
	}
	for us := range 5_000_000 {
		d := time.Duration(us) * time.Microsecond
		b := bucketOf(d)
		if ms := float64(us) / 1000; ms >= upper(b) || b > 0 && ms < upper(b-1) {
			require.Fail(t, "wrong bucket", "%v is in bucket %d, up to %v ms", d, b, upper(b))
		}
	}
	require.Equal(t, buckets-1, bucketOf(time.Hour))
	require.Zero(t, bucketOf(-1))
	for i := range 100 {
		l.add(time.Duration(i) * time.Millisecond)
	}
	c := l.take()
	require.EqualValues(t, 100, c.total)
	require.InDelta(t, 50, c.quantile(0.5), 7)
	require.InDelta(t, 99, c.quantile(0.99), 13)
	require.Zero(t, l.take())
}

// FuzzRequests sends any body to the routes that read one.
func FuzzRequests(f *testing.F) {
	s, err := newService(testConfig())
	require.NoError(f, err)
	h := s.handler()
	f.Add(true, `{"input": `+image("0")+`}`)
	f.Add(true, `{"inputs": [`+image("-1e-3")+`,`+image("3e38")+`]}`)
	f.Add(false, `{"input": `+image("1")+`, "label": 3}`)
	f.Add(false, `{"examples": [{"input": [1,2,3], "label": -1}, {}]}`)
	f.Add(true, `{"input": [1,,2], "inputs": null}`)
	f.Fuzz(func(t *testing.T, predict bool, body string) {
		path := "/v1/learn"
		if predict {
			path = "/v1/predict"
		}
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Contains(t, []int{200, 202, 400, 413, 422, 429}, w.Code)
		require.True(t, json.Valid(w.Body.Bytes()))
		if w.Code == 200 {
			var p api.Predictions
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
			for _, one := range p.Predictions {
				require.Len(t, one.Probabilities, 10)
				require.True(t, kernels.AllFinite(one.Probabilities))
			}
		}
	})
}
