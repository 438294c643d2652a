// Package harness runs the service as a process of its own.
package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Token is what services of the harness are started with.
const Token = "harness"

// Build compiles the service into the directory and returns the program.
func Build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "service")
	command := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/adafisher-go/adafisher/examples/service")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return program, nil
}

// A Process is a service that runs.
type Process struct {
	URL string

	command *exec.Cmd
	ended   chan struct{}
	err     error // of Wait, once ended is closed

	mu  sync.Mutex
	log []string // the last lines
}

// Start starts the service on a free port of the loopback interface, and returns
// when it listens.
func Start(program string, args ...string) (*Process, error) {
	p := &Process{ended: make(chan struct{})}
	p.command = exec.Command(program, append([]string{"-listen", "127.0.0.1:0", "-log", "json"}, args...)...)
	p.command.Env = append(os.Environ(), "ADAFISHER_SERVICE_TOKEN="+Token)
	stderr, err := p.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	address := make(chan string, 1)
	go p.read(stderr, address)
	select {
	case p.URL = <-address:
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("the service ended at its start: %w: %s", p.err, strings.Join(p.Log(), " | "))
	case <-time.After(30 * time.Second):
		return nil, errors.Join(errors.New("the service does not listen"), p.Kill())
	}
}

// read follows the log to its end, and then waits for the process.
func (p *Process) read(stderr io.Reader, address chan<- string) {
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		p.mu.Lock()
		p.log = append(p.log, lines.Text())
		if len(p.log) > 50 {
			p.log = p.log[1:]
		}
		p.mu.Unlock()
		var line struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			address <- strings.TrimSuffix(line.URL, "/")
		}
	}
	p.err = p.command.Wait()
	close(p.ended)
}

// Log returns the last lines of the service's log.
func (p *Process) Log() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.log...)
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Kill ends the process at once, with SIGKILL.
func (p *Process) Kill() error {
	if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}

// Stop asks the process to end, and returns how it did.
func (p *Process) Stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		if p.err != nil {
			return fmt.Errorf("%w: %s", p.err, strings.Join(p.Log(), " | "))
		}
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("the service does not stop"), p.Kill())
	}
}

// Memory returns the bytes of memory that the process has, by /proc.
func (p *Process) Memory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(status), &size, &resident); err != nil {
		return 0, err
	}
	return resident * int64(os.Getpagesize()), nil
}

// CheckLoopback returns an error unless the address is one of this machine's
// loopback interface: what the harness sends is not for others.
func CheckLoopback(base string) error {
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	if u.Scheme != "http" {
		return fmt.Errorf("%s: want an address that begins with http://", base)
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s: want an address of the loopback interface", base)
	}
	return nil
}
