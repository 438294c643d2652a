package data_test

import (
	"fmt"
	"log"
	"slices"
	"strings"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/nn/data/opticks"
	"github.com/adafisher-go/adafisher/optim"
)

// Images of clothes, moved and mirrored at random, train a model for an epoch.
func Example() {
	var session *nn.Session  // of a model for images of 28x28x1
	var optimizer nn.Stepper // of package optim

	const seed, batch, epoch = 1, 64, 0
	train, _, err := data.FashionMNIST("") // where Debian's package has them
	if err != nil {
		log.Fatal(err)
	}
	mean, std := train.MeanStd()
	augmented, err := train.Transform(seed, data.Crop{Padding: 2}, data.Flip{}, data.Normalize{Mean: mean, Std: std})
	if err != nil {
		log.Fatal(err)
	}
	loader, err := data.NewLoader(augmented, batch, seed)
	if err != nil {
		log.Fatal(err)
	}
	for b := range loader.Len() {
		x, labels, err := loader.Batch(epoch, b)
		if err != nil {
			log.Fatal(err)
		}
		loss, err := session.TrainSoftmaxCrossEntropy(optimizer, x, labels)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(loss)
	}
}

// Two images of 2x2 pixels in one colour.
func ExampleImages() {
	images, err := data.NewImages(nn.Shape{2, 2, 1}, 10, []uint8{
		0, 255,
		255, 0,

		0, 51,
		102, 153,
	}, []uint8{7, 3})
	if err != nil {
		log.Fatal(err)
	}
	mean, std := images.MeanStd()
	fmt.Printf("mean %.3f, standard deviation %.3f\n", mean, std)

	x, labels := make([]float32, 2*4), make([]int, 2)
	if err := images.Gather(x, labels, 0, []int{1, 0}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(labels, x)
	// Output:
	// mean [0.400], standard deviation [0.400]
	// [3 7] [0 0.2 0.4 0.6 0 1 1 0]
}

// Batches follow from the epoch and their number alone, so that a run that
// stopped goes on as if it had not.
func ExampleLoader() {
	pixels, labels := make([]uint8, 7), []uint8{0, 1, 2, 3, 4, 5, 6}
	images, err := data.NewImages(nn.Shape{1, 1, 1}, 7, pixels, labels)
	if err != nil {
		log.Fatal(err)
	}
	run := func(epoch, batch int) {
		loader, err := data.NewLoader(images, 3, 1)
		if err != nil {
			log.Fatal(err)
		}
		var all [][]int
		for ; epoch < 2; epoch, batch = epoch+1, 0 {
			for ; batch < loader.Len(); batch++ {
				_, labels, err := loader.Batch(epoch, batch)
				if err != nil {
					log.Fatal(err)
				}
				all = append(all, slices.Clone(labels))
			}
		}
		fmt.Println(all)
	}
	run(0, 0)
	run(1, 1)
	// Output:
	// [[6 1 2] [5 3 0] [4] [2 1 5] [3 4 0] [6]]
	// [[3 4 0] [6]]
}

// A regression: a line through samples of the caller's own, with some held out.
func ExampleSamples() {
	samples := data.Samples{Features: 1, Outputs: 1}
	for i := range 20 {
		x := float32(i) / 10
		samples.X, samples.Targets = append(samples.X, x), append(samples.Targets, float32(3*x)-1)
	}
	train, held, err := samples.HoldOut(4, 1)
	if err != nil {
		log.Fatal(err)
	}
	loader, err := data.NewLoader(train, 8, 1)
	if err != nil {
		log.Fatal(err)
	}
	model, err := nn.NewSequential(nn.Linear(1, 1))
	if err != nil {
		log.Fatal(err)
	}
	session, err := model.NewSession(8)
	if err != nil {
		log.Fatal(err)
	}
	opt, err := optim.NewSGD(model, optim.SGDConfig{LR: 0.1, Momentum: 0.9})
	if err != nil {
		log.Fatal(err)
	}
	for epoch := range 100 {
		for b := range loader.Len() {
			x, targets, err := loader.BatchTargets(epoch, b)
			if err != nil {
				log.Fatal(err)
			}
			if _, err := session.TrainMSE(opt, x, targets); err != nil {
				log.Fatal(err)
			}
		}
	}
	predictor, err := model.NewPredictor(held.Len())
	if err != nil {
		log.Fatal(err)
	}
	y, err := predictor.Predict(held.X)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f\n%.2f\n", held.Targets, y)
	// Output:
	// [-0.40 1.70 2.90 3.20]
	// [-0.40 1.70 2.90 3.20]
}

// Newton's Opticks, character by character: from each to the next.
func ExampleWindows() {
	text := opticks.Text()
	vocabulary, err := data.Characters(text)
	if err != nil {
		log.Fatal(err)
	}
	tokens, err := vocabulary.Encode(text)
	if err != nil {
		log.Fatal(err)
	}
	train, validation, err := data.Split(tokens, 0.1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vocabulary.Len(), "characters,", len(train), "tokens to train on,", len(validation), "to validate with")

	const batch, length = 2, 24
	windows, err := data.NewRandomWindows(train, length, 1)
	if err != nil {
		log.Fatal(err)
	}
	loader, err := data.NewLoader(windows, batch, 1)
	if err != nil {
		log.Fatal(err)
	}
	x, labels, err := loader.Batch(0, 0) // x is [batch, length], and so are the labels
	if err != nil {
		log.Fatal(err)
	}
	for r := range batch {
		window := []uint16{uint16(x[r*length])}
		for _, label := range labels[r*length:][:length] {
			window = append(window, uint16(label))
		}
		text, err := vocabulary.Decode(window)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(strings.ReplaceAll(text, "\n", "|"))
	}
	// Output:
	// 91 characters, 510335 tokens to train on, 56703 to validate with
	// ither of their own Day-li
	// ? For if the Rays endeavo
}

// Invert is a transform of a program's own: it turns half of the images into
// their negatives.
type Invert struct{}

func (Invert) Check(height, width, channels int) error { return nil }

func (Invert) Apply(m data.Image, draws data.Draws) {
	if draws.IntN(2) == 0 {
		return
	}
	for i, v := range m.Data {
		m.Data[i] = 1 - v
	}
}

func ExampleTransform() {
	images, err := data.NewImages(nn.Shape{1, 2, 1}, 1, []uint8{0, 51}, []uint8{0})
	if err != nil {
		log.Fatal(err)
	}
	transformed, err := images.Transform(1, Invert{}, data.Flip{})
	if err != nil {
		log.Fatal(err)
	}
	x, labels := make([]float32, 2), make([]int, 1)
	for epoch := range 5 {
		if err := transformed.Gather(x, labels, epoch, []int{0}); err != nil {
			log.Fatal(err)
		}
		fmt.Println(x)
	}
	// Output:
	// [0.2 0]
	// [0 0.2]
	// [0.8 1]
	// [1 0.8]
	// [0.2 0]
}
