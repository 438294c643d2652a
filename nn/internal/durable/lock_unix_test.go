//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package durable

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A lock on another open file is that of another process.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "F")
	require.NoError(t, os.WriteFile(path, []byte("O"), 0o666))
	other, err := os.Create(path + ".tmp")
	require.NoError(t, err)
	require.NoError(t, lock(other))

	// Clean leaves alone what somebody works on.
	Clean(path)
	require.FileExists(t, path+".tmp")

	// Replace waits until the other has renamed its file.
	done := make(chan error)
	go func() { done <- Replace(path, notDamaged, put("second")) }()
	_, err = other.WriteString("first")
	require.NoError(t, err)
	select {
	case err := <-done:
		t.Fatalf("Replace has not waited: %v", err)
	default:
	}
	require.Equal(t, "O", content(t, path))
	require.NoError(t, os.Rename(path+".tmp", path))
	require.NoError(t, other.Close())
	require.NoError(t, <-done)
	require.Equal(t, "second", content(t, path))
	require.Equal(t, "first", content(t, path+".prev"))

	// Nobody works on what a dead process has left.
	require.NoError(t, os.WriteFile(path+".tmp", nil, 0o666))
	require.NoError(t, os.WriteFile(path+".prev.tmp", nil, 0o666))
	Clean(path)
	require.Equal(t, []string{"F", "F.prev"}, names(t, filepath.Dir(path)))
}

// Whoever locks a new file before its maker takes it for stale and removes it;
// the maker starts again.
func TestLockLostToAnother(t *testing.T) {
	temp := filepath.Join(t.TempDir(), "F.tmp")
	d := *real
	rounds := 0
	d.open = func(name string, flag int, perm os.FileMode) (*os.File, error) {
		f, err := real.open(name, flag, perm)
		if rounds++; rounds <= 3 {
			require.NoError(t, os.Remove(name))
		}
		return f, err
	}
	f, err := d.create(temp)
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, 4, rounds)
	require.True(t, isAt(f, temp))

	second, err := os.Open(temp)
	require.NoError(t, err)
	defer second.Close()
	require.Equal(t, syscall.EWOULDBLOCK, flock(second, syscall.LOCK_EX|syscall.LOCK_NB))
}

// Whoever has waited for a file that meanwhile has its final name leaves alone
// what is there under its old one.
func TestStaleGoneMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "F")
	hold := func() *os.File {
		f, err := os.Create(path + ".tmp")
		require.NoError(t, err)
		require.NoError(t, lock(f))
		return f
	}
	first := hold()
	done := make(chan error)
	go func() { done <- real.removeStale(path + ".tmp") }()
	time.Sleep(20 * time.Millisecond) // for it to wait for the first, which it may miss
	require.NoError(t, os.Rename(path+".tmp", path))
	second := hold()
	require.NoError(t, first.Close())
	select {
	case err := <-done:
		require.NoError(t, err)
		require.FileExists(t, path+".tmp")
		require.NoError(t, second.Close())
	case <-time.After(100 * time.Millisecond): // it waits for the second
		require.FileExists(t, path+".tmp")
		require.NoError(t, second.Close())
		require.NoError(t, <-done)
	}
	require.FileExists(t, path)
}
