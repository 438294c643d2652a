package serve_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/internal/unmade"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
	"github.com/adafisher-go/adafisher/nn/serve"
	"github.com/adafisher-go/adafisher/optim"
)

// TestUnmade: what no constructor has made says so.
func TestUnmade(t *testing.T) {
	m := mlp(t, 2, 2)
	opt, err := optim.NewSGD(m, optim.SGDDefaults())
	require.NoError(t, err)
	_, err = serve.NewLearner(new(serve.Predictor), m, opt, serve.LearnerConfig{})
	require.ErrorContains(t, err, "want a predictor, a model and an optimizer")
	for _, v := range []any{
		new(serve.Predictor), (*serve.Predictor)(nil),
		new(serve.Learner), (*serve.Learner)(nil),
		new(serve.Session), (*serve.Session)(nil),
	} {
		unmade.Check(t, v, m, []float32{1, 2}, []int{1}, context.Background(), &checkpoint.Content{Uints: map[string]uint64{"serve/version": 1}})
		unmade.Check(t, v, context.Background())
	}
}
