package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

func TestPredictorErrors(t *testing.T) {
	m := sequential(t, nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
	_, err := m.NewPredictor(0)
	require.EqualError(t, err, "nn: NewPredictor: a batch of 0 rows: want at least 1")
	_, err = m.NewPredictor(math.MaxInt)
	require.EqualError(t, err, fmt.Sprintf("nn: NewPredictor: a batch of %d rows needs more than %d numbers of memory", math.MaxInt, maxFloats))
	_, err = new(nn.Model).NewPredictor(1)
	require.EqualError(t, err, "nn: NewPredictor: the model has no layers")

	p, err := m.NewPredictor(2)
	require.NoError(t, err)
	y, err := p.Predict(make([]float32, 6))
	require.NoError(t, err)
	before := bits(y)
	for n, want := range map[int]string{
		0: "the input is empty: want rows of 3 features",
		2: "an input of 2 numbers is not rows of 3 features",
		7: "an input of 7 numbers is not rows of 3 features",
		9: "an input of 3 rows: there is room for a batch of 2",
	} {
		_, err := p.Predict(make([]float32, n))
		require.EqualError(t, err, "nn: Predict: "+want)
	}
	require.Equal(t, before, bits(y))

	classes := []int{7, 7}
	for _, n := range []int{0, 3, 5, 7, 8, 9} {
		require.Error(t, p.Classify(classes, make([]float32, n)), "%d numbers", n)
	}
	require.EqualError(t, p.Classify(classes, make([]float32, 9)), "nn: Classify: room for 2 classes: want 3, one for each row of scores")
	require.EqualError(t, p.Classify(classes, make([]float32, 8)), "nn: Classify: an input of 8 numbers is not rows of 3 features")
	require.Equal(t, []int{7, 7}, classes)
	require.NoError(t, p.Classify(nil, nil))
}

func TestClassify(t *testing.T) {
	m := sequential(t, nn.LinearNoBias(3, 3))
	copy(m.Params()[0].Value, []float32{1, 0, 0, 0, 1, 0, 0, 0, 1})
	nan := float32(math.NaN())
	// Products with 0 leave one NaN row alone: every score is NaN.
	x := []float32{
		3, 1, 2,
		1, 3, 2,
		1, 2, 3,
		2, 2, 1,
		-1, -2, -1,
		0, 0, nan,
		-9, -8, -7,
	}
	want := []int{0, 1, 2, 0, 0, -1, 2}
	for batch := 1; batch <= 8; batch++ {
		p, err := m.NewPredictor(batch)
		require.NoError(t, err)
		classes := make([]int, len(want))
		require.NoError(t, p.Classify(classes, x))
		require.Equal(t, want, classes, "in batches of %d", batch)
	}

	// A NaN in one score alone.
	m = sequential(t, nn.Linear(1, 3))
	copy(m.Params()[0].Value, []float32{0, 0, 0})
	copy(m.Params()[1].Value, []float32{nan, 4, 5})
	p, err := m.NewPredictor(1)
	require.NoError(t, err)
	classes := []int{0}
	require.NoError(t, p.Classify(classes, []float32{1}))
	require.Equal(t, []int{2}, classes)

	// A row is one position of a sample.
	p, err = model(t, nn.Shape{2, 3}, nn.Dropout(0)).NewPredictor(1)
	require.NoError(t, err)
	classes = make([]int, 4)
	require.NoError(t, p.Classify(classes, []float32{0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1}))
	require.Equal(t, []int{1, 0, 2, 0}, classes)
	require.EqualError(t, p.Classify(classes[:3], make([]float32, 12)), "nn: Classify: room for 3 classes: want 4, one for each row of scores")
}

func TestManyPredictorsOfOneModel(t *testing.T) {
	m := sequential(t, nn.Linear(20, 40), nn.ReLU(), nn.Linear(40, 12), nn.Tanh(), nn.Linear(12, 3))
	x := uniform(rand.New(rand.NewPCG(9, 1)), 4*20)
	s := session(t, m, 4)
	y, err := s.Forward(x)
	require.NoError(t, err)
	want := bits(y)

	var wg sync.WaitGroup
	got := make([][]uint32, 8)
	errs := make([]error, len(got))
	for i := range got {
		wg.Go(func() {
			p, err := m.NewPredictor(4)
			for range 20 {
				var y []float32
				if err == nil {
					y, err = p.Predict(x)
				}
				got[i] = bits(y)
			}
			errs[i] = err
		})
	}
	// Gradients are a session's own: computing them is reading the model too.
	for range 20 {
		_, err := s.Forward(x)
		require.NoError(t, err)
		_, err = s.SoftmaxCrossEntropy([]int{0, 1, 2, 0})
		require.NoError(t, err)
		_, err = s.Backward()
		require.NoError(t, err)
	}
	wg.Wait()
	for i := range got {
		require.NoError(t, errs[i])
		require.Equal(t, want, got[i])
	}
}
