package serve

import (
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
