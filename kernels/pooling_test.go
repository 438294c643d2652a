package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

var poolingCases = []Pooling2d{
	{H: 6, W: 8, C: 3, Kernel: [2]int{2, 2}},
	{H: 7, W: 9, C: 16, Kernel: [2]int{2, 2}},
	{H: 7, W: 7, C: 5, Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Padding: [2]int{1, 1}},
	{H: 5, W: 6, C: 1, Kernel: [2]int{3, 2}, Stride: [2]int{1, 1}, Padding: [2]int{0, 1}},
	{H: 9, W: 9, C: 35, Kernel: [2]int{2, 3}, Stride: [2]int{3, 4}},
	{H: 4, W: 5, C: 67, Kernel: [2]int{4, 5}},
	{H: 3, W: 2, C: 9, Kernel: [2]int{3, 4}, Stride: [2]int{1, 1}, Padding: [2]int{1, 2}},
	{H: 2, W: 2, C: 2, Kernel: [2]int{5, 5}, Stride: [2]int{1, 1}, Padding: [2]int{2, 2}},
	{H: 1, W: 1, C: 4, Kernel: [2]int{1, 1}},
	{H: 2, W: 3, C: 2*4096 + 3, Kernel: [2]int{2, 2}, Stride: [2]int{1, 1}},
	{H: 2, W: chunkLen + 70, C: 1, Kernel: [2]int{2, chunkLen + 40}, Stride: [2]int{1, 20}},
	{H: 1, W: 2*rowChunk + 9, C: 2, Kernel: [2]int{1, 2}},
	// These are cut: by lines, by windows, by channels, by rows.
	{H: 70, W: 40, C: 33, Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Padding: [2]int{1, 1}},
	{H: 6, W: 300, C: 70, Kernel: [2]int{2, 3}, Stride: [2]int{1, 2}},
	{H: 9, W: 9, C: 600, Kernel: [2]int{9, 9}},
	{H: 40, W: 30, C: 34, Kernel: [2]int{37, 29}, Stride: [2]int{1, 1}, Padding: [2]int{2, 1}},
}

// eachWindow calls f for the pixel (oh, ow) of each image and each input (h, w) in
// its window, with the number of the place.
func eachWindow(p Pooling2d, n int, f func(image, oh, ow, h, w, place int)) {
	p.defaults()
	for image := range n {
		for oh := range p.OutH() {
			for ow := range p.OutW() {
				for place := range p.Kernel[0] * p.Kernel[1] {
					h := oh*p.Stride[0] - p.Padding[0] + place/p.Kernel[1]
					w := ow*p.Stride[1] - p.Padding[1] + place%p.Kernel[1]
					if h >= 0 && h < p.H && w >= 0 && w < p.W {
						f(image, oh, ow, h, w, place)
					}
				}
			}
		}
	}
}

// requireSame requires the same bits, of which any NaN equals any NaN.
func requireSame(t *testing.T, want, got []float32, message string, args ...any) {
	require.Len(t, got, len(want))
	for i := range want {
		if !sameFloat(want[i], got[i]) {
			require.Fail(t, fmt.Sprintf(message, args...), "element %d: want %s, got %s", i, show(want[i]), show(got[i]))
		}
	}
}

// TestPooling holds pooling against the definition window by window.
func TestPooling(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, p := range poolingCases {
			require.NoError(t, p.Check())
			const n = 2
			r := rand.New(rand.NewPCG(5, 6))
			draw := func(n int) []float32 {
				x := make([]float32, n)
				for i := range x {
					if x[i] = float32(r.IntN(9)) - 4; r.IntN(50) == 0 { // many are equal
						x[i] = special(r)
					}
				}
				return x
			}
			x, dy := draw(n*p.InLen()), draw(n*p.OutLen())
			y, alone, dx := draw(len(dy)), draw(len(dy)), draw(len(x))
			index := make([]int32, len(dy))

			in := func(image, h, w, c int) int { return ((image*p.H+h)*p.W+w)*p.C + c }
			out := func(image, oh, ow, c int) int { return ((image*p.OutH()+oh)*p.OutW()+ow)*p.C + c }
			largest, places := make([]float32, len(y)), make([]int32, len(y))
			for i := range places {
				largest[i], places[i] = float32(math.Inf(-1)), -1
			}
			sums, gradients := make([]float32, len(y)), make([]float32, len(x))
			size := float32(p.Kernel[0] * p.Kernel[1])
			eachWindow(p, n, func(image, oh, ow, h, w, place int) {
				for c := range p.C {
					o, i := out(image, oh, ow, c), in(image, h, w, c)
					if v := x[i]; v > largest[o] || v != v || places[o] < 0 {
						largest[o], places[o] = v, int32(place)
					}
					sums[o] += x[i]
					gradients[i] += dy[o] / size
				}
			})
			p.Max(y, index, x)
			p.Max(alone, nil, x)
			requireSame(t, largest, y, "%+v: maxima", p)
			requireSame(t, largest, alone, "%+v: maxima without index", p)
			require.Equal(t, places, index, "%+v", p)
			p.MaxBackward(dx, dy, index)
			want := make([]float32, len(dx))
			eachWindow(p, n, func(image, oh, ow, h, w, place int) {
				for c := range p.C {
					if o := out(image, oh, ow, c); int(places[o]) == place {
						want[in(image, h, w, c)] += dy[o]
					}
				}
			})
			requireSame(t, want, dx, "%+v: gradient of maxima", p)
			p.Average(y, x)
			for i := range sums {
				sums[i] /= size
			}
			requireSame(t, sums, y, "%+v: averages", p)
			p.AverageBackward(dx, dy)
			requireSame(t, gradients, dx, "%+v: gradient of averages", p)
		}
	})
}

func TestPoolingRules(t *testing.T) {
	inf, nan, zero := float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))
	p := Pooling2d{H: 1, W: 4, C: 1, Kernel: [2]int{1, 4}}
	eachLevel(t, func(t *testing.T) {
		for _, c := range []struct {
			x     [4]float32
			y     float32
			index int32
		}{
			{[4]float32{1, 3, 3, 2}, 3, 1},
			{[4]float32{-inf, -inf, -inf, -inf}, -inf, 0},
			{[4]float32{zero, 0, zero, -1}, zero, 0},
			{[4]float32{0, zero, -1, -1}, 0, 0},
			{[4]float32{1, nan, inf, 2}, nan, 1},
			{[4]float32{nan, 1, nan, 2}, nan, 2},
			{[4]float32{nan, 1, 2, inf}, nan, 0},
		} {
			y, index := []float32{7}, []int32{7}
			p.Max(y, index, c.x[:])
			require.True(t, sameFloat(c.y, y[0]), "%v: %s", c.x, show(y[0]))
			require.Equal(t, c.index, index[0], "%v", c.x)
			// Only the maximum gets a gradient, whatever it is; an index that is no
			// place of the window gets none.
			dx := []float32{7, 7, 7, 7}
			for _, dy := range []float32{2, nan, zero} {
				p.MaxBackward(dx, []float32{dy}, index)
				for i, d := range dx {
					want := float32(0)
					if i == int(c.index) {
						want += dy
					}
					require.True(t, sameFloat(want, d), "gradient of %s at %d: %s", show(dy), i, show(d))
				}
			}
			for _, none := range []int32{-1, 4, math.MaxInt32, math.MinInt32} {
				p.MaxBackward(dx, []float32{2}, []int32{none})
				require.Equal(t, make([]float32, 4), dx)
			}
		}
	})
}

func TestGlobalAveragePool(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, s := range []struct{ n, pixels, channels int }{{3, 7, 5}, {1, 1, 1}, {2, 600, 70}, {0, 4, 4}, {4, 1, 33}} {
			next := normals(4)
			x, y := make([]float32, s.n*s.pixels*s.channels), make([]float32, s.n*s.channels)
			for i := range x {
				x[i] = next()
			}
			GlobalAveragePool(y, x, s.channels)
			for i, got := range y {
				n, c := i/s.channels, i%s.channels
				total := float32(0)
				for first := 0; first < s.pixels; first += 256 {
					block := float32(0)
					for p := first; p < min(first+256, s.pixels); p++ {
						block += x[(n*s.pixels+p)*s.channels+c]
					}
					total += block
				}
				require.Equal(t, total/float32(s.pixels), got, "%+v: average %d", s, i)
			}
			dx := make([]float32, len(x))
			GlobalAveragePoolBackward(dx, y, s.channels)
			for i, got := range dx {
				dy := y[i/(s.pixels*s.channels)*s.channels+i%s.channels]
				require.Equal(t, dy/float32(s.pixels), got, "%+v: gradient %d", s, i)
			}
		}
		y := make([]float32, 2)
		GlobalAveragePool(y, nil, 2)
		require.True(t, y[0] != y[0] && y[1] != y[1])
		GlobalAveragePoolBackward(nil, y, 2)
		GlobalAveragePool(nil, nil, 0)
		GlobalAveragePoolBackward(nil, nil, 0)
	})
}

func TestPoolingSizes(t *testing.T) {
	p := Pooling2d{H: 32, W: 30, C: 6, Kernel: [2]int{3, 2}}
	require.NoError(t, p.Check())
	require.Equal(t, []int{10, 15, 32 * 30 * 6, 10 * 15 * 6}, []int{p.OutH(), p.OutW(), p.InLen(), p.OutLen()})
	p.Stride, p.Padding = [2]int{2, 1}, [2]int{1, 1}
	require.NoError(t, p.Check())
	require.Equal(t, []int{16, 31}, []int{p.OutH(), p.OutW()})
	for want, change := range map[string]func(p *Pooling2d){
		"a 0x30x6 image: want sizes of at least 1":              func(p *Pooling2d) { p.H = 0 },
		"a 32x0x6 image: want":                                  func(p *Pooling2d) { p.W = 0 },
		"a 32x30x-1 image: want":                                func(p *Pooling2d) { p.C = -1 },
		"a 32x30x1073741824 image: want at most 268435455":      func(p *Pooling2d) { p.C = 1 << 30 },
		"a 0x2 window: want at least 1x1":                       func(p *Pooling2d) { p.Kernel[0] = 0 },
		"a 3x-1 window: want at least 1x1":                      func(p *Pooling2d) { p.Kernel[1] = -1 },
		"a 8193x8192 window: want at most 16777216 places":      func(p *Pooling2d) { p.Kernel = [2]int{8193, 8192} },
		"stride [-1 1]: want at least 1, or 0 for":              func(p *Pooling2d) { p.Stride[0] = -1 },
		"padding [2 1] of a 3x2 window: want 0 to half of it":   func(p *Pooling2d) { p.Padding[0] = 2 },
		"padding [1 -1] of a 3x2 window: want 0":                func(p *Pooling2d) { p.Padding[1] = -1 },
		"window of 35x2 is larger than the padded image, 34x32": func(p *Pooling2d) { p.Kernel[0] = 35 },
		"window of 3x33 is larger than the padded image, 34x32": func(p *Pooling2d) { p.Kernel[1] = 33 },
	} {
		bad := p
		change(&bad)
		err := bad.Check()
		require.ErrorContains(t, err, "kernels: pooling")
		require.ErrorContains(t, err, want)
	}
}

func TestPoolingPanics(t *testing.T) {
	p := Pooling2d{H: 4, W: 4, C: 2, Kernel: [2]int{2, 2}}
	bad := Pooling2d{H: 4, W: 4, C: 2}
	v := func(n int) []float32 { return make([]float32, n) }
	index := func(n int) []int32 { return make([]int32, n) }
	const name = "kernels: Pooling2d"
	for message, call := range map[string]func(){
		name + ": no such pooling, see Check":                                                    func() { bad.Average(v(8), v(32)) },
		name + ".Max: length of x is not a multiple of InLen":                                    func() { p.Max(v(8), nil, v(31)) },
		name + ".Max: length of y is not OutLen for each image of x":                             func() { p.Max(v(8), nil, v(64)) },
		name + ".Max: lengths of index and y differ":                                             func() { p.Max(v(8), index(7), v(32)) },
		name + ".MaxBackward: length of dx is not a multiple of InLen":                           func() { p.MaxBackward(v(31), v(8), index(8)) },
		name + ".MaxBackward: length of dy is not OutLen for each image of dx":                   func() { p.MaxBackward(v(32), v(7), index(7)) },
		name + ".MaxBackward: lengths of index and dy differ":                                    func() { p.MaxBackward(v(32), v(8), nil) },
		name + ".Average: length of x is not a multiple of InLen":                                func() { p.Average(v(8), v(33)) },
		name + ".Average: length of y is not OutLen for each image of x":                         func() { p.Average(v(9), v(32)) },
		name + ".AverageBackward: length of dx is not a multiple of InLen":                       func() { p.AverageBackward(v(8), v(8)) },
		name + ".AverageBackward: length of dy is not OutLen for each image of dx":               func() { p.AverageBackward(v(32), v(16)) },
		"kernels: GlobalAveragePool: length of y is not a multiple of channels":                  func() { GlobalAveragePool(v(3), v(6), 2) },
		"kernels: GlobalAveragePool: length of x is not a multiple of the length of y":           func() { GlobalAveragePool(v(4), v(6), 2) },
		"kernels: GlobalAveragePoolBackward: length of dy is not a multiple of channels":         func() { GlobalAveragePoolBackward(v(6), v(3), 0) },
		"kernels: GlobalAveragePoolBackward: length of dx is not a multiple of the length of dy": func() { GlobalAveragePoolBackward(v(6), v(4), 2) },
	} {
		require.PanicsWithValue(t, message, call)
	}
	p.Max(nil, nil, nil)
	p.MaxBackward(nil, nil, nil)
	p.Average(nil, nil)
	p.AverageBackward(nil, nil)
}

// BenchmarkPooling2d measures the methods on every level but the reference, in
// bytes/s of the traffic that they need.
func BenchmarkPooling2d(b *testing.B) {
	keepLevel(b)
	for _, l := range Levels()[1:] {
		for _, p := range []Pooling2d{
			{H: 32, W: 32, C: 64, Kernel: [2]int{2, 2}},
			{H: 32, W: 32, C: 64, Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Padding: [2]int{1, 1}},
			{H: 32, W: 32, C: 3, Kernel: [2]int{2, 2}},
		} {
			const n = 8
			x, y := make([]float32, n*p.InLen()), make([]float32, n*p.OutLen())
			index := make([]int32, len(y))
			next := normals(1)
			for i := range x {
				x[i] = next()
			}
			for _, m := range []struct {
				name  string
				bytes int
				run   func()
			}{
				{"Max", 4*len(x) + 8*len(y), func() { p.Max(y, index, x) }},
				{"MaxBackward", 4*len(x) + 8*len(y), func() { p.MaxBackward(x, y, index) }},
				{"Average", 4*len(x) + 4*len(y), func() { p.Average(y, x) }},
				{"AverageBackward", 4*len(x) + 4*len(y), func() { p.AverageBackward(x, y) }},
			} {
				b.Run(fmt.Sprintf("%s/%dx%d_%dx%dx%d/%s", l, p.Kernel[0], p.Kernel[1], p.H, p.W, p.C, m.name), func(b *testing.B) {
					require.NoError(b, SetLevel(l))
					b.SetBytes(int64(m.bytes))
					for b.Loop() {
						m.run()
					}
				})
			}
		}
	}
}

// TestPoolingHugeStride: a stride beyond the image is as good as one of its size.
func TestPoolingHugeStride(t *testing.T) {
	r := rand.New(rand.NewPCG(62, 63))
	eachLevel(t, func(t *testing.T) {
		for _, padding := range []int{0, 1} {
			p := Pooling2d{H: 3, W: 4, C: 5, Kernel: [2]int{2, 3}, Padding: [2]int{padding, padding}, Stride: [2]int{3 + 2*padding, 4 + 2*padding}}
			x, dy := draws(r, 2*p.InLen(), normal), draws(r, 2*p.OutLen(), normal)
			all := func(p Pooling2d) (results [4][]float32) {
				require.NoError(t, p.Check())
				index := make([]int32, len(dy))
				for i, n := range []int{len(dy), len(x), len(dy), len(x)} {
					results[i] = make([]float32, n)
				}
				p.Max(results[0], index, x)
				p.MaxBackward(results[1], dy, index)
				p.Average(results[2], x)
				p.AverageBackward(results[3], dy)
				return results
			}
			want := all(p)
			for _, stride := range [][2]int{{math.MaxInt, math.MaxInt}, {math.MaxInt - 3, p.Stride[1]}, {p.Stride[0], math.MaxInt / 2}} {
				p.Stride = stride
				require.Equal(t, want, all(p), "%v", stride)
			}
		}
	})
}
