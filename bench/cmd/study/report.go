package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adafisher-go/adafisher/bench/yardstick"
	"github.com/adafisher-go/adafisher/optim"
)

const reportName = "README.md"

// report writes the page and the plots that the lines of a store give. All that it
// says follows from them.
func report(s *store) error {
	results, err := gather(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	var page bytes.Buffer
	w := &writer{Writer: &page, dir: s.dir}
	w.line("# The optimizers compared\n")
	w.line("Written by `make study` from the lines of JSON beside it. Don't edit it.\n")
	if len(results) == 0 {
		w.line("No task has a final run yet.")
	} else {
		w.summary(results)
		w.protocol(results, s)
		w.table(results)
		for i := range results {
			w.task(&results[i])
		}
		w.ablations(s)
		w.robustness(results)
		w.costs(results)
		w.memory(results)
		w.curvature(results)
		w.settings(results)
		w.origin(s)
	}
	if w.err != nil {
		return w.err
	}
	return os.WriteFile(filepath.Join(s.dir, reportName), page.Bytes(), 0o644)
}

// A writer writes the page, and the plots beside it.
type writer struct {
	io.Writer
	dir string
	err error // the first one
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

func (w *writer) figure(name, alt string, draw func(path string) error) {
	if w.err != nil {
		return
	}
	w.err = draw(filepath.Join(w.dir, name))
	w.line("![%s](%s)\n", alt, name)
}

// spokenOf are the rules that the summary compares with the others.
var spokenOf = []string{published, calibrated, calibrated + untuned}

func (w *writer) summary(results []taskResult) {
	w.line("## In short\n")
	w.line("Two results are called level unless their means differ by more than two standard errors of the difference; with so few seeds that is a rough rule.\n")
	for _, r := range results {
		text := fmt.Sprintf("- **%s**, test %s:", r.title, r.metric)
		var best []string
		for i, o := range r.outcomes[:min(3, len(r.outcomes))] {
			if f := o.final(r.task); f.n > 0 {
				best = append(best, fmt.Sprintf("%s%s %s", []string{"best is ", "then ", "then "}[i], o.rule, o.cell(r.task)))
			}
		}
		text += " " + strings.Join(best, ", ") + "."
		for _, name := range spokenOf {
			if o := r.find(name); o != nil {
				text += " " + r.sentence(o)
			}
		}
		w.line("%s", text)
	}
	for _, name := range spokenOf {
		if strings.HasSuffix(name, untuned) {
			continue
		}
		if text := costSentence(results, name); text != "" {
			w.line("- %s", text)
		}
		if text := curvatureSentence(results, name); text != "" {
			w.line("- %s", text)
		}
	}
	var edges []string
	for _, r := range results {
		for _, o := range r.outcomes {
			if o.edge() {
				edges = append(edges, o.rule+" on "+r.name)
			}
		}
	}
	if len(edges) > 0 {
		w.line("- Learning rates that may not be the best, because the best trial has no neighbour on one side or the robustness runs found a better one: %s.", strings.Join(edges, ", "))
	}
	w.line("")
}

// sentence says where an optimizer stands, and how it compares with the usual ones.
func (r *taskResult) sentence(o *outcome) string {
	f := o.final(r.task)
	if f.n == 0 {
		return fmt.Sprintf("%s: %s.", o.rule, o.cell(r.task))
	}
	place := 1
	for i, other := range r.outcomes {
		if other == o {
			place = i + 1
		}
	}
	text := fmt.Sprintf("%s is number %d of %d with %s", o.rule, place, len(r.outcomes), o.cell(r.task))
	var to []string
	for _, name := range []string{adamW, "SGD"} {
		if other := r.find(name); other != nil {
			if g := other.final(r.task); g.ok() && f.ok() {
				to = append(to, fmt.Sprintf("%v %s (%s)", r.metric.compare(f, g), name, r.metric.number(g.mean)))
			}
		}
	}
	if len(to) > 0 {
		text += ", " + strings.Join(to, ", ")
	}
	return text + "."
}

func costSentence(results []taskResult, name string) string {
	var own []float64
	var others []string
	for _, r := range results {
		if o := r.find(name); o != nil {
			own = append(own, o.cost.Ratio)
		}
	}
	if len(own) == 0 {
		return ""
	}
	for _, other := range []string{"SGD", "K-FAC", "Shampoo", "AdaHessian"} {
		var ratios []float64
		for _, r := range results {
			if o := r.find(other); o != nil {
				ratios = append(ratios, o.cost.Ratio)
			}
		}
		if len(ratios) > 0 {
			others = append(others, fmt.Sprintf("of %s %s", other, span(ratios)))
		}
	}
	text := fmt.Sprintf("A step of %s costs %s times that of Adam", name, span(own))
	if len(others) > 0 {
		text += "; " + strings.Join(others, ", ")
	}
	return text + "."
}

func span(x []float64) string {
	low, high := fmt.Sprintf("%.2f", slices.Min(x)), fmt.Sprintf("%.2f", slices.Max(x))
	if low == high {
		return low
	}
	return low + " to " + high
}

func curvatureSentence(results []taskResult, name string) string {
	least, most := math.Inf(1), 0.0
	var where, at string
	for _, r := range results {
		if o := r.find(name); o != nil {
			for _, l := range o.layers() {
				if l.DampingShare < least {
					least, where = l.DampingShare, l.Name+" of "+r.name
				}
				if l.Spread > most {
					most, at = l.Spread, l.Name+" of "+r.name
				}
			}
		}
	}
	if where == "" {
		return ""
	}
	return fmt.Sprintf("With %s damping makes up at least %.1f %% of the curvature of every layer at the end of a run (the least in layer %s), and the largest entry is at most %.3f times the smallest (layer %s).",
		name, math.Floor(1000*least)/10, where, most, at)
}

func (w *writer) protocol(results []taskResult, s *store) {
	w.line("## What was done\n")
	w.line("All optimizers get the same time on a task: that of a number of Adam's steps. What a step costs is measured first, all optimizers in turns, by the CPU time of the process; the number of steps follows from the ratio to Adam's. So a busy machine doesn't favour any, and a run repeats to the bit.\n")
	w.line("Each optimizer tries the same number of learning rates, half a decade apart, around a centre that is the same for all tasks, with seed 0; the one with the least loss on the validation samples, which take no part in training, is then trained from the other seeds, and only those runs see the test samples. The rate warms up over a twentieth of the steps and follows half a cosine down to a hundredth. All else is as the settings below say, the same for all tasks. Rules named untuned are there with their usual rate on all tasks, beside the same rules with trials.\n")
	w.line("| task | | batch | Adam's steps | rates tried | seeds |")
	w.line("|---|---|---:|---:|---:|---:|")
	for _, r := range results {
		steps, rates := "", 0
		if o := r.find(reference); o != nil {
			for _, l := range o.finals {
				steps = fmt.Sprint(l.Steps)
			}
		}
		for _, o := range r.outcomes {
			if !o.untuned() && (rates == 0 || len(o.trials) < rates) {
				rates = len(o.trials)
			}
		}
		if r.robust {
			rates = 0
		}
		tried := "see below"
		if rates > 0 {
			tried = fmt.Sprint(rates)
		}
		w.line("| %s | %s | %d | %s | %s | %d |", r.name, r.about, r.batch, steps, tried, r.seedsRun())
	}
	w.line("")
}

func (w *writer) table(results []taskResult) {
	w.line("## Results on the test samples\n")
	w.line("Mean and standard deviation over the seeds; the best of each task in bold.\n")
	head, rule := "| optimizer | numbers a weight |", "|---|---|"
	for _, r := range results {
		head += fmt.Sprintf(" %s, %s |", r.title, r.metric)
		rule += "---:|"
	}
	w.line("%s\n%s", head, rule)
	for _, x := range rules {
		row, some := fmt.Sprintf("| %s | %s |", x.name, x.state), false
		for _, r := range results {
			o := r.find(x.name)
			switch {
			case o == nil:
				row += " |"
			default:
				some = true
				text := o.cell(r.task)
				if o == r.outcomes[0] {
					text = "**" + text + "**"
				}
				row += " " + text + " |"
			}
		}
		if some {
			w.line("%s", row)
		}
	}
	w.line("")
}

func (w *writer) task(r *taskResult) {
	w.line("## %s\n", r.title)
	w.line("| optimizer | learning rate | steps | ms/step | test %s | test loss | last training loss |", r.metric)
	w.line("|---|---:|---:|---:|---:|---:|---:|")
	for _, o := range r.outcomes {
		rate, steps, loss, train := "", "", "", ""
		if len(o.finals) > 0 {
			rate, steps = plainNumber(o.lr), fmt.Sprint(o.finals[0].Steps)
			if o.edge() {
				rate += " (edge)"
			}
		}
		if f := o.finalLoss(); f.n > 0 {
			loss = fmt.Sprintf("%.4f ± %.4f", f.mean, f.std)
			train = fmt.Sprintf("%.4f", o.finalOf(func(l *line) float64 { return l.last().TrainLoss }).mean)
		}
		w.line("| %s | %s | %s | %.3f | %s | %s | %s |", o.rule, rate, steps, o.cost.Micros/1e3, o.cell(r.task), loss, train)
	}
	w.line("")
	var failed []string
	for _, o := range r.outcomes {
		for _, l := range o.finals {
			if l.Failed != "" {
				failed = append(failed, fmt.Sprintf("- %s, seed %d: %s", o.rule, l.Seed, l.Failed))
			}
		}
	}
	if len(failed) > 0 {
		w.line("Final runs that failed:\n\n%s\n", strings.Join(failed, "\n"))
	}
	w.figure(r.name+"-time.svg", "test "+r.metric.String()+" over time", func(path string) error { return r.overTime(path, false) })
	w.figure(r.name+"-steps.svg", "test "+r.metric.String()+" over steps", func(path string) error { return r.overTime(path, true) })
}

func (w *writer) robustness(results []taskResult) {
	results = slices.DeleteFunc(slices.Clone(results), func(r taskResult) bool {
		return !slices.ContainsFunc(r.outcomes, func(o *outcome) bool { return len(o.batches) > 1 })
	})
	if len(results) == 0 {
		return
	}
	w.line("## Robustness\n")
	_, tolerance := results[0].metric.tolerance()
	w.line("Over how many decades of the learning rate, in one piece, the validation result is within %s of that with the rate of the least validation loss; in steps of the rates that were tried, with one seed. Runs that failed count as guesses.\n", tolerance)
	w.byTask("optimizer", results, func(x rule, r *taskResult) string {
		if o := r.find(x.name); o != nil && !o.untuned() {
			if d, ok := o.width(r.task); ok {
				return fmt.Sprintf("%.1f", d)
			}
		}
		return ""
	})
	w.line("")
	for i := range results {
		r := &results[i]
		for _, part := range []struct {
			name    string
			byBatch bool
		}{{"rate", false}, {"batch", true}} {
			if w.err != nil {
				return
			}
			name := r.name + "-" + part.name + ".svg"
			drawn, err := r.robustness(filepath.Join(w.dir, name), part.byBatch)
			w.err = err
			if drawn {
				w.line("![validation %s over the %s](%s)\n", r.metric, part.name, name)
			}
		}
	}
}

// byTask writes a table with a row for each rule and a column for each task; a rule whose
// cells are all empty has no row.
func (w *writer) byTask(lead string, results []taskResult, cell func(x rule, r *taskResult) string) {
	head, line := "| "+lead+" |", "|---|"
	for _, r := range results {
		head += " " + r.title + " |"
		line += "---:|"
	}
	w.line("%s\n%s", head, line)
	for _, x := range rules {
		row, some := "| "+x.name+" |", false
		for i := range results {
			text := cell(x, &results[i])
			row += " " + text + " |"
			some = some || text != ""
		}
		if some {
			w.line("%s", row)
		}
	}
}

func (w *writer) costs(results []taskResult) {
	w.line("## What a step costs\n")
	w.line("CPU time of a training step in steps of Adam, forward and backward pass included: the least of several rounds, in which all took turns, each of as many steps as the work takes to repeat, so that inverses and roots count in full.\n")
	w.figure("cost.svg", "cost of a step", func(path string) error { return costs(path, results) })
	w.byTask("heap objects allocated a step", results, func(x rule, r *taskResult) string {
		if o := r.find(x.name); o != nil && !o.untuned() {
			return fmt.Sprintf("%.2g", *o.cost.Allocs)
		}
		return ""
	})
	w.line("")
}

func (w *writer) memory(results []taskResult) {
	w.line("## What an optimizer keeps\n")
	w.line("Numbers for each weight that it needs from step to step, as a checkpoint has them: moments of the weights, and statistics of the layers, which are many where a layer has a wide input and few outputs. The yardsticks are not among them: see the table of results.\n")
	w.byTask("optimizer", results, func(x rule, r *taskResult) string {
		if x.of != "" { // it keeps what the rule with trials does
			return ""
		}
		n, ok, err := kept(x, r.task)
		if err != nil && w.err == nil {
			w.err = err
		}
		if !ok {
			return ""
		}
		return fmt.Sprintf("%.3f", n)
	})
	w.line("")
}

// kept returns how many numbers a rule keeps for each weight of a task's network, and
// false for one that has no state to tell.
func kept(x rule, t task) (numbers float64, ok bool, err error) {
	model, err := t.network()
	if err != nil {
		return 0, false, err
	}
	trainer, err := x.build(model, x.rates.at(0))
	if err != nil {
		return 0, false, err
	}
	wrapped, ok := trainer.(interface{ Unwrap() yardstick.Stepper })
	if !ok {
		return 0, false, nil
	}
	stateful, ok := wrapped.Unwrap().(interface{ State() *optim.State })
	if !ok {
		return 0, false, nil
	}
	for _, v := range stateful.State().Vectors {
		numbers += float64(len(v))
	}
	return numbers / float64(model.NumParams()), true, nil
}

func (w *writer) curvature(results []taskResult) {
	first := true
	for i := range results {
		r := &results[i]
		if len(r.curvatures()) == 0 {
			continue
		}
		if first {
			w.line("## Curvature\n")
			w.line("What AdaFisher divides by, F = H*S + lambda, at the end of the first final run: which share of it is the damping lambda (the mean of lambda/F), and how far its entries differ. A layer at 100 %% takes steps of momentum SGD. Calibrated, F is proportional to (D + sqrt(c))*(S + sqrt(c)), with D and S in units of their means in the layer, and the damping is what it is where D and S are 0.\n")
			first = false
		}
		w.figure(r.name+"-curvature.svg", "damping and spread of the curvature", r.curvature)
	}
}

// settings lists what each rule is set to.
func (w *writer) settings(results []taskResult) {
	w.line("## Settings\n")
	w.line("| optimizer | settings | rates that may be tried |")
	w.line("|---|---|---:|")
	for _, x := range rules {
		if slices.ContainsFunc(results, func(r taskResult) bool { return r.find(x.name) != nil }) {
			tried := x.trials(full.trials)
			span := plainNumber(tried[0])
			if len(tried) > 1 {
				span += " to " + plainNumber(tried[len(tried)-1])
			}
			w.line("| %s | %s | %s |", x.name, x.about, span)
		}
	}
	w.line("")
}

// origin lists what machines and commits the lines are from.
func (w *writer) origin(s *store) {
	w.line("## Machine\n")
	type source struct{ cpu, level, goVersion, commit string }
	count := make(map[source]int)
	var order []source
	days := make(map[source][2]string)
	for _, l := range s.order {
		k := source{l.CPU, l.Level, l.Go, l.Commit}
		if count[k] == 0 {
			order = append(order, k)
			days[k] = [2]string{l.Date, l.Date}
		}
		count[k]++
		d := days[k]
		days[k] = [2]string{min(d[0], l.Date), max(d[1], l.Date)}
	}
	slices.SortFunc(order, func(a, b source) int { // however the lines came in
		return cmp.Or(cmp.Compare(days[a][0], days[b][0]), cmp.Compare(a.commit, b.commit),
			cmp.Compare(a.cpu, b.cpu), cmp.Compare(a.level, b.level), cmp.Compare(a.goVersion, b.goVersion))
	})
	w.line("| lines | processor | level | Go | commit | days |")
	w.line("|---:|---|---|---|---|---|")
	for _, k := range order {
		d := days[k][0]
		if days[k][1] != d {
			d += " to " + days[k][1]
		}
		w.line("| %d | %s | %s | %s | %s | %s |", count[k], k.cpu, k.level, k.goVersion, k.commit, d)
	}
}
