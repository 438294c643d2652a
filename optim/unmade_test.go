package optim_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/internal/unmade"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// TestUnmade: what no constructor has made says so.
func TestUnmade(t *testing.T) {
	m, err := nn.NewSequential(nn.Linear(2, 2))
	require.NoError(t, err)
	var pass kron.Pass
	for _, p := range m.Params() {
		pass.Gradients = append(pass.Gradients, kron.Gradient{Param: p, Data: make([]float32, len(p.Value))})
	}
	// Training asks an optimizer before it steps.
	s, err := m.NewSession(1)
	require.NoError(t, err)
	for _, opt := range []nn.Stepper{new(optim.AdaFisher), new(optim.Calibrated), new(optim.SGD)} {
		_, err = s.TrainMSE(opt, []float32{1, 2}, []float32{1, 2})
		require.EqualError(t, err, "optim: the optimizer is nil or zero: want one of its constructor")
	}
	for _, v := range []any{
		new(optim.SGD), new(optim.Adam), new(optim.AdaFisher), new(optim.Calibrated), new(optim.Adagrad),
		new(optim.RMSProp), new(optim.Lion), new(optim.Muon),
		new(optim.Accumulator), (*optim.Accumulator)(nil),
		new(optim.Centred), (*optim.Centred)(nil),
		new(optim.EMA), (*optim.EMA)(nil),
	} {
		unmade.Check(t, v)
		unmade.Check(t, v, m, &pass, m.Params()[0], []float32{1, 2, 3, 4}, &optim.State{Counters: map[string]int64{"steps": 1}}, 0.1)
		unmade.Check(t, v, &kron.Pass{}, &optim.State{Rule: "EMA", Counters: map[string]int64{"steps": 1}}, 0.0)
	}
}
