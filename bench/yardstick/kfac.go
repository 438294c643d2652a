package yardstick

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
)

// KFACConfig is the configuration of [KFAC].
type KFACConfig struct {
	LR       float64 // learning rate
	Momentum float64 // decay of the velocity, in [0, 1)
	Decay    float64 // of the running averages of the factors, in [0, 1)
	Damping  float64 // lambda, above 0
	TCov     int     // steps from one update of the factors to the next
	TInv     int     // steps from one inversion to the next
	Clip     float64 // kappa, bounds the size of a step; 0 is no bound
	Seed     uint64  // of the labels that are drawn
}

// KFACDefaults returns what implementations of K-FAC for deep networks use:
// momentum 0.9, decay 0.95, clip 1e-3, factors every 10 steps and inverses every
// 50, and more often before that, when the factors still change much.
// Their damping is between 3e-4 and 3e-2; of 1e-3, 1e-2 and 1e-1, on small networks
// the last two do better than the first, which leaves 3e-2.
func KFACDefaults() KFACConfig {
	return KFACConfig{LR: 1e-2, Momentum: 0.9, Decay: 0.95, Damping: 3e-2, TCov: 10, TInv: 50, Clip: 1e-3}
}

// KFAC is K-FAC (Martens and Grosse, arXiv 1503.05671), for convolutions as in
// Grosse and Martens (arXiv 1602.01407). For a layer with inputs a, with a 1 behind
// them if it has a bias, and derivatives g of the loss of one label at its outputs,
// the Fisher matrix is taken as A (x) G:
//
//	A = mean over rows of a*a'
//	G = sum over rows of g*g' / labels
//
// A row is a sample, a token or an output position, whose derivatives are taken as
// uncorrelated. The labels for g are drawn from the model's own predictions, which
// makes it the Fisher matrix and not the empirical one, by a second backward pass.
// Both are averaged with Decay over the updates. With factored Tikhonov damping
// (section 6.3),
//
//	pi = sqrt((tr(A)/dim(A)) / (tr(G)/dim(G)))
//	u  = (A + pi*sqrt(Damping)*I)^-1 * gradient * (G + sqrt(Damping)/pi*I)^-1
//
// and the steps are those of SGD with momentum along nu*u, where nu keeps the
// predicted change of the distribution below Clip (Ba et al. 2017, "Distributed
// second-order optimization using Kronecker-factored approximations"):
//
//	nu = min(1, sqrt(Clip / (LR^2 * sum of u*gradient)))
//
// In place of that reference's full rescaling and of the adaptive damping of the
// first paper. Parameters that no Linear or Conv2d layer owns (normalisations,
// embeddings) take their gradient as u, as grouped convolutions do.
type KFAC struct {
	rate
	config   KFACConfig
	params   []*kron.Param
	velocity [][]float32 // of each parameter
	layers   []*kfacLayer
	byLayer  map[*kron.Layer]*kfacLayer
	others   []int // the parameters that no layer here owns
	steps    int64
	updates  int64
	random   *rand.Rand
	labels   []int
	scores   []float32
}

type kfacLayer struct {
	layer        *kron.Layer
	weight, bias int // places of the parameters; bias is -1 without one
	in, out      int // dimensions of A and G
	a, g         []float32
	aInv, gInv   []float32
	gradient     []float32 // [in, out], the bias as last row
	half, u      []float32
	scratch      []float32

	// Sums of an update in progress.
	aSum, gSum []float32
	rows       int
	buffer     []float32 // rows with what stands beside or in place of the inputs
}

// NewKFAC returns a K-FAC optimizer for the model.
func NewKFAC(m *nn.Model, c KFACConfig) (*KFAC, error) {
	k := &KFAC{rate: rate{"K-FAC", c.LR}, config: c, byLayer: make(map[*kron.Layer]*kfacLayer), random: rand.New(rand.NewPCG(c.Seed, 0))}
	if m == nil {
		return nil, errNoModel
	}
	err := k.in(
		limits{"Momentum", c.Momentum, 0, largestDecay},
		limits{"Decay", c.Decay, 0, largestDecay},
		limits{"Damping", c.Damping, tiny, 1e6},
		limits{"TCov", float64(c.TCov), 1, many},
		limits{"TInv", float64(c.TInv), 1, many},
		limits{"Clip", c.Clip, 0, 1e6})
	if err != nil {
		return nil, err
	}
	k.params = m.Params()
	for _, p := range k.params {
		k.velocity = append(k.velocity, make([]float32, len(p.Value)))
	}
	for _, l := range m.Layers() {
		if len(l.Weight.Shape) != 2 && len(l.Weight.Shape) != 4 || l.Extension {
			continue
		}
		in, out := l.Inputs(), l.Outputs()
		if in*out != len(l.Weight.Value)+out && in*out != len(l.Weight.Value) {
			continue
		}
		layer := &kfacLayer{
			layer: l, in: in, out: out, weight: slices.Index(k.params, l.Weight), bias: -1,
			a: make([]float32, in*in), g: make([]float32, out*out),
			aInv: make([]float32, in*in), gInv: make([]float32, out*out),
			aSum: make([]float32, in*in), gSum: make([]float32, out*out),
			gradient: make([]float32, in*out), half: make([]float32, in*out), u: make([]float32, in*out),
			scratch: make([]float32, kernels.GemmScratchLarge),
		}
		if l.Bias != nil {
			layer.bias = slices.Index(k.params, l.Bias)
		}
		k.layers = append(k.layers, layer)
		k.byLayer[l] = layer
	}
	for i := range k.params {
		if !slices.ContainsFunc(k.layers, func(l *kfacLayer) bool { return l.weight == i || l.bias == i }) {
			k.others = append(k.others, i)
		}
	}
	return k, nil
}

// Train does one step; see [Trainer].
func (k *KFAC) Train(s *nn.Session, x []float32, labels []int) (float32, error) {
	y, err := s.Forward(x)
	if err != nil {
		return 0, err
	}
	update := k.steps%int64(k.config.TCov) == 0
	if update {
		if err := k.observe(s, y, labels); err != nil {
			return 0, err
		}
	}
	loss, err := s.SoftmaxCrossEntropy(labels)
	if err != nil {
		return 0, err
	}
	pass, err := s.Backward()
	if err != nil {
		return loss, err
	}
	if err := checkPass(k.name, pass, k.params); err != nil {
		return loss, err
	}
	if update {
		if err := k.commit(len(labels)); err != nil {
			return loss, err
		}
	}
	return loss, k.move(pass)
}

// observe sums up the factors of the last forward, with labels drawn from the
// scores y.
func (k *KFAC) observe(s *nn.Session, y []float32, labels []int) error {
	k.labels = slices.Grow(k.labels[:0], len(labels))[:len(labels)]
	classes := len(y) / len(labels)
	k.scores = slices.Grow(k.scores[:0], classes)[:classes]
	for r := range labels {
		kernels.Softmax(k.scores, y[r*classes:][:classes])
		left := float32(k.random.Float64())
		k.labels[r] = classes - 1
		for j, p := range k.scores {
			if left -= p; left < 0 {
				k.labels[r] = j
				break
			}
		}
	}
	if _, err := s.SoftmaxCrossEntropy(k.labels); err != nil {
		return err
	}
	for _, l := range k.layers {
		clear(l.aSum)
		clear(l.gSum)
		l.rows = 0
	}
	s.SetObserver(func(o nn.Observation) {
		if l := k.byLayer[o.Layer]; l != nil {
			l.add(o)
		}
	})
	defer s.SetObserver(nil)
	_, err := s.Backward()
	return err
}

// add adds the products of what one layer saw.
func (l *kfacLayer) add(o nn.Observation) {
	rows := len(o.DY) / l.out
	l.rows += rows
	addSquares.Multiply(square(l.gSum, l.out), kernels.NewMatrix(rows, l.out, o.DY))
	inputs := l.in
	if l.bias >= 0 {
		inputs--
	}
	if o.Conv == nil {
		x := o.X
		if l.bias >= 0 {
			x = l.room(rows)
			for r := range rows {
				copy(x[r*l.in:], o.X[r*inputs:][:inputs])
				x[r*l.in+inputs] = 1
			}
		}
		l.addInputs(x, rows)
		return
	}
	positions := o.Conv.OutH() * o.Conv.OutW()
	patches := l.room(positions)
	for n := range rows / positions {
		im2col(patches, l.in, o.X[n*o.Conv.InLen():][:o.Conv.InLen()], *o.Conv)
		if l.bias >= 0 {
			for r := range positions {
				patches[r*l.in+inputs] = 1
			}
		}
		l.addInputs(patches, positions)
	}
}

func (l *kfacLayer) addInputs(x []float32, rows int) {
	addSquares.Multiply(square(l.aSum, l.in), kernels.NewMatrix(rows, l.in, x))
}

// addSquares adds the outer products of rows with themselves.
var addSquares = kernels.Syrk{Trans: true, Accumulate: true}

func (l *kfacLayer) room(rows int) []float32 {
	l.buffer = slices.Grow(l.buffer[:0], rows*l.in)[:rows*l.in]
	return l.buffer
}

func square(x []float32, n int) kernels.Matrix { return kernels.NewMatrix(n, n, x) }

// Patches returns what each output position of the samples in x sees, one a row, with
// the inputs in the order of the weight.
func Patches(x []float32, c kernels.Conv2d) []float32 {
	width := c.Kernel[0] * c.Kernel[1] * c.C
	size := c.OutH() * c.OutW() * width
	samples := len(x) / c.InLen()
	all := make([]float32, samples*size)
	for n := range samples {
		im2col(all[n*size:][:size], width, x[n*c.InLen():][:c.InLen()], c)
	}
	return all
}

// im2col stores in each row of dst, at multiples of stride, what one output
// position of an image sees, in the order of the weight: kernel row, kernel column,
// channel.
func im2col(dst []float32, stride int, x []float32, c kernels.Conv2d) {
	for oy := range c.OutH() {
		for ox := range c.OutW() {
			row := dst[(oy*c.OutW()+ox)*stride:]
			for ky := range c.Kernel[0] {
				iy := oy*max(c.Stride[0], 1) + ky*max(c.Dilation[0], 1) - c.Padding[0]
				for kx := range c.Kernel[1] {
					ix := ox*max(c.Stride[1], 1) + kx*max(c.Dilation[1], 1) - c.Padding[1]
					to := row[(ky*c.Kernel[1]+kx)*c.C:][:c.C]
					if iy < 0 || iy >= c.H || ix < 0 || ix >= c.W {
						clear(to)
					} else {
						copy(to, x[(iy*c.W+ix)*c.C:])
					}
				}
			}
		}
	}
}

// commit moves the averages of all factors by the sums, or none of them, and
// inverts when it is time.
func (k *KFAC) commit(labels int) error {
	for _, l := range k.layers {
		if l.rows == 0 || !kernels.AllFinite(l.aSum) || !kernels.AllFinite(l.gSum) {
			return fmt.Errorf("yardstick: K-FAC: layer %s: a factor is not finite, or the pass did not reach it", l.layer.Name)
		}
	}
	k.updates++
	// The average over the updates so far, until that is longer than Decay's.
	keep := min(1-1/float64(k.updates), k.config.Decay)
	for _, l := range k.layers {
		kernels.EMA(l.a, l.aSum, float32(keep), float32((1-keep)/float64(l.rows)))
		kernels.EMA(l.g, l.gSum, float32(keep), float32((1-keep)*float64(labels)))
	}
	if k.steps%int64(k.config.TInv) == 0 || k.steps < int64(k.config.TInv) && powerOfTwo(k.updates) {
		for _, l := range k.layers {
			if err := l.invert(k.config.Damping); err != nil {
				return err
			}
		}
	}
	return nil
}

func powerOfTwo(n int64) bool { return n&(n-1) == 0 }

func (l *kfacLayer) invert(damping float64) error {
	a, g := meanDiagonal(l.a, l.in), meanDiagonal(l.g, l.out)
	pi := 1.0
	if a > 0 && g > 0 {
		pi = math.Sqrt(a / g)
	}
	root := math.Sqrt(damping)
	if !invert(l.aInv, l.a, l.in, pi*root) || !invert(l.gInv, l.g, l.out, root/pi) {
		return fmt.Errorf("yardstick: K-FAC: layer %s: a damped factor is not positive definite", l.layer.Name)
	}
	return nil
}

func meanDiagonal(x []float32, n int) float64 {
	sum := 0.0
	for i := range n {
		sum += float64(x[i*n+i])
	}
	return sum / float64(n)
}

// invert stores the inverse of x + damping*I, and reports whether there is one.
func invert(dst, x []float32, n int, damping float64) bool {
	m := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			m.SetSym(i, j, float64(x[i*n+j]))
		}
		m.SetSym(i, i, m.At(i, i)+damping)
	}
	var factor mat.Cholesky
	if !factor.Factorize(m) {
		return false
	}
	if err := factor.InverseTo(m); err != nil {
		return false
	}
	for i := range n {
		for j := i; j < n; j++ {
			v := float32(m.At(i, j))
			dst[i*n+j], dst[j*n+i] = v, v
		}
	}
	return true
}

// move takes the step of a pass that has been checked.
func (k *KFAC) move(p *kron.Pass) error {
	sum := 0.0
	for _, l := range k.layers {
		w := p.Gradients[l.weight].Data
		copy(l.gradient, w)
		if l.bias >= 0 {
			copy(l.gradient[len(w):], p.Gradients[l.bias].Data)
		}
		gradient, half, u := kernels.NewMatrix(l.in, l.out, l.gradient), kernels.NewMatrix(l.in, l.out, l.half), kernels.NewMatrix(l.in, l.out, l.u)
		kernels.Gemm{Scratch: l.scratch}.Multiply(half, square(l.aInv, l.in), gradient)
		kernels.Gemm{Scratch: l.scratch}.Multiply(u, half, square(l.gInv, l.out))
		sum += float64(kernels.Dot(l.u, l.gradient))
	}
	nu := 1.0
	if limit := sum * k.lr * k.lr; k.config.Clip > 0 && limit > k.config.Clip {
		nu = math.Sqrt(k.config.Clip / limit)
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return fmt.Errorf("yardstick: K-FAC: the step is not finite")
	}
	k.steps++
	momentum := float32(k.config.Momentum)
	step := func(i int, u []float32, scale float64) {
		if q := k.params[i]; !q.Frozen {
			kernels.EMA(k.velocity[i], u, momentum, float32(scale))
			kernels.Axpy(q.Value, k.velocity[i], float32(-k.lr))
		}
	}
	for _, l := range k.layers {
		n := len(p.Gradients[l.weight].Data)
		step(l.weight, l.u[:n], nu)
		if l.bias >= 0 {
			step(l.bias, l.u[n:], nu)
		}
	}
	for _, i := range k.others {
		step(i, p.Gradients[i].Data, 1)
	}
	return nil
}
