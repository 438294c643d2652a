package safetensors_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/adafisher-go/adafisher/nn/safetensors"
)

func Example() {
	weight := []float32{1, 2, 3, 4, 5, 6}
	bias := []float32{0.5, -0.5}

	var file bytes.Buffer
	err := safetensors.Write(&file, []safetensors.Tensor{
		safetensors.New("0.weight", weight, 2, 3),
		safetensors.New("0.bias", bias, 2),
		safetensors.New("steps", []int64{1000}),
	}, map[string]string{"format": "pt"})
	if err != nil {
		log.Fatal(err)
	}

	f, err := safetensors.Parse(file.Bytes()) // or Open("model.safetensors")
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range f.Tensors() {
		fmt.Println(t.Name, t.DType, t.Shape)
	}

	t, err := f.Tensor("0.weight")
	if err != nil {
		log.Fatal(err)
	}
	w := make([]float32, t.Len())
	if err := safetensors.Read(t, w); err != nil {
		log.Fatal(err)
	}
	fmt.Println(w)
	fmt.Println(f.Metadata())
	// Output:
	// steps I64 []
	// 0.bias F32 [2]
	// 0.weight F32 [2 3]
	// [1 2 3 4 5 6]
	// map[format:pt]
}
