package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/adafisher-go/adafisher/nn/internal/durable"
)

// Save makes c the content at path, and the file that was there the previous
// one, path.prev, unless it is damaged: to know that, Save reads it. When Save
// returns nil, c is on the disk. A symbolic link at path is followed. A new file
// has the permissions of the old one, and without one those that the umask
// leaves.
//
// After an error the file at path is as it was, and no temporary file is left
// that could be removed. One error is different: when the directory can't be
// synced, the last step, the new content is already in place.
//
// Save makes no copy of the vectors, which must stay as they are until it
// returns.
func Save(path string, c *Content) error {
	err := durable.Replace(path, intact, func(w io.Writer) error { return Encode(w, c) })
	if err != nil {
		return fmt.Errorf("checkpoint: save: %w", err)
	}
	return nil
}

// intact reports whether a file is a whole checkpoint, of whatever version.
func intact(r io.ReaderAt, size int64) bool {
	_, err := open(r, size)
	return err == nil || errors.Is(err, errVersion)
}

// Loaded is a content and where it comes from.
type Loaded struct {
	Content
	Path string // the file that holds it: the one asked for, or the previous one

	// Skipped is why the newest file is not the one: it is missing or damaged.
	// It is nil where the newest was good.
	Skipped error
}

// Load returns the content at path, or the previous one if the file at path is
// missing or damaged. Everything is checked before it returns, see [Decode], and
// memory for the vectors is taken only after the checksum was found right. A
// symbolic link at path is followed. An error is [fs.ErrNotExist] only if there is
// neither file.
//
// There is no falling back from a file that may be good: one of a version that
// this program doesn't know, or one that can't be opened, is an error.
func Load(path string) (*Loaded, error) {
	path, err := durable.Target(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: load: %w", err)
	}
	durable.Clean(path)
	c, err := read(path)
	if err == nil {
		return &Loaded{Content: *c, Path: path}, nil
	}
	if !missing(err) && !errors.As(err, new(damaged)) {
		return nil, fmt.Errorf("checkpoint: load: %w", err)
	}
	previous := durable.Previous(path)
	c, err2 := read(previous)
	switch {
	case err2 == nil:
		return &Loaded{Content: *c, Path: previous, Skipped: err}, nil
	case missing(err) && missing(err2):
		return nil, fmt.Errorf("checkpoint: load: %w", err)
	case missing(err):
		return nil, fmt.Errorf("checkpoint: load: %s is missing, and the previous one can't be used: %w", path, err2)
	case missing(err2):
		return nil, fmt.Errorf("checkpoint: load: %w, and there is no previous one", err)
	}
	return nil, fmt.Errorf("checkpoint: load: %w, and %w", err, err2)
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// damaged is the error of a file that is there and can't be used.
type damaged struct {
	path string
	err  error
}

func (d damaged) Error() string { return d.path + ": " + d.err.Error() }

func (d damaged) Unwrap() error { return d.err }

// read returns the content of one file.
func read(path string) (*Content, error) {
	// Opening a named pipe would wait for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	c, err := decode(f, info.Size())
	switch {
	case errors.Is(err, errVersion):
		return nil, fmt.Errorf("%s: %w", path, err)
	case err != nil:
		return nil, damaged{path, err}
	}
	return c, nil
}
