// Package optim holds the optimizers, the learning-rate schedules, and what goes
// with them in a training loop: groups of parameters, clipping, accumulation over
// several passes, averages of the weights.
//
// An optimizer is built for one model and reads a [kron.Pass] in each step:
//
//	opt, err := optim.NewAdamW(model, optim.AdamWDefaults())
//	...
//	loss, err := session.TrainSoftmaxCrossEntropy(opt, x, labels)
//
// or, step by step,
//
//	session.CollectStatistics(opt.NeedsStatistics())
//	... forward, loss ...
//	pass, err := session.Backward()
//	err = opt.Step(pass)
//
// # Which one
//
//	optimizer      state  moved  where it comes from
//	SGD              4      20   Robbins and Monro 1951; Polyak 1964; Nesterov 1983; Sutskever et al. 2013
//	Adam, AdamW      8      28   Kingma and Ba, arXiv 1412.6980; Loshchilov and Hutter, arXiv 1711.05101
//	  with AMSGrad  12      36   Reddi et al. 2018, "On the Convergence of Adam and Beyond"
//	RMSprop        4-12  20-36   Tieleman and Hinton 2012, Coursera lecture 6.5
//	Adagrad          4      20   Duchi et al. 2011, "Adaptive Subgradient Methods"
//	Lion             4      20   Chen et al., arXiv 2302.06675
//	AdaFisher(W)     4      20   Martins Gomes et al. 2025, arXiv 2405.16397
//	Calibrated       4  24, 28   this library, from AdaFisher; see there
//	Muon           4, 8       -  Jordan et al. 2024; Liu et al., arXiv 2502.16982
//
// state is the bytes that an optimizer keeps for each weight; moved are the bytes
// of its step that pass between memory and processor for each weight, the gradient
// included. The check of the gradients, see below, reads them once more: 4 bytes.
// Two short vectors a layer come to AdaFisher, three to Calibrated, which in the
// networks of the study were 0.7 to 17 % more. SGD without momentum keeps nothing
// and moves 12 bytes. Muon keeps 4 bytes for the weights of matrices, 8 for others,
// and its products cost far more than what it moves.
//
// To begin with, take [NewAdamW] at its defaults, with a [Warmup] of a few per cent
// of the steps and a [Cosine] to zero after it, as most is known of it; or
// [NewCalibrated] at its own, which in the small networks of the study did better on
// every task. Where the learning rate can be searched, in factors of about 3 around the
// default, also try
//
//   - [NewSGD] with a momentum of 0.9 and a learning rate of 0.03 or 0.1: half the
//     state, and reported to generalise better in convolutional networks (Wilson et
//     al., arXiv 1705.08292).
//   - [NewLion], half the state, with a third to a tenth of AdamW's learning rate and
//     as many times its weight decay.
//   - [NewAdaFisherW], half the state, with [kron.Paper] and a learning rate searched
//     from 1e-3 on. With the published variant, the default, it is close to SGD with a
//     Momentum and a Dampening of 0.9 and a learning rate of 1: see [AdaFisher].
//     [AdaFisher.Reports], and [FormatReports] in a table, tell how far the curvature
//     matters.
//   - [NewCalibrated] at its defaults, half the state, where the network consists of
//     layers that the library knows: it is made to need no search. In the study,
//     bench/results/study, it was without one clearly ahead of AdamW without one on all
//     six tasks. Against tuned optimizers it was level with the best on the digits, and
//     ahead of them with a perceptron on Fashion-MNIST: 89.2 % against 88.9 % of AdamW
//     on centred inputs and 88.6 % of AdamW. With a convolutional network there it was
//     level with AdamW, 90.8 % against 90.5 %, and behind Muon, 91.2 %;
//     with a transformer on Newton's Opticks it was ahead of AdamW, a perplexity of 5.59
//     against 5.87, and behind Muon, 4.74. But its defaults were chosen with data and
//     networks like these. Of two more networks on Fashion-MNIST, for which nothing was
//     chosen, it was ahead of AdamW with a vision transformer, 82.2 % against 80.6 %, and
//     level with it with a residual network, 82.8 % against 83.4 %, where a rate of
//     0.015 brought it to 83.9 %; Muon was clearly ahead in both, 83.8 % and 85.6 %. Its
//     curvature is worth most with the transformers, 6.42 without it against 5.53 on
//     Opticks and 80.9 % against 82.2 %, and something on the digits; with the others it
//     was level without. Without its centring it was clearly behind on the digits, with
//     the perceptron and with the convolutional network. Adam's second moment in place
//     of both, at twice the state, was level with it but for the perceptron, 88.4 %, and
//     the vision transformer, 81.5 %. With the same centring, [NewCentred], AdamW came
//     to 88.9 % with the perceptron, tuned.
//   - [NewMuon] for large batches and wide layers, with embeddings and the output
//     layer under AdamW: see [NotHidden]. It was first in the study with both
//     transformers and both convolutional networks; with the perceptron a step cost 18
//     of Adam's.
//
// Adagrad, for features that are seldom active, and RMSprop are there for their
// users and to compare with.
//
// Every configuration starts from a function of defaults, which are PyTorch's or
// the authors', and every one has [Options]:
//
//	config := optim.AdamWDefaults()
//	config.LR = 3e-3
//	config.Groups = optim.NoDecay(model)        // biases and normalisations don't decay
//	config.ClipNorm = 1
//	opt, err := optim.NewAdamW(model, config)
//
// A [Schedule] is a function of the number of steps; an [Accumulator] is an
// optimizer that steps once for several passes, [Centred] one that sees the inputs
// of layers less their means; an [EMA] stands beside an optimizer.
//
// # Parameters
//
// State is kept by the parameter's identity, never by its position or shape. A
// frozen parameter is left alone. A parameter that a pass doesn't mention stays
// where it is, and its own count of steps, which its bias correction needs,
// stays too.
//
// # All or nothing
//
// Step checks the whole pass before it moves anything. A NaN or infinity in a
// gradient, a factor that can't be averaged, an unknown, repeated or wrongly
// sized entry: each is an error that names the parameter or layer, and no
// weight, moment, factor or counter has changed, nor has the pass.
//
// A step can't overflow either, as long as the weights are below 1e15 (in SGD, Lion
// and AdaFisher 1e24; Calibrated measures its steps, and refuses those). For that,
// gradients beyond this magnitude are refused as infinite ones are, unless ClipNorm
// brings them down, and so is a learning rate that could carry a weight out of
// float32. The weights themselves aren't checked: that would cost as much as checking
// the gradients, and weights of this size have long been useless. Adagrad's sum of
// squares only grows: it would take thousands of gradients of 1e15.
//
// Optimizers and averages come from their constructors. Their zero values are not
// usable: methods that return an error say so, and others may panic, as do those of a
// nil rule.
//
// # Numbers
//
// Scalars are float64 in the configuration, combined in float64, and rounded to
// float32 once; each parameter is then one pass over memory, one call of a fused
// kernel, but for rules that must measure first. Steps repeat bit for bit on every
// machine, for any number of workers in SetPool, and after [State] has been saved and
// restored. Nothing is allocated in a step. One goroutine uses an optimizer at a
// time.
package optim
