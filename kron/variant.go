package kron

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/adafisher-go/adafisher/kernels"
)

// A Variant is a way of normalising and averaging raw factors. Averages start
// as ones. norm is the min-max normalisation of [kernels.MinMaxNormalize].
type Variant int

const (
	// Published is what the authors' released code does:
	//
	//	avg = 0.1*gamma * avg + 0.01*gamma * norm(raw)
	//	used in F: avg
	Published Variant = iota

	// Paper is Algorithm 1 as printed: the raw factors are averaged, and
	// normalised when F is formed.
	//
	//	avg = gamma * avg + (1-gamma) * raw
	//	used in F: norm(avg)
	Paper

	// PaperEMA is Published with the paper's average in place of its own.
	//
	//	avg = gamma * avg + (1-gamma) * norm(raw)
	//	used in F: avg
	PaperEMA
)

var variantNames = [...]string{"published", "paper", "paper-ema"}

// String returns the name that [ParseVariant] takes.
func (v Variant) String() string {
	if v.valid() {
		return variantNames[v]
	}
	return fmt.Sprintf("Variant(%d)", int(v))
}

// Check returns an error unless v is one of the variants.
func (v Variant) Check() error {
	if !v.valid() {
		return fmt.Errorf("kron: unknown variant %v", v)
	}
	return nil
}

func (v Variant) valid() bool { return v >= 0 && int(v) < len(variantNames) }

// ParseVariant returns the variant with the given name: published, paper or
// paper-ema.
func ParseVariant(name string) (Variant, error) {
	i := slices.Index(variantNames[:], name)
	if i < 0 {
		return 0, fmt.Errorf("kron: unknown variant %q: want one of %s", name, strings.Join(variantNames[:], ", "))
	}
	return Variant(i), nil
}

// Coefficients returns what the running average is multiplied by and what the
// new factor is: computed in float64 and rounded once.
func (v Variant) Coefficients(gamma float64) (keep, add float32) {
	if v == Published {
		return float32(0.1 * gamma), float32(0.01 * gamma)
	}
	return float32(gamma), float32(1 - gamma)
}

// average moves avg towards the raw factor.
func (v Variant) average(avg, raw []float32, gamma float64) {
	keep, add := v.Coefficients(gamma)
	if v == Paper {
		kernels.EMA(avg, raw, keep, add)
	} else {
		kernels.MinMaxEMA(avg, raw, keep, add)
	}
}

// largest returns the largest raw factor that can be averaged: it is infinite where
// min-max normalisation comes before.
func (v Variant) largest() float32 {
	if v == Paper {
		return math.MaxFloat32
	}
	return float32(math.Inf(1))
}

// checkGamma returns an error unless gamma is in [0,1).
func checkGamma(gamma float64) error {
	if math.IsNaN(gamma) || gamma < 0 || gamma >= 1 {
		return fmt.Errorf("kron: gamma is %v: want a number in [0, 1)", gamma)
	}
	return nil
}
