package main

import (
	"fmt"
	"time"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/losses"
	"github.com/nlpodyssey/spago/mat"
	spagonn "github.com/nlpodyssey/spago/nn"
	"github.com/nlpodyssey/spago/nn/linear"
	"github.com/nlpodyssey/spago/optimizers"
	"github.com/nlpodyssey/spago/optimizers/adam"
	"github.com/nlpodyssey/spago/optimizers/sgd"

	"github.com/adafisher-go/adafisher/bench/roof"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// layers are the sizes of the MLP whose training steps are raced.
var layers = []int{784, 512, 256, 10}

var batches = []int{1, 32, 128}

// rate is a learning rate that leaves the weights as they are: a network that
// has learned its one batch would have gradients that are unlike those of
// training.
const rate = small

// A step is a part of training, or a whole step with an optimizer.
type step struct {
	name      string
	optimizer func(m optim.Model) (optim.Optimizer, error) // nil for none
	pattern   roof.Pattern                                 // what the optimizer does to memory
	torch     string                                       // the same in PyTorch, or the nearest to it
	peers     string                                       // the same in spago and GoMLX; "" for none
}

var steps = []step{
	{name: "forward", torch: "forward", peers: "forward"},
	{name: "forward + backward", torch: "backward", peers: "backward"},
	{"step SGD", func(m optim.Model) (optim.Optimizer, error) {
		return optim.NewSGD(m, optim.SGDConfig{LR: rate, Momentum: 0.9})
	}, roof.Update2, "SGD", "SGD"},
	{"step Adam", func(m optim.Model) (optim.Optimizer, error) {
		c := optim.AdamDefaults()
		c.LR = rate
		return optim.NewAdam(m, c)
	}, roof.Update3, "Adam", "Adam"},
	{"step AdamW", func(m optim.Model) (optim.Optimizer, error) {
		c := optim.AdamWDefaults()
		c.LR = rate
		return optim.NewAdamW(m, c)
	}, roof.Update3, "AdamW", "AdamW"},
	{"step AdaFisher TCov=100", newFisher(100), roof.Update2, "", ""},
	{"step AdaFisher TCov=1", newFisher(1), roof.Update2, "", ""},
}

func newFisher(tcov int) func(m optim.Model) (optim.Optimizer, error) {
	return func(m optim.Model) (optim.Optimizer, error) {
		c := optim.AdaFisherDefaults()
		c.LR, c.TCov = rate, tcov
		return optim.NewAdaFisher(m, c)
	}
}

// trainingRaces returns a race for each size of batch.
func trainingRaces(p *peers) ([]race, error) {
	var all []race
	for _, batch := range batches {
		r := race{size: fmt.Sprintf("batch %d", batch), unit: "us", begin: func() { setLevel(best()) }}
		for _, s := range steps {
			run, err := s.ours(batch)
			if err != nil {
				return nil, err
			}
			contenders := []contender{{name: ourName(best()), run: run}}
			if s.torch != "" && p.torch != nil {
				contenders = append(contenders, contender{name: "PyTorch " + p.torch.version, run: func(n int) (time.Duration, error) {
					return p.torch.time("mlp", s.torch, batch, n)
				}})
			}
			if s.peers != "" {
				contenders = append(contenders, contender{name: spago, run: spagoStep(s.peers, batch)})
				run, err := gomlxStep(s.peers, batch)
				if err != nil {
					return nil, err
				}
				contenders = append(contenders, contender{name: gomlx, run: run})
			}
			top := s.roof(batch)
			for _, c := range contenders {
				c.kernel, c.roof, c.work = "mlp "+s.name, top, 1
				r.contenders = append(r.contenders, c)
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// samples returns a batch.
func samples(batch int) (x []float32, labels []int) {
	x, labels = make([]float32, batch*layers[0]), make([]int, batch)
	for i := range x {
		x[i] = float32(i*37%251) / 251
	}
	for i := range labels {
		labels[i] = i % layers[len(layers)-1]
	}
	return x, labels
}

// ours returns our step on one core.
func (s step) ours(batch int) (timed, error) {
	var sequence []nn.Layer
	for i := range len(layers) - 1 {
		if i > 0 {
			sequence = append(sequence, nn.ReLU())
		}
		sequence = append(sequence, nn.Linear(layers[i], layers[i+1]))
	}
	model, err := nn.NewSequential(sequence...)
	if err != nil {
		return nil, err
	}
	session, err := model.NewSession(batch)
	if err != nil {
		return nil, err
	}
	x, labels := samples(batch)
	run := func() error {
		_, err := session.Forward(x)
		return err
	}
	switch {
	case s.optimizer != nil:
		optimizer, err := s.optimizer(model)
		if err != nil {
			return nil, err
		}
		run = func() error {
			_, err := session.TrainSoftmaxCrossEntropy(optimizer, x, labels)
			return err
		}
	case s.name != "forward":
		run = func() error { return passes(session, x, labels) }
	}
	return cpu.repeated(run), nil
}

// passes goes forward and backward once.
func passes(session *nn.Session, x []float32, labels []int) error {
	if _, err := session.Forward(x); err != nil {
		return err
	}
	if _, err := session.SoftmaxCrossEntropy(labels); err != nil {
		return err
	}
	_, err := session.Backward()
	return err
}

// repeated times runs of a function.
func (clock clock) repeated(run func() error) timed {
	return func(runs int) (time.Duration, error) {
		start := clock()
		for range runs {
			if err := run(); err != nil {
				return 0, err
			}
		}
		return clock() - start, nil
	}
}

// roof is the time of the multiply-adds of the matrix products, or of reading
// and writing the weights for them where a batch has one row, and of what the
// optimizer moves.
func (s step) roof(batch int) *roofline {
	if len(roof.Vectors) == 0 {
		return nil
	}
	first, total := layers[0]*layers[1], 0
	for i := range len(layers) - 1 {
		total += layers[i] * layers[i+1]
	}
	forward, backward := total, total-first+total // the first layer's input has no gradient
	if s.name == "forward" {
		backward = 0
	}
	w, m, v, g := allocate(total), allocate(total), allocate(total), allocate(total)
	const pass = 1000
	passes := 2 * batch * (forward + backward) * pass / roof.FMA(roof.Vectors[0], pass)
	return &roofline{[]timed{cpu.each(func() {
		if batch > 1 {
			roof.FMA(roof.Vectors[0], passes)
		} else {
			roof.Read.Run(roof.Vectors[0], 1, w)
			if backward > 0 {
				roof.Read.Run(roof.Vectors[0], 1, w[first:])
				roof.Write.Run(roof.Vectors[0], 1, g)
			}
		}
		switch {
		case s.optimizer == nil:
		case s.pattern == roof.Update2:
			roof.Update2.Run(roof.Vectors[0], 1, w, m, g)
		default:
			roof.Update3.Run(roof.Vectors[0], 1, w, m, v, g)
		}
	})}, 1}
}

// spagoStep returns a step in spago, which has vectors for samples: a batch is a
// graph of as many. The strategy is called for each parameter in turn: spago's
// Optimizer returns before its goroutines have finished.
func spagoStep(kind string, batch int) timed {
	var model []*linear.Model
	var params []*spagonn.Param
	for i := range len(layers) - 1 {
		l := linear.New[float32](layers[i], layers[i+1])
		weights := l.W.Value().Data().F32()
		for j := range weights {
			weights[j] = (float32(j*29%101)/101 - 0.5) / 16
		}
		model = append(model, l)
		params = append(params, l.W, l.B)
	}
	strategy := map[string]optimizers.OptimizationStrategy{
		"SGD":   sgd.New[float32](sgd.NewConfig(rate, 0.9, false)),
		"Adam":  adam.New(adam.NewConfig(rate, 0.9, 0.999, 1e-8)),
		"AdamW": adam.New(adam.NewAdamWConfig(rate, 0.9, 0.999, 1e-8, 0.01)),
	}[kind]
	x, labels := samples(batch)
	inputs := make([]mat.Tensor, batch)
	for i := range inputs {
		inputs[i] = dense(x[i*layers[0]:][:layers[0]])
	}
	run := func() error {
		ys := inputs
		for i, l := range model {
			if i > 0 {
				for j := range ys {
					ys[j] = ag.ReLU(ys[j])
				}
			}
			ys = l.Forward(ys...)
		}
		if kind == "forward" {
			for _, y := range ys {
				y.Value()
			}
			return nil
		}
		loss := losses.CrossEntropySeq(ys, labels, true)
		loss.Value()
		if err := ag.Backward(loss); err != nil {
			return err
		}
		for _, p := range params {
			if strategy == nil {
				p.ZeroGrad()
			} else if err := strategy.OptimizeParams(p); err != nil {
				return err
			}
		}
		return nil
	}
	return func(runs int) (time.Duration, error) {
		start := cpu()
		for range runs {
			if err := run(); err != nil {
				return 0, fmt.Errorf("spago: %w", err)
			}
		}
		return cpu() - start, nil
	}
}
