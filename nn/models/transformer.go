package models

import (
	"fmt"
	"strconv"

	"github.com/adafisher-go/adafisher/nn"
)

// Transformer are the sizes of [ViT] and [GPT].
type Transformer struct {
	Blocks  int     // each an attention and a perceptron, with shortcuts; at least 1
	Width   int     // features of a token
	Heads   int     // of each attention
	Dropout float64 // after each attention and each perceptron, and of the tokens
}

// ViT returns a vision transformer (arXiv 2010.11929) for images [height, width,
// channels], cut into square patches, with learned positions, and the mean over
// the tokens in place of a class token (arXiv 2205.01580).
func ViT(image nn.Shape, patch, classes int, t Transformer) (*nn.Model, error) {
	if len(image) != 3 || patch < 1 || image[0]%patch != 0 || image[1]%patch != 0 {
		return nil, fmt.Errorf("models: ViT: image of shape %v in patches of %d: want [height, width, channels] and a patch that divides height and width", image, patch)
	}
	if err := t.check("ViT"); err != nil {
		return nil, err
	}
	layers := []nn.Layer{
		nn.Named("patches", nn.Conv2d(image.Features(), t.Width, nn.Conv{Kernel: nn.Square(patch), Stride: nn.Square(patch)})),
		nn.Tokens(),
		nn.Named("positions", nn.InitNormal(0.02, nn.Positions())),
	}
	layers = append(t.dropout(layers), t.blocks(nn.GELU(), false)...)
	return nn.New(image, append(layers,
		nn.Named("norm", nn.LayerNorm()), nn.Mean(), nn.Named("head", nn.Linear(t.Width, classes)))...)
}

// GPT returns a causal language model: the scores of the next token at each of
// the given number of tokens, out of a vocabulary. It has the parts of GPT-1
// (Radford et al., 2018), weights from N(0, 0.02), and the normalisations before
// the attentions and perceptrons, as GPT-2 has them. Unlike both, it has an output
// layer of its own, "head.weight", which is not the table of the embedding.
func GPT(vocabulary, tokens int, t Transformer) (*nn.Model, error) {
	if err := t.check("GPT"); err != nil {
		return nil, err
	}
	layers := []nn.Layer{
		nn.Named("embedding", nn.Embedding(vocabulary, t.Width)),
		nn.Named("positions", nn.Positions()),
	}
	layers = append(t.dropout(layers), t.blocks(nn.GELUTanh(), true)...)
	layers = append(layers, nn.Named("norm", nn.LayerNorm()), nn.Named("head", nn.LinearNoBias(t.Width, vocabulary)))
	return nn.New(nn.Shape{tokens}, nn.Named("", nn.InitNormal(0.02, nn.Sequential(layers...))))
}

// check returns an error for what the layers don't check.
func (t Transformer) check(model string) error {
	if t.Blocks < 1 {
		return fmt.Errorf("models: %s: %d blocks: want at least 1", model, t.Blocks)
	}
	return nil
}

// dropout returns the layers with one more at the end, if there is any.
func (t Transformer) dropout(layers []nn.Layer) []nn.Layer {
	if t.Dropout == 0 {
		return layers
	}
	return append(layers, nn.Dropout(t.Dropout))
}

// blocks are the layers between embedding and head.
func (t Transformer) blocks(activation nn.Layer, causal bool) []nn.Layer {
	var blocks []nn.Layer
	for i := range t.Blocks {
		attention := []nn.Layer{
			nn.Named("norm1", nn.LayerNorm()),
			nn.Named("attention", nn.SelfAttention(nn.Attention{Heads: t.Heads, Causal: causal})),
		}
		perceptron := []nn.Layer{
			nn.Named("norm2", nn.LayerNorm()),
			nn.Named("up", nn.Linear(t.Width, 4*t.Width)), activation, nn.Named("down", nn.Linear(4*t.Width, t.Width)),
		}
		blocks = append(blocks, nn.Named("block"+strconv.Itoa(i), nn.Sequential(
			nn.Named("", nn.Residual(t.dropout(attention)...)),
			nn.Named("", nn.Residual(t.dropout(perceptron)...)))))
	}
	return blocks
}
