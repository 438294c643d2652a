package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A Client speaks with one service. It may be used from any number of
// goroutines.
type Client struct {
	base  string
	token string
	http  http.Client
}

// NewClient returns a client of the service at base, such as
// "http://127.0.0.1:8080", with the token for Learn, if any. It keeps as many
// connections as there are calls at the same time, up to the given number.
func NewClient(base, token string, connections int) *Client {
	return &Client{base, token, http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections},
	}}
}

// Close closes the connections that no call uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Refused is an answer with an error status.
type Refused struct {
	Status int
	Failure
}

func (r *Refused) Error() string {
	return fmt.Sprintf("%d %s: %s: %s", r.Status, http.StatusText(r.Status), r.Failure.Error.Code, r.Failure.Error.Message)
}

// Predict asks for predictions.
func (c *Client) Predict(ctx context.Context, p Predict) (answer Predictions, err error) {
	return answer, c.call(ctx, http.MethodPost, "/v1/predict", p, &answer)
}

// Learn brings examples.
func (c *Client) Learn(ctx context.Context, l Learn) (answer Accepted, err error) {
	return answer, c.call(ctx, http.MethodPost, "/v1/learn", l, &answer)
}

// Model asks for the model's description.
func (c *Client) Model(ctx context.Context) (answer Model, err error) {
	return answer, c.call(ctx, http.MethodGet, "/v1/model", nil, &answer)
}

// Ready asks whether the service takes requests.
func (c *Client) Ready(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/readyz", nil, new(map[string]string))
}

// Get returns the body of any page.
func (c *Client) Get(ctx context.Context, path string) (body []byte, header http.Header, err error) {
	response, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = refused(response, body)
	}
	return body, response.Header, err
}

func (c *Client) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(b)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, sent)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.http.Do(request)
}

func (c *Client) call(ctx context.Context, method, path string, body, answer any) error {
	response, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return refused(response, text)
	}
	return json.Unmarshal(text, answer)
}

func refused(response *http.Response, body []byte) error {
	r := &Refused{Status: response.StatusCode}
	if err := json.Unmarshal(body, &r.Failure); err != nil {
		return fmt.Errorf("%s with a body that is no JSON error: %.200q", response.Status, body)
	}
	return r
}
