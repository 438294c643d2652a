package kernels

import "github.com/adafisher-go/adafisher/internal/splitmix"

// Dropout zeroes each element with probability p and scales the others to keep
// the mean (inverted dropout, Srivastava et al. 2014). Which ones depends only on
// the seed and on the element's number first+i: the same call with the same seed
// and p on the gradient is the backward pass, and a tensor in parts, with first
// the number of a part's first element, gives what it gives whole.
//
//	h      = hash(seed, first+i)
//	dst[i] = +0 if h < floor(p * 2^32), else x[i] * (1/(1-p))
//
// hash has the structure of the finaliser of
// MurmurHash3 with two keys from the seed, the output of SplitMix64 (Steele et
// al. 2014):
//
//	z    = seed + 0x9e3779b97f4a7c15
//	z    = (z ^ z>>30) * 0xbf58476d1ce4e5b9
//	z    = (z ^ z>>27) * 0x94d049bb133111eb
//	z    = z ^ z>>31
//	key1 = low half of z, key2 = high half
//	h    = first+i mod 2^32 ^ key1
//	h    = (h ^ h>>16) * 0x85ebca6b
//	h    = h ^ key2
//	h    = (h ^ h>>13) * 0xc2b2ae35
//	h    = h + 2^31 mod 2^32
//
// Use another seed for each tensor and step. An element that is dropped becomes +0
// even if it is infinite or NaN. dst may be x. It panics if the lengths differ or p
// is not in [0,1].
func Dropout(dst, x []float32, p float32, seed uint64, first int) {
	if len(x) != len(dst) {
		panic("kernels: Dropout: lengths of dst and x differ")
	}
	if !(p >= 0 && p <= 1) {
		panic("kernels: Dropout: probability p is not in [0,1]")
	}
	key := splitmix.Mix(seed)
	key1, key2 := uint32(key), uint32(key>>32)
	if p == 1 {
		Fill(dst, 0)
		return
	}
	limit := uint32(float64(p)*(1<<32)) - 1<<31 // as a signed integer, from -2^31 on
	scale := 1 / (1 - p)
	for len(dst) > chunkLen {
		dropout(dst[:chunkLen], x[:chunkLen], uint32(first), key1, key2, limit, scale)
		dst, x, first = dst[chunkLen:], x[chunkLen:], first+chunkLen
	}
	dropout(dst, x, uint32(first), key1, key2, limit, scale)
}

func dropoutRef(dst, x []float32, first, key1, key2, limit uint32, scale float32) {
	for i, v := range x {
		h := (first + uint32(i)) ^ key1
		h = (h ^ h>>16) * 0x85ebca6b
		h ^= key2
		h = (h ^ h>>13) * 0xc2b2ae35
		if v = float32(scale * v); int32(h) < int32(limit) {
			v = 0
		}
		dst[i] = v
	}
}
