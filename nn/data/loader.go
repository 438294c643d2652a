package data

import (
	"errors"
	"fmt"

	"github.com/adafisher-go/adafisher/nn"
)

// A Source gives samples, each some numbers and one or more labels, by index
// from 0 to Len()-1. Its sizes never change. There may be no labels where there are
// targets, see [TargetSource].
type Source interface {
	Len() int

	// Sizes returns how many numbers and how many labels a sample has.
	Sizes() (inputs, labels int)

	// Gather stores the samples with the given indices in x and labels, which
	// have exactly the room for them, one row a sample. An augmented sample is
	// that of the given epoch. It allocates nothing, and fails on a wrong length
	// or index.
	Gather(x []float32, labels []int, epoch int, indices []int) error
}

// A TargetSource is a source whose samples have target numbers, of a regression: what
// [nn.Session.TrainMSE] and [nn.Session.TrainBinaryCrossEntropy] take.
type TargetSource interface {
	Source

	// TargetSize returns how many target numbers a sample has.
	TargetSize() int

	// GatherTargets stores the targets of the samples with the given indices, one
	// row a sample, under the rules of Gather.
	GatherTargets(targets []float32, epoch int, indices []int) error
}

// checkGather checks the arguments of Gather of a source with n samples.
func checkGather(n, inputs, perSample int, x []float32, labels []int, indices []int) error {
	if len(x) != product(len(indices), inputs) || len(labels) != product(len(indices), perSample) {
		return fmt.Errorf("data: Gather: room for %d inputs and %d labels: %d samples have %d and %d each",
			len(x), len(labels), len(indices), inputs, perSample)
	}
	return checkIndices("Gather", n, indices)
}

func checkIndices(call string, n int, indices []int) error {
	for _, i := range indices {
		if i < 0 || i >= n {
			return fmt.Errorf("data: %s: index %d: want 0 to %d", call, i, n-1)
		}
	}
	return nil
}

// A Loader cuts a source into mini-batches, in the order that [nn.Batches] draws
// for each epoch. It allocates nothing after its construction, and serves one
// goroutine at a time.
type Loader struct {
	source   Source
	n, batch int // samples in all and in a batch
	dropLast bool

	inputs, labels, targets int // of a sample

	batches *nn.Batches // the whole epoch in one
	order   []int       // of the epoch at hand; nil before the first
	epoch   int

	x []float32
	y []int
	t []float32
}

// NewLoader returns mini-batches of batch samples, or of all if there are fewer.
// The seed draws their order; that of an augmentation is its own.
//
// It fails unless the source has samples and batch is positive; for [Samples] also
// where their sizes don't belong together, or a label is not one of the classes.
func NewLoader(source Source, batch int, seed uint64) (*Loader, error) {
	if source == nil {
		return nil, errors.New("data: NewLoader: there is no source")
	}
	if s, ok := source.(interface{ checkAll(call string) error }); ok {
		if err := s.checkAll("NewLoader"); err != nil {
			return nil, err
		}
	}
	n := source.Len()
	inputs, labels := source.Sizes()
	targets := 0
	if s, ok := source.(TargetSource); ok {
		targets = s.TargetSize()
	}
	if n < 1 || inputs < 1 || min(labels, targets) < 0 || max(labels, targets) < 1 {
		return nil, fmt.Errorf("data: NewLoader: a source of %d samples with %d inputs, %d labels and %d targets: want at least 1 each, but for labels or targets", n, inputs, labels, targets)
	}
	if batch < 1 {
		return nil, fmt.Errorf("data: NewLoader: batches of %d samples: want at least 1", batch)
	}
	batch = min(batch, n)
	if bytes := product(batch, max(inputs, labels, targets), 8); uint64(bytes) >= maxBytes {
		return nil, fmt.Errorf("data: NewLoader: batches of %d samples with %d inputs, %d labels and %d targets are too large for memory", batch, inputs, labels, targets)
	}
	batches, err := nn.NewBatches(n, n, seed)
	if err != nil {
		return nil, fmt.Errorf("data: NewLoader: %w", err)
	}
	return &Loader{
		source: source, n: n, batch: batch, inputs: inputs, labels: labels, targets: targets, batches: batches,
		x: make([]float32, batch*inputs), y: make([]int, batch*labels), t: make([]float32, batch*targets),
	}, nil
}

// DropLast sets whether an epoch leaves out its last batch where that is not of the
// full size, as [nn.Batches.DropLast] does; it doesn't at first.
func (l *Loader) DropLast(on bool) { l.dropLast = on }

// Len returns the number of batches in an epoch.
func (l *Loader) Len() int {
	if l.dropLast {
		return l.n / l.batch
	}
	return (l.n + l.batch - 1) / l.batch
}

// Batch returns the inputs and labels of a batch, from 0 to Len()-1, of an epoch:
// one row a sample. All batches have the full size but the last, which has what
// is left; together they have each sample once. [Loader.DropLast] keeps to those of
// the full size. The slices belong to the loader, until its next Batch.
//
// What it returns follows from the source, the size of the batches, the seed, and
// the two numbers alone. To resume a run, go on with the batch after the last.
//
// It fails on a batch out of range, on a source without labels, or if the source does.
func (l *Loader) Batch(epoch, batch int) (x []float32, labels []int, err error) {
	const call = "Batch"
	if l.labels == 0 {
		return nil, nil, fmt.Errorf("data: %s: the source has no labels: see BatchTargets", call)
	}
	indices, err := l.indices(call, epoch, batch)
	if err != nil {
		return nil, nil, err
	}
	return l.gather(epoch, indices)
}

// BatchTargets returns what [Loader.Batch] does, with the targets of a [TargetSource]
// in place of labels. It fails as Batch does, and on a source without targets.
func (l *Loader) BatchTargets(epoch, batch int) (x, targets []float32, err error) {
	const call = "BatchTargets"
	if l.targets == 0 {
		return nil, nil, fmt.Errorf("data: %s: the source has no targets: see Batch", call)
	}
	indices, err := l.indices(call, epoch, batch)
	if err != nil {
		return nil, nil, err
	}
	if x, _, err = l.gather(epoch, indices); err != nil {
		return nil, nil, err
	}
	targets = l.t[:len(indices)*l.targets]
	if err := l.source.(TargetSource).GatherTargets(targets, epoch, indices); err != nil {
		return nil, nil, err
	}
	return x, targets, nil
}

// indices returns the samples of a batch.
func (l *Loader) indices(call string, epoch, batch int) ([]int, error) {
	if batch < 0 || batch >= l.Len() {
		return nil, fmt.Errorf("data: %s: batch %d: want 0 to %d", call, batch, l.Len()-1)
	}
	if l.order == nil || epoch != l.epoch {
		for order := range l.batches.Epoch(epoch) {
			l.order, l.epoch = order, epoch
		}
	}
	first := batch * l.batch
	return l.order[first:min(first+l.batch, l.n)], nil
}

func (l *Loader) gather(epoch int, indices []int) (x []float32, labels []int, err error) {
	x, labels = l.x[:len(indices)*l.inputs], l.y[:len(indices)*l.labels]
	if err := l.source.Gather(x, labels, epoch, indices); err != nil {
		return nil, nil, err
	}
	return x, labels, nil
}
