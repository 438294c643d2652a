package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/adafisher-go/adafisher/bench/internal/host"
	"github.com/adafisher-go/adafisher/bench/yardstick"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
)

// A racer is one optimizer whose steps are timed.
type racer struct {
	rule    rule
	trainer yardstick.Trainer
	session *nn.Session
	steps   int           // of a round
	spent   time.Duration // in rounds
	micros  []float64     // a step, of each round
	allocs  []float64
}

// measureCosts times the steps of the rules, Adam's among them, in turns: whatever
// else the machine does falls on all of them. A round has as many steps of each as
// its work takes to repeat, and the least time of all rounds counts: what disturbs a
// measurement only adds to it.
func measureCosts(ctx context.Context, t task, w workload, rules []rule, timed time.Duration) ([]*line, error) {
	batches, err := data.NewLoader(w.train, t.batch, 0)
	if err != nil {
		return nil, err
	}
	x, labels, err := batches.Batch(0, 0)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(rules, func(r rule) bool { return r.name == reference }) {
		r, err := ruleNamed(reference)
		if err != nil {
			return nil, err
		}
		rules = append(slices.Clone(rules), r)
	}
	var racers []*racer
	for _, r := range rules {
		model, err := t.network()
		if err != nil {
			return nil, err
		}
		// So small a rate leaves the weights as they are: a network that has learned its
		// one batch would have gradients unlike those of training.
		trainer, err := r.build(model, 1e-12)
		if err != nil {
			return nil, err
		}
		session, err := model.NewSession(t.batch)
		if err != nil {
			return nil, err
		}
		racers = append(racers, &racer{rule: r, trainer: trainer, session: session})
	}
	for busy := true; busy; {
		busy = false
		for _, r := range racers {
			if r.spent >= timed && len(r.micros) >= minRounds {
				continue
			}
			busy = true
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := r.time(x, labels); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", t.name, r.rule.name, err)
			}
		}
	}
	least := func(r *racer) float64 { return slices.Min(r.micros) }
	base := least(racers[slices.IndexFunc(racers, func(r *racer) bool { return r.rule.name == reference })])
	var lines []*line
	for _, r := range racers {
		allocs := slices.Min(r.allocs)
		lines = append(lines, &line{
			Kind: "cost", key: key{Task: t.name, Optimizer: r.rule.name, Batch: t.batch},
			Micros: short(least(r)), Ratio: short(least(r) / base), Rounds: len(r.micros), Allocs: &allocs,
		})
	}
	return lines, nil
}

// time does a round.
func (r *racer) time(x []float32, labels []int) error {
	period := max(r.rule.period, 1)
	train := func(steps int) (time.Duration, error) {
		start := host.CPUTime()
		for range steps {
			if _, err := r.trainer.Train(r.session, x, labels); err != nil {
				return 0, err
			}
		}
		return host.CPUTime() - start, nil
	}
	if r.steps == 0 { // the first steps do what later ones don't
		elapsed, err := train(period)
		if err != nil {
			return err
		}
		r.steps = period * (1 + int(minTimed/max(elapsed, time.Microsecond)))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	elapsed, err := train(r.steps)
	if err != nil {
		return err
	}
	runtime.ReadMemStats(&after)
	r.spent += elapsed
	r.micros = append(r.micros, float64(elapsed.Nanoseconds())/1e3/float64(r.steps))
	r.allocs = append(r.allocs, float64(after.Mallocs-before.Mallocs)/float64(r.steps))
	return nil
}

const (
	minTimed  = 5 * time.Millisecond // of a round, about: short ones are disturbed less often
	minRounds = 2
)
