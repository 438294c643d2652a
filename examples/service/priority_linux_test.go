package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLearnerGivesWay finds one thread more of low priority while the learner runs:
// not those that answer, which may not have theirs from it.
func TestLearnerGivesWay(t *testing.T) {
	own := niceness(t, "/proc/thread-self/stat")
	if own == 19 {
		t.Skip("there is no lower priority than that of the test")
	}
	low := func() (n int) {
		tasks, err := filepath.Glob("/proc/self/task/*/stat")
		require.NoError(t, err)
		for _, task := range tasks {
			if niceness(t, task) == min(own+7, 19) {
				n++
			}
		}
		return n
	}
	c := testConfig()
	c.nice = 7
	s, err := newService(c)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := low()
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx, listener) }()
	base := "http://" + listener.Addr().String()
	for range 20 {
		response, err := http.Get(base + "/readyz")
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	require.Eventually(t, func() bool { return low() == before+1 }, time.Minute, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
}

// niceness reads that of a thread, the 19th field of its stat; of one that has just
// ended it is 0.
func niceness(t *testing.T, stat string) int {
	t.Helper()
	text, err := os.ReadFile(stat)
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	n, err := strconv.Atoi(fields[19-3])
	require.NoError(t, err)
	return n
}
