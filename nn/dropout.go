package nn

import (
	"fmt"

	"github.com/adafisher-go/adafisher/internal/splitmix"
	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
)

// Dropout describes the layer that sets each element to 0 with probability p in
// training and scales the others by 1/(1-p) (Srivastava et al., JMLR 15, 2014);
// a predictor leaves them alone. Which elements it drops follows from the
// session's random state and the layer's place alone, see [Session.SetRandom].
func Dropout(p float64) Layer { return dropout{p} }

type dropout struct{ p float64 }

func (d dropout) kind() string { return "Dropout" }

func (d dropout) build(_ *builder, in Shape) (module, Shape, error) {
	if !(d.p >= 0 && float32(d.p) < 1) {
		return nil, nil, fmt.Errorf("probability %v: want a number in [0, 1) as a float32", d.p)
	}
	return dropoutModule(d.p), in, nil
}

// dropoutModule is the probability.
type dropoutModule float32

func (m dropoutModule) ignoresOutput() bool { return true }

func (m dropoutModule) forwarder(*plan) forwarder { return identity{} }

func (m dropoutModule) trainer(p *plan) trainer {
	p.dropouts++
	t := &dropoutTrainer{p: float32(m), place: p.dropouts, session: p.session}
	t.dropSome = t.doSome
	return t
}

type identity struct{}

func (identity) forward(y, x []float32, _ int) { copy(y, x) }

type dropoutTrainer struct {
	p       float32
	place   uint64 // among the dropouts of the session
	session *Session
	seed    uint64 // of the last forward

	dropSome func(from, to int, _ []float32) // of the blocks of x
	x, y     []float32                       // or the gradients there
}

func (t *dropoutTrainer) forward(y, x []float32, _ int) {
	t.seed = t.session.random.seed(t.place)
	t.drop(y, x)
}

func (t *dropoutTrainer) drop(y, x []float32) {
	t.y, t.x = y, x
	t.session.workers.split(mapBlocks(len(x)), len(x), t.dropSome)
}

func (t *dropoutTrainer) doSome(from, to int, _ []float32) {
	from, to = from*mapBlock, min(to*mapBlock, len(t.x))
	kernels.Dropout(t.y[from:to], t.x[from:to], t.p, t.seed, from)
}

// backward drops what forward did.
func (t *dropoutTrainer) backward(dx, dy, _, _ []float32, _ int, _ kron.Collect) error {
	if dx != nil {
		t.drop(dx, dy)
	}
	return nil
}

// randomState is where a session's random numbers stand.
type randomState struct{ origin, pass uint64 }

// seed returns the seed of one place in the present pass.
func (r randomState) seed(place uint64) uint64 {
	return splitmix.Mix(splitmix.Mix(splitmix.Mix(r.origin)^r.pass) ^ place)
}
