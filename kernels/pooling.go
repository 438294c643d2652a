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
func (p Pooling2d) Check() error { return p.check() }

func (p *Pooling2d) check() error {
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
func (p Pooling2d) OutH() int { p.defaults(); return p.out(0, p.H) }

// OutW returns the columns of an output image.
func (p Pooling2d) OutW() int { p.defaults(); return p.out(1, p.W) }

func (p *Pooling2d) out(d, size int) int { return (size+2*p.Padding[d]-p.Kernel[d])/p.Stride[d] + 1 }

// InLen returns the elements of an input image, H*W*C.
func (p Pooling2d) InLen() int { return p.H * p.W * p.C }

// OutLen returns the elements of an output image, OutH*OutW*C.
func (p Pooling2d) OutLen() int { return p.OutH() * p.OutW() * p.C }

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
	r := pooling{Pooling2d: &p, kind: maxima, x: x, y: y}
	r.prepare("kernels: Pooling2d.Max: length of x is not a multiple of InLen",
		"kernels: Pooling2d.Max: length of y is not OutLen for each image of x")
	if index != nil && len(index) != len(y) {
		panic("kernels: Pooling2d.Max: lengths of index and y differ")
	}
	r.index = floats(index)
	r.run()
}

// MaxBackward computes the gradient at the input of Max from that at its output: an
// input gets that of the windows whose maximum it is.
//
//	dx[n,h,w,c] = s over the windows, in order:
//	    s = s + dy[n,oh,ow,c] where index[n,oh,ow,c] says (h,w), from +0
func (p Pooling2d) MaxBackward(dx, dy []float32, index []int32) {
	r := pooling{Pooling2d: &p, kind: maximaBackward, x: dx, y: dy}
	r.prepare("kernels: Pooling2d.MaxBackward: length of dx is not a multiple of InLen",
		"kernels: Pooling2d.MaxBackward: length of dy is not OutLen for each image of dx")
	if len(index) != len(dy) {
		panic("kernels: Pooling2d.MaxBackward: lengths of index and dy differ")
	}
	r.index = floats(index)
	r.clear()
	r.run()
}

// Average stores the averages of the windows.
//
//	s = +0;  s = s + x[n, oh*sh-ph+i, ow*sw-pw+j, c] for each place (i,j) inside of the
//	    image, row by row
//	y[n,oh,ow,c] = s / (kh*kw)
func (p Pooling2d) Average(y, x []float32) {
	r := pooling{Pooling2d: &p, kind: averages, x: x, y: y}
	r.prepare("kernels: Pooling2d.Average: length of x is not a multiple of InLen",
		"kernels: Pooling2d.Average: length of y is not OutLen for each image of x")
	r.run()
}

// AverageBackward computes the gradient at the input of Average from that at its
// output.
//
//	dx[n,h,w,c] = s over the windows that (h,w) is in, in order:
//	    s = s + dy[n,oh,ow,c] / (kh*kw), from +0
func (p Pooling2d) AverageBackward(dx, dy []float32) {
	r := pooling{Pooling2d: &p, kind: averagesBackward, x: dx, y: dy}
	r.prepare("kernels: Pooling2d.AverageBackward: length of dx is not a multiple of InLen",
		"kernels: Pooling2d.AverageBackward: length of dy is not OutLen for each image of dx")
	r.clear()
	r.run()
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

type poolingKind int

const (
	maxima poolingKind = iota // with or without index
	averages
	maximaBackward
	averagesBackward
)

// A pooling is one call of a method of Pooling2d. (To copy that, so shortly after it was
// stored, would take longer than a few windows.)
type pooling struct {
	*Pooling2d
	n, outH, outW int
	overlap       bool // windows have places in common
	kind          poolingKind
	x, y, index   []float32 // or the gradients at x and y
}

// prepare sets what follows from the others, after the checks.
func (p *pooling) prepare(xMismatch, yMismatch string) {
	if p.check() != nil {
		panic("kernels: Pooling2d: no such pooling, see Check")
	}
	p.defaults()
	size := p.H * p.W * p.C
	p.n, p.outH, p.outW = len(p.x)/size, p.out(0, p.H), p.out(1, p.W)
	p.overlap = p.Stride[0] < p.Kernel[0] || p.Stride[1] < p.Kernel[1]
	if p.n*size != len(p.x) {
		panic(xMismatch)
	}
	if len(p.y) != p.n*p.outH*p.outW*p.C {
		panic(yMismatch)
	}
}

// clear sets the gradient at the input to +0 where windows add to it, or leave
// elements out.
func (p *pooling) clear() {
	if p.Kernel != p.Stride || p.outH*p.Kernel[0] != p.H || p.outW*p.Kernel[1] != p.W || p.Padding != [2]int{} {
		Fill(p.x, 0)
	}
}

// windows are neighbouring windows, or a part of each, in lines: as many rows and
// columns of places, all inside of the image. A kernel goes over them in order.
type windows struct {
	x, y                       int // the first place's element of the images, and the first window's of the outputs
	lines, pixels, channels    int
	rows, taps                 int
	place                      int  // the number of the first place
	step                       int  // elements from window to window in the image; from pixel to pixel it is C
	rowStep, lineStep, outStep int  // from row to row of a window, and from line to line in the image and in the outputs
	more                       int  // 1: places before these are done, else 0
	last                       bool // no places are left
}

// run goes over all windows, line by line where that is their order.
func (p *pooling) run() {
	n, h, outH := p.n, p.H, p.outH
	if p.Padding[0] == 0 && outH*p.Stride[0] == h { // images below each other are as one
		n, h, outH = 1, n*h, n*outH
	}
	var w windows
	w.channels, w.last, w.step = p.C, true, p.Stride[1]*p.C
	w.rowStep, w.lineStep, w.outStep = p.W*p.C, p.Stride[0]*p.W*p.C, p.outW*p.C
	// An element of the image meets the windows that it is in line by line. Lines in
	// several spans can't be done beside each other then.
	byLine := p.overlap && p.Padding[1] > 0
	for i := range n {
		for oh := 0; oh < outH; oh += w.lines {
			rows := p.span(0, h, outH, oh)
			w.lines, w.rows = rows.count, rows.places
			if byLine {
				w.lines = 1
			}
			for ow := 0; ow < p.outW; ow += w.pixels {
				cols := p.span(1, p.W, p.outW, ow)
				w.pixels, w.taps = cols.count, cols.places
				w.x = ((i*h+rows.first)*p.W + cols.first) * p.C
				w.y = ((i*outH+oh)*p.outW + ow) * p.C
				w.place = rows.place*p.Kernel[1] + cols.place
				p.cut(&w)
			}
		}
	}
}

// A span is a run of windows along rows or columns that have the same places inside of
// the image.
type span struct {
	count         int
	first         int // row or column of the first window's first place in the image
	place, places int // of each window
}

// span returns the longest one from window i of n on, along dimension d of an image of
// that size.
func (p *pooling) span(d, size, n, i int) span {
	first := i*p.Stride[d] - p.Padding[d]
	place := max(0, -first)
	s := span{count: 1, first: first + place, place: place, places: min(p.Kernel[d], size-first) - place}
	if p.Padding[d] == 0 {
		s.count = n
	} else if s.places == p.Kernel[d] {
		s.count = (size+p.Padding[d]-p.Kernel[d])/p.Stride[d] + 1 - i
	}
	return s
}

// minChannels is how many channels windows are not cut below, a multiple of all
// vectors' lengths.
const minChannels = 64

// cut does windows in parts that are short enough and whose places have consecutive
// numbers, in order for each element of the image.
func (p *pooling) cut(w *windows) {
	count := w.lines * w.pixels
	consecutive := w.rows == 1 || w.taps == p.Kernel[1]
	if consecutive && count <= rowChunk && count*w.channels*w.rows*w.taps <= chunkLen {
		p.call(w)
		return
	}
	a, b := *w, *w
	switch {
	case w.lines > 1 && consecutive:
		a.lines /= 2
		b.lines -= a.lines
		b.x, b.y = w.x+a.lines*w.lineStep, w.y+a.lines*w.outStep
	case w.pixels > 1 && consecutive:
		a.pixels /= 2
		b.pixels -= a.pixels
		b.x, b.y = w.x+a.pixels*w.step, w.y+a.pixels*p.C
	case w.channels >= 2*minChannels && consecutive:
		a.channels = w.channels / 2 / minChannels * minChannels
		b.channels -= a.channels
		b.x, b.y = w.x+a.channels, w.y+a.channels
	case w.rows > 1:
		a.rows, a.last = w.rows/2, false
		b.rows, b.more = w.rows-a.rows, 1
		b.x, b.place = w.x+a.rows*w.rowStep, w.place+a.rows*p.Kernel[1]
	default:
		a.taps, a.last = w.taps/2, false
		b.taps, b.more = w.taps-a.taps, 1
		b.x, b.place = w.x+a.taps*p.C, w.place+a.taps
	}
	p.cut(&a)
	p.cut(&b)
}

// call runs the kernel.
//
//go:noinline
func (p *pooling) call(w *windows) {
	x := p.x[w.x:][:(w.lines-1)*w.lineStep+(w.pixels-1)*w.step+(w.rows-1)*w.rowStep+(w.taps-1)*p.C+w.channels]
	y := p.y[w.y:][:(w.lines-1)*w.outStep+(w.pixels-1)*p.C+w.channels]
	var index []float32
	if p.index != nil {
		index = p.index[w.y:][:len(y)]
	}
	// From the pixel after the last one of a row, or line, to the next row, or line.
	rowGap, lineGap, outGap := w.rowStep-w.taps*p.C, w.lineStep-w.pixels*w.step, w.outStep-w.pixels*p.C
	size := float32(p.Kernel[0] * p.Kernel[1])
	switch {
	case p.kind == maxima && index == nil:
		windowMax(y, x, w.lines, w.pixels, w.channels, w.rows, w.taps, p.C, w.step, rowGap, lineGap, outGap, w.more)
	case p.kind == maxima:
		windowArgMax(y, index, x, w.lines, w.pixels, w.channels, w.rows, w.taps, p.C, w.step, rowGap, lineGap, outGap, w.more, uint32(w.place))
	case p.kind == averages:
		if !w.last {
			size = 1
		}
		windowMean(y, x, w.lines, w.pixels, w.channels, w.rows, w.taps, p.C, w.step, rowGap, lineGap, outGap, w.more, size)
	case p.kind == maximaBackward && p.overlap:
		windowSelectAdd(x, y, index, w.lines, w.pixels, w.channels, w.rows, w.taps, p.C, w.step, rowGap, lineGap, outGap, uint32(w.place))
	case p.kind == maximaBackward:
		windowSelect(x, y, index, w.lines, w.pixels, w.channels, w.rows, w.taps, p.C, w.step, rowGap, lineGap, outGap, uint32(w.place))
	case p.overlap:
		windowShareAdd(x, y, w.lines, w.pixels, w.channels, w.rows, w.taps, p.C, w.step, rowGap, lineGap, outGap, size)
	default:
		windowShare(x, y, w.lines, w.pixels, w.channels, w.rows, w.taps, p.C, w.step, rowGap, lineGap, outGap, size)
	}
}

// The references of the kernels over windows.

// eachPlace calls f for the places of each window in order: with the first elements of
// the window and of the image, and the place's number.
func eachPlace(lines, pixels, rows, taps, depth, step, rowGap, lineGap, ownGap int, f func(own, image, place int)) {
	own, image := 0, 0
	for range lines {
		for range pixels {
			at := image
			for place := range rows * taps {
				f(own, at, place)
				if at += depth; (place+1)%taps == 0 {
					at += rowGap
				}
			}
			own, image = own+depth, image+step
		}
		own, image = own+ownGap, image+lineGap
	}
}

func windowArgMaxRef(y, index, x []float32, lines, pixels, channels, rows, taps, depth, step, rowGap, lineGap, ownGap, more int, first uint32) {
	eachPlace(lines, pixels, rows, taps, depth, step, rowGap, lineGap, ownGap, func(own, image, place int) {
		for c, v := range x[image:][:channels] {
			if o := own + c; place == 0 && more == 0 || v > y[o] || v != v {
				y[o], index[o] = v, math.Float32frombits(first+uint32(place))
			}
		}
	})
}

func windowMaxRef(y, x []float32, lines, pixels, channels, rows, taps, depth, step, rowGap, lineGap, ownGap, more int) {
	eachPlace(lines, pixels, rows, taps, depth, step, rowGap, lineGap, ownGap, func(own, image, place int) {
		for c, v := range x[image:][:channels] {
			if o := own + c; place == 0 && more == 0 || v > y[o] || v != v {
				y[o] = v
			}
		}
	})
}

func windowMeanRef(y, x []float32, lines, pixels, channels, rows, taps, depth, step, rowGap, lineGap, ownGap, more int, by float32) {
	eachPlace(lines, pixels, rows, taps, depth, step, rowGap, lineGap, ownGap, func(own, image, place int) {
		for c, v := range x[image:][:channels] {
			s := float32(0)
			if place > 0 || more != 0 {
				s = y[own+c]
			}
			if s += v; place == rows*taps-1 {
				s /= by
			}
			y[own+c] = s
		}
	})
}

func windowShareRef(dx, dy []float32, lines, pixels, channels, rows, taps, depth, step, rowGap, lineGap, ownGap int, by float32) {
	eachPlace(lines, pixels, rows, taps, depth, step, rowGap, lineGap, ownGap, func(own, image, _ int) {
		for c, v := range dy[own:][:channels] {
			dx[image+c] = float32(v/by) + 0
		}
	})
}

func windowShareAddRef(dx, dy []float32, lines, pixels, channels, rows, taps, depth, step, rowGap, lineGap, ownGap int, by float32) {
	eachPlace(lines, pixels, rows, taps, depth, step, rowGap, lineGap, ownGap, func(own, image, _ int) {
		for c, v := range dy[own:][:channels] {
			dx[image+c] += float32(v / by)
		}
	})
}

func windowSelectRef(dx, dy, index []float32, lines, pixels, channels, rows, taps, depth, step, rowGap, lineGap, ownGap int, first uint32) {
	eachPlace(lines, pixels, rows, taps, depth, step, rowGap, lineGap, ownGap, func(own, image, place int) {
		for c, v := range dy[own:][:channels] {
			dx[image+c] = 0
			if math.Float32bits(index[own+c]) == first+uint32(place) {
				dx[image+c] = v + 0
			}
		}
	})
}

func windowSelectAddRef(dx, dy, index []float32, lines, pixels, channels, rows, taps, depth, step, rowGap, lineGap, ownGap int, first uint32) {
	eachPlace(lines, pixels, rows, taps, depth, step, rowGap, lineGap, ownGap, func(own, image, place int) {
		for c, v := range dy[own:][:channels] {
			if math.Float32bits(index[own+c]) == first+uint32(place) {
				dx[image+c] += v
			}
		}
	})
}
