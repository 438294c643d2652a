package main

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/examples/service/api"
)

// TestLoad builds a service and runs a short test on it.
func TestLoad(t *testing.T) {
	var out, errs strings.Builder
	require.NoError(t, run(t.Context(), []string{"-seconds", "2", "-rate", "40", "-connections", "4", "-rows", "3", "-json"}, &out, &errs))
	var r result
	require.NoError(t, json.Unmarshal([]byte(out.String()), &r))
	require.InDelta(t, 80, r.Answered, 40)
	require.Empty(t, r.Refused)
	require.Positive(t, r.Examples)
	require.Positive(t, r.Due.P50)
	require.LessOrEqual(t, r.Due.P50, r.Due.P999)
	require.GreaterOrEqual(t, r.Due.Max, r.Sent.P50)
	require.Empty(t, errs.String())
	var table strings.Builder
	require.NoError(t, r.table(&table))
	require.Contains(t, table.String(), "requests of 3 inputs each")
}

// TestStallsCount has a service that stops for a moment. All requests that were
// due meanwhile must be seen to have waited, although few were sent.
func TestStallsCount(t *testing.T) {
	const stall = 500 * time.Millisecond
	var count atomic.Int64
	gate := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/predict" {
			gate <- struct{}{}
			if count.Add(1) == 50 {
				time.Sleep(stall)
			}
			<-gate
			_ = json.NewEncoder(w).Encode(api.Predictions{})
			return
		}
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()
	var out, errs strings.Builder
	require.NoError(t, run(t.Context(), []string{"-url", server.URL, "-seconds", "2", "-rate", "200", "-connections", "2", "-learn", "0", "-json"}, &out, &errs))
	var r result
	require.NoError(t, json.Unmarshal([]byte(out.String()), &r))
	require.Greater(t, r.Answered, int64(200))
	require.Greater(t, r.Due.P90, 100.0, "a quarter of the time was the stall")
	require.Less(t, r.Sent.P90, r.Due.P90)
}

// TestRefusals: those of the service are counted by their codes, and a connection that
// it ends is followed by another.
func TestRefusals(t *testing.T) {
	var count atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/predict" {
			_, _ = io.WriteString(w, "{}")
			return
		}
		switch count.Add(1) % 4 {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(api.Failure{Error: api.Error{Code: "overloaded"}})
		default:
			_ = json.NewEncoder(w).Encode(api.Predictions{})
		}
	}))
	defer server.Close()
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"-url", server.URL, "-seconds", "1", "-rate", "200", "-connections", "2", "-learn", "0", "-json"}, &out, io.Discard))
	var r result
	require.NoError(t, json.Unmarshal([]byte(out.String()), &r))
	n := count.Load()
	require.Equal(t, map[string]int64{"overloaded": (n + 3) / 4, "no answer": n / 4}, r.Refused)
	require.Equal(t, n-(n+3)/4-n/4, r.Answered)
}

// TestEndedInARequest: a service that doesn't answer keeps nobody who wants to end.
func TestEndedInARequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer server.Close()
	w := wire{ctx: ctx, address: server.Listener.Addr().String(), deadline: time.Now().Add(time.Hour)}
	request, err := layOut(server.URL, "/", "", "?")
	require.NoError(t, err)
	require.ErrorIs(t, w.ask(request), net.ErrClosed)
}

func TestErrors(t *testing.T) {
	for args, want := range map[string]string{
		"-url http://192.0.2.1:80":   "want an address of the loopback interface",
		"-url http://example.com":    "want an address of the loopback interface",
		"-url ftp://127.0.0.1":       "want an address that begins with http://",
		"-url http://127.0.0.1:1":    "connection refused",
		"-seconds 601":               "want an integer from 1 to 600",
		"-rate 1e6 -url http://[::1": "want a number above 0, at most 100000",
	} {
		require.ErrorContains(t, run(t.Context(), strings.Fields(args), io.Discard, io.Discard), want)
	}
}

func TestPauses(t *testing.T) {
	text := []byte("# TYPE p histogram\np_bucket{le=\"0.001\"} 3\np_bucket{le=\"+Inf\"} 4\np_count 4\nq_bucket{le=\"0.1\"} 1\n")
	require.Equal(t, &pauses{ends: []float64{1e-3, math.Inf(1)}, counts: []int64{3, 4}}, histogram(text, "p"))
	require.Nil(t, histogram(text, "r"))
	before := &pauses{ends: []float64{1e-5, 1e-4, 1e-3}, counts: []int64{1, 5, 5}}
	after := &pauses{ends: before.ends, counts: []int64{95, 104, 106}}
	got := after.since(before)
	require.EqualValues(t, 101, got.Count)
	require.InDelta(t, 1, got.P99, 1e-9)
	require.Zero(t, before.since(before).P99)
	require.Nil(t, (*pauses)(nil).since(before))
}
