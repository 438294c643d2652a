package nn_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// A specimen is a model with inputs for it; together they have all kinds of layers.
type specimen struct {
	model *nn.Model
	x     []float32 // five samples
}

func specimens(t testing.TB) map[string]specimen {
	t.Helper()
	features := func(input nn.Shape, layers ...nn.Layer) specimen {
		m, err := nn.New(input, layers...)
		require.NoError(t, err)
		return specimen{m, uniform(rand.New(rand.NewPCG(1, 5)), 5*m.In())}
	}
	shared := nn.Shared(nn.Linear(6, 6))
	list := map[string]specimen{
		"mlp": features(nn.Shape{7}, nn.Linear(7, 9), nn.ReLU(), nn.LinearNoBias(9, 6), nn.Tanh(), nn.Dropout(0.5),
			nn.Unfactored(nn.Linear(6, 4)), nn.Sigmoid()),
		"residual": features(nn.Shape{6}, shared, nn.SiLU(), shared,
			nn.Residual(nn.LayerNorm(), nn.Named("inner", nn.Linear(6, 6)), nn.GELU()),
			nn.ResidualVia(nn.Linear(6, 3), nn.Linear(6, 8), nn.GELUTanh(), nn.Sequential(nn.Linear(8, 3)))),
		"tokens": features(nn.Shape{4}, nn.Embedding(11, 8), nn.Positions(),
			nn.Residual(nn.LayerNorm(), nn.SelfAttention(nn.Attention{Heads: 2, Causal: true})),
			nn.Mean(), nn.InitNormal(0.5, nn.Linear(8, 3))),
		"images": features(nn.Shape{4, 4, 2}, nn.Conv2d(2, 3, nn.Conv{Kernel: nn.Square(3)}), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)),
		"convnet": features(nn.Shape{8, 7, 2},
			nn.Scale(), nn.Conv2d(2, 4, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1), Groups: 2, NoBias: true}), nn.BatchNorm(), nn.ReLU(),
			nn.MaxPool2d(nn.Pooling{Kernel: nn.Square(2)}),
			nn.ResidualVia(nn.Sequential(nn.Conv2d(4, 6, nn.Conv{Kernel: nn.Square(1), Stride: nn.Square(2)}), nn.BatchNorm()),
				nn.Conv2d(4, 6, nn.Conv{Kernel: nn.Square(3), Stride: nn.Square(2), Padding: nn.Square(1)}), nn.BatchNorm(), nn.Tanh()),
			nn.AvgPool2d(nn.Pooling{Kernel: [2]int{2, 1}}), nn.Tokens(), nn.LayerNorm(), nn.Mean(), nn.Linear(6, 3)),
		"flat": features(nn.Shape{3, 4}, nn.Linear(4, 5), nn.Flatten(), nn.Linear(15, 2)),
	}
	for i := range list["tokens"].x {
		list["tokens"].x[i] = float32(i * 7 % 11)
	}
	return list
}

// scramble changes every value of m.
func scramble(m *nn.Model, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 6))
	for _, p := range m.Params() {
		copy(p.Value, uniform(r, len(p.Value)))
	}
	for _, b := range m.Buffers() {
		copy(b.Value, uniform(r, len(b.Value)))
	}
}

func values(m *nn.Model) []float32 {
	v := weights(m)
	for _, b := range m.Buffers() {
		v = append(v, b.Value...)
	}
	return v
}

func TestClone(t *testing.T) {
	for name, s := range specimens(t) {
		t.Run(name, func(t *testing.T) {
			s.model.Params()[0].Frozen = true
			c, err := s.model.Clone()
			require.NoError(t, err)
			require.Equal(t, s.model.Summary(), c.Summary())
			require.Equal(t, bits(values(s.model)), bits(values(c)))
			for i, p := range s.model.Params() {
				q := c.Params()[i]
				require.NotSame(t, p, q)
				require.Equal(t, p.Name, q.Name)
				require.Equal(t, p.Frozen, q.Frozen)
			}
			for i, l := range s.model.Layers() {
				require.NotSame(t, l, c.Layers()[i])
				require.Equal(t, l.Name, c.Layers()[i].Name)
			}

			before := values(s.model)
			scramble(c, 1)
			require.Equal(t, bits(before), bits(values(s.model)))
			require.NotEqual(t, bits(before), bits(values(c)))
			require.NoError(t, s.model.CopyFrom(c))
			require.Equal(t, bits(values(c)), bits(values(s.model)))
			require.NoError(t, s.model.CopyFrom(s.model))
			require.Equal(t, bits(values(c)), bits(values(s.model)))
			require.Zero(t, testing.AllocsPerRun(10, func() { _ = s.model.CopyFrom(c) }))
		})
	}
}

func TestCloneErrors(t *testing.T) {
	layers := []nn.Layer{nn.Linear(2, 3), nn.ReLU()}
	m := sequential(t, layers...)
	layers[1] = nn.Tanh()
	c, err := m.Clone()
	require.NoError(t, err)
	require.Contains(t, c.Summary(), "ReLU", "the model keeps its own list of layers")

	twin := sequential(t, nn.Linear(2, 3), nn.Tanh())
	const want = ": the models are not of the same layers"
	before := values(m)
	scramble(twin, 2)
	require.EqualError(t, m.CopyFrom(twin), "nn: CopyFrom"+want)
	require.EqualError(t, m.CopyFrom(nil), "nn: CopyFrom"+want)
	require.EqualError(t, m.CopyFrom(new(nn.Model)), "nn: CopyFrom"+want)
	require.EqualError(t, new(nn.Model).CopyFrom(new(nn.Model)), "nn: CopyFrom"+want)
	require.Equal(t, bits(before), bits(values(m)))
	_, err = new(nn.Model).Clone()
	require.EqualError(t, err, "nn: Clone: the model has no layers")

	p, err := m.NewPredictor(1)
	require.NoError(t, err)
	y, err := p.Predict([]float32{1, 2})
	require.NoError(t, err)
	before = append([]float32(nil), y...)
	require.EqualError(t, p.SetModel(twin), "nn: SetModel"+want)
	require.EqualError(t, p.SetModel(nil), "nn: SetModel"+want)
	y, err = p.Predict([]float32{1, 2})
	require.NoError(t, err)
	require.Equal(t, bits(before), bits(y))
}

// Models that the same calls make can take each other's values; those that compute
// something else can't, though their parameters have the same names and shapes.
func TestSameLayers(t *testing.T) {
	for name, s := range specimens(t) {
		twin := specimens(t)[name].model
		scramble(twin, 5)
		require.NoError(t, s.model.CopyFrom(twin), name)
		require.Equal(t, bits(values(twin)), bits(values(s.model)), name)
		p, err := s.model.NewPredictor(5)
		require.NoError(t, err)
		scramble(twin, 6)
		require.NoError(t, p.SetModel(twin), name)
		fresh, err := twin.NewPredictor(5)
		require.NoError(t, err)
		want, err := fresh.Predict(s.x)
		require.NoError(t, err)
		got, err := p.Predict(s.x)
		require.NoError(t, err)
		require.Equal(t, bits(want), bits(got), name)
	}

	linear := nn.Linear(3, 3)
	a, b := nn.Shared(linear), nn.Shared(linear)
	m := sequential(t, a, b, b, a)
	require.NoError(t, m.CopyFrom(sequential(t, b, a, a, b)))
	for _, layers := range [][]nn.Layer{
		{a, b, a, b},
		{a, b, b, b},
		{linear, linear, linear, linear},
		{a, nn.Named("1", b), b, a},
		{a, b, nn.Dropout(0.1), b, a},
	} {
		require.ErrorContains(t, m.CopyFrom(sequential(t, layers...)), "not of the same layers")
	}
	m = sequential(t, linear, nn.Dropout(0.1))
	require.ErrorContains(t, m.CopyFrom(sequential(t, linear, nn.Dropout(0.2))), "not of the same layers")
}

func TestSetModel(t *testing.T) {
	for name, s := range specimens(t) {
		t.Run(name, func(t *testing.T) {
			other, err := s.model.Clone()
			require.NoError(t, err)
			scramble(other, 3)
			scramble(s.model, 4)

			p, err := s.model.NewPredictor(5)
			require.NoError(t, err)
			for _, m := range []*nn.Model{other, s.model, other} {
				fresh, err := m.NewPredictor(5)
				require.NoError(t, err)
				want, err := fresh.Predict(s.x)
				require.NoError(t, err)
				require.NoError(t, p.SetModel(m))
				got, err := p.Predict(s.x)
				require.NoError(t, err)
				require.Equal(t, bits(want), bits(got))
			}
			require.Zero(t, testing.AllocsPerRun(10, func() {
				_ = p.SetModel(s.model)
				_ = p.SetModel(other)
			}))
		})
	}
}

func TestPredictInto(t *testing.T) {
	for name, s := range specimens(t) {
		t.Run(name, func(t *testing.T) {
			whole, err := s.model.NewPredictor(5)
			require.NoError(t, err)
			want, err := whole.Predict(s.x)
			require.NoError(t, err)
			for batch := 1; batch <= 6; batch++ {
				p, err := s.model.NewPredictor(batch)
				require.NoError(t, err)
				dst := make([]float32, len(want))
				require.NoError(t, p.PredictInto(dst, s.x))
				require.Equal(t, bits(want), bits(dst), "in batches of %d", batch)
				require.NoError(t, p.PredictInto(nil, nil))
				require.Zero(t, testing.AllocsPerRun(10, func() { _ = p.PredictInto(dst, s.x) }))
			}
		})
	}
	m := sequential(t, nn.Linear(3, 2))
	p, err := m.NewPredictor(1)
	require.NoError(t, err)
	dst := []float32{7, 7, 7, 7}
	require.EqualError(t, p.PredictInto(dst, make([]float32, 5)), "nn: PredictInto: an input of 5 numbers is not rows of 3 features")
	require.EqualError(t, p.PredictInto(dst, make([]float32, 3)), "nn: PredictInto: room for 4 numbers: want 2, for 1 samples of 2 outputs")
	m, err = nn.New(nn.Shape{1}, nn.Embedding(3, 2))
	require.NoError(t, err)
	p, err = m.NewPredictor(1)
	require.NoError(t, err)
	require.EqualError(t, p.PredictInto(dst, []float32{0, 3}), "nn: PredictInto: token 1 is 3: want a whole number from 0 to 2")
	require.Equal(t, []float32{7, 7, 7, 7}, dst)
}
