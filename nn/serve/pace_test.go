package serve

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPace computes in steps of several lengths, with sleeps that are up to a
// millisecond too long, and by a clock that nobody waits for.
func TestPace(t *testing.T) {
	for _, share := range []float64{0.1, 0.5, 0.9} {
		for _, step := range []time.Duration{20 * time.Microsecond, 700 * time.Microsecond, 40 * time.Millisecond} {
			p := newPace(share)
			start := time.Now()
			now, computed := start, time.Duration(0)
			for i := 0; now.Sub(start) < 10*time.Second; i++ {
				p.begin(now)
				now, computed = now.Add(step), computed+step
				p.end(now)
				if rest := p.rest(now); rest > 0 {
					now = now.Add(rest + time.Duration(i%10)*100*time.Microsecond)
				}
			}
			require.InDelta(t, share, computed.Seconds()/now.Sub(start).Seconds(), 0.01*share, "%v", step)
		}
	}
}

// TestPaceAlways: with all of the time there is no rest, and after much of it little is
// caught up.
func TestPaceAlways(t *testing.T) {
	for _, share := range []float64{0, 1} {
		p, now := newPace(share), time.Now()
		for range 100 {
			p.begin(now)
			now = now.Add(time.Second)
			p.end(now)
			require.Zero(t, p.rest(now))
		}
	}
	p, now := newPace(math.SmallestNonzeroFloat64), time.Now()
	p.begin(now)
	p.end(now.Add(time.Second))
	require.Greater(t, p.rest(now.Add(time.Second)), 24*time.Hour)
	p = newPace(0.5)
	p.begin(now)
	p.end(now)
	require.Zero(t, p.rest(now))
	now = now.Add(time.Hour)
	p.begin(now)
	now = now.Add(time.Second)
	p.end(now)
	require.Equal(t, time.Second-most, p.rest(now))
	require.Equal(t, time.Second/2-most, p.rest(now.Add(time.Second/2)))
}
