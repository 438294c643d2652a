package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// Each layer that can't take a shape says which layer it is, what it wants and what
// it gets.
func TestShapeErrors(t *testing.T) {
	conv := nn.Conv{Kernel: nn.Square(3)}
	pool := nn.Pooling{Kernel: nn.Square(3)}
	for _, c := range []struct {
		input  nn.Shape
		layers []nn.Layer
		err    string
	}{
		{nn.Shape{4}, []nn.Layer{nn.Tanh(), nn.Linear(3, 2)}, "layer 1 (Linear): takes 3 features, its input has shape [4]"},
		{nn.Shape{2, 4}, []nn.Layer{nn.LinearNoBias(2, 2)}, "layer 0 (Linear): takes 2 features, its input has shape [2 4]"},
		{nn.Shape{4}, []nn.Layer{nn.Linear(4, 0)}, "layer 0 (Linear): 4 features in, 0 out: want at least 1 of each"},
		{nn.Shape{4}, []nn.Layer{nn.Named("attention", nn.SelfAttention(nn.Attention{}))}, "layer attention (SelfAttention): takes samples of shape [tokens, features], its input has shape [4]"},
		{nn.Shape{2, 2, 4}, []nn.Layer{nn.SelfAttention(nn.Attention{})}, "layer 0 (SelfAttention): takes samples of shape [tokens, features], its input has shape [2 2 4]"},
		{nn.Shape{3, 4}, []nn.Layer{nn.SelfAttention(nn.Attention{Heads: 3})}, "layer 0 (SelfAttention): 4 features in 3 heads: want a positive multiple of the heads; its input has shape [3 4]"},
		{nn.Shape{3, 4}, []nn.Layer{nn.SelfAttention(nn.Attention{Heads: -1})}, "layer 0 (SelfAttention): 4 features in -1 heads: want a positive multiple of the heads; its input has shape [3 4]"},
		{nn.Shape{3, 4}, []nn.Layer{nn.SelfAttention(nn.Attention{Heads: 2, Inner: -2})}, "layer 0 (SelfAttention): -2 features in 2 heads: want a positive multiple of the heads; its input has shape [3 4]"},
		{nn.Shape{3, 4}, []nn.Layer{nn.SelfAttention(nn.Attention{Inner: math.MaxInt})}, fmt.Sprintf("layer 0.q (Linear): 4 features in, %d out: more than %d weights", math.MaxInt, maxFloats)},
		{nn.Shape{3, 4}, []nn.Layer{nn.Embedding(5, 2)}, "layer 0 (Embedding): takes samples of shape [tokens], its input has shape [3 4]"},
		{nn.Shape{3}, []nn.Layer{nn.Linear(3, 3), nn.Embedding(5, 2)}, "layer 1 (Embedding): it must be the first layer, which reads the input's tokens"},
		{nn.Shape{3}, []nn.Layer{nn.Residual(nn.Embedding(5, 3))}, "layer 0.0 (Embedding): it must be the first layer, which reads the input's tokens"},
		{nn.Shape{3}, []nn.Layer{nn.Embedding(0, 2)}, "layer 0 (Embedding): 0 tokens, 2 features: want 1 to 16777216 tokens, at least 1 feature, and at most " + limit + " numbers"},
		{nn.Shape{3}, []nn.Layer{nn.Embedding(5, 0)}, "layer 0 (Embedding): 5 tokens, 0 features: want 1 to 16777216 tokens, at least 1 feature, and at most " + limit + " numbers"},
		{nn.Shape{3}, []nn.Layer{nn.Embedding(1<<24+1, 1)}, "layer 0 (Embedding): 16777217 tokens, 1 features: want 1 to 16777216 tokens, at least 1 feature, and at most " + limit + " numbers"},
		{nn.Shape{3}, []nn.Layer{nn.Embedding(1<<24, math.MaxInt)}, fmt.Sprintf("layer 0 (Embedding): 16777216 tokens, %d features", math.MaxInt) + ": want 1 to 16777216 tokens, at least 1 feature, and at most " + limit + " numbers"},
		{nn.Shape{3, 4}, []nn.Layer{nn.Tokens()}, "layer 0 (Tokens): takes an image [height, width, channels], its input has shape [3 4]"},
		{nn.Shape{4}, []nn.Layer{nn.Residual(nn.Linear(4, 3))}, "layer 0 (Residual): its layers give shape [3], its shortcut [4]"},
		{nn.Shape{4}, []nn.Layer{nn.ResidualVia(nn.Linear(4, 2), nn.Linear(4, 3))}, "layer 0 (Residual): its layers give shape [3], its shortcut [2]"},
		{nn.Shape{4}, []nn.Layer{nn.Named("", nn.Residual(nn.Linear(4, 3)))}, "layer (Residual): its layers give shape [3], its shortcut [4]"},
		{nn.Shape{4}, []nn.Layer{nn.Residual()}, "layer 0 (Residual): a sequence needs at least one layer"},
		{nn.Shape{4}, []nn.Layer{nn.Named("a", nn.Sequential(nn.Sequential()))}, "layer a.0 (Sequential): a sequence needs at least one layer"},
		{nn.Shape{4}, []nn.Layer{nn.ResidualVia(nn.Linear(3, 4), nn.Linear(4, 4))}, "layer 0.downsample (Linear): takes 3 features, its input has shape [4]"},
		{nn.Shape{4}, []nn.Layer{nn.LayerNormWith(1e-40)}, "layer 0 (LayerNorm): epsilon 1e-40: want a number from 1.2e-38 to 3.4e38"},
		{nn.Shape{4}, []nn.Layer{nn.BatchNormWith(1e39, 0.1)}, "layer 0 (BatchNorm): epsilon 1e+39: want a number from 1.2e-38 to 3.4e38"},
		{nn.Shape{4}, []nn.Layer{nn.InitNormal(-1, nn.Linear(4, 4))}, "layer 0 (Linear): initial standard deviation -1: want a finite number of at least 0"},
		{nn.Shape{4}, []nn.Layer{nn.InitNormal(math.Inf(1), nn.Linear(4, 4))}, "layer 0 (Linear): initial standard deviation +Inf: want a finite number of at least 0"},
		{nn.Shape{4}, []nn.Layer{nn.InitNormal(1e300, nn.Linear(4, 4))}, "layer 0 (Linear): initial standard deviation 1e+300: want a finite number of at least 0"},
		{nn.Shape{5, 5}, []nn.Layer{nn.Conv2d(5, 2, conv)}, "layer 0 (Conv2d): takes images of shape [height, width, 5], its input has shape [5 5]"},
		{nn.Shape{5, 5, 3}, []nn.Layer{nn.Conv2d(2, 2, conv)}, "layer 0 (Conv2d): takes images of shape [height, width, 2], its input has shape [5 5 3]"},
		{nn.Shape{2, 5, 3}, []nn.Layer{nn.Conv2d(3, 2, conv)}, "layer 0 (Conv2d): kernels: convolution window of 3 rows is larger than the padded image, 2; its input has shape [2 5 3]"},
		{nn.Shape{5, 5}, []nn.Layer{nn.MaxPool2d(pool)}, "layer 0 (MaxPool2d): takes an image [height, width, channels], its input has shape [5 5]"},
		{nn.Shape{5}, []nn.Layer{nn.AvgPool2d(pool)}, "layer 0 (AvgPool2d): takes an image [height, width, channels], its input has shape [5]"},
	} {
		m, err := nn.New(c.input, c.layers...)
		require.EqualError(t, err, "nn: "+c.err)
		require.Nil(t, m)
	}

	shared := nn.Shared(nn.LayerNorm())
	_, err := nn.New(nn.Shape{3}, nn.Named("norm", shared), nn.Linear(3, 2), shared)
	require.EqualError(t, err, "nn: layer 2 (LayerNorm): it is shared with layer norm, which takes shape [3]; its input has shape [2]")
}

// maxFloats is how many numbers one allocation may have, fewer where int has 32 bits.
const maxFloats = min(1<<32, math.MaxInt/8)

var limit = fmt.Sprint(maxFloats)

func TestNewErrors(t *testing.T) {
	want := ": want dimensions of at least 1, and at most " + limit + " numbers"
	for _, c := range []struct {
		input  nn.Shape
		layers []nn.Layer
		err    string
	}{
		{nn.Shape{4}, nil, "nn: a sequence needs at least one layer"},
		{nil, []nn.Layer{nn.Tanh()}, "nn: input of shape []" + want},
		{nn.Shape{4, 0}, []nn.Layer{nn.Tanh()}, "nn: input of shape [4 0]" + want},
		{nn.Shape{-4, -2}, []nn.Layer{nn.Tanh()}, "nn: input of shape [-4 -2]" + want},
		{nn.Shape{math.MaxInt/2 + 1, 4}, []nn.Layer{nn.Tanh()}, fmt.Sprintf("nn: input of shape [%d 4]", math.MaxInt/2+1) + want}, // their product is 0 as an int,
		{nn.Shape{1 << 20, 4}, []nn.Layer{nn.Linear(4, 1<<20)}, "nn: layer 0 (Linear): a sample of shape [1048576 4] gives one of shape [1048576 1048576]: want 1 to " + limit + " numbers"},
		{nn.Shape{maxFloats}, []nn.Layer{nn.Positions()}, "nn: the parameters need more than " + limit + " numbers of memory"},
		{nn.Shape{2}, []nn.Layer{nn.Named("a", nn.Linear(2, 2)), nn.Named("a", nn.Linear(2, 2))}, `nn: two layers have a parameter named "a.weight"`},
		{nn.Shape{2}, []nn.Layer{nn.Linear(2, 2), nn.Named("", nn.Sequential(nn.Linear(2, 2)))}, `nn: two layers have a parameter named "0.weight"`},
		{nn.Shape{2}, []nn.Layer{nn.Named("", nn.Linear(2, 2)), nn.Named("", nn.LayerNorm())}, `nn: two layers have a parameter named "weight"`},
	} {
		m, err := nn.New(c.input, c.layers...)
		require.EqualError(t, err, c.err)
		require.Nil(t, m)
	}
	_, err := nn.NewSequential(nn.Sequential(nn.Linear(2, 2)))
	require.EqualError(t, err, "nn: layer 0 (Sequential) stands before the first Linear, and may change the number of features: use New, and say what shape the input has")
	m, err := nn.NewSequential(nn.Dropout(0.1), nn.Named("a", nn.Unfactored(nn.InitNormal(1, nn.Linear(3, 2)))))
	require.NoError(t, err)
	require.Equal(t, nn.Shape{3}, m.InputShape())
}

// A token that the model has no embedding for is refused everywhere, and nothing has
// moved.
func TestTokens(t *testing.T) {
	m := model(t, nn.Shape{3}, nn.Sequential(nn.Embedding(5, 4)), nn.Dropout(0.5), nn.Mean(), nn.Linear(4, 2))
	s := session(t, m, 2)
	predictor, err := m.NewPredictor(2)
	require.NoError(t, err)
	good := []float32{0, 4, 2, 1, 1, 3}
	y, err := s.Forward(good)
	require.NoError(t, err)
	predicted, err := predictor.Predict(good)
	require.NoError(t, err)
	_, err = s.SoftmaxCrossEntropy([]int{0, 1})
	require.NoError(t, err)
	before, outputs, predictions := bits(weights(m)), bits(y), bits(predicted)
	seed, forwards := s.Random()
	opt := &plainSGD{lr: 0.1}

	for text, v := range map[string]float64{
		"NaN": math.NaN(), "-1": -1, "0.5": 0.5, "5": 5, "+Inf": math.Inf(1), "-Inf": math.Inf(-1), "1e+10": 1e10, "-1e-45": -1e-45, "1e-45": 1e-45, "4.0000005": 4.0000005,
	} {
		for place := range good {
			x := append([]float32(nil), good...)
			x[place] = float32(v)
			check := func(call string, err error) {
				require.EqualError(t, err, "nn: "+call+": token "+string(rune('0'+place))+" is "+text+": want a whole number from 0 to 4")
			}
			_, err := s.Forward(x)
			check("Forward", err)
			_, err = predictor.Predict(x)
			check("Predict", err)
			classes := []int{7, 7}
			check("Classify", predictor.Classify(classes, x))
			require.Equal(t, []int{7, 7}, classes)
			_, err = s.TrainSoftmaxCrossEntropy(opt, x, []int{0, 1})
			check("TrainSoftmaxCrossEntropy", err)
			_, err = s.TrainMSE(opt, x, []float32{0, 0, 0, 0})
			check("TrainMSE", err)
		}
	}
	require.Nil(t, opt.last)
	require.Equal(t, before, bits(weights(m)))
	require.Equal(t, outputs, bits(y))
	require.Equal(t, predictions, bits(predicted))
	gotSeed, gotForwards := s.Random()
	require.Equal(t, [2]uint64{seed, forwards}, [2]uint64{gotSeed, gotForwards})
	_, err = s.Backward()
	require.NoError(t, err, "the Forward before still counts")

	minusZero := float32(math.Copysign(0, -1))
	a, err := predictor.Predict([]float32{minusZero, 1, 2})
	require.NoError(t, err)
	got := bits(a)
	b, err := predictor.Predict([]float32{0, 1, 2})
	require.NoError(t, err)
	require.Equal(t, got, bits(b))
}

// Moments of the defaults that aren't uniform, and of InitNormal, within 4.5 standard
// deviations of estimates from n draws.
func TestInitNormal(t *testing.T) {
	check := func(what string, v []float32, deviation float64) {
		n := float64(len(v))
		var sum, squares, fourth, within float64
		for _, x := range v {
			z := float64(x) / deviation
			sum += z
			squares += z * z
			fourth += z * z * z * z
			if math.Abs(z) < 1 {
				within++
			}
		}
		require.InDelta(t, 0, sum/n, 4.5/math.Sqrt(n), what)
		require.InDelta(t, 1, squares/n, 4.5*math.Sqrt(2/n), what)
		require.InDelta(t, 3, fourth/n, 4.5*math.Sqrt(96/n), what)
		require.InDelta(t, math.Erf(math.Sqrt(0.5)), within/n, 4.5*math.Sqrt(0.68*0.32/n), what)
	}
	m := model(t, nn.Shape{11}, nn.Embedding(501, 9), nn.Positions(),
		nn.InitNormal(0.5, nn.Sequential(
			nn.Positions(), nn.LayerNorm(), nn.Linear(9, 64), nn.InitNormal(2, nn.Linear(64, 64)), nn.SelfAttention(nn.Attention{}), nn.InitNormal(0, nn.Linear(64, 3)),
		)), nn.Linear(3, 3))
	for _, p := range m.Params() {
		switch p.Name {
		case "0.weight":
			check(p.Name, p.Value, 1)
		case "2.2.weight", "2.4.q.weight", "2.4.k.weight", "2.4.v.weight", "2.4.o.weight":
			check(p.Name, p.Value, 0.5)
		case "2.3.weight":
			check(p.Name, p.Value, 2)
		case "2.2.bias", "2.3.bias", "2.4.q.bias", "2.4.k.bias", "2.4.v.bias", "2.4.o.bias", "2.1.bias", "2.5.weight", "2.5.bias":
			for _, v := range p.Value {
				require.Zero(t, v, p.Name)
			}
		case "2.1.weight":
			for _, v := range p.Value {
				require.Equal(t, float32(1), v)
			}
		case "3.weight", "3.bias":
			for _, v := range p.Value {
				require.LessOrEqual(t, math.Abs(float64(v)), 1/math.Sqrt(3))
				require.NotZero(t, v)
			}
		case "1.weight", "2.0.weight":
			require.Len(t, p.Value, 99)
			squares := 0.0
			for _, v := range p.Value {
				squares += float64(v) * float64(v) / 99
			}
			deviation := map[string]float64{"1.weight": 1, "2.0.weight": 0.5}[p.Name]
			require.InDelta(t, 1, squares/(deviation*deviation), 4.5*math.Sqrt(2.0/99), p.Name)
		default:
			require.Fail(t, p.Name)
		}
	}
	// Conv2d and buffers.
	m = model(t, nn.Shape{3, 3, 64}, nn.InitNormal(0.1, nn.Sequential(nn.Conv2d(64, 32, nn.Conv{Kernel: nn.Square(3)}), nn.BatchNorm())), nn.Conv2d(32, 64, nn.Conv{Kernel: nn.Square(1), Groups: 8}))
	check("conv", m.Params()[0].Value, 0.1)
	for _, p := range m.Params()[4:] {
		largest := 0.0
		for _, v := range p.Value {
			largest = max(largest, math.Abs(float64(v)))
		}
		require.InDelta(t, 0.5, largest, 0.1, "1/sqrt(32/8) bounds %s", p.Name)
		require.LessOrEqual(t, largest, 0.5)
	}
	buffers := m.Buffers()
	require.Equal(t, "0.1.running_mean", buffers[0].Name)
	require.Equal(t, "0.1.running_var", buffers[1].Name)
	scramble(m, 1)
	m.Init(3)
	for i, b := range buffers {
		for _, v := range b.Value {
			require.Equal(t, float32(i), v, "Init resets buffers")
		}
	}
}

// A predictor normalises with the running averages, which each pass moves by a tenth
// towards its own moments, as PyTorch does.
func TestBatchNormAverages(t *testing.T) {
	r := rand.New(rand.NewPCG(60, 1))
	m := model(t, nn.Shape{2, 3, 4}, nn.BatchNorm())
	drawParams(r, m)
	mean, variance := make([]float64, 4), []float64{1, 1, 1, 1}
	s := session(t, m, 5)
	for step := range 4 {
		rows := 5 - step
		x := uniform(r, rows*24)
		for i := range x {
			x[i] += float32(i % 4)
		}
		_, err := s.Forward(x)
		require.NoError(t, err)
		before := bits(m.Buffers()[0].Value)
		for range 2 { // it moves once for each Forward
			backward(t, s, uniform(r, rows*24))
		}
		require.NotEqual(t, before, bits(m.Buffers()[0].Value))
		for c := range 4 {
			var column []float64
			for i := c; i < len(x); i += 4 {
				column = append(column, float64(x[i]))
			}
			n := float64(len(column))
			a, v := moments(column)
			mean[c] = 0.9*mean[c] + 0.1*a
			variance[c] = 0.9*variance[c] + 0.1*v*n/(n-1)
		}
		requireNear(t, mean, m.Buffers()[0].Value, 0, "running mean")
		requireNear(t, variance, m.Buffers()[1].Value, 0, "running variance")

		p, err := m.NewPredictor(rows)
		require.NoError(t, err)
		y, err := p.Predict(x)
		require.NoError(t, err)
		want := make([]float64, len(x))
		for i, v := range x {
			c := i % 4
			want[i] = (float64(v)-mean[c])/math.Sqrt(variance[c]+1e-5)*float64(m.Params()[0].Value[c]) + float64(m.Params()[1].Value[c])
		}
		requireNear(t, want, y, 3, "prediction")
	}

	// Averages that would not be finite don't move.
	before := bits(values(m))
	x := uniform(r, 5*24)
	x[7] = float32(math.Inf(1))
	_, err := s.Forward(x)
	require.NoError(t, err)
	backward(t, s, x[:5*24])
	require.Equal(t, before, bits(values(m)))
}

// One number has no moments: neither a session nor a pass of a single row is possible,
// and what refuses it has not moved.
func TestBatchNormOfOneRow(t *testing.T) {
	m := sequential(t, nn.Linear(2, 3), nn.Named("norm", nn.BatchNorm()), nn.BatchNorm(), nn.Linear(3, 2))
	require.Equal(t, 2, m.MinBatch())
	const want = ": a batch of 1 row: layer norm (BatchNorm) takes moments over the rows: want at least 2"
	_, err := m.NewSession(1)
	require.EqualError(t, err, "nn: NewSession"+want)
	s := session(t, m, 3)
	before := bits(values(m))
	x, opt := []float32{1, 2}, &plainSGD{lr: 1}
	_, err = s.Forward(x)
	require.EqualError(t, err, "nn: Forward"+want)
	_, err = s.TrainSoftmaxCrossEntropy(opt, x, []int{1})
	require.EqualError(t, err, "nn: TrainSoftmaxCrossEntropy"+want)
	_, err = s.TrainMSE(opt, x, x)
	require.EqualError(t, err, "nn: TrainMSE"+want)
	_, err = s.TrainBinaryCrossEntropy(opt, x, []float32{0, 1})
	require.EqualError(t, err, "nn: TrainBinaryCrossEntropy"+want)
	_, forwards := s.Random()
	require.Zero(t, forwards)
	require.Equal(t, before, bits(values(m)))

	p, err := m.NewPredictor(1)
	require.NoError(t, err)
	_, err = p.Predict(x)
	require.NoError(t, err)

	for _, shape := range []nn.Shape{{2, 3}, {1, 2, 3}} {
		m := model(t, shape, nn.BatchNorm())
		require.Equal(t, 1, m.MinBatch())
		_, err := session(t, m, 1).Forward(make([]float32, m.In()))
		require.NoError(t, err)
	}
	require.Equal(t, 2, model(t, nn.Shape{1, 1, 3}, nn.BatchNorm()).MinBatch())
}

// A batch normalisation in two places moves its averages by the moments of both.
func TestSharedBatchNormAverages(t *testing.T) {
	norm := nn.Shared(nn.BatchNorm())
	m := model(t, nn.Shape{2}, norm, nn.Named("half", nn.Linear(2, 2)), norm)
	copy(m.Params()[2].Value, []float32{0.5, 0, 0, 0.5})
	copy(m.Params()[3].Value, []float32{1, 2})
	s := session(t, m, 4)
	x := []float32{1, -1, 3, 1, 2, 5, 6, 3}
	_, err := s.Forward(x)
	require.NoError(t, err)
	backward(t, s, x)
	for c, mean := range []float64{3, 2} {
		// The second place sees numbers of mean 0 and variance 1, halved and moved by
		// its bias, c+1.
		require.InDelta(t, 0.9*(0.1*mean)+0.1*float64(c+1), m.Buffers()[0].Value[c], 1e-6)
	}
}

// TestLargeAttention: the probabilities of so many tokens are more numbers than there
// may be, and 0 of them in an int of 32 bits.
func TestLargeAttention(t *testing.T) {
	m := model(t, nn.Shape{1 << 16, 1}, nn.SelfAttention(nn.Attention{}))
	_, err := m.NewSession(1)
	require.EqualError(t, err, "nn: NewSession: a batch of 1 rows needs more than "+limit+" numbers of memory")
	_, err = m.NewPredictor(1)
	require.EqualError(t, err, "nn: NewPredictor: a batch of 1 rows needs more than "+limit+" numbers of memory")
}
