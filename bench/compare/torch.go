package main

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

//go:embed torch.py
var torchScript string

// A torch is a PyTorch process that trains when asked to.
type torch struct {
	version string
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// startTorch starts PyTorch on a number of threads with the first Python that has it;
// core is the type of core that its OpenBLAS takes the machine for.
func startTorch(core string, threads int) (*torch, error) {
	n := strconv.Itoa(threads)
	var all error
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		t := &torch{process: exec.Command(python, "-c", torchScript, n)}
		t.process.Env = append(os.Environ(), "OMP_NUM_THREADS="+n, "OPENBLAS_NUM_THREADS="+n)
		if core != "" {
			t.process.Env = append(t.process.Env, "OPENBLAS_CORETYPE="+core)
		}
		err := t.start()
		if err == nil {
			return t, nil
		}
		all = errors.Join(all, fmt.Errorf("%s: %w", python, err))
	}
	return nil, all
}

func (t *torch) start() error {
	var failure strings.Builder
	t.process.Stderr = &failure
	var err error
	if t.in, err = t.process.StdinPipe(); err != nil {
		return err
	}
	out, err := t.process.StdoutPipe()
	if err != nil {
		return err
	}
	t.out = bufio.NewReader(out)
	if err := t.process.Start(); err != nil {
		return err
	}
	line, err := t.out.ReadString('\n')
	if err != nil {
		t.in.Close()
		err = errors.Join(err, t.process.Wait())
		lines := strings.Split(strings.TrimSpace(failure.String()), "\n")
		return fmt.Errorf("%w: %s", err, lines[len(lines)-1])
	}
	t.version = strings.TrimSpace(line)
	return nil
}

// time returns the time of a number of runs of a kind on a network of torch.py:
// forward, backward, an optimizer's step, or predict; of a convolution also the gradient
// of input or weights.
func (t *torch) time(network, kind string, batch, runs int) (time.Duration, error) {
	if _, err := fmt.Fprintln(t.in, network, kind, batch, runs); err != nil {
		return 0, fmt.Errorf("PyTorch: %w", err)
	}
	line, err := t.out.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("PyTorch: %w", err)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
	if err != nil {
		return 0, fmt.Errorf("PyTorch: %w", err)
	}
	return time.Duration(seconds * 1e9), nil
}

// close ends the process; a nil torch has none.
func (t *torch) close() {
	if t != nil {
		t.in.Close()
		t.process.Wait()
	}
}
