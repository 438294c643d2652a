// Package serve predicts with a model from many goroutines while the model goes
// on learning, inside one process.
//
// A [Predictor] answers from the newest version of a model: a copy of its values
// that never changes, with a number. A [Learner] trains the model itself on
// examples that arrive one by one, and publishes versions of it.
//
//	server, err := serve.NewPredictor(model, serve.PredictorConfig{})
//	learner, err := serve.NewLearner(server, model, opt, serve.LearnerConfig{PublishSteps: 10})
//	go func() { stopped <- learner.Run(ctx) }()
//
//	err = learner.Learn(x, label)             // in any goroutine
//
//	version, err := server.Predict(scores, x) // in any other
//
// # Versions
//
// Predictions read a version through an atomic pointer and announce it in the
// session that they borrow, so that they take no lock, and always see all values
// of one version. Publishing also lays the weights out for predicting, as
// [nn.Model.Pack] does, so that no request waits for that. It copies into the memory
// of an old version that no session announces: with two versions in turns, a hundred
// publications a second leave nothing to the garbage collector.
//
// # What goes wrong
//
// An example that can't be learnt is an error to whoever brings it. A full queue
// refuses, or drops the oldest. A model that is no longer good is set back to the
// last published version, see [Learner]; [Learner.Stats] counts all of it. What a
// crash must not take goes to package checkpoint, by Save of [LearnerConfig], and
// [Learner.Restore] goes on from there.
//
// Zero values and nil are not usable: methods that return an error say so, and others
// may panic.
//
// # Processors
//
// A prediction waits for no step, but a step keeps one of the processors that Go has:
// requests that arrive on the network may wait for it up to 10 ms, the time after which
// Go takes it away. Where steps are long, give Go one more than there are:
//
//	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
//
// Where examples come faster than they are learnt, Share of [LearnerConfig] keeps the
// learner to a part of the time, so that predictions have the processors in the rest of
// it. Don't lower the priority of the learner's thread instead: the garbage collector
// waits for it.
//
// # Numbers
//
// An answer has the bits that an [nn.Predictor] gives for the version that it
// names, on every machine and for any number of goroutines. With float16 weights
// ([PredictorConfig]) it has those of a model whose weights are rounded.
package serve
