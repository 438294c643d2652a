package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/adafisher-go/adafisher/bench/roof"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/models"
)

// A network is one whose training steps are raced with PyTorch's.
type network struct {
	name  string // in rows and in torch.py
	batch int
	build func() (*nn.Model, error)
	input func(i int) float32 // number i of a batch
	flops int                 // multiply-adds of the products in a sample's forward pass
	first int                 // of them, those whose input needs no gradient
}

var networks = []network{
	{
		name: "cnn", batch: 64,
		build: func() (*nn.Model, error) { return models.CNN(nn.Shape{28, 28, 1}, 10, 16, 32) },
		input: func(i int) float32 { return float32(i*37%251) / 251 },
		flops: 28*28*9*(1*16+16*16) + 14*14*9*(16*32+32*32) + 32*10,
		first: 28 * 28 * 9 * 1 * 16,
	},
	{
		name: "gpt", batch: 16,
		build: func() (*nn.Model, error) {
			return models.GPT(91, 64, models.Transformer{Blocks: 4, Width: 128, Heads: 4})
		},
		input: func(i int) float32 { return float32(i % 91) },
		flops: 64 * (4*(12*128*128+2*64*128) + 128*91),
	},
}

// perceptrons are the MLP of the training races, for each batch.
func perceptrons() (all []network) {
	for _, batch := range batches {
		x, _ := samples(batch)
		all = append(all, network{
			name: "mlp", batch: batch,
			build: func() (*nn.Model, error) { return models.MLP(layers...) },
			input: func(i int) float32 { return x[i] },
		})
	}
	return all
}

// inTraining is the number of steps timed together: one after the other, as they are in
// training, they find in the caches what the last one left there.
const inTraining = 5

// workerSteps are the races of whole steps with two workers, by the clock on the wall.
func workerSteps(p *peers, pool *kernels.Pool) ([]race, error) {
	var all []race
	for _, net := range slices.Concat(perceptrons(), networks) {
		r := race{size: fmt.Sprintf("batch %d", net.batch), unit: "us", procs: 2, fewer: true, several: inTraining}
		for _, s := range steps {
			if s.name != "step Adam" {
				continue
			}
			run, err := net.ours(s, wall, pool)
			if err != nil {
				return nil, err
			}
			r.contenders = append(r.contenders, contender{name: ourName(best()), prepare: rest, run: run})
			if p.torch2 != nil {
				r.contenders = append(r.contenders, contender{name: "PyTorch " + p.torch2.version, run: func(n int) (time.Duration, error) {
					return p.torch2.time(net.name, s.torch, net.batch, n)
				}})
			}
			for i := range r.contenders {
				c := &r.contenders[i]
				c.kernel, c.work = net.name+" "+s.name+", 2 workers", 1
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// networkRaces returns a race for each network.
func networkRaces(p *peers) ([]race, error) {
	var all []race
	for _, net := range networks {
		r := race{size: fmt.Sprintf("batch %d", net.batch), unit: "us", fewer: true, several: inTraining, begin: func() { setLevel(best()) }}
		top := net.roof()
		for _, s := range steps {
			if s.name == "forward" { // training alone: a predictor is another thing
				continue
			}
			run, err := net.ours(s, cpu, nil)
			if err != nil {
				return nil, err
			}
			contenders := []contender{{name: ourName(best()), run: run}}
			if s.torch != "" && p.torch != nil {
				contenders = append(contenders, contender{name: "PyTorch " + p.torch.version, run: func(n int) (time.Duration, error) {
					return p.torch.time(net.name, s.torch, net.batch, n)
				}})
			}
			for _, c := range contenders {
				c.kernel, c.roof, c.work = net.name+" "+s.name, top, 1
				r.contenders = append(r.contenders, c)
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// ours returns our step, by a clock, with the workers of a pool; nil is one.
func (n network) ours(s step, clock clock, pool *kernels.Pool) (timed, error) {
	model, err := n.build()
	if err != nil {
		return nil, err
	}
	session, err := model.NewSession(n.batch)
	if err != nil {
		return nil, err
	}
	session.SetPool(pool)
	x := make([]float32, n.batch*model.In())
	for i := range x {
		x[i] = n.input(i)
	}
	labels := make([]int, n.batch*model.OutputShape().Positions())
	for i := range labels {
		labels[i] = i % model.OutputShape().Features()
	}
	if s.optimizer == nil {
		return clock.repeated(func() error { return passes(session, x, labels) }), nil
	}
	optimizer, err := s.optimizer(model)
	if err != nil {
		return nil, err
	}
	optimizer.SetPool(pool)
	return clock.repeated(func() error {
		_, err := session.TrainSoftmaxCrossEntropy(optimizer, x, labels)
		return err
	}), nil
}

// roof is the time of the multiply-adds of the products, forward and backward.
func (n network) roof() *roofline {
	top := multiplyAdds(2 * float64(n.batch) * float64(3*n.flops-n.first))
	if top != nil {
		top.work = 1
	}
	return top
}

// multiplyAdds returns the roof of so many floating-point operations.
func multiplyAdds(flops float64) *roofline {
	if len(roof.Vectors) == 0 {
		return nil
	}
	const pass = 1000
	passes := int(flops * pass / float64(roof.FMA(roof.Vectors[0], pass)))
	return &roofline{[]timed{cpu.each(func() { roof.FMA(roof.Vectors[0], passes) })}, flops}
}
