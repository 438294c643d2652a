package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
)

// teachAll runs the service's learner on the first n images of the stream.
func teachAll(t *testing.T, s *service, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.learn(ctx); err != nil {
			t.Error(err)
		}
	})
	for i := range n {
		for s.learner.Learn(s.stream.X[64*i:][:64], s.stream.Labels[i]) != nil {
			time.Sleep(time.Millisecond)
		}
	}
	require.Eventually(t, func() bool { return s.learner.Stats().Examples == uint64(n) }, time.Minute, time.Millisecond)
	cancel()
	wg.Wait()
}

func TestRecovery(t *testing.T) {
	c := testConfig()
	c.path = filepath.Join(t.TempDir(), "digits.ckpt")
	c.publishSteps = 2
	first, server := start(t, c)
	require.FileExists(t, c.path, "a new service shows at once that it can write")
	teachAll(t, first, 300)
	require.Greater(t, first.predictor.Version(), uint64(3))
	saved := *first.store.last.Load()
	require.Equal(t, first.predictor.Version(), saved.Version)
	client := api.NewClient(server.URL, "", 1)
	defer client.Close()
	model, err := client.Model(t.Context())
	require.NoError(t, err)
	require.Equal(t, saved.SHA256, model.Checkpoint.SHA256)

	// The file holds what was acknowledged, and the next service begins there.
	loaded, err := checkpoint.Load(c.path)
	require.NoError(t, err)
	require.Equal(t, saved.SHA256, api.Digest(&loaded.Content))
	file, err := os.ReadFile(c.path)
	require.NoError(t, err)
	require.Equal(t, saved.SHA256, fmt.Sprintf("%x", sha256.Sum256(file)))
	yesterday := time.Now().AddDate(0, 0, -1).Truncate(time.Second)
	require.NoError(t, os.Chtimes(c.path, time.Time{}, yesterday))
	second, again := start(t, c)
	require.Equal(t, saved.SHA256, second.store.last.Load().SHA256)
	require.True(t, yesterday.Equal(second.store.last.Load().Written), "the start wrote nothing")
	require.Equal(t, first.predictor.Version(), second.predictor.Version())
	require.Equal(t, first.optimizer.State(), second.optimizer.State())

	// Both serve the same weights, which any clone can read.
	clone, err := second.model.Clone()
	require.NoError(t, err)
	for _, s := range []string{server.URL, again.URL} {
		client := api.NewClient(s, "", 1)
		body, header, err := client.Get(t.Context(), "/v1/weights")
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(first.predictor.Version()), header.Get(api.VersionHeader))
		clone.Init(9)
		require.NoError(t, clone.ReadSafetensors(body))
		for i, p := range clone.Params() {
			require.Equal(t, first.model.Params()[i].Value, p.Value)
		}
		client.Close()
	}
}

// TestDamage: a damaged file gives the one before; nothing gives a silent new
// beginning.
func TestDamage(t *testing.T) {
	c := testConfig()
	c.path = filepath.Join(t.TempDir(), "digits.ckpt")
	c.publishSteps, c.saveEvery = 1, time.Nanosecond
	s, _ := start(t, c)
	teachAll(t, s, 200)
	newest, err := checkpoint.Load(c.path)
	require.NoError(t, err)
	whole, err := os.ReadFile(c.path)
	require.NoError(t, err)
	previous, err := os.ReadFile(c.path + ".prev")
	require.NoError(t, err)

	damage := map[string]func() []byte{
		"truncated": func() []byte { return whole[:len(whole)-len(whole)/3] },
		"empty":     func() []byte { return nil },
	}
	for i := range 8 {
		damage[fmt.Sprint("bit ", i)] = func() []byte {
			b := append([]byte(nil), whole...)
			b[len(b)*(2*i+1)/16] ^= 1 << i
			return b
		}
	}
	for name, bytes := range damage {
		require.NoError(t, os.WriteFile(c.path, bytes(), 0o600))
		require.NoError(t, os.WriteFile(c.path+".prev", previous, 0o600))
		var log lines
		c.log = slog.New(slog.NewTextHandler(&log, nil))
		s, err := newService(c)
		require.NoError(t, err, name)
		require.Less(t, s.predictor.Version(), newest.Uints["serve/version"], name)
		require.Greater(t, s.predictor.Version(), uint64(1), name)
		require.Contains(t, log.String(), `level=WARN msg="the newest checkpoint is not the one"`, name)

		// The good copy is not the only one any more.
		require.NoError(t, os.WriteFile(c.path+".prev", bytes(), 0o600))
		log.reset()
		_, err = newService(c)
		require.NoError(t, err, name)
		require.NotContains(t, log.String(), "WARN", name)

		require.NoError(t, os.WriteFile(c.path, bytes(), 0o600))
		_, err = newService(c)
		require.ErrorContains(t, err, "checkpoint: load: ", name)
		require.NotContains(t, err.Error(), "\n")
	}
	require.NoError(t, os.WriteFile(c.path, whole, 0o600))
	require.NoError(t, os.Remove(c.path+".prev"))
	_, err = newService(c)
	require.NoError(t, err)

	// A whole checkpoint of another model is no reason to begin anew either.
	other := &checkpoint.Content{Ints: map[string]int64{"steps": 1}}
	require.NoError(t, checkpoint.Save(c.path, other))
	_, err = newService(c)
	require.ErrorContains(t, err, "serve: Restore: serve/version is missing")
	kept, err := checkpoint.Load(c.path)
	require.NoError(t, err)
	require.EqualValues(t, 1, kept.Ints["steps"], "the file is as it was")
}

// TestQuietAfterALesson: what was learnt is saved also if nothing comes after it.
func TestQuietAfterALesson(t *testing.T) {
	c := testConfig()
	c.path = filepath.Join(t.TempDir(), "digits.ckpt")
	c.publishEvery, c.saveEvery = 10*time.Millisecond, 500*time.Millisecond
	s, _ := start(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.learn(ctx) }()
	require.NoError(t, s.learner.Learn(s.stream.X[:64], s.stream.Labels[0]))
	require.Eventually(t, func() bool { return s.store.last.Load().Version == 2 }, time.Minute, time.Millisecond)
	loaded, err := checkpoint.Load(c.path)
	require.NoError(t, err)
	require.EqualValues(t, 1, loaded.Ints["optimizer/steps"])
	cancel()
	require.NoError(t, <-ended)
}

// TestUnwritable: a service that could not keep anything says so at the start;
// one that can't any more goes on without.
func TestUnwritable(t *testing.T) {
	c := testConfig()
	c.path = filepath.Join(t.TempDir(), "no such directory", "digits.ckpt")
	_, err := newService(c)
	require.ErrorContains(t, err, "no such file or directory")
	err = run(t.Context(), []string{"-listen", "127.0.0.1:0", "-checkpoint", c.path}, "", io.Discard, io.Discard)
	require.ErrorContains(t, err, "checkpoint: save: ")

	dir := filepath.Join(t.TempDir(), "dir")
	require.NoError(t, os.Mkdir(dir, 0o700))
	c.path = filepath.Join(dir, "digits.ckpt")
	c.saveEvery = time.Millisecond
	s, server := start(t, c)
	require.NoError(t, os.RemoveAll(dir))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.learn(ctx) }()
	for i := range 64 {
		require.NoError(t, s.learner.Learn(s.stream.X[64*i:][:64], s.stream.Labels[i]))
	}
	require.Eventually(t, func() bool { return s.store.failed.Load() > 0 }, time.Minute, time.Millisecond)
	status, _ := send(t, server, http.MethodPost, "/v1/predict", "", `{"input": `+image("0")+`}`)
	require.Equal(t, 200, status)
	_, body := send(t, server, http.MethodGet, "/metrics", "", "")
	require.Regexp(t, `checkpoint_failures_total [1-9]`, body)
	cancel()
	require.ErrorContains(t, <-ended, "checkpoint: save: ", "the last checkpoint is lost, and that is an error")
}
