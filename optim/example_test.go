package optim_test

import (
	"fmt"
	"log"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// Train exclusive or, and look at what the curvature did.
func Example() {
	model, err := nn.NewSequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
	if err != nil {
		log.Fatal(err)
	}
	model.Init(1)
	session, err := model.NewSession(4)
	if err != nil {
		log.Fatal(err)
	}
	config := optim.AdaFisherDefaults()
	config.TCov = 10
	opt, err := optim.NewAdaFisher(model, config)
	if err != nil {
		log.Fatal(err)
	}
	x, labels := []float32{0, 0, 0, 1, 1, 0, 1, 1}, []int{0, 1, 1, 0}
	var loss float32
	for range 200 {
		if loss, err = session.TrainSoftmaxCrossEntropy(opt, x, labels); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("loss %.3f\n", loss)
	for _, r := range opt.Reports() {
		fmt.Printf("layer %s: lambda is %.0f %% of F\n", r.Layer, 100*r.DampingShare)
	}
	// Output:
	// loss 0.005
	// layer 0: lambda is 99 % of F
	// layer 2: lambda is 100 % of F
}
