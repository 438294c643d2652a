// Package nn builds, trains and runs small neural networks.
//
// A [Model] is a sequence of layers and their parameters. A [Session] is what
// training it writes, a [Predictor] what a forward pass alone writes. Both are
// sized once for their largest batch and allocate nothing in a step; one
// goroutine uses one of them at a time, and any number of predictors may read
// the same model. While the model changes, package serve predicts from copies of
// it that do not.
//
// # Layout
//
// A batch is a flat row-major slice, one row a sample. The weight of a Linear
// layer is [in, out], the transpose of PyTorch's; parameters are named and
// counted as in PyTorch's Sequential.
//
// # Numbers
//
// All results have the same bits on every machine, at every level of package
// kernels, and for a row whatever batch it comes in. That holds for initial
// weights and shuffled batches too: each follows from its seed.
//
// # Errors
//
// No call panics on a caller's sizes or data. A call that refuses its arguments
// has changed nothing; a training step that its optimizer refuses has changed no
// parameter.
package nn
