package nn_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

func TestShape(t *testing.T) {
	for _, c := range []struct {
		shape                     nn.Shape
		size, features, positions int
	}{
		{nil, 1, 0, 1},
		{nn.Shape{}, 1, 0, 1},
		{nn.Shape{7}, 7, 7, 1},
		{nn.Shape{3, 7}, 21, 7, 3},
		{nn.Shape{2, 3, 7}, 42, 7, 6},
		{nn.Shape{2, 0}, 0, 0, 2},
	} {
		require.Equal(t, c.size, c.shape.Size(), "%v", c.shape)
		require.Equal(t, c.features, c.shape.Features(), "%v", c.shape)
		require.Equal(t, c.positions, c.shape.Positions(), "%v", c.shape)
	}
}
