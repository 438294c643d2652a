// Package serve predicts with a model from many goroutines while the model goes
// on learning.
package serve
