package nn_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
)

func digest(m *nn.Model) string {
	h := sha256.New()
	for _, p := range m.Params() {
		for _, b := range bits(p.Value) {
			h.Write(binary.LittleEndian.AppendUint32(nil, b))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// The constants hold on every architecture and at every level.
func TestDigests(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		m := sequential(t, nn.Linear(9, 33), nn.Tanh(), nn.Linear(33, 7))
		m.Init(1)
		require.Equal(t, "98dce429d1d8d6738ab87482245cd9b63f3f3ffcb1727223fec77c31e3fad846", digest(m), "Init")

		m = sequential(t, nn.Linear(300, 21), nn.ReLU(), nn.LinearNoBias(21, 19), nn.Tanh(), nn.Linear(19, 5))
		m.Init(2)
		s := session(t, m, 13)
		r := rand.New(rand.NewPCG(10, 1))
		opt := &plainSGD{lr: 0.1}
		for step := range 6 {
			rows := 13 - step
			x := uniform(r, rows*300)
			if step%2 == 0 {
				labels := make([]int, rows)
				for i := range labels {
					labels[i] = i % 5
				}
				_, err := s.TrainSoftmaxCrossEntropy(opt, x, labels)
				require.NoError(t, err)
			} else {
				_, err := s.TrainMSE(opt, x, uniform(r, rows*5))
				require.NoError(t, err)
			}
		}
		require.Equal(t, "c501f80f84aed67063f3ac6986200267fc2a6ad7d0b64567b1cea39071753761", digest(m), "training")
	})
}
