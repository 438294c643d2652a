//go:build !purego && (amd64 || arm64)

package kernels

import "unsafe"

// multiplyFloat16 takes B as it lies where a tile has all rows, and else converts a
// panel at a time.
func multiplyFloat16(c, a *Matrix, b *Float16Matrix, m, n, k int, g *Gemm) {
	l := CurrentLevel()
	if l == Generic {
		gemmFloat16Ref(c, a, b, m, n, k, g)
		return
	}
	if raceEnabled {
		raceReadMatrix(a)
		raceReadRows(b.Data[:(b.Rows-1)*b.Stride+b.Cols], b.Cols, b.Stride)
		raceRead(g.Bias)
		raceWrite(g.Scratch[:blockK*packCols])
		raceWriteMatrix(c)
	}
	t := &tilings[l]
	p := product{level: l, t: t, c: c, a: a, m: m, n: n, k: k, alpha: 1, g: g}
	width := panelVectors * t.lanes
	panel := g.Scratch[:blockK*packCols]
	for k0 := 0; k0 < k; k0 += blockK {
		kb := min(blockK, k-k0)
		if n < width {
			if b.Stride == n {
				fromFloat16(panel[:kb*n], b.Data[k0*n:][:kb*n])
			} else {
				for r := range kb {
					fromFloat16(panel[r*n:][:n], b.Data[(k0+r)*b.Stride:][:n])
				}
			}
			p.rows(0, k0, n, kb, panel, n)
			continue
		}
		j := 0
		if m <= len(t.wide) {
			for step := t.wide[m-1] * t.lanes; n-j >= step; j += step {
				p.halfPanel(j, k0, shapeWide, kb, b)
			}
		}
		if m <= t.rows {
			for ; n-j >= width; j += width {
				p.halfPanel(j, k0, shapeTwo, kb, b)
			}
		}
		for ; j < n; j += width {
			first := min(j, n-width) // of two whole vectors, also at the end
			packHalf(l, &panel[0], &b.Data[k0*b.Stride+first], b.Stride, kb, 1)
			p.rows(j, k0, min(width, n-j), kb, panel[j-first:], width)
		}
	}
}

// rows computes the outputs of a panel of columns for one block of k.
func (p *product) rows(j, k, cols, kb int, b []float32, stride int) {
	for i := 0; i < p.m; i += blockRows2 {
		p.panel(i, j, k, min(blockRows2, p.m-i), cols, kb, p.aBlock(i, k), b, stride)
	}
}

// halfPanel computes the outputs of the rows of a tile and whole vectors of columns.
func (p *product) halfPanel(j, k int, shape tileShape, kb int, b *Float16Matrix) {
	p.tiles(0, j, k, p.m, kb, p.aBlock(0, k), shape+shapeHalf, p.t.lanes,
		rightBlock{data: (*float32)(unsafe.Pointer(&b.Data[k*b.Stride+j])), stride: 2 * b.Stride})
}
