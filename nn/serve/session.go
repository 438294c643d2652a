package serve

import (
	"errors"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/adafisher-go/adafisher/nn"
)

// A Session is a part of a [Predictor] for one goroutine, with one version from
// [Predictor.Borrow] to [Session.Return]: for calls that must agree, or for results
// that need no memory of the caller's. It must not be used after Return.
type Session struct {
	// reading is the version that the session is borrowed for, nil while it is
	// free: one compare-and-swap takes the session and announces the version (a
	// hazard pointer: Michael, IEEE TPDS 15(6), 2004). A version that is current
	// after it was announced can't be written until the session moves on, as
	// Publish looks for announcements after it has made another one current.
	reading atomic.Pointer[version]

	owner     *Predictor
	predictor *nn.Predictor
	bound     *version // whose model the predictor reads

	_ [128 - 4*unsafe.Sizeof(uintptr(0))]byte // no two sessions share a cache line, or a pair of them
}

func (p *Predictor) newSession(v *version) (*Session, error) {
	predictor, err := v.packed.NewPredictor(p.batch)
	if err != nil {
		return nil, err
	}
	return &Session{owner: p, predictor: predictor, bound: v}, nil
}

// Borrow returns a session that nobody else has, for the newest version. Hold it
// for moments: while it is borrowed, its version keeps its memory.
func (p *Predictor) Borrow() *Session {
	for {
		sessions := *p.sessions.Load()
		v := p.current.Load()
		at := place(len(sessions))
		for i := range sessions {
			if i+at == len(sessions) {
				at = -i
			}
			s := sessions[i+at]
			if s.reading.Load() == nil && s.reading.CompareAndSwap(nil, v) {
				s.settle(v)
				return s
			}
		}
		p.grow(len(sessions))
	}
}

// place returns where a goroutine begins to look among n sessions: each at a place of
// its own, and again at that one, whose memory is still in its processor's cache.
func place(n int) int {
	var here byte // on the goroutine's stack
	const phi = 0x9e3779b97f4a7c15
	hash := uint64(uintptr(unsafe.Pointer(&here))>>10) * phi
	high, _ := bits.Mul64(hash, uint64(n))
	return int(high)
}

// settle makes the session read the version that it has announced, or the
// current one if that has changed.
func (s *Session) settle(v *version) {
	for {
		now := s.owner.current.Load()
		if now == v {
			break
		}
		v = now
		s.reading.Store(v)
	}
	if s.bound != v {
		s.bind(v)
	}
}

func (s *Session) bind(v *version) {
	if err := s.predictor.SetPacked(v.packed); err != nil {
		panic(err) // all versions are clones of the first
	}
	s.bound = v
}

// grow doubles the sessions, which were so many, unless somebody else just did.
func (p *Predictor) grow(from int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sessions := *p.sessions.Load()
	if len(sessions) > from {
		return
	}
	for range from {
		s, err := p.newSession(p.current.Load())
		if err != nil {
			panic(err) // the first ones had the same sizes
		}
		sessions = append(sessions, s)
	}
	p.sessions.Store(&sessions)
}

// Version returns the number of the session's version.
func (s *Session) Version() uint64 { return s.bound.number }

// Predict returns the model's outputs for x, as [nn.Predictor.Predict] does: they
// belong to the session, until its next call or its return.
func (s *Session) Predict(x []float32) ([]float32, error) {
	if s == nil || s.owner == nil {
		return nil, errNotBorrowed
	}
	return s.predictor.Predict(x)
}

// Classify stores for each row of outputs the index of its largest score, as
// [nn.Predictor.Classify] does.
func (s *Session) Classify(classes []int, x []float32) error {
	if s == nil || s.owner == nil {
		return errNotBorrowed
	}
	return s.predictor.Classify(classes, x)
}

var errNotBorrowed = errors.New("serve: the session is nil or zero: want one of Borrow")

// Return gives the session back.
func (s *Session) Return() { s.reading.Store(nil) }
