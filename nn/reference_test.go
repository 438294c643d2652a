package nn_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// A second implementation, in float64 and plain loops, of the forward pass of every
// layer. It reads the parameters of a model by name and shares no code with it.
// Gradients and output factors follow from it by differences.

// A spec describes a layer twice: as package nn does, and by its forward pass in
// float64, under its full name with a dot at the end: "1.0.".
type spec struct {
	nn.Layer
	forward func(r *ref, name string, x tensor) tensor
	name    *string // what Named says
}

// tensor is a batch of samples.
type tensor struct {
	rows  int
	shape []int // of a sample
	data  []float64
}

func newTensor(rows int, shape ...int) tensor {
	return tensor{rows, shape, make([]float64, rows*nn.Shape(shape).Size())}
}

func (x tensor) last() int { return x.shape[len(x.shape)-1] }

// with returns the same numbers in another shape.
func (x tensor) with(shape ...int) tensor { return tensor{x.rows, shape, x.data} }

// withLast returns zeros in the shape of x but for the last dimension.
func (x tensor) withLast(n int) tensor {
	shape := slices.Clone(x.shape)
	shape[len(shape)-1] = n
	return newTensor(x.rows, shape...)
}

// each returns f of each element.
func (x tensor) each(f func(float64) float64) tensor {
	y := x.with(x.shape...)
	y.data = make([]float64, len(x.data))
	for i, v := range x.data {
		y.data[i] = f(v)
	}
	return y
}

// sum returns x+y, element by element.
func (x tensor) sum(y tensor) tensor {
	i := -1
	return x.each(func(v float64) float64 { i++; return v + y.data[i] })
}

// ref is one model in float64, and what its last forward pass met.
type ref struct {
	t      testing.TB
	specs  []spec
	params map[string][]float64

	seed, pass uint64 // the session's random state
	dropouts   uint64 // so far in this pass

	// How far the pass stayed from where the function or its derivatives jump or
	// nearly do: a kink, a tie, the variance of a normalisation.
	margin float64

	// The usual size of the terms that cancel in normalisations: gradients of 1/2
	// divided by the least deviation.
	terms float64

	// By layer, the usual size of S where it is the square of a sum: what it would be
	// if the terms didn't correlate.
	uncorrelated map[string]float64

	training bool // a predictor computes something else

	visits     []visit // of factored layers, in order
	unfactored bool    // the layer at hand is
	moved      int     // number of the visit whose output is moved, or -1
	place      int     // which element
	by         float64
}

// A visit is one use of a factored layer in a pass.
type visit struct {
	name    string
	outputs int // numbers in the output
	x       tensor
	factors factorsOf
}

// factorsOf returns the raw factors of a layer with inputs x and gradients dy at its
// outputs.
type factorsOf func(x, dy tensor) (h, s []float64)

func newRef(t testing.TB, m *nn.Model, specs ...spec) *ref {
	r := &ref{t: t, specs: specs, params: make(map[string][]float64), moved: -1}
	for _, p := range m.Params() {
		r.params[p.Name] = widen(p.Value)
	}
	return r
}

func widen(x []float32) []float64 {
	w := make([]float64, len(x))
	for i, v := range x {
		w[i] = float64(v)
	}
	return w
}

func (r *ref) forward(x tensor) tensor {
	r.margin, r.terms, r.visits, r.dropouts = math.Inf(1), 0, nil, 0
	return sequence(r.specs...).forward(r, "", x)
}

// param returns the parameter of the given full name.
func (r *ref) param(name string) []float64 {
	p, ok := r.params[name]
	if !ok {
		require.Failf(r.t, "no parameter", "%q", name)
	}
	return p
}

// keepAway notes the distance from a place that differences can't cross.
func (r *ref) keepAway(distance float64) { r.margin = min(r.margin, distance) }

// factored notes a use of a factored layer and returns its output, moved if that is
// asked for.
func (r *ref) factored(name string, x, y tensor, factors factorsOf) tensor {
	if r.unfactored {
		return y
	}
	if r.moved == len(r.visits) {
		y.data[r.place] += r.by
	}
	r.visits = append(r.visits, visit{strings.TrimSuffix(name, "."), len(y.data), x, factors})
	return y
}

// difference returns the derivative of f at 0, by central differences of two
// widths: the error is of fourth order.
func difference(f func(d float64) float64) float64 {
	const h = 1e-4
	return (8*(f(h)-f(-h)) - (f(2*h) - f(-2*h))) / (12 * h)
}

// gradient returns the derivatives of the sum of dy*y in the numbers of v, which
// are parameters or x.
func (r *ref) gradient(v []float64, x tensor, dy []float32) []float64 {
	g := make([]float64, len(v))
	for i, v0 := range v {
		g[i] = difference(func(d float64) float64 {
			v[i] = v0 + d
			return r.loss(x, dy)
		})
		v[i] = v0
	}
	return g
}

func (r *ref) loss(x tensor, dy []float32) float64 {
	sum := 0.0
	for i, v := range r.forward(x).data {
		sum += v * float64(dy[i])
	}
	return sum
}

// factors returns the raw factors of each factored layer by name: of a layer that
// is used several times, their mean.
func (r *ref) factors(x tensor, dy []float32) (h, s map[string][]float64) {
	r.forward(x)
	visits := r.visits
	r.uncorrelated = make(map[string]float64)
	h, s = make(map[string][]float64), make(map[string][]float64)
	uses := make(map[string]float64)
	for k, v := range visits {
		grad := make([]float64, v.outputs)
		for i := range grad {
			grad[i] = difference(func(d float64) float64 {
				r.moved, r.place, r.by = k, i, d
				return r.loss(x, dy)
			})
		}
		r.moved = -1
		vh, vs := v.factors(v.x, tensor{v.x.rows, nil, grad})
		uses[v.name]++
		accumulate(h, v.name, vh)
		accumulate(s, v.name, vs)
	}
	for name, n := range uses {
		for _, v := range [][]float64{h[name], s[name]} {
			for i := range v {
				v[i] /= n
			}
		}
	}
	return h, s
}

func accumulate(all map[string][]float64, name string, v []float64) {
	if all[name] == nil {
		all[name] = make([]float64, len(v))
	}
	for i := range v {
		all[name][i] += v[i]
	}
}

// meanSquares returns the mean squares of the columns of x.
func meanSquares(x []float64, cols int) []float64 {
	m := make([]float64, cols)
	for i, v := range x {
		m[i%cols] += v * v / float64(len(x)/cols)
	}
	return m
}

// squaredSums returns the squares of the sums of the columns of x, over samples: the
// output factor of the normalisation of the given name.
func (r *ref) squaredSums(name string, x []float64, cols, samples int) []float64 {
	m := make([]float64, cols)
	for i, v := range x {
		m[i%cols] += v
	}
	for i, v := range m {
		m[i] = v * v / float64(samples)
	}
	name = strings.TrimSuffix(name, ".")
	for _, mean := range meanSquares(x, cols) {
		r.uncorrelated[name] = max(r.uncorrelated[name], mean*float64(len(x)/cols)/float64(samples))
	}
	return m
}

// The layers.

func linear(in, out int) spec { return linearSpec(in, out, true) }
func noBias(in, out int) spec { return linearSpec(in, out, false) }

func linearSpec(in, out int, bias bool) spec {
	l := nn.LinearNoBias(in, out)
	if bias {
		l = nn.Linear(in, out)
	}
	return spec{Layer: l, forward: func(r *ref, name string, x tensor) tensor {
		return refLinear(r, name, x, bias)
	}}
}

func refLinear(r *ref, name string, x tensor, bias bool) tensor {
	w := r.param(name + "weight")
	in := x.last()
	out := len(w) / in
	b := make([]float64, out)
	if bias {
		b = r.param(name + "bias")
	}
	y := x.withLast(out)
	for i := range y.data {
		p, j := i/out, i%out
		y.data[i] = b[j]
		for k := range in {
			y.data[i] += x.data[p*in+k] * w[k*out+j]
		}
	}
	return r.factored(name, x, y, func(x, dy tensor) (h, s []float64) {
		h = meanSquares(x.data, in)
		if bias {
			h = append(h, 1)
		}
		return h, meanSquares(dy.data, out)
	})
}

func elementwise(l nn.Layer, f func(float64) float64) spec {
	return spec{Layer: l, forward: func(_ *ref, _ string, x tensor) tensor { return x.each(f) }}
}

func refSigmoid(v float64) float64 { return 1 / (1 + math.Exp(-v)) }

var (
	relu = spec{Layer: nn.ReLU(), forward: func(r *ref, _ string, x tensor) tensor {
		return x.each(func(v float64) float64 {
			r.keepAway(math.Abs(v))
			return max(v, 0)
		})
	}}
	tanh     = elementwise(nn.Tanh(), math.Tanh)
	sigmoid  = elementwise(nn.Sigmoid(), refSigmoid)
	silu     = elementwise(nn.SiLU(), func(v float64) float64 { return v * refSigmoid(v) })
	gelu     = elementwise(nn.GELU(), func(v float64) float64 { return v * math.Erfc(-v/math.Sqrt2) / 2 })
	geluTanh = elementwise(nn.GELUTanh(), func(v float64) float64 {
		return v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
	})

	activations = []spec{relu, tanh, sigmoid, silu, gelu, geluTanh}
)

func layerNorm() spec {
	return spec{Layer: nn.LayerNorm(), forward: func(r *ref, name string, x tensor) tensor {
		gamma, beta := r.param(name+"weight"), r.param(name+"bias")
		n := x.last()
		y := x.each(func(float64) float64 { return 0 })
		for p := 0; p < len(x.data); p += n {
			row := x.data[p:][:n]
			mean, variance := moments(row)
			r.normalised(n, variance)
			for j, v := range row {
				y.data[p+j] = (v-mean)/math.Sqrt(variance+1e-5)*gamma[j] + beta[j]
			}
		}
		return r.factored(name, x, y, func(x, dy tensor) (h, s []float64) {
			kept := x.shape[0]
			size := len(x.data) / x.rows
			rest := size / kept
			sums := make([]float64, kept)
			for i, v := range x.data {
				sums[i%size/rest] += v / float64(rest*rest)
			}
			return normFactor(sums, x.rows), r.squaredSums(name, dy.data, n, x.rows)
		})
	}}
}

// normalised keeps the variance of n > 1 numbers from being so small that roundings
// in float32 count.
func (r *ref) normalised(n int, variance float64) {
	if n > 1 {
		r.keepAway(variance / 5)
		r.terms = max(r.terms, 0.5/math.Sqrt(variance))
	}
}

// normFactor is the input factor of a normalisation with the given sums.
func normFactor(sums []float64, samples int) []float64 {
	n2 := float64(samples * samples)
	h := []float64{0, float64(len(sums)) / n2}
	for _, a := range sums {
		h[0] += a * a / n2
	}
	return h
}

func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, variance
}

func embedding(n, features int) spec {
	return spec{Layer: nn.Embedding(n, features), forward: func(r *ref, name string, x tensor) tensor {
		w := r.param(name + "weight")
		y := newTensor(x.rows, x.shape[0], features)
		for i, token := range x.data {
			copy(y.data[i*features:], w[int(token)*features:][:features])
		}
		return r.factored(name, x, y, func(x, dy tensor) (h, s []float64) {
			h = make([]float64, n)
			for _, token := range x.data {
				h[int(token)] += 1 / float64(len(x.data))
			}
			return h, meanSquares(dy.data, features)
		})
	}}
}

func positions() spec {
	return spec{Layer: nn.Positions(), forward: func(r *ref, name string, x tensor) tensor {
		w := r.param(name + "weight")
		i := -1
		return x.each(func(v float64) float64 { i++; return v + w[i%len(w)] })
	}}
}

func scale() spec {
	return spec{Layer: nn.Scale(), forward: func(r *ref, name string, x tensor) tensor {
		w := r.param(name + "weight")
		i := -1
		return x.each(func(v float64) float64 { i++; return v * w[i%len(w)] })
	}}
}

func attention(a nn.Attention) spec {
	return spec{Layer: nn.SelfAttention(a), forward: func(r *ref, name string, x tensor) tensor {
		q := refLinear(r, name+"q.", x, !a.NoQueryBias)
		k := refLinear(r, name+"k.", x, !a.NoKeyBias)
		v := refLinear(r, name+"v.", x, !a.NoValueBias)
		tokens, inner, heads := x.shape[0], q.last(), max(a.Heads, 1)
		width := inner / heads
		mixed := newTensor(x.rows, tokens, inner)
		for n := range x.rows {
			at := func(t int) int { return (n*tokens + t) * inner }
			for h := range heads {
				for t := range tokens {
					seen := tokens
					if a.Causal {
						seen = t + 1
					}
					p, total := make([]float64, seen), 0.0
					for u := range p {
						score := 0.0
						for c := h * width; c < (h+1)*width; c++ {
							score += q.data[at(t)+c] * k.data[at(u)+c]
						}
						p[u] = math.Exp(score / math.Sqrt(float64(width)))
						total += p[u]
					}
					for u := range p {
						for c := h * width; c < (h+1)*width; c++ {
							mixed.data[at(t)+c] += p[u] / total * v.data[at(u)+c]
						}
					}
				}
			}
		}
		return refLinear(r, name+"o.", mixed, !a.NoOutputBias)
	}}
}

// flatten has PyTorch's order: an image channel by channel.
func flatten() spec {
	return spec{Layer: nn.Flatten(), forward: func(_ *ref, _ string, x tensor) tensor {
		y := newTensor(x.rows, len(x.data)/x.rows)
		if len(x.shape) != 3 {
			copy(y.data, x.data)
			return y
		}
		channels, area := x.shape[2], x.shape[0]*x.shape[1]
		for i, v := range x.data {
			n, p, c := i/(area*channels), i/channels%area, i%channels
			y.data[(n*channels+c)*area+p] = v
		}
		return y
	}}
}

func tokens() spec {
	return spec{Layer: nn.Tokens(), forward: func(_ *ref, _ string, x tensor) tensor {
		return x.with(x.shape[0]*x.shape[1], x.shape[2])
	}}
}

func mean() spec {
	return spec{Layer: nn.Mean(), forward: func(_ *ref, _ string, x tensor) tensor {
		n := x.last()
		y := newTensor(x.rows, n)
		size := len(x.data) / x.rows
		for i, v := range x.data {
			y.data[i/size*n+i%n] += v / float64(size/n)
		}
		return y
	}}
}

// dropout takes its mask from a session in the same random state, which has the
// same number of dropouts before it.
func dropout(p float64) spec {
	return spec{Layer: nn.Dropout(p), forward: func(r *ref, _ string, x tensor) tensor {
		var layers []nn.Layer
		for range r.dropouts {
			layers = append(layers, nn.Dropout(0))
		}
		r.dropouts++
		r.training = true
		m := model(r.t, nn.Shape{len(x.data)}, append(layers, nn.Dropout(p))...)
		s := session(r.t, m, 1)
		s.SetRandom(r.seed, r.pass)
		ones := make([]float32, len(x.data))
		for i := range ones {
			ones[i] = 1
		}
		mask, err := s.Forward(ones)
		require.NoError(r.t, err)
		i := -1
		return x.each(func(v float64) float64 {
			i++
			if mask[i] == 0 {
				return 0
			}
			return v / (1 - p)
		})
	}}
}

// batchNorm has the moments of the batch, as in training. On images it has factors.
func batchNorm() spec {
	return spec{Layer: nn.BatchNorm(), forward: func(r *ref, name string, x tensor) tensor {
		gamma, beta := r.param(name+"weight"), r.param(name+"bias")
		r.training = true
		n := x.last()
		y := x.withLast(n)
		for j := range n {
			var column []float64
			for i := j; i < len(x.data); i += n {
				column = append(column, x.data[i])
			}
			mean, variance := moments(column)
			r.normalised(len(column), variance)
			// Here x and mean are scaled before their difference is formed.
			r.terms = max(r.terms, math.Abs(mean)/math.Sqrt(variance+1e-5))
			for i, v := range column {
				y.data[i*n+j] = (v-mean)/math.Sqrt(variance+1e-5)*gamma[j] + beta[j]
			}
		}
		if len(x.shape) != 3 {
			return y
		}
		return r.factored(name, x, y, func(x, dy tensor) (h, s []float64) {
			p := float64(x.shape[0] * x.shape[1])
			sums := make([]float64, n)
			for i, v := range x.data {
				sums[i%n] += v / (p * p)
			}
			return normFactor(sums, x.rows), r.squaredSums(name, dy.data, n, x.rows)
		})
	}}
}

func conv2d(in, out int, c nn.Conv) spec {
	return spec{Layer: nn.Conv2d(in, out, c), forward: func(r *ref, name string, x tensor) tensor {
		w := r.param(name + "weight") // [kh, kw, in/groups, out]
		var bias []float64
		if !c.NoBias {
			bias = r.param(name + "bias")
		}
		groups := max(c.Groups, 1)
		depth := in / groups
		patch := c.Kernel[0] * c.Kernel[1] * depth
		windows := windowsOf(x.shape, c.Kernel, c.Stride, c.Padding, c.Dilation)
		y := newTensor(x.rows, windows.rows, windows.cols, out)
		sums := make([]float64, patch) // of squares over all patches
		for p := range len(y.data) / out {
			for tap, from := range windows.at(p, x) {
				if from < 0 {
					continue
				}
				for i, v := range x.data[from:][:in] {
					group, k := i/depth, tap*depth+i%depth
					sums[k] += v * v
					for o := group * out / groups; o < (group+1)*out/groups; o++ {
						y.data[p*out+o] += v * w[k*out+o]
					}
				}
			}
			for o, b := range bias {
				y.data[p*out+o] += b
			}
		}
		return r.factored(name, x, y, func(_, dy tensor) (h, s []float64) {
			for _, v := range sums {
				h = append(h, v/float64(len(dy.data)/out*patch))
			}
			if !c.NoBias {
				h = append(h, float64(groups)/float64(patch))
			}
			return h, meanSquares(dy.data, out)
		})
	}}
}

// windows are the places of a window on images.
type windows struct {
	shape                             []int // of an image
	rows, cols                        int   // of the output
	kernel, stride, padding, dilation [2]int
}

func windowsOf(shape []int, kernel, stride, padding, dilation [2]int) windows {
	w := windows{shape: shape, kernel: kernel, stride: stride, padding: padding, dilation: dilation}
	size := func(i int) int {
		w.stride[i], w.dilation[i] = max(w.stride[i], 1), max(w.dilation[i], 1)
		return (shape[i]+2*padding[i]-w.dilation[i]*(kernel[i]-1)-1)/w.stride[i] + 1
	}
	w.rows, w.cols = size(0), size(1)
	return w
}

// at returns for each tap of the window of output position p, counted over all
// images, where its first channel is in x: -1 in the padding.
func (w windows) at(p int, x tensor) (from []int) {
	image, row, col := p/(w.rows*w.cols), p/w.cols%w.rows, p%w.cols
	for a := range w.kernel[0] {
		for b := range w.kernel[1] {
			i := row*w.stride[0] - w.padding[0] + a*w.dilation[0]
			j := col*w.stride[1] - w.padding[1] + b*w.dilation[1]
			if i < 0 || i >= w.shape[0] || j < 0 || j >= w.shape[1] {
				from = append(from, -1)
			} else {
				from = append(from, ((image*w.shape[0]+i)*w.shape[1]+j)*w.shape[2])
			}
		}
	}
	return from
}

func maxPool2d(p nn.Pooling) spec {
	return pool2d(nn.MaxPool2d(p), p, func(r *ref, window []float64, _ int) float64 {
		slices.Sort(window)
		n := len(window)
		if n > 1 {
			r.keepAway(window[n-1] - window[n-2])
		}
		return window[n-1]
	})
}

func avgPool2d(p nn.Pooling) spec {
	return pool2d(nn.AvgPool2d(p), p, func(_ *ref, window []float64, taps int) float64 {
		sum := 0.0
		for _, v := range window {
			sum += v
		}
		return sum / float64(taps)
	})
}

// pool2d gives f the numbers of each window, without the padding, and its size.
func pool2d(l nn.Layer, p nn.Pooling, f func(r *ref, window []float64, taps int) float64) spec {
	return spec{Layer: l, forward: func(r *ref, _ string, x tensor) tensor {
		stride := p.Stride
		for i := range stride {
			if stride[i] == 0 {
				stride[i] = p.Kernel[i]
			}
		}
		w := windowsOf(x.shape, p.Kernel, stride, p.Padding, nn.Square(1))
		y := newTensor(x.rows, w.rows, w.cols, x.shape[2])
		for i := range y.data {
			var window []float64
			for _, from := range w.at(i/x.shape[2], x) {
				if from >= 0 {
					window = append(window, x.data[from+i%x.shape[2]])
				}
			}
			y.data[i] = f(r, window, p.Kernel[0]*p.Kernel[1])
		}
		return y
	}}
}

// The containers.

// sequence is the forward pass of Sequential.
func sequence(specs ...spec) spec {
	return spec{Layer: nn.Sequential(layersOf(specs)...), forward: func(r *ref, name string, x tensor) tensor {
		for i, s := range specs {
			x = s.forward(r, s.under(name, strconv.Itoa(i)), x)
		}
		return x
	}}
}

func layersOf(specs []spec) (layers []nn.Layer) {
	for _, s := range specs {
		layers = append(layers, s.Layer)
	}
	return layers
}

// under returns the layer's full name in the one called outer.
func (s spec) under(outer, own string) string {
	if s.name != nil {
		own = *s.name
	}
	if own == "" {
		return outer
	}
	return outer + own + "."
}

func residual(specs ...spec) spec {
	return spec{Layer: nn.Residual(layersOf(specs)...), forward: func(r *ref, name string, x tensor) tensor {
		return sequence(specs...).forward(r, name, x).sum(x)
	}}
}

func residualVia(shortcut spec, specs ...spec) spec {
	return spec{Layer: nn.ResidualVia(shortcut.Layer, layersOf(specs)...), forward: func(r *ref, name string, x tensor) tensor {
		short := shortcut.forward(r, shortcut.under(name, "downsample"), x)
		return sequence(specs...).forward(r, name, x).sum(short)
	}}
}

func named(name string, s spec) spec {
	return spec{Layer: nn.Named(name, s.Layer), forward: s.forward, name: &name}
}

// shared is a layer whose first place has the given full name.
func shared(first string, s spec) spec {
	return spec{Layer: nn.Shared(s.Layer), name: s.name, forward: func(r *ref, _ string, x tensor) tensor {
		return s.forward(r, first+".", x)
	}}
}

func unfactored(s spec) spec {
	return spec{Layer: nn.Unfactored(s.Layer), name: s.name, forward: func(r *ref, name string, x tensor) tensor {
		defer func(outer bool) { r.unfactored = outer }(r.unfactored)
		r.unfactored = true
		return s.forward(r, name, x)
	}}
}

// A wrapper has the name of what it wraps.
func initNormal(deviation float64, s spec) spec {
	return spec{Layer: nn.InitNormal(deviation, s.Layer), forward: s.forward, name: s.name}
}

// Losses.

// A refLoss returns the loss of the outputs y and its gradient there.
type refLoss func(y []float64) (float64, []float64)

// refCrossEntropy is the mean over rows of out scores, weighted by the weights of
// the labels; nil weights are 1, and the label nn.Ignore has 0.
func refCrossEntropy(labels []int, weights []float32, out int) refLoss {
	return func(y []float64) (loss float64, dy []float64) {
		weight := func(label int) float64 {
			switch {
			case label == nn.Ignore:
				return 0
			case weights == nil:
				return 1
			}
			return float64(weights[label])
		}
		total := 0.0
		for _, label := range labels {
			total += weight(label)
		}
		dy = make([]float64, len(y))
		for r, label := range labels {
			w := weight(label) / total
			if w == 0 {
				continue
			}
			sum := 0.0
			for j := range out {
				sum += math.Exp(y[r*out+j])
			}
			loss += w * (math.Log(sum) - y[r*out+label])
			for j := range out {
				dy[r*out+j] = w * math.Exp(y[r*out+j]) / sum
			}
			dy[r*out+label] -= w
		}
		return loss, dy
	}
}

func refMSE(target []float32) refLoss {
	return func(y []float64) (float64, []float64) {
		loss, n := 0.0, float64(len(y))
		dy := make([]float64, len(y))
		for i, v := range y {
			d := v - float64(target[i])
			loss += d * d / n
			dy[i] = 2 * d / n
		}
		return loss, dy
	}
}
