package nn_test

import (
	"fmt"
	"log"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// A network learns the exclusive or of two bits.
func Example() {
	x := []float32{
		0, 0,
		0, 1,
		1, 0,
		1, 1,
	}
	labels := []int{0, 1, 1, 0}

	model, err := nn.NewSequential(
		nn.Linear(2, 16),
		nn.Tanh(),
		nn.Linear(16, 2),
	)
	if err != nil {
		log.Fatal(err)
	}
	model.Init(1)
	fmt.Println("parameters:", model.NumParams())

	const batch = 2
	session, err := model.NewSession(batch)
	if err != nil {
		log.Fatal(err)
	}
	batches, err := nn.NewBatches(len(labels), batch, 1)
	if err != nil {
		log.Fatal(err)
	}
	opt, err := optim.NewAdaFisher(model, optim.AdaFisherDefaults())
	if err != nil {
		log.Fatal(err)
	}
	var xs []float32
	var ls []int
	for epoch := range 200 {
		for indices := range batches.Epoch(epoch) {
			xs, ls = xs[:0], ls[:0]
			for _, i := range indices {
				xs = append(xs, x[2*i:2*i+2]...)
				ls = append(ls, labels[i])
			}
			if _, err := session.TrainSoftmaxCrossEntropy(opt, xs, ls); err != nil {
				log.Fatal(err)
			}
		}
	}

	predictor, err := model.NewPredictor(4)
	if err != nil {
		log.Fatal(err)
	}
	classes := make([]int, 4)
	if err := predictor.Classify(classes, x); err != nil {
		log.Fatal(err)
	}
	fmt.Println("classes:", classes)

	_, err = predictor.Predict([]float32{1, 2, 3})
	fmt.Println("error:", err)
	// Output:
	// parameters: 82
	// classes: [0 1 1 0]
	// error: nn: Predict: an input of 3 numbers is not rows of 2 features
}

// The optimizers of package optim are Steppers.
var _ nn.Stepper = optim.Optimizer(nil)

// GradientDescent is the simplest optimizer: w -= LR*g.
type GradientDescent struct{ LR float32 }

func (GradientDescent) NeedsStatistics() bool { return false }

func (o GradientDescent) Step(pass *kron.Pass) error {
	for _, g := range pass.Gradients {
		if !g.Param.Frozen {
			kernels.Axpy(g.Param.Value, g.Data, -o.LR)
		}
	}
	return nil
}

// An optimizer of one's own fits a line, y = 3*x - 1.
func ExampleStepper() {
	model, err := nn.NewSequential(nn.Linear(1, 1))
	if err != nil {
		log.Fatal(err)
	}
	session, err := model.NewSession(4)
	if err != nil {
		log.Fatal(err)
	}
	x, y := []float32{-1, 0, 1, 2}, []float32{-4, -1, 2, 5}
	for range 100 {
		if _, err := session.TrainMSE(GradientDescent{LR: 0.2}, x, y); err != nil {
			log.Fatal(err)
		}
	}
	for _, p := range model.Params() {
		fmt.Printf("%s: %.3f\n", p.Name, p.Value)
	}
	// Output:
	// 0.weight: [3.000]
	// 0.bias: [-1.000]
}
