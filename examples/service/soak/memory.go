package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/adafisher-go/adafisher/examples/service/api"
)

// A reading is the memory of the service at one moment.
type reading struct {
	seconds  float64 // since the first
	resident float64 // bytes that the process has
	live     float64 // bytes that the last collection left in the heap
}

// weigh reads the service's memory several times a second until the deadline.
func (l *life) weigh(ctx context.Context, deadline time.Time) []reading {
	client := api.NewClient(l.process.URL, "", 1)
	defer client.Close()
	var all []reading
	start := time.Now()
	for ctx.Err() == nil && time.Now().Before(deadline) {
		resident, err := l.process.Memory()
		var live float64
		if err == nil {
			live, err = liveHeap(ctx, client)
		}
		switch {
		case err == nil:
			all = append(all, reading{time.Since(start).Seconds(), float64(resident), live})
		case ctx.Err() == nil:
			l.fault("memory of the service that should live: %v: %v", err, l.process.Log())
			return all
		}
		pause(ctx, min(200*time.Millisecond, time.Until(deadline)))
	}
	return all
}

// liveHeap returns what the last collection of the service left.
func liveHeap(ctx context.Context, client *api.Client) (float64, error) {
	body, _, err := client.Get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	const name = "\ngo_gc_heap_live_bytes "
	_, after, found := strings.Cut(string(body), name)
	if !found {
		return 0, fmt.Errorf("/metrics has no %q", name)
	}
	value, _, _ := strings.Cut(after, "\n")
	return strconv.ParseFloat(value, 64)
}

// growth returns the slope of the line through the live heaps that has the least
// squares, in bytes a second. It leaves out those of a collection before the first
// reading: the service may have been about to fill its buffers.
func growth(all []reading) float64 {
	for len(all) > 1 && all[1].live == all[0].live {
		all = all[1:]
	}
	if all = all[1:]; len(all) == 0 {
		return 0
	}
	var t, y, tt, ty float64
	for _, r := range all {
		t += r.seconds
		y += r.live
	}
	t, y = t/float64(len(all)), y/float64(len(all))
	for _, r := range all {
		tt += (r.seconds - t) * (r.seconds - t)
		ty += (r.seconds - t) * (r.live - y)
	}
	if tt == 0 {
		return 0
	}
	return ty / tt
}

// breath is by how much the live heap goes up and down with the requests that a
// collection meets, half-sent ones among them, twice over.
const breath = 3 << 20

// checkMemory notes a fault if the service's memory has grown.
func (s *soak) checkMemory() {
	if len(s.memory) == 0 {
		s.fault("the memory of the service that should live is not known")
		return
	}
	first, last := s.memory[0], s.memory[len(s.memory)-1]
	if rate := growth(s.memory); rate*last.seconds > breath {
		s.fault("the heap grew by %.1f KiB/s for %.1f s", rate/1024, last.seconds)
	}
	// What is not in the heap: the runtime keeps some memory for later, and lets the heap
	// become five times what is alive.
	if last.resident > 1.25*first.resident+(16<<20) {
		s.fault("memory grew from %.1f to %.1f MiB", mib(first.resident), mib(last.resident))
	}
}
