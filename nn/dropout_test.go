package nn_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// masks returns for each of n passes what a session of a dropout with probability
// p alone makes of ones.
func masks(t *testing.T, s *nn.Session, size, n int) [][]uint32 {
	t.Helper()
	ones := make([]float32, size)
	for i := range ones {
		ones[i] = 1
	}
	var all [][]uint32
	for range n {
		y, err := s.Forward(ones)
		require.NoError(t, err)
		all = append(all, bits(y))
	}
	return all
}

func TestDropoutRepeats(t *testing.T) {
	m := model(t, nn.Shape{64}, nn.Dropout(0.5))
	s := session(t, m, 1)
	seed, forwards := s.Random()
	require.Zero(t, seed)
	require.Zero(t, forwards)
	first := masks(t, s, 64, 4)
	for i, a := range first {
		for _, b := range first[:i] {
			require.NotEqual(t, a, b, "each pass drops others")
		}
	}
	_, forwards = s.Random()
	require.EqualValues(t, 4, forwards)
	require.Equal(t, first, masks(t, session(t, m, 1), 64, 4), "another session")
	s.SetRandom(0, 2)
	require.Equal(t, first[2:], masks(t, s, 64, 2), "resumed")
	s.SetRandom(1, 0)
	require.NotEqual(t, first, masks(t, s, 64, 4), "another seed")

	// A refused Forward draws nothing.
	s.SetRandom(0, 2)
	_, err := s.Forward(make([]float32, 65))
	require.Error(t, err)
	require.Equal(t, first[2:3], masks(t, s, 64, 1))
}

// Each place of a dropout draws its own mask, the places of a shared one too.
func TestDropoutPlaces(t *testing.T) {
	const n = 256
	shared := nn.Shared(nn.Dropout(0.5))
	for name, layers := range map[string][]nn.Layer{
		"two":             {nn.Dropout(0.5), nn.Dropout(0.5)},
		"one description": {shared, shared},
		"nested":          {nn.Sequential(nn.Dropout(0.5)), nn.Sequential(nn.Sequential(nn.Dropout(0.5)))},
	} {
		y := masks(t, session(t, model(t, nn.Shape{n}, layers...), 1), n, 1)[0]
		kept := 0
		for _, v := range y {
			if v != 0 {
				kept++
				require.Equal(t, math.Float32bits(4), v)
			}
		}
		// Of masks of their own a quarter is left, within 4.5 standard deviations.
		require.InDelta(t, n/4, kept, 4.5*math.Sqrt(n*3.0/16), name)
	}
}

func TestDropoutKeepsTheMean(t *testing.T) {
	const n = 1 << 16
	for _, p := range []float64{0, 0.1, 0.5, 0.9} {
		s := session(t, model(t, nn.Shape{n}, nn.Dropout(p)), 1)
		sum, dropped := 0.0, 0.0
		for _, v := range masks(t, s, n, 1)[0] {
			sum += float64(math.Float32frombits(v))
			if v == 0 {
				dropped++
			}
		}
		require.InDelta(t, p, dropped/n, 4.5*math.Sqrt(p*(1-p)/n)+1e-9)
		require.InDelta(t, 1, sum/n, 4.5*math.Sqrt(p/(1-p)/n)+1e-6)
	}
}

// The gradient passes where the last Forward let the numbers pass, with the same
// factor, for any number of losses; a predictor drops nothing.
func TestDropoutGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(20, 1))
	m := model(t, nn.Shape{40}, nn.Dropout(0.3), nn.Dropout(0.3))
	s := session(t, m, 3)
	s.CollectInputGradient(true)
	x := uniform(r, 3*40)
	for range 3 {
		y, err := s.Forward(x)
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, s.SetOutputGradient(x))
			_, err = s.Backward()
			require.NoError(t, err)
			dx, err := s.InputGradient()
			require.NoError(t, err)
			require.Equal(t, bits(y), bits(dx))
		}
	}
	p, err := m.NewPredictor(3)
	require.NoError(t, err)
	y, err := p.Predict(x)
	require.NoError(t, err)
	require.Equal(t, bits(x), bits(y))
}

func TestDropoutErrors(t *testing.T) {
	for p, text := range map[float64]string{-0.1: "-0.1", 1: "1", 2: "2", math.NaN(): "NaN", math.Inf(1): "+Inf", 1 - 1e-12: "0.999999999999"} {
		_, err := nn.New(nn.Shape{3}, nn.Dropout(p))
		require.EqualError(t, err, "nn: layer 0 (Dropout): probability "+text+": want a number in [0, 1) as a float32")
	}
}
