package main

import (
	"fmt"

	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	"github.com/gomlx/gomlx/pkg/ml/context"
	gomlxlayers "github.com/gomlx/gomlx/pkg/ml/layers"
	"github.com/gomlx/gomlx/pkg/ml/layers/activations"
	"github.com/gomlx/gomlx/pkg/ml/train/losses"
	"github.com/gomlx/gomlx/pkg/ml/train/optimizers"
)

// gomlxStep returns a step in GoMLX on its backend in pure Go, one operation after
// another. Its SGD has no momentum.
func gomlxStep(kind string, batch int) (timed, error) {
	backend, err := simplego.New("ops_sequential")
	if err != nil {
		return nil, err
	}
	optimizer := map[string]optimizers.Interface{
		"SGD":   optimizers.StochasticGradientDescent().WithDecay(false).WithLearningRate(rate).Done(),
		"Adam":  optimizers.Adam().LearningRate(rate).Done(),
		"AdamW": optimizers.Adam().LearningRate(rate).WeightDecay(0.01).Done(),
	}[kind]
	network := func(ctx *context.Context, x, labels *graph.Node) []*graph.Node {
		y := x
		for i, n := range layers[1:] {
			if i > 0 {
				y = activations.Relu(y)
			}
			y = gomlxlayers.Dense(ctx.In(fmt.Sprint("layer", i)), y, true, n)
		}
		if kind == "forward" {
			return []*graph.Node{y}
		}
		loss := graph.ReduceAllMean(losses.SparseCategoricalCrossEntropyLogits([]*graph.Node{labels}, []*graph.Node{y}))
		if optimizer == nil {
			return append(ctx.BuildTrainableVariablesGradientsGraph(loss), loss)
		}
		optimizer.UpdateGraph(ctx, loss.Graph(), loss)
		return []*graph.Node{loss}
	}
	exec, err := context.NewExec(backend, context.New(), network)
	if err != nil {
		return nil, err
	}
	x, labels := samples(batch)
	classes := make([]int32, batch)
	for i, l := range labels {
		classes[i] = int32(l)
	}
	inputs := tensors.FromFlatDataAndDimensions(x, batch, layers[0])
	targets := tensors.FromFlatDataAndDimensions(classes, batch, 1)
	return cpu.repeated(func() error {
		results, err := exec.Exec(inputs, targets)
		if err != nil {
			return fmt.Errorf("gomlx: %w", err)
		}
		for _, r := range results {
			r.MustFinalizeAll()
		}
		return nil
	}), nil
}
