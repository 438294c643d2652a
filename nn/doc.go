// Package nn builds, trains, saves and runs small neural networks.
//
// A [Model] is layers and their parameters. A [Session] is what training it
// writes, a [Predictor] what a forward pass alone writes. Both are sized once for
// their largest batch and allocate nothing in a step; one goroutine uses one of
// them at a time, and any number of predictors may read the same model. A
// [PackedModel] is a copy of a model's values laid out for predicting faster, with
// float16 weights if wanted. Of the packages below this one, serve has a predictor
// for all goroutines and a learner beside it, checkpoint keeps the state of a run in
// a file, and models has ready-made networks.
//
// # Layers
//
//	model, err := nn.New(nn.Shape{28, 28, 1},
//		nn.Conv2d(1, 16, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1)}),
//		nn.BatchNorm(), nn.ReLU(),
//		nn.MaxPool2d(nn.Pooling{Kernel: nn.Square(2)}),
//		nn.Flatten(), nn.Dropout(0.2), nn.Linear(16*14*14, 10))
//	fmt.Print(model.Summary())
//
// Layers stand in a row; [Sequential], [Residual] and [ResidualVia] hold others.
// [Named], [Shared], [Unfactored] and [InitNormal] say something about the layer
// that they wrap. Each checks the shape that it gets, and [New] returns an error
// that names the layer and the shapes where they don't fit.
//
// A model has layers of this package alone. What a program computes by itself can
// stand between two models that one optimizer trains: [Session.InputGradient] of the
// upper one leads, by the program's own gradient, to [Session.SetOutputGradient] of
// the lower one. See the example of a layer of one's own.
//
// A session trains: batch normalisation takes the moments of the batch, dropout
// drops. A predictor does neither, and takes the running averages. The loss of what
// it predicts is [CrossEntropy.Loss], [MSE] or [BinaryCrossEntropy.Loss].
//
// # Layout
//
// A batch is a flat row-major slice, one sample a row, of the model's input
// [Shape]: features, [tokens, features], or [height, width, channels], the
// channels last. Tokens are whole numbers, as float32. The weight of a Linear
// layer is [in, out], that of a convolution [kernel rows, kernel columns,
// in/groups, out]. [Model.StateDict], [Model.Save] and [Model.Load] have
// PyTorch's names and layouts instead, and so has [Model.SaveONNX], which writes
// the model for other runtimes.
//
// # Numbers
//
// All results have the same bits on every machine, at every level of package
// kernels, for any number of workers, and for a row whatever batch it comes in
// (where a layer does not take moments of the batch). That holds for initial
// weights, dropped elements and shuffled batches too: each follows from its seed.
//
// # Processors
//
// A session and its optimizer compute in the caller's goroutine alone, unless they
// are given workers:
//
//	pool, err := kernels.NewPool(runtime.NumCPU())
//	defer pool.Close()
//	session.SetPool(pool)
//	opt.SetPool(pool)
//
// They then share the parts of each layer that are large enough. A predictor is for
// one goroutine; a service has one for each of its own, see package nn/serve.
//
// # Learning, predicting, keeping
//
// A step of training, and a prediction of one row:
//
//	session, err := model.NewSession(32)
//	opt, err := optim.NewAdaFisher(model, optim.AdaFisherDefaults())
//
//	loss, err := session.TrainSoftmaxCrossEntropy(opt, xs, labels)
//
//	packed, err := model.Pack(nn.PackConfig{})
//	predictor, err := packed.NewPredictor(1)
//	scores, err := predictor.Predict(x)
//
// In a service that learns from what it sees, with package serve:
//
//	server, err := serve.NewPredictor(model, serve.PredictorConfig{})
//	learner, err := serve.NewLearner(server, model, opt, serve.LearnerConfig{PublishSteps: 10})
//	go func() { stopped <- learner.Run(ctx) }()
//
//	err = learner.Learn(x, label)             // in any goroutine
//
//	version, err := server.Predict(scores, x) // in any other
//
// One that goes on where it was when it ended, however that was, with package
// checkpoint (whose Run is for training step by step):
//
//	learner, err := serve.NewLearner(server, model, opt, serve.LearnerConfig{
//		Save: func(c *checkpoint.Content) error { return checkpoint.Save(path, c) },
//	})
//	loaded, err := checkpoint.Load(path)
//	if err == nil {
//		err = learner.Restore(&loaded.Content)
//	}
//	if err != nil && !errors.Is(err, fs.ErrNotExist) {
//		log.Fatal(err) // not a reason to begin anew
//	}
//	go func() { stopped <- learner.Run(ctx) }()
//
// Weights that are part of the program, of this library or from PyTorch:
//
//	//go:embed testdata/model.safetensors
//	var trained []byte
//
//	err = model.ReadSafetensors(trained)
//
// One that keeps what it has learnt, but for its last layer:
//
//	for _, p := range model.Params() {
//		p.Frozen = !strings.HasPrefix(p.Name, "head.")
//	}
//
// A Backward ends at the first layer that trains; what is frozen before it costs the
// forward pass alone. Batch normalisations keep moving their running averages.
//
// # Errors
//
// No call panics on a caller's sizes or data. A call that refuses its arguments
// has changed nothing; a training step that its optimizer refuses has changed no
// parameter and no running average.
//
// A [Model], [Session], [Predictor] or [PackedModel] comes from the call that makes
// it. Zero values and nil are not usable: methods that return an error say so, and
// others may panic.
package nn
