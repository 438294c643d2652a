package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/adafisher-go/adafisher/examples/service/api"
)

// A reading is what the service has while nobody asks it for anything.
type reading struct {
	resident   float64 // bytes of the process
	live       float64 // bytes that the last collection left in the heap
	goroutines float64
}

// collectOften is for the services of the soak: what a collection leaves is known after
// a few requests for it, and the heap has little else.
func collectOften() error { return os.Setenv("GOGC", "50") }

// weigh reads the service's memory when all who asked it for something have gone.
func (l *life) weigh(ctx context.Context) (reading, error) {
	client := api.NewClient(l.process.URL, "", 1)
	defer client.Close()
	// Three collections later those that count have begun after the last request, and
	// pools keep nothing from before.
	const collections = 3
	first := -1.0
	for begin := time.Now(); time.Since(begin) < time.Minute; {
		var r reading
		var connections, collected float64
		body, _, err := client.Get(ctx, "/metrics")
		for name, value := range map[string]*float64{
			"connections_open":                   &connections,
			"go_gc_cycles_total_gc_cycles_total": &collected,
			"go_gc_heap_live_bytes":              &r.live,
			"go_goroutines":                      &r.goroutines,
		} {
			if err == nil {
				*value, err = metric(body, name)
			}
		}
		if err != nil {
			return r, err
		}
		switch {
		case connections > 1: // ours
			pause(ctx, time.Millisecond)
		case first < 0:
			first = collected
		case collected >= first+collections:
			resident, err := l.process.Memory()
			r.resident = float64(resident)
			return r, err
		}
	}
	return reading{}, errors.New("connections that clients have closed are open a minute later, or nothing is collected")
}

// metric finds the value of one in the answer to /metrics.
func metric(body []byte, name string) (float64, error) {
	_, after, found := strings.Cut(string(body), "\n"+name+" ")
	if !found {
		return 0, fmt.Errorf("/metrics has no %s", name)
	}
	value, _, _ := strings.Cut(after, "\n")
	return strconv.ParseFloat(value, 64)
}

// settled is the length of a life, from about which on the most requests that will ever be
// at work have been so early in it: of a shorter one, memory is only reported.
const settled = 20 * time.Second

// Limits of what the service may have more at the end than early in its life.
const (
	// A moment at which more requests than ever are at work leaves what they needed to the
	// next such moment: 26 KiB a session, and 140 KiB for another version of the model.
	moreLive       = 512 << 10
	moreResident   = 4 << 20 // the runtime keeps some memory for later
	moreGoroutines = 2
)

// checkMemory notes a fault if the service has more than before.
func (s *soak) checkMemory(before, after reading) {
	if after.live > before.live+moreLive {
		s.fault("the heap grew from %.2f to %.2f MiB", mib(before.live), mib(after.live))
	}
	if after.resident > before.resident+moreResident {
		s.fault("memory grew from %.1f to %.1f MiB", mib(before.resident), mib(after.resident))
	}
	if after.goroutines > before.goroutines+moreGoroutines {
		s.fault("there were %.0f goroutines, and are %.0f", before.goroutines, after.goroutines)
	}
}
