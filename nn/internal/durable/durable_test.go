package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	errFault = errors.New("fault")
	errLink  = errors.New("no hard links here")
)

// faulty is a disk whose operations fail from the k-th on: that one alone, or,
// as if the process had died, all that follow.
type faulty struct {
	disk
	left  int
	crash bool
	names []string // of the operations so far
}

func (f *faulty) step(name string) error {
	f.names = append(f.names, name)
	f.left--
	if f.left == 0 || f.left < 0 && f.crash {
		return errFault
	}
	return nil
}

func newFaulty(k int, crash, links bool) *faulty {
	f := &faulty{left: k, crash: crash}
	f.disk = disk{
		open: func(name string, flag int, perm fs.FileMode) (*os.File, error) {
			if err := f.step("open"); err != nil {
				return nil, err
			}
			return real.open(name, flag, perm)
		},
		write: func(file *os.File, p []byte) (int, error) {
			if err := f.step("write"); err != nil {
				n, _ := real.write(file, p[:len(p)/2])
				return n, err
			}
			return real.write(file, p)
		},
		chmod: func(file *os.File, mode fs.FileMode) error {
			if err := f.step("chmod"); err != nil {
				return err
			}
			return real.chmod(file, mode)
		},
		sync: func(file *os.File) error {
			if err := f.step("sync"); err != nil {
				return err
			}
			return real.sync(file)
		},
		link: func(from, to string) error {
			if err := f.step("link"); err != nil {
				return err
			}
			if !links {
				return errLink
			}
			return real.link(from, to)
		},
		rename: func(from, to string) error {
			if err := f.step("rename"); err != nil {
				return err
			}
			return real.rename(from, to)
		},
		remove: func(name string) error {
			if err := f.step("remove"); err != nil {
				return err
			}
			return real.remove(name)
		},
		syncIn: func(name string) error {
			if err := f.step("sync directory"); err != nil {
				return err
			}
			return real.syncIn(name)
		},
	}
	return f
}

func put(parts ...string) func(io.Writer) error {
	return func(w io.Writer) error {
		for _, p := range parts {
			if _, err := io.WriteString(w, p); err != nil {
				return err
			}
		}
		return nil
	}
}

// content returns what is in a file, "" if there is none.
func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	return string(b)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// notDamaged is a keep that reads the file, as callers do.
func notDamaged(old io.ReaderAt, size int64) bool {
	b := make([]byte, size)
	n, _ := old.ReadAt(b, 0)
	return n == int(size) && string(b) != "damaged"
}

// start is a directory before a call of Replace.
type start struct {
	name, current, previous string
	sameFile                bool // current and previous are one file
	stale                   bool // a killed process has left files
}

func (s start) make(t *testing.T) (path string) {
	path = filepath.Join(t.TempDir(), "F")
	create := func(name, content string) {
		if content != "" {
			require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
		}
	}
	create(path, s.current)
	create(path+".prev", s.previous)
	if s.sameFile {
		require.NoError(t, os.Link(path, path+".prev"))
	}
	if s.stale {
		create(path+".tmp", "half")
		create(path+".prev.tmp", "half")
	}
	return path
}

// wantPrevious is what a successful call leaves as the previous file.
func (s start) wantPrevious() string {
	if s.current == "" || s.current == "damaged" {
		return s.previous
	}
	return s.current
}

var starts = []start{
	{name: "nothing"},
	{name: "stale", stale: true},
	{name: "previous alone", previous: "P"},
	{name: "first", current: "O"},
	{name: "both", current: "O", previous: "P"},
	{name: "both and stale", current: "O", previous: "P", stale: true},
	{name: "one file", current: "O", sameFile: true},
	{name: "damaged", current: "damaged", previous: "P"},
	{name: "damaged alone", current: "damaged"},
}

// each runs f for each start, with and without hard links, and for each number of
// operations that may come before a failure.
func each(t *testing.T, crash bool, f func(t *testing.T, s start, d *faulty)) {
	for _, s := range starts {
		for _, links := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/links=%t", s.name, links), func(t *testing.T) {
				for k := 1; ; k++ {
					d := newFaulty(k, crash, links)
					f(t, s, d)
					if d.left > 0 {
						return // the call has come to its end
					}
				}
			})
		}
	}
}

// A failure changes neither the file nor the names in the directory.
func TestFailures(t *testing.T) {
	new := strings.Repeat("N", 100_000)
	each(t, false, func(t *testing.T, s start, d *faulty) {
		path := s.make(t)
		err := d.replace(path, notDamaged, put("", new[:99_999], "N"))
		failed := d.names[min(len(d.names), len(d.names)+d.left)-1]
		if d.left > 0 || err == nil {
			// Removing what isn't there can't matter; without links, their failing is the rule.
			if d.left <= 0 {
				require.Equal(t, "link", failed)
			}
			require.NoError(t, err)
			require.Equal(t, new, content(t, path))
			require.Equal(t, s.wantPrevious(), content(t, path+".prev"))
		} else {
			require.ErrorIs(t, err, errFault)
			if failed == "sync directory" {
				require.Equal(t, new, content(t, path))
			} else {
				require.Equal(t, s.current, content(t, path))
			}
			require.Contains(t, []string{s.previous, s.wantPrevious(), s.current}, content(t, path+".prev"))
		}
		// What was stale, and could not be removed, is still there.
		if failed != "open" && failed != "remove" {
			require.Subset(t, []string{"F", "F.prev"}, names(t, filepath.Dir(path)), failed)
		}
	})
}

// A process that dies between any two operations, or in the middle of writing,
// leaves a whole file, and no more than the next call removes.
func TestCrashes(t *testing.T) {
	new := strings.Repeat("N", 100_000)
	each(t, true, func(t *testing.T, s start, d *faulty) {
		path := s.make(t)
		err := d.replace(path, notDamaged, put(new[:70_000], new[70_000:]))
		current, previous := content(t, path), content(t, path+".prev")
		if d.left > 0 {
			require.NoError(t, err)
			require.Equal(t, new, current)
		}
		require.Contains(t, []string{s.current, new}, current)
		require.Contains(t, []string{s.previous, s.wantPrevious(), s.current}, previous)
		if s.current != "" || s.previous != "" {
			good := func(c string) bool { return c != "" && c != "damaged" }
			require.True(t, good(current) || good(previous) || !good(s.current) && !good(s.previous))
		}
		require.Subset(t, []string{"F", "F.prev", "F.tmp", "F.prev.tmp"}, names(t, filepath.Dir(path)))

		require.NoError(t, Replace(path, notDamaged, put("next")))
		require.Equal(t, "next", content(t, path))
		if notDamaged(strings.NewReader(current), int64(len(current))) && current != "" {
			previous = current
		}
		require.Equal(t, previous, content(t, path+".prev"))
		require.Subset(t, []string{"F", "F.prev"}, names(t, filepath.Dir(path)))
	})
}

// What the operations are, in order.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		links bool
		want  []string
	}{
		{true, []string{"open", "remove", "chmod", "write", "sync", "link", "rename", "rename", "sync directory"}},
		{false, []string{"open", "remove", "chmod", "write", "sync", "link", "open", "write", "sync", "rename", "rename", "sync directory"}},
	} {
		d := newFaulty(0, false, c.links)
		require.NoError(t, d.replace(starts[4].make(t), notDamaged, put("N")))
		require.Equal(t, c.want, d.names)
	}
}

func TestPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "F")
	require.NoError(t, os.WriteFile(path, nil, 0o666))
	for _, mode := range []fs.FileMode{0o600, 0o640, 0o666} {
		require.NoError(t, os.Chmod(path, mode))
		require.NoError(t, Replace(path, nil, put("N")))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm())
	}
}

func TestSymbolicLink(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"sub", "sub/deep"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o777))
	}
	target := filepath.Join(dir, "sub", "F")
	for name, to := range map[string]string{
		"L":        filepath.Join("sub", "F"),
		"absolute": target,
		"twice":    "L",
		"there":    filepath.Join("sub", "deep"),
		"back":     "there/../F", // in sub, not beside there
		"round":    "round",
		"nowhere":  filepath.Join("none", "F"),
	} {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, name)))
	}
	// Also through links to what is not there yet.
	for _, name := range []string{"L", "absolute", "twice", "back"} {
		require.NoError(t, os.RemoveAll(target))
		require.NoError(t, os.RemoveAll(Previous(target)))
		link := filepath.Join(dir, name)
		require.NoError(t, Replace(link, notDamaged, put("O")), name)
		require.Equal(t, "O", content(t, target), name)
		require.NoError(t, Replace(link, notDamaged, put("N")), name)
		require.Equal(t, "N", content(t, target), name)
		require.Equal(t, "O", content(t, target+".prev"), name)
	}
	t.Chdir(dir)
	require.NoError(t, Replace("L", nil, put("R")))
	require.Equal(t, "R", content(t, target))
	require.ErrorContains(t, Replace(filepath.Join(dir, "round"), notDamaged, put("N")), "symbolic links in a row")
	require.ErrorIs(t, Replace(filepath.Join(dir, "nowhere"), notDamaged, put("N")), fs.ErrNotExist)
	require.Equal(t, []string{"L", "absolute", "back", "nowhere", "round", "sub", "there", "twice"}, names(t, dir))
	require.Equal(t, []string{"F", "F.prev", "deep"}, names(t, filepath.Join(dir, "sub")))
}

func TestInTheWay(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "F")
	require.ErrorContains(t, Replace(dir, nil, put("N")), "is not a regular file")
	require.NoFileExists(t, dir+".tmp")
	require.ErrorIs(t, Replace(filepath.Join(dir, "none", "F"), nil, put("N")), fs.ErrNotExist)

	require.NoError(t, os.Mkdir(path+".tmp", 0o777))
	require.ErrorContains(t, Replace(path, nil, put("N")), "F.tmp is in the way: it is not a regular file")
	require.NoError(t, os.Remove(path+".tmp"))

	// A link that somebody else has put there is not followed.
	victim := filepath.Join(dir, "victim")
	require.NoError(t, os.WriteFile(victim, []byte("V"), 0o666))
	require.NoError(t, os.Symlink(victim, path+".tmp"))
	require.ErrorContains(t, Replace(path, nil, put("N")), "F.tmp is in the way")
	require.NoError(t, os.Remove(path+".tmp"))
	require.NoError(t, os.Link(victim, path+".tmp"))
	require.NoError(t, Replace(path, nil, put("N")))
	require.Equal(t, "V", content(t, victim))
}

// Goroutines replace one file at the same time.
func TestConcurrent(t *testing.T) {
	const goroutines, rounds = 8, 10
	path := filepath.Join(t.TempDir(), "F")
	require.NoError(t, Replace(path, nil, put(strings.Repeat("a", 1000))))
	var wg sync.WaitGroup
	failed := make(chan error, 2*goroutines*rounds)
	for g := range goroutines {
		wg.Go(func() {
			for range rounds {
				failed <- Replace(path, notDamaged, put(strings.Repeat(string(rune('a'+g)), 1000)))
			}
		})
		wg.Go(func() {
			for range rounds {
				Clean(path)
				b, err := os.ReadFile(path)
				if err == nil && string(b) != strings.Repeat(string(b[:1]), 1000) {
					err = fmt.Errorf("a mixture: %s", b)
				}
				failed <- err
			}
		})
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	require.Equal(t, []string{"F", "F.prev"}, names(t, filepath.Dir(path)))
	require.Empty(t, taken)
}
