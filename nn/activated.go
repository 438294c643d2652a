package nn

import "github.com/adafisher-go/adafisher/kron"

// activated is a linear layer and the activation after it: products apply it to their
// outputs.
type activated struct {
	linear     linearModule
	activation *activation
}

// fuse returns the layer with an activation after it.
func (l linearModule) fuse(next module) (passes, bool) {
	a, ok := next.(*activation)
	return activated{l, a}, ok
}

// whole is the linear layer with the activation inside.
func (m activated) whole() linearModule {
	l := m.linear
	l.activation = m.activation.fused
	return l
}

func (m activated) ignoresOutput() bool { return !m.activation.fromOutput }

func (m activated) overwritesGradient() bool { return true }

func (m activated) forwarder(p *plan) forwarder { return p.forwarder(m.whole()) }

func (m activated) trainer(p *plan) trainer {
	t := &activatedTrainer{activation: m.activation, workers: &p.session.workers}
	if t.activation.fromOutput {
		t.linear = p.trainer(m.whole())
	} else {
		p.keepRows(&t.z, m.linear.positions*m.linear.weight.out)
		t.linear = p.trainer(m.linear)
	}
	return t
}

type activatedTrainer struct {
	linear     trainer
	activation *activation
	workers    *workers
	z          []float32 // outputs of the linear layer, where the gradient of the activation needs them
}

func (t *activatedTrainer) forward(y, x []float32, rows int) {
	if t.activation.fromOutput {
		t.linear.forward(y, x, rows)
		return
	}
	z := t.z[:len(y)]
	t.linear.forward(z, x, rows)
	t.workers.map1(t.activation.apply, y, z)
}

func (t *activatedTrainer) backward(dx, dy, x, y []float32, rows int, collect kron.Collect) error {
	z := y
	if !t.activation.fromOutput {
		z = t.z[:len(y)]
	}
	t.workers.map2(t.activation.gradient, dy, dy, z)
	return t.linear.backward(dx, dy, x, z, rows, collect)
}
