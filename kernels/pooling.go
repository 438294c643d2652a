package kernels

import (
	"fmt"
	"math"
	"unsafe"
)

// Pooling2d describes the pooling of images whose channels come last: each channel
// of an output pixel is the maximum or the average of that channel in a window of
// the input. Pairs are rows, then columns. A batch of N images makes these tensors,
// row-major and contiguous:
//
//	x     [N, H, W, C]
//	y     [N, OutH, OutW, C]
//	index [N, OutH, OutW, C]
//
// Padding has no elements for a maximum and zeros for an average; it is at most half
// the window, so that every window holds an input.
//
// The number of images follows from the lengths. The methods panic if lengths don't
// match it or the description is one that Check refuses; outputs must not overlap
// inputs. An image's result depends on no other image.
type Pooling2d struct {
	H, W, C int    // rows, columns and channels of an input image
	Kernel  [2]int // rows and columns of the window
	Stride  [2]int // from window to window; 0 means Kernel
	Padding [2]int // rows above and below, columns left and right
}

// maxPlaces bounds a window, so that a float32 holds the number of a place.
const maxPlaces = 1 << 24

// Check returns an error if there is no such pooling: a size is not positive, the
// padding is negative or more than half the window, the window is larger than the
// padded image, an image has 2^28 elements or more, or a window more than 2^24.
func (p Pooling2d) Check() error {
	switch {
	case p.H < 1 || p.W < 1 || p.C < 1:
		return fmt.Errorf("kernels: pooling of a %dx%dx%d image: want sizes of at least 1", p.H, p.W, p.C)
	case float64(p.H)*float64(p.W)*float64(p.C) > maxElements:
		return fmt.Errorf("kernels: pooling of a %dx%dx%d image: want at most %d elements", p.H, p.W, p.C, maxElements)
	case p.Kernel[0] < 1 || p.Kernel[1] < 1:
		return fmt.Errorf("kernels: pooling with a %dx%d window: want at least 1x1", p.Kernel[0], p.Kernel[1])
	case float64(p.Kernel[0])*float64(p.Kernel[1]) > maxPlaces:
		return fmt.Errorf("kernels: pooling with a %dx%d window: want at most %d places", p.Kernel[0], p.Kernel[1], maxPlaces)
	case p.Stride[0] < 0 || p.Stride[1] < 0:
		return fmt.Errorf("kernels: pooling with stride %v: want at least 1, or 0 for the window's size", p.Stride)
	case p.Padding[0] < 0 || p.Padding[1] < 0 || p.Padding[0] > p.Kernel[0]/2 || p.Padding[1] > p.Kernel[1]/2:
		return fmt.Errorf("kernels: pooling with padding %v of a %dx%d window: want 0 to half of it", p.Padding, p.Kernel[0], p.Kernel[1])
	case p.Kernel[0]-p.Padding[0] > p.H+p.Padding[0] || p.Kernel[1]-p.Padding[1] > p.W+p.Padding[1]:
		return fmt.Errorf("kernels: pooling window of %dx%d is larger than the padded image, %dx%d",
			p.Kernel[0], p.Kernel[1], p.H+2*p.Padding[0], p.W+2*p.Padding[1])
	}
	return nil
}

// defaults sets the strides that are 0, and one beyond the padded image to its size,
// which is as far.
func (p *Pooling2d) defaults() {
	for i, size := range [2]int{p.H, p.W} {
		if p.Stride[i] == 0 {
			p.Stride[i] = p.Kernel[i]
		}
		p.Stride[i] = max(1, min(p.Stride[i], size+2*p.Padding[i]))
	}
}

// OutH returns the rows of an output image: (H + 2*Padding - Kernel) / Stride + 1.
func (p Pooling2d) OutH() int { p.defaults(); return (p.H+2*p.Padding[0]-p.Kernel[0])/p.Stride[0] + 1 }

// OutW returns the columns of an output image.
func (p Pooling2d) OutW() int { p.defaults(); return (p.W+2*p.Padding[1]-p.Kernel[1])/p.Stride[1] + 1 }

// InLen returns the elements of an input image, H*W*C.
func (p Pooling2d) InLen() int { return p.H * p.W * p.C }

// OutLen returns the elements of an output image, OutH*OutW*C.
func (p Pooling2d) OutLen() int { return p.OutH() * p.OutW() * p.C }

// prepare sets the defaults and returns the number of images, after the checks.
func (p *Pooling2d) prepare(x, y []float32, xMismatch, yMismatch string) int {
	if p.Check() != nil {
		panic("kernels: Pooling2d: no such pooling, see Check")
	}
	p.defaults()
	n := len(x) / p.InLen()
	if n*p.InLen() != len(x) {
		panic(xMismatch)
	}
	if len(y) != n*p.OutLen() {
		panic(yMismatch)
	}
	return n
}

// Max stores the maxima of the windows and where they are, which MaxBackward needs;
// index may be nil.
//
//	m = -Inf;  k = the first place (i,j) of the window inside of the image
//	v = x[n, oh*sh-ph+i, ow*sw-pw+j, c];  if v > m or v is a NaN: m = v, k = (i,j)
//	    for each place inside of the image, row by row
//	y[n,oh,ow,c] = m;  index[n,oh,ow,c] = k, as the number i*kw+j
//
// So the first of equal maxima counts, and a NaN in the window is its maximum: the
// last one, if there are several.
func (p Pooling2d) Max(y []float32, index []int32, x []float32) {
	n := p.prepare(x, y, "kernels: Pooling2d.Max: length of x is not a multiple of InLen",
		"kernels: Pooling2d.Max: length of y is not OutLen for each image of x")
	if index != nil && len(index) != len(y) {
		panic("kernels: Pooling2d.Max: lengths of index and y differ")
	}
	p.eachTaps(n, func(t taps) {
		y, x := y[t.dst:][:t.dstLen()], x[t.src:][:t.srcLen()]
		if index == nil {
			windowMax(y, x, t.pixels, t.channels, t.dstStep, t.srcStep, t.count, t.step, t.more)
			return
		}
		index := floats(index[t.dst:][:len(y)])
		windowArgMax(y, index, x, t.pixels, t.channels, t.dstStep, t.srcStep, t.count, t.step, t.more, uint32(t.first))
	})
}

// MaxBackward computes the gradient at the input of Max from that at its output: an
// input gets that of the windows whose maximum it is.
//
//	dx[n,h,w,c] = s over the windows, in order:
//	    s = s + dy[n,oh,ow,c] where index[n,oh,ow,c] says (h,w), from +0
func (p Pooling2d) MaxBackward(dx, dy []float32, index []int32) {
	n := p.prepare(dx, dy, "kernels: Pooling2d.MaxBackward: length of dx is not a multiple of InLen",
		"kernels: Pooling2d.MaxBackward: length of dy is not OutLen for each image of dx")
	if len(index) != len(dy) {
		panic("kernels: Pooling2d.MaxBackward: lengths of index and dy differ")
	}
	p.eachPlace(dx, n, func(t taps) {
		dy := dy[t.src:][:t.srcLen()]
		index := floats(index[t.src:][:len(dy)])
		windowSelect(dx[t.dst:][:t.dstLen()], dy, index, t.pixels, t.channels, t.dstStep, t.srcStep, 1, 0, t.more, float32(t.first))
	})
}

// Average stores the averages of the windows.
//
//	s = +0;  s = s + x[n, oh*sh-ph+i, ow*sw-pw+j, c] for each place (i,j) inside of the
//	    image, row by row
//	y[n,oh,ow,c] = s / (kh*kw)
func (p Pooling2d) Average(y, x []float32) {
	n := p.prepare(x, y, "kernels: Pooling2d.Average: length of x is not a multiple of InLen",
		"kernels: Pooling2d.Average: length of y is not OutLen for each image of x")
	p.eachTaps(n, func(t taps) {
		windowSum(y[t.dst:][:t.dstLen()], x[t.src:][:t.srcLen()], t.pixels, t.channels, t.dstStep, t.srcStep, t.count, t.step, t.more)
	})
	divide(y, float32(p.Kernel[0]*p.Kernel[1]))
}

// AverageBackward computes the gradient at the input of Average from that at its
// output.
//
//	dx[n,h,w,c] = s over the windows that (h,w) is in, in order:
//	    s = s + dy[n,oh,ow,c] / (kh*kw), from +0
func (p Pooling2d) AverageBackward(dx, dy []float32) {
	n := p.prepare(dx, dy, "kernels: Pooling2d.AverageBackward: length of dx is not a multiple of InLen",
		"kernels: Pooling2d.AverageBackward: length of dy is not OutLen for each image of dx")
	size := float32(p.Kernel[0] * p.Kernel[1])
	p.eachPlace(dx, n, func(t taps) {
		windowShare(dx[t.dst:][:t.dstLen()], dy[t.src:][:t.srcLen()], t.pixels, t.channels, t.dstStep, t.srcStep, 1, 0, t.more, size)
	})
}

// GlobalAveragePool stores the averages of whole images, whose channels come last:
// x is [N, pixels, channels], y is [N, channels].
//
//	y[n,c] = s / pixels,  s = sum over p of x[n,p,c], as in ColSums
//
// It panics if the length of y is not a multiple of channels or that of x is not one
// of y's. Images without pixels give NaN.
func GlobalAveragePool(y, x []float32, channels int) {
	n, pixels := globalSizes(y, x, channels, "kernels: GlobalAveragePool: length of y is not a multiple of channels",
		"kernels: GlobalAveragePool: length of x is not a multiple of the length of y")
	for i := range n {
		ColSums(y[i*channels:][:channels], x[i*pixels*channels:][:pixels*channels])
	}
	divide(y, float32(pixels))
}

// GlobalAveragePoolBackward computes the gradient at the input of GlobalAveragePool
// from that at its output.
//
//	dx[n,p,c] = dy[n,c] / pixels
//
// It panics as GlobalAveragePool does.
func GlobalAveragePoolBackward(dx, dy []float32, channels int) {
	n, pixels := globalSizes(dy, dx, channels, "kernels: GlobalAveragePoolBackward: length of dy is not a multiple of channels",
		"kernels: GlobalAveragePoolBackward: length of dx is not a multiple of the length of dy")
	if pixels == 0 {
		return
	}
	for i := range n {
		image := dx[i*pixels*channels:][:pixels*channels]
		copy(image, dy[i*channels:][:channels])
		divide(image[:channels], float32(pixels))
		for done := channels; done < len(image); done *= 2 {
			copy(image[done:], image[:done])
		}
	}
}

// globalSizes returns the numbers of images and of pixels.
func globalSizes(y, x []float32, channels int, yMismatch, xMismatch string) (n, pixels int) {
	if channels < 1 && (channels < 0 || len(y) > 0) || channels > 0 && len(y)%channels != 0 {
		panic(yMismatch)
	}
	pixels = rowLen(len(y), x, xMismatch)
	if channels == 0 {
		return 0, 0
	}
	return len(y) / channels, pixels
}

// divide divides each element of x.
func divide(x []float32, by float32) {
	for len(x) > chunkLen {
		normalize(x[:chunkLen], x[:chunkLen], 0, by)
		x = x[chunkLen:]
	}
	normalize(x, x, 0, by)
}

// floats returns integers as what the kernels move.
func floats(x []int32) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}

// taps are some places of a row of the windows of neighbouring pixels. A kernel goes
// over channels of each pixel of dst, and over taps of src.
type taps struct {
	dst, src         int // the first elements
	pixels, channels int
	dstStep, srcStep int // from pixel to pixel
	count, step      int // the taps, and from one to the next
	first            int // the number of the first tap
	more             int // 0: there were none for dst before, else 1
}

// dstLen and srcLen return how many elements the taps reach over.
func (t *taps) dstLen() int { return (t.pixels-1)*t.dstStep + t.channels }
func (t *taps) srcLen() int {
	return (t.pixels-1)*t.srcStep + (t.count-1)*t.step + t.channels
}

// tapChannels bounds the channels of a call.
const tapChannels = 1 << 12

// each calls f for parts that are short enough.
func (t taps) each(f func(taps)) {
	for c := 0; c < t.channels; c += tapChannels {
		part := t
		part.channels = min(tapChannels, t.channels-c)
		most := chunkLen / part.channels
		for j := 0; j < t.count; j += most {
			part.count = min(most, t.count-j)
			part.first = t.first + j
			part.more = max(t.more, min(j, 1))
			// A pixel takes up to 20 ns, however few its channels are.
			pixels := max(1, min(most/part.count, rowChunk))
			for p := 0; p < t.pixels; p += pixels {
				part.pixels = min(pixels, t.pixels-p)
				part.dst, part.src = t.dst+p*t.dstStep+c, t.src+p*t.srcStep+j*t.step+c
				f(part)
			}
		}
	}
}

// eachTaps calls f for rows of the windows of n images, in order for each output.
func (p *Pooling2d) eachTaps(n int, f func(taps)) {
	outH, outW := p.OutH(), p.OutW()
	// The outputs [lo, hi) of a row have whole windows.
	lo := (p.Padding[1] + p.Stride[1] - 1) / p.Stride[1]
	hi := min(outW, max(0, p.W+p.Padding[1]-p.Kernel[1]+p.Stride[1])/p.Stride[1])
	for line := range n * outH {
		image, oh := line/outH, line%outH
		top := oh*p.Stride[0] - p.Padding[0]
		first := max(0, -top)
		for i := first; i < min(p.Kernel[0], p.H-top); i++ {
			for ow := 0; ow < outW; {
				left := ow*p.Stride[1] - p.Padding[1]
				j := max(0, -left)
				t := taps{
					dst: (line*outW + ow) * p.C, src: ((image*p.H+top+i)*p.W + left + j) * p.C,
					pixels: 1, channels: p.C, dstStep: p.C, srcStep: p.Stride[1] * p.C,
					count: min(p.Kernel[1], p.W-left) - j, step: p.C,
					first: i*p.Kernel[1] + j, more: min(i-first, 1),
				}
				if lo <= ow && ow < hi {
					t.pixels = hi - ow
				}
				t.each(f)
				ow += t.pixels
			}
		}
	}
}

// eachPlace calls f for each place of the windows, from the last to the first, and
// the outputs that have an input there, so that an input meets its windows in order.
// Elements of dx that f doesn't store are +0 before.
func (p *Pooling2d) eachPlace(dx []float32, n int, f func(taps)) {
	outH, outW := p.OutH(), p.OutW()
	more := 0 // windows overlap
	if p.Stride[0] < p.Kernel[0] || p.Stride[1] < p.Kernel[1] {
		more = 1
	}
	if more == 1 || p.Kernel != p.Stride || outH*p.Kernel[0] != p.H || outW*p.Kernel[1] != p.W || p.Padding != [2]int{} {
		Fill(dx, 0)
	}
	for image := range n {
		for i := p.Kernel[0] - 1; i >= 0; i-- {
			for j := p.Kernel[1] - 1; j >= 0; j-- {
				lo := (max(0, p.Padding[1]-j) + p.Stride[1] - 1) / p.Stride[1]
				hi := min(outW, max(0, p.W-1+p.Padding[1]-j+p.Stride[1])/p.Stride[1])
				for oh := 0; oh < outH && lo < hi; oh++ {
					h := oh*p.Stride[0] - p.Padding[0] + i
					if h < 0 || h >= p.H {
						continue
					}
					t := taps{
						dst:    ((image*p.H+h)*p.W + lo*p.Stride[1] - p.Padding[1] + j) * p.C,
						src:    ((image*outH+oh)*outW + lo) * p.C,
						pixels: hi - lo, channels: p.C, dstStep: p.Stride[1] * p.C, srcStep: p.C,
						count: 1, first: i*p.Kernel[1] + j, more: more,
					}
					t.each(f)
				}
			}
		}
	}
}

// The references of the kernels over taps. With more, they go on from what dst
// holds.

func windowArgMaxRef(y, index, x []float32, pixels, channels, dstStep, srcStep, taps, tapStep, more int, first uint32) {
	for p := range pixels {
		for c := range channels {
			m, k := float32(math.Inf(-1)), math.Float32frombits(first)
			if more != 0 {
				m, k = y[p*dstStep+c], index[p*dstStep+c]
			}
			for t := range taps {
				if v := x[p*srcStep+t*tapStep+c]; v > m || v != v {
					m, k = v, math.Float32frombits(first+uint32(t))
				}
			}
			y[p*dstStep+c], index[p*dstStep+c] = m, k
		}
	}
}

func windowMaxRef(y, x []float32, pixels, channels, dstStep, srcStep, taps, tapStep, more int) {
	for p := range pixels {
		for c := range channels {
			m := float32(math.Inf(-1))
			if more != 0 {
				m = y[p*dstStep+c]
			}
			for t := range taps {
				if v := x[p*srcStep+t*tapStep+c]; v > m || v != v {
					m = v
				}
			}
			y[p*dstStep+c] = m
		}
	}
}

func windowSumRef(dst, x []float32, pixels, channels, dstStep, srcStep, taps, tapStep, more int) {
	for p := range pixels {
		for c := range channels {
			s := float32(0)
			if more != 0 {
				s = dst[p*dstStep+c]
			}
			for t := range taps {
				s += x[p*srcStep+t*tapStep+c]
			}
			dst[p*dstStep+c] = s
		}
	}
}

func windowShareRef(dst, x []float32, pixels, channels, dstStep, srcStep, taps, tapStep, more int, by float32) {
	for p := range pixels {
		for c := range channels {
			s := float32(0)
			if more != 0 {
				s = dst[p*dstStep+c]
			}
			for t := range taps {
				s += float32(x[p*srcStep+t*tapStep+c] / by)
			}
			dst[p*dstStep+c] = s
		}
	}
}

func windowSelectRef(dx, dy, index []float32, pixels, channels, dstStep, srcStep, taps, tapStep, more int, place float32) {
	for p := range pixels {
		for c := range channels {
			s := float32(0)
			if more != 0 {
				s = dx[p*dstStep+c]
			}
			for t := range taps {
				at := p*srcStep + t*tapStep + c
				if float32(int32(math.Float32bits(index[at]))) == place {
					s += dy[at]
				} else {
					s += 0
				}
			}
			dx[p*dstStep+c] = s
		}
	}
}
