package main

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkRequest is a prediction over HTTP, on one connection. What is allocated is
// the service's.
func BenchmarkRequest(b *testing.B) {
	s, server := start(b, testConfig())
	var body strings.Builder
	for i, x := range s.held.X[:64] {
		fmt.Fprintf(&body, `%c%s`, "[,"[min(i, 1)], strconv.FormatFloat(float64(x), 'g', -1, 32))
	}
	request := fmt.Appendf(nil, "POST /v1/predict HTTP/1.1\r\nHost: x\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n{\"inputs\":[%s]]}",
		body.Len()+len(`{"inputs":[]]}`), body.String())
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(b, err)
	defer conn.Close()
	in := bufio.NewReader(conn)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		for text := []byte{'?'}; string(text) != "]}]}\n"; {
			if text, err = in.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
			text = text[max(0, len(text)-5):]
		}
	}
}
