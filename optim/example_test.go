package optim_test

import (
	"fmt"
	"log"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// newXor returns a small network, and a session for it.
func newXor() (*nn.Model, *nn.Session) {
	model, err := nn.NewSequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
	if err != nil {
		log.Fatal(err)
	}
	model.Init(1)
	session, err := model.NewSession(4)
	if err != nil {
		log.Fatal(err)
	}
	return model, session
}

// Exclusive or.
var (
	x      = []float32{0, 0, 0, 1, 1, 0, 1, 1}
	labels = []int{0, 1, 1, 0}
)

// Train exclusive or, and look at what the curvature did.
func Example() {
	model, session := newXor()
	config := optim.AdaFisherDefaults()
	config.TCov = 10
	opt, err := optim.NewAdaFisher(model, config)
	if err != nil {
		log.Fatal(err)
	}
	var loss float32
	for range 200 {
		if loss, err = session.TrainSoftmaxCrossEntropy(opt, x, labels); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("loss %.3f\n", loss)
	fmt.Print(optim.FormatReports(opt.Reports()))
	// Output:
	// loss 0.005
	// layer  damping      min F   median F      max F     spread    trace H    trace S       step
	// 0       99.5 %      0.001      0.001    0.00107       1.07     0.0087     0.0156      0.995
	// 2      100.0 %      0.001      0.001      0.001          1     0.0334   2.31e-22          1
}

// A warm-up and a cosine, no weight decay for biases, and clipped gradients.
func ExampleSchedule() {
	const steps = 200
	model, session := newXor()
	config := optim.AdamWDefaults()
	config.Groups = optim.NoDecay(model)
	config.ClipNorm = 1
	opt, err := optim.NewAdamW(model, config)
	if err != nil {
		log.Fatal(err)
	}
	cosine, err := optim.Cosine(0.05, 0, steps-20)
	if err != nil {
		log.Fatal(err)
	}
	schedule, err := optim.Warmup(20, cosine)
	if err != nil {
		log.Fatal(err)
	}
	for opt.Steps() < steps {
		if err := opt.SetLR(schedule(opt.Steps())); err != nil {
			log.Fatal(err)
		}
		loss, err := session.TrainSoftmaxCrossEntropy(opt, x, labels)
		if err != nil {
			log.Fatal(err)
		}
		if opt.Steps()%50 == 0 {
			fmt.Printf("step %3d: learning rate %.4f, loss %.3f\n", opt.Steps(), opt.LR(), loss)
		}
	}
	// Output:
	// step  50: learning rate 0.0469, loss 0.015
	// step 100: learning rate 0.0298, loss 0.002
	// step 150: learning rate 0.0093, loss 0.002
	// step 200: learning rate 0.0000, loss 0.002
}

// Momentum goes down while the learning rate goes up.
func ExampleOneCycle() {
	model, session := newXor()
	config := optim.SGDDefaults()
	config.Momentum = 0.95
	opt, err := optim.NewSGD(model, config)
	if err != nil {
		log.Fatal(err)
	}
	lr, momentum, err := optim.OneCycle(optim.OneCycleDefaults(0.5, 100))
	if err != nil {
		log.Fatal(err)
	}
	var loss float32
	for step := opt.Steps(); step < 100; step = opt.Steps() {
		if err := opt.SetLR(lr(step)); err != nil {
			log.Fatal(err)
		}
		if err := opt.SetMomentum(momentum(step)); err != nil {
			log.Fatal(err)
		}
		if loss, err = session.TrainSoftmaxCrossEntropy(opt, x, labels); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("loss %.3f\n", loss)
	// Output: loss 0.003
}

// Steps on batches of four, of which a session holds two.
func ExampleAccumulator() {
	model, _ := newXor()
	session, err := model.NewSession(2)
	if err != nil {
		log.Fatal(err)
	}
	adam, err := optim.NewAdam(model, optim.AdamDefaults())
	if err != nil {
		log.Fatal(err)
	}
	opt, err := optim.NewAccumulator(model, adam, 2)
	if err != nil {
		log.Fatal(err)
	}
	for i := range 6 {
		half := i % 2
		if _, err := session.TrainSoftmaxCrossEntropy(opt, x[4*half:][:4], labels[2*half:][:2]); err != nil {
			log.Fatal(err)
		}
		fmt.Print(opt.Steps(), " ")
	}
	// Output: 0 1 1 2 2 3
}

// Predict with the average of the last weights, and train on with the last ones.
func ExampleEMA() {
	model, session := newXor()
	opt, err := optim.NewSGD(model, optim.SGDConfig{LR: 0.3, Momentum: 0.9})
	if err != nil {
		log.Fatal(err)
	}
	ema, err := optim.NewEMA(model, 0.99)
	if err != nil {
		log.Fatal(err)
	}
	for range 300 {
		if _, err := session.TrainSoftmaxCrossEntropy(opt, x, labels); err != nil {
			log.Fatal(err)
		}
		if err := ema.Update(); err != nil {
			log.Fatal(err)
		}
	}
	predictor, err := model.NewPredictor(len(labels))
	if err != nil {
		log.Fatal(err)
	}
	ema.Swap()
	scores, err := predictor.Predict(x)
	if err != nil {
		log.Fatal(err)
	}
	ema.Swap()
	loss, err := nn.CrossEntropy{}.Loss(scores, labels)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss with the averages %.3f\n", loss)
	// Output: loss with the averages 0.002
}

// Stop, and go on later with the very same bits: beside the weights, the optimizer's
// state and its configuration are all that this network needs. For one with batch
// normalisation or dropout, and to save it all to a file, see package nn/checkpoint.
func ExampleState() {
	model, session := newXor()
	train := func(opt optim.Optimizer, steps int) {
		for range steps {
			if _, err := session.TrainSoftmaxCrossEntropy(opt, x, labels); err != nil {
				log.Fatal(err)
			}
		}
	}
	opt, err := optim.NewAdamW(model, optim.AdamWDefaults())
	if err != nil {
		log.Fatal(err)
	}
	train(opt, 10)
	state := opt.State()
	fmt.Println(state.Rule, state.Counters["steps"], len(state.Vectors["2.weight/first_moment"]))

	resumed, err := optim.NewAdamW(model, optim.AdamWDefaults())
	if err != nil {
		log.Fatal(err)
	}
	if err := resumed.Restore(state); err != nil {
		log.Fatal(err)
	}
	train(resumed, 10)
	fmt.Println(resumed.Steps())
	// Output:
	// AdamW 10 16
	// 20
}
