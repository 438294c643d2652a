package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/adafisher-go/adafisher/bench/roof"
	"github.com/adafisher-go/adafisher/kernels"
)

// convolutions are layers of usual networks, for batches of images.
var convolutions = []struct {
	images int
	conv   kernels.Conv2d
}{
	{32, kernels.Conv2d{H: 32, W: 32, C: 64, Out: 64, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}}},
	{32, kernels.Conv2d{H: 32, W: 32, C: 3, Out: 32, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}}},
	{32, kernels.Conv2d{H: 8, W: 8, C: 256, Out: 256, Kernel: [2]int{3, 3}, Padding: [2]int{1, 1}}},
}

// convolutionRaces returns the races of convolutions on one core, beside the usual
// way, where patches are copied to the rows of a matrix, which OpenBLAS multiplies, and
// beside PyTorch.
func convolutionRaces(p *peers) []race {
	var all []race
	for _, s := range convolutions {
		c, n := s.conv, s.images
		rows, k := n*c.OutH()*c.OutW(), c.PatchLen()
		scratch, bias := allocate(c.Scratch(1)), allocate(c.Out)
		size := fmt.Sprintf("%d x %dx%dx%d to %d by %dx%d", n, c.H, c.W, c.C, c.Out, c.Kernel[0], c.Kernel[1])
		add := func(name, part string, o *operands, contenders []contender) {
			flops := 2 * float64(rows) * float64(k) * float64(c.Out)
			r := race{size: size, unit: "GFLOP/s", fewer: flops > 1e9, operands: o, contenders: slices.Concat(contenders, p.patches(c, o), p.torchConvolution(c, part, n))}
			for i := range r.contenders {
				x := &r.contenders[i]
				x.kernel, x.work, x.within = name, flops, within(x.name, few+sumBound(o.K))
				if len(roof.Vectors) > 0 {
					x.roof = fmaRoof(roof.Vectors[0])
				}
			}
			all = append(all, r)
		}
		y := &operands{A: allocate(n * c.InLen()), B: allocate(k * c.Out), C: allocate(rows * c.Out), M: rows, N: c.Out, K: k}
		add("convolution", "forward", y, ours(func() { c.Forward(y.C, y.A, y.B, bias, scratch) }))
		dx := &operands{A: allocate(rows * c.Out), B: allocate(k * c.Out), C: allocate(n * c.InLen()), M: rows, N: k, K: c.Out, TransB: true}
		add("convolution, gradient of the input", "input", dx, ours(func() { c.InputGradient(dx.C, dx.A, dx.B, scratch) }))
		dw := &operands{A: allocate(n * c.InLen()), B: allocate(rows * c.Out), C: allocate(k * c.Out), M: k, N: c.Out, K: rows, TransA: true}
		add("convolution, gradient of the weights", "weights", dw, ours(func() { c.WeightGradient(dw.C, dw.A, dw.B, scratch) }))

		patches := func(name, routine string, contenders []contender, o *operands) {
			r := race{size: size, unit: "GB/s", fewer: true, operands: o, contenders: append(contenders, p.patchSums(c, routine, o)...)}
			work := float64(4 * len(o.A))
			top := memoryRoof(roof.Read, work, o.A)
			for i := range r.contenders {
				x := &r.contenders[i]
				x.kernel, x.roof, x.work, x.within = name, top, work, within(x.name, overColumns(o))
			}
			all = append(all, r)
		}
		sums := &operands{A: y.A, E: allocate(k), M: rows, N: k}
		patches("patch sums", "colsums", ours(func() { c.PatchSums(sums.E, sums.A, scratch) }), sums)
		patches("patch sum squares", "colsumsquares", ours(func() { c.PatchSumSquares(sums.E, sums.A, scratch) }), sums)
	}
	return all
}

// torchConvolution returns PyTorch's part of a convolution with padding 1, if it is
// there: forward, or the gradient of input or weights.
func (p *peers) torchConvolution(c kernels.Conv2d, part string, images int) []contender {
	if p.torch == nil {
		return nil
	}
	network := fmt.Sprintf("conv%d-%d-%d-%d-%d", c.Kernel[0], c.H, c.W, c.C, c.Out)
	return []contender{{name: "PyTorch " + p.torch.version, run: func(n int) (time.Duration, error) {
		return p.torch.time(network, part, images, n)
	}}}
}

// patchSums returns a routine of plain C on the patches of the inputs, where there is one.
func (p *peers) patchSums(c kernels.Conv2d, routine string, o *operands) []contender {
	patches := *o
	patches.A = allocate(o.M * o.N)
	contenders := p.c(routine, &patches)
	for i := range contenders {
		x := &contenders[i]
		reduce := x.run
		x.name += " on patches"
		x.run = cpu.repeated(func() error {
			copyPatches(c, patches.A, o.A)
			_, err := reduce(1)
			return err
		})
	}
	return contenders
}

// patches returns OpenBLAS on the patches of the inputs, if it is there: for the
// gradient of the input those of the result, which are added up afterwards. There
// are no groups, dilation and strides.
func (p *peers) patches(c kernels.Conv2d, o *operands) []contender {
	if p.blas == nil {
		return nil
	}
	routine, ok := p.blas.Routine("gemm")
	if !ok {
		return nil
	}
	product, images := *o, o.A
	if o.TransB {
		product.C, images = allocate(o.M*o.N), o.C
	} else {
		product.A = allocate(o.M * o.K)
	}
	return []contender{{name: p.blas.Name + " on patches", run: cpu.each(func() {
		if o.TransB {
			routine.Repeat(&product, 1)
			addPatches(c, images, product.C)
		} else {
			copyPatches(c, product.A, images)
			routine.Repeat(&product, 1)
		}
	})}}
}

// copyPatches copies the patches of images to the rows of a matrix.
func copyPatches(c kernels.Conv2d, patches, images []float32) {
	row := c.Kernel[1] * c.C
	for i := range len(images) / c.InLen() {
		image := images[i*c.InLen():][:c.InLen()]
		for oh := range c.OutH() {
			for ow := range c.OutW() {
				for j := range c.Kernel[0] {
					h, first := oh+j-c.Padding[0], ow-c.Padding[1]
					patch := patches[:row]
					patches = patches[row:]
					if h < 0 || h >= c.H {
						clear(patch)
						continue
					}
					lo, hi := max(0, -first), min(c.Kernel[1], c.W-first)
					clear(patch[:lo*c.C])
					copy(patch[lo*c.C:hi*c.C], image[(h*c.W+first+lo)*c.C:])
					clear(patch[hi*c.C:])
				}
			}
		}
	}
}

// addPatches adds up the rows of a matrix of patches where they are in images.
func addPatches(c kernels.Conv2d, images, patches []float32) {
	clear(images)
	row := c.Kernel[1] * c.C
	for i := range len(images) / c.InLen() {
		image := images[i*c.InLen():][:c.InLen()]
		for oh := range c.OutH() {
			for ow := range c.OutW() {
				for j := range c.Kernel[0] {
					h, first := oh+j-c.Padding[0], ow-c.Padding[1]
					patch := patches[:row]
					patches = patches[row:]
					if h < 0 || h >= c.H {
						continue
					}
					lo, hi := max(0, -first), min(c.Kernel[1], c.W-first)
					dst := image[(h*c.W+first+lo)*c.C:][:(hi-lo)*c.C]
					kernels.Add(dst, dst, patch[lo*c.C:hi*c.C])
				}
			}
		}
	}
}
