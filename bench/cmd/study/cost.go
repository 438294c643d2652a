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
	micros  []float64 // a step, of each turn
	allocs  []float64
}

// turnSteps is how many steps a turn of each optimizer has: as many as AdaFisher's
// takes to repeat. Rules whose work repeats after more steps have as many kinds of
// turns.
const turnSteps = tcov

// measureCosts times the steps of the rules, Adam's among them, in turns of as many
// steps each, which whatever else the machine does disturbs alike: in at least so many
// rounds of turns, and for the given time of Adam's. The medians of the turns count.
func measureCosts(ctx context.Context, t task, w workload, rules []rule, least int, timed time.Duration) ([]*line, error) {
	batches, err := data.NewLoader(w.train, t.batch, 0)
	if err != nil {
		return nil, err
	}
	x, labels, err := batches.Batch(0, 0)
	if err != nil {
		return nil, err
	}
	base, err := ruleNamed(reference)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(rules, func(r rule) bool { return r.name == base.name }) {
		rules = append(slices.Clone(rules), base)
	}
	var racers []*racer
	cycle := 1 // rounds after which all work repeats
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
		one := &racer{rule: r, trainer: trainer, session: session}
		for range one.kinds() { // the first steps do what later ones don't
			if err := one.turn(x, labels); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", t.name, r.name, err)
			}
		}
		one.micros, one.allocs = nil, nil
		racers = append(racers, one)
		cycle = max(cycle, one.kinds())
	}
	adam := racers[slices.IndexFunc(racers, func(r *racer) bool { return r.rule.name == base.name })]
	for rounds, spent := 0, time.Duration(0); rounds < least || rounds%cycle != 0 || spent < timed; rounds++ {
		for _, r := range racers {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := r.turn(x, labels); err != nil {
				return nil, fmt.Errorf("%s, %s: %w", t.name, r.rule.name, err)
			}
		}
		spent += time.Duration(adam.micros[rounds] * turnSteps * float64(time.Microsecond))
	}
	var lines []*line
	for _, r := range racers {
		micros, spread := r.cost()
		allocs := slices.Min(r.allocs)
		lines = append(lines, &line{
			Kind: "cost", key: key{Task: t.name, Optimizer: r.rule.name, Batch: t.batch},
			Micros: short(micros), Spread: short(spread), Rounds: len(r.micros), Allocs: &allocs,
		})
	}
	yardstick, _ := adam.cost()
	for _, l := range lines {
		l.Ratio = short(l.Micros / short(yardstick))
	}
	return lines, nil
}

// kinds returns of how many turns the work differs.
func (r *racer) kinds() int { return max(1, r.rule.period/turnSteps) }

// cost returns what a step takes: the mean, over the kinds of turns, of their medians;
// and how much of it lies between the quartiles of the turns.
func (r *racer) cost() (micros, spread float64) {
	kinds := r.kinds()
	for kind := range kinds {
		var turns []float64
		for i := kind; i < len(r.micros); i += kinds {
			turns = append(turns, r.micros[i])
		}
		micros += quantile(turns, 0.5) / float64(kinds)
		spread += (quantile(turns, 0.75) - quantile(turns, 0.25)) / float64(kinds)
	}
	return micros, spread / micros
}

// quantile returns what the given share of x lies below, between two of them where none
// stands there.
func quantile(x []float64, share float64) float64 {
	x = slices.Sorted(slices.Values(x))
	at := share * float64(len(x)-1)
	i := int(at)
	if i == len(x)-1 {
		return x[i]
	}
	return x[i] + (at-float64(i))*(x[i+1]-x[i])
}

// turn does a turn.
func (r *racer) turn(x []float32, labels []int) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := host.CPUTime()
	for range turnSteps {
		if _, err := r.trainer.Train(r.session, x, labels); err != nil {
			return err
		}
	}
	elapsed := host.CPUTime() - start
	runtime.ReadMemStats(&after)
	r.micros = append(r.micros, float64(elapsed.Nanoseconds())/1e3/turnSteps)
	r.allocs = append(r.allocs, float64(after.Mallocs-before.Mallocs)/turnSteps)
	return nil
}
