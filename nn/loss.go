package nn

import (
	"errors"
	"fmt"
	"slices"

	"github.com/adafisher-go/adafisher/kernels"
)

var errNoForward = errors.New("no Forward yet")

// Ignore is the label of a row that a cross entropy leaves out, as in PyTorch.
const Ignore = -100

// CrossEntropy are options of [Session.SoftmaxCrossEntropy], and the loss itself for
// outputs that a [Predictor] gave.
type CrossEntropy struct {
	// ClassWeights, each 0 or from 1e-15 to 1e15, multiply the losses of the rows with
	// each class as label, and their mean is a weighted one; nil is 1 for every class.
	ClassWeights []float32

	// Smoothing is the share, from 0 to 1, that each label gives evenly to all
	// classes (arXiv 1512.00567).
	Smoothing float64
}

// SetCrossEntropy sets the options of SoftmaxCrossEntropy and
// TrainSoftmaxCrossEntropy, which copy them. It fails, and changes nothing,
// unless there is one weight for each class, in its range, and the smoothing is
// from 0 to 1.
func (s *Session) SetCrossEntropy(c CrossEntropy) error {
	const call = "SetCrossEntropy"
	if err := s.made(call); err != nil {
		return err
	}
	if err := c.check(call, s.model.output.Features()); err != nil {
		return err
	}
	s.entropy = CrossEntropy{ClassWeights: slices.Clone(c.ClassWeights), Smoothing: c.Smoothing}
	return nil
}

// maxWeight is the largest weight of a class or output, and 1/maxWeight the least of a
// class beside 0: neither the mean's divisor nor its product with a loss overflows.
const maxWeight = 1e15

func (c CrossEntropy) check(call string, classes int) error {
	if c.ClassWeights != nil && len(c.ClassWeights) != classes {
		return fmt.Errorf("nn: %s: %d class weights for %d classes", call, len(c.ClassWeights), classes)
	}
	for i, w := range c.ClassWeights {
		if w != 0 && !(w >= 1/maxWeight && w <= maxWeight) {
			return fmt.Errorf("nn: %s: weight of class %d is %v: want 0, or a number from 1e-15 to 1e15", call, i, w)
		}
	}
	if !(c.Smoothing >= 0 && c.Smoothing <= 1) {
		return fmt.Errorf("nn: %s: smoothing is %v: want a number in [0, 1]", call, c.Smoothing)
	}
	return nil
}

// Loss returns the loss of outputs for labels, with the bits that
// [Session.SoftmaxCrossEntropy] gives for outputs of the same bits. There are as many
// rows of scores, one after another, as labels; they determine the number of classes.
// It allocates as much memory as the outputs take.
//
// It fails as that method and [Session.SetCrossEntropy] do.
func (c CrossEntropy) Loss(outputs []float32, labels []int) (float32, error) {
	const call = "CrossEntropy.Loss"
	rows := len(labels)
	if rows == 0 || len(outputs) == 0 || len(outputs)%rows != 0 {
		return 0, fmt.Errorf("nn: %s: %d outputs for %d labels: want a row of scores for each", call, len(outputs), rows)
	}
	classes := len(outputs) / rows
	if err := c.check(call, classes); err != nil {
		return 0, err
	}
	if err := c.checkLabels(call, labels, classes); err != nil {
		return 0, err
	}
	return c.mean(make([]float32, rows), make([]float32, rows), make([]float32, len(outputs)), outputs, labels), nil
}

// weight returns the weight of a label, 0 for Ignore.
func (c CrossEntropy) weight(label int) float32 {
	switch {
	case label == Ignore:
		return 0
	case c.ClassWeights != nil:
		return c.ClassWeights[label]
	}
	return 1
}

// SoftmaxCrossEntropy returns the cross entropy of the softmax of the last
// Forward's outputs with the class labels, mean over the rows. A row is one
// position of a sample, with the scores of the classes as features.
//
//	loss = 1/rows * sum over r of log(sum over j of exp(y[r,j])) - y[r,labels[r]]
//	dy[r,j] = (softmax(y[r])[j] - (1 if j = labels[r])) / rows
//
// Rows with the label [Ignore] don't count. [Session.SetCrossEntropy] has
// options. The gradient dy at the output is kept for Backward. The losses of the
// rows are float32 and are added in float64, in order.
//
// It fails without a Forward, if there is not one label for each row, a label is
// neither Ignore nor between 0 and the last class, or no row has a weight above
// 0.
func (s *Session) SoftmaxCrossEntropy(labels []int) (float32, error) {
	const call = "SoftmaxCrossEntropy"
	if err := s.checkForward(call); err != nil {
		return 0, err
	}
	if err := s.checkLabels(call, labels, s.rows); err != nil {
		return 0, err
	}
	return s.softmaxCrossEntropy(labels), nil
}

func (s *Session) checkLabels(call string, labels []int, rows int) error {
	rows *= s.model.output.Positions()
	if len(labels) != rows {
		return fmt.Errorf("nn: %s: %d labels for %d rows", call, len(labels), rows)
	}
	return s.entropy.checkLabels(call, labels, s.model.output.Features())
}

func (c CrossEntropy) checkLabels(call string, labels []int, classes int) error {
	some := false
	for i, l := range labels {
		if l != Ignore && uint(l) >= uint(classes) {
			return fmt.Errorf("nn: %s: label %d is %d: want 0 to %d, or %d to ignore it", call, i, l, classes-1, Ignore)
		}
		some = some || c.weight(l) > 0
	}
	if !some {
		return fmt.Errorf("nn: %s: no row counts: the labels have weight 0 or are Ignore", call)
	}
	return nil
}

func (s *Session) softmaxCrossEntropy(labels []int) float32 {
	y, dy := s.scores()
	s.hasLoss = true
	return s.entropy.mean(s.losses[:len(labels)], s.counts[:len(labels)], dy, y, labels)
}

// mean returns the loss and stores its gradient in dy; losses and counts are room for
// a number each row.
func (c CrossEntropy) mean(losses, counts, dy, y []float32, labels []int) float32 {
	total, ignored := 0.0, false
	for i, l := range labels {
		w := c.weight(l)
		total += float64(w)
		counts[i] = 1
		if l == Ignore || w == 0 && c.Smoothing == 0 {
			counts[i], ignored = 0, true
		}
	}
	p := kernels.CrossEntropyParams{
		Scale:        float32(1 / total),
		Smoothing:    float32(c.Smoothing),
		ClassWeights: c.ClassWeights,
	}
	if ignored {
		p.Weights = counts
	}
	kernels.SoftmaxCrossEntropyRows(losses, dy, y, labels, p)
	sum := 0.0
	for _, l := range losses {
		sum += float64(l)
	}
	return float32(sum / total)
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
	if err := s.checkForward(call); err != nil {
		return 0, err
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
	s.hasLoss = true
	return meanSquare(dy, y, target)
}

// meanSquare returns the mean squared error and stores its gradient in dy, unless that
// is nil.
func meanSquare(dy, y, target []float32) float32 {
	scale := float32(2 / float64(len(y)))
	sum := 0.0
	for i, t := range target {
		d := y[i] - t
		sum += float64(float64(d) * float64(d))
		if dy != nil {
			dy[i] = float32(scale * d)
		}
	}
	return float32(sum / float64(len(y)))
}

// MSE returns the mean squared error of outputs that a [Predictor] gave, with the bits
// that [Session.MSE] gives for outputs of the same bits. It fails unless there are as
// many targets as outputs, at least one.
func MSE(outputs, target []float32) (float32, error) {
	if len(outputs) == 0 || len(target) != len(outputs) {
		return 0, fmt.Errorf("nn: MSE: %d targets for %d outputs: want as many, and at least 1", len(target), len(outputs))
	}
	return meanSquare(nil, outputs, target), nil
}

// BinaryCrossEntropy are options of [Session.BinaryCrossEntropy], and the loss itself
// for outputs that a [Predictor] gave.
type BinaryCrossEntropy struct {
	// PosWeights, from 0 to 1e15, multiply the losses of targets of 1 by a factor for
	// each of a row's outputs, to balance rare positives; nil is 1 for all.
	PosWeights []float32
}

// SetBinaryCrossEntropy sets the options of BinaryCrossEntropy and
// TrainBinaryCrossEntropy, which copy them. It fails, and changes nothing, unless
// there is one weight for each output, in its range.
func (s *Session) SetBinaryCrossEntropy(b BinaryCrossEntropy) error {
	const call = "SetBinaryCrossEntropy"
	if err := s.made(call); err != nil {
		return err
	}
	if n := s.model.Out(); b.PosWeights != nil && len(b.PosWeights) != n {
		return fmt.Errorf("nn: %s: %d weights for %d outputs", call, len(b.PosWeights), n)
	}
	if err := b.check(call); err != nil {
		return err
	}
	s.posWeights = slices.Clone(b.PosWeights)
	return nil
}

func (b BinaryCrossEntropy) check(call string) error {
	for i, w := range b.PosWeights {
		if !(w >= 0 && w <= maxWeight) {
			return fmt.Errorf("nn: %s: weight of output %d is %v: want a number from 0 to 1e15", call, i, w)
		}
	}
	return nil
}

// Loss returns the loss of outputs for targets, with the bits that
// [Session.BinaryCrossEntropy] gives for outputs of the same bits. It allocates as much
// memory as the outputs take.
//
// It fails unless there are as many targets as outputs, at least one, in rows as long
// as PosWeights if those are given; and as that method and
// [Session.SetBinaryCrossEntropy] do.
func (b BinaryCrossEntropy) Loss(outputs, target []float32) (float32, error) {
	const call = "BinaryCrossEntropy.Loss"
	if len(outputs) == 0 || len(target) != len(outputs) {
		return 0, fmt.Errorf("nn: %s: %d targets for %d outputs: want as many, and at least 1", call, len(target), len(outputs))
	}
	if n := len(b.PosWeights); b.PosWeights != nil && (n == 0 || len(outputs)%n != 0) {
		return 0, fmt.Errorf("nn: %s: %d weights for rows of %d outputs in all", call, n, len(outputs))
	}
	if err := b.check(call); err != nil {
		return 0, err
	}
	if err := checkProbabilities(call, target); err != nil {
		return 0, err
	}
	return b.mean(make([]float32, len(outputs)), outputs, target), nil
}

// mean returns the loss and stores its gradient in dy.
func (b BinaryCrossEntropy) mean(dy, y, target []float32) float32 {
	n := float64(len(y))
	sum := kernels.SigmoidCrossEntropy(dy, y, target, kernels.SigmoidCrossEntropyParams{
		Scale: float32(1 / n), PosWeights: b.PosWeights})
	return float32(float64(sum) / n)
}

// BinaryCrossEntropy returns the cross entropy of the logistic function of the
// last Forward's outputs with target, which has their shape and numbers from 0 to
// 1, mean over all n elements; in PyTorch, binary_cross_entropy_with_logits.
//
//	loss = 1/n * sum over i of log(1+exp(y[i])) - target[i]*y[i]
//	dy[i] = 1/n * (sigmoid(y[i]) - target[i])
//
// [Session.SetBinaryCrossEntropy] has options. The gradient dy at the output is
// kept for Backward; see [kernels.SigmoidCrossEntropy] for the arithmetic.
//
// It fails without a Forward, if target has another length than the outputs, or
// a number in it is not from 0 to 1.
func (s *Session) BinaryCrossEntropy(target []float32) (float32, error) {
	const call = "BinaryCrossEntropy"
	if err := s.checkForward(call); err != nil {
		return 0, err
	}
	if err := s.checkProbabilities(call, target, s.rows); err != nil {
		return 0, err
	}
	return s.binaryCrossEntropy(target), nil
}

func (s *Session) checkProbabilities(call string, target []float32, rows int) error {
	if err := s.checkOutputs(call, target, rows); err != nil {
		return err
	}
	return checkProbabilities(call, target)
}

func checkProbabilities(call string, target []float32) error {
	for i, p := range target {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("nn: %s: target %d is %v: want a number from 0 to 1", call, i, p)
		}
	}
	return nil
}

func (s *Session) binaryCrossEntropy(target []float32) float32 {
	y, dy := s.scores()
	s.hasLoss = true
	return BinaryCrossEntropy{s.posWeights}.mean(dy, y, target)
}

// SetOutputGradient takes dy, in the shape of the last Forward's outputs, as
// the gradient of a loss of the caller's own, and copies it for Backward.
//
// It fails without a Forward, or if dy has another length than the outputs.
func (s *Session) SetOutputGradient(dy []float32) error {
	const call = "SetOutputGradient"
	if err := s.checkForward(call); err != nil {
		return err
	}
	if err := s.checkOutputs(call, dy, s.rows); err != nil {
		return err
	}
	_, place := s.scores()
	copy(place, dy)
	s.hasLoss = true
	return nil
}
