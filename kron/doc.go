// Package kron holds the Kronecker-factored diagonal curvature of AdaFisher
// (arXiv 2405.16397): raw factors of one batch, their normalisation and running
// averages, and the curvature that they form. It is also where networks and
// optimizers meet: a network fills a [Pass], an optimizer reads it, and neither
// knows the other.
//
// # Factors
//
// For a linear layer with inputs h and gradients s of the loss at its outputs,
// the raw factors of a batch of R rows are the mean squares
//
//	H[j] = (1/R) * sum over r of h[r,j]^2    and H[in] = 1 for a bias
//	S[i] = (1/R) * sum over r of s[r,i]^2
//
// Two short vectors, in and out long, stand for the in x out curvature
//
//	F[j,i] = H[j]*S[i] + lambda
//
// in the layout of the weight, [in, out]; the bias takes the row j = in.
//
// # Variants
//
// The authors' released code and their printed algorithm average the factors
// differently, and the results differ by orders of magnitude. [Variant] names
// the ways; nothing here mixes them.
//
// With the constants of [Published], H and S decay to at most
// 0.01*gamma/(1-0.1*gamma), which is 0.0087 at gamma = 0.8. Then H*S <= 7.6e-5,
// far below the usual lambda = 1e-3, and F lies within 8 % of lambda: after
// about three updates the rule is momentum SGD with the step lr/lambda. Before
// that, from the first update to the second, F is about 7.5*lambda, which acts
// as a warm-up.
// [Factors.Report] shows for each layer how much of F is lambda.
//
// Min-max normalisation leaves nothing of a factor whose entries are equal: all
// become 0. So in every variant S vanishes for a layer with one output, and, but for
// rounding, for one with two under a softmax, whose gradients are each other's
// negatives; and H for one input without bias. F is then lambda, in Published and
// PaperEMA once the first averages, which are ones, have decayed: such a layer, the
// last of a scalar regression or a binary classifier, never has any curvature.
// [Moments] are not normalised so.
//
// [Factors] and [Moments] come from their constructors. Their zero values and nil are
// not usable: methods that return an error say so, and others may panic.
//
// # Moments
//
// [Moments] are another curvature from the same passes, of our own: mean squares
// that are averaged as they are, with a damping relative to the layer's mean, and
// the means of the inputs, by which the curvature of a weight and its bias together
// can be had. A pass has either kind of statistics: see [Collect].
package kron
