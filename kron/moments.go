package kron

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/adafisher-go/adafisher/internal/float"
	"github.com/adafisher-go/adafisher/kernels"
)

// Moments are the running averages of the moments of one layer, and what follows
// from them: the diagonal preconditioner of its weight, and the means that centre
// its inputs. From averages that start as zeros, after k updates,
//
//	avg    = gamma*avg + (1-gamma)*moment            of H, S and Mean
//	mu     = Mean/(1-gamma^k)
//	D[j]   = max(0, H[j]/(1-gamma^k) - mu[j]^2)      the variance of input j
//	row[j] = (1 + sqrt(damping)) / (D[j]/mean(D) + sqrt(damping))
//	col[i] = (1 + sqrt(damping)) / (S[i]/mean(S) + sqrt(damping))
//
// so that row[j]*col[i] stands for the inverse of the curvature of the weight's entry
// (j, i), and col[i] of the bias' entry i, up to a factor. The damping is relative to
// the layer: whatever the units of inputs and loss, an input of average variance has
// row 1, and with a large damping all have. So they have where all of D is 0, and
// likewise col.
//
// Embeddings and normalisations have no means, mu = 0. For a variance of less than
// a millionth of the squared mean float32 is too short: it may come out as 0.
//
// A change has two halves, as in [Factors]: Stage and StageAverages may fail, Commit
// can't. None of them allocates.
type Moments struct {
	layer   *Layer
	gamma   float64
	root    float32 // of the damping
	inputs  int     // of the weight
	current averages
	next    averages
	staged  bool
	ones    []float32
	spare   []float32
}

// averages are those of one layer, uncorrected, and what follows from them.
type averages struct {
	h, s, mean []float32 // mean is empty where the layer has none
	updates    int64

	row, col           []float32
	centre, projection []float32 // as long as mean
}

// NewMoments returns moments of which there is no average yet: row and col are 1. It
// fails on a layer whose shapes don't belong together, gamma outside [0,1), or a
// damping outside [1e-12, 1e30]. Without centred, inputs are taken as having mean 0.
func NewMoments(l *Layer, gamma, damping float64, centred bool) (*Moments, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	if err := checkGamma(gamma); err != nil {
		return nil, err
	}
	if !(damping >= 1e-12 && damping <= 1e30) {
		return nil, fmt.Errorf("kron: damping is %v: want a number in [1e-12, 1e30]", damping)
	}
	m := &Moments{layer: l, gamma: gamma, root: float32(math.Sqrt(damping)), inputs: len(l.Weight.Value) / l.Outputs()}
	means := 0
	if centred && l.hasMean() {
		means = m.inputs
	}
	for _, a := range []*averages{&m.current, &m.next} {
		*a = averages{
			h: make([]float32, l.Inputs()), s: make([]float32, l.Outputs()), mean: make([]float32, means),
			row: make([]float32, m.inputs), col: make([]float32, l.Outputs()),
			centre: make([]float32, means), projection: make([]float32, means),
		}
		kernels.Fill(a.row, 1)
		kernels.Fill(a.col, 1)
	}
	m.ones, m.spare = make([]float32, max(m.inputs, l.Outputs())), make([]float32, m.inputs)
	kernels.Fill(m.ones, 1)
	return m, nil
}

// hasMean reports whether the layer's moments have the means of its inputs.
func (l *Layer) hasMean() bool { return len(l.Weight.Shape) > 1 && !l.Extension }

// made returns an error if m is nil or zero.
func (m *Moments) made() error {
	if m == nil || m.layer == nil {
		return errors.New("kron: the moments are nil or zero: want those of NewMoments")
	}
	return nil
}

// Layer returns the layer that the moments belong to.
func (m *Moments) Layer() *Layer { return m.layer }

// Stage computes the averages that follow from the moments of one batch. The current
// ones stay until [Moments.Commit]. It fails if st is of another layer, a length is
// wrong, an entry is not finite, or one of H or S, which are means of squares, is
// negative.
func (m *Moments) Stage(st Statistics) error {
	if err := m.made(); err != nil {
		return err
	}
	m.staged = false
	if st.Layer != m.layer {
		return fmt.Errorf("kron: statistics of another layer than %s", m.layer.Name)
	}
	next := &m.next
	want := 0
	if m.layer.hasMean() {
		want = m.inputs
	}
	if len(st.Mean) != want {
		return fmt.Errorf("kron: layer %s: moment Mean has %d entries: want %d", m.layer.Name, len(st.Mean), want)
	}
	for _, e := range [...]struct {
		name                  string
		moment, current, next []float32
		least                 float32
	}{
		{"H", st.H, m.current.h, next.h, 0},
		{"S", st.S, m.current.s, next.s, 0},
		{"Mean", st.Mean[:len(next.mean)], m.current.mean, next.mean, -math.MaxFloat32},
	} {
		if err := m.layer.checkEntries("moment", e.name, e.moment, len(e.next), e.least, math.MaxFloat32); err != nil {
			return err
		}
		copy(e.next, e.current)
		kernels.EMA(e.next, e.moment, float32(m.gamma), float32(1-m.gamma))
	}
	next.updates = m.current.updates + 1
	m.settle()
	m.staged = true
	return nil
}

// projectionDamping is what is added to the variances, in units of their mean, in
// the projection of layers without bias.
const projectionDamping = 0.01

// settle computes what follows from the next averages.
func (m *Moments) settle() {
	a := &m.next
	if a.updates == 0 {
		kernels.Fill(a.row, 1)
		kernels.Fill(a.col, 1)
		clear(a.centre)
		clear(a.projection)
		return
	}
	correct := float32(1 / (1 - float.Power(m.gamma, a.updates)))
	variance := m.spare
	kernels.Scale(variance, a.h[:m.inputs], correct)
	if len(a.mean) > 0 {
		kernels.Scale(a.centre, a.mean, correct)
		kernels.Scale(a.projection, a.centre, -1)
		kernels.MulAdd(variance, a.projection, a.centre, variance)
		kernels.Clamp(variance, variance, 0, math.MaxFloat32)
	}
	m.invert(a.row, variance, m.root)
	m.invert(a.col, a.s, m.root)
	if len(a.mean) > 0 {
		// v = 1.01*mu/(D/mean(D) + 0.01), projection = v/(1.01*mean(D) + mu*v)
		m.invert(a.projection, variance, projectionDamping)
		kernels.Mul(a.projection, a.projection, a.centre)
		mean := kernels.Sum(variance) / float32(m.inputs)
		total := kernels.Dot(a.centre, a.projection) + float32((1+projectionDamping)*mean)
		if total >= float.MinNormal && total <= 1/float.MinNormal {
			kernels.Scale(a.projection, a.projection, 1/total)
		} else {
			clear(a.projection)
		}
	}
}

// invert stores (1+add)/(x/mean(x) + add), 1 if there is no mean.
func (m *Moments) invert(dst, x []float32, add float32) {
	ones := m.ones[:len(x)]
	mean := kernels.Sum(x) / float32(len(x))
	if !(mean >= float.MinNormal && mean <= math.MaxFloat32) {
		copy(dst, ones)
		return
	}
	kernels.ScaleAdd(dst, x, ones, float32(1/(1+float64(add))/float64(mean)), add/(1+add))
	kernels.Div(dst, ones, dst)
}

// Commit makes the averages of the last Stage or StageAverages current; if that
// failed, or was committed before, it does nothing.
func (m *Moments) Commit() {
	if m.staged {
		m.current, m.next, m.staged = m.next, m.current, false
	}
}

// A Preconditioner is what a step takes from the moments of a layer. Its slices are
// read-only and good until the next Stage or StageAverages; a Commit leaves them as
// they are.
type Preconditioner struct {
	Row, Col []float32 // one entry an input of the weight, one an output

	// Mean and Projection centre the gradient G of the weight; both are empty where
	// inputs aren't centred. With the gradient b of the bias, or, for a layer without
	// one, b = Projection*G,
	//
	//	G[j,i] - Mean[j]*b[i]
	//
	// is what remains of G when each input is replaced by its distance from its mean.
	// That follows from the inverse of the second moment of the inputs: with a 1 for the
	// bias its blocks are diag(D) + mu*mu', mu and 1; without bias it is diag(D) + mu*mu',
	// where 0.01*mean(D) is added to D.
	Mean, Projection []float32
}

func (a *averages) preconditioner() Preconditioner {
	return Preconditioner{a.row, a.col, a.centre, a.projection}
}

// Preconditioner returns what follows from the current averages.
func (m *Moments) Preconditioner() Preconditioner { return m.current.preconditioner() }

// Staged returns what follows from the averages of the last Stage, which must not
// have failed: what [Moments.Preconditioner] returns after Commit.
func (m *Moments) Staged() Preconditioner { return m.next.preconditioner() }

// Averages returns the running averages and the number of their updates, the state
// that a resumed run needs. They are read-only and good until the next Commit; mean is
// empty where inputs aren't centred.
func (m *Moments) Averages() (h, s, mean []float32, updates int64) {
	return m.current.h, m.current.s, m.current.mean, m.current.updates
}

// maxUpdates leaves room for those of any run before the end of int64.
const maxUpdates = 1 << 53

// StageAverages prepares copies of averages, from [Moments.Averages] of an equal
// layer, as the next ones: Commit then resumes from them. It fails unless they have
// this layer's lengths, are finite, and those of squares not negative, and the
// number of updates is from 0 to 2^53.
func (m *Moments) StageAverages(h, s, mean []float32, updates int64) error {
	if err := m.made(); err != nil {
		return err
	}
	m.staged = false
	if updates < 0 || updates > maxUpdates {
		return fmt.Errorf("kron: layer %s: the moments have %d updates: want a number from 0 to 2^53", m.layer.Name, updates)
	}
	for _, e := range [...]struct {
		name      string
		avg, next []float32
		least     float32
	}{{"H", h, m.next.h, 0}, {"S", s, m.next.s, 0}, {"Mean", mean, m.next.mean, -math.MaxFloat32}} {
		if err := m.layer.checkEntries("average of moment", e.name, e.avg, len(e.next), e.least, math.MaxFloat32); err != nil {
			return err
		}
		copy(e.next, e.avg)
	}
	m.next.updates = updates
	m.settle()
	m.staged = true
	return nil
}

// Report describes F = 1/(row*col), the curvature of the weight in units of that of
// an average entry: the damping's share is the mean of what F is where D and S are 0,
// over F. TraceH and TraceS are sums of the bias-corrected averages. It allocates and
// sorts all of F, and is meant for looking at, not for every step.
func (m *Moments) Report() Report {
	a := &m.current
	all := make([]float32, 0, len(a.row)*len(a.col))
	root := float64(m.root)
	least := root / (1 + root) * root / (1 + root)
	share := 0.0
	for _, r := range a.row {
		for _, c := range a.col {
			p := float64(r) * float64(c)
			all = append(all, float32(1/p))
			share += least * p
		}
	}
	slices.Sort(all)
	correct := 1 / (1 - float.Power(m.gamma, max(1, a.updates)))
	return Report{
		Layer:        m.layer.Name,
		Min:          all[0],
		Median:       all[len(all)/2],
		Max:          all[len(all)-1],
		DampingShare: share / float64(len(all)),
		TraceH:       correct * sum(a.h),
		TraceS:       correct * sum(a.s),
	}
}
