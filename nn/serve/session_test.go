package serve

import (
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

// A goroutine that is held up between looking for the current version and
// announcing it must not read what was published over it since.
func TestAnnouncedTooLate(t *testing.T) {
	m, err := nn.NewSequential(nn.Linear(2, 3))
	require.NoError(t, err)
	p, err := NewPredictor(m, PredictorConfig{Sessions: 1})
	require.NoError(t, err)

	stale := p.current.Load()
	for range 5 {
		_, err = p.Publish(m)
		require.NoError(t, err)
	}
	require.Len(t, p.versions, 2)
	s := (*p.sessions.Load())[0]
	s.reading.Store(stale)
	require.NotSame(t, stale, p.current.Load(), "versions take turns, and the last is the second")
	s.settle(stale)
	require.Same(t, p.current.Load(), s.reading.Load())
	require.Same(t, p.current.Load(), s.bound)
	require.EqualValues(t, 6, s.Version())
}

func TestSessionsAreApart(t *testing.T) {
	require.EqualValues(t, 128, unsafe.Sizeof(Session{}))
}

// A goroutine gets the session that it had before, and others begin to look at other
// places.
func TestPlaces(t *testing.T) {
	m, err := nn.NewSequential(nn.Linear(2, 3))
	require.NoError(t, err)
	p, err := NewPredictor(m, PredictorConfig{Sessions: 64})
	require.NoError(t, err)
	borrow := func() *Session {
		s := p.Borrow()
		s.Return()
		return s
	}
	borrow() // which may move the stack
	first, second := borrow(), borrow()
	require.Same(t, first, second)

	places, wait := make(chan int), make(chan struct{})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			places <- place(64)
			<-wait // so that no other has this stack
		})
	}
	seen := make(map[int]bool)
	for range 64 {
		at := <-places
		require.Less(t, at, 64)
		seen[at] = true
	}
	close(wait)
	wg.Wait()
	require.Greater(t, len(seen), 16) // 64 at random have 40
	require.Zero(t, place(1))
}
