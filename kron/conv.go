package kron

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kernels"
)

// Conv2dInputFactor turns the sums of squares over all patches of so many images,
// [kernels.Conv2d.PatchSumSquares], into the raw input factor of a convolution. A
// patch is what one output sees of its group: K = kh*kw*C/groups numbers, and
// there are images*groups*L of them, with L outputs of one channel in an image.
//
//	h[k] = (sum over patches of patch[k]^2) / (images*L*K)
//
// A convolution with bias has one entry more, h[K] = groups/K: each patch has a 1
// there. So len(h) is K, or K+1 with the sums in the first K.
//
// The output factor is [LinearOutputFactor] of the gradients, one row for each
// output position. The authors' code computes H from patches without dilation;
// here a patch is what the layer sees.
func Conv2dInputFactor(h []float32, c kernels.Conv2d, images int) error {
	k := c.PatchLen()
	if images < 1 {
		return fmt.Errorf("kron: Conv2dInputFactor: %d images: want at least 1", images)
	}
	switch len(h) {
	case k:
	case k + 1:
		h[k] = float32(float64(max(c.Groups, 1)) / float64(k))
	default:
		return fmt.Errorf("kron: Conv2dInputFactor: length of h is %d: want %d, or %d with a bias", len(h), k, k+1)
	}
	kernels.Scale(h[:k], h[:k], float32(1/float64(images*c.OutH()*c.OutW()*k)))
	return nil
}

// Conv2dInputMoments turns the sums over all patches of so many images, of squares in
// h, [kernels.Conv2d.PatchSumSquares], and of the entries themselves in mean,
// [kernels.Conv2d.PatchSums], into means over the images*groups*L patches. Unlike
// [Conv2dInputFactor] it divides by nothing else.
//
//	h[k]    = (sum over patches of patch[k]^2) / (images*groups*L)
//	mean[k] = (sum over patches of patch[k]) / (images*groups*L)
//
// A convolution with bias has one entry more, h[K] = 1.
func Conv2dInputMoments(h, mean []float32, c kernels.Conv2d, images int) error {
	const call = "Conv2dInputMoments"
	k := c.PatchLen()
	switch {
	case images < 1:
		return fmt.Errorf("kron: %s: %d images: want at least 1", call, images)
	case len(mean) != k:
		return fmt.Errorf("kron: %s: length of mean is %d: want %d", call, len(mean), k)
	case len(h) == k+1:
		h[k] = 1
	case len(h) != k:
		return fmt.Errorf("kron: %s: length of h is %d: want %d, or %d with a bias", call, len(h), k, k+1)
	}
	share := float32(1 / float64(images*max(c.Groups, 1)*c.OutH()*c.OutW()))
	kernels.Scale(h[:k], h[:k], share)
	kernels.Scale(mean, mean, share)
	return nil
}
