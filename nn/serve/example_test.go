package serve_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
	"github.com/adafisher-go/adafisher/nn/serve"
	"github.com/adafisher-go/adafisher/optim"
)

// A model answers while it learns which of two numbers is larger.
func Example() {
	model, err := nn.NewSequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
	if err != nil {
		log.Fatal(err)
	}
	opt, err := optim.NewAdaFisher(model, optim.AdaFisherDefaults())
	if err != nil {
		log.Fatal(err)
	}
	predictor, err := serve.NewPredictor(model, serve.PredictorConfig{})
	if err != nil {
		log.Fatal(err)
	}
	learner, err := serve.NewLearner(predictor, model, opt, serve.LearnerConfig{PublishSteps: 10, Queue: 2000})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- learner.Run(ctx) }()

	for i := range 2000 {
		a, b := float32(i%37)/37, float32(i%41)/41
		label := 0
		if b > a {
			label = 1
		}
		if err := learner.Learn([]float32{a, b}, label); err != nil {
			log.Fatal(err)
		}
	}
	for learner.Stats().Examples < 2000 { // or go on with other things
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-stopped; err != nil {
		log.Fatal(err)
	}

	classes := make([]int, 2)
	version, err := predictor.Classify(classes, []float32{0.9, 0.2, 0.3, 0.6})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("learnt:", version > 1, "classes:", classes)
	fmt.Println(learner.Learn([]float32{1, 2}, 7))
	// Output:
	// learnt: true classes: [0 1]
	// serve: Learn: label 0 is 7: want 0 to 1
}

// A service that keeps what it learns: at the next start the learner goes on from
// its checkpoint.
func ExampleLearner_Restore() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.ckpt")

	for range 2 { // lives of the service
		model, err := nn.NewSequential(nn.Linear(1, 2))
		if err != nil {
			log.Fatal(err)
		}
		opt, err := optim.NewAdaFisher(model, optim.AdaFisherDefaults())
		if err != nil {
			log.Fatal(err)
		}
		predictor, err := serve.NewPredictor(model, serve.PredictorConfig{})
		if err != nil {
			log.Fatal(err)
		}
		saved := make(chan uint64, 1)
		learner, err := serve.NewLearner(predictor, model, opt, serve.LearnerConfig{
			Batch:        1,
			PublishSteps: 1,
			SaveEvery:    time.Millisecond, // a real service leaves it at seconds
			Save: func(c *checkpoint.Content) error {
				if err := checkpoint.Save(path, c); err != nil {
					return err
				}
				saved <- c.Uints["serve/version"]
				return nil
			},
		})
		if err != nil {
			log.Fatal(err)
		}
		loaded, err := checkpoint.Load(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fmt.Println("a new model")
		case err != nil:
			log.Fatal(err) // not a reason to begin anew
		default:
			if err := learner.Restore(&loaded.Content); err != nil {
				log.Fatal(err)
			}
			fmt.Println("go on from version", predictor.Version())
		}
		ctx, cancel := context.WithCancel(context.Background())
		stopped := make(chan error)
		go func() { stopped <- learner.Run(ctx) }()
		for range 2 {
			if err := learner.Learn([]float32{1}, 1); err != nil {
				log.Fatal(err)
			}
			fmt.Println("version", <-saved, "is on the disk")
		}
		cancel()
		if err := <-stopped; err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// a new model
	// version 2 is on the disk
	// version 3 is on the disk
	// go on from version 3
	// version 4 is on the disk
	// version 5 is on the disk
}
