package nn_test

import (
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

func pack(t testing.TB, m *nn.Model, c nn.PackConfig) *nn.PackedModel {
	t.Helper()
	p, err := m.Pack(c)
	require.NoError(t, err)
	return p
}

func predict(t testing.TB, p *nn.Predictor, x []float32) []uint32 {
	t.Helper()
	y, err := p.Predict(x)
	require.NoError(t, err)
	return bits(y)
}

// linearWeights are the weights that packing may round: matrices, but for those of
// the specimen of tokens that are no linear layer's.
func linearWeights(m *nn.Model, name string) (all []*kron.Param) {
	for i, p := range m.Params() {
		if len(p.Shape) == 2 && (name != "tokens" || i > 1) {
			all = append(all, p)
		}
	}
	return all
}

func toFloat16(x []float32) {
	half := make([]uint16, len(x))
	kernels.ToFloat16(half, x)
	kernels.FromFloat16(x, half)
}

// A packed model predicts what the model does, with the same bits; with float16
// weights what the model with such weights does.
func TestPack(t *testing.T) {
	for _, float16 := range []bool{false, true} {
		config := nn.PackConfig{Float16: float16}
		eachLevel(t, func(t *testing.T) {
			eachSpecimen(t, func(t *testing.T, name string, s specimen) {
				m, in := s.model, s.model.In()
				scramble := func(m *nn.Model, seed uint64) {
					scramble(m, seed)
					for _, b := range m.Buffers() { // variances
						kernels.Abs(b.Value, b.Value)
					}
				}
				version := func(seed uint64) (packed *nn.PackedModel, want []uint32) {
					v, err := m.Clone()
					require.NoError(t, err)
					scramble(v, seed)
					packed = pack(t, v, config)
					if float16 {
						for _, p := range linearWeights(v, name) {
							toFloat16(p.Value)
						}
					}
					plain, err := v.NewPredictor(5)
					require.NoError(t, err)
					return packed, predict(t, plain, s.x)
				}
				a, wantA := version(1)
				b, wantB := version(2)
				require.NotEqual(t, wantA, wantB)
				p, err := a.NewPredictor(5)
				require.NoError(t, err)
				require.Equal(t, wantA, predict(t, p, s.x))
				one, err := a.NewPredictor(1)
				require.NoError(t, err)
				for i := range 5 {
					out := m.Out()
					require.Equal(t, wantA[i*out:][:out], predict(t, one, s.x[i*in:][:in]), "sample %d alone", i)
				}
				require.NoError(t, p.SetPacked(b))
				require.Equal(t, wantB, predict(t, p, s.x))
				require.NoError(t, p.SetModel(m))
				plain, err := m.NewPredictor(5)
				require.NoError(t, err)
				require.Equal(t, predict(t, plain, s.x), predict(t, p, s.x), "the model itself")
				require.NoError(t, p.SetPacked(a))
				require.Equal(t, wantA, predict(t, p, s.x))
				scramble(m, 2)
				require.Equal(t, wantA, predict(t, p, s.x), "a packed model doesn't follow its model")
				require.NoError(t, a.CopyFrom(m))
				require.Equal(t, wantB, predict(t, p, s.x))
				require.Zero(t, testing.AllocsPerRun(5, func() {
					_ = a.CopyFrom(m)
					_ = p.SetModel(m)
					_ = p.SetPacked(a)
					_, _ = p.Predict(s.x)
				}))
			})
		})
	}
}

func TestPackedSizes(t *testing.T) {
	m := sequential(t, nn.Linear(10, 20), nn.ReLU(), nn.LinearNoBias(20, 3))
	require.Equal(t, 4*(10*20+20+20*3), pack(t, m, nn.PackConfig{}).NumBytes())
	require.Equal(t, 2*(10*20+20*3)+4*20, pack(t, m, nn.PackConfig{Float16: true}).NumBytes())
}

func TestPackErrors(t *testing.T) {
	float16 := nn.PackConfig{Float16: true}
	_, err := new(nn.Model).Pack(nn.PackConfig{})
	require.EqualError(t, err, "nn: Pack: the model has no layers")

	m := sequential(t, nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
	half, err := m.Pack(float16)
	require.NoError(t, err)
	p, err := half.NewPredictor(1)
	require.NoError(t, err)
	x := []float32{1, 2}
	before := predict(t, p, x)
	weight := m.Params()[2].Value
	for _, v := range []float32{65520, -65520, math.MaxFloat32, float32(math.Inf(1)), float32(math.NaN())} {
		m.Params()[0].Value[0] = 5 // fits, but is no part of another version
		weight[1] = v
		_, err := m.Pack(float16)
		require.ErrorContains(t, err, "nn: Pack: weight 1 of 2.weight is ")
		require.ErrorContains(t, err, ": float16 has numbers up to 65504")
		require.ErrorContains(t, half.CopyFrom(m), "nn: CopyFrom: weight 1 of 2.weight is ")
		require.Equal(t, before, predict(t, p, x))
		_, err = m.Pack(nn.PackConfig{})
		require.NoError(t, err, "float32 weights may be anything")
	}
	m.Params()[3].Value[0] = 1e6 // a bias stays float32
	for _, v := range []float32{math.Nextafter32(65520, 0), math.Nextafter32(-65520, 0)} {
		weight[1] = v
		require.NoError(t, half.CopyFrom(m))
	}

	const clones = ": the models are not of the same layers"
	require.NoError(t, half.CopyFrom(sequential(t, nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))))
	twin := sequential(t, nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
	require.EqualError(t, half.CopyFrom(twin), "nn: CopyFrom"+clones)
	require.EqualError(t, half.CopyFrom(nil), "nn: CopyFrom"+clones)
	require.EqualError(t, p.SetPacked(pack(t, twin, float16)), "nn: SetPacked"+clones)
	require.EqualError(t, p.SetPacked(nil), "nn: SetPacked: there is no model")
	plain, err := m.NewPredictor(1)
	require.NoError(t, err)
	require.EqualError(t, plain.SetPacked(half), "nn: SetPacked: the weights are float16: want a predictor that was made for such")
	require.NoError(t, plain.SetPacked(pack(t, m, nn.PackConfig{})))
	_, err = half.NewPredictor(0)
	require.EqualError(t, err, "nn: NewPredictor: a batch of 0 rows: want at least 1")

	var none nn.PackedModel
	_, err = none.NewPredictor(1)
	require.EqualError(t, err, "nn: NewPredictor: the packed model is nil or zero: want one of Pack")
	require.EqualError(t, none.CopyFrom(m), "nn: CopyFrom: the packed model is nil or zero: want one of Pack")
	require.EqualError(t, p.SetPacked(&none), "nn: SetPacked"+clones)
	require.Zero(t, none.NumBytes())
}

func TestManyPredictorsOfOnePackedModel(t *testing.T) {
	m := sequential(t, nn.Linear(20, 40), nn.GELU(), nn.Linear(40, 12))
	x := make([]float32, 3*20)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	for _, c := range []nn.PackConfig{{}, {Float16: true}} {
		packed := pack(t, m, c)
		p, err := packed.NewPredictor(3)
		require.NoError(t, err)
		want := predict(t, p, x)
		var wg sync.WaitGroup
		got := make([][]uint32, 8)
		for i := range got {
			wg.Go(func() {
				p, err := packed.NewPredictor(1 + i%3)
				y := make([]float32, len(want))
				for range 20 {
					if err == nil {
						err = p.PredictInto(y, x)
					}
				}
				if err == nil {
					got[i] = bits(y)
				}
			})
		}
		wg.Wait()
		for i := range got {
			require.Equal(t, want, got[i])
		}
	}
}

// A linear layer and the activation after it, which a pass computes together, give
// the bits of the two by themselves.
func TestFusedActivations(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, a := range []nn.Layer{nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.SiLU(), nn.GELU(), nn.GELUTanh()} {
			fused := sequential(t, nn.Linear(5, 70), a, nn.Linear(70, 3), a, a)
			apart, err := nn.New(nn.Shape{5}, nn.Sequential(nn.Linear(5, 70)), a, nn.Sequential(nn.Linear(70, 3)), a, a)
			require.NoError(t, err)
			for i, p := range fused.Params() {
				copy(apart.Params()[i].Value, p.Value)
			}
			x, dy := make([]float32, 50*5), make([]float32, 50*3)
			for i := range x {
				x[i] = float32(i*31%17) - 8
			}
			for i := range dy {
				dy[i] = float32(i*13%11) - 5
			}
			want := resultOf(t, apart, session(t, apart, 50), x, dy)
			require.Equal(t, want, resultOf(t, fused, session(t, fused, 50), x, dy))
			p, err := fused.NewPredictor(50)
			require.NoError(t, err)
			require.Equal(t, want.Output, predict(t, p, x))
		}
	})
}
