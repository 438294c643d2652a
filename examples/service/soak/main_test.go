package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/examples/service/api"
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
	for _, line := range []string{"answers checked, with the bits of their version", "hostile requests refused: malformed", "examples accepted", "checkpoints acknowledged"} {
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

func newTestJudge(t *testing.T, l *life) *judge {
	t.Helper()
	j, err := newJudge("http://127.0.0.1:1", l)
	require.NoError(t, err)
	return j
}
