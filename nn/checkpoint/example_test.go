package checkpoint_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"

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

// A run with its parameters, its optimizer and its random generator; the second
// half comes from the checkpoint and gives the same bits.
func ExampleContent() {
	const steps = 20
	x, labels := []float32{0, 0, 0, 1, 1, 0, 1, 1}, []int{0, 1, 1, 0}
	start := func() (*nn.Model, *nn.Session, *optim.AdaFisher, *rand.PCG) {
		model, err := nn.NewSequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
		if err != nil {
			log.Fatal(err)
		}
		session, err := model.NewSession(1)
		if err != nil {
			log.Fatal(err)
		}
		opt, err := optim.NewAdaFisher(model, optim.AdaFisherDefaults())
		if err != nil {
			log.Fatal(err)
		}
		return model, session, opt, rand.NewPCG(1, 2)
	}
	train := func(s *nn.Session, opt *optim.AdaFisher, random *rand.PCG, steps int) {
		for range steps {
			i := random.Uint64() % 4
			if _, err := s.TrainSoftmaxCrossEntropy(opt, x[2*i:2*i+2], labels[i:i+1]); err != nil {
				log.Fatal(err)
			}
		}
	}
	pack := func(model *nn.Model, opt *optim.AdaFisher, random *rand.PCG) *checkpoint.Content {
		state := opt.State()
		generator, err := random.MarshalBinary()
		if err != nil {
			log.Fatal(err)
		}
		c := &checkpoint.Content{
			Strings: map[string]string{"rule": state.Rule},
			Floats:  map[string]float64{"lr": state.LR},
			Ints:    state.Counters,
			Vectors: make(map[string][]float32),
			Bytes:   map[string][]byte{"random": generator},
		}
		for name, v := range state.Vectors {
			c.Vectors["optimizer/"+name] = v
		}
		for _, p := range model.Params() {
			c.Vectors["model/"+p.Name] = p.Value
		}
		return c
	}
	unpack := func(c *checkpoint.Content, model *nn.Model, opt *optim.AdaFisher, random *rand.PCG) error {
		state := &optim.State{
			Rule:     c.Strings["rule"],
			LR:       c.Floats["lr"],
			Counters: c.Ints,
			Vectors:  make(map[string][]float32),
		}
		for name := range opt.State().Vectors {
			state.Vectors[name] = c.Vectors["optimizer/"+name]
		}
		if err := opt.Restore(state); err != nil {
			return err
		}
		for _, p := range model.Params() {
			copy(p.Value, c.Vectors["model/"+p.Name])
		}
		return random.UnmarshalBinary(c.Bytes["random"])
	}

	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "run.ckpt")

	model, session, opt, random := start()
	train(session, opt, random, steps/2)
	if err := checkpoint.Save(path, pack(model, opt, random)); err != nil {
		log.Fatal(err)
	}
	train(session, opt, random, steps/2)

	resumed, session, opt, random := start()
	loaded, err := checkpoint.Load(path)
	if err != nil {
		log.Fatal(err)
	}
	if err := unpack(&loaded.Content, resumed, opt, random); err != nil {
		log.Fatal(err)
	}
	train(session, opt, random, steps/2)

	for i, p := range model.Params() {
		fmt.Println(p.Name, fmt.Sprint(p.Value) == fmt.Sprint(resumed.Params()[i].Value))
	}
	// Output:
	// 0.weight true
	// 0.bias true
	// 2.weight true
	// 2.bias true
}
