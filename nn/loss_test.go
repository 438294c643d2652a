package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn"
)

// scoresOf returns a session whose outputs are its inputs, with the input gradient
// collected: the loss's gradient at the output.
func scoresOf(t *testing.T, shape nn.Shape, batch int) *nn.Session {
	t.Helper()
	s := session(t, model(t, shape, nn.Dropout(0)), batch)
	s.CollectInputGradient(true)
	return s
}

// requireLoss compares a loss of the outputs y, and its gradient, with float64.
func requireLoss(t *testing.T, s *nn.Session, y []float32, loss func() (float32, error), ref refLoss) {
	t.Helper()
	_, err := s.Forward(y)
	require.NoError(t, err)
	got, err := loss()
	require.NoError(t, err)
	want, wantDY := ref(widen(y))
	require.InDelta(t, want, got, float32Tolerance*max(want, 1))
	_, err = s.Backward()
	require.NoError(t, err)
	dy, err := s.InputGradient()
	require.NoError(t, err)
	requireNear(t, wantDY, dy, 0.01, "gradient")

	y64 := widen(y)
	for i, v := range y64 {
		numeric := difference(func(d float64) float64 {
			y64[i] = v + d
			l, _ := ref(y64)
			y64[i] = v
			return l
		})
		require.InDelta(t, numeric, wantDY[i], 1e-9, "the reference itself")
	}
}

func TestCrossEntropy(t *testing.T) {
	r := rand.New(rand.NewPCG(30, 1))
	for _, shape := range []nn.Shape{{1}, {2}, {5}, {3, 4}, {2, 2, 3}, {70}} {
		classes := shape.Features()
		for rows := 1; rows <= 4; rows++ {
			s := scoresOf(t, shape, rows)
			n := rows * shape.Positions()
			for _, c := range []struct{ weights, ignore bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
				var weights []float32
				if c.weights {
					weights = make([]float32, classes)
					for i := range weights {
						weights[i] = 3 * r.Float32()
					}
					if classes > 1 {
						weights[r.IntN(classes)] = 0
					}
				}
				require.NoError(t, s.SetCrossEntropy(nn.CrossEntropy{ClassWeights: weights}))
				labels := make([]int, n)
				for {
					counts := false
					for i := range labels {
						labels[i] = r.IntN(classes)
						if c.ignore && r.IntN(3) == 0 {
							labels[i] = nn.Ignore
						}
						counts = counts || labels[i] != nn.Ignore && (weights == nil || weights[labels[i]] > 0)
					}
					if counts {
						break
					}
				}
				y := uniform(r, n*classes)
				for i := range y {
					y[i] *= 4
				}
				t.Run(fmt.Sprint(shape, rows, c), func(t *testing.T) {
					requireLoss(t, s, y, func() (float32, error) { return s.SoftmaxCrossEntropy(labels) }, refCrossEntropy(labels, weights, classes))
				})
			}
		}
	}
}

// Rows that don't count change nothing, whatever their scores are.
func TestIgnoredRows(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	s := scoresOf(t, nn.Shape{2}, 4)
	require.NoError(t, s.SetCrossEntropy(nn.CrossEntropy{ClassWeights: []float32{1, 0}}))
	_, err := s.Forward([]float32{nan, inf, 1, 2, nan, nan, 3, 3})
	require.NoError(t, err)
	loss, err := s.SoftmaxCrossEntropy([]int{nn.Ignore, 0, 1, 0})
	require.NoError(t, err)
	require.InDelta(t, (math.Log(math.E+math.E*math.E)-1+math.Ln2)/2, loss, 1e-6)
	_, err = s.Backward()
	require.NoError(t, err)
	dy, err := s.InputGradient()
	require.NoError(t, err)
	require.Equal(t, []float32{0, 0}, dy[:2])
	require.Equal(t, []float32{0, 0}, dy[4:6])
	require.NotZero(t, dy[2])
	require.Equal(t, []float32{-0.25, 0.25}, dy[6:])
}

func TestMSE(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 1))
	for _, shape := range []nn.Shape{{1}, {5}, {3, 4}, {2, 2, 3}} {
		for rows := 1; rows <= 4; rows++ {
			s := scoresOf(t, shape, rows)
			y, target := uniform(r, rows*shape.Size()), uniform(r, rows*shape.Size())
			requireLoss(t, s, y, func() (float32, error) { return s.MSE(target) }, refMSE(target))
		}
	}
}

func TestCrossEntropyOptions(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	s := scoresOf(t, nn.Shape{2, 3}, 2)
	y := []float32{1, 2, 3, 3, 2, 2}
	labels := []int{0, 2}
	loss := func() float32 {
		_, err := s.Forward(y)
		require.NoError(t, err)
		l, err := s.SoftmaxCrossEntropy(labels)
		require.NoError(t, err)
		return l
	}
	plain := loss()
	weights := []float32{1, 1, 5}
	require.NoError(t, s.SetCrossEntropy(nn.CrossEntropy{ClassWeights: weights}))
	weighted := loss()
	require.NotEqual(t, plain, weighted)
	weights[2] = 1
	require.Equal(t, weighted, loss(), "the weights are copied")
	for _, c := range []struct {
		weights []float32
		err     string
	}{
		{[]float32{}, "0 class weights for 3 classes"},
		{[]float32{1, 2}, "2 class weights for 3 classes"},
		{[]float32{1, 2, 3, 4}, "4 class weights for 3 classes"},
		{[]float32{1, -1, 3}, "weight of class 1 is -1: want 0, or a number from 1e-15 to 1e15"},
		{[]float32{1, 1, nan}, "weight of class 2 is NaN: want 0, or a number from 1e-15 to 1e15"},
		{[]float32{inf, 1, 1}, "weight of class 0 is +Inf: want 0, or a number from 1e-15 to 1e15"},
		{[]float32{1e-39, 1e-39, 1e-39}, "weight of class 0 is 1e-39: want 0, or a number from 1e-15 to 1e15"},
		{[]float32{3e38, 3e38, 3e38}, "weight of class 0 is 3e+38: want 0, or a number from 1e-15 to 1e15"},
	} {
		require.EqualError(t, s.SetCrossEntropy(nn.CrossEntropy{ClassWeights: c.weights}), "nn: SetCrossEntropy: "+c.err)
		require.Equal(t, weighted, loss(), "nothing has changed")
	}

	const none = "nn: SoftmaxCrossEntropy: no row counts: the labels have weight 0 or are Ignore"
	_, err := s.SoftmaxCrossEntropy([]int{nn.Ignore, nn.Ignore})
	require.EqualError(t, err, none)
	require.NoError(t, s.SetCrossEntropy(nn.CrossEntropy{ClassWeights: []float32{1, 1, 0}}))
	_, err = s.SoftmaxCrossEntropy([]int{nn.Ignore, 2})
	require.EqualError(t, err, none)
	for _, w := range [][]float32{{1e-15, 1e-15, 1e-15}, {1e15, 1e15, 1e15}, {1e-15, 1e15, 1e-15}, {1e15, 1e-15, 0}} {
		for _, smoothing := range []float64{0, 0.1, 1} {
			require.NoError(t, s.SetCrossEntropy(nn.CrossEntropy{ClassWeights: w, Smoothing: smoothing}))
			l := loss()
			require.True(t, kernels.AllFinite([]float32{l}), "weights %v: loss %v", w, l)
			_, err := s.Backward()
			require.NoError(t, err)
			dy, err := s.InputGradient()
			require.NoError(t, err)
			require.True(t, kernels.AllFinite(dy), "weights %v: gradient %v", w, dy)
		}
	}
	require.NoError(t, s.SetCrossEntropy(nn.CrossEntropy{}))
	require.Equal(t, plain, loss())

	// Labels are one for each position.
	_, err = s.SoftmaxCrossEntropy([]int{0})
	require.EqualError(t, err, "nn: SoftmaxCrossEntropy: 1 labels for 2 rows")
	_, err = s.SoftmaxCrossEntropy([]int{0, 3})
	require.EqualError(t, err, "nn: SoftmaxCrossEntropy: label 1 is 3: want 0 to 2, or -100 to ignore it")
	_, err = s.SoftmaxCrossEntropy([]int{-99, 0})
	require.EqualError(t, err, "nn: SoftmaxCrossEntropy: label 0 is -99: want 0 to 2, or -100 to ignore it")
}

// Label smoothing against its definition, -sum of q*log p with the smoothed
// target q, weighted as in PyTorch's cross_entropy.
func TestLabelSmoothing(t *testing.T) {
	r := rand.New(rand.NewPCG(32, 1))
	const classes, rows, eps = 4, 5, 0.15
	for _, weights := range [][]float32{nil, {1, 0.5, 0, 2}} {
		s := scoresOf(t, nn.Shape{classes}, rows)
		require.NoError(t, s.SetCrossEntropy(nn.CrossEntropy{ClassWeights: weights, Smoothing: eps}))
		labels := []int{3, nn.Ignore, 2, 0, 1}
		w := func(c int) float64 {
			if weights == nil {
				return 1
			}
			return float64(weights[c])
		}
		loss := func(y []float64) (float64, []float64) {
			total := 0.0
			for _, l := range labels {
				if l != nn.Ignore {
					total += w(l)
				}
			}
			sum, dy := 0.0, make([]float64, len(y))
			for i, l := range labels {
				if l == nn.Ignore {
					continue
				}
				row, norm, mass := y[i*classes:][:classes], 0.0, 0.0
				for _, v := range row {
					norm += math.Exp(v)
				}
				q := make([]float64, classes)
				for c := range q {
					q[c] = eps / classes * w(c)
					if c == l {
						q[c] += (1 - eps) * w(c)
					}
					mass += q[c]
					sum -= q[c] * (row[c] - math.Log(norm)) / total
				}
				for c := range q {
					dy[i*classes+c] = (mass*math.Exp(row[c])/norm - q[c]) / total
				}
			}
			return sum, dy
		}
		y := uniform(r, rows*classes)
		requireLoss(t, s, y, func() (float32, error) { return s.SoftmaxCrossEntropy(labels) }, loss)
	}
	s := scoresOf(t, nn.Shape{2}, 1)
	for _, bad := range []float64{-0.1, 1.1, math.NaN()} {
		require.ErrorContains(t, s.SetCrossEntropy(nn.CrossEntropy{Smoothing: bad}), "nn: SetCrossEntropy: smoothing is ")
	}
}

func TestBinaryCrossEntropy(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 1))
	for _, shape := range []nn.Shape{{1}, {3}, {2, 2}} {
		for _, weighted := range []bool{false, true} {
			const rows = 4
			s := scoresOf(t, shape, rows)
			n := shape.Size()
			weights := make([]float32, n)
			for i := range weights {
				weights[i] = 1
				if weighted {
					weights[i] = 3 * r.Float32()
				}
			}
			if weighted {
				require.NoError(t, s.SetBinaryCrossEntropy(nn.BinaryCrossEntropy{PosWeights: weights}))
			}
			target := make([]float32, rows*n)
			for i := range target {
				target[i] = []float32{0, 1, r.Float32()}[r.IntN(3)]
			}
			loss := func(y []float64) (float64, []float64) {
				sum, dy := 0.0, make([]float64, len(y))
				for i, v := range y {
					w, p := float64(weights[i%n]), float64(target[i])
					sigmoid := 1 / (1 + math.Exp(-v))
					sum -= (w*p*math.Log(sigmoid) + (1-p)*math.Log(1-sigmoid)) / float64(len(y))
					dy[i] = ((1-p)*sigmoid - w*p*(1-sigmoid)) / float64(len(y))
				}
				return sum, dy
			}
			requireLoss(t, s, uniform(r, rows*n), func() (float32, error) { return s.BinaryCrossEntropy(target) }, loss)
		}
	}
	s := scoresOf(t, nn.Shape{2}, 1)
	_, err := s.BinaryCrossEntropy([]float32{0, 1})
	require.EqualError(t, err, "nn: BinaryCrossEntropy: no Forward yet")
	_, err = s.Forward([]float32{1, 2})
	require.NoError(t, err)
	for _, bad := range []float32{-0.5, 1.5, float32(math.NaN())} {
		_, err = s.BinaryCrossEntropy([]float32{0, bad})
		require.ErrorContains(t, err, "nn: BinaryCrossEntropy: target 1 is ")
	}
	_, err = s.BinaryCrossEntropy([]float32{0})
	require.EqualError(t, err, "nn: BinaryCrossEntropy: 1 numbers for outputs of 1 rows with 2 features")
	require.ErrorContains(t, s.SetBinaryCrossEntropy(nn.BinaryCrossEntropy{PosWeights: []float32{1}}), "1 weights for 2 outputs")
	require.ErrorContains(t, s.SetBinaryCrossEntropy(nn.BinaryCrossEntropy{PosWeights: []float32{1, -1}}), "weight of output 1 is -1: want a number from 0 to 1e15")
	require.ErrorContains(t, s.SetBinaryCrossEntropy(nn.BinaryCrossEntropy{PosWeights: []float32{3e38, 1}}), "weight of output 0 is 3e+38: want a number from 0 to 1e15")
}

// TrainBinaryCrossEntropy is its parts one by one.
func TestTrainBinaryCrossEntropy(t *testing.T) {
	a, b := sequential(t, nn.Linear(3, 2)), sequential(t, nn.Linear(3, 2))
	sa, sb := session(t, a, 2), session(t, b, 2)
	opt := &plainSGD{lr: 0.1}
	x, target := []float32{1, -2, 3, 0.5, 1, -1}, []float32{0, 1, 1, 0.5}
	got, err := sa.TrainBinaryCrossEntropy(opt, x, target)
	require.NoError(t, err)
	_, err = sb.Forward(x)
	require.NoError(t, err)
	want, err := sb.BinaryCrossEntropy(target)
	require.NoError(t, err)
	pass, err := sb.Backward()
	require.NoError(t, err)
	require.NoError(t, opt.Step(pass))
	require.Equal(t, want, got)
	require.Equal(t, weights(b), weights(a))
	_, err = sa.TrainBinaryCrossEntropy(opt, x, target[:3])
	require.ErrorContains(t, err, "nn: TrainBinaryCrossEntropy: 3 numbers for outputs of 2 rows")
}

// The losses of a prediction have the bits of a session's.
func TestLossesOfPredictions(t *testing.T) {
	const rows, classes = 7, 3
	r := rand.New(rand.NewPCG(35, 1))
	s := scoresOf(t, nn.Shape{classes}, rows)
	y := uniform(r, rows*classes)
	labels := []int{0, 2, nn.Ignore, 1, 1, 2, 0}
	equal := func(want float32, err error) func(float32, error) {
		t.Helper()
		require.NoError(t, err)
		return func(got float32, err error) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, math.Float32bits(want), math.Float32bits(got))
		}
	}
	_, err := s.Forward(y)
	require.NoError(t, err)
	for _, c := range []nn.CrossEntropy{{}, {Smoothing: 0.1}, {ClassWeights: []float32{1, 0, 3}}, {ClassWeights: []float32{1, 2, 3}, Smoothing: 0.3}} {
		require.NoError(t, s.SetCrossEntropy(c))
		equal(s.SoftmaxCrossEntropy(labels))(c.Loss(y, labels))
	}
	target := uniform(r, len(y))
	equal(s.MSE(target))(nn.MSE(y, target))
	for i, v := range target {
		target[i] = float32(math.Abs(float64(v)))
	}
	for _, b := range []nn.BinaryCrossEntropy{{}, {PosWeights: []float32{1, 2, 0.5}}} {
		require.NoError(t, s.SetBinaryCrossEntropy(b))
		equal(s.BinaryCrossEntropy(target))(b.Loss(y, target))
	}

	for want, loss := range map[string]func() (float32, error){
		"CrossEntropy.Loss: 21 outputs for 6 labels: want a row of scores for each": func() (float32, error) { return nn.CrossEntropy{}.Loss(y, labels[:6]) },
		"CrossEntropy.Loss: 21 outputs for 0 labels: want a row of scores for each": func() (float32, error) { return nn.CrossEntropy{}.Loss(y, nil) },
		"CrossEntropy.Loss: 0 outputs for 7 labels: want a row of scores for each":  func() (float32, error) { return nn.CrossEntropy{}.Loss(nil, labels) },
		"CrossEntropy.Loss: label 0 is 3: want 0 to 2, or -100 to ignore it":        func() (float32, error) { return nn.CrossEntropy{}.Loss(y[:3], []int{3}) },
		"CrossEntropy.Loss: no row counts: the labels have weight 0 or are Ignore":  func() (float32, error) { return nn.CrossEntropy{}.Loss(y[:3], []int{nn.Ignore}) },
		"CrossEntropy.Loss: 2 class weights for 3 classes": func() (float32, error) {
			return nn.CrossEntropy{ClassWeights: make([]float32, 2)}.Loss(y, labels)
		},
		"CrossEntropy.Loss: smoothing is 2: want a number in [0, 1]":                      func() (float32, error) { return nn.CrossEntropy{Smoothing: 2}.Loss(y, labels) },
		"MSE: 20 targets for 21 outputs: want as many, and at least 1":                    func() (float32, error) { return nn.MSE(y, target[1:]) },
		"MSE: 0 targets for 0 outputs: want as many, and at least 1":                      func() (float32, error) { return nn.MSE(nil, nil) },
		"BinaryCrossEntropy.Loss: 20 targets for 21 outputs: want as many":                func() (float32, error) { return nn.BinaryCrossEntropy{}.Loss(y, target[1:]) },
		"BinaryCrossEntropy.Loss: 0 targets for 0 outputs: want as many":                  func() (float32, error) { return nn.BinaryCrossEntropy{}.Loss(nil, nil) },
		"BinaryCrossEntropy.Loss: target 0 is 2: want a number from 0 to 1":               func() (float32, error) { return nn.BinaryCrossEntropy{}.Loss(y[:1], []float32{2}) },
		"BinaryCrossEntropy.Loss: weight of output 0 is -1: want a number from 0 to 1e15": func() (float32, error) { return nn.BinaryCrossEntropy{[]float32{-1}}.Loss(y, target) },
		"BinaryCrossEntropy.Loss: 2 weights for rows of 21 outputs in all":                func() (float32, error) { return nn.BinaryCrossEntropy{make([]float32, 2)}.Loss(y, target) },
		"BinaryCrossEntropy.Loss: 0 weights for rows of 21 outputs in all":                func() (float32, error) { return nn.BinaryCrossEntropy{make([]float32, 0)}.Loss(y, target) },
	} {
		_, err := loss()
		require.ErrorContains(t, err, "nn: "+want)
	}
}
