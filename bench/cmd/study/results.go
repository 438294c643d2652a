package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// An outcome is what the lines of a store say of one optimizer at one task.
type outcome struct {
	rule    string
	cost    *line   // the last one
	first   *line   // the first cost, which set the steps
	steps   int     // of runs with the task's batch
	lr      float64 // of the final runs
	runs    []*line // with the task's batch
	trials  []*line // of runs, those with the trial seed, by learning rate
	batches []*line // with the trial seed and the rate of the final runs, by batch
	finals  []*line // of runs, those with the other seeds and the rate lr
}

// untuned reports whether the rule has its usual rate, without trials.
func (o *outcome) untuned() bool { return strings.HasSuffix(o.rule, untuned) }

// A candidate is a learning rate, and what the runs with it gave.
type candidate struct {
	lr   float64
	loss spread // on the validation samples, which tells more than the accuracy on few
}

// rank sorts the learning rates of runs, the best first: by the number of failures, and
// by the mean loss. Rates that only failed are left out.
func rank(runs []*line) []candidate {
	byRate := make(map[float64][]*line)
	var all []candidate
	for _, l := range runs {
		if byRate[l.LR] == nil {
			all = append(all, candidate{lr: l.LR})
		}
		byRate[l.LR] = append(byRate[l.LR], l)
	}
	for i := range all {
		all[i].loss = spreadOf(byRate[all[i].lr], validationLoss)
	}
	all = slices.DeleteFunc(all, func(c candidate) bool { return c.loss.n == 0 })
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.loss.failed, b.loss.failed), cmp.Compare(a.loss.mean, b.loss.mean))
	})
	return all
}

// chosen returns the rate of the final runs that count: of those with the most seeds the
// best, the trial among its runs; 0 if there is none.
func (o *outcome) chosen() float64 {
	seeds := make(map[float64]int)
	most := 1
	for _, l := range o.finals {
		seeds[l.LR]++
		most = max(most, seeds[l.LR])
	}
	runs := slices.DeleteFunc(slices.Clone(o.runs), func(l *line) bool { return seeds[l.LR] < most })
	if ranked := rank(runs); len(ranked) > 0 {
		return ranked[0].lr
	}
	return 0
}

func validationLoss(l *line) float64 { return l.last().Validation.Loss }

// A taskResult is what the lines say of one task.
type taskResult struct {
	task
	outcomes []*outcome // of the rules with trials, the best first
	usual    []*outcome // of the untuned rules
	adam     *line      // the last cost of a step of Adam
}

// adamSteps returns how many steps of Adam the budget is.
func (r *taskResult) adamSteps() float64 {
	if o := r.find(reference); o != nil && o.steps > 0 {
		return float64(o.steps)
	}
	least := slices.MinFunc(r.drawn(), func(a, b *outcome) int { return cmp.Compare(a.first.Ratio, b.first.Ratio) })
	return math.Round(float64(least.steps) * least.first.Ratio)
}

// timeShare returns what share of the budget an outcome's steps take.
func (r *taskResult) timeShare(o *outcome) float64 {
	return float64(o.steps) * o.cost.Ratio / r.adamSteps()
}

// seconds returns what a step takes. The ratio to Adam's is of one session; the times of
// sessions differ.
func (r *taskResult) seconds(o *outcome) float64 { return o.cost.Ratio * r.adam.Micros / 1e6 }

// drawn returns the outcomes, with those of the untuned rules that are not among them
// under another name.
func (r *taskResult) drawn() []*outcome {
	all := slices.Clone(r.outcomes)
	for _, o := range r.usual {
		if of := r.find(strings.TrimSuffix(o.rule, untuned)); of == nil || of.lr != o.lr {
			all = append(all, o)
		}
	}
	return all
}

// gather sorts the lines of a store; tasks without a final run are left out. Runs of
// different budgets are an error.
func gather(s *store) ([]taskResult, error) {
	var all []taskResult
	for _, t := range tasks {
		byRule := make(map[string]*outcome)
		result := taskResult{task: t}
		for _, l := range s.order {
			if l.Task != t.name {
				continue
			}
			l = l.judged()
			o := byRule[l.Optimizer]
			if o == nil {
				o = &outcome{rule: l.Optimizer}
				byRule[l.Optimizer] = o
				result.outcomes = append(result.outcomes, o)
			}
			if l.Kind == "run" && l.Batch == t.batch {
				if o.steps != 0 && o.steps != l.Steps {
					return nil, fmt.Errorf("%s: %s has runs of %d and of %d steps: remove those of one budget", s.path(t.name), o.rule, o.steps, l.Steps)
				}
				o.steps = l.Steps
				o.runs = append(o.runs, l)
			}
			switch {
			case l.Kind == "cost":
				if o.cost == nil {
					o.first = l
				}
				o.cost = l
				if l.Optimizer == reference {
					result.adam = l
				}
			case l.Seed != trialSeed:
				o.finals = append(o.finals, l)
			default:
				o.batches = append(o.batches, l)
				if l.Batch == t.batch {
					o.trials = append(o.trials, l)
				}
			}
		}
		for _, r := range rules {
			if of := byRule[r.of]; of != nil && r.untuned() && of.cost != nil {
				o := &outcome{rule: r.name, cost: of.cost, first: of.first, steps: of.steps, lr: r.rates.at(0), finals: slices.Clone(of.finals)}
				result.usual = append(result.usual, o)
			}
		}
		for _, o := range result.outcomes {
			o.lr = o.chosen()
		}
		for _, o := range slices.Concat(result.outcomes, result.usual) {
			other := func(l *line) bool { return l.LR != o.lr }
			o.batches, o.finals = slices.DeleteFunc(o.batches, other), slices.DeleteFunc(o.finals, other)
			slices.SortFunc(o.trials, func(a, b *line) int { return cmp.Compare(a.LR, b.LR) })
			slices.SortFunc(o.batches, func(a, b *line) int { return cmp.Compare(a.Batch, b.Batch) })
			slices.SortFunc(o.finals, func(a, b *line) int { return cmp.Compare(a.Seed, b.Seed) })
		}
		result.usual = slices.DeleteFunc(result.usual, func(o *outcome) bool { return len(o.finals) == 0 })
		result.outcomes = slices.DeleteFunc(result.outcomes, func(o *outcome) bool {
			return o.cost == nil || len(o.trials) < 2 // one trial is none
		})
		slices.SortStableFunc(result.outcomes, func(a, b *outcome) int {
			x, y := a.final(t), b.final(t)
			if x.ok() != y.ok() {
				return cmp.Compare(y.n, x.n)
			}
			if t.metric == accuracy {
				return cmp.Compare(y.mean, x.mean)
			}
			return cmp.Compare(x.mean, y.mean)
		})
		if result.adam != nil && slices.ContainsFunc(result.drawn(), func(o *outcome) bool { return len(o.finals) > 0 }) {
			all = append(all, result)
		}
	}
	return all, nil
}

// judged returns the line, as one of a failed run if it diverged: the loss at its end
// has no perplexity.
func (l *line) judged() *line {
	if l.Kind != "run" || l.Failed != "" {
		return l
	}
	end := l.last()
	for _, s := range []*score{&end.Validation, end.Test} {
		if s != nil && math.IsInf(math.Exp(s.Loss), 1) {
			failed := *l
			failed.Failed = fmt.Sprintf("step %d: a loss of %.3g", end.Step, s.Loss)
			return &failed
		}
	}
	return l
}

// A spread is a quantity over the final runs of an optimizer.
type spread struct {
	mean, std float64 // sample standard deviation, 0 for one run
	low, high float64
	n, failed int // runs that count, and runs that failed
}

// text writes the mean, with the deviation if there is one, in the form of number.
func (s spread) text(number func(float64) string) string {
	if s.n < 2 {
		return number(s.mean)
	}
	return number(s.mean) + " ± " + number(s.std)
}

// ok reports whether all runs count.
func (s spread) ok() bool { return s.n > 0 && s.failed == 0 }

// finalOf returns the spread of a quantity of the last points.
func (o *outcome) finalOf(of func(l *line) float64) spread {
	return spreadOf(o.finals, of)
}

// spreadOf returns the spread of a quantity over runs.
func spreadOf(lines []*line, of func(l *line) float64) spread {
	s := spread{low: math.Inf(1), high: math.Inf(-1)}
	var values []float64
	for _, l := range lines {
		if l = l.judged(); l.Failed != "" {
			s.failed++
			continue
		}
		values = append(values, of(l))
	}
	s.n = len(values)
	for _, v := range values {
		s.mean += v / float64(s.n)
		s.low, s.high = min(s.low, v), max(s.high, v)
	}
	for _, v := range values {
		s.std += (v - s.mean) * (v - s.mean) / float64(max(1, s.n-1))
	}
	s.std = math.Sqrt(s.std)
	return s
}

func (o *outcome) final(t task) spread {
	return o.finalOf(func(l *line) float64 { return t.metric.of(*l.last().Test) })
}

func (o *outcome) finalLoss() spread {
	return o.finalOf(func(l *line) float64 { return l.last().Test.Loss })
}

// cell writes the metric of the final runs as an entry of a table.
func (o *outcome) cell(t task) string {
	s := o.final(t)
	var parts []string
	if s.n > 0 {
		parts = append(parts, s.text(t.metric.number))
	}
	if s.failed > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d failed", s.failed, s.n+s.failed))
	}
	if len(parts) == 0 {
		return o.missing()
	}
	return strings.Join(parts, ", ")
}

// missing says why there is no final run.
func (o *outcome) missing() string {
	if slices.ContainsFunc(o.trials, func(l *line) bool { return l.Failed == "" }) {
		return "not done yet"
	}
	return "no rate worked"
}

// edge reports whether a rate beyond those tried, or tried only afterwards, may be
// better than the one of the final runs: it has no neighbour on one side, or there is
// one with a smaller loss.
func (o *outcome) edge() bool {
	i := slices.IndexFunc(o.trials, func(l *line) bool { return l.LR == o.lr })
	if i < 0 || o.untuned() {
		return false
	}
	return i == 0 || i == len(o.trials)-1 || rank(o.runs)[0].lr != o.lr
}

// A comparison says how two spreads of a metric stand to each other.
type comparison int

const (
	level comparison = iota
	ahead
	behind
)

// compare calls a difference of the means clear when it is more than twice its
// standard error.
func (m metric) compare(a, b spread) comparison {
	difference := a.mean - b.mean
	if m == perplexity {
		difference = -difference
	}
	bound := 2 * math.Sqrt(a.std*a.std/float64(a.n)+b.std*b.std/float64(b.n))
	switch {
	case math.Abs(difference) <= bound:
		return level
	case difference > 0:
		return ahead
	}
	return behind
}

func (c comparison) String() string {
	return [...]string{"level with", "clearly ahead of", "clearly behind"}[c]
}

// find returns the outcome of an optimizer, or nil.
func (r *taskResult) find(rule string) *outcome {
	for _, o := range slices.Concat(r.outcomes, r.usual) {
		if o.rule == rule {
			return o
		}
	}
	return nil
}

// tolerance says within what a run is as good as the best.
func (m metric) tolerance() (within func(value, best float64) bool, text string) {
	if m == perplexity {
		return func(v, best float64) bool { return v <= best*1.05 }, "5 % of perplexity"
	}
	return func(v, best float64) bool { return v >= best-2 }, "2 points of accuracy"
}

// width returns over how many decades of the learning rate, in one piece around the
// best, the validation is within the tolerance of the best.
func (o *outcome) width(t task) (decades float64, ok bool) {
	within, _ := t.metric.tolerance()
	best := -1
	for i, l := range o.trials {
		if l.Failed == "" && (best < 0 || l.last().Validation.Loss < o.trials[best].last().Validation.Loss) {
			best = i
		}
	}
	if best < 0 {
		return 0, false
	}
	top := t.metric.of(o.trials[best].last().Validation)
	good := func(l *line) bool { return l.Failed == "" && within(t.metric.of(l.last().Validation), top) }
	low, high := best, best
	for low > 0 && good(o.trials[low-1]) {
		low--
	}
	for high < len(o.trials)-1 && good(o.trials[high+1]) {
		high++
	}
	return math.Log10(o.trials[high].LR / o.trials[low].LR), true
}
