package main

import (
	"sync"
	"time"

	"github.com/adafisher-go/adafisher/bench/roof"
)

// A watch tells how much of the core there is. On a shared machine the core's other thread
// belongs to somebody, and takes up to half of it, for milliseconds; the clock changes as
// often. What a sample says then depends on how much of the core its contender needs.
type watch struct {
	passes int           // of multiply-adds, in a look
	least  time.Duration // of a look
}

// look is about how long a look takes.
const look = 20 * time.Microsecond

// core is the one watch: it has to have seen the core at its best. It is nil on a machine
// that package roof has no loops for.
var core = sync.OnceValue(func() *watch {
	if len(roof.Vectors) == 0 {
		return nil
	}
	w := &watch{passes: 1}
	for w.look() < look {
		w.passes *= 2
	}
	w.least = w.look()
	return w
})

func (w *watch) look() time.Duration {
	start := time.Now()
	roof.Mixed(roof.Vectors[0], w.passes)
	return time.Since(start)
}

// lacking looks at the core: 0 if it is as fast as it ever was, 1 if half as fast.
func (w *watch) lacking() float64 {
	t := w.look()
	w.least = min(w.least, t)
	return float64(t)/float64(w.least) - 1
}
