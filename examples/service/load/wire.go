package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/adafisher-go/adafisher/examples/service/api"
)

// A wire is one connection to the service. What a client spends is taken from the
// service, which has the same processors: this one sends requests that were laid out
// before, and reads of an answer whether it is one.
type wire struct {
	ctx      context.Context // ends the connection
	address  string
	deadline time.Time // of all that it does; zero for none

	conn   net.Conn // nil before the first request, and after an error
	in     *bufio.Reader
	forget func() bool // stops watching ctx

	sent  chan asked // of follow: the request that waits for an answer
	freed time.Time  // when the wire was free for the next
}

// asked is a request that was sent.
type asked struct{ due, could, began time.Time }

// layOut returns the bytes of a request.
func layOut(base, path, token string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(http.MethodPost, base+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	var laid bytes.Buffer
	err = request.Write(&laid)
	return laid.Bytes(), err
}

// ask sends a request and waits for the answer. The error is an [api.Refused], or ends
// the connection, and the next request begins another.
func (w *wire) ask(request []byte) error {
	err := w.connect()
	if err == nil {
		_, err = w.conn.Write(request)
	}
	if err == nil {
		err = w.receive()
	}
	w.settle(err)
	return err
}

// follow reads the answers to what is sent by send, and reports each, until end. It puts
// the wire among the free ones whenever it can take a request.
func (w *wire) follow(free chan<- *wire, report func(asked, error)) {
	for {
		err := w.connect()
		w.freed = time.Now()
		free <- w
		if err == nil {
			err = w.receive()
		}
		r, ok := <-w.sent
		if !ok {
			return
		}
		report(r, err)
		w.settle(err)
	}
}

// send sends a request, on a free wire.
func (w *wire) send(request []byte, due time.Time) {
	r := asked{due: due, could: due, began: time.Now()}
	if w.freed.After(due) {
		r.could = w.freed
	}
	conn := w.conn
	w.sent <- r
	if conn == nil {
		return // follow has the error
	}
	if _, err := conn.Write(request); err != nil {
		_ = conn.Close()
	}
}

// end ends follow, on a free wire.
func (w *wire) end() {
	if w.conn != nil {
		_ = w.conn.Close()
	}
	close(w.sent)
}

// settle ends the connection after an error that is no refusal.
func (w *wire) settle(err error) {
	if refused := (*api.Refused)(nil); err != nil && !errors.As(err, &refused) {
		w.close()
	}
}

func (w *wire) close() {
	if w.conn != nil {
		w.forget()
		_ = w.conn.Close()
		w.conn = nil
	}
}

// connect begins a connection, if there is none.
func (w *wire) connect() error {
	if w.conn != nil {
		return nil
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(w.ctx, "tcp", w.address)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(w.deadline); err != nil {
		return errors.Join(err, conn.Close())
	}
	w.conn, w.in = conn, bufio.NewReaderSize(conn, 16<<10)
	w.forget = context.AfterFunc(w.ctx, func() { _ = conn.Close() })
	return nil
}

// receive reads an answer.
func (w *wire) receive() error {
	status, length, err := w.head()
	if err != nil {
		return err
	}
	if status < 300 {
		_, err := w.in.Discard(length)
		return err
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(w.in, body); err != nil {
		return err
	}
	refused := &api.Refused{Status: status}
	if err := json.Unmarshal(body, &refused.Failure); err != nil {
		return err
	}
	return refused
}

// head reads an answer's status and headers, up to the body of so many bytes.
func (w *wire) head() (status, length int, err error) {
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	_, rest, _ := bytes.Cut(line, []byte{' '})
	if status, err = strconv.Atoi(string(rest[:min(3, len(rest))])); err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, fmt.Errorf("an answer that begins with %.40q", line)
	}
	length = -1
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		switch {
		case len(bytes.TrimSpace(line)) == 0 && length < 0:
			return 0, 0, errors.New("an answer without a length")
		case len(bytes.TrimSpace(line)) == 0:
			return status, length, nil
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, 0, err
			}
		}
	}
}
