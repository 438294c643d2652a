package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/nn/data/digits"
	"github.com/adafisher-go/adafisher/nn/models"
	"github.com/adafisher-go/adafisher/nn/serve"
	"github.com/adafisher-go/adafisher/optim"
)

// config is what a service can be told.
type config struct {
	seed         uint64
	batch        int
	queue        int
	dropOldest   bool
	publishSteps int
	publishEvery time.Duration
	share        float64       // of the time, for learning
	path         string        // of the checkpoint; "" for none
	saveEvery    time.Duration // at least, see serve.LearnerConfig
	token        string        // of those who bring examples; "" for nobody
	drain        time.Duration
	demo         int // images a second; 0 for no demonstration

	limits limits
	log    *slog.Logger
}

// limits are what requests may ask for.
type limits struct {
	body        int64         // bytes
	rows        int           // inputs or examples
	concurrency int           // predictions and lessons that are worked on at the same time
	connections int           // open ones
	timeout     time.Duration // of reading a request, and of writing its answer
}

// arrivals is how many bodies may be on their way for each request that is worked
// on: they cost memory alone.
const arrivals = 16

// A service is a model that answers requests and learns from them.
type service struct {
	config
	model     *nn.Model // the learner's
	optimizer optim.Optimizer
	predictor *serve.Predictor
	learner   *serve.Learner
	stream    data.Samples // to learn from in the demonstration
	held      data.Samples // never learnt from

	digest   [sha256.Size]byte                // of token
	slots    chan struct{}                    // one for each request that is worked on
	arriving *crowd[*http.ResponseController] // whose bodies are on their way
	open     *crowd[net.Conn]
	scratch  scratchPool
	store    *store
	history  *history
	metrics  *metrics
	exportMu sync.Mutex
	exported *nn.Model // for the weights of the newest version
	stopping atomic.Bool
	failed   atomic.Bool // the learner has ended with an error
}

// maxLoss is the validation loss that a version may not exceed once there has been
// one below it. Guessing gives log(10) = 2.3.
const maxLoss = 2

// longAgo is a deadline that ends what waits.
var longAgo = time.Unix(1, 0)

// newService returns a service that goes on from its checkpoint, or else with an
// untrained model.
func newService(c config) (*service, error) {
	s := &service{
		config:   c,
		slots:    make(chan struct{}, c.limits.concurrency),
		arriving: newCrowd(arrivals*c.limits.concurrency, func(c *http.ResponseController) { _ = c.SetReadDeadline(longAgo) }),
		open:     newCrowd(c.limits.connections, func(c net.Conn) { _ = c.Close() }),
		digest:   sha256.Sum256([]byte(c.token)),
	}
	set, err := digits.Load("")
	if err != nil {
		return nil, err
	}
	if s.stream, s.held, err = digits.Split(set, false); err != nil {
		return nil, err
	}
	if s.model, err = models.MLP(digits.Pixels, 128, 64, digits.Classes); err != nil {
		return nil, err
	}
	s.model.Init(c.seed)
	if s.exported, err = s.model.Clone(); err != nil {
		return nil, err
	}
	a := optim.AdaFisherDefaults()
	a.LR, a.TCov = 5e-4, 10
	if s.optimizer, err = optim.NewAdaFisher(s.model, a); err != nil {
		return nil, err
	}
	if s.predictor, err = serve.NewPredictor(s.model, serve.PredictorConfig{}); err != nil {
		return nil, err
	}
	s.store = &store{service: s, path: c.path}
	save := s.store.save
	if c.path == "" {
		save = nil
	}
	s.learner, err = serve.NewLearner(s.predictor, s.model, s.optimizer, serve.LearnerConfig{
		Batch:        c.batch,
		Queue:        c.queue,
		DropOldest:   c.dropOldest,
		PublishSteps: c.publishSteps,
		PublishEvery: c.publishEvery,
		Share:        c.share,
		Validation:   serve.Validation{X: s.held.X, Labels: s.held.Labels, MaxLoss: maxLoss},
		Save:         save,
		SaveEvery:    c.saveEvery,
		Logger:       c.log,
	})
	if err != nil {
		return nil, err
	}
	if err := s.store.recover(); err != nil {
		return nil, err
	}
	s.history = newHistory(s)
	s.metrics = newMetrics(s)
	return s, nil
}

// learn runs the learner until ctx is done.
func (s *service) learn(ctx context.Context) error {
	if err := s.learner.Run(ctx); err != nil {
		s.failed.Store(true)
		return fmt.Errorf("learning: %w", err)
	}
	return nil
}

// ready returns why the service should get no requests, nil if it should.
func (s *service) ready() error {
	switch {
	case s.stopping.Load():
		return errors.New("the service is shutting down")
	case s.failed.Load():
		return errors.New("the learner has stopped with an error")
	}
	return nil
}
