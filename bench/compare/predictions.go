package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/adafisher-go/adafisher/bench/ort"
	"github.com/adafisher-go/adafisher/bench/roof"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/models"
)

// The widths of the MLPs whose predictions are raced, and the sizes of batches.
var (
	predicted         = [][]int{layers, {64, 128, 64, 10}}
	predictionBatches = []int{1, 32, 128}
)

// A prediction is one model with one batch, for all contenders.
type prediction struct {
	widths []int
	batch  int
	model  *nn.Model
	x      []float32
}

func newPrediction(widths []int, batch int) (*prediction, error) {
	model, err := models.MLP(widths...)
	if err != nil {
		return nil, err
	}
	p := &prediction{widths, batch, model, make([]float32, batch*widths[0])}
	for i := range p.x {
		p.x[i] = float32(i*37%251) / 251
	}
	return p, nil
}

func (p *prediction) name() string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(p.widths), "[]"), " ", "-")
}

// predictionRaces returns a race for each model and size of batch.
func predictionRaces(p *peers) ([]race, error) {
	var all []race
	for _, widths := range predicted {
		for _, batch := range predictionBatches {
			q, err := newPrediction(widths, batch)
			if err != nil {
				return nil, err
			}
			var contenders []contender
			for _, c := range []nn.PackConfig{{}, {Float16: true}} {
				run, _, err := q.ours(c)
				if err != nil {
					return nil, err
				}
				name := ourName(best())
				if c.Float16 {
					name += ", float16 weights"
				}
				contenders = append(contenders, contender{name: name, run: run})
			}
			if p.ort != "" {
				run, _, err := q.ort(p)
				if err != nil {
					return nil, err
				}
				contenders = append(contenders, contender{name: "ONNX Runtime " + p.ort, run: run})
			}
			if p.torch != nil {
				contenders = append(contenders, contender{name: "PyTorch " + p.torch.version, run: func(n int) (time.Duration, error) {
					return p.torch.time("mlp-"+q.name(), "predict", batch, n)
				}})
			}
			r := race{size: fmt.Sprintf("batch %d", batch), unit: "us", begin: func() { setLevel(best()) }}
			top := q.roof()
			for _, c := range contenders {
				c.kernel, c.roof, c.work = "predict "+q.name(), top, 1
				r.contenders = append(r.contenders, c)
			}
			all = append(all, r)
		}
	}
	return all, nil
}

// ours returns our prediction, and where it leaves its outputs.
func (p *prediction) ours(c nn.PackConfig) (run timed, y []float32, err error) {
	packed, err := p.model.Pack(c)
	if err != nil {
		return nil, nil, err
	}
	predictor, err := packed.NewPredictor(p.batch)
	if err != nil {
		return nil, nil, err
	}
	if y, err = predictor.Predict(p.x); err != nil {
		return nil, nil, err
	}
	return cpu.repeated(func() error {
		_, err := predictor.Predict(p.x)
		return err
	}), y, nil
}

// ort returns the prediction of ONNX Runtime, and where it leaves its outputs.
func (p *prediction) ort(peers *peers) (run timed, y []float32, err error) {
	var file bytes.Buffer
	if err := p.model.WriteONNX(&file); err != nil {
		return nil, nil, err
	}
	s, err := ort.New[float32](file.Bytes(), "input", "output",
		[]int{p.batch, p.widths[0]}, []int{p.batch, p.widths[len(p.widths)-1]})
	if err != nil {
		return nil, nil, fmt.Errorf("ONNX Runtime: %w", err)
	}
	peers.sessions = append(peers.sessions, s)
	copy(s.X, p.x)
	return cpu.repeated(s.Run), s.Y, nil
}

// roof is the time of the multiply-adds, or of reading the weights where the batch
// has one row.
func (p *prediction) roof() *roofline {
	if len(roof.Vectors) == 0 {
		return nil
	}
	total := 0
	for i := range len(p.widths) - 1 {
		total += p.widths[i] * p.widths[i+1]
	}
	if p.batch > 1 {
		top := multiplyAdds(2 * float64(p.batch) * float64(total))
		top.work = 1
		return top
	}
	w := allocate(total)
	return &roofline{[]timed{cpu.each(func() { roof.Read.Run(roof.Vectors[0], 1, w) })}, 1}
}
