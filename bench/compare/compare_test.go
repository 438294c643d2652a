package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/bench/internal/host"
	"github.com/adafisher-go/adafisher/bench/roof"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn"
)

// libraries returns the peers that need no other process.
func libraries(t *testing.T) *peers {
	p, err := findLibraries()
	require.NoError(t, err)
	t.Cleanup(p.close)
	for _, missing := range p.missing {
		require.NotContains(t, missing, "loops.c:") // a mistake in a loop would leave out a peer
	}
	keepLevel(t)
	return p
}

func keepLevel(t *testing.T) {
	level := kernels.CurrentLevel()
	t.Cleanup(func() { require.NoError(t, kernels.SetLevel(level)) })
}

// TestContendersAgree: what is compared is the same work. Contenders say how close they
// are to our first level; our other levels have the same bits.
func TestContendersAgree(t *testing.T) {
	p := libraries(t)
	workers, err := workerRaces(p)
	require.NoError(t, err)
	if len(workers) > 0 {
		workers = workers[:1]
	}
	all := slices.Concat(vectorRaces(p), smallRaces(), productRaces(p), outerRaces(p), storedRaces(p), symmetricRaces(p), convolutionRaces(p), workers)
	for _, r := range all {
		o := r.operands
		if r.fewer || r.size == "8 MiB" || r.size == "512 x 512 x 512" {
			continue
		}
		type values struct{ c, d, e, f, out []float32 }
		all := map[string]*values{} // of the first contender with each kernel
		for _, c := range r.contenders {
			reset(o)
			if c.prepare != nil {
				c.prepare()
			}
			before := slices.Concat(o.A, o.B, o.Row, o.Col)
			_, err := c.run(1)
			require.NoError(t, err)
			require.True(t, slices.Equal(before, slices.Concat(o.A, o.B, o.Row, o.Col)), "%s: inputs of %s", c.name, c.kernel)
			if c.result != nil {
				c.result()
			}
			got := values{slices.Clone(o.C), slices.Clone(o.D), slices.Clone(o.E), slices.Clone(o.F), slices.Clone(o.Out[:])}
			want := all[c.kernel]
			if want == nil {
				all[c.kernel] = &got
				continue
			}
			for name, x := range map[string][2][]float32{"C": {want.c, got.c}, "D": {want.d, got.d}, "E": {want.e, got.e}, "F": {want.f, got.f}, "Out": {want.out, got.out}} {
				largest := 0.0
				for _, v := range x[0] {
					largest = max(largest, math.Abs(float64(v)))
				}
				for i, v := range x[0] {
					within := c.within * 0x1p-24 * largest
					if d := math.Abs(float64(v - x[1][i])); !(d <= within) {
						require.InDelta(t, v, x[1][i], within, "%s %s by %s, %s[%d]", c.kernel, r.size, c.name, name, i)
					}
				}
			}
		}
		require.GreaterOrEqual(t, len(r.contenders), 2*len(all), "%s %s", r.contenders[0].kernel, r.size)
	}
}

// TestRacesAreNamed: no two contenders of a race have one name, and each streaming
// kernel is raced at every size, at the largest where it is meant to be, and in the race
// that it joins.
func TestRacesAreNamed(t *testing.T) {
	p := libraries(t)
	all, err := races(p)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, r := range all {
		require.NotEmpty(t, r.contenders)
		for _, c := range r.contenders {
			require.NotEmpty(t, c.name)
			require.Positive(t, c.work, "%s %s", c.kernel, r.size)
			name := c.kernel + "|" + r.size + "|" + c.name
			require.False(t, seen[name], name)
			seen[name] = true
		}
	}
	together := func(r race, kernels ...string) bool {
		for _, kernel := range kernels {
			if !slices.ContainsFunc(r.contenders, func(c contender) bool { return c.kernel == kernel }) {
				return false
			}
		}
		return true
	}
	for _, k := range streaming {
		for _, size := range vectorSizes {
			if k.along != "" && (k.large || size.name != largest) {
				require.True(t, slices.ContainsFunc(all, func(r race) bool {
					return r.size == size.name && together(r, k.name, k.along)
				}), "%s %s isn't timed along %s", k.name, size.name, k.along)
			}
			require.Equal(t, k.large || size.name != largest, seen[k.name+"|"+size.name+"|"+ourName(best())], "%s %s", k.name, size.name)
		}
	}
}

// TestTrainingSteps: every step of ours, of spago and of GoMLX runs, and ours allocates
// nothing.
func TestTrainingSteps(t *testing.T) {
	for _, s := range steps {
		run, err := s.ours(2)
		require.NoError(t, err)
		_, err = run(2)
		require.NoError(t, err)
		require.Zero(t, testing.AllocsPerRun(3, func() { _, err = run(1) }), s.name)
		require.NoError(t, err)
		if s.peers != "" {
			_, err = spagoStep(s.peers, 2)(2)
			require.NoError(t, err)
			run, err := gomlxStep(s.peers, 2)
			require.NoError(t, err)
			_, err = run(2)
			require.NoError(t, err)
		}
	}
}

// TestPredictions: ours allocates nothing, and ONNX Runtime predicts the same.
func TestPredictions(t *testing.T) {
	p := libraries(t)
	for _, widths := range predicted {
		q, err := newPrediction(widths, 3)
		require.NoError(t, err)
		run, half, err := q.ours(nn.PackConfig{Float16: true})
		require.NoError(t, err)
		require.Zero(t, testing.AllocsPerRun(3, func() { _, err = run(2) }))
		require.NoError(t, err)
		run, want, err := q.ours(nn.PackConfig{})
		require.NoError(t, err)
		require.InDeltaSlice(t, want, half, 1e-2)
		require.Zero(t, testing.AllocsPerRun(3, func() { _, err = run(2) }))
		require.NoError(t, err)
		require.Len(t, want, 3*10)
		if p.ort == "" {
			t.Log(p.missing)
			continue
		}
		run, got, err := q.ort(p)
		require.NoError(t, err)
		_, err = run(2)
		require.NoError(t, err)
		require.InDeltaSlice(t, want, got, 1e-5)
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

// fixed is a run that takes a fixed time.
func fixed(t time.Duration) timed {
	return func(runs int) (time.Duration, error) { return t * time.Duration(runs), nil }
}

// TestSampler: the first sample counts that has the core for itself on both sides, or the
// one that lacked least.
func TestSampler(t *testing.T) {
	var times []time.Duration
	s := &sampler{runs: 1, sample: time.Millisecond, run: func(runs int) (time.Duration, error) {
		next := times[0]
		times = times[1:]
		return next, nil
	}}
	for name, c := range map[string]struct {
		times   []time.Duration
		lacking []float64
		want    time.Duration
	}{
		"at once":        {[]time.Duration{5}, []float64{0, 0.1}, 5},
		"shared before":  {[]time.Duration{5, 6}, []float64{1, 0, 0}, 6},
		"shared between": {[]time.Duration{5, 6, 7}, []float64{0, 1, 0, 0}, 7},
		"too long":       {[]time.Duration{tries * time.Millisecond}, []float64{1, 1}, tries * time.Millisecond},
		"the least": {[]time.Duration{9 * time.Millisecond, 8 * time.Millisecond, 50 * time.Millisecond},
			[]float64{0.9, 0.5, 0.4, 0.8}, 8 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			times = c.times
			s.lacking = func() float64 {
				next := c.lacking[0]
				c.lacking = c.lacking[1:]
				return next
			}
			got, err := s.time()
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			require.Empty(t, times)
			require.Empty(t, c.lacking)
		})
	}
	looks := 0
	times = slices.Repeat([]time.Duration{1}, tries)
	s.lacking = func() float64 { looks++; return 1 }
	_, err := s.time()
	require.NoError(t, err)
	require.Equal(t, tries+1, looks)
}

// TestMeasure: rates, times and ratios follow from the times of runs.
func TestMeasure(t *testing.T) {
	top := &roofline{[]timed{fixed(2 * time.Microsecond), fixed(time.Microsecond)}, 1000}
	r := race{size: "s", unit: "GB/s", contenders: []contender{
		{kernel: "k", name: "half", roof: top, run: fixed(2 * time.Microsecond), work: 1000},
		{kernel: "k", name: "whole", roof: top, run: fixed(2 * time.Microsecond), work: 2000},
		{kernel: "k", name: "free", run: fixed(4 * time.Microsecond), work: 1000},
	}}
	results, err := r.measure(3, time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, 0.5, results[0].Median)
	require.Equal(t, 1.0, results[0].Roof)
	require.Equal(t, 0.5, *results[0].RoofRatio)
	require.Equal(t, 1.0, *results[1].RoofRatio)
	require.Nil(t, results[2].RoofRatio)
	require.Equal(t, 0.25, results[2].P25)

	r.unit = "us"
	r.contenders = r.contenders[:1]
	results, err = r.measure(3, time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, 2.0, results[0].Median)
	require.Equal(t, 1.0, results[0].Roof)
	require.Equal(t, 0.5, *results[0].RoofRatio)

	r.contenders[0].run = func(int) (time.Duration, error) { return 0, errors.New("gone") }
	_, err = r.measure(3, time.Millisecond)
	require.EqualError(t, err, "k by half: gone")
}

func selected(t *testing.T, args ...string) string {
	o, err := parse(append([]string{"-rounds", "3", "-sample", "100us"}, args...), io.Discard)
	require.NoError(t, err)
	p := &peers{}
	keepLevel(t)
	all, err := races(p)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, compare(&out, all, o, describe(p, o)))
	return out.String()
}

// TestJSON: the first object is the machine; the others have all fields that are
// promised.
func TestJSON(t *testing.T) {
	text := selected(t, "-json", "-match", "^(dot 4 KiB|dot n=16|gemm NN 32 x 32 x 32)$")
	run, err := read(strings.NewReader(text))
	require.NoError(t, err)
	require.NotEmpty(t, run.machine.name())
	require.Equal(t, host.Commit(), run.machine.Commit)
	require.Positive(t, run.machine.Cores)
	contenders := map[string]bool{}
	for _, x := range run.results {
		contenders[x.Contender] = true
		require.Positive(t, x.P25)
		require.LessOrEqual(t, x.P25, x.Median)
		require.LessOrEqual(t, x.Median, x.P75)
		require.Equal(t, x.Unit != "ns" && len(roof.Vectors) > 0, x.RoofRatio != nil)
		require.Equal(t, 3, x.Rounds)
	}
	for _, c := range ours(nil) {
		require.Contains(t, contenders, c.name)
	}
	require.Contains(t, contenders, gonum)
	require.Contains(t, contenders, vekName())
	require.Contains(t, contenders, spago)
	row := strings.Split(text, "\n")[1]
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(row), &fields))
	for _, name := range []string{"kernel", "size", "contender", "median", "unit", "roof_ratio", "p25", "p75"} {
		require.Contains(t, fields, name)
	}
}

func TestTable(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(selected(t, "-match", "^ger 4 KiB$")), "\n")
	require.Len(t, lines, 4+len(ours(nil))+1)
	row := regexp.MustCompile(`^\| ger \| 4 KiB \| \S+ \| \S+ \[\S+\.\.\S+\] GB/s \| (\S+ of \S+)? ?\|$`)
	for _, line := range lines[4:] {
		require.Regexp(t, row, line)
	}
}

const recorded = `{"cpu":"Some CPU @ 3 GHz","model":"family 6, model 207","cores":2,"caches":{"L2":"2048K","L1":"48K"},"system":"linux/amd64","vectors":["AVX-512"],"go":"go1.26","gcc":"12.2.0","clock":"CPU time","rounds":15,"sample":"2ms","date":"2026-01-02T03:04:05Z","commit":"0123456789ab-dirty","missing":["OpenBLAS: not\nfound"]}
{"kernel":"roof read","size":"4 KiB","contender":"roof/AVX-512","median":300,"unit":"GB/s","roof_ratio":null,"p25":299,"p75":301,"rounds":15}
{"kernel":"dot","size":"4 KiB","contender":"adafisher/avx512","median":200,"unit":"GB/s","roof_ratio":0.8,"p25":199,"p75":201,"roof":250,"rounds":15}
{"kernel":"dot","size":"4 KiB","contender":"gonum","median":50,"unit":"GB/s","roof_ratio":0.2,"p25":49,"p75":51,"roof":250,"rounds":15}
{"kernel":"sum","size":"4 KiB","contender":"adafisher/avx512","median":123.4,"unit":"GB/s","roof_ratio":0.5,"p25":99,"p75":125,"roof":250,"rounds":15}
{"kernel":"dot","size":"8 MiB","contender":"gcc -O3","median":7.25,"unit":"GB/s","roof_ratio":0.25,"p25":7,"p75":8,"roof":29,"rounds":15}
{"kernel":"mlp step Adam","size":"batch 1","contender":"spago","median":900,"unit":"us","roof_ratio":0.1,"p25":890,"p75":910,"roof":90,"rounds":15}
{"kernel":"mlp step Adam","size":"batch 1","contender":"adafisher/avx512","median":100,"unit":"us","roof_ratio":0.9,"p25":99,"p75":101,"roof":90,"rounds":15}
{"kernel":"predict 64-10","size":"batch 1","contender":"adafisher/avx512","median":2,"unit":"us","roof_ratio":0.5,"p25":2,"p75":2,"roof":1,"rounds":15}
`

// TestRender: tables and chart are made from the JSON alone.
func TestRender(t *testing.T) {
	path := filepath.Join(t.TempDir(), "some.json")
	require.NoError(t, os.WriteFile(path, []byte(recorded), 0o644))
	require.NoError(t, run(options{render: path}))
	tables, err := os.ReadFile(strings.TrimSuffix(path, ".json") + ".md")
	require.NoError(t, err)
	for _, want := range []string{
		"# Some CPU @ 3 GHz\n",
		"- caches: L1 48K, L2 2048K\n",
		"- commit: 0123456789ab-dirty\n",
		"- missing: OpenBLAS: not found\n",
		"## Streaming kernels\n",
		"| kernel | size | roof | adafisher/avx512 | gonum | gcc -O3 |\n|---|---|---:|---:|---:|---:|\n" +
			"| dot | 4 KiB | 250 | **200** (0.80) | 50.0 (0.20) | |\n" +
			"| dot | 8 MiB | 29.0 | | | 7.25 (0.25) |\n" +
			"| sum | 4 KiB | 250 | 123 (0.50) | | |\n",
		"| mlp step Adam | batch 1 | 90.0 | 900 (0.10) | **100** (0.90) |\n\n## Predictions\n",
		"| predict 64-10 | batch 1 | 1.00 | 2.00 (0.50) |\n",
	} {
		require.Contains(t, string(tables), want)
	}
	require.NotContains(t, string(tables), "## Matrix products")
	require.Contains(t, string(tables), "Of 3 goals in this run, 2 are reached.") // of dot twice, of sum the roof
	require.Contains(t, string(tables), "|---|---|---|---:|---:|\n| sum | 4 KiB | the roof | 0.80 | 0.500 |\n\n")
	chart, err := os.ReadFile(strings.TrimSuffix(path, ".json") + ".svg")
	require.NoError(t, err)
	require.Contains(t, string(chart), "<svg")
	require.Contains(t, string(chart), "streaming kernels, 8 MiB")
}

// TestGoals: a goal is missed from just below it, by rates, by times, and by bytes that
// differ.
func TestGoals(t *testing.T) {
	row := func(kernel, size, contender, unit string, median float64) result {
		return result{Kernel: kernel, Size: size, Contender: contender, Unit: unit, Median: median}
	}
	missed := func(results ...result) string {
		var out bytes.Buffer
		report{results: results}.goals(&out)
		_, rows, _ := strings.Cut(out.String(), "---:|\n")
		return rows
	}
	steps := func(adafisher, adam float64) string {
		return missed(row("adafisher", "8 MiB", "adafisher/avx2", "GB/s", adafisher), row("adam", "8 MiB", "adafisher/avx2", "GB/s", adam))
	}
	require.Empty(t, steps(56, 58.79)) // 20/56 of 28/58.79 is 0.7499
	require.Equal(t, "| adafisher | 8 MiB | adafisher/avx2, adam | 1.33 | 1.333 |\n", steps(56, 58.81))

	predict := func(float32s, float16s float64) string {
		const kernel = "predict 784-512-256-10"
		return missed(row(kernel, "batch 1", "adafisher/avx2", "us", float32s), row(kernel, "batch 1", "adafisher/avx2, float16 weights", "us", float16s),
			row(kernel, "batch 1", "PyTorch 1", "us", 90), row(kernel, "batch 1", "ONNX Runtime 1", "us", 60))
	}
	require.Empty(t, predict(50, 24))
	require.Equal(t, "| predict 784-512-256-10 | batch 1 | ONNX Runtime 1 | 1.20 | 1.176 |\n"+
		"| predict 784-512-256-10, float16 weights | batch 1 | ONNX Runtime 1 | 2.50 | 2.400 |\n", predict(51, 25))

	workers := func(one, two float64) string {
		return missed(row("gemm NN, 1 worker", "256 x 256 x 256", "adafisher/avx2", "GFLOP/s", one), row("gemm NN, 2 workers", "256 x 256 x 256", "adafisher/avx2", "GFLOP/s", two))
	}
	require.Empty(t, workers(100, 185))
	require.Contains(t, workers(100, 184), "| 1.85 | 1.840 |")
	require.Empty(t, missed())
}

// TestResultsAreRendered: the tables and the charts in bench/results are those of the
// results beside them.
func TestResultsAreRendered(t *testing.T) {
	recorded, err := filepath.Glob("../results/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, recorded)
	for _, path := range recorded {
		results, err := os.ReadFile(path)
		require.NoError(t, err)
		again := filepath.Join(t.TempDir(), filepath.Base(path))
		require.NoError(t, os.WriteFile(again, results, 0o644))
		require.NoError(t, render(again))
		for _, kind := range []string{".md", ".svg"} {
			want, err := os.ReadFile(strings.TrimSuffix(again, ".json") + kind)
			require.NoError(t, err)
			got, err := os.ReadFile(strings.TrimSuffix(path, ".json") + kind)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got), "%s is not what -render makes of %s", kind, path)
		}
	}
}

func TestRenderErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "first object: EOF",
		`{"cpu": 3}`:           "first object: json: cannot unmarshal number",
		recorded + `{"x": 1}`:  `object 10: json: unknown field "x"`,
		recorded + `{"kernel"`: "object 10: unexpected EOF",
	} {
		_, err := read(strings.NewReader(text))
		require.ErrorContains(t, err, want)
	}
	require.ErrorIs(t, render(filepath.Join(t.TempDir(), "none.json")), os.ErrNotExist)
}

func TestMachineName(t *testing.T) {
	m := machine{CPU: "Intel(R) Xeon(R) Processor", Model: "family 6, model 207"}
	require.Equal(t, "intel-xeon-family-6-model-207", m.name())
}

// TestMissingCompiler: a peer that can't be had is named, with the reason.
func TestMissingCompiler(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	p := libraries(t)
	require.Empty(t, p.loops)
	require.Contains(t, p.missing[0], "plain C with gcc [-O3 -march=native -fno-math-errno]: ")
	o, err := parse(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, p.missing, describe(p, o).Missing)
}

func TestBadFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-rounds 0":             "-rounds 0: want at least 1",
		"-sample 1ns":           "-sample 1ns: want 100µs to 1s",
		"-sample 1h":            "-sample 1h0m0s: want 100µs to 1s",
		"-match (":              "-match: error parsing regexp",
		"-json -record x":       "-json and -record exclude each other",
		"-match gemm -record x": "-match and -record exclude each other",
		"-rounds x":             "invalid value",
		"-speed 1":              "flag provided but not defined",
		"more":                  `unexpected argument "more"`,
	} {
		_, err := parse(strings.Fields(args), io.Discard)
		require.ErrorContains(t, err, want, args)
	}
	err := compare(io.Discard, smallRaces(), options{rounds: 1, sample: time.Millisecond, match: regexp.MustCompile("nothing"), json: true}, machine{})
	require.EqualError(t, err, `-match "nothing" matches no race`)
}

// TestSplit: each label is in one part, with all its results, and parts are about alike.
func TestSplit(t *testing.T) {
	for _, n := range []int{0, 1, mostLabels, mostLabels + 1, 100} {
		var all, got []result
		for i := range 2 * n {
			all = append(all, result{Kernel: strconv.Itoa(i / 2), Contender: strconv.Itoa(i)})
		}
		parts := 0
		err := split(all, func(x result) string { return x.Kernel }, func(part string, rows []result) error {
			parts++
			require.Equal(t, n > mostLabels, part != "")
			require.LessOrEqual(t, len(rows), 2*mostLabels)
			require.GreaterOrEqual(t, len(rows), min(len(all), mostLabels))
			got = append(got, rows...)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, all, got)
		require.Equal(t, (n+mostLabels-1)/mostLabels, parts)
	}
	boom := errors.New("boom")
	require.ErrorIs(t, split([]result{{}}, func(result) string { return "" }, func(string, []result) error { return boom }), boom)
}
