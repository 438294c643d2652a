package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/bench/roof"
	"github.com/adafisher-go/adafisher/kernels"
)

// TestContendersAgree: what is compared is the same work. The others sum in
// other orders.
func TestContendersAgree(t *testing.T) {
	level := kernels.CurrentLevel()
	t.Cleanup(func() { require.NoError(t, kernels.SetLevel(level)) })
	for _, r := range races() {
		var want []float32
		for _, c := range r.contenders {
			if c.prepare != nil {
				c.prepare()
			}
			r.operands.reset()
			before := slices.Concat(r.operands.a, r.operands.b)
			c.run()
			require.True(t, slices.Equal(before, slices.Concat(r.operands.a, r.operands.b)), "%s: inputs of %s", c.name, r.kernel)
			got := slices.Concat(r.operands.c, r.operands.numbers[:])
			if want == nil {
				want = got
				continue
			}
			largest := 0.0
			for _, v := range want {
				largest = max(largest, math.Abs(float64(v)))
			}
			for i := range want {
				if d := math.Abs(float64(want[i] - got[i])); !(d <= 1e-3*largest) {
					require.InDelta(t, want[i], got[i], 1e-3*largest, "%s %s by %s, element %d", r.kernel, r.size, c.name, i)
				}
			}
		}
		require.GreaterOrEqual(t, len(r.contenders), 2, "%s %s", r.kernel, r.size)
	}
}

func TestQuartiles(t *testing.T) {
	for _, c := range []struct{ x, want []float64 }{
		{[]float64{7}, []float64{7, 7, 7}},
		{[]float64{5, 1, 3, 4, 2}, []float64{2, 3, 4}},
		{[]float64{4, 1, 2, 3}, []float64{1.75, 2.5, 3.25}},
	} {
		p25, median, p75 := quartiles(c.x)
		require.Equal(t, c.want, []float64{p25, median, p75})
	}
}

func selected(t *testing.T, args ...string) string {
	o, err := parse(append([]string{"-rounds", "3", "-sample", "100us"}, args...), io.Discard)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, compare(&out, races(), o))
	return out.String()
}

func TestJSON(t *testing.T) {
	level := kernels.CurrentLevel()
	t.Cleanup(func() { require.NoError(t, kernels.SetLevel(level)) })
	contenders := map[string]bool{}
	for line := range strings.Lines(selected(t, "-json", "-run", "dot 4 KiB|gemm NN 32")) {
		var x result
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&x))
		contenders[x.Contender] = true
		require.Equal(t, map[string]string{"dot": "GB/s", "gemm NN": "GFLOP/s"}[x.Kernel], x.Unit)
		require.Positive(t, x.P25)
		require.LessOrEqual(t, x.P25, x.Median)
		require.LessOrEqual(t, x.Median, x.P75)
		require.Equal(t, roof.Vectors != "", x.Roof > 0)
		require.Equal(t, roof.Vectors != "", x.OfRoof > 0)
		require.Equal(t, 3, x.Rounds)
	}
	for _, c := range ours(nil) {
		require.Contains(t, contenders, c.name)
	}
	require.Contains(t, contenders, "gonum")
	require.Contains(t, contenders, vekName())
}

func TestTable(t *testing.T) {
	level := kernels.CurrentLevel()
	t.Cleanup(func() { require.NoError(t, kernels.SetLevel(level)) })
	lines := strings.Split(strings.TrimSpace(selected(t, "-run", "^ger 16 x 64$")), "\n")
	require.Len(t, lines, 4+len(ours(nil))+1)
	row := regexp.MustCompile(`^\| ger \| 16 x 64 \| \S+ \| \S+ \[\S+\.\.\S+\] GB/s \| (\S+ \[\S+\.\.\S+\] of \S+)? ?\|$`)
	for _, line := range lines[4:] {
		require.Regexp(t, row, line)
	}
}

func TestBadFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-rounds 0":   "-rounds 0: want at least 1",
		"-sample 1ns": "-sample 1ns: want 100µs to 1s",
		"-sample 1h":  "-sample 1h0m0s: want 100µs to 1s",
		"-run (":      "-run: error parsing regexp",
		"-rounds x":   "invalid value",
		"-speed 1":    "flag provided but not defined",
		"more":        `unexpected argument "more"`,
	} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.ErrorContains(t, err, want, args)
	}
	err := compare(io.Discard, races(), options{rounds: 1, sample: time.Millisecond, only: regexp.MustCompile("nothing"), json: true})
	require.EqualError(t, err, `-run "nothing" matches no race`)
}
