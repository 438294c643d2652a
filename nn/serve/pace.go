package serve

import "time"

// A pace keeps what computes now and then to a share of the time.
type pace struct {
	restful float64       // time to rest for each that was computed
	owed    time.Duration // rest; below zero where there was more
	last    time.Time     // when the computing began or ended
}

// Rests are not shorter than briefest, as sleeping has its own cost and may take a
// millisecond longer; that makes the following ones shorter, up to most.
const (
	briefest = time.Millisecond
	most     = 10 * time.Millisecond
)

// newPace returns one for a share of at least a millionth; 0 stands for 1.
func newPace(share float64) pace { return pace{restful: min(1/orDefault(share, 1)-1, 1e6)} }

// begin notes when the computing begins.
func (p *pace) begin(now time.Time) {
	if !p.last.IsZero() {
		p.owed = max(p.owed-now.Sub(p.last), -most)
	}
	p.last = now
}

// end notes when it ends.
func (p *pace) end(now time.Time) {
	p.owed += time.Duration(float64(now.Sub(p.last)) * p.restful)
	p.last = now
}

// rest returns how long to rest before the next begin.
func (p *pace) rest(now time.Time) time.Duration {
	rest := p.owed - now.Sub(p.last)
	if rest < briefest {
		return 0
	}
	return rest
}
