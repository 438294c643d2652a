// Package optim holds the optimizers: AdaFisher and AdaFisherW (arXiv
// 2405.16397), and SGD, Adam and AdamW as PyTorch defines them.
//
// An optimizer is built for one model and reads a [kron.Pass] in each step:
//
//	opt, err := optim.NewAdaFisher(model, optim.AdaFisherDefaults())
//	...
//	session.CollectStatistics(opt.NeedsStatistics())
//	... forward, loss ...
//	pass, err := session.Backward()
//	err = opt.Step(pass)
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
// weight, moment, factor or counter has changed.
//
// What is not checked is the arithmetic on finite numbers: a finite but
// enormous gradient or weight can overflow in the step itself (in AdaFisher
// from about 3e38*lambda/lr on, in Adam where its square does), and gives
// infinite weights or moments as IEEE-754 says. The following pass then has, as
// a rule, gradients that are not finite, and is refused.
//
// # Numbers
//
// Scalars are float64 in the configuration, combined in float64, and rounded to
// float32 once; each parameter is then one call of a fused kernel. Steps repeat
// bit for bit on every machine, and after [State] has been saved and restored.
// Nothing is allocated in a step. One goroutine uses an optimizer at a time.
package optim
