//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package durable

import "os"

func lock(*os.File) error { return nil }

// place closes the file, as an open one can't be renamed everywhere, and gives
// it its name.
func (d *disk) place(f *os.File, path string) error {
	if err := f.Close(); err != nil {
		return err
	}
	return d.rename(f.Name(), path)
}

func (d *disk) removeStale(temp string) error { return d.remove(temp) }

// Clean does nothing: without locks it can't be told whether a file is still
// wanted. The next call of Replace removes it.
func Clean(string) {}
