//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// lock waits for the lock of an open file. A file system without locks is
// treated like a system without them.
func lock(f *os.File) error {
	if err := flock(f, syscall.LOCK_EX); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); err != syscall.EINTR {
			return err
		}
	}
}

// place gives the locked file its name. It stays open: with the lock, another
// process could take the file away before it has the name.
func (d *disk) place(f *os.File, path string) error { return d.rename(f.Name(), path) }

// removeStale waits for whoever holds the file at temp and removes it if it is
// still there.
func (d *disk) removeStale(temp string) error {
	f, err := openStale(temp)
	if f == nil {
		return err
	}
	defer f.Close()
	if err := lock(f); err != nil {
		return err
	}
	if !isAt(f, temp) {
		return nil
	}
	return d.remove(temp)
}

// openStale returns nil without an error if there is no such file.
func openStale(temp string) (*os.File, error) {
	info, err := os.Lstat(temp)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is in the way: it is not a regular file", temp)
	}
	if err == nil {
		var f *os.File
		if f, err = os.Open(temp); err == nil {
			return f, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return nil, err
}

// Clean removes what a killed process has left beside path, unless a call of
// Replace is at work there. It does what it can: in a directory that can't be
// written nothing happens.
func Clean(path string) {
	temp := path + temporary
	f, _ := openStale(temp)
	if f == nil {
		return
	}
	defer f.Close()
	if flock(f, syscall.LOCK_EX|syscall.LOCK_NB) != nil || !isAt(f, temp) {
		return
	}
	os.Remove(spare(path))
	os.Remove(temp)
}
