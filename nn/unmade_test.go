package nn_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/internal/unmade"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// TestUnmade: what no constructor has made says so.
func TestUnmade(t *testing.T) {
	m, err := nn.NewSequential(nn.Linear(2, 2))
	require.NoError(t, err)
	packed, err := m.Pack(nn.PackConfig{})
	require.NoError(t, err)
	opt, err := optim.NewSGD(m, optim.SGDDefaults())
	require.NoError(t, err)
	for _, v := range []any{
		new(nn.Model), (*nn.Model)(nil),
		new(nn.Session), (*nn.Session)(nil),
		new(nn.Predictor), (*nn.Predictor)(nil),
		new(nn.PackedModel), (*nn.PackedModel)(nil),
	} {
		unmade.Check(t, v, m, packed, opt, []float32{1, 2}, []int{1}, 1, new(bytes.Buffer), filepath.Join(t.TempDir(), "x"))
	}
}
