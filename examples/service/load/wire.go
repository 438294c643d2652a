package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/adafisher-go/adafisher/examples/service/api"
)

// A wire is one connection to the service, for one goroutine. What a client spends is
// taken from the service, which has the same processors: this one sends requests that
// were laid out before, wakes nobody but itself, and reads of an answer whether it is one.
type wire struct {
	ctx      context.Context // ends the connection
	address  string
	deadline time.Time

	conn   net.Conn // nil before the first request, and after an error
	in     *bufio.Reader
	forget func() bool // stops watching ctx
}

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
	err := w.exchange(request)
	if refused := (*api.Refused)(nil); err != nil && !errors.As(err, &refused) {
		w.close()
	}
	return err
}

func (w *wire) close() {
	if w.conn != nil {
		w.forget()
		_ = w.conn.Close()
		w.conn = nil
	}
}

func (w *wire) exchange(request []byte) error {
	if w.conn == nil {
		dialer := net.Dialer{Timeout: 5 * time.Second}
		conn, err := dialer.DialContext(w.ctx, "tcp", w.address)
		if err != nil {
			return err
		}
		w.conn, w.in = conn, bufio.NewReaderSize(conn, 16<<10)
		w.forget = context.AfterFunc(w.ctx, func() { _ = conn.Close() })
	}
	if err := w.conn.SetDeadline(w.deadline); err != nil {
		return err
	}
	if _, err := w.conn.Write(request); err != nil {
		return err
	}
	response, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		refused := &api.Refused{Status: response.StatusCode}
		if err := json.Unmarshal(body, &refused.Failure); err != nil {
			return err
		}
		return refused
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
