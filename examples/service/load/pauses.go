package main

import (
	"bufio"
	"bytes"
	"context"
	"math"
	"strconv"
	"strings"
)

// pauses are the times for which the garbage collector stopped the service.
type pauses struct {
	Count int64   `json:"count"`
	P99   float64 `json:"p99"` // in milliseconds, the end of the bucket that it is in

	ends   []float64 // of the buckets, in seconds
	counts []int64   // up to each end
}

// pauses reads the service's metrics: the pauses, and how long each took to stop all
// goroutines; nil if they don't have them.
func (l *load) pauses(ctx context.Context) (total, stopping *pauses) {
	text, _, err := l.client.Get(ctx, "/metrics")
	if err != nil {
		return nil, nil
	}
	return histogram(text, "go_sched_pauses_total_gc_seconds"), histogram(text, "go_sched_pauses_stopping_gc_seconds")
}

// histogram finds one in metrics; nil if it isn't there.
func histogram(text []byte, name string) *pauses {
	var p pauses
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name+`_bucket{le="`)
		if !ok {
			continue
		}
		end, count, _ := strings.Cut(rest, `"} `)
		e, err1 := strconv.ParseFloat(end, 64)
		n, err2 := strconv.ParseFloat(count, 64)
		if err1 != nil || err2 != nil {
			return nil
		}
		p.ends, p.counts = append(p.ends, e), append(p.counts, int64(n))
	}
	if len(p.ends) == 0 {
		return nil
	}
	return &p
}

// since returns the pauses after those of before.
func (p *pauses) since(before *pauses) *pauses {
	if p == nil || before == nil || len(p.counts) != len(before.counts) {
		return nil
	}
	last := len(p.counts) - 1
	r := &pauses{Count: p.counts[last] - before.counts[last]}
	for i, n := range p.counts {
		if float64(n-before.counts[i]) >= 0.99*float64(r.Count) {
			if end := p.ends[i]; r.Count > 0 && !math.IsInf(end, 0) {
				r.P99 = 1000 * end
			}
			break
		}
	}
	return r
}
