package nn

import (
	"fmt"
	"iter"
	"math/bits"
	"math/rand/v2"
)

// Batches cuts the indices of n samples into mini-batches, in an order that is
// drawn anew for each epoch. It serves one goroutine at a time.
type Batches struct {
	order    []int
	size     int
	dropLast bool
	seed     uint64
	rng      rand.PCG
}

// NewBatches returns mini-batches of size samples out of n. It fails unless n
// and size are positive, and n is one that memory has room to index.
func NewBatches(n, size int, seed uint64) (*Batches, error) {
	if n < 1 || size < 1 {
		return nil, fmt.Errorf("nn: NewBatches: batches of %d out of %d samples: want at least 1 of each", size, n)
	}
	if n > maxFloats/2 { // an index has twice the bytes of a number
		return nil, fmt.Errorf("nn: NewBatches: batches of %d out of %d samples: want at most %d samples", size, n, maxFloats/2)
	}
	return &Batches{order: make([]int, n), size: min(size, n), seed: seed}, nil
}

// DropLast sets whether an epoch leaves out its last batch where that is not of the
// full size; it doesn't at first. The samples left out are others in each epoch.
func (b *Batches) DropLast(on bool) { b.dropLast = on }

// Epoch yields the batches of one epoch, each of at least 1 index and all but
// the last of the full size; together they hold each index from 0 to n-1 once.
// [Batches.DropLast] keeps to those of the full size. A batch belongs to b, until the
// next call of Epoch.
//
// The order follows from n, the seed and the number of the epoch alone, on every
// machine, so that a run can resume at any epoch: a Fisher-Yates shuffle of 0,
// 1, .. n-1 from the end, with math/rand/v2's PCG seeded with (seed, epoch),
// where element i changes places with the high 64 bits of (i+1) times the
// generator's next number.
func (b *Batches) Epoch(epoch int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		b.shuffle(epoch)
		end := len(b.order)
		if b.dropLast {
			end -= end % b.size
		}
		for lo := 0; lo < end; lo += b.size {
			if !yield(b.order[lo:min(lo+b.size, end)]) {
				return
			}
		}
	}
}

func (b *Batches) shuffle(epoch int) {
	for i := range b.order {
		b.order[i] = i
	}
	b.rng.Seed(b.seed, uint64(epoch))
	for i := len(b.order) - 1; i > 0; i-- {
		j, _ := bits.Mul64(b.rng.Uint64(), uint64(i+1))
		b.order[i], b.order[j] = b.order[j], b.order[i]
	}
}
