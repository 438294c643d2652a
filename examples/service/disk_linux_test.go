package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
)

// smallDisk returns the directory of a file system of its own.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skipf("mounting a file system of its own: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

// TestDiskTrouble lets a service learn on a disk that is full, then can't be
// written, then is well again. It answers all the time, what it had acknowledged
// stays on the disk, it says that nothing newer is, and it saves that as soon as it
// can.
func TestDiskTrouble(t *testing.T) {
	dir := smallDisk(t)
	c := testConfig()
	c.path = filepath.Join(dir, "digits.ckpt")
	c.publishSteps, c.saveEvery, c.publishEvery = 1, time.Millisecond, time.Hour
	s, server := start(t, c)
	client := api.NewClient(server.URL, secret, 1)
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.learn(ctx) }()

	next := 0
	lesson := func() {
		before := s.predictor.Version()
		failed := s.store.failed.Load()
		var l api.Learn
		for range 8 {
			l.Examples = append(l.Examples, api.Example{Input: s.stream.X[64*next:][:64], Label: &s.stream.Labels[next]})
			next++
		}
		_, err := client.Learn(t.Context(), l)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			last := s.store.last.Load()
			return s.predictor.Version() > before && (last.Version > before || s.store.failed.Load() > failed)
		}, time.Minute, time.Millisecond)
		_, err = client.Predict(t.Context(), api.Predict{Input: s.held.X[:64]})
		require.NoError(t, err)
	}
	acknowledged := func() api.Checkpoint {
		m, err := client.Model(t.Context())
		require.NoError(t, err)
		loaded, err := checkpoint.Load(c.path)
		require.NoError(t, err)
		require.NoError(t, loaded.Skipped)
		require.Equal(t, m.Checkpoint.SHA256, api.Digest(&loaded.Content))
		return *m.Checkpoint
	}
	saved := func(version uint64) api.Checkpoint {
		require.Eventually(t, func() bool { return s.store.last.Load().Version == version }, time.Minute, time.Millisecond)
		return acknowledged()
	}
	lesson()
	good := saved(2)

	filler := filepath.Join(dir, "filler")
	require.ErrorIs(t, os.WriteFile(filler, make([]byte, 1<<20), 0o600), syscall.ENOSPC)
	lesson()
	lesson()
	require.GreaterOrEqual(t, s.store.failed.Load(), uint64(2))
	require.Equal(t, good, acknowledged())
	require.NoError(t, os.Remove(filler))
	good = saved(4)

	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	lesson()
	require.Equal(t, good, acknowledged())
	_, err := newService(c)
	require.NoError(t, err, "a disk that can be read is enough to recover")
	other := c
	other.path = filepath.Join(dir, "new.ckpt")
	_, err = newService(other)
	require.ErrorContains(t, err, "read-only file system")

	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, ""))
	lesson()
	saved(6)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 2)
	cancel()
	require.NoError(t, <-ended)
}
