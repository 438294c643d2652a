package kron

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
)

// EmbeddingFactors stores the raw factors of an embedding of len(h) tokens: those
// of a linear layer whose input is the one-hot vector of a token. The authors'
// code has none; this is an extension. They are its moments, too.
//
//	h[v] = (how often v is in tokens) / rows
//	s[i] = (1/rows) * sum over rows of dy[r,i]^2
//
// Tokens are whole numbers, one a row of dy; s is as long as a row.
func EmbeddingFactors(h, s, tokens, dy []float32) error {
	const call = "EmbeddingFactors"
	rows := len(tokens)
	if rows == 0 || len(s) == 0 || len(dy) != rows*len(s) {
		return fmt.Errorf("kron: %s: %d gradients are not those of %d tokens, at least 1, with %d features", call, len(dy), rows, len(s))
	}
	if i := kernels.InvalidIndex(tokens, len(h)); i >= 0 {
		return fmt.Errorf("kron: %s: token %d is %v: want a whole number from 0 to %d", call, i, tokens[i], len(h)-1)
	}
	clear(h)
	kernels.CountIndices(h, tokens)
	kernels.Scale(h, h, float32(1/float64(rows)))
	meanSquares(s, dy, rows)
	return nil
}
