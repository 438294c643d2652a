package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/adafisher-go/adafisher/nn/serve"
)

// metrics are what Prometheus sees.
type metrics struct {
	registry *prometheus.Registry
	seconds  *prometheus.HistogramVec
	refusals *prometheus.CounterVec
}

func newMetrics(s *service) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "service_request_seconds",
			Help:    "Time from the start of a handler to its answer.",
			Buckets: prometheus.ExponentialBuckets(20e-6, 2, 17), // to 1.3 s
		}, []string{"path", "status"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "service_refusals_total",
			Help: "Requests that were refused, by code.",
		}, []string{"code"}),
	}
	// The Go collector has the garbage collector's pauses as go_sched_pauses_total_gc_seconds.
	m.registry.MustRegister(m.seconds, m.refusals, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsGC, collectors.MetricsScheduler)))
	gauge := func(name, help string, f func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	gauge("model_version", "Number of the newest version.", func() float64 { return float64(s.predictor.Version()) })
	gauge("model_age_seconds", "Time since the newest version was published.", func() float64 { return time.Since(s.predictor.Published()).Seconds() })
	gauge("requests_in_progress", "Predictions and lessons that are worked on.", func() float64 { return float64(len(s.slots)) })
	gauge("requests_arriving", "Predictions and lessons whose bodies are on their way.", func() float64 { return float64(s.arriving.size()) })
	gauge("connections_open", "Connections of clients.", func() float64 { return float64(s.open.size()) })
	stat := func(name, help string, f func(serve.Stats) float64) {
		gauge(name, help, func() float64 { return f(s.learner.Stats()) })
	}
	stat("learner_queue_examples", "Examples that wait to be learnt.", func(t serve.Stats) float64 { return float64(t.Queued) })
	stat("learner_validation_loss", "Mean loss of the newest version on the held-out examples.", func(t serve.Stats) float64 { return t.ValidationLoss })
	stat("learner_validation_accuracy", "Share of the held-out examples that the newest version gets right.", func(t serve.Stats) float64 { return t.ValidationAccuracy })
	count := func(name, help string, f func(serve.Stats) float64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return f(s.learner.Stats()) }))
	}
	count("learner_examples_total", "Examples learnt.", func(t serve.Stats) float64 { return float64(t.Examples) })
	count("learner_right_total", "Examples that the model got right before it learnt them.", func(t serve.Stats) float64 { return float64(t.Right) })
	count("learner_loss_total", "Sum over the examples learnt of their loss before; its rate over that of learner_examples_total is the mean.", func(t serve.Stats) float64 { return t.LossSum })
	count("learner_steps_total", "Training steps.", func(t serve.Stats) float64 { return float64(t.Steps) })
	count("learner_published_total", "Versions published.", func(t serve.Stats) float64 { return float64(t.Published) })
	count("learner_rollbacks_total", "Returns to the last good version.", func(t serve.Stats) float64 { return float64(t.Rollbacks) })
	count("learner_refused_total", "Examples that can't be learnt.", func(t serve.Stats) float64 { return float64(t.Refused) })
	count("learner_queue_full_total", "Examples that came to a full queue.", func(t serve.Stats) float64 { return float64(t.Full) })
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "checkpoint_failures_total", Help: "Checkpoints that could not be written."},
		func() float64 { return float64(s.store.failed.Load()) }))
	gauge("checkpoint_version", "Version in the last checkpoint on the disk, 0 without one.", func() float64 {
		if c := s.store.last.Load(); c != nil {
			return float64(c.Version)
		}
		return 0
	})
	count("learner_dropped_total", "Examples that made room for newer ones.", func(t serve.Stats) float64 { return float64(t.Dropped) })
	return m
}
