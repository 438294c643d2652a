package kron_test

import (
	"fmt"
	"log"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// A replica is a Collective of goroutines: the Reduce of each waits for those of all.
type replica struct {
	all  *replicas
	rank int
}

type replicas struct {
	passes []*kron.Pass // by rank

	mu   sync.Mutex
	cond *sync.Cond
	here int // that wait
	turn int // how often all have met
}

func newReplicas(n int) *replicas {
	r := &replicas{passes: make([]*kron.Pass, n)}
	r.cond = sync.NewCond(&r.mu)
	return r
}

// meet waits for all replicas.
func (r *replicas) meet() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.here++; r.here == len(r.passes) {
		r.here = 0
		r.turn++
		r.cond.Broadcast()
		return
	}
	for turn := r.turn; turn == r.turn; {
		r.cond.Wait()
	}
}

// mean returns the mean of a part of all passes, in order of rank, times factor.
func (r *replicas) mean(factor float32, part func(*kron.Pass) []float32) []float32 {
	sum := make([]float32, len(part(r.passes[0])))
	for _, p := range r.passes {
		kernels.Add(sum, sum, part(p))
	}
	kernels.Scale(sum, sum, factor/float32(len(r.passes)))
	return sum
}

func (c replica) Reduce(p *kron.Pass) error {
	r := c.all
	r.passes[c.rank] = p
	r.meet()
	k := float32(len(r.passes))
	var reduced [][]float32
	for i := range p.Gradients {
		reduced = append(reduced, r.mean(1, func(p *kron.Pass) []float32 { return p.Gradients[i].Data }))
	}
	for i := range p.Statistics {
		reduced = append(reduced,
			r.mean(1, func(p *kron.Pass) []float32 { return p.Statistics[i].H }),
			r.mean(1/(k*k), func(p *kron.Pass) []float32 { return p.Statistics[i].S }),
			r.mean(1, func(p *kron.Pass) []float32 { return p.Statistics[i].Mean }))
	}
	r.meet() // all have read
	for i, g := range p.Gradients {
		copy(g.Data, reduced[i])
	}
	for i, st := range p.Statistics {
		parts := reduced[len(p.Gradients)+3*i:]
		copy(st.H, parts[0])
		copy(st.S, parts[1])
		copy(st.Mean, parts[2])
	}
	return nil
}

// Two replicas of a model train on a half of each batch, and stay equal.
func ExampleCollective() {
	const rows, in, out = 8, 3, 2
	r := rand.New(rand.NewPCG(1, 1))
	x, labels := make([]float32, rows*in), make([]int, rows)
	for i := range labels {
		labels[i] = r.IntN(out)
		for j := range in {
			x[i*in+j] = r.Float32() + float32(labels[i])
		}
	}
	model, err := nn.NewSequential(nn.Linear(in, out))
	if err != nil {
		log.Fatal(err)
	}
	all := newReplicas(2)
	models := make([]*nn.Model, 2)
	var running sync.WaitGroup
	for rank := range models {
		if models[rank], err = model.Clone(); err != nil {
			log.Fatal(err)
		}
		half := rows / 2
		x, labels := x[rank*half*in:][:half*in], labels[rank*half:][:half]
		running.Go(func() {
			if err := train(models[rank], replica{all, rank}, x, labels); err != nil {
				log.Fatal(err)
			}
		})
	}
	running.Wait()
	fmt.Println(slices.Equal(models[0].Params()[0].Value, models[1].Params()[0].Value))
	fmt.Println(slices.Equal(models[0].Params()[0].Value, model.Params()[0].Value))
	// Output:
	// true
	// false
}

// train takes steps with the passes of all replicas.
func train(m *nn.Model, c kron.Collective, x []float32, labels []int) error {
	session, err := m.NewSession(len(labels))
	if err != nil {
		return err
	}
	optimizer, err := optim.NewAdaFisher(m, optim.AdaFisherDefaults())
	if err != nil {
		return err
	}
	for range 3 {
		session.CollectStatistics(optimizer.NeedsStatistics())
		if _, err := session.Forward(x); err != nil {
			return err
		}
		if _, err := session.SoftmaxCrossEntropy(labels); err != nil {
			return err
		}
		pass, err := session.Backward()
		if err != nil {
			return err
		}
		if err := c.Reduce(pass); err != nil {
			return err
		}
		if err := optimizer.Step(pass); err != nil {
			return err
		}
	}
	return nil
}
