// Package durable replaces files so that a crash at any instant, of the process
// or of the machine, leaves a whole file behind.
//
// # How
//
// The new content N of file F, whose old content is O, goes to F.tmp, which is
// synced. If the old file is to be kept, a second name for it, F.prev.tmp, is
// made (a hard link; a synced copy where the file system has none) and renamed
// to F.prev. Then F.tmp is renamed to F, and the directory is synced. After each
// of these steps the names stand for:
//
//	              F    F.prev    beside them
//	before        O    P
//	synced        O    P         N in F.tmp
//	linked        O    P         N in F.tmp, O in F.prev.tmp
//	renamed       O    O         N in F.tmp
//	renamed       N    O
//
// A rename replaces its target at once, so F is whole in each line, and so it is
// if a crash loses the last renames, or all but some of them.
//
// # Who
//
// F.tmp is also the lock: who made it holds it (flock) until it has its final
// name, and the kernel ends the lock with the process. Whoever finds an F.tmp
// that nobody holds removes it. So calls for one file wait for each other, and
// what a killed process leaves is one or two files that go away with the next
// call. Where the system has no such locks, calls of one process wait for each
// other, and those of several processes must not meet.
package durable

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
)

const (
	previous  = ".prev"
	temporary = ".tmp"
)

// Previous returns the name under which the predecessor of path is kept.
func Previous(path string) string { return path + previous }

// spare is the name that the old file has before it becomes the previous one.
func spare(path string) string { return Previous(path) + temporary }

// Target returns path, or, where a symbolic link is there, what it points to,
// whether or not that exists.
func Target(path string) (string, error) {
	const most = 40 // as many as Linux follows
	for range most {
		info, err := os.Lstat(path)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return path, nil
		}
		link, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(link) {
			dir, _ := filepath.Split(path)
			link = dir + link // and not Join: behind a link to a directory, .. is not what stands before it
		}
		dir, name := filepath.Split(link)
		if dir, err = filepath.EvalSymlinks(dir); err != nil {
			return "", err
		}
		path = filepath.Join(dir, name)
	}
	return "", fmt.Errorf("%s is one of more than %d symbolic links in a row", path, most)
}

// Replace gives the file at path, or the one that a symbolic link there points
// to, what write writes as its content. A new file has the permissions of the one
// that it replaces. If keep is not nil and returns true for the old file, that
// becomes [Previous], otherwise Previous stays as it is.
//
// After an error the file at path is the old one and nothing else is left,
// except for an error of syncing the directory, the last step: then the new
// file is in place, and a power failure may still take it back.
func Replace(path string, keep func(old io.ReaderAt, size int64) bool, write func(io.Writer) error) error {
	return real.replace(path, keep, write)
}

// disk is all that changes files. Tests let it fail.
type disk struct {
	open           func(name string, flag int, perm fs.FileMode) (*os.File, error)
	write          func(f *os.File, p []byte) (int, error)
	chmod          func(f *os.File, mode fs.FileMode) error
	sync           func(f *os.File) error
	link, rename   func(from, to string) error
	remove, syncIn func(name string) error
}

var real = &disk{
	open:   os.OpenFile,
	write:  (*os.File).Write,
	chmod:  (*os.File).Chmod,
	sync:   (*os.File).Sync,
	link:   os.Link,
	rename: os.Rename,
	remove: os.Remove,
	syncIn: syncDirectory,
}

func (d *disk) replace(path string, keep func(io.ReaderAt, int64) bool, write func(io.Writer) error) error {
	path, err := Target(path)
	if err != nil {
		return err
	}
	defer enter(path)()
	f, err := d.create(path + temporary)
	if err != nil {
		return err
	}
	defer f.Close() // and the lock with it
	if err := d.swap(f, path, keep, write); err != nil {
		d.remove(path + temporary)
		return err
	}
	return d.syncIn(filepath.Dir(path))
}

// swap fills the new file and gives it its name.
func (d *disk) swap(f *os.File, path string, keep func(io.ReaderAt, int64) bool, write func(io.Writer) error) error {
	if err := d.remove(spare(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old, err := current(path)
	if err != nil {
		return err
	}
	if err := d.fill(f, old, write); err != nil {
		return err
	}
	if old != nil && keep != nil {
		if err := d.keep(path, old, keep); err != nil {
			return err
		}
	}
	return d.place(f, path)
}

// current describes the file at path; nil if there is none.
func current(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return info, nil
}

// create makes the file at temp and locks it.
func (d *disk) create(temp string) (*os.File, error) {
	for {
		f, err := d.open(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			if err := d.removeStale(temp); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := lock(f); err != nil {
			d.remove(temp)
			f.Close()
			return nil, err
		}
		if isAt(f, temp) {
			return f, nil
		}
		f.Close() // somebody has locked it first, and removed it
	}
}

// isAt reports whether f is still the file with that name.
func isAt(f *os.File, name string) bool {
	open, err1 := f.Stat()
	named, err2 := os.Lstat(name)
	return err1 == nil && err2 == nil && os.SameFile(open, named)
}

// fill writes and syncs the new file.
func (d *disk) fill(f *os.File, old fs.FileInfo, write func(io.Writer) error) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if old != nil && info.Mode().Perm() != old.Mode().Perm() {
		if err := d.chmod(f, old.Mode().Perm()); err != nil {
			return err
		}
	}
	w := bufio.NewWriterSize(writer{d, f}, 1<<16)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return d.sync(f)
}

type writer struct {
	d *disk
	f *os.File
}

func (w writer) Write(p []byte) (int, error) { return w.d.write(w.f, p) }

// keep makes the old file the previous one if keep wants it.
func (d *disk) keep(path string, old fs.FileInfo, keep func(io.ReaderAt, int64) bool) error {
	prev, spare := Previous(path), spare(path)
	if info, err := os.Lstat(prev); err == nil && os.SameFile(info, old) {
		return nil // a crash came before the last rename; renaming one name of a file to another does nothing
	}
	f, err := os.Open(path)
	if err != nil {
		return nil // what can't be read is not worth keeping
	}
	defer f.Close()
	if !keep(f, old.Size()) {
		return nil
	}
	if err = d.link(path, spare); err != nil {
		err = d.copy(spare, f, old)
	}
	if err == nil {
		err = d.rename(spare, prev)
	}
	if err != nil {
		d.remove(spare)
	}
	return err
}

// copy stands in for a hard link.
func (d *disk) copy(to string, from *os.File, info fs.FileInfo) error {
	f, err := d.open(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(writer{d, f}, io.NewSectionReader(from, 0, info.Size()))
	if err == nil && n != info.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	return d.sync(f)
}

// syncDirectory makes the names in a directory survive a power failure, where
// the system can do that.
func syncDirectory(name string) error {
	if runtime.GOOS == "windows" || runtime.GOOS == "plan9" {
		return nil
	}
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// Within a process, calls for one file wait here, and not in the kernel with a
// thread each.
var (
	mutex sync.Mutex
	freed = sync.NewCond(&mutex)
	taken = make(map[string]bool)
)

// enter waits until no other goroutine works on path and returns the function
// that ends the caller's own work.
func enter(path string) (leave func()) {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	mutex.Lock()
	defer mutex.Unlock()
	for taken[path] {
		freed.Wait()
	}
	taken[path] = true
	return func() {
		mutex.Lock()
		defer mutex.Unlock()
		delete(taken, path)
		freed.Broadcast()
	}
}
