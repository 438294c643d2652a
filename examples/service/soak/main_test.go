package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
)

// TestSoak is a short run. Busy and emulated machines get patience.
func TestSoak(t *testing.T) {
	var out strings.Builder
	err := run(t.Context(), []string{"-seconds", "9", "-kills", "6", "-patience", "60000"}, &out, io.Discard)
	t.Log(out.String())
	require.NoError(t, err)
	require.Contains(t, out.String(), "No fault.")
	require.Contains(t, out.String(), "6  kills survived")
	require.Contains(t, out.String(), " 0  "+wrongAnswers)
	for _, line := range []string{"answers checked, with the bits of their version", "hostile requests refused: malformed", "half-sent requests", "examples accepted", "checkpoints acknowledged", " 6  starts from the checkpoint on the disk", "alive in its heap"} {
		require.Contains(t, out.String(), line)
	}
}

// TestJudge: the soak must notice what it is there to notice.
func TestJudge(t *testing.T) {
	s := &soak{counts: make(map[string]int), path: t.TempDir() + "/none"}
	s.images.X = make([]float32, 64)
	l := &life{soak: s}
	j := newTestJudge(t, l)
	var file strings.Builder
	require.NoError(t, j.model.WriteSafetensors(&file))
	right := make([]float32, 10)
	j.answer(3, 0, api.Prediction{Probabilities: right}) // waits for its version
	require.Zero(t, s.nfaults)
	j.learn(3, []byte(file.String()))
	require.Equal(t, 1, s.counts[wrongAnswers])
	require.Equal(t, 1, s.nfaults)
	j.model.Init(5)
	file.Reset()
	require.NoError(t, j.model.WriteSafetensors(&file))
	j.learn(3, []byte(file.String()))
	require.Equal(t, 2, s.nfaults, "a version has other weights than before")

	s.inspect(api.Checkpoint{SHA256: "x", Version: 2})
	require.Equal(t, 1, s.counts[lostCheckpoints])
	require.ErrorContains(t, s.report(io.Discard), "faults, with seed")
}

// TestResumed: a service that forgets is a fault, whatever it forgets.
func TestResumed(t *testing.T) {
	disk := api.Checkpoint{Version: 7, SHA256: "aa"}
	for _, c := range []struct {
		before api.Checkpoint
		after  api.Model
		good   bool
	}{
		{api.Checkpoint{}, api.Model{Version: 1, Checkpoint: &api.Checkpoint{Version: 1, SHA256: "bb"}}, true},
		{disk, api.Model{Version: 7, Checkpoint: &disk}, true},
		{disk, api.Model{Version: 1, Checkpoint: &api.Checkpoint{Version: 1, SHA256: "bb"}}, false},
		{disk, api.Model{Version: 7, Checkpoint: &api.Checkpoint{Version: 7, SHA256: "bb"}}, false},
		{disk, api.Model{Version: 1, Checkpoint: &disk}, false},
		{disk, api.Model{Version: 7}, false},
		{api.Checkpoint{}, api.Model{Version: 1}, false},
	} {
		s := &soak{counts: make(map[string]int), onDisk: c.before}
		acked := s.resumed(c.after)
		if c.good {
			require.Equal(t, *c.after.Checkpoint, acked)
			require.Zero(t, s.nfaults)
		} else {
			require.Equal(t, 1, s.nfaults)
			require.Equal(t, 1, s.counts[lostCheckpoints])
		}
	}

	// What is on the disk is what a kill has left there.
	s := &soak{counts: make(map[string]int), path: t.TempDir() + "/digits.ckpt"}
	c := &checkpoint.Content{Uints: map[string]uint64{"serve/version": 9}}
	require.NoError(t, checkpoint.Save(s.path, c))
	s.inspect(api.Checkpoint{Version: 9, SHA256: api.Digest(c)})
	require.Zero(t, s.nfaults)
	require.Equal(t, api.Checkpoint{Version: 9, SHA256: api.Digest(c)}, s.onDisk)
}

// TestMemory: what a service has may go up and down a little, but not grow.
func TestMemory(t *testing.T) {
	before := reading{resident: 20 << 20, live: 3 << 20, goroutines: 9}
	for _, c := range []struct {
		after reading
		fault string
	}{
		{before, ""},
		{reading{resident: 23 << 20, live: 3<<20 + 500<<10, goroutines: 11}, ""},
		{reading{resident: 10 << 20, live: 1 << 20, goroutines: 5}, ""},
		{reading{resident: 20 << 20, live: 3<<20 + 600<<10, goroutines: 9}, "the heap grew from 3.00 to 3.59 MiB"},
		{reading{resident: 25 << 20, live: 3 << 20, goroutines: 9}, "memory grew from 20.0 to 25.0 MiB"},
		{reading{resident: 20 << 20, live: 3 << 20, goroutines: 12}, "there were 9 goroutines, and are 12"},
	} {
		s := new(soak)
		s.checkMemory(before, c.after)
		if c.fault == "" {
			require.Empty(t, s.faults)
		} else {
			require.Equal(t, []string{c.fault}, s.faults)
		}
	}
	got, err := metric([]byte("# TYPE a gauge\na 1.5e+06\nab 7\n"), "a")
	require.NoError(t, err)
	require.EqualValues(t, 1_500_000, got)
	_, err = metric([]byte("ab 7\n"), "b")
	require.ErrorContains(t, err, "/metrics has no b")
}

func newTestJudge(t *testing.T, l *life) *judge {
	t.Helper()
	j, err := newJudge("http://127.0.0.1:1", l)
	require.NoError(t, err)
	return j
}
