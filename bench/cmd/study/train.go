package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/adafisher-go/adafisher/bench/yardstick"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/optim"
)

// trialSeed is the seed of the runs that try learning rates. They never see the test
// samples; the runs with other seeds, from 1 on, do.
const trialSeed = 0

// run trains as the key says, and measures at so many points. A training that fails,
// or whose loss is no number, is a result; an error is something else.
func run(ctx context.Context, t task, w workload, k key, points int) (*line, error) {
	r, err := ruleNamed(k.Optimizer)
	if err != nil {
		return nil, err
	}
	model, err := t.network()
	if err != nil {
		return nil, err
	}
	model.Init(k.Seed)
	trainer, err := r.build(model, k.LR)
	if err != nil {
		return nil, err
	}
	session, err := model.NewSession(k.Batch)
	if err != nil {
		return nil, err
	}
	session.SetRandom(k.Seed, 0)
	batches, err := data.NewLoader(w.train, k.Batch, k.Seed)
	if err != nil {
		return nil, err
	}
	schedule, err := scheduleOf(k.LR, k.Steps)
	if err != nil {
		return nil, err
	}
	validation, err := newProbe(model, w.validation)
	if err != nil {
		return nil, err
	}
	test, err := newProbe(model, w.test)
	if err != nil {
		return nil, err
	}
	l := &line{Kind: "run", key: k}
	defer func() { l.Seconds = short(l.Seconds) }()
	sum, n := 0.0, 0
	for step := range k.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x, labels, err := batches.Batch(step/batches.Len(), step%batches.Len())
		if err != nil {
			return nil, err
		}
		start := time.Now()
		if err := trainer.SetLR(schedule(int64(step))); err != nil {
			return nil, err
		}
		loss, err := trainer.Train(session, x, labels)
		l.Seconds += time.Since(start).Seconds()
		if err == nil && (math.IsNaN(float64(loss)) || math.IsInf(float64(loss), 0)) {
			err = fmt.Errorf("the loss is %v", loss)
		}
		if err != nil {
			l.Failed = fmt.Sprintf("step %d: %v", step, err)
			return l, nil
		}
		sum += float64(loss)
		n++
		if done := step + 1; done*points/k.Steps > step*points/k.Steps {
			p := point{Step: done, TrainLoss: short(sum / float64(n))}
			sum, n = 0, 0
			if p.Validation, err = validation.measure(); err == nil && k.Seed != trialSeed {
				p.Test = new(score)
				*p.Test, err = test.measure()
			}
			if err != nil {
				l.Failed = fmt.Sprintf("step %d: %v", step, err)
				return l, nil
			}
			l.Points = append(l.Points, p)
		}
	}
	layers := reports(trainer)
	var seen map[string]*discs
	if len(layers) > 0 && k.Seed != trialSeed {
		x, labels, err := batches.Batch(0, 0)
		if err != nil {
			return nil, err
		}
		if seen, err = observe(session, x, labels); err != nil {
			return nil, err
		}
	}
	for _, r := range layers {
		l.Layers = append(l.Layers, layer{
			Name: r.Layer, DampingShare: short(r.DampingShare), Spread: short(r.Spread()),
			TraceH: short(r.TraceH), TraceS: short(r.TraceS),
			Step: short(r.Step / r.LR), Discs: seen[r.Layer],
		})
	}
	return l, nil
}

// scheduleOf warms up over a twentieth of the steps, and then follows half a cosine
// down to a hundredth.
func scheduleOf(lr float64, steps int) (optim.Schedule, error) {
	warmup := max(1, steps/20)
	down, err := optim.Cosine(lr, lr/100, int64(max(1, steps-warmup)))
	if err != nil {
		return nil, err
	}
	return optim.Warmup(int64(warmup), down)
}

// A reporter is an optimizer that tells its curvature.
type reporter interface{ Reports() []optim.Report }

var _ reporter = (*optim.AdaFisher)(nil)

// reports returns the curvature of a trainer whose optimizer can tell.
func reports(t yardstick.Trainer) []optim.Report {
	var o any = t
	if u, ok := t.(interface{ Unwrap() yardstick.Stepper }); ok {
		o = u.Unwrap()
	}
	if r, ok := o.(reporter); ok {
		return r.Reports()
	}
	return nil
}

// A probe measures a model on held-out samples.
type probe struct {
	predictor *nn.Predictor
	samples   *data.Loader
	spare     []float32
}

func newProbe(m *nn.Model, source data.Source) (*probe, error) {
	const batch = 100
	predictor, err := m.NewPredictor(batch)
	if err != nil {
		return nil, err
	}
	samples, err := data.NewLoader(source, batch, 0)
	return &probe{predictor, samples, make([]float32, m.OutputShape().Features())}, err
}

func (p *probe) measure() (score, error) {
	labels, right, loss := 0, 0, 0.0
	classes := len(p.spare)
	for batch := range p.samples.Len() {
		x, want, err := p.samples.Batch(0, batch)
		if err != nil {
			return score{}, err
		}
		y, err := p.predictor.Predict(x)
		if err != nil {
			return score{}, err
		}
		for i, label := range want {
			row := y[i*classes:][:classes]
			loss += float64(kernels.SoftmaxCrossEntropy(p.spare, row, label, 1))
			if kernels.ArgMax(row) == label {
				right++
			}
		}
		labels += len(want)
	}
	loss /= float64(labels)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return score{}, fmt.Errorf("the loss on held-out samples is %v", loss)
	}
	return score{short(loss), short(float64(right) / float64(labels))}, nil
}

// short returns x with six digits: what is behind them would only lengthen the
// files.
func short(x float64) float64 {
	v, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 6, 64), 64)
	if err != nil {
		return x // not a number
	}
	return v
}
