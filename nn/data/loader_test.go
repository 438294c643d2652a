package data

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// numbered is a source of a program's own: sample i is i and label -i.
type numbered struct {
	n, inputs, labels int
	err               error
}

func (s numbered) Len() int { return s.n }

func (s numbered) Sizes() (inputs, labels int) { return s.inputs, s.labels }

func (s numbered) Gather(x []float32, labels []int, epoch int, indices []int) error {
	for r, i := range indices {
		x[r] = float32(i)
		if s.labels > 0 {
			labels[r] = -i
		}
	}
	return s.err
}

func TestLoader(t *testing.T) {
	for n := 1; n <= 12; n++ {
		for size := 1; size <= 14; size++ {
			loader, err := NewLoader(numbered{n: n, inputs: 1, labels: 1}, size, 5)
			require.NoError(t, err)
			batches, err := nn.NewBatches(n, size, 5)
			require.NoError(t, err)
			for _, epoch := range []int{0, 1, 7, 1, -1} {
				b := 0
				for indices := range batches.Epoch(epoch) {
					x, labels, err := loader.Batch(epoch, b)
					require.NoError(t, err)
					require.Len(t, x, len(indices))
					require.Len(t, labels, len(indices))
					for r, i := range indices {
						require.Equal(t, float32(i), x[r])
						require.Equal(t, -i, labels[r])
					}
					b++
				}
				require.Equal(t, b, loader.Len())
			}
		}
	}
}

func TestLoaderDropsLast(t *testing.T) {
	for n := 1; n <= 12; n++ {
		for size := 1; size <= 14; size++ {
			loader, err := NewLoader(numbered{n: n, inputs: 1, labels: 1}, size, 5)
			require.NoError(t, err)
			loader.DropLast(true)
			batches, err := nn.NewBatches(n, size, 5)
			require.NoError(t, err)
			batches.DropLast(true)
			b := 0
			for indices := range batches.Epoch(2) {
				x, _, err := loader.Batch(2, b)
				require.NoError(t, err)
				require.Len(t, x, min(size, n))
				for r, i := range indices {
					require.Equal(t, float32(i), x[r])
				}
				b++
			}
			require.Equal(t, b, loader.Len())
			_, _, err = loader.Batch(2, b)
			require.ErrorContains(t, err, "data: Batch: batch ")
		}
	}
}

// Any batch of any epoch comes without those before it.
func TestLoaderResumes(t *testing.T) {
	images, err := someImages(t, 23, 8, 8, 1, 4).Transform(3, all(1)...)
	require.NoError(t, err)
	whole, err := NewLoader(images, 5, 1)
	require.NoError(t, err)
	for epoch := range 3 {
		for b := range whole.Len() {
			x, labels, err := whole.Batch(epoch, b)
			require.NoError(t, err)
			resumed, err := NewLoader(images, 5, 1)
			require.NoError(t, err)
			x2, labels2, err := resumed.Batch(epoch, b)
			require.NoError(t, err)
			require.Equal(t, x, x2)
			require.Equal(t, labels, labels2)
		}
	}
}

func TestLoaderErrors(t *testing.T) {
	source := numbered{n: 10, inputs: 1, labels: 1}
	_, err := NewLoader(nil, 1, 1)
	require.EqualError(t, err, "data: NewLoader: there is no source")
	for _, size := range []int{0, -1} {
		_, err := NewLoader(source, size, 1)
		require.ErrorContains(t, err, "samples: want at least 1")
	}
	for _, s := range []numbered{{n: 0, inputs: 1, labels: 1}, {n: 1, inputs: 0, labels: 1}, {n: 1, inputs: 1, labels: 0}, {n: 1, inputs: 1, labels: -1}} {
		_, err := NewLoader(s, 1, 1)
		require.ErrorContains(t, err, "want at least 1 each")
	}
	for _, s := range []targeted{
		{numbered{n: 1, inputs: 1}, 0, nil},
		{numbered{n: 1, inputs: 1, labels: 1}, -1, nil},
		{numbered{n: 1, inputs: 1, labels: -1}, 1, nil},
	} {
		_, err := NewLoader(s, 1, 1)
		require.ErrorContains(t, err, "want at least 1 each, but for labels or targets")
	}
	for _, s := range []Source{
		numbered{n: 10, inputs: math.MaxInt / 5, labels: 1},
		numbered{n: 10, inputs: 1, labels: math.MaxInt / 3},
		targeted{numbered{n: 10, inputs: 1}, math.MaxInt / 3, nil},
	} {
		_, err := NewLoader(s, 10, 1)
		require.ErrorContains(t, err, "are too large")
	}

	loader, err := NewLoader(source, 4, 1)
	require.NoError(t, err)
	for _, b := range []int{-1, 3} {
		_, _, err := loader.Batch(0, b)
		require.ErrorContains(t, err, "want 0 to 2")
	}
	source.err = errBroken
	loader, err = NewLoader(source, 4, 1)
	require.NoError(t, err)
	x, labels, err := loader.Batch(0, 0)
	require.ErrorIs(t, err, errBroken)
	require.Nil(t, x)
	require.Nil(t, labels)

	_, _, err = loader.BatchTargets(0, 0)
	require.EqualError(t, err, "data: BatchTargets: the source has no targets: see Batch")
	loader, err = NewLoader(targeted{numbered{n: 10, inputs: 1}, 2, errBroken}, 4, 1)
	require.NoError(t, err)
	_, _, err = loader.Batch(0, 0)
	require.EqualError(t, err, "data: Batch: the source has no labels: see BatchTargets")
	for _, b := range []int{-1, 3} {
		_, _, err := loader.BatchTargets(0, b)
		require.ErrorContains(t, err, "data: BatchTargets: batch")
	}
	_, targets, err := loader.BatchTargets(0, 0)
	require.ErrorIs(t, err, errBroken)
	require.Nil(t, targets)
	loader, err = NewLoader(targeted{numbered{n: 10, inputs: 1, err: errBroken}, 2, nil}, 4, 1)
	require.NoError(t, err)
	_, _, err = loader.BatchTargets(0, 0)
	require.ErrorIs(t, err, errBroken)
}

// targeted is a source of a program's own with targets: those of sample i are i, and
// the epoch.
type targeted struct {
	numbered
	targets int
	broken  error
}

func (s targeted) TargetSize() int { return s.targets }

func (s targeted) GatherTargets(targets []float32, epoch int, indices []int) error {
	for r, i := range indices {
		targets[2*r], targets[2*r+1] = float32(i), float32(epoch)
	}
	return s.broken
}

// A batch with targets has the samples of the batch with labels.
func TestLoaderTargets(t *testing.T) {
	loader, err := NewLoader(targeted{numbered{n: 11, inputs: 1, labels: 1}, 2, nil}, 4, 5)
	require.NoError(t, err)
	for _, epoch := range []int{0, 3, 1} {
		for b := range loader.Len() {
			x, _, err := loader.Batch(epoch, b)
			require.NoError(t, err)
			want := append([]float32(nil), x...)
			x, targets, err := loader.BatchTargets(epoch, b)
			require.NoError(t, err)
			require.Equal(t, want, x)
			for r, v := range x {
				require.Equal(t, []float32{v, float32(epoch)}, targets[2*r:][:2])
			}
			require.Len(t, targets, 2*len(x))
		}
	}
}

func TestBatchesDontAllocate(t *testing.T) {
	images := someImages(t, 50, 8, 8, 3, 2)
	transformed, err := images.Transform(7, all(3)...)
	require.NoError(t, err)
	windows, err := NewRandomWindows(make([]uint16, 500), 6, 1)
	require.NoError(t, err)
	for _, source := range []Source{images, transformed, windows} {
		loader, err := NewLoader(source, 16, 1)
		require.NoError(t, err)
		epoch := 0
		require.Zero(t, testing.AllocsPerRun(10, func() {
			for b := range loader.Len() {
				if _, _, err := loader.Batch(epoch, b); err != nil {
					t.Error(err)
				}
			}
			epoch++
		}), "%T", source)
	}
	loader, err := NewLoader(Samples{X: make([]float32, 60), Targets: make([]float32, 20), Features: 3, Outputs: 1}, 6, 1)
	require.NoError(t, err)
	epoch := 0
	require.Zero(t, testing.AllocsPerRun(10, func() {
		for b := range loader.Len() {
			if _, _, err := loader.BatchTargets(epoch, b); err != nil {
				t.Error(err)
			}
		}
		epoch++
	}))
}

func BenchmarkBatch(b *testing.B) {
	const batch = 128
	images := someImages(b, 1000, 32, 32, 3, 10)
	mean, std := images.MeanStd()
	transformed, err := images.Transform(1, Crop{4}, Flip{}, Normalize{mean, std}, Cutout{8})
	require.NoError(b, err)
	normalized, err := images.Transform(1, Normalize{mean, std})
	require.NoError(b, err)
	windows, err := NewRandomWindows(make([]uint16, 1<<20), 128, 1)
	require.NoError(b, err)
	for _, c := range []struct {
		name   string
		source Source
	}{{"images", images}, {"normalized", normalized}, {"augmented", transformed}, {"windows", windows}} {
		b.Run(c.name, func(b *testing.B) {
			loader, err := NewLoader(c.source, batch, 1)
			require.NoError(b, err)
			inputs, _ := c.source.Sizes()
			b.SetBytes(int64(batch * inputs * 4))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, _, err := loader.Batch(0, i%7); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
