package nn_test

import (
	"math"

	"github.com/adafisher-go/adafisher/nn"
)

// A second implementation, in float64 and plain loops, of all that a session
// computes. It reads the weights of a model and shares no code with it.

type refLayer struct {
	kind    string // "linear", "relu", "tanh"
	in, out int
	w, b    []float64 // [in][out], and [out] or nil
}

type refNet []*refLayer

// newRef returns the reference of m, which has one of kinds after another.
func newRef(m *nn.Model, kinds ...string) refNet {
	params := m.Params()
	width := m.In()
	var net refNet
	for _, kind := range kinds {
		l := &refLayer{kind: kind, in: width, out: width}
		switch kind {
		case "linear", "nobias":
			l.kind = "linear"
			l.out = params[0].Shape[1]
			l.w = widen(params[0].Value)
			params = params[1:]
			if kind == "linear" {
				l.b = widen(params[0].Value)
				params = params[1:]
			}
		}
		width = l.out
		net = append(net, l)
	}
	return net
}

func widen(x []float32) []float64 {
	w := make([]float64, len(x))
	for i, v := range x {
		w[i] = float64(v)
	}
	return w
}

// params lists the weights in the order of Model.Params.
func (n refNet) params() [][]float64 {
	var p [][]float64
	for _, l := range n {
		if l.w != nil {
			p = append(p, l.w)
		}
		if l.b != nil {
			p = append(p, l.b)
		}
	}
	return p
}

// forward returns x and the output of every layer.
func (n refNet) forward(x []float64, rows int) [][]float64 {
	all := [][]float64{x}
	for _, l := range n {
		y := make([]float64, rows*l.out)
		for r := range rows {
			for j := range l.out {
				switch v := &y[r*l.out+j]; l.kind {
				case "linear":
					for i := range l.in {
						*v += x[r*l.in+i] * l.w[i*l.out+j]
					}
					if l.b != nil {
						*v += l.b[j]
					}
				case "relu":
					*v = max(x[r*l.in+j], 0)
				case "tanh":
					*v = math.Tanh(x[r*l.in+j])
				}
			}
		}
		all = append(all, y)
		x = y
	}
	return all
}

// A refLoss returns the loss of the outputs y and its gradient there.
type refLoss func(y []float64) (float64, []float64)

func refCrossEntropy(labels []int, out int) refLoss {
	return func(y []float64) (float64, []float64) {
		loss, rows := 0.0, float64(len(labels))
		dy := make([]float64, len(y))
		for r, label := range labels {
			sum := 0.0
			for j := range out {
				sum += math.Exp(y[r*out+j])
			}
			loss += (math.Log(sum) - y[r*out+label]) / rows
			for j := range out {
				dy[r*out+j] = math.Exp(y[r*out+j]) / sum / rows
			}
			dy[r*out+label] -= 1 / rows
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

type refPass struct {
	loss   float64
	input  []float64   // gradient at the input
	params [][]float64 // gradients in the order of Model.Params
	h, s   [][]float64 // raw factors of each linear layer, in order
}

func (n refNet) backward(x []float64, rows int, loss refLoss) refPass {
	all := n.forward(x, rows)
	var p refPass
	var dy []float64
	p.loss, dy = loss(all[len(n)])
	for k := len(n) - 1; k >= 0; k-- {
		l, x, y := n[k], all[k], all[k+1]
		dx := make([]float64, len(x))
		switch l.kind {
		case "relu":
			for i, v := range y {
				if v > 0 {
					dx[i] = dy[i]
				}
			}
		case "tanh":
			for i, v := range y {
				dx[i] = dy[i] * (1 - v*v)
			}
		case "linear":
			dw, db := make([]float64, len(l.w)), make([]float64, len(l.b))
			h, s := make([]float64, l.in, l.in+1), make([]float64, l.out)
			for r := range rows {
				for i := range l.in {
					for j := range l.out {
						dw[i*l.out+j] += x[r*l.in+i] * dy[r*l.out+j]
						dx[r*l.in+i] += dy[r*l.out+j] * l.w[i*l.out+j]
					}
					h[i] += x[r*l.in+i] * x[r*l.in+i] / float64(rows)
				}
				for j := range l.out {
					if l.b != nil {
						db[j] += dy[r*l.out+j]
					}
					s[j] += dy[r*l.out+j] * dy[r*l.out+j] / float64(rows)
				}
			}
			grads := [][]float64{dw}
			if l.b != nil {
				grads = append(grads, db)
				h = append(h, 1)
			}
			p.params = append(grads, p.params...)
			p.h = append([][]float64{h}, p.h...)
			p.s = append([][]float64{s}, p.s...)
		}
		dy = dx
	}
	p.input = dy
	return p
}

// difference returns the central difference of the loss in the number v that
// the network or x holds.
func (n refNet) difference(v *float64, x []float64, rows int, loss refLoss) float64 {
	const h = 1e-5
	at := func(t float64) float64 {
		*v = t
		l, _ := loss(n.forward(x, rows)[len(n)])
		return l
	}
	v0 := *v
	hi, lo := at(v0+h), at(v0-h)
	*v = v0
	return (hi - lo) / (2 * h)
}
