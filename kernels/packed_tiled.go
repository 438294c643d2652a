//go:build !purego && (amd64 || arm64)

package kernels

import "unsafe"

// packWidth is the columns of a panel: those of the level's tiles.
func packWidth() int {
	if l := CurrentLevel(); l != Generic {
		return panelVectors * tilings[l].lanes
	}
	return packCols
}

// packPanels copies panels of columns of b, as strip says, to consecutive memory.
func packPanels(dst []float32, b *Matrix, s *strip) {
	l := CurrentLevel()
	if l == Generic || s.cols != panelVectors*tilings[l].lanes {
		packPanelsRef(dst, b, s)
		return
	}
	if raceEnabled {
		racePack(dst, b, s)
	}
	packPanel(l, &dst[0], &b.Data[s.i*b.Stride+s.j], b.Stride, s.rows, s.panels)
}

// packPanelsFloat16 is packPanels with numbers rounded.
func packPanelsFloat16(dst []uint16, b *Matrix, s *strip) {
	l := CurrentLevel()
	if l == Generic || s.cols != panelVectors*tilings[l].lanes {
		packPanelsFloat16Ref(dst, b, s)
		return
	}
	if raceEnabled {
		racePack(dst, b, s)
	}
	packRounded(l, &dst[0], &b.Data[s.i*b.Stride+s.j], b.Stride, s.rows, s.panels)
}

func racePack[T float32 | uint16](dst []T, b *Matrix, s *strip) {
	n := s.cols * s.panels
	raceReadRows(b.Data[s.i*b.Stride+s.j:(s.i+s.rows-1)*b.Stride+s.j+n], n, b.Stride)
	raceWrite(dst[:s.rows*n])
}

// packedLeft is how many elements of A stay in the second cache while panels of B are
// read from beginning to end.
const packedLeft = 1 << 16

// wideBlocks is how many blocks of k one call takes with a group of panels: the
// scheduler waits for it.
const wideBlocks = 16

// packedBlocks returns the rows of A and the k that a pass over the panels of B takes.
func (p *product) packedBlocks() (rows, step int) {
	most := packedLeft / p.k
	switch {
	case most >= p.m:
		return p.m, p.k
	case most >= 4*p.t.rows:
		blocks := (p.m + most - 1) / most
		return (p.m/blocks + p.t.rows) / p.t.rows * p.t.rows, p.k
	}
	return blockRows2, blockK
}

// packedWide returns the columns of the groups of panels that a product of few rows
// takes at once, or 0.
func (p *product) packedWide(width int) int {
	if p.m > len(p.t.wide) || width != panelVectors*p.t.lanes {
		return 0
	}
	return p.t.wide[p.m-1] * p.t.lanes
}

func multiplyPacked(c, a *Matrix, b *PackedMatrix, m, n, k int, g *Gemm) {
	l := CurrentLevel()
	if l == Generic {
		gemmPackedRef(c, a, b, m, n, k, g)
		return
	}
	var p product // the fields one by one: see singlePanel
	p.level, p.t = l, &tilings[l]
	p.c, p.a = c, a
	p.m, p.n, p.k = m, n, k
	p.alpha, p.g = 1, g
	racePanels(&p, &b.packing)
	first, width := 0, panelVectors*p.t.lanes
	if b.packing.width == width {
		first = p.lined(b.packing.data, width, width*k, true)
	}
	if first < n {
		multiplyPanels(&p, &b.packing, first, 0)
	}
}

func multiplyPackedFloat16(c, a *Matrix, b *PackedFloat16Matrix, m, n, k int, g *Gemm) {
	l := CurrentLevel()
	if l == Generic {
		gemmPackedFloat16Ref(c, a, b, m, n, k, g)
		return
	}
	var p product // the fields one by one: see singlePanel
	p.level, p.t = l, &tilings[l]
	p.c, p.a = c, a
	p.m, p.n, p.k = m, n, k
	p.alpha, p.g = 1, g
	racePanels(&p, &b.packing)
	multiplyPanels(&p, &b.packing, 0, shapeHalf)
}

func racePanels[T float32 | uint16](p *product, b *packing[T]) {
	if raceEnabled {
		raceReadMatrix(p.a)
		raceRead(b.data)
		raceRead(p.g.Bias)
		raceWriteMatrix(p.c)
	}
}

// multiplyPanels computes the columns from first on. kind is shapeHalf if T is uint16:
// panels that no tile converts are converted to the workspace.
func multiplyPanels[T float32 | uint16](p *product, b *packing[T], first int, kind tileShape) {
	size := int(unsafe.Sizeof(T(0)))
	width, wide := panelVectors*p.t.lanes, p.packedWide(b.width)
	height, step := p.packedBlocks()
	for i := 0; i < p.m; i += height {
		rows := min(height, p.m-i)
		whole := b.width == width && (kind == 0 || rows <= p.t.halfRows)
		for k0 := 0; k0 < p.k; k0 += step {
			for j := first; j < p.n; {
				data, stride, cols := b.panel(k0, j)
				cols = min(cols, width)
				blocks := 1 // in one call
				if wide > 0 && p.n-j >= wide {
					cols, blocks = wide, wideBlocks
				}
				for k := k0; k < min(k0+step, p.k); k += blocks * blockK {
					kb := min(blocks*blockK, p.k-k)
					block := data[(k-k0)*stride:]
					at := rightBlock{data: (*float32)(unsafe.Pointer(&block[0])), stride: size * stride}
					switch {
					case cols > width:
						at.stride *= p.k
						p.tiles(i, j, k, rows, kb, p.aBlock(i, k), shapeWide+shapePanels+kind, p.t.lanes, at)
					case whole && cols == width:
						at.ahead, at.lines = ahead(block, kb, step, p.k, stride)
						p.tiles(i, j, k, rows, kb, p.aBlock(i, k), shapeTwo+kind, p.t.lanes, at)
					case kind == 0:
						p.panel(i, j, k, rows, cols, kb, p.aBlock(i, k), unsafe.Slice(at.data, len(block)), stride)
					default:
						n := (kb-1)*stride + cols
						fromFloat16(p.g.Scratch[:n], unsafe.Slice((*uint16)(unsafe.Pointer(at.data)), n))
						p.panel(i, j, k, rows, cols, kb, p.aBlock(i, k), p.g.Scratch, stride)
					}
				}
				j += cols
			}
		}
	}
}

// ahead returns the place and the cache lines of the block of B that comes after one
// of kb k: below it in the same panel, and where there is no more, in the next panel,
// which follows.
func ahead[T float32 | uint16](b []T, kb, step, k, stride int) (at uintptr, lines int) {
	next := kb * stride
	if step < k {
		next = k * stride
	}
	if next >= len(b) {
		return 0, 0
	}
	return uintptr(unsafe.Pointer(&b[next])), kb * stride * int(unsafe.Sizeof(T(0))) / 64
}
