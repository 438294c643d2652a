//go:build !purego && (amd64 || arm64)

package kernels

// syrk computes panels of the columns from to to, each down to its last row above
// the diagonal, and copies them to below it.
func syrk(c, a *Matrix, n, k, from, to int, s *Syrk) {
	l := CurrentLevel()
	if l == Generic {
		syrkRef(c, a, k, from, to, s)
		return
	}
	if raceEnabled {
		raceReadMatrix(a)
		raceWriteMatrix(&Matrix{Rows: to, Cols: to - from, Stride: c.Stride, Data: c.Data[from:]})
		raceWriteMatrix(&Matrix{Rows: to - from, Cols: from, Stride: c.Stride, Data: c.Data[from*c.Stride:]})
	}
	g := s.gemm()
	p := product{level: l, t: &tilings[l], c: c, a: a, b: a, m: n, n: n, k: k, alpha: 1, g: &g}
	p.triangle(from, to)
}

// triangle is the upper triangle of direct and blocked, and its mirror image.
func (p *product) triangle(from, to int) {
	width := panelVectors * p.t.lanes
	packs := p.g.TransB // else the rows of B lie as they should
	blockN, blockM := to-from, p.m
	if blockM > blockRows2+blockRows2/2 {
		blockM = blockRows2
	}
	b, packedA := p.g.Scratch, []float32(nil)
	onTheWay := !packs && p.packs()
	switch {
	case len(b) >= gemmScratchLarge && (onTheWay || p.large()):
		packs = !onTheWay
		blockN, blockM = blockCols, blockRows2
		b, packedA = b[:blockK*blockCols], b[blockK*blockCols:gemmScratchLarge]
	case packs:
		blockN, blockM = width, p.m
	}
	if packs || onTheWay {
		raceWrite(b)
		raceWrite(packedA)
	}
	for k := 0; k < p.k; k += blockK {
		kb := min(blockK, p.k-k)
		for j := from; j < to; j += blockN {
			cols := min(blockN, to-j)
			if packs {
				for q := 0; q < cols; q += width {
					p.packB(b[q*kb:], j+q, k, min(width, cols-q), kb)
				}
			}
			for i := 0; i < j+cols; i += blockM {
				rows := min(blockM, j+cols-i)
				a := p.aBlock(i, k)
				if packedA != nil && cols > p.t.leftPanels*width {
					a = p.packA(packedA, a, rows, kb)
				}
				for q := max(0, i-j); q < cols; q += width {
					w := min(width, cols-q)
					panel, stride := b[min(q*kb, len(b)):], width
					if !packs {
						panel, stride = p.b.Data[k*p.b.Stride+j+q:], p.b.Stride
					}
					below := min(rows, j+q+w-i) // rows of the block down to the diagonal
					if onTheWay && w == width && below > 2*p.t.rows {
						p.tiles(i, j+q, k, below, kb, a, shapeTwo, p.t.lanes, rightBlock{data: &panel[0], stride: 4 * stride, pack: &b[0]})
					} else {
						p.panel(i, j+q, k, below, w, kb, a, panel, stride)
					}
				}
			}
			if k+kb == p.k {
				for q := 0; q < cols; q += width {
					p.mirror(j+q, min(width, cols-q))
				}
			}
		}
	}
}

// mirror copies a panel of columns from j on to the rows from j on.
func (p *product) mirror(j, cols int) {
	c := p.c
	if j > 0 {
		transpose(p.level, &Matrix{Rows: cols, Cols: j, Stride: c.Stride, Data: c.Data[j*c.Stride:]},
			&Matrix{Rows: j, Cols: cols, Stride: c.Stride, Data: c.Data[j:]})
	}
	if p.g.Accumulate { // else the panel's last rows have both halves of their square
		square := Matrix{Stride: c.Stride, Data: c.Data[j*c.Stride+j:]}
		for r := 1; r < cols; r++ {
			mirrorRef(&square, r)
		}
	}
}
