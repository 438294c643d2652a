package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/examples/service/harness"
)

// predict asks for one to four images at a time, and has each answer judged.
func (l *life) predict(ctx context.Context, worker uint64) {
	client := api.NewClient(l.process.URL, "", 1)
	defer client.Close()
	random := rand.New(rand.NewPCG(l.seed, 100+worker))
	last := uint64(0)
	for ctx.Err() == nil {
		var images []int
		var request api.Predict
		for range 1 + random.IntN(4) {
			i := random.IntN(l.images.Len())
			images = append(images, i)
			request.Inputs = append(request.Inputs, l.images.X[64*i:][:64])
		}
		answer, err := client.Predict(ctx, request)
		switch {
		case err != nil:
			if ctx.Err() == nil {
				l.failed("prediction", err)
			}
		case len(answer.Predictions) != len(images):
			l.fault("%d predictions for %d images", len(answer.Predictions), len(images))
		case answer.Version < last:
			l.fault("version %d after version %d", answer.Version, last)
		default:
			last = answer.Version
			l.count("predictions answered")
			for i, p := range answer.Predictions {
				l.judge.answer(answer.Version, images[i], p)
			}
		}
		pause(ctx, time.Duration(random.IntN(8))*time.Millisecond)
	}
}

// teach brings examples, now and then more than there is room for, and bad ones
// among them.
func (l *life) teach(ctx context.Context) {
	client := api.NewClient(l.process.URL, harness.Token, 1)
	defer client.Close()
	random := rand.New(rand.NewPCG(l.seed, 200))
	for ctx.Err() == nil {
		n, bad := 8, random.IntN(40) == 0
		if random.IntN(60) == 0 {
			n = 250
		}
		var lesson api.Learn
		for range n {
			i := random.IntN(l.stream.Len())
			lesson.Examples = append(lesson.Examples, api.Example{Input: l.stream.X[64*i:][:64], Label: &l.stream.Labels[i]})
		}
		if bad {
			wrong := 10 + random.IntN(10)
			lesson.Examples[n-1].Label = &wrong
		}
		accepted, err := client.Learn(ctx, lesson)
		var r *api.Refused
		switch {
		case err == nil && bad:
			l.fault("an example with a label out of range was accepted")
		case err == nil:
			l.add("examples accepted", accepted.Accepted)
		case errors.As(err, &r):
			l.add("examples accepted", r.Accepted)
			l.failed("lesson", err, "queue_full", tooSlow, map[bool]string{true: "bad_example"}[bad])
		case ctx.Err() == nil:
			l.failed("lesson", err)
		}
		pause(ctx, 4*time.Millisecond)
	}
}

// attack sends what no client should.
func (l *life) attack(ctx context.Context, worker uint64) {
	random := rand.New(rand.NewPCG(l.seed, 300+worker))
	client := http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		if random.IntN(4) == 0 {
			l.rawAttack(ctx, random)
		} else {
			l.httpAttack(ctx, &client, random)
		}
		pause(ctx, time.Duration(random.IntN(10))*time.Millisecond)
	}
}

// image is a good input as JSON.
var image = "[" + strings.TrimSuffix(strings.Repeat("0.25,", 64), ",") + "]"

// hostile are requests and the code that each must be refused with.
var hostile = []struct{ method, path, token, body, code string }{
	{"POST", "/v1/predict", "", "", "malformed"},
	{"POST", "/v1/predict", "", "{\"input\": [1, 2", "malformed"},
	{"POST", "/v1/predict", "", `{"input": [1, null]}`, "malformed"},
	{"POST", "/v1/predict", "", `{"input": [1e39]}`, "malformed"},
	{"POST", "/v1/predict", "", `{"input": [1, 2]}`, "wrong_shape"},
	{"POST", "/v1/predict", "", strings.Repeat("[", 1000), "malformed"},
	{"POST", "/v1/predict", "", "\x00\xff\xfe", "malformed"},
	{"POST", "/v1/predict", "", `{"input": ` + image + `}` + strings.Repeat(" ", 170<<10), "body_too_large"},
	{"POST", "/v1/predict", "", `{"inputs": [` + strings.TrimSuffix(strings.Repeat("[],", 300), ",") + `]}`, "too_many_rows"},
	{"POST", "/v1/learn", "", `{"input": ` + image + `, "label": 1}`, "unauthorized"},
	{"POST", "/v1/learn", "guess", `{"input": ` + image + `, "label": 1}`, "unauthorized"},
	{"POST", "/v1/learn", harness.Token, `{"input": ` + image + `, "label": 10}`, "bad_example"},
	{"POST", "/v1/learn", harness.Token, `{"input": ` + image + `, "label": "1"}`, "malformed"},
	{"POST", "/v1/learn", harness.Token, `{"input": ` + image + `}`, "malformed"},
	{"GET", "/v1/learn", harness.Token, "", "method_not_allowed"},
	{"PUT", "/v1/model", "", "{}", "method_not_allowed"},
	{"GET", "/v1/../../etc/passwd", "", "", "not_found"},
	{"GET", "/" + strings.Repeat("a", 4000), "", "", "not_found"},
}

func (l *life) httpAttack(ctx context.Context, client *http.Client, random *rand.Rand) {
	h := hostile[random.IntN(len(hostile))]
	request, err := http.NewRequestWithContext(ctx, h.method, l.process.URL+h.path, strings.NewReader(h.body))
	if err != nil {
		l.fault("%v", err)
		return
	}
	if h.token != "" {
		request.Header.Set("Authorization", "Bearer "+h.token)
	}
	response, err := client.Do(request)
	if err != nil {
		if ctx.Err() == nil {
			l.failed("hostile request", err)
		}
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		if ctx.Err() == nil {
			l.failed("hostile request", err)
		}
		return
	}
	want := fmt.Sprintf(`{"error":{"code":%q,`, h.code)
	switch {
	case strings.HasPrefix(string(body), want):
		l.count("hostile requests refused: " + h.code)
	case len(h.body) > 100<<10 && strings.Contains(string(body), fmt.Sprintf(`"code":%q`, tooSlow)):
		l.count("hostile requests refused: " + tooSlow)
	default:
		l.fault("%s %.60s %.60q: got %d %.200s, want %s", h.method, h.path, h.body, response.StatusCode, body, h.code)
	}
}

// halfSent is a request that promises more than it brings.
const halfSent = "POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{\"input\": ["

// tooSlow is what a large body may be on a machine that stops for a moment, while
// many others arrive.
const tooSlow = "too_slow"

// flood holds more half-sent requests than the service has places for. No prediction
// may be refused for them.
func (l *life) flood(ctx context.Context) {
	const most = 16*concurrency + 50
	var all []net.Conn // the oldest first
	defer func() {
		for _, c := range all {
			c.Close()
		}
	}()
	for ctx.Err() == nil {
		c := l.dial(ctx)
		if c == nil {
			return
		}
		_, _ = io.WriteString(c, halfSent)
		l.count("half-sent requests")
		if all = append(all, c); len(all) <= most {
			continue
		}
		var answer [500]byte
		_ = all[0].SetReadDeadline(time.Now().Add(time.Millisecond))
		n, _ := all[0].Read(answer[:])
		for _, code := range []string{tooSlow, "timeout"} {
			if strings.Contains(string(answer[:n]), fmt.Sprintf(`"code":%q`, code)) {
				l.count("half-sent requests refused: " + code)
			}
		}
		all[0].Close()
		all = all[1:]
		pause(ctx, time.Millisecond)
	}
}

// dial opens a connection, which leaves nothing behind when it is closed: there are
// many of them.
func (l *life) dial(ctx context.Context) net.Conn {
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(l.process.URL, "http://"), 5*time.Second)
	if err != nil {
		if ctx.Err() == nil {
			l.failed("hostile connection", err)
		}
		return nil
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	return c
}

// rawAttack speaks no HTTP, or half of it.
func (l *life) rawAttack(ctx context.Context, random *rand.Rand) {
	connection := l.dial(ctx)
	if connection == nil {
		return
	}
	defer connection.Close()
	switch random.IntN(4) {
	case 0: // noise
		noise := make([]byte, 1+random.IntN(2000))
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		_, _ = connection.Write(noise)
	case 1:
		_, _ = io.WriteString(connection, halfSent)
		pause(ctx, time.Duration(random.IntN(50))*time.Millisecond)
	case 2: // headers without an end
		_, _ = fmt.Fprintf(connection, "GET / HTTP/1.1\r\nHost: x\r\nX: %s", strings.Repeat("x", random.IntN(30_000)))
	case 3: // an answer that nobody reads
		_, _ = fmt.Fprintf(connection, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	l.count("hostile connections")
}
