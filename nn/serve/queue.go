package serve

import (
	"errors"
	"sync"
	"sync/atomic"
)

// Errors of [Learner.Learn] and [Learner.LearnTarget] that say nothing about the example.
var (
	ErrFull    = errors.New("serve: the queue is full")
	ErrStopped = errors.New("serve: the learner has stopped")
)

// A queue holds copies of examples in a ring.
type queue struct {
	x       ring[float32]
	labels  ring[int]
	targets ring[float32]

	mu      sync.Mutex
	first   int // the oldest
	count   int
	room    int
	stopped bool

	drop  bool // the oldest when there is no room
	least int  // examples that a step needs
	batch int
	more  chan struct{} // the queue has enough for a step, or a batch

	queued  atomic.Int64 // count
	full    atomic.Uint64
	dropped atomic.Uint64
}

// A ring holds what one kind of numbers an example has.
type ring[T any] struct {
	data []T
	size int // numbers of an example
}

func newRing[T any](size, room int) ring[T] { return ring[T]{make([]T, size*room), size} }

func (r ring[T]) at(i int) []T { return r.data[i*r.size:][:r.size] }

// add copies an example; what its kind does not have is nil.
func (q *queue) add(x []float32, labels []int, target []float32) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.stopped:
		return ErrStopped
	case q.count < q.room:
		q.count++
	case q.drop:
		q.first = (q.first + 1) % q.room
		q.dropped.Add(1)
	default:
		q.full.Add(1)
		return ErrFull
	}
	last := (q.first + q.count - 1) % q.room
	copy(q.x.at(last), x)
	copy(q.labels.at(last), labels)
	copy(q.targets.at(last), target)
	q.queued.Store(int64(q.count))
	if q.count == q.least || q.count == q.batch {
		select {
		case q.more <- struct{}{}:
		default:
		}
	}
	return nil
}

// take moves up to a batch of the oldest examples to where they are asked for, if they
// are enough for a step.
func (q *queue) take(x []float32, labels []int, targets []float32) (examples int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(q.batch, q.count)
	if n < q.least {
		return 0
	}
	for i := range n {
		at := (q.first + i) % q.room
		copy(x[i*q.x.size:], q.x.at(at))
		copy(labels[i*q.labels.size:], q.labels.at(at))
		copy(targets[i*q.targets.size:], q.targets.at(at))
	}
	q.first = (q.first + n) % q.room
	q.count -= n
	q.queued.Store(int64(q.count))
	return n
}

// stop refuses what comes from now on.
func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
}
