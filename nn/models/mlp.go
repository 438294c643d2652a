// Package models has small ready-made networks: a perceptron, convolutional
// networks, a vision transformer and a language model. Each function returns an
// ordinary [nn.Model]; read one to see how a model of one's own is made.
package models

import (
	"fmt"

	"github.com/adafisher-go/adafisher/nn"
)

// MLP returns a perceptron with ReLU between its linear layers, of the given
// widths: features, hidden layers, classes.
func MLP(widths ...int) (*nn.Model, error) {
	if len(widths) < 2 {
		return nil, fmt.Errorf("models: MLP: %d widths: want at least 2, features and classes", len(widths))
	}
	var layers []nn.Layer
	for i, width := range widths[1:] {
		if i > 0 {
			layers = append(layers, nn.ReLU())
		}
		layers = append(layers, nn.Linear(widths[i], width))
	}
	return nn.NewSequential(layers...)
}
