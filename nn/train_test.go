package nn_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// A step that the optimizer refuses changes no parameter and no running average, and
// the next one that it takes does what it would have done without.
func TestRefusedStepChangesNothing(t *testing.T) {
	build := func() (*nn.Model, *nn.Session) {
		m := sequential(t, nn.Linear(3, 4), nn.BatchNorm(), nn.ReLU(), nn.Linear(4, 2))
		m.Init(1)
		return m, session(t, m, 4)
	}
	m, s := build()
	buffers := func(m *nn.Model) (all [][]float32) {
		for _, b := range m.Buffers() {
			all = append(all, slices.Clone(b.Value))
		}
		return all
	}
	x := []float32{1, 2, 3, 4, 5, 6, -1, 0, 2, 3, 1, 1}
	target := []float32{1, 0, 0, 1, 1, 1, 0, 0}
	trains := map[string]func(*nn.Session, nn.Stepper) (float32, error){
		"softmax": func(s *nn.Session, opt nn.Stepper) (float32, error) {
			return s.TrainSoftmaxCrossEntropy(opt, x, []int{0, 1, 1, 0})
		},
		"mse":    func(s *nn.Session, opt nn.Stepper) (float32, error) { return s.TrainMSE(opt, x, target) },
		"binary": func(s *nn.Session, opt nn.Stepper) (float32, error) { return s.TrainBinaryCrossEntropy(opt, x, target) },
	}
	values, averages := bits(weights(m)), buffers(m)
	require.NotEmpty(t, averages)
	refused := errors.New("refused")
	for name, train := range trains {
		for range 2 {
			_, err := train(s, failing{refused})
			require.Equal(t, refused, err, name)
			require.Equal(t, values, bits(weights(m)), name)
			require.Equal(t, averages, buffers(m), name)
		}
	}
	fresh, other := build()
	for _, name := range []string{"softmax", "mse", "binary"} {
		before := buffers(m)
		want, err := trains[name](other, &plainSGD{lr: 0.1})
		require.NoError(t, err)
		got, err := trains[name](s, &plainSGD{lr: 0.1})
		require.NoError(t, err)
		require.Equal(t, want, got, name)
		require.NotEqual(t, before, buffers(m), name)
		require.Equal(t, buffers(fresh), buffers(m), name)
		require.Equal(t, bits(weights(fresh)), bits(weights(m)), name)
	}
}
