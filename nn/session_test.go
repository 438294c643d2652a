package nn_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

// plainSGD is w -= lr*g.
type plainSGD struct {
	lr         float32
	statistics kron.Collect
	last       *kron.Pass
}

func (o *plainSGD) NeedsStatistics() kron.Collect { return o.statistics }

func (o *plainSGD) Step(p *kron.Pass) error {
	o.last = p
	for _, g := range p.Gradients {
		kernels.Axpy(g.Param.Value, g.Data, -o.lr)
	}
	return nil
}

func session(t testing.TB, m *nn.Model, batch int) *nn.Session {
	t.Helper()
	s, err := m.NewSession(batch)
	require.NoError(t, err)
	return s
}

// eachLevel runs f at every level of this machine.
func eachLevel(t *testing.T, f func(t *testing.T)) {
	before := kernels.CurrentLevel()
	defer func() { require.NoError(t, kernels.SetLevel(before)) }()
	for _, l := range kernels.Levels() {
		require.NoError(t, kernels.SetLevel(l))
		t.Run(l.String(), f)
	}
}

// A row's output has the same bits in every batch, session and predictor.
func TestForwardRowByRow(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 1))
		for _, m := range []*nn.Model{
			sequential(t, nn.Linear(1, 1)),
			sequential(t, nn.Tanh(), nn.Linear(3, 5), nn.ReLU(), nn.LinearNoBias(5, 33), nn.Tanh()),
			sequential(t, nn.Linear(300, 17), nn.ReLU(), nn.Linear(17, 10)),
		} {
			const rows = 7
			x := uniform(r, rows*m.In())
			one, large := session(t, m, 1), session(t, m, rows+4)
			p, err := m.NewPredictor(rows)
			require.NoError(t, err)
			all, err := large.Forward(x)
			require.NoError(t, err)
			require.Len(t, all, rows*m.Out())
			for i := range rows {
				y, err := one.Forward(x[i*m.In():][:m.In()])
				require.NoError(t, err)
				require.Equal(t, bits(y), bits(all[i*m.Out():][:m.Out()]), "row %d", i)
			}
			predicted, err := p.Predict(x)
			require.NoError(t, err)
			require.Equal(t, bits(all), bits(predicted))
			some, err := p.Predict(x[2*m.In() : 5*m.In()])
			require.NoError(t, err)
			require.Equal(t, bits(all[2*m.Out():5*m.Out()]), bits(some))
		}
	})
}

// A pass leaves no trace in the next one, which has fewer rows.
func TestSmallerBatchAfterLarger(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	m := sequential(t, nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.Tanh(), nn.Linear(3, 2))
	used, fresh := session(t, m, 8), session(t, m, 3)
	for _, s := range []*nn.Session{used, fresh} {
		s.CollectStatistics(kron.CollectFactors)
		s.CollectInputGradient(true)
	}
	_, err := used.Forward(uniform(r, 8*4))
	require.NoError(t, err)
	_, err = used.MSE(uniform(r, 8*2))
	require.NoError(t, err)
	_, err = used.Backward()
	require.NoError(t, err)

	x, target := uniform(r, 3*4), uniform(r, 3*2)
	var passes []*kron.Pass
	var losses [][]float32
	var inputs [][]float32
	for _, s := range []*nn.Session{used, fresh} {
		_, err := s.Forward(x)
		require.NoError(t, err)
		loss, err := s.MSE(target)
		require.NoError(t, err)
		pass, err := s.Backward()
		require.NoError(t, err)
		dx, err := s.InputGradient()
		require.NoError(t, err)
		passes, losses, inputs = append(passes, pass), append(losses, []float32{loss}), append(inputs, dx)
	}
	require.Equal(t, losses[0], losses[1])
	require.Equal(t, inputs[0], inputs[1])
	require.Equal(t, passes[0], passes[1])
}

func TestBackwardIsOptionalAboutExtras(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	m := sequential(t, nn.Tanh(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
	s := session(t, m, 2)
	x, labels := uniform(r, 2*4), []int{1, 0}
	pass := func() *kron.Pass {
		_, err := s.Forward(x)
		require.NoError(t, err)
		_, err = s.SoftmaxCrossEntropy(labels)
		require.NoError(t, err)
		p, err := s.Backward()
		require.NoError(t, err)
		return p
	}
	copyOf := func(p *kron.Pass) (g [][]float32) {
		for _, v := range p.Gradients {
			g = append(g, append([]float32(nil), v.Data...))
		}
		return g
	}

	p := pass()
	plain := copyOf(p)
	require.Empty(t, p.Statistics)
	_, err := s.InputGradient()
	require.EqualError(t, err, "nn: InputGradient: no Backward since the last Forward collected it")

	s.CollectStatistics(kron.CollectFactors)
	s.CollectInputGradient(true)
	m.Params()[0].Frozen = true
	p = pass()
	require.Equal(t, plain, copyOf(p), "a frozen parameter has a gradient too")
	require.Len(t, p.Statistics, 2)
	dx, err := s.InputGradient()
	require.NoError(t, err)
	require.Len(t, dx, len(x))

	_, err = s.Forward(x)
	require.NoError(t, err)
	_, err = s.InputGradient()
	require.Error(t, err, "it belongs to the Forward before")

	s.CollectStatistics(kron.CollectNone)
	s.CollectInputGradient(false)
	p = pass()
	require.Equal(t, plain, copyOf(p))
	require.Empty(t, p.Statistics)
	_, err = s.InputGradient()
	require.Error(t, err)
}

// The gradient of a loss is linear in the gradient at the output, and both
// losses are what SetOutputGradient makes of their own.
func TestSetOutputGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	m := sequential(t, nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
	s := session(t, m, 2)
	x, target := uniform(r, 2*4), uniform(r, 2*2)
	y, err := s.Forward(x)
	require.NoError(t, err)
	_, err = s.MSE(target)
	require.NoError(t, err)
	pass, err := s.Backward()
	require.NoError(t, err)
	var want [][]uint32
	for _, g := range pass.Gradients {
		want = append(want, bits(g.Data))
	}

	dy := make([]float32, len(y))
	for i := range dy {
		dy[i] = (y[i] - target[i]) * 0.5
	}
	require.NoError(t, s.SetOutputGradient(dy))
	clear(dy) // copied
	pass, err = s.Backward()
	require.NoError(t, err)
	for i, g := range pass.Gradients {
		require.Equal(t, want[i], bits(g.Data))
	}
}

func TestLossValues(t *testing.T) {
	m := sequential(t, nn.LinearNoBias(2, 2))
	copy(m.Params()[0].Value, []float32{1, 0, 0, 1})
	s := session(t, m, 2)
	_, err := s.Forward([]float32{1, 2, 3, 4})
	require.NoError(t, err)
	loss, err := s.MSE([]float32{0, 0, 0, 0})
	require.NoError(t, err)
	require.Equal(t, float32(7.5), loss)
	_, err = s.Forward([]float32{5, 5, -3, -3})
	require.NoError(t, err)
	loss, err = s.SoftmaxCrossEntropy([]int{0, 1})
	require.NoError(t, err)
	require.InDelta(t, math.Ln2, loss, 1e-7)
}

func TestSessionErrors(t *testing.T) {
	m := sequential(t, nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
	_, err := m.NewSession(0)
	require.EqualError(t, err, "nn: NewSession: a batch of 0 rows: want at least 1")
	_, err = m.NewSession(math.MinInt)
	require.EqualError(t, err, fmt.Sprintf("nn: NewSession: a batch of %d rows: want at least 1", math.MinInt))
	_, err = m.NewSession(maxFloats)
	require.EqualError(t, err, fmt.Sprintf("nn: NewSession: a batch of %d rows needs more than %[1]d numbers of memory", maxFloats))
	_, err = m.NewSession(math.MaxInt)
	require.Error(t, err)
	_, err = sequential(t, nn.Linear(1<<20, 1)).NewSession(1 << 20)
	require.Error(t, err, "its input alone is too large")
	_, err = new(nn.Model).NewSession(1)
	require.EqualError(t, err, "nn: NewSession: the model has no layers")

	before := bits(weights(m))
	s := session(t, m, 2)
	backward := func() error { _, err := s.Backward(); return err }
	entropy := func(labels ...int) error { _, err := s.SoftmaxCrossEntropy(labels); return err }
	mse := func(n int) error { _, err := s.MSE(make([]float32, n)); return err }
	forward := func(n int) error { _, err := s.Forward(make([]float32, n)); return err }

	require.EqualError(t, entropy(0), "nn: SoftmaxCrossEntropy: no Forward yet")
	require.EqualError(t, mse(2), "nn: MSE: no Forward yet")
	require.EqualError(t, s.SetOutputGradient(nil), "nn: SetOutputGradient: no Forward yet")
	require.EqualError(t, backward(), "nn: Backward: no loss since the last Forward or Backward")

	require.EqualError(t, forward(0), "nn: Forward: the input is empty: want rows of 3 features")
	require.EqualError(t, forward(4), "nn: Forward: an input of 4 numbers is not rows of 3 features")
	require.EqualError(t, forward(2), "nn: Forward: an input of 2 numbers is not rows of 3 features")
	require.EqualError(t, forward(9), "nn: Forward: an input of 3 rows: there is room for a batch of 2")
	require.NoError(t, forward(6))
	require.Error(t, backward())

	require.EqualError(t, entropy(0), "nn: SoftmaxCrossEntropy: 1 labels for 2 rows")
	require.EqualError(t, entropy(0, 0, 0), "nn: SoftmaxCrossEntropy: 3 labels for 2 rows")
	require.EqualError(t, entropy(0, 2), "nn: SoftmaxCrossEntropy: label 1 is 2: want 0 to 1, or -100 to ignore it")
	require.EqualError(t, entropy(-1, 1), "nn: SoftmaxCrossEntropy: label 0 is -1: want 0 to 1, or -100 to ignore it")
	require.EqualError(t, mse(3), "nn: MSE: 3 numbers for outputs of 2 rows with 2 features")
	require.EqualError(t, s.SetOutputGradient(make([]float32, 5)), "nn: SetOutputGradient: 5 numbers for outputs of 2 rows with 2 features")
	require.Error(t, backward(), "no loss was computed by those")

	require.NoError(t, entropy(0, 1))
	require.Error(t, forward(7))
	require.NoError(t, backward(), "a refused Forward changes nothing")
	require.Error(t, backward(), "a loss serves once")
	require.NoError(t, entropy(0, 1))
	require.NoError(t, backward())
	require.NoError(t, entropy(0, 1))
	require.NoError(t, forward(3))
	require.Error(t, backward(), "the loss was of another Forward")
	require.Equal(t, before, bits(weights(m)))
}

type failing struct{ err error }

func (f failing) NeedsStatistics() kron.Collect { return kron.CollectFactors }
func (f failing) Step(*kron.Pass) error         { return f.err }

func TestTrainErrors(t *testing.T) {
	m := sequential(t, nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
	s := session(t, m, 2)
	before := bits(weights(m))
	opt := &plainSGD{lr: 0.1}
	x := []float32{1, 2, 3, 4, 5, 6}
	y, err := s.Forward(x)
	require.NoError(t, err)
	outputs := bits(y)

	for _, c := range []struct {
		opt    nn.Stepper
		x      []float32
		labels []int
		err    string
	}{
		{nil, x, []int{0, 1}, "there is no optimizer"},
		{opt, nil, []int{0, 1}, "the input is empty: want rows of 3 features"},
		{opt, x[:5], []int{0, 1}, "an input of 5 numbers is not rows of 3 features"},
		{opt, make([]float32, 9), []int{0, 1, 1}, "an input of 3 rows: there is room for a batch of 2"},
		{opt, x[:3], []int{0, 1}, "2 labels for 1 rows"},
		{opt, x, []int{0, 2}, "label 1 is 2: want 0 to 1, or -100 to ignore it"},
	} {
		_, err := s.TrainSoftmaxCrossEntropy(c.opt, c.x, c.labels)
		require.EqualError(t, err, "nn: TrainSoftmaxCrossEntropy: "+c.err)
	}
	for _, c := range []struct {
		opt       nn.Stepper
		x, target []float32
		err       string
	}{
		{nil, x, x[:4], "there is no optimizer"},
		{opt, x[:2], x[:4], "an input of 2 numbers is not rows of 3 features"},
		{opt, x, x[:5], "5 numbers for outputs of 2 rows with 2 features"},
	} {
		_, err := s.TrainMSE(c.opt, c.x, c.target)
		require.EqualError(t, err, "nn: TrainMSE: "+c.err)
	}
	require.Nil(t, opt.last, "no step was tried")
	require.Equal(t, outputs, bits(y), "the session has not moved")

	refused := errors.New("refused")
	loss, err := s.TrainSoftmaxCrossEntropy(failing{refused}, x, []int{0, 1})
	require.Equal(t, refused, err)
	require.Positive(t, loss)
	loss, err = s.TrainMSE(failing{refused}, x, x[:4])
	require.Equal(t, refused, err)
	require.Positive(t, loss)
	require.Equal(t, before, bits(weights(m)))
}

// One call of Train is what its parts do one by one, and the statistics come
// when the optimizer asks, whatever CollectStatistics says.
func TestTrainIsForwardLossBackwardStep(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	a := sequential(t, nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
	b := sequential(t, nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
	sa, sb := session(t, a, 4), session(t, b, 4)
	for step := range 6 {
		x, labels, target := uniform(r, 4*5), []int{0, 1, 2, step % 3}, uniform(r, 4*3)
		opt := &plainSGD{lr: 0.1, statistics: kron.Collect(step % 3)}
		sa.CollectStatistics(kron.Collect(step % 2))

		var got, want float32
		var err error
		_, ferr := sb.Forward(x)
		require.NoError(t, ferr)
		if step < 3 {
			got, err = sa.TrainSoftmaxCrossEntropy(opt, x, labels)
			require.NoError(t, err)
			want, err = sb.SoftmaxCrossEntropy(labels)
		} else {
			got, err = sa.TrainMSE(opt, x, target)
			require.NoError(t, err)
			want, err = sb.MSE(target)
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
		if opt.statistics != kron.CollectNone {
			require.Len(t, opt.last.Statistics, 2)
			require.Equal(t, opt.statistics == kron.CollectMoments, opt.last.Statistics[0].Mean != nil)
		} else {
			require.Empty(t, opt.last.Statistics)
		}
		pass, err := sb.Backward()
		require.NoError(t, err)
		require.NoError(t, opt.Step(pass))
		require.Equal(t, bits(weights(b)), bits(weights(a)))
	}
}

func isNaN(v float32) bool { return v != v }

func TestNotFinite(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		nan, inf := float32(math.NaN()), float32(math.Inf(1))
		for _, bad := range []float32{nan, inf, -inf, math.MaxFloat32} {
			m := sequential(t, nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
			linear := sequential(t, nn.Linear(2, 2))
			for _, m := range []*nn.Model{m, linear} {
				s := session(t, m, 2)
				s.CollectStatistics(kron.CollectFactors)
				x := []float32{bad, bad, 1, 2}
				y, err := s.Forward(x)
				require.NoError(t, err)
				if isNaN(bad) {
					require.True(t, isNaN(y[0]))
				}
				require.False(t, isNaN(y[2]), "the other row is untouched")
				for _, loss := range []func() (float32, error){
					func() (float32, error) { return s.SoftmaxCrossEntropy([]int{1, 0}) },
					func() (float32, error) { return s.MSE([]float32{bad, 0, 0, bad}) },
				} {
					l, err := loss()
					require.NoError(t, err)
					if isNaN(bad) {
						require.True(t, isNaN(l))
					}
					_, err = s.Backward()
					require.NoError(t, err)
				}
			}
		}
	})
}

func TestStepsDontAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	m := sequential(t, nn.Linear(6, 20), nn.ReLU(), nn.LinearNoBias(20, 9), nn.Tanh(), nn.Linear(9, 4))
	s := session(t, m, 8)
	s.CollectInputGradient(true)
	p, err := m.NewPredictor(8)
	require.NoError(t, err)
	x, target := uniform(r, 8*6), uniform(r, 8*4)
	labels, classes := []int{0, 1, 2, 3, 0, 1, 2, 3}, make([]int, 8)
	opt, means := &plainSGD{lr: 0.01, statistics: kron.CollectFactors}, &plainSGD{lr: 0.01, statistics: kron.CollectMoments}
	eachLevel(t, func(t *testing.T) {
		for name, f := range map[string]func() error{
			"softmax cross entropy": func() error { _, err := s.TrainSoftmaxCrossEntropy(opt, x, labels); return err },
			"mse":                   func() error { _, err := s.TrainMSE(opt, x, target); return err },
			"moments":               func() error { _, err := s.TrainMSE(means, x, target); return err },
			"smaller batch":         func() error { _, err := s.TrainMSE(opt, x[:6*3], target[:4*3]); return err },
			"own loss": func() error {
				_, ferr := s.Forward(x)
				serr := s.SetOutputGradient(target)
				_, berr := s.Backward()
				_, ierr := s.InputGradient()
				return errors.Join(ferr, serr, berr, ierr)
			},
			"predict":  func() error { _, err := p.Predict(x); return err },
			"classify": func() error { return p.Classify(classes, x) },
		} {
			var err error
			require.Zero(t, testing.AllocsPerRun(10, func() { err = errors.Join(err, f()) }), name)
			require.NoError(t, err, name)
		}
	})
}

// The observer sees what the gradients are made of, from the last layer to the
// first, and nothing of an unfactored layer.
func TestObserver(t *testing.T) {
	m, err := nn.New(nn.Shape{4, 4, 1},
		nn.Conv2d(1, 2, nn.Conv{Kernel: nn.Square(3)}), nn.ReLU(), nn.Flatten(),
		nn.Unfactored(nn.Linear(8, 6)), nn.Tanh(), nn.Linear(6, 3))
	require.NoError(t, err)
	s := session(t, m, 5)
	x := uniform(rand.New(rand.NewPCG(1, 1)), 5*16)
	var names []string
	var last [2][]float32
	s.SetObserver(func(o nn.Observation) {
		names = append(names, o.Layer.Name)
		switch o.Layer.Name {
		case "0":
			require.Equal(t, x, o.X)
			require.Len(t, o.DY, 5*8)
			require.Equal(t, [2]int{3, 3}, o.Conv.Kernel)
		case "5":
			require.Nil(t, o.Conv)
			require.Len(t, o.X, 5*6)
			require.Len(t, o.DY, 5*3)
			bias := make([]float32, 3)
			kernels.ColSums(bias, o.DY)
			weight := make([]float32, 6*3)
			kernels.Gemm{TransA: true}.Multiply(kernels.NewMatrix(6, 3, weight), kernels.NewMatrix(5, 6, o.X), kernels.NewMatrix(5, 3, o.DY))
			names = append(names, "checked")
			last = [2][]float32{weight, bias}
		}
	})
	opt := &plainSGD{lr: 0.1}
	_, err = s.TrainSoftmaxCrossEntropy(opt, x, []int{0, 1, 2, 0, 1})
	require.NoError(t, err)
	require.Equal(t, []string{"5", "checked", "0"}, names)
	gradients := opt.last.Gradients
	require.Equal(t, last[0], gradients[len(gradients)-2].Data)
	require.Equal(t, last[1], gradients[len(gradients)-1].Data)

	s.SetObserver(nil)
	_, err = s.TrainSoftmaxCrossEntropy(opt, x, []int{0, 1, 2, 0, 1})
	require.NoError(t, err)
	require.Len(t, names, 3)
}
