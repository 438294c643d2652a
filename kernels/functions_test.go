package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSoftmaxError(t *testing.T) {
	onGeneric(t)
	r := rand.New(rand.NewPCG(16, 17))
	for n := 1; n <= 400; n++ {
		x := make([]float32, n)
		for i := range x {
			x[i] = normal(r) * float32(1+n%20)
		}
		y, dx := make([]float32, n), make([]float32, n)
		label, scale := n/3, float32(0.125)
		Softmax(y, x)
		loss := SoftmaxCrossEntropy(dx, x, label, scale)

		_, hi := MinMax(x)
		sum := 0.
		for _, v := range x {
			sum += math.Exp(float64(v) - float64(hi))
		}
		others, unsure := 0., 0. // gradient at the label, and its part of the bound
		for i, v := range x {
			exact := math.Exp(float64(v)-float64(hi)) / sum
			// The difference v-hi is rounded before the exponential.
			bound := 4*0x1p-23*exact + math.Abs(float64(v)-float64(hi))*0x1p-24*exact + 0x1p-149
			require.InDelta(t, exact, float64(y[i]), bound, "n=%d, element %d", n, i)
			if i != label {
				require.InDelta(t, float64(scale)*exact, float64(dx[i]), bound, "n=%d, element %d", n, i)
				others, unsure = others+exact, unsure+bound
			}
		}
		require.InDelta(t, -float64(scale)*others, float64(dx[label]), float64(scale)*(unsure+12*0x1p-24*others)+0x1p-149, "n=%d, label", n)
		at := dx[label]
		dx[label] = 0
		require.Equal(t, -Sum(dx), at, "n=%d, label", n)
		score := float64(x[label]) - float64(hi)
		require.InDelta(t, math.Log(sum)-score, float64(loss), 4*0x1p-23*(1+math.Log(sum)+math.Abs(score)), "n=%d", n)
	}
}

func TestLogSoftmaxError(t *testing.T) {
	onGeneric(t)
	r := rand.New(rand.NewPCG(18, 19))
	worst := 0.
	for n := 1; n <= 600; n++ {
		x, dy := make([]float32, n), make([]float32, n)
		for i := range x {
			x[i], dy[i] = normal(r)*float32(int(1)<<(n%12))/16, normal(r)
		}
		y, dx := make([]float32, n), make([]float32, n)
		LogSoftmax(y, x)
		LogSoftmaxBackward(dx, dy, y)

		_, hi := MinMax(x)
		sum, total, size := 0., 0., 0.
		for i, v := range x {
			sum += math.Exp(float64(v) - float64(hi))
			total += float64(dy[i])
			size += math.Abs(float64(dy[i]))
		}
		for i, v := range x {
			exact := float64(v) - float64(hi) - math.Log(sum)
			worst = max(worst, math.Abs(float64(y[i])-exact)/max(math.Abs(exact), 1)*0x1p23)
			p := math.Exp(float64(y[i]))
			require.InDelta(t, float64(dy[i])-p*total, float64(dx[i]), (math.Abs(float64(dy[i]))+p*(2*math.Abs(total)+12*size))*0x1p-24, "n=%d, element %d", n, i)
		}
	}
	t.Logf("largest error %.3f ulp of max(|y|, 1)", worst)
	require.LessOrEqual(t, worst, 2.)
}
