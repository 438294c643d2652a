package checkpoint_test

import (
	"testing"

	"github.com/adafisher-go/adafisher/internal/unmade"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
)

// TestUnmade: what no constructor has made says so.
func TestUnmade(t *testing.T) {
	for _, v := range []any{new(checkpoint.Run), (*checkpoint.Run)(nil)} {
		unmade.Check(t, v, &checkpoint.Content{})
	}
}
