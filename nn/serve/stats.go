package serve

import (
	"math"
	"sync/atomic"
)

// Stats are the counters of a [Learner], each since its beginning. Two readings
// give the means over what was learnt between them: of the loss, say, the
// difference of LossSum over that of Examples.
type Stats struct {
	Queued  int    // examples in the queue
	Refused uint64 // examples that can't be learnt
	Full    uint64 // examples that came to a full queue
	Dropped uint64 // examples that made room for newer ones

	Examples uint64  // learnt, each once
	Steps    uint64  // of the optimizer, with those taken back
	LossSum  float64 // over Examples, each before the step that learnt it
	Rows     uint64  // of Examples that have a label
	Right    uint64  // rows whose largest score was at the label, before the step

	Published uint64 // versions
	Rollbacks uint64
	TakenBack uint64 // steps

	ValidationLoss     float64 // of the last version; 0 without validation
	ValidationAccuracy float64
}

// Stats returns the present counters. It takes no lock: a step in progress may be
// in some of them and not yet in others.
func (l *Learner) Stats() Stats {
	c := &l.counters
	return Stats{
		Queued:             int(l.queue.queued.Load()),
		Refused:            c.refused.Load(),
		Full:               l.queue.full.Load(),
		Dropped:            l.queue.dropped.Load(),
		Examples:           c.examples.Load(),
		Steps:              c.steps.Load(),
		LossSum:            c.lossSum.Load(),
		Rows:               c.rows.Load(),
		Right:              c.right.Load(),
		Published:          c.published.Load(),
		Rollbacks:          c.rollbacks.Load(),
		TakenBack:          c.takenBack.Load(),
		ValidationLoss:     c.validationLoss.Load(),
		ValidationAccuracy: c.validationAccuracy.Load(),
	}
}

type counters struct {
	refused                            atomic.Uint64
	examples, steps, rows, right       atomic.Uint64
	published, rollbacks, takenBack    atomic.Uint64
	lossSum                            atomicFloat
	validationLoss, validationAccuracy atomicFloat
}

// learnt counts a step; only Run calls it.
func (c *counters) learnt(examples, rows, right int, loss float64) {
	c.steps.Add(1)
	c.examples.Add(uint64(examples))
	c.rows.Add(uint64(rows))
	c.right.Add(uint64(right))
	c.lossSum.Store(c.lossSum.Load() + float64(loss*float64(examples)))
}

type atomicFloat struct{ bits atomic.Uint64 }

func (f *atomicFloat) Load() float64   { return math.Float64frombits(f.bits.Load()) }
func (f *atomicFloat) Store(v float64) { f.bits.Store(math.Float64bits(v)) }
