package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"sync"
	"time"
)

// A scale is how much of the study is done.
type scale struct {
	trials  int              // learning rates that each rule may try
	points  func(t task) int // measurements in a run, one at its end
	rounds  int              // in which steps are timed, at least
	timed   time.Duration    // for which Adam's are, at least
	steps   func(t task) int
	seeds   func(t task) int
	rules   func(t task, r rule) bool // which take part
	robust  func(t task) bool         // whether robustness is looked at
	offsets []int                     // of the robustness to the learning rate, half decades from the best
	batches []int                     // of the robustness to the batch

	ablationSeeds int // of the ablations; 0 for none
}

var full = scale{
	trials: 5,
	points: func(t task) int {
		if t.fresh {
			return 5
		}
		return 10
	},
	rounds: 15,
	timed:  time.Second,
	steps:  func(t task) int { return t.steps },
	seeds:  func(t task) int { return t.seeds },
	rules: func(t task, r rule) bool {
		return len(t.rules) == 0 || slices.Contains(t.rules, r.costs())
	},
	robust:  func(t task) bool { return t.robust },
	offsets: []int{-4, -3, -2, -1, 0, 1, 2, 3, 4},
	batches: []int{32, 64, 128, 256, 512, 1024},

	ablationSeeds: 5,
}

// quick is for a first look: at the first tasks alone, of which the digits have all rules.
var quick = scale{
	trials: 3,
	points: func(task) int { return 4 },
	rounds: 5,
	timed:  100 * time.Millisecond,
	steps: func(t task) int {
		return map[string]int{"digits": 200, "fashion-mlp": 150, "fashion-cnn": 40, "opticks": 60}[t.name]
	},
	seeds: func(task) int { return 2 },
	rules: func(t task, r rule) bool {
		return !t.fresh && (t.name == "digits" || slices.Contains([]string{"SGD", reference, adamW, published, calibrated + untuned, "K-FAC"}, r.name))
	},
	robust:  func(t task) bool { return t.name == "digits" },
	offsets: []int{-4, -2, 0, 2, 4},
	batches: []int{32, 128, 512},
}

// A study runs what is missing of the runs that a scale asks for.
type study struct {
	scale
	store    *store
	data     string // directory of data sets, or "" for the usual ones
	rules    []rule
	jobs     int
	progress io.Writer
}

// takePart returns the rules of a task.
func (s *study) takePart(t task) []rule {
	return slices.DeleteFunc(slices.Clone(s.rules), func(r rule) bool { return !s.scale.rules(t, r) })
}

// all does what is missing of the tasks: costs, trials and the final runs with the
// best rates of each, then the ablations, and then robustness, which takes as long as
// all of these. After each of them it calls done. A task whose data is not installed
// is left out, with a line that says so.
func (s *study) all(ctx context.Context, tasks []task, done func() error) error {
	for _, stages := range [][]stage{
		{{"learning rates", s.trialKeys}, {"final runs", s.finalKeys}},
		{{"ablations", s.ablationKeys}},
		{{"robustness", s.robustKeys}},
	} {
		var installed []task
		for _, t := range tasks {
			err := s.task(ctx, t, stages)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				fmt.Fprintf(s.progress, "%s is left out: %v\n", t.name, err)
				continue
			case err != nil:
				return err
			}
			installed = append(installed, t)
			if err := done(); err != nil {
				return err
			}
		}
		tasks = installed
	}
	return nil
}

// A stage is runs that need the results of the stage before, or of its own: those that
// it asks for until all are done.
type stage struct {
	name string
	keys func(task) []key
}

// task does what is missing of one task's stages.
func (s *study) task(ctx context.Context, t task, stages []stage) error {
	if len(s.takePart(t)) == 0 {
		return nil
	}
	w, err := t.load(s.data)
	if err != nil {
		return err
	}
	if err := s.costs(ctx, t, w, s.untimed(t)); err != nil {
		return err
	}
	for _, stage := range stages {
		for keys := stage.keys(t); s.missing(keys) != nil; keys = stage.keys(t) {
			if err := s.runAll(ctx, t, w, stage.name, keys); err != nil {
				return err
			}
		}
	}
	return nil
}

// untimed returns the rules whose steps have not been timed.
func (s *study) untimed(t task) []rule {
	return slices.DeleteFunc(s.takePart(t), func(r rule) bool { return s.store.find(costKey(t, r)) != nil })
}

// timeAll times the steps of all rules anew, of each task in one session. The number
// of steps that they have stays.
func (s *study) timeAll(ctx context.Context, tasks []task) error {
	for _, t := range tasks {
		w, err := t.load(s.data)
		if err != nil {
			return err
		}
		if err := s.costs(ctx, t, w, s.takePart(t)); err != nil {
			return err
		}
	}
	return nil
}

// costs times the steps of rules.
func (s *study) costs(ctx context.Context, t task, w workload, rules []rule) error {
	rules = slices.DeleteFunc(slices.Clone(rules), func(r rule) bool {
		return r.untuned() && slices.ContainsFunc(rules, func(other rule) bool { return other.name == r.of })
	})
	for i, r := range rules {
		timed, err := ruleNamed(r.costs())
		if err != nil {
			return err
		}
		rules[i] = timed
	}
	if len(rules) == 0 {
		return nil
	}
	fmt.Fprintf(s.progress, "%s: what a step costs, %d optimizers\n", t.name, len(rules))
	lines, err := measureCosts(ctx, t, w, rules, s.rounds, s.timed)
	if err != nil {
		return err
	}
	for _, l := range lines {
		fmt.Fprintf(s.progress, "  %-33s  %8.0f us (%.1f %% between the quartiles), %.3f of Adam's, %.2g allocations\n", l.Optimizer, l.Micros, 100*l.Spread, l.Ratio, *l.Allocs)
		if err := s.store.add(l); err != nil {
			return err
		}
	}
	return nil
}

func costKey(t task, r rule) key { return key{Task: t.name, Optimizer: r.costs(), Batch: t.batch} }

// ruleSteps returns how many steps of a rule take as long as those that Adam has; with
// other batches, those that see as many samples.
func (s *study) ruleSteps(t task, r rule, batch int) int {
	cost := s.store.find(costKey(t, r))
	n := float64(s.steps(t)) / cost.Ratio * float64(t.batch) / float64(batch)
	return max(s.points(t), int(math.Round(n)))
}

func (s *study) key(t task, r rule, lr float64, batch int, seed uint64) key {
	return key{Task: t.name, Optimizer: r.runs(), LR: lr, Batch: batch, Seed: seed, Steps: s.ruleSteps(t, r, batch)}
}

func (s *study) trialKeys(t task) []key {
	var keys []key
	for _, r := range s.takePart(t) {
		if r.untuned() {
			continue
		}
		for _, lr := range r.trials(s.trials) {
			keys = append(keys, s.key(t, r, lr, t.batch, trialSeed))
		}
	}
	return keys
}

// best returns the learning rate of a rule whose runs so far have the least mean loss
// on the validation samples; ok is false if none worked.
func (s *study) best(t task, r rule) (lr float64, ok bool) {
	if r.untuned() {
		return r.rates.at(0), true
	}
	var done []*line
	for _, lr := range r.trials(s.trials) {
		for seed := range 1 + s.seeds(t) {
			if l := s.store.find(s.key(t, r, lr, t.batch, uint64(seed))); l != nil {
				done = append(done, l)
			}
		}
	}
	ranked := rank(done)
	if len(ranked) == 0 {
		return 0, false
	}
	return ranked[0].lr, true
}

// finalKeys are the runs with the best rates so far. Once these are done another rate
// may be the best, because one trial can be an accident; a study goes on until the best
// of each rule has all seeds.
func (s *study) finalKeys(t task) []key {
	var keys []key
	for _, r := range s.takePart(t) {
		if lr, ok := s.best(t, r); ok {
			for seed := range s.seeds(t) {
				keys = append(keys, s.key(t, r, lr, t.batch, uint64(seed+1)))
			}
		}
	}
	return keys
}

func (s *study) robustKeys(t task) []key {
	if !s.robust(t) {
		return nil
	}
	var keys []key
	for _, r := range s.takePart(t) {
		lr, ok := s.best(t, r)
		if !ok || r.of != "" {
			continue
		}
		keys = append(keys, s.rateKeys(t, r, lr)...)
		for _, batch := range s.batches {
			keys = append(keys, s.key(t, r, lr, batch, trialSeed))
		}
	}
	return keys
}

// rateKeys are the runs around the best learning rate.
func (s *study) rateKeys(t task, r rule, lr float64) []key {
	var keys []key
	centre, _ := r.rates.number(lr) // lr is one of them
	for _, k := range s.offsets {
		keys = append(keys, s.key(t, r, r.rates.at(centre+k), t.batch, trialSeed))
	}
	return keys
}

// missing returns the runs that are not done, each once.
func (s *study) missing(keys []key) []key {
	var all []key
	for _, k := range keys {
		if s.store.find(k) == nil && !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	return all
}

// runAll does the runs that are missing, some at a time.
func (s *study) runAll(ctx context.Context, t task, w workload, stage string, keys []key) error {
	missing := s.missing(keys)
	work := 0.0 // estimated seconds
	for _, k := range missing {
		work += s.estimate(t, k)
	}
	fmt.Fprintf(s.progress, "%s: %s, %d of %d runs to do\n", t.name, stage, len(missing), len(keys))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan key)
	var workers sync.WaitGroup
	var mutex sync.Mutex
	start, done, doneWork := time.Now(), 0, 0.0
	for range min(s.jobs, len(missing)) {
		workers.Go(func() {
			for k := range queue {
				l, err := run(ctx, t, w, k, s.points(t))
				if err == nil {
					l.Parallel = s.jobs
					err = s.store.add(l)
				}
				if err != nil {
					cancel(fmt.Errorf("%v: %w", k, err))
					continue
				}
				mutex.Lock()
				done++
				doneWork += s.estimate(t, k)
				left := time.Duration(float64(time.Since(start)) * (work - doneWork) / doneWork)
				fmt.Fprintf(s.progress, "[%3d/%d] %v  %s  %s left\n", done, len(missing), k, t.outcome(l), left.Round(time.Second))
				mutex.Unlock()
			}
		})
	}
	for _, k := range missing {
		select {
		case queue <- k:
		case <-ctx.Done():
		}
	}
	close(queue)
	workers.Wait()
	return context.Cause(ctx)
}

// estimate returns the seconds that a run's training will take, by the cost of its
// steps.
func (s *study) estimate(t task, k key) float64 {
	r, _ := ruleNamed(k.Optimizer) // it is one of them
	cost := s.store.find(costKey(t, r))
	return cost.Micros / 1e6 * float64(k.Steps) * float64(k.Batch) / float64(t.batch)
}

// outcome says how a run ended.
func (t task) outcome(l *line) string {
	if l.Failed != "" {
		return "failed at " + l.Failed
	}
	return fmt.Sprintf("%s %s", t.metric.number(t.metric.of(l.last().Validation)), t.metric)
}
