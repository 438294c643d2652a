package report

import (
	"encoding/json"
	"io"

	"github.com/adafisher-go/adafisher/examples/internal/train"
	"github.com/adafisher-go/adafisher/kernels"
)

// Record is one result as JSON.
type Record struct {
	Optimizer       string  `json:"optimizer"`
	Variant         string  `json:"variant"` // empty where the optimizer has none
	Level           string  `json:"level"`   // instruction set of the kernels
	LR              float64 `json:"lr"`
	Schedule        string  `json:"schedule"`
	Network         string  `json:"network"` // what its layers are
	Weights         int     `json:"weights"` // how many it has
	Epochs          int     `json:"epochs"`
	Batch           int     `json:"batch"`
	Seed            uint64  `json:"seed"`  // of the first run
	Seeds           int     `json:"seeds"` // number of runs
	HeldOut         string  `json:"held_out"`
	TestAccuracy    float64 `json:"test_accuracy"` // from 0 to 1, mean over the seeds
	TestAccuracyStd float64 `json:"test_accuracy_std"`
	TestPerplexity  float64 `json:"test_perplexity"` // exp of the mean cross entropy, mean over the seeds
	TrainLoss       float64 `json:"train_loss"`
	SecondsPerEpoch float64 `json:"seconds_per_epoch"`
	StepMicros      float64 `json:"step_us"` // median
	AllocsPerStep   float64 `json:"allocs_per_step"`

	// StepMemoryBytes is what training steps need: weights, gradients, the
	// optimizer's state, activations and one batch.
	StepMemoryBytes uint64 `json:"step_memory_bytes"`

	// PeakRSSBytes is the most memory that the process ever had resident: of all
	// optimizers of the run together, and of the data set. It is 0 where the system
	// doesn't say.
	PeakRSSBytes uint64 `json:"peak_rss_bytes"`
}

// JSON writes one object a line for each result. network says what the layers
// are, heldOut what the accuracy was measured on: "test".
func JSON(w io.Writer, c train.Config, results []train.Result, network, heldOut string) error {
	rss := peakRSS()
	lines := json.NewEncoder(w)
	for _, r := range results {
		accuracy, std := r.Last(func(e train.Epoch) float64 { return e.TestAccuracy })
		perplexity, _ := r.Last(train.Perplexity.Of)
		if err := lines.Encode(Record{
			Optimizer:       r.Optimizer,
			Variant:         r.VariantName(),
			Level:           kernels.CurrentLevel().String(),
			LR:              r.LR,
			Schedule:        string(c.Schedule),
			Network:         network,
			Weights:         r.Model.NumParams(),
			Epochs:          c.Epochs,
			Batch:           c.Batch,
			Seed:            c.Seed,
			Seeds:           c.Seeds,
			HeldOut:         heldOut,
			TestAccuracy:    accuracy,
			TestAccuracyStd: std,
			TestPerplexity:  perplexity,
			TrainLoss:       r.TrainLoss(),
			SecondsPerEpoch: r.SecondsPerEpoch(),
			StepMicros:      Microseconds(r.StepTime()),
			AllocsPerStep:   r.AllocsPerStep(),
			StepMemoryBytes: r.StepMemory,
			PeakRSSBytes:    rss,
		}); err != nil {
			return err
		}
	}
	return nil
}
