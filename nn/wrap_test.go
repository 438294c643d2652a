package nn_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

func model(t testing.TB, input nn.Shape, layers ...nn.Layer) *nn.Model {
	t.Helper()
	m, err := nn.New(input, layers...)
	require.NoError(t, err)
	return m
}

func paramNames(m *nn.Model) []string {
	var names []string
	for _, p := range m.Params() {
		names = append(names, p.Name)
	}
	return names
}

func TestNames(t *testing.T) {
	linear := nn.LinearNoBias(2, 2)
	m := model(t, nn.Shape{2},
		linear,
		nn.Named("a", linear),
		nn.Named("", linear),
		nn.Named("b", nn.Sequential(linear, nn.Named("c", linear), nn.Named("", nn.Sequential(nn.Tanh(), linear)), nn.Named("", nn.Named("d", nn.Sequential(nn.Named("e", linear)))))),
		nn.Named("f", nn.Named("g", linear)),
		nn.Residual(linear, nn.Residual(linear, nn.Named("h", linear))),
		nn.ResidualVia(nn.Sequential(nn.Tanh(), linear), linear),
		nn.ResidualVia(nn.Named("shortcut", linear), linear),
		nn.Unfactored(nn.InitNormal(1, nn.Named("i", nn.Unfactored(nn.Named("ignored", linear))))),
		nn.Named("j", nn.InitNormal(1, nn.Shared(linear))),
	)
	require.Equal(t, []string{
		"0.weight", "a.weight", "weight",
		"b.0.weight", "b.c.weight", "b.1.weight", "b.e.weight",
		"f.weight",
		"5.0.weight", "5.1.0.weight", "5.1.h.weight",
		"6.0.weight", "6.downsample.1.weight",
		"7.0.weight", "7.shortcut.weight",
		"i.weight", "j.weight",
	}, paramNames(m))
}

func TestNilLayers(t *testing.T) {
	for want, l := range map[string]nn.Layer{
		"nn: layer 0 is nil":            nil,
		"nn: layer a is nil":            nn.Named("a", nn.Named("b", nil)),
		"nn: layer 0.0 is nil":          nn.Sequential(nil),
		"nn: layer b is nil":            nn.Shared(nn.Named("b", nil)),
		"nn: layer 0.downsample is nil": nn.ResidualVia(nn.Unfactored(nil), nn.Tanh()),
		"nn: layer c (nil): initial standard deviation NaN: want a finite number of at least 0": nn.InitNormal(math.NaN(), nn.Named("c", nil)),
	} {
		_, err := nn.New(nn.Shape{2}, l)
		require.EqualError(t, err, want)
	}
}

// passOf does a pass of a session for the loss sum of dy*y, and returns it.
func passOf(t testing.TB, s *nn.Session, x, dy []float32) *kron.Pass {
	t.Helper()
	_, err := s.Forward(x)
	require.NoError(t, err)
	require.NoError(t, s.SetOutputGradient(dy))
	pass, err := s.Backward()
	require.NoError(t, err)
	return pass
}

// A layer that holds nothing but what another place owns still takes part in the
// backward pass, also where nobody asks for the gradient at its input.
func TestSharedInsideSequenceTrains(t *testing.T) {
	shared := nn.Shared(nn.LinearNoBias(2, 2))
	m := model(t, nn.Shape{2}, nn.ResidualVia(nn.Sequential(nn.Sequential(nn.Tanh(), shared)), shared))
	require.Equal(t, []string{"0.0.weight"}, paramNames(m))
	s := session(t, m, 1)
	x := []float32{0.5, -1}
	g := passOf(t, s, x, []float32{1, 10}).Gradients[0].Data
	for i, v := range x {
		want := float64(v) + math.Tanh(float64(v))
		require.InDelta(t, want, g[2*i], 1e-6)
		require.InDelta(t, 10*want, g[2*i+1], 1e-5)
	}
}

// An embedding in a second place would look up numbers that are no tokens.
func TestSharedEmbedding(t *testing.T) {
	embedding := nn.Shared(nn.Embedding(5, 3))
	_, err := nn.New(nn.Shape{3}, embedding, nn.Mean(), embedding)
	require.EqualError(t, err, "nn: layer 2 (Embedding): it must be the first layer, which reads the input's tokens")
	block := nn.Shared(nn.Sequential(embedding, nn.Mean()))
	_, err = nn.New(nn.Shape{3}, block, nn.Linear(3, 3), block)
	require.EqualError(t, err, "nn: layer 2 (Sequential): it must be the first layer, which reads the input's tokens")
	_, err = nn.New(nn.Shape{3}, block)
	require.NoError(t, err)
}
