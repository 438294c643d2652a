package serve

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// TestLearnerDoesntAllocate does what Run does between two waits: a step, and a
// publication after each.
func TestLearnerDoesntAllocate(t *testing.T) {
	for _, rule := range []func(m *nn.Model) (optim.Optimizer, error){
		func(m *nn.Model) (optim.Optimizer, error) {
			c := optim.AdaFisherDefaults()
			c.TCov = 3
			return optim.NewAdaFisher(m, c)
		},
		func(m *nn.Model) (optim.Optimizer, error) { return optim.NewAdamW(m, optim.AdamWDefaults()) },
	} {
		for _, loss := range []Loss{CrossEntropy, SquaredError} {
			m, err := nn.NewSequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 4))
			require.NoError(t, err)
			p, err := NewPredictor(m, PredictorConfig{})
			require.NoError(t, err)
			opt, err := rule(m)
			require.NoError(t, err)
			x, target := []float32{1, 2, 3}, []float32{0, 1, 0, 1}
			validation := Validation{X: x, Labels: []int{1}}
			if loss == SquaredError {
				validation = Validation{X: x, Targets: target}
			}
			published := 0
			l, err := NewLearner(p, m, opt, LearnerConfig{
				Loss: loss, Batch: 2, Queue: 4, DropOldest: true, PublishSteps: 1, PublishEvery: time.Hour,
				Validation: validation,
				OnPublish:  func(Publication) { published++ },
			})
			require.NoError(t, err)
			require.NoError(t, l.begin())
			dst := make([]float32, 4)
			require.Zero(t, testing.AllocsPerRun(50, func() {
				for range 6 { // two too many
					var err error
					if loss == CrossEntropy {
						err = l.Learn(x, 2)
					} else {
						err = l.LearnTarget(x, target)
					}
					if err != nil {
						t.Error(err)
					}
				}
				for range 2 {
					if _, err := l.advance(); err != nil {
						t.Error(err)
					}
				}
				if _, err := p.Predict(dst, x); err != nil {
					t.Error(err)
				}
				l.Stats()
			}))
			require.Equal(t, 2*51, published)
			require.Zero(t, l.Stats().Rollbacks)
		}
	}
}
