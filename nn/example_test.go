package nn_test

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/checkpoint"
	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/nn/data/digits"
	"github.com/adafisher-go/adafisher/nn/serve"
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

// A trained model is laid out for predicting, with weights of full and of half
// precision: what the latter costs shows on images that it was not trained on.
func ExampleModel_Pack() {
	images, err := digits.Load("")
	if err != nil {
		log.Fatal(err)
	}
	train, test, err := digits.Split(images, false)
	if err != nil {
		log.Fatal(err)
	}
	model, err := nn.NewSequential(nn.Linear(digits.Pixels, 128), nn.ReLU(), nn.Linear(128, digits.Classes))
	if err != nil {
		log.Fatal(err)
	}
	opt, err := optim.NewAdaFisher(model, optim.AdaFisherDefaults())
	if err != nil {
		log.Fatal(err)
	}
	const batch = 32
	session, err := model.NewSession(batch)
	if err != nil {
		log.Fatal(err)
	}
	loader, err := data.NewLoader(train, batch, 1)
	if err != nil {
		log.Fatal(err)
	}
	for epoch := range 5 {
		for b := range loader.Len() {
			x, labels, err := loader.Batch(epoch, b)
			if err != nil {
				log.Fatal(err)
			}
			if _, err := session.TrainSoftmaxCrossEntropy(opt, x, labels); err != nil {
				log.Fatal(err)
			}
		}
	}

	classes := make([]int, test.Len())
	for _, config := range []nn.PackConfig{{}, {Float16: true}} {
		packed, err := model.Pack(config)
		if err != nil {
			log.Fatal(err)
		}
		predictor, err := packed.NewPredictor(batch) // one a goroutine
		if err != nil {
			log.Fatal(err)
		}
		if err := predictor.Classify(classes, test.X); err != nil {
			log.Fatal(err)
		}
		right := 0
		for i, c := range classes {
			if c == test.Labels[i] {
				right++
			}
		}
		fmt.Printf("%d of %d right with %d bytes of weights\n", right, test.Len(), packed.NumBytes())
	}
	// Output:
	// 346 of 360 right with 38440 bytes of weights
	// 346 of 360 right with 19496 bytes of weights
}

// A model goes to another runtime, whatever the size of its batches there.
func ExampleModel_SaveONNX() {
	model, err := nn.NewSequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "onnx")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.onnx")
	if err := model.SaveONNX(path); err != nil {
		log.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Size() > int64(4*model.NumParams()))
	// Python: onnxruntime.InferenceSession("model.onnx").run(None, {"input": x})
	// Output: true
}

// The optimizers of package optim are Steppers.
var _ nn.Stepper = optim.Optimizer(nil)

// GradientDescent is the simplest optimizer: w -= LR*g.
type GradientDescent struct{ LR float32 }

func (GradientDescent) NeedsStatistics() kron.Collect { return kron.CollectNone }

func (o GradientDescent) Step(pass *kron.Pass) error {
	for _, g := range pass.Gradients {
		if !g.Param.Frozen {
			kernels.Axpy(g.Param.Value, g.Data, -o.LR)
		}
	}
	return nil
}

// Only the last layer of a model trains: the pass has no gradients of the others.
func ExampleSession_Backward_frozen() {
	model, err := nn.NewSequential(nn.Linear(2, 8), nn.Tanh(), nn.Named("head", nn.Linear(8, 1)))
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range model.Params() {
		p.Frozen = !strings.HasPrefix(p.Name, "head.")
	}
	session, err := model.NewSession(1)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := session.Forward([]float32{1, -1}); err != nil {
		log.Fatal(err)
	}
	if _, err := session.MSE([]float32{3}); err != nil {
		log.Fatal(err)
	}
	pass, err := session.Backward()
	if err != nil {
		log.Fatal(err)
	}
	for _, g := range pass.Gradients {
		fmt.Println(g.Param.Name)
	}
	// Output:
	// head.weight
	// head.bias
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

// joined are networks that one optimizer trains together.
type joined []*nn.Model

func (j joined) Params() (all []*kron.Param) {
	for _, m := range j {
		all = append(all, m.Params()...)
	}
	return all
}

func (j joined) Layers() (all []*kron.Layer) {
	for _, m := range j {
		all = append(all, m.Layers()...)
	}
	return all
}

// A layer of one's own, y = x^2, stands between two models: they learn the product of
// two numbers, a*b = ((a+b)^2 - (a-b)^2)/4.
func Example_ownLayer() {
	const batch, hidden = 25, 4
	below, err := nn.NewSequential(nn.Named("below", nn.Linear(2, hidden)))
	if err != nil {
		log.Fatal(err)
	}
	above, err := nn.NewSequential(nn.Named("above", nn.Linear(hidden, 1)))
	if err != nil {
		log.Fatal(err)
	}
	lower, err := below.NewSession(batch)
	if err != nil {
		log.Fatal(err)
	}
	upper, err := above.NewSession(batch)
	if err != nil {
		log.Fatal(err)
	}
	upper.CollectInputGradient(true)
	opt, err := optim.NewCalibrated(joined{below, above}, optim.CalibratedDefaults())
	if err != nil {
		log.Fatal(err)
	}

	var x, target []float32
	for i := range batch {
		a, b := float32(i%5-2)/2, float32(i/5-2)/2
		x, target = append(x, a, b), append(target, a*b)
	}
	squares, delta := make([]float32, batch*hidden), make([]float32, batch*hidden)
	var pass kron.Pass
	step := func() (float32, error) {
		h, err := lower.Forward(x)
		if err != nil {
			return 0, err
		}
		kernels.Mul(squares, h, h)
		if _, err := upper.Forward(squares); err != nil {
			return 0, err
		}
		loss, err := upper.MSE(target)
		if err != nil {
			return 0, err
		}

		lower.CollectStatistics(opt.NeedsStatistics())
		upper.CollectStatistics(opt.NeedsStatistics())
		p, err := upper.Backward()
		if err != nil {
			return 0, err
		}
		pass.Gradients = append(pass.Gradients[:0], p.Gradients...)
		pass.Statistics = append(pass.Statistics[:0], p.Statistics...)
		dy, err := upper.InputGradient()
		if err != nil {
			return 0, err
		}
		kernels.Mul(delta, dy, h)
		kernels.Scale(delta, delta, 2)
		if err := lower.SetOutputGradient(delta); err != nil {
			return 0, err
		}
		if p, err = lower.Backward(); err != nil {
			return 0, err
		}
		pass.Gradients = append(pass.Gradients, p.Gradients...)
		pass.Statistics = append(pass.Statistics, p.Statistics...)
		return loss, opt.Step(&pass)
	}
	for i := range 401 {
		loss, err := step()
		if err != nil {
			log.Fatal(err)
		}
		if i%200 == 0 {
			fmt.Printf("step %d: loss %.4f\n", i, loss)
		}
	}
	// Output:
	// step 0: loss 0.3569
	// step 200: loss 0.0002
	// step 400: loss 0.0000
}

// A convolutional network, and what it consists of.
func ExampleNew() {
	model, err := nn.New(nn.Shape{28, 28, 1},
		nn.Conv2d(1, 16, nn.Conv{Kernel: nn.Square(3), Padding: nn.Square(1)}),
		nn.BatchNorm(), nn.ReLU(),
		nn.MaxPool2d(nn.Pooling{Kernel: nn.Square(2)}),
		nn.Flatten(), nn.Dropout(0.2), nn.Linear(16*14*14, 10))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(model.Summary())
	_, err = nn.New(nn.Shape{28, 28, 1},
		nn.Conv2d(3, 16, nn.Conv{Kernel: nn.Square(3)}), nn.Mean(), nn.Linear(16, 10))
	fmt.Println(err)
	// Output:
	// layer  kind       output      parameters
	//        input      [28 28 1]
	// 0      Conv2d     [28 28 16]         160
	// 1      BatchNorm  [28 28 16]          32
	// 2      ReLU       [28 28 16]
	// 3      MaxPool2d  [14 14 16]
	// 4      Flatten    [3136]
	// 5      Dropout    [3136]
	// 6      Linear     [10]            31,370
	// total             [10]            31,562
	// nn: layer 0 (Conv2d): takes images of shape [height, width, 3], its input has shape [28 28 1]
}

// exclusiveOr returns a model that has learnt the exclusive or of two bits.
func exclusiveOr() *nn.Model {
	model, err := nn.NewSequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
	if err != nil {
		log.Fatal(err)
	}
	session, err := model.NewSession(4)
	if err != nil {
		log.Fatal(err)
	}
	x, labels := []float32{0, 0, 0, 1, 1, 0, 1, 1}, []int{0, 1, 1, 0}
	for range 500 {
		if _, err := session.TrainSoftmaxCrossEntropy(GradientDescent{LR: 0.5}, x, labels); err != nil {
			log.Fatal(err)
		}
	}
	return model
}

// TestEmbedded: testdata/model.safetensors is what exclusiveOr returns, on every
// machine. UPDATE=1 in the environment writes it anew.
func TestEmbedded(t *testing.T) {
	var file bytes.Buffer
	require.NoError(t, exclusiveOr().WriteSafetensors(&file))
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile("testdata/model.safetensors", file.Bytes(), 0o666))
		return
	}
	require.Equal(t, trained, file.Bytes())
}

//go:embed testdata/model.safetensors
var trained []byte

// Weights that are part of the program: of this library or from PyTorch, which has
// the same names and layouts.
func ExampleModel_ReadSafetensors() {
	model, err := nn.NewSequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
	if err != nil {
		log.Fatal(err)
	}
	err = model.ReadSafetensors(trained)
	if err != nil {
		log.Fatal(err)
	}

	packed, err := model.Pack(nn.PackConfig{})
	if err != nil {
		log.Fatal(err)
	}
	predictor, err := packed.NewPredictor(4)
	if err != nil {
		log.Fatal(err)
	}
	classes := make([]int, 4)
	if err := predictor.Classify(classes, []float32{0, 0, 0, 1, 1, 0, 1, 1}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(classes)
	// Output: [0 1 1 0]
}

// digitsOf returns a batch of images of digits with their labels, and an image
// that is not among them.
func digitsOf(batch int) (xs []float32, labels []int, x []float32) {
	images, err := digits.Load("")
	if err != nil {
		log.Fatal(err)
	}
	train, test, err := digits.Split(images, false)
	if err != nil {
		log.Fatal(err)
	}
	return train.X[:batch*digits.Pixels], train.Labels[:batch], test.X[:digits.Pixels]
}

// A step of training, and a prediction.
func Example_predict() {
	xs, labels, x := digitsOf(32)

	model, err := nn.NewSequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
	if err != nil {
		log.Fatal(err)
	}
	session, err := model.NewSession(32)
	if err != nil {
		log.Fatal(err)
	}
	opt, err := optim.NewAdaFisher(model, optim.AdaFisherDefaults())
	if err != nil {
		log.Fatal(err)
	}

	pool, err := kernels.NewPool(runtime.NumCPU())
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	session.SetPool(pool)
	opt.SetPool(pool)

	loss, err := session.TrainSoftmaxCrossEntropy(opt, xs, labels)
	if err != nil {
		log.Fatal(err)
	}

	packed, err := model.Pack(nn.PackConfig{})
	if err != nil {
		log.Fatal(err)
	}
	predictor, err := packed.NewPredictor(1)
	if err != nil {
		log.Fatal(err)
	}
	scores, err := predictor.Predict(x)
	if err != nil {
		log.Fatal(err)
	}

	fmt.Printf("loss %.2f, %d scores\n", loss, len(scores))
	// Output: loss 2.37, 10 scores
}

// A model that predicts while it learns.
func Example_learnOnline() {
	xs, labels, x := digitsOf(320)
	model, err := nn.NewSequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
	if err != nil {
		log.Fatal(err)
	}
	opt, err := optim.NewAdaFisher(model, optim.AdaFisherDefaults())
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error)
	scores := make([]float32, 10)

	server, err := serve.NewPredictor(model, serve.PredictorConfig{})
	if err != nil {
		log.Fatal(err)
	}
	learner, err := serve.NewLearner(server, model, opt, serve.LearnerConfig{PublishSteps: 10})
	if err != nil {
		log.Fatal(err)
	}
	go func() { stopped <- learner.Run(ctx) }()

	for i, label := range labels {
		x := xs[i*64:][:64]

		err = learner.Learn(x, label)
		if err != nil {
			log.Fatal(err)
		}
	}
	for server.Version() == 1 { // or go on with other things
		time.Sleep(time.Millisecond)
	}

	version, err := server.Predict(scores, x)
	if err != nil {
		log.Fatal(err)
	}

	cancel()
	if err := <-stopped; err != nil {
		log.Fatal(err)
	}
	fmt.Println("learnt:", version > 1)
	// Output: learnt: true
}

// A model that goes on learning where it was when the process ended, however that
// was.
func Example_checkpoint() {
	dir, err := os.MkdirTemp("", "checkpoint")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.ckpt")
	xs, labels, _ := digitsOf(1)

	for range 2 { // lives of the process
		model, err := nn.NewSequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
		if err != nil {
			log.Fatal(err)
		}
		opt, err := optim.NewAdaFisher(model, optim.AdaFisherDefaults())
		if err != nil {
			log.Fatal(err)
		}
		server, err := serve.NewPredictor(model, serve.PredictorConfig{})
		if err != nil {
			log.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		stopped := make(chan error)

		learner, err := serve.NewLearner(server, model, opt, serve.LearnerConfig{
			Save: func(c *checkpoint.Content) error { return checkpoint.Save(path, c) },
		})
		if err != nil {
			log.Fatal(err)
		}
		loaded, err := checkpoint.Load(path)
		if err == nil {
			err = learner.Restore(&loaded.Content)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Fatal(err)
		}
		go func() { stopped <- learner.Run(ctx) }()

		fmt.Println("version", server.Version())
		if err := learner.Learn(xs, labels...); err != nil {
			log.Fatal(err)
		}
		for learner.Stats().Steps == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := <-stopped; err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// version 1
	// version 2
}

// What the kernels run on here, and could.
func Example_level() {
	fmt.Println(kernels.CurrentLevel(), kernels.Levels())
}
