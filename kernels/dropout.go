package kernels

// Dropout zeroes each element with probability p and scales the others to keep
// the mean (inverted dropout, Srivastava et al. 2014). Which ones depends only on
// the seed and on the element's number first+i: the same call with the same seed
// and p on the gradient is the backward pass, and a tensor in parts, with first
// the number of a part's first element, gives what it gives whole.
//
//	h      = hash(seed, first+i)
//	dst[i] = x[i] * (1/(1-p)) if h>>8 < keep, else +0
//
// keep is 2^24 - floor(p * 2^24). hash has the structure of the finaliser of
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
	key1, key2 := splitMix(seed)
	keep := float32(1<<24 - int(p*(1<<24)))
	scale := 1 / (1 - p)
	for len(dst) > chunkLen {
		dropout(dst[:chunkLen], x[:chunkLen], uint32(first), key1, key2, keep, scale)
		dst, x, first = dst[chunkLen:], x[chunkLen:], first+chunkLen
	}
	dropout(dst, x, uint32(first), key1, key2, keep, scale)
}

// splitMix returns the two halves of the first output of SplitMix64.
func splitMix(seed uint64) (low, high uint32) {
	z := seed + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return uint32(z), uint32(z >> 32)
}

func dropoutRef(dst, x []float32, first, key1, key2 uint32, keep, scale float32) {
	for i, v := range x {
		h := (first + uint32(i)) ^ key1
		h = (h ^ h>>16) * 0x85ebca6b
		h ^= key2
		h = (h ^ h>>13) * 0xc2b2ae35
		if float32(h>>8) < keep {
			v = float32(scale * v)
		} else {
			v = 0
		}
		dst[i] = v
	}
}
