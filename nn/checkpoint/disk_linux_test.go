package checkpoint_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn/checkpoint"
)

var page = os.Getpagesize() // what a file on a tmpfs takes, at least

// smallDisk returns the directory of a file system of its own. Whoever may not
// mount one has the failures of package durable's tests.
func smallDisk(t *testing.T, pages int) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", pages*page))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skipf("mounting a file system of its own: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

// A disk that is full after any number of pages: the old file is as it was, and
// what was written of the new one is gone.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t, 100)
	path := filepath.Join(dir, "run.ckpt")
	large := sample(2)
	large.Vectors["0.weight"] = make([]float32, 5*page)
	for _, stale := range []bool{false, true} {
		refused := 0
		for pages := 0; ; pages++ {
			require.NoError(t, checkpoint.Save(path, small(0)))
			require.NoError(t, checkpoint.Save(path, small(1)))
			if stale {
				require.NoError(t, os.WriteFile(path+".tmp", make([]byte, 5*page), 0o666))
			}
			fill(t, filepath.Join(dir, "filler"), pages)
			err := checkpoint.Save(path, large)
			require.NoError(t, os.Remove(filepath.Join(dir, "filler")))
			if err == nil {
				break
			}
			refused++
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.Equal(t, []string{"run.ckpt", "run.ckpt.prev"}, names(t, dir))
			l := load(t, path)
			require.NoError(t, l.Skipped)
			requireSame(t, small(1), &l.Content)
			requireSame(t, small(0), &load(t, path+".prev").Content)
		}
		requireSame(t, large, &load(t, path).Content)
		requireSame(t, small(1), &load(t, path+".prev").Content)
		require.Greater(t, refused, 10)
	}
}

// fill writes a file that leaves so many pages of its file system free.
func fill(t *testing.T, path string, pages int) {
	t.Helper()
	var disk syscall.Statfs_t
	require.NoError(t, syscall.Statfs(filepath.Dir(path), &disk))
	require.EqualValues(t, page, disk.Bsize)
	require.NoError(t, os.WriteFile(path, make([]byte, page*max(0, int(disk.Bavail)-pages)), 0o666))
}

// A file system that can't be written: saving is an error, loading works, with
// what a killed process has left beside the file.
func TestReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, 100)
	path := filepath.Join(dir, "run.ckpt")
	require.NoError(t, checkpoint.Save(path, small(1)))
	require.NoError(t, os.WriteFile(path+".tmp", []byte("half"), 0o666))
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	require.ErrorIs(t, checkpoint.Save(path, small(2)), syscall.EROFS)
	l := load(t, path)
	require.NoError(t, l.Skipped)
	requireSame(t, small(1), &l.Content)
	require.Equal(t, []string{"run.ckpt", "run.ckpt.tmp"}, names(t, dir))
}

// A directory that can't be written, for others than root.
func TestReadOnlyDirectory(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere; TestReadOnlyDisk stands for this test")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "run.ckpt")
	require.NoError(t, checkpoint.Save(path, small(1)))
	require.NoError(t, os.Chmod(dir, 0o555))
	defer os.Chmod(dir, 0o777)
	require.ErrorIs(t, checkpoint.Save(path, small(2)), syscall.EACCES)
	requireSame(t, small(1), &load(t, path).Content)
	require.Equal(t, []string{"run.ckpt"}, names(t, dir))
}

// A file that can't be opened is no damage: there is no falling back from it.
func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	path := filepath.Join(t.TempDir(), "run.ckpt")
	require.NoError(t, checkpoint.Save(path, small(1)))
	require.NoError(t, checkpoint.Save(path, small(2)))
	require.NoError(t, os.Chmod(path, 0))
	_, err := checkpoint.Load(path)
	require.ErrorIs(t, err, syscall.EACCES)
}
