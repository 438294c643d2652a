package kron_test

import (
	"testing"

	"github.com/adafisher-go/adafisher/internal/unmade"
	"github.com/adafisher-go/adafisher/kron"
)

// TestUnmade: what no constructor has made says so.
func TestUnmade(t *testing.T) {
	for _, v := range []any{
		new(kron.Factors), (*kron.Factors)(nil),
		new(kron.Moments), (*kron.Moments)(nil),
		new(kron.Layer), (*kron.Layer)(nil),
	} {
		unmade.Check(t, v)
		unmade.Check(t, v, []float32{1}, kron.Statistics{Layer: new(kron.Layer), H: []float32{1}, S: []float32{1}})
	}
}
