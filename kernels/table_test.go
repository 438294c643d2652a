package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"unsafe"
)

// shape sizes the operands of a call. Vectors have n elements (and m = 1);
// other kernels take m x n matrices, the sums of products run over k, and with
// pad there is space between the rows of operands that have a stride.
type shape struct{ m, n, k, pad int }

func (s shape) String() string {
	return fmt.Sprintf("m=%d n=%d k=%d pad=%d", s.m, s.n, s.k, s.pad)
}

// extent names the rows and columns of an operand.
type extent int

const (
	sizeN extent = iota
	sizeM
	sizeMN
	sizeNM
	sizeMK
	sizeKM
	sizeKN
	sizeNK
	sizeScratch

	sizeImages // of the convolution that a shape stands for; see convolutionOf
	sizeOutputs
	sizeWeights
	sizeOut
	sizePatch
	sizeConvScratch

	sizePooled // of the pooling that a shape stands for; see poolingOf
	sizePoolings
	sizeKMN
	sizeNN
)

func (e extent) of(s shape) (rows, cols int) {
	switch e {
	case sizeN:
		return 1, s.n
	case sizeM:
		return 1, s.m
	case sizeMN:
		return s.m, s.n
	case sizeNM:
		return s.n, s.m
	case sizeMK:
		return s.m, s.k
	case sizeKM:
		return s.k, s.m
	case sizeKN:
		return s.k, s.n
	case sizeNK:
		return s.n, s.k
	case sizeScratch:
		return 1, GemmScratch
	case sizePooled, sizePoolings:
		p, images := poolingOf(s)
		if e == sizePooled {
			return images, p.InLen()
		}
		return images, p.OutLen()
	case sizeKMN:
		return s.k * s.m, s.n
	case sizeNN:
		return s.n, s.n
	}
	c, images := convolutionOf(s)
	switch e {
	case sizeImages:
		return images, c.InLen()
	case sizeOutputs:
		return images, c.OutLen()
	case sizeWeights:
		return c.PatchLen(), c.Out
	case sizeOut:
		return 1, c.Out
	case sizePatch:
		return 1, c.PatchLen()
	}
	return 1, c.Scratch(1)
}

type role int

const (
	input role = iota
	output
	scratch // written, with contents that don't matter
)

type operand struct {
	name string
	role role
	size extent
}

func in(name string, size extent) operand  { return operand{name, input, size} }
func out(name string, size extent) operand { return operand{name, output, size} }

// args are the arguments of one call, in the order of the kernel's operands.
type args struct {
	shape
	m []Matrix
	s []float32
}

func (a *args) v(i int) []float32 { return a.m[i].Data }

// result holds what a kernel returns; the other kernels leave it zero.
type result [2]float32

// kernel is one row of the table that all tests, fuzz targets and benchmarks
// share.
type kernel struct {
	name     string
	class    *class
	operands []operand
	scalars  []float32 // typical values
	bytes    int       // memory traffic that the algorithm needs for each of m*n elements
	apart    bool      // outputs may not be the same slices as inputs
	together [][2]int  // but these outputs and inputs may
	call     func(a *args) result
	pooled   func(p *Pool, a *args) // the same with a pool; nil without such a method
}

// class says which shapes a kernel is tested and measured at.
type class struct {
	shapes  []shape // of the differential test
	rounds  int     // over these shapes, with other values and alignments
	limit   shape   // exclusive bounds of a fuzzed shape
	fenced  []shape // of the test with protected pages
	seeds   []shape // of fuzzing, besides those of all classes
	benched []shape
	strided bool // matrices have a stride of their own
}

// flops counts the operations of a product; 0 for other kernels.
func (k *kernel) flops(s shape) int {
	switch k.class {
	case &products:
		return 2 * s.m * s.n * s.k
	case &symmetric:
		return s.n * (s.n + 1) * s.k
	}
	return 0
}

var vectors = class{
	shapes: vectorShapes(),
	rounds: 4,
	limit:  shape{m: 1, n: 600, k: 600, pad: 1},
	fenced: fencedVectors(),
	benched: []shape{
		{m: 1, n: 16}, {m: 1, n: 1024}, {m: 1, n: 65536}, {m: 1, n: 2 << 20},
	},
}

var grids = class{
	shapes:  gridShapes(),
	rounds:  2,
	limit:   shape{m: 24, n: 200, k: 1, pad: 1},
	fenced:  fencedGrids(),
	benched: matrixSizes,
}

var columns = class{
	shapes:  columnShapes(),
	rounds:  2,
	limit:   shape{m: 1200, n: 40, k: 1, pad: 1},
	fenced:  fencedGrids(),
	benched: matrixSizes,
}

var transposes = class{
	shapes:  transposeShapes(),
	rounds:  2,
	limit:   shape{m: 50, n: 50, k: 1, pad: 20},
	fenced:  fencedGrids(),
	benched: matrixSizes,
	strided: true,
}

// strips are matrices whose rows have a distance of their own.
var strips = class{
	shapes:  stripShapes(),
	rounds:  2,
	limit:   shape{m: 24, n: 200, k: 1, pad: 20},
	fenced:  fencedGrids(),
	benched: []shape{{m: 16, n: 64}, {m: 4096, n: 16}, {m: 1024, n: 64}, {m: 512, n: 256}, {m: 1024, n: 2048}},
	strided: true,
}

// triangles are square blocks below each other; see square.
var triangles = class{
	shapes:  triangleShapes(),
	rounds:  2,
	limit:   shape{m: 90, n: 90, k: 1, pad: 20},
	fenced:  triangleShapes()[:40],
	benched: []shape{{m: 4096, n: 16}, {m: 1024, n: 64}, {m: 512, n: 256}},
	strided: true,
}

// lookups are m tokens, with an index each, in a table of k rows of n.
var lookups = class{
	shapes:  lookupShapes(),
	rounds:  2,
	limit:   shape{m: 40, n: 150, k: 60, pad: 20},
	fenced:  lookupShapes()[:140],
	benched: []shape{{m: 16, n: 64, k: 100}, {m: 2048, n: 64, k: 10000}, {m: 2048, n: 512, k: 10000}},
	strided: true,
}

// square returns as many square blocks of the first columns as m holds.
func square(m Matrix) Matrix {
	m.Cols = min(m.Rows, m.Cols)
	if m.Cols == 0 {
		m.Rows = 0
		return m
	}
	m.Rows -= m.Rows % m.Cols
	return m
}

var products = class{
	shapes: productShapes(),
	rounds: 1, // of each of its 23 forms
	limit:  shape{m: 20, n: 70, k: 300, pad: 20},
	fenced: fencedProducts(),
	benched: []shape{
		{m: 16, n: 16, k: 16}, {m: 64, n: 64, k: 64}, {m: 256, n: 256, k: 256}, {m: 512, n: 512, k: 512},
		{m: 32, k: 784, n: 512}, {m: 128, k: 512, n: 10},
	},
	strided: true,
}

// symmetric are n x n over k.
var symmetric = class{
	shapes:  symmetricShapes(),
	rounds:  2,
	limit:   shape{m: 2, n: 100, k: 300, pad: 20},
	fenced:  symmetricShapes()[:80],
	benched: []shape{{m: 1, n: 16, k: 16}, {m: 1, n: 64, k: 32}, {m: 1, n: 256, k: 256}, {m: 1, n: 512, k: 128}, {m: 1, n: 784, k: 128}},
	strided: true,
}

var convolutions = class{
	shapes:  convolutionShapes(400),
	rounds:  2,
	limit:   convolutionLimit,
	fenced:  convolutionShapes(60),
	seeds:   convolutionShapes(40),
	benched: []shape{{}}, // see conv_test.go
}

var poolings = class{
	shapes:  poolingShapes(400),
	rounds:  2,
	limit:   poolingLimit,
	fenced:  poolingShapes(60),
	seeds:   poolingShapes(20),
	benched: []shape{{}}, // see pooling_test.go
}

var globals = class{
	shapes:  globalShapes(),
	rounds:  2,
	limit:   shape{m: 300, n: 80, k: 4, pad: 1},
	fenced:  []shape{{m: 3, n: 5, k: 2}, {m: 1, n: 1, k: 1}, {m: 9, n: 33, k: 1}},
	benched: []shape{{m: 16, n: 256, k: 1}, {m: 64, n: 512, k: 32}},
}

var matrixSizes = []shape{{m: 16, n: 64}, {m: 128, n: 512}, {m: 1024, n: 2048}}

// digits takes numbers below the given bounds from n, the first one from the lowest
// digit.
func digits(n int, bounds ...int) (all [8]int) {
	for i, b := range bounds {
		all[i], n = n%b, n/b
	}
	return all
}

// convolutionLimit bounds the shapes that differ as convolutions.
var convolutionLimit = shape{m: 4 * 13 * 13, n: 36 * 36, k: 4 * 4 * 3 * 3 * 3 * 3 * 2 * 2, pad: 4}

// convolutionOf returns the convolution of a batch that a shape stands for.
func convolutionOf(s shape) (c Conv2d, images int) {
	image := digits(s.m, 4, 13, 13)
	channels := digits(s.n, 36, 36)
	window := digits(s.k, 4, 4, 3, 3, 3, 3, 2, 2)
	groups := []int{1, 2, 5, 16}[s.pad%4]
	if groups > 2 { // as narrow groups are
		channels[0], channels[1] = channels[0]%6, channels[1]%6
	}
	c = Conv2d{
		H: image[1] + 1, W: image[2] + 1, C: groups * (channels[0] + 1), Out: groups * (channels[1] + 1), Groups: groups,
		Kernel:   [2]int{window[0] + 1, window[1] + 1},
		Stride:   [2]int{window[2] + 1, window[3] + 1},
		Padding:  [2]int{window[4], window[5]},
		Dilation: [2]int{window[6] + 1, window[7] + 1},
	}
	for i, size := range [2]int{c.H, c.W} {
		if c.Dilation[i]*(c.Kernel[i]-1) >= size+2*c.Padding[i] {
			c.Kernel[i] = 1
		}
	}
	return c, image[0]
}

// poolingLimit bounds the shapes that differ as poolings.
var poolingLimit = shape{m: 3 * 13 * 13, n: 70, k: 4 * 4 * 5 * 5 * 3 * 3, pad: 1}

// poolingOf returns the pooling of a batch that a shape stands for.
func poolingOf(s shape) (p Pooling2d, images int) {
	image, window := digits(s.m, 3, 13, 13), digits(s.k, 4, 4, 5, 5, 3, 3)
	p = Pooling2d{H: image[1] + 1, W: image[2] + 1, C: s.n + 1, Kernel: [2]int{window[0] + 1, window[1] + 1}, Stride: [2]int{window[2], window[3]}}
	for i, size := range [2]int{p.H, p.W} {
		p.Padding[i] = min(window[4+i], p.Kernel[i]/2)
		if p.Kernel[i] > size+2*p.Padding[i] {
			p.Kernel[i], p.Padding[i] = 1, 0
		}
	}
	return p, image[0]
}

// drawShapes draws shapes below a limit.
func drawShapes(n int, limit shape) (s []shape) {
	r := rand.New(rand.NewPCG(17, 4))
	for range n {
		s = append(s, shape{m: r.IntN(limit.m), n: r.IntN(limit.n), k: r.IntN(limit.k), pad: r.IntN(limit.pad)})
	}
	return s
}

func convolutionShapes(n int) []shape { return drawShapes(n, convolutionLimit) }
func poolingShapes(n int) []shape     { return drawShapes(n, poolingLimit) }

func globalShapes() (s []shape) {
	for n := range 130 {
		s = append(s, shape{m: 1 + n%7, n: n, k: n % 4}, shape{m: n % 13, n: 3, k: 2})
	}
	return append(s, shape{m: 257, n: 40, k: 2}, shape{m: 1000, n: 3, k: 1}, shape{m: 3, n: columnChunk + 5, k: 2})
}

func vectorShapes() (s []shape) {
	for n := range 301 {
		s = append(s, shape{m: 1, n: n, k: n / 2})
	}
	for _, n := range []int{511, 513, 1000, 4103, chunkLen - 1, chunkLen, chunkLen + 1, chunkLen + 67, 2*chunkLen + 300} {
		s = append(s, shape{m: 1, n: n, k: n - 1})
	}
	return s
}

func gridShapes() (s []shape) {
	for n := range 301 {
		s = append(s, shape{m: 1 + n%3, n: n})
	}
	for m := range 41 {
		s = append(s, shape{m: m, n: 0}, shape{m: m, n: 1}, shape{m: m, n: 40 - m}, shape{m: m, n: m})
	}
	return append(s,
		shape{m: 300, n: 1}, shape{m: 300, n: 2}, shape{m: 70, n: 15}, shape{m: 70, n: 17},
		shape{m: 200, n: 170}, shape{m: 1, n: chunkLen}, shape{m: 2, n: chunkLen + 5}, shape{m: chunkLen + 5, n: 1})
}

func columnShapes() (s []shape) {
	for n := range 301 {
		s = append(s, shape{m: n % 6, n: n})
	}
	for m := range 41 {
		s = append(s, shape{m: m, n: 0}, shape{m: m, n: 1}, shape{m: m, n: 40 - m}, shape{m: m, n: m})
	}
	for _, m := range []int{blockRows - 1, blockRows, blockRows + 1, 2*blockRows - 1, 2 * blockRows, 2*blockRows + 1, 600} {
		for _, n := range []int{1, 3, 16, 17, 40} {
			s = append(s, shape{m: m, n: n})
		}
	}
	for _, m := range []int{narrowBlocks*blockRows - 1, narrowBlocks * blockRows, narrowBlocks*blockRows + 1, (2*narrowBlocks+1)*blockRows + 7} {
		for _, n := range []int{1, 3, 5, narrowCols, narrowCols + 1} {
			s = append(s, shape{m: m, n: n})
		}
	}
	for _, n := range []int{columnChunk - 1, columnChunk, columnChunk + 1, 2*columnChunk + 6} {
		s = append(s, shape{m: 3, n: n}, shape{m: blockRows + 1, n: n})
	}
	// By some rows at a time, within a block and over several.
	for _, m := range []int{15, 16, 23, blockRows, 2*blockRows + 9} {
		for _, n := range []int{64, 65, 300} {
			s = append(s, shape{m: m, n: n})
		}
	}
	for _, n := range []int{wideChunk - 1, wideChunk + 70} {
		s = append(s, shape{m: 17, n: n}, shape{m: blockRows + 3, n: n})
	}
	// By whole rows, and with AVX-512 by some of them.
	s = append(s, shape{m: blockRows + 3, n: longChunk + 70})
	return append(s, shape{m: 2, n: chunkLen + 5})
}

func transposeShapes() (s []shape) {
	for m := range 36 {
		for n := range 36 {
			s = append(s, shape{m: m, n: n})
		}
	}
	for n := range 301 {
		s = append(s, shape{m: 1 + n%9, n: n}, shape{m: n, n: 1 + n%9})
	}
	s = append(s, shape{m: 130, n: 257})
	for i := range s {
		s[i].pad = []int{0, 1, 0, 5, 16}[i%5]
	}
	return s
}

func stripShapes() []shape {
	s := gridShapes()
	for i := range s {
		s[i].pad = []int{0, 1, 0, 5, 16}[i%5]
	}
	return s
}

func lookupShapes() (s []shape) {
	for n := range 301 {
		s = append(s, shape{m: n % 9, n: n, k: 1 + n%11})
	}
	s = append(s, shape{m: 300, n: 20, k: 7}, shape{m: 5, n: 3, k: 1000}, shape{m: 7, n: 0, k: 2}, shape{m: 0, n: 5}, shape{m: 2, n: chunkLen + 5, k: 3})
	for i := range s {
		s[i].pad = []int{0, 1, 0, 5, 16}[i%5]
	}
	return s
}

func triangleShapes() (s []shape) {
	for n := range 140 {
		s = append(s, shape{m: n * (1 + n%3), n: n})
	}
	s = append(s, shape{m: 301, n: 301}, shape{m: 3 * 256, n: 256}, shape{m: 4096, n: 1}, shape{m: 33 * 65, n: 65})
	for i := range s {
		s[i].pad = []int{0, 1, 0, 5, 16}[i%5]
	}
	return s
}

func productShapes() (s []shape) {
	for i := range 301 {
		s = append(s, shape{m: 1 + i%3, n: i, k: 1 + i%5}, shape{m: 1 + i%3, n: 1 + i%6, k: i})
	}
	for i := range 41 {
		s = append(s,
			shape{m: i, n: 40 - i, k: i * 7 % 41}, shape{m: i, n: i * 11 % 41, k: i * 17 % 41}, shape{m: i, n: 7, k: 2},
			shape{m: i, n: 0, k: 3}, shape{m: i, n: i, k: 0})
	}
	for _, k := range []int{blockK - 1, blockK, blockK + 1, 2*blockK - 1, 2 * blockK, 2*blockK + 1, 600} {
		s = append(s, shape{m: 3, n: 5, k: k}, shape{m: 1, n: 33, k: k}, shape{m: 13, n: 2, k: k})
	}
	for _, n := range []int{packCols - 1, packCols, packCols + 1, 2*packCols - 1, 2*packCols + 1, 3*packCols + 1} {
		s = append(s, shape{m: 6, n: n, k: 9}, shape{m: 9, n: n, k: blockK + 2})
	}
	s = append(s,
		shape{m: 1, n: 300, k: 20}, shape{m: 300, n: 1, k: 20}, shape{m: 1, n: 1, k: 600}, shape{m: 48, n: 64, k: 40},
		shape{m: 35, n: 115, k: 9}, shape{m: 66, n: 113, k: blockK + 3}, shape{m: 128, n: 16, k: 4}, shape{m: 129, n: 17, k: 4},
		shape{m: 460, n: 5, k: 3})
	for i := range s {
		s[i].pad = []int{0, 1, 3, 16, 0}[i%5]
	}
	s = append(s, // a single row: of B in whole rows, of B^T with blocks side by side
		shape{m: 1, n: 133, k: 130}, shape{m: 1, n: 170, k: 103, pad: 3},
		shape{m: 1, n: 20, k: 2 * blockK}, shape{m: 1, n: 12, k: 4 * blockK})
	for _, m := range []int{2, 7, 8, 9, 33, 40, 75} { // a contiguous column
		for _, k := range []int{2, 5, 16, 21, blockK, blockK + 1, 2*blockK + 3} {
			s = append(s, shape{m: m, n: 1, k: k})
		}
	}
	return s
}

func symmetricShapes() (s []shape) {
	for n := range 140 {
		s = append(s, shape{m: 1, n: n, k: n * 7 % 41}, shape{m: 1, n: n * 3 % 70, k: n})
	}
	for _, k := range []int{blockK - 1, blockK, blockK + 1, 2*blockK + 1} {
		s = append(s, shape{m: 1, n: 9, k: k}, shape{m: 1, n: 2*packCols + 1, k: k})
	}
	s = append(s, shape{m: 1, n: 301, k: 5})
	for i := range s {
		s[i].pad = []int{0, 1, 3, 16, 0}[i%5]
	}
	return s
}

func fencedVectors() (s []shape) {
	for n := range 140 {
		s = append(s, shape{m: 1, n: n, k: n / 2})
	}
	return s
}

func fencedGrids() (s []shape) {
	for n := range 140 {
		s = append(s, shape{m: 1 + n%5, n: n})
	}
	return s
}

func fencedProducts() (s []shape) {
	for i := range 70 {
		s = append(s, shape{m: 1 + i%7, n: i, k: 1 + i%9}, shape{m: i % 20, n: 1 + i%40, k: i, pad: i % 3})
	}
	return append(s, shape{m: 3, n: 5, k: blockK + 1}, shape{m: 5, n: 3, k: blockK},
		shape{m: 1, n: 133, k: 130}, shape{m: 1, n: 20, k: 2 * blockK}, shape{m: 1, n: 12, k: 4 * blockK})
}

// table lists every public kernel.
var table = append([]kernel{
	{
		name: "Axpy", class: &vectors, bytes: 12,
		operands: []operand{out("y", sizeN), in("x", sizeN)}, scalars: []float32{-0.75},
		call: func(a *args) result { Axpy(a.v(0), a.v(1), a.s[0]); return result{} },
	}, {
		name: "Scale", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)}, scalars: []float32{1.1},
		call: func(a *args) result { Scale(a.v(0), a.v(1), a.s[0]); return result{} },
	}, {
		name: "EMA", class: &vectors, bytes: 12,
		operands: []operand{out("y", sizeN), in("x", sizeN)}, scalars: []float32{0.9, 0.1},
		call: func(a *args) result { EMA(a.v(0), a.v(1), a.s[0], a.s[1]); return result{} },
	}, {
		name: "Dot", class: &vectors, bytes: 8,
		operands: []operand{in("x", sizeN), in("y", sizeN)},
		call:     func(a *args) result { return result{Dot(a.v(0), a.v(1))} },
	}, {
		name: "Sum", class: &vectors, bytes: 4,
		operands: []operand{in("x", sizeN)},
		call:     func(a *args) result { return result{Sum(a.v(0))} },
	}, {
		name: "SumSquares", class: &vectors, bytes: 4,
		operands: []operand{in("x", sizeN)},
		call:     func(a *args) result { return result{SumSquares(a.v(0))} },
	}, {
		name: "MinMax", class: &vectors, bytes: 4,
		operands: []operand{in("x", sizeN)},
		call:     func(a *args) result { lo, hi := MinMax(a.v(0)); return result{lo, hi} },
	}, {
		name: "AllFinite", class: &vectors, bytes: 4,
		operands: []operand{in("x", sizeN)},
		call: func(a *args) result {
			if AllFinite(a.v(0)) {
				return result{1}
			}
			return result{}
		},
	}, {
		name: "MinMaxNormalize", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { MinMaxNormalize(a.v(0), a.v(1)); return result{} },
	}, {
		name: "MinMaxEMA", class: &vectors, bytes: 12,
		operands: []operand{out("y", sizeN), in("x", sizeN)}, scalars: []float32{0.092, 0.0092},
		call: func(a *args) result { MinMaxEMA(a.v(0), a.v(1), a.s[0], a.s[1]); return result{} },
	}, {
		name: "ReLU", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { ReLU(a.v(0), a.v(1)); return result{} },
	}, {
		name: "ReLUBackward", class: &vectors, bytes: 12,
		operands: []operand{out("dx", sizeN), in("dy", sizeN), in("y", sizeN)},
		call:     func(a *args) result { ReLUBackward(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "Tanh", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { Tanh(a.v(0), a.v(1)); return result{} },
	}, {
		name: "TanhBackward", class: &vectors, bytes: 12,
		operands: []operand{out("dx", sizeN), in("dy", sizeN), in("y", sizeN)},
		call:     func(a *args) result { TanhBackward(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "Exp", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { Exp(a.v(0), a.v(1)); return result{} },
	}, {
		name: "Log", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { Log(a.v(0), a.v(1)); return result{} },
	}, {
		name: "Sqrt", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { Sqrt(a.v(0), a.v(1)); return result{} },
	}, {
		name: "RSqrt", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { RSqrt(a.v(0), a.v(1)); return result{} },
	}, {
		name: "Erf", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { Erf(a.v(0), a.v(1)); return result{} },
	}, {
		name: "Softplus", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { Softplus(a.v(0), a.v(1)); return result{} },
	}, {
		name: "Sigmoid", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { Sigmoid(a.v(0), a.v(1)); return result{} },
	}, {
		name: "SiLU", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { SiLU(a.v(0), a.v(1)); return result{} },
	}, {
		name: "GELU", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { GELU(a.v(0), a.v(1)); return result{} },
	}, {
		name: "GELUTanh", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { GELUTanh(a.v(0), a.v(1)); return result{} },
	}, {
		name: "SigmoidBackward", class: &vectors, bytes: 12,
		operands: []operand{out("dx", sizeN), in("dy", sizeN), in("y", sizeN)},
		call:     func(a *args) result { SigmoidBackward(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "SiLUBackward", class: &vectors, bytes: 12,
		operands: []operand{out("dx", sizeN), in("dy", sizeN), in("x", sizeN)},
		call:     func(a *args) result { SiLUBackward(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "GELUBackward", class: &vectors, bytes: 12,
		operands: []operand{out("dx", sizeN), in("dy", sizeN), in("x", sizeN)},
		call:     func(a *args) result { GELUBackward(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "GELUTanhBackward", class: &vectors, bytes: 12,
		operands: []operand{out("dx", sizeN), in("dy", sizeN), in("x", sizeN)},
		call:     func(a *args) result { GELUTanhBackward(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "Softmax", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { Softmax(a.v(0), a.v(1)); return result{} },
	}, {
		name: "LogSoftmax", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { LogSoftmax(a.v(0), a.v(1)); return result{} },
	}, {
		name: "LogSoftmaxBackward", class: &vectors, bytes: 12,
		operands: []operand{out("dx", sizeN), in("dy", sizeN), in("y", sizeN)},
		call:     func(a *args) result { LogSoftmaxBackward(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "SoftmaxCrossEntropy", class: &vectors, bytes: 8,
		operands: []operand{out("dx", sizeN), in("x", sizeN)}, scalars: []float32{1. / 32},
		call: func(a *args) result {
			if a.n == 0 { // no label is in range
				return result{}
			}
			return result{SoftmaxCrossEntropy(a.v(0), a.v(1), a.k%a.n, a.s[0])}
		},
	}, {
		name: "SGDStep", class: &vectors, bytes: 20,
		operands: []operand{out("w", sizeN), out("v", sizeN), in("g", sizeN)},
		scalars:  []float32{0.9, 1, 1, 0.9, 0.05, 1e-4},
		call: func(a *args) result {
			SGDStep(a.v(0), a.v(1), a.v(2), SGDParams{
				Momentum: a.s[0], Add: a.s[1], GradPart: a.s[2], VelPart: a.s[3], LR: a.s[4], WeightDecay: a.s[5]})
			return result{}
		},
	}, {
		name: "AdamStep", class: &vectors, bytes: 28,
		operands: []operand{out("w", sizeN), out("m", sizeN), out("v", sizeN), in("g", sizeN)}, scalars: adamScalars,
		call: func(a *args) result { return callAdam(a, a.s[7], a.s[8]) },
	}, {
		name: "AdamStep decoupled", class: &vectors, bytes: 28,
		operands: []operand{out("w", sizeN), out("m", sizeN), out("v", sizeN), in("g", sizeN)}, scalars: adamScalars,
		call: func(a *args) result { return callAdam(a, 0, a.s[8]) },
	}, {
		name: "AdamStep plain", class: &vectors, bytes: 28,
		operands: []operand{out("w", sizeN), out("m", sizeN), out("v", sizeN), in("g", sizeN)}, scalars: adamScalars,
		call: func(a *args) result { return callAdam(a, 0, 1) },
	}, {
		name: "AMSGradStep", class: &vectors, bytes: 36,
		operands: []operand{out("w", sizeN), out("m", sizeN), out("v", sizeN), out("top", sizeN), in("g", sizeN)}, scalars: adamScalars,
		call: func(a *args) result {
			AMSGradStep(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), adamParams(a, a.s[7], a.s[8]))
			return result{}
		},
	}, {
		name: "AMSGradStep decoupled", class: &vectors, bytes: 36,
		operands: []operand{out("w", sizeN), out("m", sizeN), out("v", sizeN), out("top", sizeN), in("g", sizeN)}, scalars: adamScalars,
		call: func(a *args) result {
			AMSGradStep(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), adamParams(a, 0, a.s[8]))
			return result{}
		},
	}, {
		name: "AdagradStep", class: &vectors, bytes: 20,
		operands: []operand{out("w", sizeN), out("s", sizeN), in("g", sizeN)},
		scalars:  []float32{0.01, 1e-10, 1e-4},
		call: func(a *args) result {
			AdagradStep(a.v(0), a.v(1), a.v(2), AdagradParams{Step: a.s[0], Epsilon: a.s[1], WeightDecay: a.s[2]})
			return result{}
		},
	}, {
		name: "RMSPropStep", class: &vectors, bytes: 20,
		operands: []operand{out("w", sizeN), out("v", sizeN), in("g", sizeN)}, scalars: rmsPropScalars,
		call: func(a *args) result { return callRMSProp(a, a.v(0), a.v(1), nil, nil, a.v(2)) },
	}, {
		name: "RMSPropStep centered", class: &vectors, bytes: 28,
		operands: []operand{out("w", sizeN), out("v", sizeN), out("a", sizeN), in("g", sizeN)}, scalars: rmsPropScalars,
		call: func(a *args) result { return callRMSProp(a, a.v(0), a.v(1), a.v(2), nil, a.v(3)) },
	}, {
		name: "RMSPropStep momentum", class: &vectors, bytes: 28,
		operands: []operand{out("w", sizeN), out("v", sizeN), out("b", sizeN), in("g", sizeN)}, scalars: rmsPropScalars,
		call: func(a *args) result { return callRMSProp(a, a.v(0), a.v(1), nil, a.v(2), a.v(3)) },
	}, {
		name: "RMSPropStep centered momentum", class: &vectors, bytes: 36,
		operands: []operand{out("w", sizeN), out("v", sizeN), out("a", sizeN), out("b", sizeN), in("g", sizeN)}, scalars: rmsPropScalars,
		call: func(a *args) result { return callRMSProp(a, a.v(0), a.v(1), a.v(2), a.v(3), a.v(4)) },
	}, {
		name: "LionStep", class: &vectors, bytes: 20,
		operands: []operand{out("w", sizeN), out("m", sizeN), in("g", sizeN)},
		scalars:  []float32{0.9, 0.1, 0.99, 0.01, 1e-4, 0.99999},
		call: func(a *args) result {
			LionStep(a.v(0), a.v(1), a.v(2), LionParams{
				Beta1: a.s[0], Add1: a.s[1], Beta2: a.s[2], Add2: a.s[3], Step: a.s[4], Keep: a.s[5]})
			return result{}
		},
	}, {
		name: "Ger", class: &grids, bytes: 8,
		operands: []operand{out("a", sizeMN), in("x", sizeM), in("y", sizeN)}, scalars: []float32{0.3},
		call: func(a *args) result { Ger(a.v(0), a.v(1), a.v(2), a.s[0]); return result{} },
	}, {
		name: "Precondition", class: &grids, bytes: 8,
		operands: []operand{out("dst", sizeMN), in("m", sizeMN), in("row", sizeM), in("col", sizeN)},
		scalars:  []float32{1e-3},
		call: func(a *args) result {
			Precondition(a.v(0), a.v(1), a.v(2), a.v(3), a.s[0])
			return result{}
		},
	}, {
		name: "AdaFisherStep", class: &grids, bytes: 20,
		operands: []operand{out("w", sizeMN), out("m", sizeMN), in("g", sizeMN), in("row", sizeM), in("col", sizeN)}, scalars: fisherScalars,
		call: func(a *args) result { return callAdaFisher(a, a.s[4], a.s[5]) },
	}, {
		name: "AdaFisherStep decoupled", class: &grids, bytes: 20,
		operands: []operand{out("w", sizeMN), out("m", sizeMN), in("g", sizeMN), in("row", sizeM), in("col", sizeN)}, scalars: fisherScalars,
		call: func(a *args) result { return callAdaFisher(a, 0, a.s[5]) },
	}, {
		name: "AdaFisherStep plain", class: &grids, bytes: 20,
		operands: []operand{out("w", sizeMN), out("m", sizeMN), in("g", sizeMN), in("row", sizeM), in("col", sizeN)}, scalars: fisherScalars,
		call: func(a *args) result { return callAdaFisher(a, 0, 1) },
	}, {
		name: "CalibratedStep", class: &grids, bytes: 20,
		operands: []operand{out("w", sizeMN), out("m", sizeMN), in("g", sizeMN), in("row", sizeM), in("col", sizeN)},
		scalars:  calibratedScalars,
		call: func(a *args) result {
			CalibratedStep(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), nil, nil, nil, calibratedParams(a))
			return result{}
		},
	}, {
		name: "CalibratedStep centred", class: &grids, bytes: 20, apart: true, together: [][2]int{{0, 2}, {1, 2}},
		operands: []operand{out("w", sizeMN), out("m", sizeMN), in("g", sizeMN), in("row", sizeM), in("col", sizeN),
			in("mean", sizeM), in("shift", sizeN), out("moved", sizeN)},
		scalars: calibratedScalars,
		call: func(a *args) result {
			CalibratedStep(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), a.v(5), a.v(6), a.v(7), calibratedParams(a))
			return result{}
		},
	}, {
		name: "CalibratedSquares", class: &grids, bytes: 4, apart: true,
		operands: []operand{out("dst", sizeM), in("g", sizeMN), in("row", sizeM), in("col", sizeN)},
		call: func(a *args) result {
			CalibratedSquares(a.v(0), nil, a.v(1), a.v(2), a.v(3), nil, nil, CalibratedParams{})
			return result{}
		},
	}, {
		name: "CalibratedSquares centred", class: &grids, bytes: 4, apart: true,
		operands: []operand{out("dst", sizeM), in("g", sizeMN), in("row", sizeM), in("col", sizeN), in("mean", sizeM), in("shift", sizeN)},
		call: func(a *args) result {
			CalibratedSquares(a.v(0), nil, a.v(1), a.v(2), a.v(3), a.v(4), a.v(5), CalibratedParams{})
			return result{}
		},
	}, {
		name: "CalibratedSquares update", class: &grids, bytes: 8, apart: true,
		operands: []operand{out("dst", sizeM), in("m", sizeMN), in("g", sizeMN), in("row", sizeM), in("col", sizeN)},
		scalars:  calibratedScalars,
		call: func(a *args) result {
			CalibratedSquares(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), nil, nil, calibratedParams(a))
			return result{}
		},
	}, {
		name: "CalibratedSquares centred update", class: &grids, bytes: 8, apart: true,
		operands: []operand{out("dst", sizeM), in("m", sizeMN), in("g", sizeMN), in("row", sizeM), in("col", sizeN), in("mean", sizeM), in("shift", sizeN)},
		scalars:  calibratedScalars,
		call: func(a *args) result {
			CalibratedSquares(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), a.v(5), a.v(6), calibratedParams(a))
			return result{}
		},
	}, {
		name: "ColSums", class: &columns, bytes: 4, apart: true,
		operands: []operand{out("dst", sizeN), in("x", sizeMN)},
		call:     func(a *args) result { ColSums(a.v(0), a.v(1)); return result{} },
		pooled:   func(p *Pool, a *args) { p.ColSums(a.v(0), a.v(1)) },
	}, {
		name: "ColSumSquares", class: &columns, bytes: 4, apart: true,
		operands: []operand{out("dst", sizeN), in("x", sizeMN)},
		call:     func(a *args) result { ColSumSquares(a.v(0), a.v(1)); return result{} },
	}, {
		name: "Transpose", class: &transposes, bytes: 8, apart: true,
		operands: []operand{out("dst", sizeNM), in("src", sizeMN)},
		call:     func(a *args) result { Transpose(a.m[0], a.m[1]); return result{} },
	}, {
		name: "Add", class: &vectors, bytes: 12,
		operands: []operand{out("dst", sizeN), in("x", sizeN), in("y", sizeN)},
		call:     func(a *args) result { Add(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "Sub", class: &vectors, bytes: 12,
		operands: []operand{out("dst", sizeN), in("x", sizeN), in("y", sizeN)},
		call:     func(a *args) result { Sub(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "Mul", class: &vectors, bytes: 12,
		operands: []operand{out("dst", sizeN), in("x", sizeN), in("y", sizeN)},
		call:     func(a *args) result { Mul(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "Div", class: &vectors, bytes: 12,
		operands: []operand{out("dst", sizeN), in("x", sizeN), in("y", sizeN)},
		call:     func(a *args) result { Div(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "MulAdd", class: &vectors, bytes: 16,
		operands: []operand{out("dst", sizeN), in("x", sizeN), in("y", sizeN), in("z", sizeN)},
		call:     func(a *args) result { MulAdd(a.v(0), a.v(1), a.v(2), a.v(3)); return result{} },
	}, {
		name: "ScaleAdd", class: &vectors, bytes: 12,
		operands: []operand{out("dst", sizeN), in("x", sizeN), in("y", sizeN)}, scalars: []float32{-0.75, 1.3},
		call: func(a *args) result { ScaleAdd(a.v(0), a.v(1), a.v(2), a.s[0], a.s[1]); return result{} },
	}, {
		name: "Copy", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { Copy(a.v(0), a.v(1)); return result{} },
	}, {
		name: "Fill", class: &vectors, bytes: 4,
		operands: []operand{out("dst", sizeN)}, scalars: []float32{1.5},
		call: func(a *args) result { Fill(a.v(0), a.s[0]); return result{} },
	}, {
		name: "Clamp", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)}, scalars: []float32{-0.5, 0.8},
		call: func(a *args) result { Clamp(a.v(0), a.v(1), a.s[0], a.s[1]); return result{} },
	}, {
		name: "Abs", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { Abs(a.v(0), a.v(1)); return result{} },
	}, {
		name: "L1Norm", class: &vectors, bytes: 4,
		operands: []operand{in("x", sizeN)},
		call:     func(a *args) result { return result{L1Norm(a.v(0))} },
	}, {
		name: "L2Norm", class: &vectors, bytes: 4,
		operands: []operand{in("x", sizeN)},
		call:     func(a *args) result { return result{L2Norm(a.v(0))} },
	}, {
		name: "MaxAbs", class: &vectors, bytes: 4,
		operands: []operand{in("x", sizeN)},
		call:     func(a *args) result { return result{MaxAbs(a.v(0))} },
	}, {
		name: "ArgMax", class: &vectors, bytes: 4,
		operands: []operand{in("x", sizeN)},
		call:     func(a *args) result { return result{float32(ArgMax(a.v(0)))} },
	}, {
		name: "GlobalNorm", class: &vectors, bytes: 8,
		operands: []operand{in("x", sizeN), in("y", sizeN)},
		call: func(a *args) result {
			xs := [2][]float32{a.v(0), a.v(1)}
			return result{GlobalNorm(xs[:])}
		},
	}, {
		name: "ClipGlobalNorm", class: &vectors, bytes: 8, // nothing to clip after the first call
		operands: []operand{out("x", sizeN), out("y", sizeN)}, scalars: []float32{1},
		call: func(a *args) result {
			limit := abs32(a.s[0])
			if limit != limit {
				limit = 1
			}
			xs := [2][]float32{a.v(0), a.v(1)}
			return result{ClipGlobalNorm(xs[:], limit)}
		},
	}, {
		name: "Dropout", class: &vectors, bytes: 8,
		operands: []operand{out("dst", sizeN), in("x", sizeN)}, scalars: []float32{0.25},
		call: func(a *args) result {
			p := a.s[0]
			if !(p >= 0 && p <= 1) {
				p = 0.5
			}
			Dropout(a.v(0), a.v(1), p, uint64(a.k), 5*a.k)
			return result{}
		},
	}, {
		name: "ColAffine", class: &grids, bytes: 8,
		operands: []operand{out("dst", sizeMN), in("x", sizeMN), in("scale", sizeN), in("shift", sizeN)},
		call:     func(a *args) result { ColAffine(a.v(0), a.v(1), a.v(2), a.v(3)); return result{} },
	}, {
		name: "ColAffineReLU", class: &grids, bytes: 8,
		operands: []operand{out("dst", sizeMN), in("x", sizeMN), in("scale", sizeN), in("shift", sizeN)},
		call:     func(a *args) result { ColAffineReLU(a.v(0), a.v(1), a.v(2), a.v(3)); return result{} },
	}, {
		name: "BiasReLU", class: &grids, bytes: 8,
		operands: []operand{out("dst", sizeMN), in("x", sizeMN), in("bias", sizeN)},
		call:     func(a *args) result { BiasReLU(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "BiasTanh", class: &grids, bytes: 8,
		operands: []operand{out("dst", sizeMN), in("x", sizeMN), in("bias", sizeN)},
		call:     func(a *args) result { BiasTanh(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "RowSums", class: &grids, bytes: 4, apart: true,
		operands: []operand{out("dst", sizeM), in("x", sizeMN)},
		call:     func(a *args) result { RowSums(a.v(0), a.v(1)); return result{} },
	}, {
		name: "RowMeanVariance", class: &grids, bytes: 4, apart: true,
		operands: []operand{out("mean", sizeM), out("variance", sizeM), in("x", sizeMN)},
		call:     func(a *args) result { RowMeanVariance(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "ColMeanVariance", class: &columns, bytes: 8, apart: true,
		operands: []operand{out("mean", sizeN), out("variance", sizeN), in("x", sizeMN)},
		call:     func(a *args) result { ColMeanVariance(a.v(0), a.v(1), a.v(2)); return result{} },
		pooled:   func(p *Pool, a *args) { p.ColMeanVariance(a.v(0), a.v(1), a.v(2)) },
	}, {
		name: "LayerNorm", class: &grids, bytes: 8,
		operands: []operand{out("dst", sizeMN), out("mean", sizeM), out("rstd", sizeM),
			in("x", sizeMN), in("gamma", sizeN), in("beta", sizeN)},
		scalars: []float32{1e-5},
		call: func(a *args) result {
			LayerNorm(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), a.v(5), a.s[0])
			return result{}
		},
	}, {
		name: "LayerNormBackward", class: &columns, bytes: 12, apart: true, together: [][2]int{{0, 3}, {0, 4}},
		operands: []operand{out("dx", sizeMN), out("dgamma", sizeN), out("dbeta", sizeN),
			in("dy", sizeMN), in("x", sizeMN), in("mean", sizeM), in("rstd", sizeM), in("gamma", sizeN)},
		call: func(a *args) result {
			LayerNormBackward(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), a.v(5), a.v(6), a.v(7))
			return result{}
		},
	}, {
		name: "BatchNormBackward", class: &columns, bytes: 20, apart: true, together: [][2]int{{0, 3}, {0, 4}},
		operands: []operand{out("dx", sizeMN), out("dgamma", sizeN), out("dbeta", sizeN),
			in("dy", sizeMN), in("x", sizeMN), in("mean", sizeN), in("rstd", sizeN), in("gamma", sizeN)},
		call: func(a *args) result {
			BatchNormBackward(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), a.v(5), a.v(6), a.v(7))
			return result{}
		},
		pooled: func(p *Pool, a *args) {
			p.BatchNormBackward(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), a.v(5), a.v(6), a.v(7))
		},
	}, {
		name: "BatchNormReLUBackward", class: &columns, bytes: 20, apart: true, together: [][2]int{{0, 3}, {0, 4}},
		operands: []operand{out("dx", sizeMN), out("dgamma", sizeN), out("dbeta", sizeN),
			in("dy", sizeMN), in("x", sizeMN), in("mean", sizeN), in("rstd", sizeN), in("gamma", sizeN),
			in("scale", sizeN), in("shift", sizeN)},
		call: func(a *args) result {
			BatchNormReLUBackward(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), a.v(5), a.v(6), a.v(7), a.v(8), a.v(9))
			return result{}
		},
		pooled: func(p *Pool, a *args) {
			p.BatchNormReLUBackward(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), a.v(5), a.v(6), a.v(7), a.v(8), a.v(9))
		},
	}, {
		name: "Conv2dForward", class: &convolutions, apart: true,
		operands: []operand{out("y", sizeOutputs), in("x", sizeImages), in("w", sizeWeights), in("bias", sizeOut),
			{"scratch", scratch, sizeConvScratch}},
		call: func(a *args) result {
			c, _ := convolutionOf(a.shape)
			c.Forward(a.v(0), a.v(1), a.v(2), convolutionBias(a), a.v(4))
			return result{}
		},
		pooled: func(p *Pool, a *args) {
			c, _ := convolutionOf(a.shape)
			p.ConvForward(c, a.v(0), a.v(1), a.v(2), convolutionBias(a), shared(c.Scratch(p.Workers())))
		},
	}, {
		name: "Conv2dInputGradient", class: &convolutions, apart: true,
		operands: []operand{out("dx", sizeImages), in("dy", sizeOutputs), in("w", sizeWeights), {"scratch", scratch, sizeConvScratch}},
		call: func(a *args) result {
			c, _ := convolutionOf(a.shape)
			c.InputGradient(a.v(0), a.v(1), a.v(2), a.v(3))
			return result{}
		},
		pooled: func(p *Pool, a *args) {
			c, _ := convolutionOf(a.shape)
			p.ConvInputGradient(c, a.v(0), a.v(1), a.v(2), shared(c.Scratch(p.Workers())))
		},
	}, {
		name: "Conv2dWeightGradient", class: &convolutions, apart: true,
		operands: []operand{out("dw", sizeWeights), in("x", sizeImages), in("dy", sizeOutputs), {"scratch", scratch, sizeConvScratch}},
		call: func(a *args) result {
			c, _ := convolutionOf(a.shape)
			c.WeightGradient(a.v(0), a.v(1), a.v(2), a.v(3))
			return result{}
		},
		pooled: func(p *Pool, a *args) {
			c, _ := convolutionOf(a.shape)
			p.ConvWeightGradient(c, a.v(0), a.v(1), a.v(2), shared(c.Scratch(p.Workers())))
		},
	}, {
		name: "Conv2dPatchSumSquares", class: &convolutions, apart: true,
		operands: []operand{out("dst", sizePatch), in("x", sizeImages), {"scratch", scratch, sizeConvScratch}},
		call: func(a *args) result {
			c, _ := convolutionOf(a.shape)
			c.PatchSumSquares(a.v(0), a.v(1), a.v(2))
			return result{}
		},
		pooled: func(p *Pool, a *args) {
			c, _ := convolutionOf(a.shape)
			p.ConvPatchSumSquares(c, a.v(0), a.v(1), shared(c.Scratch(p.Workers())))
		},
	}, {
		name: "Conv2dPatchSums", class: &convolutions, apart: true,
		operands: []operand{out("dst", sizePatch), in("x", sizeImages), {"scratch", scratch, sizeConvScratch}},
		call: func(a *args) result {
			c, _ := convolutionOf(a.shape)
			c.PatchSums(a.v(0), a.v(1), a.v(2))
			return result{}
		},
		pooled: func(p *Pool, a *args) {
			c, _ := convolutionOf(a.shape)
			p.ConvPatchSums(c, a.v(0), a.v(1), shared(c.Scratch(p.Workers())))
		},
	}, {
		name: "Pooling2dMax", class: &poolings, apart: true,
		operands: []operand{out("y", sizePoolings), out("index", sizePoolings), in("x", sizePooled)},
		call: func(a *args) result {
			p, _ := poolingOf(a.shape)
			index := integers(a.v(1))
			if a.n%5 == 0 {
				clear(index)
				index = nil
			}
			p.Max(a.v(0), index, a.v(2))
			return result{}
		},
	}, {
		name: "Pooling2dMaxBackward", class: &poolings, apart: true,
		operands: []operand{out("dx", sizePooled), in("dy", sizePoolings), in("x", sizePooled),
			{"y", scratch, sizePoolings}, {"index", scratch, sizePoolings}},
		call: func(a *args) result {
			p, _ := poolingOf(a.shape)
			index := integers(a.v(4))
			p.Max(a.v(3), index, a.v(2))
			p.MaxBackward(a.v(0), a.v(1), index)
			return result{}
		},
	}, {
		name: "Pooling2dAverage", class: &poolings, apart: true,
		operands: []operand{out("y", sizePoolings), in("x", sizePooled)},
		call: func(a *args) result {
			p, _ := poolingOf(a.shape)
			p.Average(a.v(0), a.v(1))
			return result{}
		},
	}, {
		name: "Pooling2dAverageBackward", class: &poolings, apart: true,
		operands: []operand{out("dx", sizePooled), in("dy", sizePoolings)},
		call: func(a *args) result {
			p, _ := poolingOf(a.shape)
			p.AverageBackward(a.v(0), a.v(1))
			return result{}
		},
	}, {
		name: "GlobalAveragePool", class: &globals, apart: true, bytes: 4,
		operands: []operand{out("y", sizeKN), in("x", sizeKMN)},
		call:     func(a *args) result { GlobalAveragePool(a.v(0), a.v(1), a.n); return result{} },
	}, {
		name: "GlobalAveragePoolBackward", class: &globals, apart: true, bytes: 4,
		operands: []operand{out("dx", sizeKMN), in("dy", sizeKN)},
		call:     func(a *args) result { GlobalAveragePoolBackward(a.v(0), a.v(1), a.n); return result{} },
	}, {
		name: "SoftmaxRows", class: &strips, bytes: 8,
		operands: []operand{out("dst", sizeMN), in("x", sizeMN)}, scalars: []float32{0.125},
		call: func(a *args) result { SoftmaxRows(a.m[0], a.m[1], positive(a.s[0])); return result{} },
	}, {
		name: "CausalSoftmaxRows", class: &triangles, bytes: 8,
		operands: []operand{out("dst", sizeMN), in("x", sizeMN)}, scalars: []float32{0.125},
		call: func(a *args) result {
			CausalSoftmaxRows(square(a.m[0]), square(a.m[1]), positive(a.s[0]))
			return result{}
		},
	}, {
		name: "SoftmaxRowsBackward", class: &strips, bytes: 12, apart: true, together: [][2]int{{0, 1}},
		operands: []operand{out("dx", sizeMN), in("dy", sizeMN), in("y", sizeMN)}, scalars: []float32{0.125},
		call: func(a *args) result { SoftmaxRowsBackward(a.m[0], a.m[1], a.m[2], a.s[0]); return result{} },
	}, {
		name: "CausalSoftmaxRowsBackward", class: &triangles, bytes: 12, apart: true, together: [][2]int{{0, 1}},
		operands: []operand{out("dx", sizeMN), in("dy", sizeMN), in("y", sizeMN)}, scalars: []float32{0.125},
		call: func(a *args) result {
			CausalSoftmaxRowsBackward(square(a.m[0]), square(a.m[1]), square(a.m[2]), a.s[0])
			return result{}
		},
	}, {
		name: "LogSoftmaxRows", class: &strips, bytes: 8,
		operands: []operand{out("dst", sizeMN), in("x", sizeMN)},
		call:     func(a *args) result { LogSoftmaxRows(a.m[0], a.m[1]); return result{} },
	}, {
		name: "LogSoftmaxRowsBackward", class: &strips, bytes: 12, apart: true, together: [][2]int{{0, 1}},
		operands: []operand{out("dx", sizeMN), in("dy", sizeMN), in("y", sizeMN)},
		call:     func(a *args) result { LogSoftmaxRowsBackward(a.m[0], a.m[1], a.m[2]); return result{} },
	}, {
		// The shape chooses what is given.
		name: "SoftmaxCrossEntropyRows", class: &grids, bytes: 8, apart: true, together: [][2]int{{1, 2}},
		operands: []operand{out("losses", sizeM), out("dx", sizeMN), in("x", sizeMN), in("weights", sizeM), in("classWeights", sizeN)},
		scalars:  []float32{1. / 32, 0.1},
		call: func(a *args) result {
			p := CrossEntropyParams{Scale: a.s[0]}
			variant := a.shape.m + a.n
			if variant&1 != 0 {
				p.Weights = a.v(3)
			}
			if variant&2 != 0 {
				p.ClassWeights = a.v(4)
			}
			if variant&4 != 0 {
				p.Smoothing = fraction(a.s[1])
			}
			if a.n > 0 { // else no label is in range
				SoftmaxCrossEntropyRows(a.v(0), a.v(1), a.v(2), labels(a.shape.m, a.n), p)
			}
			return result{}
		},
	}, {
		name: "SigmoidCrossEntropy", class: &grids, bytes: 12,
		operands: []operand{out("dx", sizeMN), in("x", sizeMN), in("targets", sizeMN), in("weights", sizeMN), in("posWeights", sizeN)},
		scalars:  []float32{1. / 32},
		call: func(a *args) result {
			p := SigmoidCrossEntropyParams{Scale: a.s[0]}
			variant := a.shape.m + a.n
			if variant&1 != 0 {
				p.Weights = a.v(3)
			}
			if variant&2 != 0 {
				p.PosWeights = a.v(4)
			}
			return result{SigmoidCrossEntropy(a.v(0), a.v(1), a.v(2), p)}
		},
	}, {
		name: "InvalidIndex", class: &vectors, bytes: 4,
		operands: []operand{in("x", sizeN), {"indices", scratch, sizeN}},
		call: func(a *args) result {
			for i, v := range a.v(0) { // some are whole
				a.v(1)[i] = float32(math.Trunc(16*float64(v))) / 8
			}
			return result{float32(InvalidIndex(a.v(1), a.k))}
		},
	}, {
		name: "CountIndices", class: &vectors, bytes: 8,
		operands: []operand{out("counts", sizeN), {"indices", scratch, sizeN}},
		call:     func(a *args) result { CountIndices(a.v(0), indices(a.v(1), a.n)); return result{} },
	}, {
		name: "GatherRows", class: &lookups, bytes: 8, apart: true,
		operands: []operand{out("dst", sizeMN), in("table", sizeKN), {"indices", scratch, sizeM}},
		call: func(a *args) result {
			if a.k > 0 { // else no index is in range
				GatherRows(a.m[0], a.m[1], indices(a.v(2), a.k))
			}
			return result{}
		},
	}, {
		name: "ScatterAddRows", class: &lookups, bytes: 12, apart: true,
		operands: []operand{out("table", sizeKN), in("src", sizeMN), {"indices", scratch, sizeM}},
		call: func(a *args) result {
			if a.k > 0 {
				ScatterAddRows(a.m[0], a.m[1], indices(a.v(2), a.k))
			}
			return result{}
		},
	}, {
		name: "ColMul", class: &grids, bytes: 8,
		operands: []operand{out("dst", sizeMN), in("x", sizeMN), in("scale", sizeN)},
		call:     func(a *args) result { ColMul(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		name: "ColDots", class: &columns, bytes: 8, apart: true,
		operands: []operand{out("dst", sizeN), in("x", sizeMN), in("y", sizeMN)},
		call:     func(a *args) result { ColDots(a.v(0), a.v(1), a.v(2)); return result{} },
	}, {
		// float16 operands take the first half of the memory.
		name: "FromFloat16", class: &vectors, bytes: 6, apart: true,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { FromFloat16(a.v(0), halves(a.v(1))[:a.n]); return result{} },
	}, {
		name: "ToFloat16", class: &vectors, bytes: 6, apart: true,
		operands: []operand{out("dst", sizeN), in("x", sizeN)},
		call:     func(a *args) result { ToFloat16(halves(a.v(0))[:a.n], a.v(1)); return result{} },
	}, {
		name: "GemmFloat16", class: &products, apart: true,
		operands: []operand{out("C", sizeMN), in("A", sizeMK), in("B", sizeKN), in("Bias", sizeN), {"Scratch", scratch, sizeScratch}},
		call: func(a *args) result {
			g := formOf(a, 4)
			b := a.m[2]
			g.MultiplyFloat16(a.m[0], a.m[1], Float16Matrix{Rows: b.Rows, Cols: b.Cols, Stride: b.Stride, Data: halves(b.Data)})
			return result{}
		},
	}, {
		name: "Pack", class: &products, apart: true,
		operands: []operand{out("C", sizeMN), in("A", sizeMK), in("B", sizeKN), in("Bias", sizeN), {"Packed", scratch, sizeKN}},
		call: func(a *args) result {
			g := formOf(a, 4)
			g.Scratch = nil
			g.MultiplyPacked(a.m[0], a.m[1], Pack(a.v(4), a.m[2]))
			return result{}
		},
	}, {
		name: "PackTransposed", class: &products, apart: true,
		operands: []operand{out("C", sizeMN), in("A", sizeMK), in("B", sizeNK), in("Bias", sizeN), {"Packed", scratch, sizeKN}},
		call: func(a *args) result {
			g := formOf(a, 4)
			g.Scratch = nil
			g.MultiplyPacked(a.m[0], a.m[1], PackTransposed(a.v(4), a.m[2]))
			return result{}
		},
	}, {
		name: "PackFloat16", class: &products, apart: true,
		operands: []operand{out("C", sizeMN), in("A", sizeMK), in("B", sizeKN), in("Bias", sizeN), {"Packed", scratch, sizeKN}, {"Scratch", scratch, sizeScratch}},
		call: func(a *args) result {
			formOf(a, 5).MultiplyPackedFloat16(a.m[0], a.m[1], PackFloat16(halves(a.v(4))[:a.k*a.n], a.m[2]))
			return result{}
		},
	}, {
		name: "OuterProducts", class: &products, apart: true,
		operands: []operand{out("a", sizeMN), in("x", sizeKM), in("y", sizeKN)}, scalars: []float32{0.03},
		call: func(a *args) result { OuterProducts(a.m[0], a.m[1], a.m[2], a.s[0]); return result{} },
	},
}, append(syrks(), gemms()...)...)

// syrks returns the forms of the symmetric product.
func syrks() (rows []kernel) {
	for _, trans := range []bool{false, true} {
		for _, acc := range []bool{false, true} {
			k := kernel{name: "Syrk", class: &symmetric, apart: true, operands: []operand{out("C", sizeNN), in("A", sizeKN)}}
			if trans {
				k.name += " transposed"
			} else {
				k.operands = []operand{out("C", sizeNN), in("A", sizeNK), {"Scratch", scratch, sizeScratch}}
			}
			if acc {
				k.name += " accumulated"
			}
			form := func(scratch []float32) Syrk { return Syrk{Trans: trans, Accumulate: acc, Scratch: scratch} }
			k.call = func(a *args) result {
				var scratch []float32
				if !trans {
					scratch = a.v(2)
				}
				form(scratch).Multiply(a.m[0], a.m[1])
				return result{}
			}
			k.pooled = func(p *Pool, a *args) {
				p.MultiplySymmetric(form(shared(p.Workers()*GemmScratch)), a.m[0], a.m[1])
			}
			rows = append(rows, k)
		}
	}
	return rows
}

// convolutionBias returns operand 3, or nil.
func convolutionBias(a *args) []float32 {
	if a.shape.m%3 == 0 {
		return nil
	}
	return a.v(3)
}

// shared returns workspace for workers, valid until the next call.
func shared(n int) []float32 {
	if len(sharedBuffer) < n {
		sharedBuffer = make([]float32, n)
	}
	return sharedBuffer[:n]
}

var sharedBuffer []float32

// formOf returns a form of a product without transpositions, which the shape
// chooses, with Bias as operand 3 and Scratch as another.
func formOf(a *args, scratch int) Gemm {
	g := Gemm{Accumulate: a.n&1 != 0, Scratch: a.v(scratch), Activation: Activation(a.n / 4 % 7)}
	if a.n&2 != 0 {
		g.Bias = a.v(3)
	}
	return g
}

// integers returns words as integers.
func integers(x []float32) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

var calibratedScalars = []float32{0.9, 0.1, 1.4, 0.005, 0.99999}

func calibratedParams(a *args) CalibratedParams {
	return CalibratedParams{Beta: a.s[0], Add: a.s[1], Share: a.s[2], Step: a.s[3], Keep: a.s[4]}
}

var fisherScalars = []float32{0.9, 0.1, 0.0052, 1e-3, 1e-4, 0.99999}

func callAdaFisher(a *args, decay, keep float32) result {
	AdaFisherStep(a.v(0), a.v(1), a.v(2), a.v(3), a.v(4), AdaFisherParams{
		Beta: a.s[0], Add: a.s[1], Step: a.s[2], Lambda: a.s[3], WeightDecay: decay, Keep: keep})
	return result{}
}

var adamScalars = []float32{0.9, 0.1, 0.999, 0.001, 0.0052, 333.6, 1e-8, 1e-4, 0.99999}

func adamParams(a *args, decay, keep float32) AdamParams {
	return AdamParams{Beta1: a.s[0], Add1: a.s[1], Beta2: a.s[2], Add2: a.s[3],
		Step: a.s[4], Correct2: a.s[5], Epsilon: a.s[6], WeightDecay: decay, Keep: keep}
}

func callAdam(a *args, decay, keep float32) result {
	AdamStep(a.v(0), a.v(1), a.v(2), a.v(3), adamParams(a, decay, keep))
	return result{}
}

var rmsPropScalars = []float32{0.99, 0.01, 1e-8, 0.9, 0.01, 1e-4}

func callRMSProp(a *args, w, v, mean, velocity, g []float32) result {
	RMSPropStep(w, v, mean, velocity, g, RMSPropParams{
		Alpha: a.s[0], Add: a.s[1], Epsilon: a.s[2], Momentum: a.s[3], LR: a.s[4], WeightDecay: a.s[5]})
	return result{}
}

// positive makes a drawn scalar one that is not negative, infinite or NaN.
func positive(x float32) float32 {
	if x-x != 0 {
		return 1
	}
	return abs32(x)
}

// fraction makes a drawn scalar one from 0 to 1.
func fraction(x float32) float32 {
	if x = positive(x); x > 1 {
		x = 1 / x
	}
	return x
}

// indices fills v with indices below n; some come twice.
func indices(v []float32, n int) []float32 {
	for i := range v {
		v[i] = float32(i * i * 7 % max(n, 1))
	}
	return v
}

// halves returns the memory of v as float16.
func halves(v []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(v))), 2*len(v))
}

// labels returns m labels of n classes, valid until the next call.
func labels(m, n int) []int {
	if len(labelBuffer) < m {
		labelBuffer = make([]int, m)
	}
	for i := range m {
		labelBuffer[i] = i * 7 % n
	}
	return labelBuffer[:m]
}

var labelBuffer []int

// gemms returns the forms of the matrix product: GemmNN to GemmTT, each with
// and without Accumulate ("Acc") and Bias; and some with activations.
func gemms() (rows []kernel) {
	for _, acc := range []bool{false, true} {
		for _, bias := range []bool{false, true} {
			for _, ta := range []bool{false, true} {
				for _, tb := range []bool{false, true} {
					rows = append(rows, gemmKernel(Gemm{TransA: ta, TransB: tb, Accumulate: acc}, bias))
				}
			}
		}
	}
	for _, g := range []Gemm{{}, {TransA: true, Accumulate: true}, {TransB: true}} {
		g.Activation = ActivationReLU
		rows = append(rows, gemmKernel(g, g.Accumulate))
	}
	return append(rows, gemmKernel(Gemm{Activation: ActivationGELUTanh}, true))
}

func gemmKernel(g Gemm, bias bool) kernel {
	name, a, b := "Gemm", in("A", sizeMK), in("B", sizeKN)
	for _, trans := range []bool{g.TransA, g.TransB} {
		if trans {
			name += "T"
		} else {
			name += "N"
		}
	}
	if g.TransA {
		a.size = sizeKM
	}
	if g.TransB {
		b.size = sizeNK
	}
	ops := []operand{out("C", sizeMN), a, b}
	if g.TransB {
		ops = append(ops, operand{"Scratch", scratch, sizeScratch})
	}
	if g.Accumulate {
		name += "Acc"
	}
	if bias {
		name += "Bias"
		ops = append(ops, in("Bias", sizeN))
	}
	if g.Activation != ActivationNone {
		name += fmt.Sprint("Act", g.Activation)
	}
	form := func(a *args, scratch []float32) Gemm {
		g := g
		g.Scratch = scratch
		if bias {
			g.Bias = a.v(len(ops) - 1)
		}
		return g
	}
	return kernel{
		name: name, class: &products, apart: true, operands: ops,
		call: func(a *args) result {
			var scratch []float32
			if g.TransB {
				scratch = a.v(3)
			}
			form(a, scratch).Multiply(a.m[0], a.m[1], a.m[2])
			return result{}
		},
		pooled: func(p *Pool, a *args) {
			p.Multiply(form(a, shared(p.Workers()*GemmScratch)), a.m[0], a.m[1], a.m[2])
		},
	}
}
