package serve

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/nn"
)

const maxSessions = 1 << 16 // to begin with

// PredictorConfig are the options of a [Predictor].
type PredictorConfig struct {
	// Batch is the most samples that one pass works on; calls with more make
	// several. 0 is 32.
	Batch int

	// Sessions is how many calls at the same time there is memory for from the
	// start, at most 65536; 0 is two for each processor that Go may use. More calls
	// make it double.
	Sessions int

	// Version is the number of the first version, where a service goes on
	// counting after a restart; 0 is 1, and 2^63 the largest.
	Version uint64

	// Float16 keeps the weights of linear layers as float16 numbers, which makes
	// small batches faster and predictions less exact; see [nn.PackConfig]. Then
	// Publish also refuses a weight that is too large for that.
	Float16 bool
}

// A Predictor predicts with the newest version of a model, from any number of
// goroutines. A version is a copy of all values of the model, laid out for
// predicting; it never changes. Its number is one above that of the version before
// it, or what [Learner.Restore] finds in a checkpoint, which is not below. Each
// call works with one version from beginning to end, the newest at its beginning,
// and says which.
//
// Calls take no lock, wait for nobody and allocate nothing, except where more of
// them run at the same time than there are sessions.
type Predictor struct {
	current  atomic.Pointer[version]
	sessions atomic.Pointer[[]*Session] // grows, under mu
	batch    int
	pack     nn.PackConfig

	newest    atomic.Uint64
	published atomic.Int64 // when, in nanoseconds of Unix time

	mu       sync.Mutex // of Publish, and of growth
	versions []*version // for Publish to use again
}

// Publish doesn't write a version that is current or that a session announces: see
// Session.reading.
type version struct {
	number uint64
	model  *nn.Model
	values []named         // of the model
	packed *nn.PackedModel // what sessions read
}

type named struct {
	name  string
	value []float32
}

// NewPredictor returns a predictor whose first version is a copy of m.
//
// It fails if an option is out of its range, m has no layers or a value that is not
// finite or too large for float16 if that is wanted, or a session needs more than
// 16 GiB.
func NewPredictor(m *nn.Model, c PredictorConfig) (*Predictor, error) {
	const call = "NewPredictor"
	switch {
	case m == nil:
		return nil, fmt.Errorf("serve: %s: there is no model", call)
	case c.Batch < 0 || c.Sessions < 0:
		return nil, fmt.Errorf("serve: %s: batch of %d rows, %d sessions: want 0 or more", call, c.Batch, c.Sessions)
	case c.Sessions > maxSessions:
		return nil, fmt.Errorf("serve: %s: %d sessions: want at most %d", call, c.Sessions, maxSessions)
	case c.Version > maxVersion:
		return nil, fmt.Errorf("serve: %s: version %d: want at most 2^63", call, c.Version)
	}
	p := &Predictor{batch: orDefault(c.Batch, 32), pack: nn.PackConfig{Float16: c.Float16}}
	v, err := p.newVersion(m)
	if err != nil {
		return nil, fmt.Errorf("serve: %s: %w", call, err)
	}
	v.number = orDefault(c.Version, 1)
	p.publish(v)

	sessions := make([]*Session, orDefault(c.Sessions, 2*runtime.GOMAXPROCS(0)))
	for i := range sessions {
		if sessions[i], err = p.newSession(v); err != nil {
			return nil, fmt.Errorf("serve: %s: %w", call, err)
		}
	}
	p.sessions.Store(&sessions)
	return p, nil
}

// made returns an error if p is nil or zero.
func (p *Predictor) made(call string) error {
	if p == nil || p.batch == 0 {
		return fmt.Errorf("serve: %s: the predictor is nil or zero: want one of NewPredictor", call)
	}
	return nil
}

func orDefault[T int | uint64 | float64 | time.Duration](v, initial T) T {
	if v == 0 {
		return initial
	}
	return v
}

// newVersion adds a copy of m to the versions.
func (p *Predictor) newVersion(m *nn.Model) (*version, error) {
	c, err := m.Clone()
	if err != nil {
		return nil, err
	}
	v := &version{model: c, values: valuesOf(c)}
	if err := v.check(); err != nil {
		return nil, err
	}
	if v.packed, err = c.Pack(p.pack); err != nil {
		return nil, err
	}
	p.versions = append(p.versions, v)
	return v, nil
}

// valuesOf returns the parameters and buffers of m.
func valuesOf(m *nn.Model) []named {
	var all []named
	for _, p := range m.Params() {
		all = append(all, named{p.Name, p.Value})
	}
	for _, b := range m.Buffers() {
		all = append(all, named{b.Name, b.Value})
	}
	return all
}

// check returns an error if a value is not finite.
func (v *version) check() error {
	for _, n := range v.values {
		if !kernels.AllFinite(n.value) {
			return fmt.Errorf("%s has a value that is not finite", n.name)
		}
	}
	return nil
}

// Publish makes a copy of m's values the newest version and returns its number.
// m must have the same layers as the model that the predictor was made for, see
// [nn.Model.CopyFrom]; nobody may change it during the call.
//
// Calls of Predict that have begun go on with their version. Its memory is used
// again once they have all returned; so Publish allocates only where more old
// versions are in use than ever before, at most one for each session.
//
// It fails, and the newest version remains, if m has other layers or a value
// that is not finite, or that the predictor can't keep as float16.
func (p *Predictor) Publish(m *nn.Model) (uint64, error) {
	if err := p.made("Publish"); err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	number := p.newest.Load() + 1
	if err := p.copyAs(m, number); err != nil {
		return 0, fmt.Errorf("serve: Publish: %w", err)
	}
	return number, nil
}

// publishAs publishes m with a number of its own, which can't be below the newest.
func (p *Predictor) publishAs(m *nn.Model, number uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if newest := p.newest.Load(); number < newest {
		return fmt.Errorf("version %d is older than the predictor's newest, %d", number, newest)
	}
	return p.copyAs(m, number)
}

// copyAs publishes m; the caller holds the lock.
func (p *Predictor) copyAs(m *nn.Model, number uint64) error {
	v, err := p.spare()
	if err != nil {
		return err
	}
	if err := v.model.CopyFrom(m); err != nil {
		return err
	}
	if err := v.check(); err != nil {
		return err
	}
	if err := v.packed.CopyFrom(v.model); err != nil {
		return err
	}
	v.number = number
	p.publish(v)
	return nil
}

func (p *Predictor) publish(v *version) {
	p.current.Store(v)
	p.newest.Store(v.number)
	p.published.Store(time.Now().UnixNano())
}

// spare returns a version that nobody reads. The caller holds the lock.
func (p *Predictor) spare() (*version, error) {
	current := p.current.Load()
	for _, v := range p.versions {
		if v != current && !p.announced(v) {
			return v, nil
		}
	}
	return p.newVersion(current.model)
}

func (p *Predictor) announced(v *version) bool {
	for _, s := range *p.sessions.Load() {
		if s.reading.Load() == v {
			return true
		}
	}
	return false
}

// Version returns the number of the newest version.
func (p *Predictor) Version() uint64 { return p.newest.Load() }

// Published returns when the newest version was published.
func (p *Predictor) Published() time.Time { return time.Unix(0, p.published.Load()) }

// Predict stores the model's outputs for x in dst, and returns the version that
// they are from. x is row-major and has any number of samples; dst has room for
// exactly their outputs, and does not overlap x. A NaN in x gives NaN, not an
// error.
//
// It fails, and stores nothing, if a length is wrong, or x has a token that the
// model has no embedding for.
func (p *Predictor) Predict(dst, x []float32) (version uint64, err error) {
	const call = "Predict"
	if err := p.made(call); err != nil {
		return 0, err
	}
	s := p.Borrow()
	defer s.Return()
	if err := s.predictor.PredictInto(dst, x); err != nil {
		return s.Version(), fmt.Errorf("serve: %s: %w", call, err)
	}
	return s.Version(), nil
}

// Classify stores for each row of outputs the index of its largest score, as
// [nn.Predictor.Classify] does, and returns the version that they are from.
func (p *Predictor) Classify(classes []int, x []float32) (version uint64, err error) {
	const call = "Classify"
	if err := p.made(call); err != nil {
		return 0, err
	}
	s := p.Borrow()
	defer s.Return()
	if err := s.predictor.Classify(classes, x); err != nil {
		return s.Version(), fmt.Errorf("serve: %s: %w", call, err)
	}
	return s.Version(), nil
}

// CopyTo copies the values of the newest version to m, a model of the same layers as
// the one that the predictor was made for, and returns its number. It takes no lock.
// A model that a learner trains meanwhile is saved or exported so: by way of a clone
// that was made before.
//
// It fails, and copies nothing, if m has other layers.
func (p *Predictor) CopyTo(m *nn.Model) (version uint64, err error) {
	const call = "CopyTo"
	if err := p.made(call); err != nil {
		return 0, err
	}
	if m == nil {
		return 0, fmt.Errorf("serve: %s: there is no model", call)
	}
	s := p.Borrow()
	defer s.Return()
	if err := m.CopyFrom(s.bound.model); err != nil {
		return 0, fmt.Errorf("serve: %s: %w", call, err)
	}
	return s.Version(), nil
}
