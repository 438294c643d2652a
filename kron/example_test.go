package kron_test

import (
	"fmt"
	"log"

	"github.com/adafisher-go/adafisher/kron"
)

// The curvature of a layer of the caller's own: linear, with two inputs, a bias and
// three outputs, from a batch of two rows.
func Example() {
	const rows, in, out = 2, 2, 3
	layer := &kron.Layer{
		Name:   "mine",
		Weight: &kron.Param{Name: "mine.weight", Shape: []int{in, out}, Value: make([]float32, in*out)},
		Bias:   &kron.Param{Name: "mine.bias", Shape: []int{out}, Value: make([]float32, out)},
	}
	factors, err := kron.NewFactors(layer, kron.Paper, 0.5)
	if err != nil {
		log.Fatal(err)
	}

	x := []float32{ // inputs, one row a sample
		1, 2,
		3, 0,
	}
	dy := []float32{ // gradients of the loss at the outputs
		0.5, 0, -1,
		0.5, 0, 1,
	}
	raw := kron.Statistics{Layer: layer, H: make([]float32, layer.Inputs()), S: make([]float32, layer.Outputs())}
	if err := kron.LinearInputFactor(raw.H, x, rows); err != nil {
		log.Fatal(err)
	}
	if err := kron.LinearOutputFactor(raw.S, dy, rows); err != nil {
		log.Fatal(err)
	}
	fmt.Println("H", raw.H, "S", raw.S)

	if err := factors.Stage(raw); err != nil {
		log.Fatal(err)
	}
	factors.Commit()
	curvature := make([]float32, layer.Inputs()*layer.Outputs())
	if err := factors.Curvature(curvature, 0.001); err != nil {
		log.Fatal(err)
	}
	for j := range layer.Inputs() { // the last row is that of the bias
		fmt.Printf("%.3f\n", curvature[j*out:][:out])
	}
	// Output:
	// H [5 2 1] S [0.25 0 1]
	// [0.251 0.001 1.001]
	// [0.063 0.001 0.251]
	// [0.001 0.001 0.001]
}
