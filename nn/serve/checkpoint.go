package serve

import (
	"errors"
	"fmt"
	"strings"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
	"github.com/adafisher-go/adafisher/optim"
)

// Names in a checkpoint. Others are free for the caller.
const (
	ofModel     = "model/"
	ofOptimizer = "optimizer/"

	versionName  = "serve/version"
	seedName     = "serve/random/seed"
	forwardsName = "serve/random/forwards"
	lrName       = ofOptimizer + "lr"
	ruleName     = ofOptimizer + "rule"
)

// Checkpoint returns the state of the learner: the values of its model, the
// state of the optimizer and of the session's random numbers, and the number of
// the newest version. It shares memory with them: save it before they change. Call
// it in OnPublish, or when Run does not run.
//
// The names in it begin with "model/", "optimizer/" and "serve/"; a caller may add
// others.
func (l *Learner) Checkpoint() *checkpoint.Content {
	seed, forwards := l.session.Random()
	l.optimizer.SaveState(&l.saved)
	c := &checkpoint.Content{
		Vectors: make(map[string][]float32),
		Floats:  map[string]float64{lrName: l.saved.LR},
		Ints:    make(map[string]int64),
		Uints:   map[string]uint64{versionName: l.predictor.Version(), seedName: seed, forwardsName: forwards},
		Strings: map[string]string{ruleName: l.saved.Rule},
	}
	for _, v := range l.values {
		c.Vectors[ofModel+v.name] = v.value
	}
	for name, v := range l.saved.Vectors {
		c.Vectors[ofOptimizer+name] = v
	}
	for name, n := range l.saved.Counters {
		c.Ints[ofOptimizer+name] = n
	}
	return c
}

// Restore continues from a checkpoint, which it copies, and publishes its model
// under the number that it has there. What is learnt after that has the bits that
// it would have had without the interruption. It must be called before Run.
//
// It fails, and changes nothing, if a value is missing, has another length or is
// not finite, if there is one too many, or if the optimizer refuses its state.
func (l *Learner) Restore(c *checkpoint.Content) error {
	if err := l.restore(c); err != nil {
		return fmt.Errorf("serve: Restore: %w", err)
	}
	return nil
}

func (l *Learner) restore(c *checkpoint.Content) error {
	if c == nil {
		return errors.New("there is no checkpoint")
	}
	if l.started.Load() {
		return errors.New("the learner has run already")
	}
	version, seed, forwards := c.Uints[versionName], c.Uints[seedName], c.Uints[forwardsName]
	if version == 0 {
		return fmt.Errorf("%s is missing or 0", versionName)
	}
	state := &optim.State{
		Rule:     c.Strings[ruleName],
		LR:       c.Floats[lrName],
		Counters: cut(c.Ints, ofOptimizer),
		Vectors:  cut(c.Vectors, ofOptimizer),
	}
	saved := cut(c.Vectors, ofModel)
	for _, v := range l.values {
		value, ok := saved[v.name]
		switch {
		case !ok:
			return fmt.Errorf("%s is missing", v.name)
		case len(value) != len(v.value):
			return fmt.Errorf("%s has %d numbers: want %d", v.name, len(value), len(v.value))
		case !kernels.AllFinite(value):
			return fmt.Errorf("%s has a number that is not finite", v.name)
		}
	}
	if len(saved) != len(l.values) {
		return fmt.Errorf("it has %d parameters and buffers: want %d", len(saved), len(l.values))
	}
	if err := l.optimizer.Restore(state); err != nil {
		return err
	}
	for _, v := range l.values {
		copy(v.value, saved[v.name])
	}
	l.session.SetRandom(seed, forwards)
	return l.predictor.publishAs(l.model, version)
}

// cut returns the members whose names begin with prefix, without it.
func cut[T any](all map[string]T, prefix string) map[string]T {
	part := make(map[string]T)
	for name, v := range all {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			part[rest] = v
		}
	}
	return part
}
