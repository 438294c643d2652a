package kernels

import (
	"math"
	"math/rand/v2"
)

// mix is a distribution of test values.
type mix struct {
	name string
	draw func(r *rand.Rand) float32
}

var mixes = []mix{
	{"normal", normal},
	{"unit", func(r *rand.Rand) float32 { return r.Float32() }}, // as normalised factors are
	{"tiny", tiny},
	{"wide", func(r *rand.Rand) float32 { return normal(r) * pow2(r.IntN(41)-20) }},
	{"sparse", func(r *rand.Rand) float32 {
		if r.Uint32()%32 == 0 {
			return special(r)
		}
		return normal(r)
	}},
	{"ties", tie},
	{"bits", func(r *rand.Rand) float32 { return math.Float32frombits(r.Uint32()) }},
	{"special", special},
	{"huge", func(r *rand.Rand) float32 { return normal(r) * 0x1p125 }},
}

func normal(r *rand.Rand) float32 { return float32(r.NormFloat64()) }

// tiny draws zeros of both signs, subnormals and the smallest normals, around
// the limit below which state is flushed.
func tiny(r *rand.Rand) float32 {
	u := r.Uint32()
	switch u >> 24 & 7 {
	case 0:
		return math.Float32frombits(u & (1 << 31))
	case 1:
		return math.Float32frombits(u&(1<<31) | 0x7fffff + u&3) // at most two steps from 2^-126
	case 2:
		return math.Float32frombits(u&(1<<31|1<<23-1)) * 0x1p24
	}
	return math.Float32frombits(u & (1<<31 | 1<<25 - 1))
}

// tie draws short odd significands: products have 25 or 26 bits and lie half
// way between two floats, and small terms decide the rounding.
func tie(r *rand.Rand) float32 {
	u := r.Uint32()
	switch u & 3 {
	case 0:
		return pow2(int(u>>2%48)-40) * sign(u)
	case 1:
		return (1 + 0x1p-23*float32(u>>2&3)) * sign(u)
	}
	return float32(4097|u>>2&0xffe) * pow2(int(u>>16&3)-14) * sign(u)
}

func sign(u uint32) float32 { return float32(int32(u)>>31 | 1) }

// pow2 returns 2^e for a normal exponent.
func pow2(e int) float32 { return math.Float32frombits(uint32(e+127) << 23) }

var specials = []uint32{
	0, 1 << 31, // zeros
	1, 1<<31 | 1, 0x7fffff, 0x807fffff, 0x400000, // subnormals
	0x800000, 0x80800000, 0x800001, // smallest normals
	0x7f800000, 0xff800000, // infinities
	0x7fc00000, 0xffc00000, 0x7f800001, 0xffbfffff, 0x7fffffff, // NaNs, quiet and signalling
	0x7f7fffff, 0xff7fffff, 0x7f000000, // largest
	0x3f800000, 0xbf800000, 0x3f800001, 0x3f7fffff, 0x40000000, // near one
	0x4b000000, 0x4b7fffff, 0xcb800001, // near 2^23 and 2^24
	0xc2d00000, 0xc2aeac50, 0xc2b17218, 0x4111999a, 0xc1b80000, // where exp and tanh saturate
}

func special(r *rand.Rand) float32 { return math.Float32frombits(specials[r.IntN(len(specials))]) }
