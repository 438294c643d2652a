package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// A report is a recorded run.
type report struct {
	machine machine
	results []result
}

// read reads a recorded run: one JSON object a line, the machine first.
func read(r io.Reader) (report, error) {
	var run report
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&run.machine); err != nil {
		return run, fmt.Errorf("first object: %w", err)
	}
	for {
		var x result
		if err := d.Decode(&x); err == io.EOF {
			return run, nil
		} else if err != nil {
			return run, fmt.Errorf("object %d: %w", len(run.results)+2, err)
		}
		run.results = append(run.results, x)
	}
}

// render makes the tables and the chart of a recorded run, beside it.
func render(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	run, err := read(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	stem := strings.TrimSuffix(path, ".json")
	tables, err := os.Create(stem + ".md")
	if err != nil {
		return err
	}
	w := bufio.NewWriter(tables)
	run.tables(w)
	if err := w.Flush(); err != nil {
		return err
	}
	if err := tables.Close(); err != nil {
		return err
	}
	return run.chart(stem + ".svg")
}

// A section is a table of the report.
type section struct {
	title, note string
	has         func(x result) bool
}

func isRoof(x result) bool   { return strings.HasPrefix(x.Kernel, "roof ") }
func isWorker(x result) bool { return strings.Contains(x.Kernel, "worker") }
func isVector(x result) bool { return x.Unit == "GB/s" && !isRoof(x) }
func isGemm(x result) bool   { return x.Unit == "GFLOP/s" && !isRoof(x) && !isWorker(x) }

func isPrediction(x result) bool { return strings.HasPrefix(x.Kernel, "predict ") }

var sections = []section{
	{"Roof", "What one core does at best: memory by the access patterns of the kernels (GB/s), and, in registers, multiply-adds (GFLOP/s), quotients and square roots (1e9 numbers a second). A kernel that divides is bound by them near the processor: an AdaFisher step takes a quotient for 20 bytes, an Adam step a quotient and a root for 28.", isRoof},
	{"Streaming kernels", "GB/s of the bytes that a kernel must move, with the ratio to the roof of the same pattern, bytes and round, by the vectors that are faster there. The roof repeats its loop without a call; at 4 KiB a call alone takes a tenth of the time. What a kernel reads twice, as softmax does, counts once. Sizes are per vector; matrices of these sizes are 16 x 64, 128 x 512, 1024 x 2048 and 8192 x 8192; scores of causal attention are square, embeddings have rows of 64, and pools are of 2 x 2 pixels of 64 channels, 16 at 4 KiB. Plain C with -Ofast may take approximations and another order of sums; spago allocates its results.", isVector},
	{"Matrix products", "GFLOP/s of m x k by k x n, with the ratio to the widest multiply-adds of the same round, or, for a batch of one row, to reading or writing the weights. NN is a forward pass, TN a gradient of the weights, NT a gradient of the input.", isGemm},
	{"Two workers", "By the clock on the wall: GFLOP/s of products, and microseconds of training steps, of which less is better.", isWorker},
	{"Training steps", "Microseconds of an MLP 784-512-256-10, less is better. The roof is the time of the products' multiply-adds (of reading the weights for a batch of 1) plus that of the optimizer's memory traffic.", func(x result) bool { return x.Unit == "us" && !isPrediction(x) && !isWorker(x) }},
	{"Predictions", "Microseconds of an MLP with ReLU, by its widths, less is better; tensors are made once, and all run on one thread. Ours are of a packed model. The roof is the time of the products' multiply-adds (of reading float32 weights for a batch of 1, of which float16 ones are half).", isPrediction},
	{"Short calls", "Nanoseconds of a call on n elements, less is better.", func(x result) bool { return x.Unit == "ns" }},
}

func (run report) tables(w io.Writer) {
	m := run.machine
	fmt.Fprintf(w, "# %s\n\nGenerated from the JSON file beside it by `make compare`.\n\n", m.CPU)
	fmt.Fprintf(w, "- %s, %d cores, %s\n", m.Model, m.Cores, m.System)
	var sizes []string
	for level, size := range m.Caches {
		sizes = append(sizes, level+" "+size)
	}
	slices.Sort(sizes)
	fmt.Fprintf(w, "- caches: %s\n", strings.Join(sizes, ", "))
	fmt.Fprintf(w, "- %s", m.Go)
	for _, x := range [][2]string{{"gcc", m.GCC}, {"", m.OpenBLAS}, {"core type", m.OpenBLASCore}, {"PyTorch", m.PyTorch}, {"ONNX Runtime", m.ONNXRuntime}} {
		if x[1] != "" {
			fmt.Fprintf(w, ", %s", strings.TrimSpace(x[0]+" "+x[1]))
		}
	}
	fmt.Fprintf(w, "\n- %s; %d rounds of %s of %s, contenders in turn; medians\n", m.Date, m.Rounds, m.Sample, m.Clock)
	fmt.Fprintf(w, "- commit: %s\n", cmp.Or(m.Commit, "unknown"))
	for _, missing := range m.Missing {
		fmt.Fprintf(w, "- missing: %s\n", strings.Join(strings.Fields(missing), " "))
	}
	for _, s := range sections {
		var rows []result
		for _, x := range run.results {
			if s.has(x) {
				rows = append(rows, x)
			}
		}
		if len(rows) > 0 {
			fmt.Fprintf(w, "\n## %s\n\n%s\n\n", s.title, s.note)
			table(w, rows)
		}
	}
	run.goals(w)
	run.behind(w)
}

// behind lists where others are faster.
func (run report) behind(w io.Writer) {
	const clearly = 0.05
	races := map[[2]string][]result{}
	var order [][2]string
	for _, x := range run.results {
		k := [2]string{x.Kernel, x.Size}
		if races[k] == nil {
			order = append(order, k)
		}
		races[k] = append(races[k], x)
	}
	type gap struct {
		ours, best result
		share      float64
	}
	var gaps []gap
	contested := 0
	for _, k := range order {
		var g gap
		for _, x := range races[k] {
			side := &g.best
			if isOurs(x.Contender) {
				side = &g.ours
			}
			if side.Contender == "" || x.better(side.Median) {
				*side = x
			}
		}
		if g.ours.Contender == "" || g.best.Contender == "" {
			continue
		}
		contested++
		if g.share = g.ours.Median / g.best.Median; g.ours.Unit == "us" || g.ours.Unit == "ns" {
			g.share = 1 / g.share
		}
		if g.share < 1-clearly {
			gaps = append(gaps, g)
		}
	}
	slices.SortStableFunc(gaps, func(a, b gap) int { return cmp.Compare(a.share, b.share) })
	fmt.Fprintf(w, "\n## Where others are faster\n\nThe rows in which somebody is faster than ours at its best by more than %g %%: %d of %d with others. bench/README.md says why.\n\n",
		100*clearly, len(gaps), contested)
	if len(gaps) == 0 {
		return
	}
	fmt.Fprintf(w, "| kernel | size | ours | the fastest | | ours / it |\n|---|---|---:|---|---:|---:|\n")
	for _, g := range gaps {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s %s | %.2f |\n", g.ours.Kernel, g.ours.Size, number(g.ours.Median), g.best.Contender, number(g.best.Median), g.best.Unit, g.share)
	}
}

// table writes a row for each kernel and size and a column for each contender;
// the best is bold.
func table(w io.Writer, results []result) {
	type key struct{ kernel, size string }
	var keys []key
	var names []string
	cells := map[key]map[string]result{}
	for _, x := range results {
		k := key{x.Kernel, x.Size}
		if cells[k] == nil {
			cells[k] = map[string]result{}
			keys = append(keys, k)
		}
		if !slices.Contains(names, x.Contender) {
			names = append(names, x.Contender)
		}
		cells[k][x.Contender] = x
	}
	slices.SortStableFunc(keys, func(a, b key) int {
		return slices.IndexFunc(keys, func(k key) bool { return k.kernel == a.kernel }) -
			slices.IndexFunc(keys, func(k key) bool { return k.kernel == b.kernel })
	})
	fmt.Fprintf(w, "| kernel | size | roof | %s |\n", strings.Join(names, " | "))
	fmt.Fprintf(w, "|---|---%s\n", strings.Repeat("|---:", 1+len(names))+"|")
	for _, k := range keys {
		row := cells[k]
		first := 0.0 // the best
		roof := ""
		for _, name := range names {
			x, ok := row[name]
			if !ok {
				continue
			}
			if first == 0 || x.better(first) {
				first = x.Median
			}
			if x.Roof > 0 && roof == "" { // ours, which come first
				roof = number(x.Roof)
			}
		}
		fmt.Fprintf(w, "| %s | %s | %s |", k.kernel, k.size, roof)
		for _, name := range names {
			x, ok := row[name]
			switch {
			case !ok:
				fmt.Fprint(w, " |")
				continue
			case x.Median == first && len(row) > 1:
				fmt.Fprintf(w, " **%s**", number(x.Median))
			default:
				fmt.Fprintf(w, " %s", number(x.Median))
			}
			if x.RoofRatio != nil {
				fmt.Fprintf(w, " (%.2f)", *x.RoofRatio)
			}
			fmt.Fprint(w, " |")
		}
		fmt.Fprintln(w)
	}
}

// better reports whether the result beats another median.
func (x result) better(median float64) bool {
	if x.Unit == "us" || x.Unit == "ns" {
		return x.Median < median
	}
	return x.Median > median
}

// number has three digits, without an exponent.
func number(x float64) string {
	switch {
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	case x < 100:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}
