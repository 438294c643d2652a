package checkpoint_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
	"github.com/adafisher-go/adafisher/optim"
)

// A program that starts where it was when it stopped, however that was.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "run.ckpt")

	for range 3 {
		var steps int64
		loaded, err := checkpoint.Load(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fmt.Println("nothing there: a new run")
		case err != nil:
			log.Fatal(err) // not a reason to start anew
		default:
			if loaded.Skipped != nil {
				fmt.Println("the newest checkpoint is damaged, this is the one before")
			}
			steps = loaded.Ints["steps"]
			fmt.Println("continue after step", steps)
		}
		for range 2 {
			steps += 100
			content := &checkpoint.Content{Ints: map[string]int64{"steps": steps}}
			if err := checkpoint.Save(path, content); err != nil {
				log.Fatal(err)
			}
		}
	}

	// What if the disk loses the end of the file?
	if err := os.Truncate(path, 100); err != nil {
		log.Fatal(err)
	}
	loaded, err := checkpoint.Load(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(loaded.Ints["steps"], "from", filepath.Base(loaded.Path))
	// Output:
	// nothing there: a new run
	// continue after step 200
	// continue after step 400
	// 500 from run.ckpt.prev
}

// A run stops after some epochs; another goes on from the file, and ends with the
// same bits as if nothing had happened.
func ExampleRun() {
	const epochs = 6
	x, labels := []float32{0, 0, 0, 1, 1, 0, 1, 1}, []int{0, 1, 1, 0}
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "run.ckpt")

	// train returns the model after the given epoch, and leaves a checkpoint.
	train := func(last int64) *nn.Model {
		model, err := nn.NewSequential(nn.Linear(2, 8), nn.BatchNorm(), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 2))
		if err != nil {
			log.Fatal(err)
		}
		session, err := model.NewSession(2)
		if err != nil {
			log.Fatal(err)
		}
		opt, err := optim.NewAdaFisher(model, optim.AdaFisherDefaults())
		if err != nil {
			log.Fatal(err)
		}
		batches, err := nn.NewBatches(len(labels), 2, 1)
		if err != nil {
			log.Fatal(err)
		}

		run, err := checkpoint.NewRun(model, session, opt)
		if err != nil {
			log.Fatal(err)
		}
		epoch := int64(0)
		loaded, err := checkpoint.Load(path)
		if err == nil {
			err = run.Restore(&loaded.Content)
			epoch = loaded.Ints["epoch"]
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Fatal(err) // not a reason to start anew
		}

		fmt.Println("from epoch", epoch)
		for ; epoch < last; epoch++ {
			for b := range batches.Epoch(int(epoch)) {
				xs := append(slices.Clone(x[2*b[0]:][:2]), x[2*b[1]:][:2]...)
				if _, err := session.TrainSoftmaxCrossEntropy(opt, xs, []int{labels[b[0]], labels[b[1]]}); err != nil {
					log.Fatal(err)
				}
			}
		}

		content := run.Content()
		content.Ints["epoch"] = epoch // a caller's own
		err = checkpoint.Save(path, content)
		if err != nil {
			log.Fatal(err)
		}

		return model
	}

	train(epochs / 2)
	resumed := train(epochs)
	if err := errors.Join(os.Remove(path), os.Remove(path+".prev")); err != nil {
		log.Fatal(err)
	}
	whole := train(epochs)
	for i, p := range whole.Params() {
		fmt.Println(p.Name, slices.Equal(p.Value, resumed.Params()[i].Value))
	}
	// Output:
	// from epoch 0
	// from epoch 3
	// from epoch 0
	// 0.weight true
	// 0.bias true
	// 1.weight true
	// 1.bias true
	// 4.weight true
	// 4.bias true
}
