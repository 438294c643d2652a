// Package kernels holds float32 vector and matrix kernels with one result on
// every machine: the pure-Go reference of each kernel defines its bits, and the
// AVX2, AVX-512 and NEON routines return exactly those bits, for every length
// and alignment.
//
// # Conventions
//
// The destination comes first, then the inputs, then scalars, as with copy.
// Matrices are row-major. A destination may be the very same slice as an input
// (exact overlap) where the kernel is element by element; partial overlap gives
// undefined numbers, though never an access outside the slices. The matrix
// products and the column sums need destinations that overlap no input.
// Kernels allocate nothing and may be called from any goroutine.
//
// A length mismatch is a programmer's error and panics with a constant string,
// as slicing past the capacity does.
//
// # Numeric contract
//
// fma(a, b, c) below is a*b+c rounded once; every other operation is rounded
// to float32 by itself.
//
//   - Element-wise kernels do the IEEE-754 operations of the loop in their
//     documentation, in that order. Division and square root are correctly
//     rounded. Results equal the reference bit for bit; a NaN equals any NaN.
//   - Reductions ([Dot], [Sum], [SumSquares], [L1Norm], the sums over a row in
//     [Softmax], [SoftmaxRows], [RowMeanVariance] and [LayerNorm]) keep 64 lanes
//     that start at +0; element i goes to lane i mod 64. The lanes are then added
//     in halves: lane l takes lane l+32, then l+16, .. l+1.
//   - A matrix product is a sum over blocks of 256 consecutive k. Inside a
//     block each output is one chain of fused multiply-adds from +0 in
//     increasing k; the block sums are added to the output in order.
//     Sums over rows ([ColSums], [ColDots], [ColMeanVariance], the gradients of
//     [LayerNormBackward] and [BatchNormBackward] at their parameters) use the
//     same blocks.
//     A packed right-hand side ([Pack]) and an activation at the end ([Activation])
//     change none of these bits.
//   - A convolution ([Conv2d]) and its gradients are matrix products in this sense,
//     of the padded patches of its images, though none is built.
//   - State that a kernel keeps (momenta, averages) is flushed to +0 where its
//     magnitude is below 2^-126, so that a decayed moment does not fall into
//     slow subnormal arithmetic. Inputs and outputs are plain IEEE otherwise.
//
// # Levels
//
// The level is chosen once from what the processor has (see [Level]); the
// environment variable ADAFISHER_LEVEL or [SetLevel] override it. Building with
// the purego tag leaves out all assembly.
package kernels
