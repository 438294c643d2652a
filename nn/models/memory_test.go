package models_test

import (
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/models"
	"github.com/adafisher-go/adafisher/optim"
)

// A training step needs the weights, their gradients and the momentum, the
// activations of one batch, and 64 MiB at most beside them: for models and batches
// whose activations are much more than that.
func TestStepMemory(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		build         func() (*nn.Model, error)
		batch         int
		probabilities int // of a sample, in all attentions
	}{
		"mlp":    {func() (*nn.Model, error) { return models.MLP(784, 2048, 2048, 10) }, 4096, 0},
		"cnn":    {func() (*nn.Model, error) { return models.CNN(nn.Shape{32, 32, 3}, 10, 32, 64, 128) }, 256, 0},
		"resnet": {func() (*nn.Model, error) { return models.ResNet20(10) }, 128, 0},
		"vit": {func() (*nn.Model, error) {
			return models.ViT(nn.Shape{32, 32, 3}, 4, 10, models.Transformer{Blocks: 6, Width: 128, Heads: 4})
		}, 128, 6 * 4 * 64 * 64},
		"gpt": {func() (*nn.Model, error) {
			return models.GPT(100, 128, models.Transformer{Blocks: 6, Width: 256, Heads: 8})
		}, 32, 6 * 8 * 128 * 128},
	} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			m, err := c.build()
			require.NoError(t, err)
			s, err := m.NewSession(c.batch)
			require.NoError(t, err)
			opt, err := optim.NewAdaFisher(m, optim.AdaFisherDefaults())
			require.NoError(t, err)

			// Steps allocate nothing beyond that, as other tests insist.
			got := int(heap() - before)
			weights := 4 * m.NumParams()
			activations := 4 * c.batch * (outputs(m) + c.probabilities)
			t.Logf("%d MiB: three times the weights %d, activations %d", got/mib, 3*weights/mib, activations/mib)
			require.Greater(t, activations, 100*mib)
			require.Greater(t, got, activations/2, "it is all there")
			require.LessOrEqual(t, got, 3*weights+activations+64*mib)
			runtime.KeepAlive(s)
			runtime.KeepAlive(opt)
		})
	}
}

// heap returns the bytes that are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// outputs adds up the sizes of a sample's outputs of all layers, as the summary has
// them: of each that computes something, and the sums of a residual.
func outputs(m *nn.Model) int {
	total := 0
	for _, line := range strings.Split(m.Summary(), "\n") {
		match := regexp.MustCompile(`^ *\S+ +(\w+).* \[([\d ]+)\]`).FindStringSubmatch(line)
		if match == nil || match[1] == "Sequential" || match[1] == "Tokens" {
			continue
		}
		size := 1
		for _, n := range strings.Fields(match[2]) {
			k, _ := strconv.Atoi(n)
			size *= k
		}
		total += size
	}
	return total
}
