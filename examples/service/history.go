package main

import (
	"context"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adafisher-go/adafisher/examples/service/api"
	"github.com/adafisher-go/adafisher/nn/serve"
)

// historyLength is how many seconds are kept.
const historyLength = 600

// history keeps what the page draws: a point for each second.
type history struct {
	service   *service
	started   time.Time
	latencies latencies

	mu     sync.Mutex
	points []api.Point // the last of them
	number uint64      // of the last
	last   serve.Stats
}

func newHistory(s *service) *history { return &history{service: s, started: time.Now()} }

// run adds a point each second until ctx is done.
func (h *history) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			h.add(now)
		}
	}
}

func (h *history) add(now time.Time) {
	stats := h.service.learner.Stats()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.number++
	p := api.Point{
		Number:   h.number,
		Time:     now.Unix(),
		Examples: stats.Examples - h.last.Examples,
		Queued:   stats.Queued,
		Version:  h.service.predictor.Version(),
	}
	if p.Examples > 0 {
		loss := (stats.LossSum - h.last.LossSum) / float64(p.Examples)
		p.Loss = &loss
	}
	if rows := stats.Rows - h.last.Rows; rows > 0 {
		accuracy := float64(stats.Right-h.last.Right) / float64(rows)
		p.Accuracy = &accuracy
	}
	if stats.ValidationLoss > 0 {
		p.ValidationLoss, p.ValidationAccuracy = &stats.ValidationLoss, &stats.ValidationAccuracy
	}
	if counts := h.latencies.take(); counts.total > 0 {
		p50, p99 := counts.quantile(0.5), counts.quantile(0.99)
		p.P50, p.P99, p.Requests = &p50, &p99, counts.total
	}
	h.last = stats
	if len(h.points) == historyLength {
		copy(h.points, h.points[1:])
		h.points = h.points[:historyLength-1]
	}
	h.points = append(h.points, p)
}

// after returns the points with numbers above since.
func (h *history) after(since uint64) []api.Point {
	h.mu.Lock()
	defer h.mu.Unlock()
	points := []api.Point{}
	for _, p := range h.points {
		if p.Number > since {
			points = append(points, p)
		}
	}
	return points
}

// latencies counts times in buckets: eight to a power of two of microseconds, so
// that a bucket is 13 % wide at most.
type latencies struct{ buckets [buckets]atomic.Uint64 }

const buckets = 8 * 28 // up to two minutes

func bucketOf(d time.Duration) int {
	us := uint64(max(0, d.Microseconds()))
	if us < 8 {
		return int(us)
	}
	octave := bits.Len64(us) - 4 // 8 to 15 is the first
	return min(8*(octave+1)+int(us>>octave&7), buckets-1)
}

// upper returns the end of a bucket, in milliseconds.
func upper(bucket int) float64 {
	if bucket < 8 {
		return float64(bucket+1) / 1000
	}
	octave, part := bucket/8-1, bucket%8
	return float64(uint64(8+part+1)<<octave) / 1000
}

func (l *latencies) add(d time.Duration) { l.buckets[bucketOf(d)].Add(1) }

// take returns the counts since the last take.
func (l *latencies) take() (c latencyCounts) {
	for i := range l.buckets {
		c.buckets[i] = l.buckets[i].Swap(0)
		c.total += c.buckets[i]
	}
	return c
}

type latencyCounts struct {
	buckets [buckets]uint64
	total   uint64
}

// quantile returns the end of the bucket that holds it, in milliseconds.
func (c *latencyCounts) quantile(q float64) float64 {
	rank, seen := uint64(q*float64(c.total)), uint64(0)
	for i, n := range c.buckets {
		if seen += n; seen > rank {
			return upper(i)
		}
	}
	return upper(buckets - 1)
}
