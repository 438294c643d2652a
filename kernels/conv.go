package kernels

import (
	"fmt"
	"math"
)

// Conv2d describes a two-dimensional convolution, as neural networks have it (a
// cross-correlation), over images whose channels come last. Pairs are rows, then
// columns. A batch of N images makes these tensors, row-major and contiguous:
//
//	x    [N, H, W, C]
//	w    [kh, kw, C/Groups, Out]
//	bias [Out]
//	y    [N, OutH, OutW, Out]
//
// Output channel o sees the C/Groups input channels of its group, o/(Out/Groups).
// With Groups = C the convolution is depthwise. The methods write x with the
// padding around it; where an index is outside of the image, x is +0, and so is y
// outside of the output.
//
// The number of images follows from the lengths. The methods panic if lengths don't
// match it, the workspace is shorter than Scratch(1), or the description is one
// that Check refuses; outputs must not overlap inputs or the workspace, whose
// contents don't matter before or after.
type Conv2d struct {
	H, W, C  int    // rows, columns and channels of an input image
	Out      int    // channels of an output image
	Kernel   [2]int // rows and columns of the window
	Stride   [2]int // from window to window; 0 means 1
	Padding  [2]int // rows above and below, columns left and right
	Dilation [2]int // from row to row and column to column inside a window; 0 means 1
	Groups   int    // of channels; 0 means 1
}

// maxElements bounds images and weights, so that offsets in bytes can't overflow 31 bits.
const maxElements = math.MaxInt32 / 8

// Check returns an error if there is no such convolution: a size is not positive,
// the padding is negative, the channels can't be split into the groups, the window
// is larger than the padded image, or the weights or a padded image with the channels of
// the input or the output have 2^28 elements or more.
func (c Conv2d) Check() error {
	switch {
	case c.H < 1 || c.W < 1 || c.C < 1:
		return fmt.Errorf("kernels: convolution of a %dx%dx%d image: want sizes of at least 1", c.H, c.W, c.C)
	case c.Out < 1:
		return fmt.Errorf("kernels: convolution with %d output channels: want at least 1", c.Out)
	case c.Kernel[0] < 1 || c.Kernel[1] < 1:
		return fmt.Errorf("kernels: convolution with a %dx%d window: want at least 1x1", c.Kernel[0], c.Kernel[1])
	case c.Stride[0] < 0 || c.Stride[1] < 0:
		return fmt.Errorf("kernels: convolution with stride %v: want at least 1, or 0 for 1", c.Stride)
	case c.Padding[0] < 0 || c.Padding[1] < 0:
		return fmt.Errorf("kernels: convolution with padding %v: want at least 0", c.Padding)
	case c.Dilation[0] < 0 || c.Dilation[1] < 0:
		return fmt.Errorf("kernels: convolution with dilation %v: want at least 1, or 0 for 1", c.Dilation)
	case c.Groups < 0:
		return fmt.Errorf("kernels: convolution with %d groups: want at least 1, or 0 for 1", c.Groups)
	case c.Groups > 0 && (c.C%c.Groups != 0 || c.Out%c.Groups != 0):
		return fmt.Errorf("kernels: convolution from %d to %d channels in %d groups: want multiples of the groups", c.C, c.Out, c.Groups)
	}
	c.defaults()
	for i, size := range [2]int{c.H, c.W} {
		window := float64(c.Kernel[i]-1)*float64(c.Dilation[i]) + 1
		padded := float64(size) + 2*float64(c.Padding[i])
		if window > padded {
			return fmt.Errorf("kernels: convolution window of %.0f %s is larger than the padded image, %.0f",
				window, [...]string{"rows", "columns"}[i], padded)
		}
	}
	padded := (float64(c.H) + 2*float64(c.Padding[0])) * (float64(c.W) + 2*float64(c.Padding[1]))
	weights := float64(c.Kernel[0]) * float64(c.Kernel[1]) * float64(c.C/c.Groups) * float64(c.Out)
	if most := max(padded*float64(max(c.C, c.Out)), weights); most > maxElements {
		return fmt.Errorf("kernels: convolution with %.0f elements in a padded image or the weights: want at most %d", most, maxElements)
	}
	return nil
}

// defaults sets what is 0 to 1 where that is meant, and a stride beyond the padded
// image to its size, which is as far.
func (c *Conv2d) defaults() {
	for i, size := range [2]int{c.H, c.W} {
		c.Stride[i] = max(1, min(c.Stride[i], size+2*c.Padding[i]))
		c.Dilation[i] = max(c.Dilation[i], 1)
	}
	c.Groups = max(c.Groups, 1)
}

// OutH returns the rows of an output image:
// (H + 2*Padding - Dilation*(Kernel-1) - 1) / Stride + 1.
func (c Conv2d) OutH() int { return c.outputs(0, c.H) }

// OutW returns the columns of an output image.
func (c Conv2d) OutW() int { return c.outputs(1, c.W) }

func (c *Conv2d) outputs(i, size int) int {
	return (size+2*c.Padding[i]-max(c.Dilation[i], 1)*(c.Kernel[i]-1)-1)/max(c.Stride[i], 1) + 1
}

// InLen returns the elements of an input image, H*W*C.
func (c Conv2d) InLen() int { return c.H * c.W * c.C }

// OutLen returns the elements of an output image, OutH*OutW*Out.
func (c Conv2d) OutLen() int { return c.OutH() * c.OutW() * c.Out }

// PatchLen returns the inputs that an output depends on, kh*kw*C/Groups: the rows
// of the weights as a matrix with Out columns.
func (c Conv2d) PatchLen() int { return c.Kernel[0] * c.Kernel[1] * c.C / max(c.Groups, 1) }

// Scratch returns the elements of workspace that the methods need with a number of
// workers: 1 without a [Pool]. It panics if Check refuses c.
func (c Conv2d) Scratch(workers int) int {
	c.mustCheck()
	return workers * convScratch(&c)
}

// mustCheck panics if Check refuses c, and sets the defaults.
func (c *Conv2d) mustCheck() {
	if c.Check() != nil {
		panic("kernels: Conv2d: no such convolution, see Check")
	}
	c.defaults()
}

// Forward computes the convolution of a batch: a matrix product of the patches of
// x, by the same blocks as [Gemm.Multiply].
//
//	for each block of 256 consecutive k = (i, j, c'), in order:
//	    s = +0;  s = fma(x[n, oh*sh-ph+i*dh, ow*sw-pw+j*dw, g*C/Groups+c'], w[i,j,c',o], s)
//	    y[n,oh,ow,o] = s for the first block, else y[n,oh,ow,o] + s
//	y[n,oh,ow,o] = y[n,oh,ow,o] + bias[o], if bias is not nil
//
// An output depends on no other image of the batch.
func (c Conv2d) Forward(y, x, w, bias, scratch []float32) {
	v := c.checkForward(y, x, w, bias, scratch)
	v.run(0, 0)
}

// InputGradient computes the gradient at the input from that at the output.
//
//	for each block of 256 consecutive (i, j, o), in order:
//	    s = +0;  s = fma(dy[n,oh,ow,o], w[i,j,c',o], s)
//	    dx[n,h,w,g*C/Groups+c'] = s for the first block, else dx[..] + s
//
// Here i and j run from the last row and column of the window to the first, over
// those for which oh = (h+ph-i*dh)/sh and ow = (w+pw-j*dw)/sw are whole numbers, and
// o over the output channels of group g. That is the order in which dy lies in
// memory. Without any such i and j, dx is +0. An element of dx depends on no other
// image of the batch.
func (c Conv2d) InputGradient(dx, dy, w, scratch []float32) {
	v := c.checkInputGradient(dx, dy, w, scratch)
	v.run(0, 0)
}

// WeightGradient computes the gradient at the weights; that at the bias is
// [ColSums] of dy.
//
//	for each block of 256 consecutive r = (n, oh, ow), in order:
//	    s = +0;  s = fma(x[n, oh*sh-ph+i*dh, ow*sw-pw+j*dw, g*C/Groups+c'], dy[n,oh,ow,o], s)
//	    dw[i,j,c',o] = s for the first block, else dw[i,j,c',o] + s
//
// Without images it is +0.
func (c Conv2d) WeightGradient(dw, x, dy, scratch []float32) {
	v := c.checkWeightGradient(dw, x, dy, scratch)
	v.run(0, 0)
}

// PatchSumSquares computes the sums of the squares of the entries of all patches,
// in the order of the rows of the weights, the groups taken together: the diagonal
// of the second moment of the inputs that a weight sees, times the number of patches,
// N*OutH*OutW*Groups. No patch is built: an input is squared once, and the sums of
// squares over the images are added up over the windows.
//
//	q[h,w,c]    = s over n:  s = fma(x[n,h,w,c], x[n,h,w,c], s), from +0
//	r[i,w,c]    = s over oh: s = s + q[oh*sh-ph+i*dh, w, c], from +0
//	t[i,j,c]    = sum over ow of r[i, ow*sw-pw+j*dw, c]
//	dst[i,j,c'] = sum over g of t[i, j, g*C/Groups+c']
//
// The sums over oh and ow leave out what is outside of the image; those over ow and
// g are by blocks of 256, as in [ColSums]. It panics if the length of dst is not
// PatchLen.
func (c Conv2d) PatchSumSquares(dst, x, scratch []float32) {
	v := c.checkPatchSumSquares(dst, x, scratch)
	v.run(0, 0)
	v.windowSums(dst)
}

// PatchSums computes the sums of the entries of all patches, as PatchSumSquares does
// with x[n,h,w,c] in place of its square: from +0, q = q + x[n,h,w,c] over n. It
// panics if the length of dst is not PatchLen.
func (c Conv2d) PatchSums(dst, x, scratch []float32) {
	v := c.checkPatchSums(dst, x, scratch)
	v.run(0, 0)
	v.windowSums(dst)
}

// A convolution is one call: a Conv2d with its defaults set, what follows from it,
// and the operands.
type convolution struct {
	Conv2d
	what       convWhat
	outH, outW int
	cg, og     int // channels of a group
	n          int // images

	x, w, bias, y []float32 // or their gradients
	scratch       []float32 // of all workers
	workers       int
	lines, cols   int  // into how many ranges the outputs are split
	byRows        bool // lines of the gradient at the weights are rows: there are few channels
}

type convWhat int

const (
	forward convWhat = iota
	inputGradient
	weightGradient
	patchSquares
	patchSums
)

// A convPart is a range of outputs: lines are rows of pixels of all images, cols
// channels; for the gradient at the weights, lines are the channels of a group, or the
// rows of the weights as a matrix.
type convPart struct{ line0, line1, col0, col1 int }

// prepare checks the description and counts the images of x.
func (c *Conv2d) prepare(what convWhat, x []float32, mismatch string) (v convolution) {
	c.mustCheck()
	v = convolution{Conv2d: *c, what: what, outH: c.OutH(), outW: c.OutW(), cg: c.C / c.Groups, og: c.Out / c.Groups, x: x, lines: 1, cols: 1, workers: 1}
	v.n = len(x) / c.InLen()
	if v.n*c.InLen() != len(x) {
		panic(mismatch)
	}
	return v
}

// The checks of the methods make their calls, in one part.

func (c *Conv2d) checkForward(y, x, w, bias, scratch []float32) (v convolution) {
	v = c.prepare(forward, x, "kernels: Conv2d.Forward: length of x is not a multiple of InLen")
	if len(y) != v.n*v.outH*v.outW*v.Out {
		panic("kernels: Conv2d.Forward: length of y is not OutLen for each image of x")
	}
	if len(w) != v.PatchLen()*v.Out {
		panic("kernels: Conv2d.Forward: length of w is not PatchLen*Out")
	}
	if bias != nil && len(bias) != v.Out {
		panic("kernels: Conv2d.Forward: length of bias is not Out")
	}
	if len(scratch) < convScratch(&v.Conv2d) {
		panic("kernels: Conv2d.Forward: workspace is shorter than Scratch(1)")
	}
	v.y, v.w, v.bias, v.scratch = y, w, bias, scratch
	return v
}

func (c *Conv2d) checkInputGradient(dx, dy, w, scratch []float32) (v convolution) {
	v = c.prepare(inputGradient, dx, "kernels: Conv2d.InputGradient: length of dx is not a multiple of InLen")
	if len(dy) != v.n*v.outH*v.outW*v.Out {
		panic("kernels: Conv2d.InputGradient: length of dy is not OutLen for each image of dx")
	}
	if len(w) != v.PatchLen()*v.Out {
		panic("kernels: Conv2d.InputGradient: length of w is not PatchLen*Out")
	}
	if len(scratch) < convScratch(&v.Conv2d) {
		panic("kernels: Conv2d.InputGradient: workspace is shorter than Scratch(1)")
	}
	v.y, v.w, v.scratch = dy, w, scratch
	return v
}

func (c *Conv2d) checkWeightGradient(dw, x, dy, scratch []float32) (v convolution) {
	v = c.prepare(weightGradient, x, "kernels: Conv2d.WeightGradient: length of x is not a multiple of InLen")
	if len(dy) != v.n*v.outH*v.outW*v.Out {
		panic("kernels: Conv2d.WeightGradient: length of dy is not OutLen for each image of x")
	}
	if len(dw) != v.PatchLen()*v.Out {
		panic("kernels: Conv2d.WeightGradient: length of dw is not PatchLen*Out")
	}
	if len(scratch) < convScratch(&v.Conv2d) {
		panic("kernels: Conv2d.WeightGradient: workspace is shorter than Scratch(1)")
	}
	v.y, v.w, v.scratch = dy, dw, scratch
	return v
}

func (c *Conv2d) checkPatchSumSquares(dst, x, scratch []float32) (v convolution) {
	v = c.prepare(patchSquares, x, "kernels: Conv2d.PatchSumSquares: length of x is not a multiple of InLen")
	if len(dst) != v.PatchLen() {
		panic("kernels: Conv2d.PatchSumSquares: length of dst is not PatchLen")
	}
	if len(scratch) < convScratch(&v.Conv2d) {
		panic("kernels: Conv2d.PatchSumSquares: workspace is shorter than Scratch(1)")
	}
	v.scratch = scratch
	return v
}

func (c *Conv2d) checkPatchSums(dst, x, scratch []float32) (v convolution) {
	v = c.prepare(patchSums, x, "kernels: Conv2d.PatchSums: length of x is not a multiple of InLen")
	if len(dst) != v.PatchLen() {
		panic("kernels: Conv2d.PatchSums: length of dst is not PatchLen")
	}
	if len(scratch) < convScratch(&v.Conv2d) {
		panic("kernels: Conv2d.PatchSums: workspace is shorter than Scratch(1)")
	}
	v.scratch = scratch
	return v
}

// ConvForward is c.Forward, split among the workers where the work is large. A
// worker needs c.Scratch(1) elements of the workspace to take part. The result has
// the same bits.
func (p *Pool) ConvForward(c Conv2d, y, x, w, bias, scratch []float32) {
	v := c.checkForward(y, x, w, bias, scratch)
	p.convolve(&v)
}

// ConvInputGradient is c.InputGradient, split as ConvForward is.
func (p *Pool) ConvInputGradient(c Conv2d, dx, dy, w, scratch []float32) {
	v := c.checkInputGradient(dx, dy, w, scratch)
	p.convolve(&v)
}

// ConvWeightGradient is c.WeightGradient, split as ConvForward is.
func (p *Pool) ConvWeightGradient(c Conv2d, dw, x, dy, scratch []float32) {
	v := c.checkWeightGradient(dw, x, dy, scratch)
	p.convolve(&v)
}

// ConvPatchSumSquares is c.PatchSumSquares, split as ConvForward is.
func (p *Pool) ConvPatchSumSquares(c Conv2d, dst, x, scratch []float32) {
	v := c.checkPatchSumSquares(dst, x, scratch)
	p.convolve(&v)
	v.windowSums(dst)
}

// ConvPatchSums is c.PatchSums, split as ConvForward is.
func (p *Pool) ConvPatchSums(c Conv2d, dst, x, scratch []float32) {
	v := c.checkPatchSums(dst, x, scratch)
	p.convolve(&v)
	v.windowSums(dst)
}

// work returns the size of a call in floating-point operations, or comparable ones.
func (v *convolution) work() float64 {
	if v.what >= patchSquares {
		return 16 * float64(len(v.x)) // bound by memory
	}
	return 2 * float64(v.n) * float64(v.outH*v.outW) * float64(len(v.w))
}

// extent returns the numbers of lines and of columns of the outputs; see convPart.
func (v *convolution) extent() (lines, cols int) {
	switch v.what {
	case forward:
		return v.n * v.outH, v.Out
	case inputGradient:
		return v.n * v.H, v.C
	case weightGradient:
		if v.byRows {
			return v.PatchLen(), v.Out
		}
		return v.cg, v.Out
	}
	return 1, v.W * v.C
}

// split chooses the ranges of outputs for v.workers and returns how many there are.
func (v *convolution) split() int {
	const leastPixels, leastRows = 64, 4
	lines, cols := v.extent()
	panels := (cols + packCols - 1) / packCols
	parts := v.workers * workerParts
	switch v.what {
	case forward:
		v.lines = max(1, min(parts, lines, lines*v.outW/leastPixels))
		v.cols = min(parts/v.lines, panels)
	case inputGradient:
		v.lines = max(1, min(parts, lines, lines*v.W/leastPixels))
		v.cols = min(parts/v.lines, panels)
	case weightGradient:
		v.cols = min(v.workers, panels)
		v.lines = (v.workers + v.cols - 1) / v.cols
		if v.byRows = v.lines > 1 && v.Groups == 1 && lines < v.lines*packCols; v.byRows {
			lines = v.PatchLen()
		}
		v.lines = max(1, min(v.lines, lines/leastRows))
	case patchSquares, patchSums:
		v.lines, v.cols = 1, min(v.workers, panels)
	}
	return v.lines * v.cols
}

// part returns a range of outputs; columns are cut at multiples of a panel.
func (v *convolution) part(i int) (r convPart) {
	lines, cols := v.extent()
	panels := (cols + packCols - 1) / packCols
	l, c := i/v.cols, i%v.cols
	return convPart{
		line0: lines * l / v.lines, line1: lines * (l + 1) / v.lines,
		col0: panels * c / v.cols * packCols, col1: min(panels*(c+1)/v.cols*packCols, cols),
	}
}

// convolve computes the outputs, with the workers where that pays.
func (p *Pool) convolve(v *convolution) {
	v.workers = min(p.Workers(), len(v.scratch)/convScratch(&v.Conv2d))
	if v.workers < 2 || v.work() < float64(poolFlops) || v.split() < 2 {
		v.workers, v.lines, v.cols = 1, 1, 1
		v.run(0, 0)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conv = *v
	p.do(v.workers, v.lines*v.cols, &p.conv)
	p.conv = convolution{}
}

// run computes one part of the outputs.
func (v *convolution) run(part, worker int) {
	r := v.part(part)
	switch {
	case v.what >= patchSquares:
		v.patchMoments(r)
	case v.what == weightGradient && v.n == 0:
		clear(v.w)
	case r.line0 < r.line1 && r.col0 < r.col1:
		convolvePart(v, r, worker)
	}
}

// reference computes a range of outputs by the definition.
func (v *convolution) reference(r convPart) {
	switch v.what {
	case forward:
		v.forwardRef(r)
	case inputGradient:
		v.inputGradientRef(r)
	case weightGradient:
		v.weightGradientRef(r)
	}
}

// chain is a sum by blocks of 256 terms.
type chain struct {
	n            int
	total, block float32
}

func (c *chain) add(a, b float32) {
	if c.n > 0 && c.n%blockK == 0 {
		c.total, c.block = c.sum(), 0
	}
	c.block = fma32(a, b, c.block)
	c.n++
}

func (c *chain) sum() float32 {
	if c.n <= blockK {
		return c.block
	}
	return c.total + c.block
}

// input returns x, or +0 where it is padded.
func (v *convolution) input(n, h, w, c int) float32 {
	if h < 0 || h >= v.H || w < 0 || w >= v.W {
		return 0
	}
	return v.x[((n*v.H+h)*v.W+w)*v.C+c]
}

// output returns y, or +0 outside.
func (v *convolution) output(n, h, w, o int) float32 {
	if h < 0 || h >= v.outH || w < 0 || w >= v.outW {
		return 0
	}
	return v.y[((n*v.outH+h)*v.outW+w)*v.Out+o]
}

func (v *convolution) forwardRef(r convPart) {
	for line := r.line0; line < r.line1; line++ {
		n, oh := line/v.outH, line%v.outH
		for ow := range v.outW {
			for o := r.col0; o < r.col1; o++ {
				var s chain
				for i := range v.Kernel[0] {
					for j := range v.Kernel[1] {
						for c := range v.cg {
							h := oh*v.Stride[0] - v.Padding[0] + i*v.Dilation[0]
							w := ow*v.Stride[1] - v.Padding[1] + j*v.Dilation[1]
							s.add(v.input(n, h, w, o/v.og*v.cg+c), v.w[((i*v.Kernel[1]+j)*v.cg+c)*v.Out+o])
						}
					}
				}
				y := s.sum()
				if v.bias != nil {
					y += v.bias[o]
				}
				v.y[(line*v.outW+ow)*v.Out+o] = y
			}
		}
	}
}

func (v *convolution) inputGradientRef(r convPart) {
	for line := r.line0; line < r.line1; line++ {
		n, h := line/v.H, line%v.H
		for w := range v.W {
			for c := r.col0; c < r.col1; c++ {
				var s chain
				for i := v.Kernel[0] - 1; i >= 0; i-- {
					for j := v.Kernel[1] - 1; j >= 0; j-- {
						oh := h + v.Padding[0] - i*v.Dilation[0]
						ow := w + v.Padding[1] - j*v.Dilation[1]
						if oh%v.Stride[0] != 0 || ow%v.Stride[1] != 0 {
							continue
						}
						for o := range v.og {
							o += c / v.cg * v.og
							s.add(v.output(n, oh/v.Stride[0], ow/v.Stride[1], o), v.w[((i*v.Kernel[1]+j)*v.cg+c%v.cg)*v.Out+o])
						}
					}
				}
				v.x[(line*v.W+w)*v.C+c] = s.sum()
			}
		}
	}
}

func (v *convolution) weightGradientRef(r convPart) {
	for i := range v.Kernel[0] {
		for j := range v.Kernel[1] {
			for c := range v.cg {
				line := c
				if v.byRows {
					line = (i*v.Kernel[1]+j)*v.cg + c
				}
				if line < r.line0 || line >= r.line1 {
					continue
				}
				for o := r.col0; o < r.col1; o++ {
					var s chain
					for line := range v.n * v.outH {
						n, oh := line/v.outH, line%v.outH
						for ow := range v.outW {
							h := oh*v.Stride[0] - v.Padding[0] + i*v.Dilation[0]
							w := ow*v.Stride[1] - v.Padding[1] + j*v.Dilation[1]
							s.add(v.input(n, h, w, o/v.og*v.cg+c), v.output(n, oh, ow, o))
						}
					}
					v.w[((i*v.Kernel[1]+j)*v.cg+c)*v.Out+o] = s.sum()
				}
			}
		}
	}
}

// valid returns the outputs [lo, hi) along dimension d whose input for place i of
// the window is inside the image.
func (v *convolution) valid(d, i int) (lo, hi int) {
	size, outputs := v.H, v.outH
	if d == 1 {
		size, outputs = v.W, v.outW
	}
	first := v.Padding[d] - i*v.Dilation[d] // the least lo*stride
	s := v.Stride[d]
	lo = max(0, (first+s-1)/s)
	hi = min(outputs, (size-1+first+s)/s)
	return lo, max(lo, hi)
}

// squaresLen bounds the elements that are squared in one go, unless a row has more:
// their sums stay in the first cache while all images are read.
const squaresLen = 1 << 12

// squareRows is the number of rows that are squared in one go.
func (c *Conv2d) squareRows() int { return max(1, min(c.H, squaresLen/(c.W*c.C))) }

// convRows is the workspace of PatchSumSquares and PatchSums, for all workers
// together: sums over images of some rows, then sums over rows for each row of the
// window.
func convRows(c *Conv2d) int { return (c.squareRows() + c.Kernel[0]) * c.W * c.C }

// patchRows is the part of the workspace for row i of the window.
func (v *convolution) patchRows(i int) []float32 {
	n := v.W * v.C
	return v.scratch[(v.squareRows()+i)*n:][:n]
}

// meets reports whether row h of the image is row i of a window, and seen whether it
// is in one.
func (v *convolution) meets(h, i int) bool {
	at := h + v.Padding[0] - i*v.Dilation[0]
	return at >= 0 && at%v.Stride[0] == 0 && at/v.Stride[0] < v.outH
}

func (v *convolution) seen(h int) bool {
	for i := range v.Kernel[0] {
		if v.meets(h, i) {
			return true
		}
	}
	return false
}

// patchMoments computes columns of the sums over images and rows, of squares or of
// the inputs themselves.
func (v *convolution) patchMoments(r convPart) {
	for i := range v.Kernel[0] {
		clear(v.patchRows(i)[r.col0:r.col1])
	}
	row, step := v.W*v.C, v.squareRows()
	if r.col1-r.col0 < row || v.Kernel[0] < v.Stride[0] {
		step = 1
	}
	for h := 0; h < v.H; h += step {
		rows := min(step, v.H-h)
		if rows == 1 && !v.seen(h) {
			continue
		}
		q := v.scratch[r.col0 : (rows-1)*row+r.col1]
		clear(q)
		for n := range v.n {
			x := v.x[(n*v.H+h)*row+r.col0:][:len(q)]
			if v.what == patchSquares {
				MulAdd(q, x, x, q)
			} else {
				Add(q, q, x)
			}
		}
		for l := range rows {
			q := q[l*row:][:r.col1-r.col0]
			for i := range v.Kernel[0] {
				if v.meets(h+l, i) {
					s := v.patchRows(i)[r.col0:r.col1]
					Add(s, s, q)
				}
			}
		}
	}
}

// windowSums adds up the sums over rows, over the columns of windows and over groups.
func (v *convolution) windowSums(dst []float32) {
	t := v.scratch[:v.C]
	for i := range v.Kernel[0] {
		rows := v.patchRows(i)
		for j := range v.Kernel[1] {
			clear(t)
			if lo, hi := v.valid(1, j); lo < hi {
				first := lo*v.Stride[1] - v.Padding[1] + j*v.Dilation[1]
				stridedColSums(t, rows[first*v.C:], hi-lo, v.Stride[1]*v.C)
			}
			ColSums(dst[(i*v.Kernel[1]+j)*v.cg:][:v.cg], t)
		}
	}
}

// stridedColSums is ColSums of some rows at a distance.
func stridedColSums(dst, x []float32, rows, stride int) {
	for r := 0; r < rows; r += blockRows {
		b := min(blockRows, rows-r)
		for c := 0; c < len(dst); c += columnChunk {
			e := min(c+columnChunk, len(dst))
			colSums(dst[c:e], x[r*stride+c:(r+b-1)*stride+e], b, stride, min(r, 1))
		}
	}
}
