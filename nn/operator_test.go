package nn

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
)

// A layer that ONNX has no operator for is named, wherever it stands.
func TestNoOperator(t *testing.T) {
	odd := &activation{"Odd", kernels.ReLU, kernels.ActivationReLU, kernels.ReLUBackward, true, nil}
	for want, layers := range map[string][]Layer{
		"layer 1 (Odd)":                {Linear(3, 3), odd},
		"layer a.0.1 (Odd)":            {Named("a", Residual(Sequential(ReLU(), odd)))},
		"layer 0.downsample (Odd)":     {ResidualVia(odd, ReLU())},
		"layer b (Odd)":                {Unfactored(Named("b", Shared(odd)))},
		"layer (Odd)":                  {Named("", odd)},
		"layer 0.0.downsample.1 (Odd)": {Residual(ResidualVia(Sequential(ReLU(), odd), ReLU()))},
	} {
		m, err := New(Shape{3}, layers...)
		require.NoError(t, err)
		var b bytes.Buffer
		require.EqualError(t, m.WriteONNX(&b), "nn: WriteONNX: "+want+": ONNX has no operator for it")
		require.Zero(t, b.Len())
	}
}
