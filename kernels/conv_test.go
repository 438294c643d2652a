package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// convCases are convolutions of every kind: strides, padding and dilation that
// differ by dimension, groups, depthwise with and without a multiplier, windows as
// large as the image, more than one block of each sum.
var convCases = []Conv2d{
	{H: 5, W: 6, C: 3, Out: 4, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}},
	{H: 5, W: 6, C: 3, Out: 5, Kernel: [2]int{1, 1}},
	{H: 6, W: 5, C: 4, Out: 3, Kernel: [2]int{1, 1}, Stride: [2]int{2, 2}},
	{H: 9, W: 7, C: 2, Out: 17, Kernel: [2]int{3, 2}, Stride: [2]int{2, 1}, Padding: [2]int{0, 1}},
	{H: 9, W: 8, C: 3, Out: 5, Kernel: [2]int{2, 3}, Stride: [2]int{1, 3}, Padding: [2]int{2, 0}, Dilation: [2]int{3, 2}},
	{H: 11, W: 10, C: 1, Out: 9, Kernel: [2]int{5, 5}, Stride: [2]int{2, 2}, Padding: [2]int{2, 2}},
	{H: 7, W: 7, C: 2, Out: 3, Kernel: [2]int{3, 3}, Stride: [2]int{4, 4}, Dilation: [2]int{2, 2}, Padding: [2]int{3, 4}},
	{H: 4, W: 4, C: 6, Out: 2, Kernel: [2]int{4, 4}},
	{H: 2, W: 2, C: 3, Out: 4, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}},
	{H: 6, W: 6, C: 8, Out: 12, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}, Groups: 4},
	{H: 6, W: 5, C: 12, Out: 8, Kernel: [2]int{3, 1}, Stride: [2]int{2, 2}, Padding: [2]int{1, 0}, Groups: 2},
	{H: 6, W: 7, C: 10, Out: 10, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}, Groups: 10},
	{H: 8, W: 7, C: 33, Out: 33, Kernel: [2]int{3, 2}, Stride: [2]int{2, 3}, Padding: [2]int{1, 1}, Groups: 33},
	{H: 6, W: 7, C: 5, Out: 15, Kernel: [2]int{2, 3}, Padding: [2]int{1, 1}, Groups: 5},
	{H: 5, W: 5, C: 34, Out: 35, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}},
	{H: 20, W: 18, C: 3, Out: 40, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}},
	{H: 3, W: 3, C: 64, Out: 70, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}},
	{H: 20, W: 19, C: 2, Out: 2, Kernel: [2]int{17, 17}, Padding: [2]int{1, 1}, Groups: 2},
}

// convTensors are the operands of a batch.
type convTensors struct{ x, w, bias, y, dy, dx, dw, squares, sums []float32 }

func newConvTensors(c Conv2d, n int, next func() float32) (t convTensors) {
	draw := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = next()
		}
		return x
	}
	t.x, t.w, t.bias = draw(n*c.InLen()), draw(c.PatchLen()*c.Out), draw(c.Out)
	t.dy = draw(n * c.OutLen())
	t.y, t.dx, t.dw, t.squares = draw(len(t.dy)), draw(len(t.x)), draw(len(t.w)), draw(c.PatchLen())
	t.sums = draw(c.PatchLen())
	return t
}

// run computes all that a convolution can, with a pool or without.
func (t *convTensors) run(c Conv2d, p *Pool, scratch []float32) {
	p.ConvForward(c, t.y, t.x, t.w, t.bias, scratch)
	p.ConvInputGradient(c, t.dx, t.dy, t.w, scratch)
	p.ConvWeightGradient(c, t.dw, t.x, t.dy, scratch)
	p.ConvPatchSumSquares(c, t.squares, t.x, scratch)
	p.ConvPatchSums(c, t.sums, t.x, scratch)
}

func normals(seed uint64) func() float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	return func() float32 { return float32(r.NormFloat64()) }
}

// patches returns the patches of a group as a matrix: a row for each n, oh, ow.
func patches(c Conv2d, x []float32, group int) Matrix {
	c.defaults()
	n, cg := len(x)/c.InLen(), c.C/c.Groups
	var data []float32
	for r := range n * c.OutH() * c.OutW() {
		ow, oh, n := r%c.OutW(), r/c.OutW()%c.OutH(), r/c.OutW()/c.OutH()
		for i := range c.Kernel[0] {
			for j := range c.Kernel[1] {
				h, w := oh*c.Stride[0]+i*c.Dilation[0]-c.Padding[0], ow*c.Stride[1]+j*c.Dilation[1]-c.Padding[1]
				for k := range cg {
					v := float32(0)
					if h >= 0 && h < c.H && w >= 0 && w < c.W {
						v = x[((n*c.H+h)*c.W+w)*c.C+group*cg+k]
					}
					data = append(data, v)
				}
			}
		}
	}
	return NewMatrix(n*c.OutH()*c.OutW(), c.PatchLen(), data)
}

// TestConvolutionIsProductOfPatches holds each method against the matrix products
// that it stands for, bit for bit where the definition is one.
func TestConvolutionIsProductOfPatches(t *testing.T) {
	pick := rand.New(rand.NewPCG(1, 2))
	for _, c := range convCases {
		const n = 3
		v := newConvTensors(c, n, normals(7))
		scratch := make([]float32, c.Scratch(1))
		v.run(c, nil, scratch)
		groups := max(c.Groups, 1)
		cg, og := c.C/groups, c.Out/groups
		rows := n * c.OutH() * c.OutW()
		squares, sums := make([]float64, c.PatchLen()), make([]float64, c.PatchLen())
		for g := range groups {
			a := patches(c, v.x, g)
			columns := func(x []float32, rows int) Matrix {
				return Matrix{Rows: rows, Cols: og, Stride: c.Out, Data: x[g*og:]}
			}
			y := NewMatrix(rows, og, make([]float32, rows*og))
			Gemm{Bias: v.bias[g*og:][:og]}.Multiply(y, a, columns(v.w, c.PatchLen()))
			dw := NewMatrix(c.PatchLen(), og, make([]float32, c.PatchLen()*og))
			Gemm{TransA: true}.Multiply(dw, a, columns(v.dy, rows))
			for r := range rows {
				requireSame(t, y.Row(r), v.y[r*c.Out+g*og:][:og], "%+v: y, row %d, group %d", c, r, g)
			}
			for k := range c.PatchLen() {
				requireSame(t, dw.Row(k), v.dw[k*c.Out+g*og:][:og], "%+v: dw[%d], group %d", c, k, g)
			}
			for i, p := range a.Data[:rows*c.PatchLen()] {
				squares[i%c.PatchLen()] += float64(p) * float64(p)
				sums[i%c.PatchLen()] += float64(p)
			}
			// What patches do with an input, its gradient does backwards.
			for range 10 {
				unit := make([]float32, len(v.x))
				i := pick.IntN(len(v.x)/c.C)*c.C + g*cg + pick.IntN(cg)
				unit[i] = 1
				want := 0.
				for j, p := range patches(c, unit, g).Data {
					if r, k := j/c.PatchLen(), j%c.PatchLen(); p != 0 {
						for o := range og {
							want += float64(v.dy[r*c.Out+g*og+o]) * float64(v.w[k*c.Out+g*og+o])
						}
					}
				}
				require.InDelta(t, want, v.dx[i], 1e-4, "%+v: dx[%d]", c, i)
			}
		}
		for k := range squares {
			require.InEpsilon(t, 1+squares[k], 1+v.squares[k], 1e-5, "%+v: squares[%d]", c, k)
			require.InDelta(t, sums[k], v.sums[k], 1e-5*(1+squares[k]), "%+v: sums[%d]", c, k)
		}
	}
}

func TestConvolutionSizes(t *testing.T) {
	c := Conv2d{H: 32, W: 30, C: 6, Out: 10, Kernel: [2]int{5, 3}}
	require.NoError(t, c.Check())
	require.Equal(t, []int{28, 28, 90, 32 * 30 * 6, 28 * 28 * 10}, []int{c.OutH(), c.OutW(), c.PatchLen(), c.InLen(), c.OutLen()})
	c.Stride, c.Padding, c.Dilation, c.Groups = [2]int{2, 3}, [2]int{1, 0}, [2]int{2, 4}, 2
	require.NoError(t, c.Check())
	require.Equal(t, []int{13, 8, 45}, []int{c.OutH(), c.OutW(), c.PatchLen()})
	require.Equal(t, 3*c.Scratch(1), c.Scratch(3))

	for want, change := range map[string]func(c *Conv2d){
		"a 0x30x6 image: want sizes of at least 1":                                         func(c *Conv2d) { c.H = 0 },
		"a 32x-1x6 image: want":                                                            func(c *Conv2d) { c.W = -1 },
		"a 32x30x0 image: want":                                                            func(c *Conv2d) { c.C = 0 },
		"0 output channels: want at least 1":                                               func(c *Conv2d) { c.Out = 0 },
		"a 0x3 window: want at least 1x1":                                                  func(c *Conv2d) { c.Kernel[0] = 0 },
		"a 5x-3 window: want":                                                              func(c *Conv2d) { c.Kernel[1] = -3 },
		"stride [2 -1]: want at least 1, or 0 for 1":                                       func(c *Conv2d) { c.Stride[1] = -1 },
		"padding [-1 0]: want at least 0":                                                  func(c *Conv2d) { c.Padding[0] = -1 },
		"dilation [2 -4]: want at least 1, or 0 for 1":                                     func(c *Conv2d) { c.Dilation[1] = -4 },
		"-2 groups: want at least 1, or 0 for 1":                                           func(c *Conv2d) { c.Groups = -2 },
		"from 6 to 10 channels in 3 groups: want multiples of the groups":                  func(c *Conv2d) { c.Groups = 3 },
		"from 6 to 10 channels in 5 groups: want multiples of the groups":                  func(c *Conv2d) { c.Groups = 5 },
		"window of 35 rows is larger than the padded image, 34":                            func(c *Conv2d) { c.Kernel[0] = 18 },
		"window of 33 columns is larger than the padded image, 30":                         func(c *Conv2d) { c.Kernel[1], c.Dilation[1] = 3, 16 },
		"with 268437480 elements in a padded image or the weights: want at most 268435455": func(c *Conv2d) { c.Out = 263174 },
	} {
		bad := c
		change(&bad)
		err := bad.Check()
		require.ErrorContains(t, err, "kernels: convolution")
		require.ErrorContains(t, err, want)
	}
}

// TestConvolutionOfOneImage: an image has the same result alone and in a batch.
func TestConvolutionOfOneImage(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, c := range convCases {
			const n = 5
			scratch := make([]float32, c.Scratch(1))
			v := newConvTensors(c, n, normals(3))
			v.run(c, nil, scratch)
			y, dx := make([]float32, c.OutLen()), make([]float32, c.InLen())
			for i := range n {
				c.Forward(y, v.x[i*len(dx):][:len(dx)], v.w, v.bias, scratch)
				c.InputGradient(dx, v.dy[i*len(y):][:len(y)], v.w, scratch)
				requireSame(t, v.y[i*len(y):][:len(y)], y, "%+v: y of image %d", c, i)
				requireSame(t, v.dx[i*len(dx):][:len(dx)], dx, "%+v: dx of image %d", c, i)
			}
		}
	})
}

// TestPoolConvolutions: the number of workers doesn't change a bit.
func TestPoolConvolutions(t *testing.T) {
	keepLevel(t)
	cases := []Conv2d{
		{H: 16, W: 16, C: 16, Out: 40, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}},
		{H: 4, W: 3, C: 96, Out: 160, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}},
		{H: 14, W: 9, C: 1, Out: 16, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}},
		{H: 26, W: 31, C: 3, Out: 21, Kernel: [2]int{5, 3}, Stride: [2]int{2, 3}, Dilation: [2]int{1, 2}},
		{H: 40, W: 64, C: 33, Out: 16, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}, Stride: [2]int{3, 3}, Dilation: [2]int{4, 1}}, // by chunks of channels
		{H: 30, W: 21, C: 72, Out: 72, Kernel: [2]int{5, 5}, Stride: [2]int{2, 1}, Padding: [2]int{2, 2}, Groups: 72},
		{H: 12, W: 12, C: 64, Out: 96, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}, Groups: 4},
	}
	levels := Levels()
	for _, c := range cases {
		level := levels[len(levels)-1]
		if c.C == 1 { // a small one
			level = Generic
		}
		require.NoError(t, SetLevel(level))
		want := newConvTensors(c, 6, normals(9))
		want.run(c, nil, make([]float32, c.Scratch(1)))
		for _, workers := range []int{1, 2, 3, 7, 16} {
			p, err := NewPool(workers)
			require.NoError(t, err)
			var callers sync.WaitGroup
			for range 2 {
				callers.Go(func() {
					got := newConvTensors(c, 6, normals(9))
					got.run(c, p, make([]float32, c.Scratch(workers)))
					for name, pair := range map[string][2][]float32{
						"y": {got.y, want.y}, "dx": {got.dx, want.dx}, "dw": {got.dw, want.dw}, "squares": {got.squares, want.squares}, "sums": {got.sums, want.sums},
					} {
						if !equalFloats(pair[0], pair[1]) {
							t.Errorf("%+v: other bits of %s with %d workers", c, name, workers)
						}
					}
				})
			}
			callers.Wait()
			p.Close()
		}
	}
}

// TestConvolutionParts: the parts of any split cover the outputs once.
func TestConvolutionParts(t *testing.T) {
	for _, c := range append(convCases, Conv2d{H: 2, W: 2, C: 512, Out: 512, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}}) {
		for _, n := range []int{0, 1, 2, 33} {
			v := c.prepare(forward, make([]float32, n*c.InLen()), "")
			for v.what = forward; v.what <= patchSums; v.what++ {
				for _, workers := range []int{1, 2, 3, 5, 8, 64, 1000} {
					v.workers = workers
					parts := v.split()
					require.Positive(t, parts)
					require.LessOrEqual(t, parts, workers*workerParts)
					lines, cols := v.extent()
					covered := make([]int, lines*cols)
					for i := range parts {
						r := v.part(i)
						for l := r.line0; l < r.line1; l++ {
							for c := r.col0; c < r.col1; c++ {
								covered[l*cols+c]++
							}
						}
					}
					for i, times := range covered {
						if times != 1 {
							t.Fatalf("%+v, %d images, kind %d, %d workers: output %d computed %d times", c, n, v.what, workers, i, times)
						}
					}
				}
			}
		}
	}
}

func TestConvolutionPanics(t *testing.T) {
	c := Conv2d{H: 4, W: 4, C: 2, Out: 3, Kernel: [2]int{3, 3}}
	v := func(n int) []float32 { return make([]float32, n) }
	x, y, w, scratch := v(64), v(24), v(54), v(c.Scratch(1))
	bad := Conv2d{H: 2, W: 4, C: 2, Out: 3, Kernel: [2]int{3, 3}}
	const name = "kernels: Conv2d"
	for message, call := range map[string]func(){
		": no such convolution, see Check":                                func() { bad.Forward(y, x, w, nil, scratch) },
		".Forward: length of x is not a multiple of InLen":                func() { c.Forward(y, x[:63], w, nil, scratch) },
		".Forward: length of y is not OutLen for each image of x":         func() { c.Forward(y[:12], x, w, nil, scratch) },
		".Forward: length of w is not PatchLen*Out":                       func() { c.Forward(y, x, w[:53], nil, scratch) },
		".Forward: length of bias is not Out":                             func() { c.Forward(y, x, w, v(2), scratch) },
		".Forward: workspace is shorter than Scratch(1)":                  func() { c.Forward(y, x, w, nil, scratch[1:]) },
		".InputGradient: length of dx is not a multiple of InLen":         func() { c.InputGradient(x[:1], y, w, scratch) },
		".InputGradient: length of dy is not OutLen for each image of dx": func() { c.InputGradient(x[:32], y, w, scratch) },
		".InputGradient: length of w is not PatchLen*Out":                 func() { c.InputGradient(x, y, v(55), scratch) },
		".InputGradient: workspace is shorter than Scratch(1)":            func() { c.InputGradient(x, y, w, nil) },
		".WeightGradient: length of x is not a multiple of InLen":         func() { c.WeightGradient(w, x[:9], y, scratch) },
		".WeightGradient: length of dy is not OutLen for each image of x": func() { c.WeightGradient(w, x, y[:23], scratch) },
		".WeightGradient: length of dw is not PatchLen*Out":               func() { c.WeightGradient(w[:1], x, y, scratch) },
		".WeightGradient: workspace is shorter than Scratch(1)":           func() { c.WeightGradient(w, x, y, scratch[1:]) },
		".PatchSumSquares: length of x is not a multiple of InLen":        func() { c.PatchSumSquares(v(18), x[:31], scratch) },
		".PatchSumSquares: length of dst is not PatchLen":                 func() { c.PatchSumSquares(v(17), x, scratch) },
		".PatchSumSquares: workspace is shorter than Scratch(1)":          func() { c.PatchSumSquares(v(18), x, scratch[1:]) },
		".PatchSums: length of x is not a multiple of InLen":              func() { c.PatchSums(v(18), x[:31], scratch) },
		".PatchSums: length of dst is not PatchLen":                       func() { c.PatchSums(v(17), x, scratch) },
		".PatchSums: workspace is shorter than Scratch(1)":                func() { c.PatchSums(v(18), x, scratch[1:]) },
	} {
		require.PanicsWithValue(t, name+message, call, fmt.Sprint(message))
	}
	require.PanicsWithValue(t, "kernels: Conv2d: no such convolution, see Check", func() { bad.Scratch(1) })
	for i := range w {
		w[i] = 1
	}
	c.WeightGradient(w, nil, nil, scratch) // no images
	require.Equal(t, v(54), w)
	c.Forward(nil, nil, w, nil, scratch)
	c.InputGradient(nil, nil, w, scratch)
}

func TestPoolConvolutionsDoNotAllocate(t *testing.T) {
	p, err := NewPool(2)
	require.NoError(t, err)
	defer p.Close()
	c := Conv2d{H: 16, W: 16, C: 16, Out: 32, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}}
	v := newConvTensors(c, 4, normals(1))
	scratch := make([]float32, c.Scratch(2))
	require.Zero(t, testing.AllocsPerRun(5, func() { v.run(c, p, scratch) }))
	require.Zero(t, testing.AllocsPerRun(5, func() { v.run(c, nil, scratch) }))
}

// convBenches are layers of usual networks.
var convBenches = []struct {
	name string
	n    int
	c    Conv2d
}{
	{"3x3_32x32x64_64", 32, Conv2d{H: 32, W: 32, C: 64, Out: 64, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}}},
	{"3x3_32x32x3_32", 32, Conv2d{H: 32, W: 32, C: 3, Out: 32, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}}},
	{"5x5_28x28x1_32", 32, Conv2d{H: 28, W: 28, C: 1, Out: 32, Kernel: [2]int{5, 5}, Padding: [2]int{2, 2}}},
	{"3x3_28x28x1_16", 32, Conv2d{H: 28, W: 28, C: 1, Out: 16, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}}},
	{"3x3s2_32x32x64_128", 32, Conv2d{H: 32, W: 32, C: 64, Out: 128, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}, Stride: [2]int{2, 2}}},
	{"3x3_4x4x512_512", 32, Conv2d{H: 4, W: 4, C: 512, Out: 512, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}}},
	{"1x1_16x16x128_128", 32, Conv2d{H: 16, W: 16, C: 128, Out: 128, Kernel: [2]int{1, 1}}},
	{"7x7s2_112x112x3_64", 4, Conv2d{H: 112, W: 112, C: 3, Out: 64, Kernel: [2]int{7, 7}, Padding: [2]int{3, 3}, Stride: [2]int{2, 2}}},
	{"3x3_32x32x64_64_alone", 1, Conv2d{H: 32, W: 32, C: 64, Out: 64, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}}},
	{"3x3_depthwise_32x32x64", 32, Conv2d{H: 32, W: 32, C: 64, Out: 64, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}, Groups: 64}},
	{"3x3_groups16_32x32x64_64", 32, Conv2d{H: 32, W: 32, C: 64, Out: 64, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}, Groups: 16}},
	{"3x3_groups8_32x32x64_64", 32, Conv2d{H: 32, W: 32, C: 64, Out: 64, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}, Groups: 8}},
}

// BenchmarkConv2d measures the methods on every level but the reference.
func BenchmarkConv2d(b *testing.B) {
	keepLevel(b)
	for _, l := range Levels()[1:] {
		for _, s := range convBenches {
			v := newConvTensors(s.c, s.n, normals(1))
			scratch := make([]float32, s.c.Scratch(1))
			flops := 2 * s.n * s.c.OutH() * s.c.OutW() * len(v.w)
			for _, m := range []struct {
				name string
				run  func()
			}{
				{"Forward", func() { s.c.Forward(v.y, v.x, v.w, v.bias, scratch) }},
				{"InputGradient", func() { s.c.InputGradient(v.dx, v.dy, v.w, scratch) }},
				{"WeightGradient", func() { s.c.WeightGradient(v.dw, v.x, v.dy, scratch) }},
				{"PatchSumSquares", func() { s.c.PatchSumSquares(v.squares, v.x, scratch) }},
				{"PatchSums", func() { s.c.PatchSums(v.sums, v.x, scratch) }},
			} {
				b.Run(fmt.Sprintf("%s/%s/%s", l, s.name, m.name), func(b *testing.B) {
					require.NoError(b, SetLevel(l))
					for b.Loop() {
						m.run()
					}
					b.ReportMetric(float64(flops)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}

// TestConvHugeStride: a stride beyond the image is as good as one of its size.
func TestConvHugeStride(t *testing.T) {
	r := rand.New(rand.NewPCG(60, 61))
	eachLevel(t, func(t *testing.T) {
		for _, padding := range []int{0, 1} {
			c := Conv2d{H: 3, W: 4, C: 5, Out: 6, Kernel: [2]int{2, 3}, Padding: [2]int{padding, padding}, Stride: [2]int{3 + 2*padding, 4 + 2*padding}}
			require.Equal(t, [2]int{1, 1}, [2]int{c.OutH(), c.OutW()})
			x, w, dy := draws(r, 2*c.InLen(), normal), draws(r, c.PatchLen()*c.Out, normal), draws(r, 2*c.OutLen(), normal)
			all := func(c Conv2d) (results [5][]float32) {
				require.NoError(t, c.Check())
				scratch := make([]float32, c.Scratch(1))
				for i, n := range []int{len(dy), len(x), len(w), c.PatchLen(), c.PatchLen()} {
					results[i] = make([]float32, n)
				}
				c.Forward(results[0], x, w, nil, scratch)
				c.InputGradient(results[1], dy, w, scratch)
				c.WeightGradient(results[2], x, dy, scratch)
				c.PatchSumSquares(results[3], x, scratch)
				c.PatchSums(results[4], x, scratch)
				return results
			}
			want := all(c)
			for _, stride := range [][2]int{{math.MaxInt, math.MaxInt}, {math.MaxInt - 3, c.Stride[1]}, {c.Stride[0], math.MaxInt / 2}} {
				c.Stride = stride
				require.Equal(t, want, all(c), "%v", stride)
			}
		}
	})
}
