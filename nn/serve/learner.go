package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
	"github.com/adafisher-go/adafisher/optim"
)

// An Optimizer is what a [Learner] needs to know of one: those of package optim
// have it all.
type Optimizer interface {
	nn.Stepper
	checkpoint.Optimizer
	Params() []*kron.Param // that it can move
}

// Loss is what a [Learner] makes small.
type Loss int

const (
	// CrossEntropy is [nn.Session.SoftmaxCrossEntropy]: examples have labels.
	CrossEntropy Loss = iota

	// SquaredError is [nn.Session.MSE]: examples have targets.
	SquaredError
)

// LearnerConfig are the options of a [Learner].
type LearnerConfig struct {
	Loss Loss

	// Batch is the most examples in a step; 0 is 32. An example waits for others
	// to fill a batch no longer than Wait, unless steps are in its way; 0 is 100
	// ms. Where the model trains on two or more, see [nn.Model.MinBatch], one alone
	// waits for another.
	Batch int
	Wait  time.Duration

	// Queue is how many examples may wait, at least Batch; 0 is 1024, or Batch
	// where that is more. It has memory for all of them, 16 GiB at most. When it is
	// full, the newest is refused with [ErrFull], or with DropOldest the oldest is
	// dropped.
	Queue      int
	DropOldest bool

	// A version is published after PublishSteps steps, 0 for no such limit, and
	// in any case PublishEvery after the last if there was a step since; 0 is a
	// second.
	PublishSteps int
	PublishEvery time.Duration

	// Save, if not nil, is given a checkpoint where a version has been published
	// since the last one, but not before SaveEvery has passed since that or since the
	// beginning of Run; 0 is 10 s. So a crash takes no more than was learnt in Wait,
	// PublishEvery and SaveEvery. It also gets the last version when Run ends. It runs
	// in Run's goroutine, and the checkpoint is its own until it returns. After an
	// error it is called again SaveEvery later.
	Save      func(*checkpoint.Content) error
	SaveEvery time.Duration

	// Share is the part of the time, over some tens of milliseconds, in which Run may
	// train and publish: between steps it rests so long that it doesn't exceed that, and
	// what it has no time for stays in the queue. The smaller it is, the seldomer is a
	// prediction late. 0 is all of the time, as is 1. Where it rests, versions are
	// published and saved that much later.
	Share float64

	Validation Validation

	// Pool splits large matrix products of training; see [nn.Session.SetPool].
	Pool *kernels.Pool

	// OnPublish and OnRollback, if not nil, are called after a version has been
	// published, and after the model has been set back. They run in Run's
	// goroutine: model, optimizer and [Learner.Session] rest until they return,
	// and may be changed.
	OnPublish  func(Publication)
	OnRollback func(Rollback)

	// Logger is told of each rollback and each error of Save; nil is slog's default.
	Logger *slog.Logger
}

// Validation are examples that a [Learner] looks at before it publishes a version,
// and never trains on. Without X there are none. They are not copied, and must stay
// as they are. Their loss is the plain mean over all rows with a label, whatever
// [nn.Session.SetCrossEntropy] has made of that of steps.
type Validation struct {
	X       []float32
	Labels  []int     // for CrossEntropy
	Targets []float32 // for SquaredError

	// MaxLoss is the mean loss above which a model is not published but set back,
	// once there has been a version at or below it: an untrained model may begin
	// above. 0 is any finite loss.
	MaxLoss float64
}

// A Publication is a version that a learner has published.
type Publication struct {
	Version  uint64
	Steps    uint64  // since the start of Run, without those taken back
	Loss     float64 // mean over the validation examples, 0 without them
	Accuracy float64 // share of their rows with the right class, 0 without labels
}

// A Rollback is a return to the last published version.
type Rollback struct {
	Reason  error
	Version uint64
	Steps   uint64 // how many were taken back
}

// A Learner trains a model on examples that arrive one by one, and publishes it
// to a [Predictor]. Learn and Stats may be called from any number of goroutines,
// Run from one.
//
// Each published version is known to be good: its values are finite, and so is
// its loss on the validation examples, or on those of the last step where there
// are none. When a step fails, or a model is not good or its validation loss too
// high, the learner returns to the last version, with values, buffers and the
// optimizer's state, goes on with the next examples, and reports it. Predictions
// never see such a model.
//
// From examples to versions nothing is allocated.
type Learner struct {
	predictor *Predictor
	model     *nn.Model
	session   *nn.Session
	optimizer Optimizer
	run       *checkpoint.Run // of these three
	config    LearnerConfig
	queue     queue
	started   atomic.Bool

	rows    int // labels of an example
	classes int

	x        []float32 // a batch
	labels   []int
	targets  []float32
	examples int // in the last one

	good        *nn.Model // as last published
	goodState   optim.State
	goodLoss    float64
	validator   *nn.Predictor
	delta       []float32 // one row of gradients that nobody needs
	unpublished uint64    // steps
	lastPublish time.Time
	unsaved     bool // there is a version that Save does not have
	lastSave    time.Time

	counters counters
}

// NewLearner returns a learner that trains m with opt, an optimizer of m's
// parameters, and publishes to p, which was made for m or a model of the same layers.
// While Run runs, m and opt are the learner's alone.
//
// It fails if an option is not possible, m is not what p was made for, opt is of
// another model, or it can't restore what it saves.
func NewLearner(p *Predictor, m *nn.Model, opt Optimizer, c LearnerConfig) (*Learner, error) {
	l, err := newLearner(p, m, opt, c)
	if err != nil {
		return nil, fmt.Errorf("serve: NewLearner: %w", err)
	}
	return l, nil
}

func newLearner(p *Predictor, m *nn.Model, opt Optimizer, c LearnerConfig) (*Learner, error) {
	switch {
	case p.made("") != nil || m == nil || opt == nil:
		return nil, errors.New("want a predictor, a model and an optimizer")
	case c.Loss != CrossEntropy && c.Loss != SquaredError:
		return nil, fmt.Errorf("loss %d: want CrossEntropy (%d) or SquaredError (%d)", c.Loss, CrossEntropy, SquaredError)
	case !(c.Share >= 0 && c.Share <= 1):
		return nil, fmt.Errorf("Share is %v: want 0 to 1", c.Share)
	}
	for _, field := range []struct {
		name  string
		value any
		ok    bool
	}{
		{"Batch", c.Batch, c.Batch >= 0},
		{"Wait", c.Wait, c.Wait >= 0},
		{"Queue", c.Queue, c.Queue >= 0},
		{"PublishSteps", c.PublishSteps, c.PublishSteps >= 0},
		{"PublishEvery", c.PublishEvery, c.PublishEvery >= 0},
		{"SaveEvery", c.SaveEvery, c.SaveEvery >= 0},
	} {
		if !field.ok {
			return nil, fmt.Errorf("%s is %v: want 0 or more", field.name, field.value)
		}
	}
	if err := p.accepts(m); err != nil {
		return nil, err
	}
	known := opt.Params()
	for _, q := range m.Params() {
		if !slices.Contains(known, q) {
			return nil, fmt.Errorf("the optimizer is of another model: %s is not among its parameters", q.Name)
		}
	}
	c.Batch = orDefault(c.Batch, 32)
	c.Queue = orDefault(c.Queue, max(1024, c.Batch))
	c.Wait = orDefault(c.Wait, 100*time.Millisecond)
	c.PublishEvery = orDefault(c.PublishEvery, time.Second)
	c.SaveEvery = orDefault(c.SaveEvery, 10*time.Second)
	if c.Queue < c.Batch {
		return nil, fmt.Errorf("queue of %d examples for batches of %d: want as many at least", c.Queue, c.Batch)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	out := m.OutputShape()
	l := &Learner{predictor: p, model: m, optimizer: opt, config: c, rows: out.Positions(), classes: out.Features()}
	var err error
	if l.session, err = m.NewSession(c.Batch); err != nil {
		return nil, err
	}
	l.session.SetPool(c.Pool)
	if l.run, err = checkpoint.NewRun(m, l.session, opt); err != nil {
		return nil, err
	}
	if l.good, err = m.Clone(); err != nil {
		return nil, err
	}
	opt.SaveState(&l.goodState)
	if err := opt.Restore(&l.goodState); err != nil {
		return nil, err
	}
	if err := l.addValidation(); err != nil {
		return nil, err
	}
	if err := l.addQueue(); err != nil {
		return nil, err
	}
	return l, nil
}

// made returns an error if l is nil or zero.
func (l *Learner) made(call string) error {
	if l == nil || l.model == nil {
		return fmt.Errorf("serve: %s: the learner is nil or zero: want one of NewLearner", call)
	}
	return nil
}

// accepts returns an error unless m can be published.
func (p *Predictor) accepts(m *nn.Model) error {
	s := p.Borrow()
	defer s.Return()
	v := s.bound
	s.bound = nil
	err := s.predictor.SetModel(m)
	s.bind(v)
	return err
}

// maxQueue is the most bytes of a queue: 16 GiB, and 1 GiB where int has 32 bits.
const maxQueue = min(16<<30, math.MaxInt/2)

func (l *Learner) addQueue() error {
	c := &l.config
	in, labels, targets := l.model.In(), l.labelsOf(), l.targetsOf()
	if c.Queue > maxQueue/(4*in+8*labels+4*targets) {
		return fmt.Errorf("a queue of %d examples needs more than %d bytes", c.Queue, maxQueue)
	}
	l.queue.x, l.x = newRing[float32](in, c.Queue), make([]float32, c.Batch*in)
	l.queue.labels, l.labels = newRing[int](labels, c.Queue), make([]int, c.Batch*labels)
	l.queue.targets, l.targets = newRing[float32](targets, c.Queue), make([]float32, c.Batch*targets)
	l.queue.room, l.queue.batch, l.queue.drop = c.Queue, c.Batch, c.DropOldest
	l.queue.least = l.model.MinBatch()
	l.queue.more = make(chan struct{}, 1)
	return nil
}

func (l *Learner) addValidation() (err error) {
	if l.validator, err = l.model.NewPredictor(l.config.Batch); err != nil {
		return err
	}
	l.delta = make([]float32, l.classes)
	v := &l.config.Validation
	if len(v.X) == 0 {
		if len(v.Labels) > 0 || len(v.Targets) > 0 || v.MaxLoss != 0 {
			return errors.New("validation: labels, targets or MaxLoss, and no X")
		}
		return nil
	}
	if !(v.MaxLoss >= 0) {
		return fmt.Errorf("validation: MaxLoss is %v: want a number of at least 0", v.MaxLoss)
	}
	n, err := l.model.CheckInput(v.X)
	if err != nil {
		return fmt.Errorf("validation: %w", err)
	}
	in, labels, targets := l.model.In(), l.labelsOf(), l.targetsOf()
	switch {
	case len(v.Labels) != n*labels:
		return fmt.Errorf("validation: %d labels for %d examples: want %d", len(v.Labels), n, n*labels)
	case len(v.Targets) != n*targets:
		return fmt.Errorf("validation: targets of %d numbers for %d examples: want %d", len(v.Targets), n, n*targets)
	}
	for i := range n {
		if err := l.check(v.X[i*in:][:in], v.Labels[i*labels:][:labels], v.Targets[i*targets:][:targets]); err != nil {
			return fmt.Errorf("validation: example %d of %d: %w", i, n, err)
		}
	}
	return nil
}

// labelsOf returns how many labels an example has.
func (l *Learner) labelsOf() int {
	if l.config.Loss == CrossEntropy {
		return l.rows
	}
	return 0
}

// targetsOf returns how many numbers its target has.
func (l *Learner) targetsOf() int {
	if l.config.Loss == SquaredError {
		return l.model.Out()
	}
	return 0
}

// Session returns the learner's session: to set the loss of its steps, say. It
// belongs to Run's goroutine.
func (l *Learner) Session() *nn.Session { return l.session }

// Learn puts a copy of one example in the queue: one sample and its label, or one
// label for each position of a sample. [nn.Ignore] stands for a position that
// doesn't count.
//
// It fails, and keeps nothing, if x has another size or a number that is not
// finite, a label is not one of the classes, there is not one for each position,
// all are Ignore, or the learner works with targets; with [ErrFull] if the queue
// is full; and with [ErrStopped] after Run has ended.
func (l *Learner) Learn(x []float32, labels ...int) error {
	const call = "Learn"
	if err := l.made(call); err != nil {
		return err
	}
	if l.config.Loss != CrossEntropy {
		return l.refuse(call, errors.New("the learner wants targets: see LearnTarget"))
	}
	if err := l.check(x, labels, nil); err != nil {
		return l.refuse(call, err)
	}
	return l.queue.add(x, labels, nil)
}

// LearnTarget puts a copy of one example in the queue: one sample and the outputs
// that it should have.
//
// It fails as [Learner.Learn] does, and if target has another size or a number
// that is not finite, or the learner works with labels.
func (l *Learner) LearnTarget(x, target []float32) error {
	const call = "LearnTarget"
	if err := l.made(call); err != nil {
		return err
	}
	if l.config.Loss != SquaredError {
		return l.refuse(call, errors.New("the learner wants labels: see Learn"))
	}
	if err := l.check(x, nil, target); err != nil {
		return l.refuse(call, err)
	}
	return l.queue.add(x, nil, target)
}

func (l *Learner) refuse(call string, err error) error {
	l.counters.refused.Add(1)
	return fmt.Errorf("serve: %s: %w", call, err)
}

// check returns an error if an example can't be learnt.
func (l *Learner) check(x []float32, labels []int, target []float32) error {
	if len(x) != l.model.In() {
		return fmt.Errorf("an input of %d numbers: want %d", len(x), l.model.In())
	}
	if err := checkFinite("number", x); err != nil {
		return err
	}
	if _, err := l.model.CheckInput(x); err != nil {
		return err
	}
	if l.config.Loss == SquaredError {
		if len(target) != l.model.Out() {
			return fmt.Errorf("a target of %d numbers: want %d", len(target), l.model.Out())
		}
		return checkFinite("target", target)
	}
	return l.checkLabels(labels)
}

func checkFinite(what string, x []float32) error {
	if kernels.AllFinite(x) {
		return nil
	}
	for i, v := range x {
		if v-v != 0 {
			return fmt.Errorf("%s %d is %v: want finite numbers", what, i, v)
		}
	}
	return nil
}

func (l *Learner) checkLabels(labels []int) error {
	if len(labels) != l.rows {
		return fmt.Errorf("%d labels: want %d", len(labels), l.rows)
	}
	some := false
	for i, label := range labels {
		if label != nn.Ignore && uint(label) >= uint(l.classes) {
			return fmt.Errorf("label %d is %d: want 0 to %d", i, label, l.classes-1)
		}
		some = some || label != nn.Ignore
	}
	if !some {
		return errors.New("all labels are Ignore")
	}
	return nil
}

// Run trains, publishes and saves until ctx is done; then it finishes the step in
// hand, publishes and saves it, and returns nil. Examples that are still in the
// queue are lost. A learner runs once: another call is an error. So is an optimizer
// that can't be set back, and a last version that can't be saved.
func (l *Learner) Run(ctx context.Context) error {
	if err := l.made("Run"); err != nil {
		return err
	}
	if l.started.Swap(true) {
		return errors.New("serve: Run: the learner has run already")
	}
	defer l.queue.stop()
	if err := l.begin(); err != nil {
		return fmt.Errorf("serve: Run: %w", err)
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	pace := newPace(l.config.Share)
	for l.wait(ctx, timer) {
		pace.begin(time.Now())
		save, err := l.advance()
		if err != nil {
			return fmt.Errorf("serve: Run: %w", err)
		}
		pace.end(time.Now())
		if save {
			l.save()
		}
		if rest := pace.rest(time.Now()); rest > 0 {
			timer.Reset(rest)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		} else {
			runtime.Gosched() // predictions that wait for a processor go first
		}
	}
	l.queue.stop()
	if err := l.publish(); err != nil {
		return fmt.Errorf("serve: Run: %w", err)
	}
	if l.unsaved {
		if err := l.config.Save(l.Checkpoint()); err != nil {
			return fmt.Errorf("serve: Run: %w", err)
		}
	}
	return nil
}

// begin takes the model as it is now for good.
func (l *Learner) begin() error {
	loss, accuracy := l.validate()
	if !finite(loss) {
		return errors.New("the validation loss is not finite to begin with")
	}
	l.counters.validationLoss.Store(loss)
	l.counters.validationAccuracy.Store(accuracy)
	l.lastSave = time.Now()
	return l.keep(loss)
}

// keep makes the present model the one to return to.
func (l *Learner) keep(loss float64) error {
	l.optimizer.SaveState(&l.goodState)
	l.goodLoss, l.unpublished, l.lastPublish = loss, 0, time.Now()
	return l.good.CopyFrom(l.model)
}

// wait returns when there is a batch to train on or a version to publish or save,
// and false when ctx is done.
func (l *Learner) wait(ctx context.Context, timer *time.Timer) bool {
	var since time.Time // when the first example was seen
	for {
		if ctx.Err() != nil {
			return false
		}
		now := time.Now()
		pause := time.Hour
		switch queued := int(l.queue.queued.Load()); {
		case queued >= l.config.Batch:
			return true
		case queued >= l.queue.least:
			if since.IsZero() {
				since = now
			}
			pause = l.config.Wait - now.Sub(since)
		}
		if l.unpublished > 0 {
			pause = min(pause, l.config.PublishEvery-now.Sub(l.lastPublish))
		}
		if l.unsaved {
			pause = min(pause, l.config.SaveEvery-now.Sub(l.lastSave))
		}
		if pause <= 0 {
			return true
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
		case <-l.queue.more:
		case <-timer.C:
		}
	}
}

// advance does one step if there are examples, publishes if it is time, and reports
// whether it is time to save.
func (l *Learner) advance() (save bool, err error) {
	if n := l.queue.take(l.x, l.labels, l.targets); n > 0 {
		l.examples = n
		if err := l.step(n); err != nil {
			return false, l.rollback(err)
		}
	}
	save = l.mustSave()
	if save || l.mustPublish() {
		if err := l.publish(); err != nil {
			return false, err
		}
		save = l.mustSave() // with no step since the version
	}
	return save, nil
}

// save saves the last version.
func (l *Learner) save() {
	l.lastSave = time.Now()
	if err := l.config.Save(l.Checkpoint()); err != nil {
		l.config.Logger.Error("checkpoint not saved", "error", err)
	} else {
		l.unsaved = false
	}
}

func (l *Learner) mustPublish() bool {
	c := &l.config
	return c.PublishSteps > 0 && l.unpublished >= uint64(c.PublishSteps) || time.Since(l.lastPublish) >= c.PublishEvery
}

func (l *Learner) mustSave() bool { return l.unsaved && time.Since(l.lastSave) >= l.config.SaveEvery }

// step trains on the first n examples of the batch.
func (l *Learner) step(n int) error {
	s := l.session
	y, err := s.Forward(l.x[:n*l.model.In()])
	if err != nil {
		return err
	}
	rows, right := 0, 0
	var loss float32
	if l.config.Loss == CrossEntropy {
		labels := l.labels[:n*l.rows]
		rows, right = l.count(y, labels)
		loss, err = s.SoftmaxCrossEntropy(labels)
	} else {
		loss, err = s.MSE(l.targets[:n*l.model.Out()])
	}
	if err != nil {
		return err
	}
	if !finite(float64(loss)) {
		return fmt.Errorf("the loss is %v", loss)
	}
	s.CollectStatistics(l.optimizer.NeedsStatistics())
	pass, err := s.Backward()
	if err != nil {
		return err
	}
	if err := l.optimizer.Step(pass); err != nil {
		return err
	}
	l.unpublished++
	l.counters.learnt(n, rows, right, float64(loss))
	return nil
}

// count returns how many rows have a label, and how many of those have their
// largest score there.
func (l *Learner) count(y []float32, labels []int) (rows, right int) {
	for i, label := range labels {
		if label == nn.Ignore {
			continue
		}
		rows++
		if kernels.ArgMax(y[i*l.classes:][:l.classes]) == label {
			right++
		}
	}
	return rows, right
}

// publish publishes the steps that have not been, if the model is good, and sets
// it back if not.
func (l *Learner) publish() error {
	if l.unpublished == 0 {
		return nil
	}
	loss, accuracy := l.validate()
	limit := l.config.Validation.MaxLoss
	switch {
	case !finite(loss):
		return l.rollback(errors.New("the loss after the step is not finite"))
	case limit > 0 && loss > limit && l.goodLoss <= limit:
		return l.rollback(fmt.Errorf("the validation loss is %.4g: want at most %.4g", loss, limit))
	}
	version, err := l.predictor.Publish(l.model)
	if err != nil {
		return l.rollback(err)
	}
	if err := l.keep(loss); err != nil {
		return err
	}
	l.unsaved = l.config.Save != nil
	c := &l.counters
	c.validationLoss.Store(loss)
	c.validationAccuracy.Store(accuracy)
	c.published.Add(1)
	if l.config.OnPublish != nil {
		l.config.OnPublish(Publication{version, c.steps.Load() - c.takenBack.Load(), loss, accuracy})
	}
	return nil
}

// validate returns the mean loss over the validation examples and the share of
// right rows. Without such examples it looks at the last batch, and returns zeros
// if its loss is finite.
func (l *Learner) validate() (loss, accuracy float64) {
	if v := &l.config.Validation; len(v.X) > 0 {
		return l.evaluate(v.X, v.Labels, v.Targets)
	}
	n := l.examples
	loss, _ = l.evaluate(l.x[:n*l.model.In()], l.labels[:n*l.queue.labels.size], l.targets[:n*l.queue.targets.size])
	return loss - loss, 0
}

// evaluate returns the mean loss over the rows of examples, and the share of right
// rows among those with a label.
func (l *Learner) evaluate(x []float32, labels []int, targets []float32) (loss, accuracy float64) {
	in, batch := l.model.In(), l.config.Batch
	total, rows, right := 0.0, 0, 0
	for len(x) > 0 {
		n := min(batch, len(x)/in)
		y, err := l.validator.Predict(x[:n*in])
		if err != nil {
			return math.NaN(), 0 // the examples were checked
		}
		x = x[n*in:]
		if l.config.Loss == SquaredError {
			for i, t := range targets[:len(y)] {
				d := float64(y[i]) - float64(t)
				total += float64(d * d)
			}
			rows, targets = rows+len(y), targets[len(y):]
			continue
		}
		counted, hits := l.count(y, labels[:n*l.rows])
		rows, right = rows+counted, right+hits
		for i, label := range labels[:n*l.rows] {
			if label != nn.Ignore {
				total += float64(kernels.SoftmaxCrossEntropy(l.delta, y[i*l.classes:][:l.classes], label, 1))
			}
		}
		labels = labels[n*l.rows:]
	}
	if rows == 0 {
		return 0, 0
	}
	return total / float64(rows), float64(right) / float64(rows)
}

// rollback returns to the last version that was good.
func (l *Learner) rollback(reason error) error {
	if err := l.setBack(); err != nil {
		return fmt.Errorf("after %w: %w", reason, err)
	}
	r := Rollback{reason, l.predictor.Version(), l.unpublished}
	l.counters.takenBack.Add(l.unpublished)
	l.counters.rollbacks.Add(1)
	l.unpublished, l.lastPublish = 0, time.Now()
	l.config.Logger.Warn("learner set back to its last good version", "reason", reason, "version", r.Version, "steps", r.Steps)
	if l.config.OnRollback != nil {
		l.config.OnRollback(r)
	}
	return nil
}

// setBack makes the model the one to return to.
func (l *Learner) setBack() error {
	if err := l.optimizer.Restore(&l.goodState); err != nil {
		return err
	}
	return l.model.CopyFrom(l.good)
}

func finite(x float64) bool { return x-x == 0 }
