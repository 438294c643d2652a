package nn

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kron"
)

// A Stepper changes a model's parameters from a pass, or returns an error and
// changes nothing, as the optimizers of package optim do.
type Stepper interface {
	NeedsStatistics() kron.Collect // which statistics of the pass the next Step reads
	Step(*kron.Pass) error
}

// TrainSoftmaxCrossEntropy does one training step: Forward, SoftmaxCrossEntropy,
// Backward with the statistics that opt needs, and opt's Step. It returns the
// loss before the step.
//
// Where x or labels are wrong, as for those calls, the session has not moved
// either. An error of opt is returned together with the loss.
func (s *Session) TrainSoftmaxCrossEntropy(opt Stepper, x []float32, labels []int) (float32, error) {
	const call = "TrainSoftmaxCrossEntropy"
	rows, err := s.checkStep(call, opt, x)
	if err != nil {
		return 0, err
	}
	if err := s.checkLabels(call, labels, rows); err != nil {
		return 0, err
	}
	s.forward(x, rows)
	return s.step(opt, s.softmaxCrossEntropy(labels))
}

// TrainMSE does one training step: Forward, MSE, Backward with the statistics
// that opt needs, and opt's Step. It returns the loss before the step.
//
// Where x or target are wrong, as for those calls, the session has not moved
// either. An error of opt is returned together with the loss.
func (s *Session) TrainMSE(opt Stepper, x, target []float32) (float32, error) {
	const call = "TrainMSE"
	rows, err := s.checkStep(call, opt, x)
	if err != nil {
		return 0, err
	}
	if err := s.checkOutputs(call, target, rows); err != nil {
		return 0, err
	}
	s.forward(x, rows)
	return s.step(opt, s.mse(target))
}

// TrainBinaryCrossEntropy does one training step: Forward, BinaryCrossEntropy,
// Backward with the statistics that opt needs, and opt's Step. It returns the
// loss before the step.
//
// Where x or target are wrong, as for those calls, the session has not moved
// either. An error of opt is returned together with the loss.
func (s *Session) TrainBinaryCrossEntropy(opt Stepper, x, target []float32) (float32, error) {
	const call = "TrainBinaryCrossEntropy"
	rows, err := s.checkStep(call, opt, x)
	if err != nil {
		return 0, err
	}
	if err := s.checkProbabilities(call, target, rows); err != nil {
		return 0, err
	}
	s.forward(x, rows)
	return s.step(opt, s.binaryCrossEntropy(target))
}

func (s *Session) checkStep(call string, opt Stepper, x []float32) (rows int, err error) {
	if opt == nil {
		return 0, fmt.Errorf("nn: %s: there is no optimizer", call)
	}
	return s.checkInput(call, x)
}

func (s *Session) step(opt Stepper, loss float32) (float32, error) {
	pass, err := s.backward(opt.NeedsStatistics())
	if err != nil {
		return loss, err
	}
	if err := opt.Step(pass); err != nil {
		return loss, err
	}
	s.settle()
	return loss, nil
}
