package nn

import (
	"errors"
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
)

var errNoForward = errors.New("no Forward yet")

// SoftmaxCrossEntropy returns the cross entropy of the softmax of the last
// Forward's outputs with the class labels, mean over the rows:
//
//	loss = 1/rows * sum over r of log(sum over j of exp(y[r,j])) - y[r,labels[r]]
//	dy[r,j] = (softmax(y[r])[j] - (1 if j = labels[r])) / rows
//
// The gradient dy at the output is kept for Backward. The losses of the rows
// are float32 and are added in float64, in order.
//
// It fails without a Forward, if there is not one label for each row, or if a
// label is not between 0 and Out-1.
func (s *Session) SoftmaxCrossEntropy(labels []int) (float32, error) {
	const call = "SoftmaxCrossEntropy"
	if s.rows == 0 {
		return 0, fmt.Errorf("nn: %s: %w", call, errNoForward)
	}
	if err := s.checkLabels(call, labels, s.rows); err != nil {
		return 0, err
	}
	return s.softmaxCrossEntropy(labels), nil
}

func (s *Session) checkLabels(call string, labels []int, rows int) error {
	if len(labels) != rows {
		return fmt.Errorf("nn: %s: %d labels for %d rows", call, len(labels), rows)
	}
	for i, l := range labels {
		if l < 0 || l >= s.model.Out() {
			return fmt.Errorf("nn: %s: label %d is %d: want 0 to %d", call, i, l, s.model.Out()-1)
		}
	}
	return nil
}

func (s *Session) softmaxCrossEntropy(labels []int) float32 {
	y, dy := s.scores()
	out := s.model.Out()
	scale := float32(1 / float64(s.rows))
	sum := 0.0
	for r, l := range labels {
		row := y[r*out:][:out]
		sum += float64(kernels.SoftmaxCrossEntropy(dy[r*out:][:out], row, l, scale))
	}
	s.hasLoss = true
	return float32(sum / float64(s.rows))
}

// MSE returns the squared error of the last Forward's outputs to target, which
// has their shape, mean over all n elements:
//
//	loss = 1/n * sum over i of (y[i]-target[i])^2
//	dy[i] = 2/n * (y[i]-target[i])
//
// The gradient dy at the output is kept for Backward. Differences and gradient
// are float32; squares are added in float64, in order.
//
// It fails without a Forward, or if target has another length than the outputs.
func (s *Session) MSE(target []float32) (float32, error) {
	const call = "MSE"
	if s.rows == 0 {
		return 0, fmt.Errorf("nn: %s: %w", call, errNoForward)
	}
	if err := s.checkOutputs(call, target, s.rows); err != nil {
		return 0, err
	}
	return s.mse(target), nil
}

// checkOutputs checks that v has the shape of the outputs of rows.
func (s *Session) checkOutputs(call string, v []float32, rows int) error {
	if out := s.model.Out(); len(v) != rows*out {
		return fmt.Errorf("nn: %s: %d numbers for outputs of %d rows with %d features", call, len(v), rows, out)
	}
	return nil
}

func (s *Session) mse(target []float32) float32 {
	y, dy := s.scores()
	scale := float32(2 / float64(len(y)))
	sum := 0.0
	for i, t := range target {
		d := y[i] - t
		sum += float64(float64(d) * float64(d))
		dy[i] = float32(scale * d)
	}
	s.hasLoss = true
	return float32(sum / float64(len(y)))
}

// SetOutputGradient takes dy, in the shape of the last Forward's outputs, as
// the gradient of a loss of the caller's own, and copies it for Backward.
//
// It fails without a Forward, or if dy has another length than the outputs.
func (s *Session) SetOutputGradient(dy []float32) error {
	const call = "SetOutputGradient"
	if s.rows == 0 {
		return fmt.Errorf("nn: %s: %w", call, errNoForward)
	}
	if err := s.checkOutputs(call, dy, s.rows); err != nil {
		return err
	}
	_, place := s.scores()
	copy(place, dy)
	s.hasLoss = true
	return nil
}
