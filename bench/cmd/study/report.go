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

	"github.com/adafisher-go/adafisher/bench/internal/host"
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
		w.aim(results)
		w.protocol(results)
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
var spokenOf = []string{published, calibrated}

func (w *writer) summary(results []taskResult) {
	w.line("## In short\n")
	w.line("Two results are called level unless their means differ by more than two standard errors of the difference; with so few seeds that is a rough rule. Steps that took less than %v or more than %v of Adam's time have their share of it in brackets.\n", leastShare, mostShare)
	for _, r := range results {
		text := fmt.Sprintf("- **%s**, test %s:", r.title, r.metric)
		var best []string
		for i, o := range r.outcomes[:min(3, len(r.outcomes))] {
			if f := o.final(r.task); f.n > 0 {
				text := fmt.Sprintf("%s%s %s", []string{"best is ", "then ", "then "}[i], o.rule, o.cell(r.task))
				if share := r.unequal(o); share != "" {
					text += " (" + share + ")"
				}
				best = append(best, text)
			}
		}
		if len(best) > 0 {
			text += " " + strings.Join(best, ", ") + "."
		}
		for _, name := range spokenOf {
			for _, name := range []string{name, name + untuned} {
				if o := r.find(name); o != nil {
					text += " " + r.sentence(o)
				}
			}
		}
		w.line("%s", text)
	}
	w.line("- %s", costSentence(results))
	for _, name := range spokenOf {
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
		w.line("- Learning rates that may not be the best, because the best has no neighbour on one side or a rate tried since is better: %s.", strings.Join(edges, ", "))
	}
	w.line("")
}

// sentence says where an optimizer stands, and how it compares with the usual ones.
func (r *taskResult) sentence(o *outcome) string {
	if of := r.find(strings.TrimSuffix(o.rule, untuned)); o.untuned() && of != nil && of.lr == o.lr {
		return fmt.Sprintf("Its rate is the usual one, %s.", plainNumber(o.lr))
	}
	f := o.final(r.task)
	if f.n == 0 {
		return fmt.Sprintf("%s: %s.", o.rule, o.cell(r.task))
	}
	text := fmt.Sprintf("%s has %s", o.rule, o.cell(r.task))
	if i := slices.Index(r.outcomes, o); i >= 0 {
		text = fmt.Sprintf("%s is number %d of %d with %s", o.rule, i+1, len(r.outcomes), o.cell(r.task))
	}
	if share := r.unequal(o); share != "" {
		text += " (" + share + ")"
	}
	var to []string
	for _, name := range []string{adamW, "SGD", nesterov, muon} {
		if other := r.find(name); other != nil {
			if g := other.final(r.task); g.ok() && f.ok() {
				result := r.metric.number(g.mean)
				if share := r.unequal(other); share != "" {
					result += ", " + share
				}
				to = append(to, fmt.Sprintf("%v %s (%s)", r.metric.compare(f, g), name, result))
			}
		}
	}
	if len(to) > 0 {
		text += ", " + strings.Join(to, ", ")
	}
	return text + "."
}

// Shares of Adam's time between these, as they are printed, count as equal.
const leastShare, mostShare = 0.95, 1.05

// unequal says which share of Adam's time an outcome had, if it is far from all.
func (r *taskResult) unequal(o *outcome) string {
	if share := math.Round(100*r.timeShare(o)) / 100; share < leastShare || share > mostShare {
		return fmt.Sprintf("with %.2f of the time", share)
	}
	return ""
}

// What was asked of AdaFisher calibrated at its one default setting.
const (
	aimPoints  = 0.3  // of accuracy, that it may be behind the best of the others
	aimPercent = 1    // of perplexity, likewise
	aimState   = 1.05 // times the state of SGD with momentum
)

// aim compares AdaFisher calibrated with what was asked of it.
func (w *writer) aim(results []taskResult) {
	var rows, seen, fresh []string
	var reached [2]struct{ tasks, within, better, small int } // the first tasks, and the fresh ones
	for _, r := range results {
		own, adam := r.find(calibrated+untuned), r.find(adamW)
		i := slices.IndexFunc(r.outcomes, func(o *outcome) bool { return !strings.HasPrefix(o.rule, calibrated) })
		if own == nil || adam == nil || i < 0 {
			continue
		}
		f, a, b := own.final(r.task), adam.final(r.task), r.outcomes[i].final(r.task)
		if !f.ok() || !a.ok() || !b.ok() {
			continue
		}
		behind, most, unit := b.mean-f.mean, float64(aimPoints), "points"
		if r.metric == perplexity {
			behind, most, unit = 100*(f.mean/b.mean-1), aimPercent, "%"
		}
		state, err := stateRatio(r.task)
		if err != nil && w.err == nil {
			w.err = err
		}
		chosen, sum := "yes", &reached[0]
		if r.fresh {
			chosen, sum = "no", &reached[1]
			fresh = append(fresh, r.name)
		} else {
			seen = append(seen, r.name)
		}
		sum.tasks++
		sum.within += count(behind <= most)
		sum.better += count(r.metric.compare(f, a) == ahead)
		sum.small += count(state <= aimState)
		plain := ""
		if o := r.find(adamW + untuned); o != nil && o.final(r.task).ok() {
			plain = r.against(f, o)
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s %s | %s | %+.2f %s: %s | %s | %s | %.3f: %s |", r.title, chosen,
			r.outcomes[i].rule, b.text(r.metric.number), f.text(r.metric.number), behind, unit, met(behind <= most), r.against(f, adam), plain, state, met(state <= aimState)))
	}
	if len(rows) == 0 {
		return
	}
	w.line("## What AdaFisher calibrated was to reach\n")
	w.line("At its one default setting: within %v points of accuracy, or %v %% of perplexity, of the best tuned optimizer of the others on each of the first four tasks, and ahead of tuned AdamW on three of them, with at most %v times the state of SGD with momentum. The others are all but its tuned and its RMS form.\n", aimPoints, aimPercent, aimState)
	w.line("| task | used to choose the default | best of the others | AdaFisher calibrated untuned | behind by | tuned AdamW | untuned AdamW | state over SGD's |")
	w.line("|---|---|---:|---:|---:|---:|---:|---:|")
	w.line("%s\n", strings.Join(rows, "\n"))
	for i, kind := range []string{"tasks used to choose the default", "tasks for which nothing was chosen"} {
		if n := reached[i]; n.tasks > 0 {
			w.line("- Of the %s within the bound on %d of %d, clearly ahead of tuned AdamW on %d, within the state on %d.", kind, n.within, n.tasks, n.better, n.small)
		}
	}
	w.line("")
	if len(seen) > 0 {
		text := fmt.Sprintf("The default, a learning rate and a damping, and the parts of the rule were chosen in experiments before the study with data and networks like those of %s; so these don't show what it does elsewhere.", strings.Join(seen, ", "))
		if len(fresh) > 0 {
			text += fmt.Sprintf(" For %s nothing was chosen, though the images are those of other tasks.", strings.Join(fresh, " and "))
		}
		w.line("%s\n", text)
	}
}

// against says how a result compares with that of an optimizer.
func (r *taskResult) against(f spread, o *outcome) string {
	g := o.final(r.task)
	return fmt.Sprintf("%v %s", r.metric.compare(f, g), r.metric.number(g.mean))
}

func met(yes bool) string {
	if yes {
		return "reached"
	}
	return "missed"
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// stateRatio returns how many times the state of SGD AdaFisher calibrated keeps.
func stateRatio(t task) (float64, error) {
	var n [2]float64
	for i, name := range []string{calibrated, "SGD"} {
		r, err := ruleNamed(name)
		if err != nil {
			return 0, err
		}
		if n[i], _, err = kept(r, t); err != nil {
			return 0, err
		}
	}
	return n[0] / n[1], nil
}

// costSentence says what steps cost.
func costSentence(results []taskResult) string {
	var all []string
	for _, name := range []string{published, calibrated, "SGD", muon, "K-FAC", "Shampoo", "AdaHessian"} {
		var ratios []float64
		for _, r := range results {
			o := r.find(name)
			if o == nil {
				o = r.find(name + untuned)
			}
			if o != nil {
				ratios = append(ratios, o.cost.Ratio)
			}
		}
		if len(ratios) > 0 {
			all = append(all, fmt.Sprintf("of %s %s", name, span(ratios)))
		}
	}
	return fmt.Sprintf("A step in steps of Adam: %s.", strings.Join(all, ", "))
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
	times := fmt.Sprintf("%.3f", most)
	if most >= 100 {
		times = fmt.Sprintf("%.0f", most)
	}
	return fmt.Sprintf("With %s damping makes up at least %.1f %% of the curvature of every layer at the end of a run (the least in layer %s), and the largest entry is at most %s times the smallest (layer %s).",
		name, math.Floor(1000*least)/10, where, times, at)
}

func (w *writer) protocol(results []taskResult) {
	w.line("## What was done\n")
	w.line("All optimizers get the same time on a task: that of a number of Adam's steps. The cost of a step is CPU time of the process; the first that was measured sets how many steps an optimizer has, so that a run repeats to the bit. The tables of the tasks have the share of Adam's time that these steps take by the last measurement, see \"What a step costs\"%s.%s\n", timeShares(results), leastTimes(results))
	w.line("Each optimizer tries the same number of learning rates, half a decade apart, around a centre that is the same for all tasks, with seed 0. The one with the least loss on the validation samples, which take no part in training, is then trained from the other seeds. If its mean loss over all its runs turns out above that of another rate, that one is trained from these seeds too, until the rate with the least mean has all seeds: it is the one that counts. A failed run weighs more than any loss. The test samples, which choose nothing, are seen by the runs with the other seeds alone. The rate warms up over a twentieth of the steps and follows half a cosine down to a hundredth. All else is as the settings below say, the same for all tasks. Rules named untuned are the same rules at their usual rate, the centre, on all tasks; they have no rank.\n")
	if slices.ContainsFunc(results, func(r taskResult) bool { return r.robust }) {
		w.line("Where the table below has a range of rates tried, those around the best, of \"Robustness\", are among them: they choose nothing.\n")
	}
	w.line("| task | | batch | Adam's steps | rates tried | seeds |")
	w.line("|---|---|---:|---:|---:|---:|")
	for _, r := range results {
		least, most := math.MaxInt, 0
		for _, o := range r.outcomes {
			least, most = min(least, len(o.trials)), max(most, len(o.trials))
		}
		tried := ""
		switch {
		case most == 0:
		case least == most:
			tried = fmt.Sprint(most)
		default:
			tried = fmt.Sprintf("%d to %d", least, most)
		}
		w.line("| %s | %s | %d | %.0f | %s | %d |", r.name, r.about, r.batch, r.adamSteps(), tried, r.seedsRun())
	}
	w.line("")
}

// timeShares says how far from equal the times are.
func timeShares(results []taskResult) string {
	var shares []float64
	for _, r := range results {
		for _, o := range r.drawn() {
			if len(o.finals) > 0 {
				shares = append(shares, r.timeShare(o))
			}
		}
	}
	if len(shares) == 0 {
		return ""
	}
	return ": " + span(shares)
}

// leastTimes says where numbers of steps are from costs that were not medians: those have
// no spread.
func leastTimes(results []taskResult) string {
	var names []string
	for _, r := range results {
		if slices.ContainsFunc(r.drawn(), func(o *outcome) bool { return o.first.Spread == 0 }) {
			names = append(names, r.name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(" On %s the first costs were the least of several rounds of unequal length, not medians as now.", strings.Join(names, ", "))
}

func (w *writer) table(results []taskResult) {
	w.line("## Results on the test samples\n")
	w.line("Mean and standard deviation over the seeds; in bold the best of each task among the rules with trials.\n")
	results = slices.Clone(results)
	for i := range results {
		results[i].title += ", " + results[i].metric.String()
	}
	w.byTask("optimizer", results, func(x rule, r *taskResult) string {
		o := r.find(x.name)
		if o == nil {
			return ""
		}
		text := o.cell(r.task)
		if len(r.outcomes) > 0 && !o.untuned() {
			best, f := r.outcomes[0].final(r.task), o.final(r.task)
			if f.ok() && best.ok() && r.metric.number(f.mean) == r.metric.number(best.mean) {
				text = "**" + text + "**"
			}
		}
		return text
	})
	w.line("")
}

func (w *writer) task(r *taskResult) {
	w.line("## %s\n", r.title)
	w.line("| optimizer | learning rate | steps | ms/step | time | test %s | test loss | last training loss |", r.metric)
	w.line("|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, o := range slices.Concat(r.outcomes, r.usual) {
		rate, steps, share, loss, train := "", "", "", "", ""
		if len(o.finals) > 0 {
			rate, steps, share = plainNumber(o.lr), fmt.Sprint(o.steps), fmt.Sprintf("%.2f", r.timeShare(o))
			if o.edge() {
				rate += " (edge)"
			}
		}
		if f := o.finalLoss(); f.n > 0 {
			loss = f.text(func(v float64) string { return fmt.Sprintf("%.4f", v) })
			train = fmt.Sprintf("%.4f", o.finalOf(func(l *line) float64 { return l.last().TrainLoss }).mean)
		}
		w.line("| %s | %s | %s | %.3f | %s | %s | %s | %s |", o.rule, rate, steps, r.seconds(o)*1e3, share, o.cell(r.task), loss, train)
	}
	w.line("")
	var failed []string
	for _, o := range r.drawn() {
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
	w.line("CPU time of a training step in steps of Adam, forward and backward pass included. All optimizers of a task take turns of %d steps; the medians of the turns count. Where work repeats only after more steps, as with inverses and roots, each kind of turn has its median, and the mean of these counts. In brackets what lies between the quartiles of the turns, in percent of the cost.\n", turnSteps)
	w.figure("cost.svg", "cost of a step", func(path string) error { return costs(path, results) })
	w.byTask("cost of a step in steps of Adam", results, func(x rule, r *taskResult) string {
		o := r.find(x.name)
		if o == nil || o.untuned() {
			return ""
		}
		if o.cost.Spread == 0 {
			return fmt.Sprintf("%.3f", o.cost.Ratio)
		}
		return fmt.Sprintf("%.3f (%.0f)", o.cost.Ratio, 100*o.cost.Spread)
	})
	w.line("")
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
	w.line("Numbers for each weight that it needs from step to step, as a checkpoint has them: moments of the weights, and statistics of the layers, which are many where a layer has a wide input and few outputs. The yardsticks K-FAC, Shampoo and AdaHessian have no checkpoints and are not among them.\n")
	w.byTask("optimizer", results, func(x rule, r *taskResult) string {
		if x.untuned() || r.find(x.name) == nil && r.find(x.name+untuned) == nil { // untuned it keeps as much
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
			w.line("What AdaFisher divides by, F = H*S + lambda, at the end of the first final run: which share of it is the damping lambda (the mean of lambda/F), and how far its entries differ, the largest over the smallest. The traces are the sums of the averages that H and S come from. A layer at 100 %% takes steps of momentum SGD. The effective step is the mean over F of 1/F, times the largest learning rate: what the momentum is multiplied by. Calibrated, F is proportional to (D + sqrt(c))*(S + sqrt(c)), with D and S in units of their means in the layer, and the damping is what it is where D and S are 0.\n")
			first = false
		}
		w.figure(r.name+"-curvature.svg", "damping and spread of the curvature, the traces of its factors, and the effective step", r.curvature)
	}
	first = true
	for i := range results {
		r := &results[i]
		if len(r.discs()) == 0 {
			continue
		}
		if first {
			w.line("The diagonals that AdaFisher takes of its factors leave out what the discs of Gershgorin measure: in each row of a full factor the sum of all other entries, in units of the diagonal one. Below 1 the diagonal outweighs the rest. On one batch, at the end of the first final run of AdaFisher calibrated, quartiles over the rows: of the layer's inputs, of these less their means, as calibrated takes them, and of the gradients at its outputs.\n")
			first = false
		}
		w.figure(r.name+"-discs.svg", "Gershgorin's discs of the factors", r.drawDiscs)
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
	changed := 0
	for _, l := range s.order {
		changed += count(strings.HasSuffix(l.Commit, host.Dirty))
	}
	if changed > 0 {
		w.line("%d of %d lines are from files that differed from the commit, with %s behind its name.\n", changed, len(s.order), host.Dirty)
	}
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
