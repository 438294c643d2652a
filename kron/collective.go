package kron

// A Collective combines the passes of replicas that trained on equal shards of
// one batch, so that every replica then takes the same step. It sits between
// the backward pass and the optimizer:
//
//	pass, err := session.Backward()
//	err = collective.Reduce(pass)
//	err = optimizer.Step(pass)
//
// Gradients and raw factors travel together: factors that are not reduced would
// let the replicas drift apart. The library has none, as how replicas talk to each
// other is the program's: the example has one for goroutines.
type Collective interface {
	// Reduce overwrites the gradients and raw factors of p with those of the
	// whole batch. Over K replicas, each with the loss that is the mean over its
	// own shard:
	//
	//	gradient = mean over replicas
	//	H        = mean over replicas
	//	S        = mean over replicas / K^2
	//	Mean     = mean over replicas
	//
	// S takes the square because it consists of squared gradients of a mean
	// loss: a shard K times smaller than the batch has them K^2 times larger. A
	// sum in place of the mean, or other than equal shards, needs its own
	// weights. Every replica must add in the same order, or their bits differ;
	// on an error p must be thrown away.
	Reduce(p *Pass) error
}
