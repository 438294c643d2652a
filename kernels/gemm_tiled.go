//go:build !purego && (amd64 || arm64)

package kernels

import (
	"github.com/adafisher-go/adafisher/asm"
)

// A product is cut into tiles of a few rows by two vectors of columns, whose
// outputs stay in registers while k runs over a block. A panel is a column of
// tiles; one assembly call computes many tiles of a panel. A is read where it
// lies, by rows or by columns, and so is B, unless packing pays: see multiply.
// Which way is taken never changes a bit.

// tileShape names a matrix micro-kernel: rows, vectors of columns, how A is read,
// and whether the last vector is partial. The values are dense.
type tileShape int

const (
	shapeOne     tileShape = 0 << 4 // one vector, plus the rows
	shapeTwo     tileShape = 1 << 4
	shapeWide    tileShape = 2 << 4 // tiling.wide vectors
	shapePartial tileShape = 1 << 6
	shapeCols    tileShape = 1 << 7
	shapeLanes   tileShape = 1 << 8
	shapeHalf    tileShape = 1 << 9
	shapePanels  tileShape = 1 << 10
	shapePack    tileShape = 1 << 11
)

// tiling is the set of micro-kernels that a level has.
type tiling struct {
	lanes      int
	rows       int    // most rows of a tile
	tall       int    // and of one of a single vector
	laneRows   int    // and of one with shapeLanes
	evenRows   bool   // tiles of an odd number of rows are slower than others
	onceRows   int    // of a tile, four of which are faster than three of two heights; or 0
	wide       [2]int // vectors of a panel for products of one and two rows
	block      int    // columns of a transposition block
	aheadLines int    // cache lines that a tile prefetches every four k: with AVX2 a second one would hold up a shared core
	halfRows   int    // most rows that a panel of float16 is converted for by each tile
	packsLeft  bool   // there are routines that pack A tile by tile
	packs      bool   // and some that pack B on the way
	leftRows   int    // of a packed block of A, which stays in the second cache
	leftPanels int    // of B, that are too few to pack A for; half as many if it lies by columns
	narrow     int    // columns of C up to which its transpose is computed
	dots       Level  // whose routines multiply a single row by rows of B, or Generic for none
	combines   bool   // there is a routine that adds up multiples of rows of B
}

var tilings = [...]tiling{
	AVX512: {lanes: 16, rows: 14, tall: 14, laneRows: 8, wide: [2]int{16, 8}, block: 8, aheadLines: 2, halfRows: 28,
		packsLeft: true, leftRows: 256, leftPanels: 2, narrow: 16, dots: AVX2},
	AVX2: {lanes: 8, rows: 6, tall: 12, laneRows: 6, evenRows: true, onceRows: 4, wide: [2]int{8, 4}, block: 8, aheadLines: 1, halfRows: 1 << 30, // on ports that multiply-adds leave free
		packsLeft: true, packs: true, leftRows: 192, leftPanels: 16, narrow: 12, dots: AVX2, combines: true},
	// A panel has 8 columns: by llvm-mca's models to pack an element of A takes as long as
	// three of them, and to convert a panel of float16 as long as one to three tiles do.
	NEON: {lanes: 4, rows: 8, tall: 8, laneRows: 8, wide: [2]int{8, 8}, block: 4, aheadLines: 2, halfRows: 16, leftRows: 256, leftPanels: 6, narrow: 4},
}

const (
	panelVectors = 2
	maxTiles     = 32 // row tiles of one assembly call, for preemption

	// Blocks of large products: 256 x 256 elements of A stay in the second cache
	// beside 256 x 1024 of B, a panel of B in the first. The stride of a packed
	// block of A avoids that its rows share sets of the first cache.
	blockRows2   = 256
	blockCols    = 1024
	packedStride = blockRows2 + 16

	swapTiles  = 8 // row tiles of the buffer of a swapped product
	swapBuffer = swapTiles * 14 * packCols
	swapPanels = 1 << 16 // elements of op(A)^T that stay in the second cache
)

// gemmScratch holds a panel of B and the buffer of a swapped product, or the
// blocks of a large one.
const (
	gemmScratch      = blockK*packCols + swapBuffer
	gemmScratchLarge = blockK*blockCols + blockK*packedStride
)

// product is one call of Gemm; its shape is m x n over k.
type product struct {
	level   Level
	t       *tiling
	c, a, b *Matrix
	m, n, k int
	alpha   float32
	g       *Gemm
}

func multiply(c, a, b *Matrix, m, n, k int, alpha float32, g *Gemm) {
	l := CurrentLevel()
	if l == Generic {
		gemmRef(c, a, b, m, n, k, alpha, g)
		return
	}
	if raceEnabled {
		raceReadMatrix(a)
		raceReadMatrix(b)
		raceRead(g.Bias)
		raceWriteMatrix(c)
	}
	t := &tilings[l]
	if n == 1 && g.columnAsRow(t, c, a, b, m, k, alpha) {
		return
	}
	if n <= panelVectors*t.lanes && k <= blockK && !g.TransB && m > len(t.wide) && m <= blockRows2 {
		singlePanel(l, t, c, a, b, m, n, k, alpha, g)
		return
	}
	var p product // the fields one by one: see singlePanel
	p.level, p.t = l, t
	p.c, p.a, p.b = c, a, b
	p.m, p.n, p.k = m, n, k
	p.alpha, p.g = alpha, g
	switch {
	case m == 1 && t.dots != Generic && g.TransB && (!g.TransA || a.Stride == 1) && n >= dotGroup:
		p.dots()
	case g.Bias == nil && len(g.Scratch) >= gemmScratch && p.swapPays():
		p.swapped()
	case g.TransB, p.packs(), len(g.Scratch) >= gemmScratchLarge && m >= 64 && p.large():
		p.blocked()
	default:
		p.direct()
	}
}

// columnAsRow computes a product of a single column as that of a row, C^T = op(B)^T *
// op(A)^T, whose lanes are outputs. It reports whether it did.
func (g *Gemm) columnAsRow(t *tiling, c, a, b *Matrix, m, k int, alpha float32) bool {
	contiguous := c.Stride == 1 && (g.TransB || b.Stride == 1)
	possible := g.TransA || t.dots != Generic && m >= dotGroup || len(g.Scratch) >= gemmScratch
	if m == 1 || !contiguous || !possible || g.Bias != nil {
		return false
	}
	row := Gemm{TransB: !g.TransA, Accumulate: g.Accumulate, Activation: g.Activation, Scratch: g.Scratch}
	ct := Matrix{Rows: 1, Cols: m, Stride: m, Data: c.Data}
	bt := Matrix{Rows: 1, Cols: k, Stride: k, Data: b.Data}
	multiply(&ct, &bt, a, 1, m, k, alpha, &row)
	return true
}

// singlePanel computes a product of one panel and one block of k: a direct call,
// as the bookkeeping of the others would take longer than the arithmetic.
func singlePanel(l Level, t *tiling, c, a, b *Matrix, m, n, k int, alpha float32, g *Gemm) {
	// The fields one by one: a literal would be copied, in larger pieces than it
	// was written in, which stalls.
	var args asm.Tile
	args.B, args.BStride = &b.Data[0], 4*b.Stride
	args.K = k
	args.AStride, args.CStride = 4*a.Stride, 4*c.Stride
	args.Alpha = alpha
	shape, last, rows := shapeOne, n, t.tall
	if n > t.lanes {
		shape, last, rows = shapeTwo, n-t.lanes, t.rows
	}
	if last < t.lanes {
		shape += shapePartial
		args.Columns = last
	}
	next := a.Stride
	if g.TransA {
		shape += shapeCols
		next = 1
	}
	if g.Accumulate {
		args.Add = 1
	}
	args.Bias, args.ReLU = g.end(0)
	if m <= rows {
		args.A, args.C = &a.Data[0], &c.Data[0]
		args.Count = 1
		runTile(l, shape+tileShape(m), &args)
		return
	}
	if m == 4*t.onceRows { // in one call instead of two
		rows = t.onceRows
	}
	split := t.split(m, rows)
	for row := 0; split.left > 0; {
		h, count := split.take(maxTiles)
		args.A, args.C = &a.Data[row*next], &c.Data[row*c.Stride]
		args.Count, args.ANext = count, 4*h*next
		runTile(l, shape+tileShape(h), &args)
		row += count * h
	}
}

// end is what tiles from column j on do at the end: the bias that they add, and
// whether they rectify.
func (g *Gemm) end(j int) (bias *float32, relu int) {
	if g.Bias != nil {
		bias = &g.Bias[j]
	}
	if g.Activation == ActivationReLU {
		relu = 1
	}
	return bias, relu
}

// rowTiles is a column of tiles: the first ones, taller, have a step more rows than the
// others.
type rowTiles struct{ height, left, taller, step int }

// split splits rows into as few tiles of at most the given rows as possible, all about
// as high.
func (t *tiling) split(rows, most int) rowTiles {
	n := (rows + most - 1) / most
	if fewer := n*most - rows; t.evenRows && most == t.rows && fewer%2 == 0 && fewer <= 2*n {
		return rowTiles{height: most - 2, left: n, taller: n - fewer/2, step: 2}
	}
	return rowTiles{height: rows / n, left: n, taller: rows % n, step: 1}
}

// take returns the height and the number of the next tiles of one height, at most as
// many as wanted.
func (t *rowTiles) take(most int) (height, count int) {
	height, count = t.height, t.left
	if t.taller > 0 {
		height, count = t.height+t.step, t.taller
	}
	count = min(count, most)
	t.left -= count
	t.taller = max(0, t.taller-count)
	return height, count
}

// large reports whether the operands are so big, or their rows so far apart in
// the cache's sets, that packing them pays.
func (p *product) large() bool {
	const page = 4096 / 4
	far := func(m *Matrix) bool { return m.Stride >= page && m.Stride%page == 0 }
	size := p.m*p.k + p.k*p.n + p.m*p.n
	return size >= 3*400*400 || far(p.a) && p.k >= 64 || far(p.b) && p.m >= 128
}

// aBlock returns op(A) from row i and column k on: its data, the distance of its
// rows and columns, and whether it lies by columns.
func (p *product) aBlock(i, k int) leftBlock {
	if p.g.TransA {
		return leftBlock{data: p.a.Data[k*p.a.Stride+i:], stride: p.a.Stride, cols: true}
	}
	return leftBlock{data: p.a.Data[i*p.a.Stride+k:], stride: p.a.Stride}
}

// A leftBlock is a block of op(A): element (i, k) is data[i*stride+k], or with
// cols data[k*stride+i]; with tiled each tile of so many rows lies by columns, without gaps.
type leftBlock struct {
	data   []float32
	stride int
	cols   bool
	tiled  int
}

// smallB is how many elements of B stay in the caches near the processor, however
// often they are read.
const smallB = 1 << 14

// largeB is how many elements of B are so far away that a tile had better prefetch them.
const largeB = 1 << 16

// lined computes the columns of a small B that fill panels, or for few rows groups of
// panels, in a call or two, and returns their number. Vectors of B from one to the next
// k are at a stride, panels at a distance, in elements; packed panels lie side by side.
func (p *product) lined(b []float32, stride, distance int, packed bool) (cols int) {
	if p.k > blockK || p.k*p.n > smallB {
		return 0
	}
	shape, width := shapeTwo, panelVectors*p.t.lanes
	if p.m <= len(p.t.wide) {
		shape, width = shapeWide, p.t.wide[p.m-1]*p.t.lanes
		distance *= p.t.wide[p.m-1] / panelVectors
		if packed {
			shape, stride = shapeWide+shapePanels, stride*p.k
		}
	}
	lines := p.n / width
	if lines < 2 {
		return 0
	}
	var args asm.Tile // the fields one by one: see singlePanel
	args.BStride, args.BLine = 4*stride, 4*distance
	args.K = p.k
	args.CStride = 4 * p.c.Stride
	args.Alpha = p.alpha
	if p.g.Accumulate {
		args.Add = 1
	}
	if p.g.Bias != nil {
		args.BiasLine = 4 * width
	}
	a := p.aBlock(0, 0)
	args.AStride = 4 * a.stride
	next := a.stride
	if a.cols {
		shape += shapeCols
		next = 1
	}
	split := p.t.split(p.m, p.t.rows)
	for row := 0; split.left > 0; {
		h, count := split.take(maxTiles)
		args.A, args.Count, args.ANext = &a.data[row*next], count, 4*h*next
		args.ALine, args.CLine = -count*args.ANext, 4*width-count*h*args.CStride
		step := lines
		if count*lines > maxTiles { // a division is a hundredth of a small product
			step = max(1, maxTiles/count)
		}
		for line := 0; line < lines; line += step {
			args.Lines = min(step, lines-line)
			args.B, args.C = &b[line*distance], &p.c.Data[row*p.c.Stride+line*width]
			args.Bias, args.ReLU = p.g.end(line * width)
			runTile(p.level, shape+tileShape(h), &args)
		}
		row += count * h
	}
	return lines * width
}

// direct multiplies operands where they lie.
func (p *product) direct() {
	first := p.combined()
	if first == 0 {
		first = p.lined(p.b.Data, p.b.Stride, panelVectors*p.t.lanes, false)
	}
	for k := 0; k < p.k; k += blockK {
		kb := min(blockK, p.k-k)
		step := p.m
		if step > blockRows2+blockRows2/2 {
			step = blockRows2
		}
		for i := 0; i < p.m; i += step {
			rows := min(step, p.m-i)
			a := p.aBlock(i, k)
			for j := first; j < p.n; {
				vectors := panelVectors
				if rows <= len(p.t.wide) && p.n-j >= p.t.wide[rows-1]*p.t.lanes {
					vectors = p.t.wide[rows-1]
				}
				cols := min(vectors*p.t.lanes, p.n-j)
				p.panel(i, j, k, rows, cols, kb, a, p.b.Data[k*p.b.Stride+j:], p.b.Stride)
				j += cols
			}
		}
	}
}

// The first cache has sets of 64 bytes in a page. packWays is how many lines of a panel
// of B may fall into each for it to stay there, and minPackRows how few rows of A use it
// too seldom.
const (
	packWays    = 4
	minPackRows = 48
)

// packs reports whether to pack because the level does it on the way: B, of which
// several tiles use each panel, is large, or the lines of a panel share sets of the
// first cache.
func (p *product) packs() bool {
	if !p.t.packs || len(p.g.Scratch) < gemmScratch || p.m <= 2*p.t.rows || p.n < panelVectors*p.t.lanes {
		return false
	}
	if p.k*p.n > largeB {
		return true
	}
	stride := 4 * p.b.Stride
	lines := min(4096, stride&-stride) / 64 // from a row to the next, but for a factor without effect
	return p.m >= minPackRows && min(p.k, blockK)*lines > 64*packWays
}

// blocked packs B panel by panel, and A where many panels use it, block by block.
// Without the large workspace, only a panel of B is packed at a time.
func (p *product) blocked() {
	width := panelVectors * p.t.lanes
	blockN, blocks := width, 1
	tiles := (p.m + p.t.rows - 1) / p.t.rows
	var packedA []float32
	few := p.t.leftPanels * width // columns that A isn't packed for
	if p.g.TransA {
		few /= 2 // k of a tile may share sets of the first cache
	}
	b := p.g.Scratch
	if len(b) >= gemmScratchLarge {
		raceWrite(b[:gemmScratchLarge])
		blockN, blocks = blockCols, (p.m+p.t.leftRows-1)/p.t.leftRows
		b, packedA = b[:blockK*blockCols], b[blockK*blockCols:gemmScratchLarge]
	} else {
		raceWrite(b[:blockK*width])
	}
	for k := 0; k < p.k; k += blockK {
		kb := min(blockK, p.k-k)
		for j := 0; j < p.n; j += blockN {
			cols := min(blockN, p.n-j)
			for block := range blocks {
				i := tiles * block / blocks * p.t.rows
				rows := min(tiles*(block+1)/blocks*p.t.rows, p.m) - i
				a := p.aBlock(i, k)
				if packedA != nil && p.n > few {
					a = p.packA(packedA, a, rows, kb)
				}
				for q := 0; q < cols; q += width {
					w := min(width, cols-q)
					panel := b // one after the other, unless they are used again
					if blocks > 1 {
						panel = b[q*kb:]
					}
					switch {
					case block > 0 && w == width:
						b := rightBlock{data: &panel[0], stride: 4 * width}
						b.ahead, b.lines = ahead(panel[:(cols-q)*kb], kb, kb, kb, width)
						p.tiles(i, j+q, k, rows, kb, a, shapeTwo, p.t.lanes, b)
					case block > 0:
						p.panel(i, j+q, k, rows, w, kb, a, panel, width)
					case p.t.packs && w == width && rows > 2*p.t.rows && !p.g.TransB:
						p.tiles(i, j+q, k, rows, kb, a, shapeTwo, p.t.lanes,
							rightBlock{data: &p.b.Data[k*p.b.Stride+j+q], stride: 4 * p.b.Stride, pack: &panel[0]})
					default:
						p.packB(panel, j+q, k, w, kb)
						p.panel(i, j+q, k, rows, w, kb, a, panel, width)
					}
				}
			}
		}
	}
}

// packA copies a block of op(A) of some rows, so that what a tile reads is consecutive,
// or, at a level that doesn't have that, by columns at a stride that is good for the cache.
func (p *product) packA(dst []float32, a leftBlock, rows, kb int) leftBlock {
	if !p.t.packsLeft {
		if a.cols {
			return a
		}
		transpose(p.level, &Matrix{Rows: kb, Cols: rows, Stride: packedStride, Data: dst},
			&Matrix{Rows: rows, Cols: kb, Stride: a.stride, Data: a.data})
		return leftBlock{data: dst, stride: packedStride, cols: true}
	}
	if rows <= 2*p.t.rows {
		return a
	}
	split := p.t.split(rows, p.t.rows)
	for row := 0; split.left > 0; {
		h, count := split.take(maxTiles)
		if a.cols {
			packTileCols(p.level, h, &dst[row*kb], &a.data[row], a.stride, count, kb)
		} else {
			packTileRows(p.level, h, &dst[row*kb], &a.data[row*a.stride], a.stride, count, kb)
		}
		row += count * h
	}
	return leftBlock{data: dst, cols: true, tiled: rows}
}

// packB copies columns from j on and rows from k on of op(B) to a panel.
func (p *product) packB(panel []float32, j, k, w, kb int) {
	width := panelVectors * p.t.lanes
	switch {
	case p.g.TransB:
		transpose(p.level, &Matrix{Rows: kb, Cols: w, Stride: width, Data: panel},
			&Matrix{Rows: w, Cols: kb, Stride: p.b.Stride, Data: p.b.Data[j*p.b.Stride+k:]})
	case w == width:
		packPanel(p.level, &panel[0], &p.b.Data[k*p.b.Stride+j], p.b.Stride, kb, 1)
	default:
		for r := range kb {
			copy(panel[r*width:][:w], p.b.Data[(k+r)*p.b.Stride+j:])
		}
	}
}

// swapPays reports whether to compute C^T = op(B)^T*op(A)^T: what is transposed
// then is op(A) and C instead of B, or, for a narrow C, C alone, whose rows fill
// no vector.
func (p *product) swapPays() bool {
	c := p.m * p.n
	if p.g.Accumulate || p.k > blockK {
		c *= 2
	}
	switch {
	case p.g.TransB && !p.g.TransA:
		return c+p.m*p.k < p.n*p.k
	case p.g.TransA && !p.g.TransB:
		return p.n <= p.t.narrow && p.n > 1 && p.m >= 4*p.t.lanes && 2*c < p.m*p.k
	}
	return false
}

// swapped computes C^T in a buffer, some rows and columns at a time. op(B)^T takes the
// place of A, as it lies; op(A)^T that of B, transposed to panels unless it lies by
// columns. A group of panels meets each row of op(B)^T while it is in the second cache.
func (p *product) swapped() {
	width := panelVectors * p.t.lanes
	raceWrite(p.g.Scratch)
	buffer, panels := p.g.Scratch[:swapBuffer], p.g.Scratch[swapBuffer:]
	room := len(panels) / width
	step := p.k
	if step > room {
		step = room / blockK * blockK
	}
	group := max(1, min(room, swapPanels/width)/step) * width
	height := swapTiles * p.t.rows
	for k0 := 0; k0 < p.k; k0 += step {
		end := min(k0+step, p.k)
		for i0 := 0; i0 < p.m; i0 += group {
			rows := min(group, p.m-i0)
			a := p.aBlock(i0, k0)
			if !a.cols {
				for i := 0; i < rows; i += width {
					w := min(width, rows-i)
					transpose(p.level, &Matrix{Rows: end - k0, Cols: w, Stride: width, Data: panels[i*(end-k0):]},
						&Matrix{Rows: w, Cols: end - k0, Stride: a.stride, Data: a.data[i*a.stride:]})
				}
			}
			for j := 0; j < p.n; j += height {
				for i := 0; i < rows; i += width {
					at, stride := panels[min(i*(end-k0), len(panels)):], width
					if a.cols {
						at, stride = a.data[i:], a.stride
					}
					p.swappedBlock(buffer, i0+i, j, min(width, rows-i), min(height, p.n-j), k0, end, at, stride)
				}
			}
		}
	}
}

// swappedBlock computes a block of C with the k from k0 to end.
func (p *product) swappedBlock(buffer []float32, i, j, rows, cols, k0, end int, at []float32, stride int) {
	block := Matrix{Rows: rows, Cols: cols, Stride: p.c.Stride, Data: p.c.Data[i*p.c.Stride+j:]}
	ct := Matrix{Rows: cols, Cols: rows, Stride: panelVectors * p.t.lanes, Data: buffer}
	if k0 > 0 || p.g.Accumulate {
		transpose(p.level, &ct, &block)
	}
	q := product{level: p.level, t: p.t, c: &ct, alpha: p.alpha, k: p.k, g: p.g}
	// A panel that lies in op(A) is far away, and used by a second tile.
	packs := p.t.packs && p.g.TransA && rows == ct.Stride && cols > p.t.lanes && cols <= 2*p.t.rows
	for k := k0; k < end; k += blockK {
		var bt leftBlock
		if p.g.TransB {
			bt = leftBlock{data: p.b.Data[j*p.b.Stride+k:], stride: p.b.Stride}
		} else {
			bt = leftBlock{data: p.b.Data[k*p.b.Stride+j:], stride: p.b.Stride, cols: true}
		}
		panel, kb := at[(k-k0)*stride:], min(blockK, end-k)
		if packs {
			q.tiles(0, 0, k, cols, kb, bt, shapeTwo, p.t.lanes,
				rightBlock{data: &panel[0], stride: 4 * stride, pack: &p.g.Scratch[swapBuffer]})
		} else {
			q.panel(0, 0, k, cols, rows, kb, bt, panel, stride)
		}
	}
	transpose(p.level, &block, &ct)
}

// minCombineCols is the least columns for which rows of a B that isn't small are faster
// than panels, and combineElements how many of B one call reads, for preemption.
const (
	minCombineCols  = 128
	combineElements = 1 << 17
)

// combined computes the columns that fill vectors of a product of a single row from whole
// rows of B, in the order in which they lie, and returns their number.
func (p *product) combined() (cols int) {
	sums, once := p.g.Scratch, p.k <= blockK && !p.g.Accumulate
	switch {
	case p.m > 1, !p.t.combines, p.g.TransA && p.a.Stride > 1:
		return 0
	case p.n < minCombineCols, p.k*p.n <= smallB, !once && len(sums) < p.n:
		return 0
	}
	cols = p.n - p.n%p.t.lanes
	c := p.c.Data[:cols]
	step := max(4, combineElements/cols&^3) // rows
	for k := 0; k < p.k; k += blockK {
		end, s := min(k+blockK, p.k), c
		adds := k > 0 || p.g.Accumulate
		if adds {
			s = sums[:cols]
			raceWrite(s)
		}
		for i, more := k, 0; i < end; i, more = i+step, 1 {
			combine(p.level, &s[0], &p.a.Data[i], &p.b.Data[i*p.b.Stride], 4*p.b.Stride, min(step, end-i), cols, more)
		}
		if adds {
			axpy(c, s, p.alpha)
		}
	}
	if p.g.Bias != nil {
		axpy(c, p.g.Bias[:cols], 1)
	}
	if p.g.Activation == ActivationReLU {
		ReLU(c, c)
	}
	return cols
}

// A dotGroup is so many rows of B, a dotStrip so many chains of multiply-adds, for groups
// of rows and blocks of k. A call takes at most dotStrips strips, for preemption.
const (
	dotGroup  = 8
	dotStrip  = 4
	dotStrips = 32
)

// dots multiplies a single row by rows of B, as they lie: some of them by one block of k
// after the other, as many as the first cache has room for if their lines share its sets.
func (p *product) dots() {
	c, a := p.c.Row(0), p.a.Data[:p.k]
	stride := 4 * p.b.Stride
	blocks := max(1, min(4096, stride&-stride)/(4096/dotStrip))
	groups := dotStrip / blocks
	step := groups * dotGroup
	if p.k <= blocks*blockK {
		step *= dotStrips
	}
	whole := p.n - p.n%dotGroup
	for j := 0; j < whole; {
		n, groups, blocks := min(step, whole-j), groups, blocks
		if n -= n % (groups * dotGroup); n == 0 {
			n, groups, blocks = dotGroup, 1, 1
		}
		p.dotRows(c[j:j+n], a, j, groups, blocks)
		j += n
	}
	if whole < p.n { // the last columns are no whole group
		var last [dotGroup]float32
		copy(last[:], c[p.n-dotGroup:])
		p.dotRows(last[:], a, p.n-dotGroup, 1, 1)
		copy(c[whole:], last[dotGroup-(p.n-whole):])
	}
	if p.g.Bias != nil {
		axpy(c, p.g.Bias, 1)
	}
	if p.g.Activation == ActivationReLU {
		ReLU(c, c)
	}
}

// dotsFetch is how many elements B has if it is too large for the third cache, so that
// the next strip is fetched ahead: the order of reading is none that a processor foresees.
const dotsFetch = 1 << 22

// dotRows computes columns from j on, as many as strips have.
func (p *product) dotRows(c, a []float32, j, groups, blocks int) {
	fetch := 0
	if p.n*p.k >= dotsFetch {
		fetch = 1
	}
	for k := 0; k < p.k; {
		if p.k-k < blocks*blockK && blocks > 1 {
			groups, blocks = 1, 1
		}
		kb, add := min(blockK, p.k-k), 0
		if k > 0 || p.g.Accumulate {
			add = 1
		}
		dots(p.t.dots, groups, blocks, &c[0], &a[k], &p.b.Data[j*p.b.Stride+k], 4*p.b.Stride, kb, len(c)/(groups*dotGroup), add, fetch)
		k += blocks * kb
	}
}

// panel computes rows x cols outputs from (i, j) on for one block of k.
func (p *product) panel(i, j, k, rows, cols, kb int, a leftBlock, b []float32, bStride int) {
	shape, last := shapeOne, cols
	switch {
	case cols > panelVectors*p.t.lanes:
		shape, last = shapeWide, p.t.lanes // a wide panel is whole
	case cols > p.t.lanes:
		shape, last = shapeTwo, cols-p.t.lanes
	}
	if last < p.t.lanes {
		shape += shapePartial
	}
	p.tiles(i, j, k, rows, kb, a, shape, last, rightBlock{data: &b[0], stride: 4 * bStride})
}

// A rightBlock is a panel of B, which may be of float16, and what to prefetch while it
// is used, if anything.
type rightBlock struct {
	data   *float32
	stride int      // in bytes
	pack   *float32 // where to store it while the first tile reads it, if anywhere
	ahead  uintptr  // where
	lines  int      // how many cache lines
}

// tiles is panel for a shape, whose last vector has so many columns.
func (p *product) tiles(i, j, k, rows, kb int, a leftBlock, shape tileShape, last int, b rightBlock) {
	var args asm.Tile // the fields one by one: see singlePanel
	args.B, args.BStride = b.data, b.stride
	args.K, args.Columns = kb, last
	args.AStride, args.CStride = 4*a.stride, 4*p.c.Stride
	args.Alpha = p.alpha
	if k > 0 || p.g.Accumulate {
		args.Add = 1
	}
	if k+kb == p.k {
		args.Bias, args.ReLU = p.g.end(j)
	}
	next := a.stride // from one row of op(A) to the next
	if a.cols {
		shape += shapeCols
		next = 1
	}
	if a.tiled > 0 {
		next = kb
	}
	most, steps := maxTiles, kb/4
	if b.lines > 0 && steps > 0 {
		args.Ahead, args.AheadStep = b.ahead, 64*p.t.aheadLines
		most = (b.lines + p.t.aheadLines*steps - 1) / (p.t.aheadLines * steps)
	}
	c := p.c.Data[i*p.c.Stride+j:]
	split := p.t.split(rows, p.t.rows)
	switch {
	case a.tiled > 0:
		split = p.t.split(a.tiled, p.t.rows)
	case shape&(shapeTwo|shapeWide) == 0:
		split = p.t.split(rows, p.t.tall)
	}
	row := 0
	run := func(h, count int, kind tileShape) {
		args.A, args.C = &a.data[row*next], &c[row*p.c.Stride]
		args.Count, args.ANext = count, 4*h*next
		runTile(p.level, shape+kind+tileShape(h), &args)
		row += count * h
	}
	if b.pack != nil {
		h, _ := split.take(1)
		args.Pack = b.pack
		if a.tiled > 0 {
			args.AStride = 4 * h
		}
		run(h, 1, shapePack)
		args.B, args.BStride = b.pack, 4*panelVectors*p.t.lanes
	}
	for row < rows {
		h, count := split.take(min(most, maxTiles))
		if a.tiled > 0 {
			args.AStride = 4 * h
			if left := rows - row; left < h*count { // of the last tile not all rows
				if left >= h {
					run(h, left/h, 0)
				}
				if row < rows {
					run(rows-row, 1, 0)
				}
				return
			}
		}
		run(h, count, 0)
		if args.AheadStep == 0 {
			continue
		}
		args.Ahead += uintptr(count * steps * args.AheadStep)
		if most -= count; most <= 0 {
			args.Ahead, args.AheadStep, most = 0, 0, maxTiles
		}
	}
}

func raceReadMatrix(m *Matrix) {
	for i := range m.Rows {
		raceRead(m.Row(i))
	}
}

func raceWriteMatrix(m *Matrix) {
	for i := range m.Rows {
		raceWrite(m.Row(i))
	}
}

// A matrix is transposed by blocks of a cache line's rows, which fill lines of dst,
// and as many columns as pages of dst that the processor knows the places of.
const (
	transposeRows = 16
	transposeCols = 64
)

// transpose stores the transpose of src by blocks, of which the last lie over those
// before them where the sizes are no multiples.
func transpose(l Level, dst, src *Matrix) {
	b := tilings[l].block
	if l == Generic || src.Rows < b || src.Cols < b {
		transposeRef(dst, src)
		return
	}
	if raceEnabled {
		raceReadMatrix(src)
		raceWriteMatrix(dst)
	}
	cols := src.Cols - src.Cols%b
	for j := 0; j < cols; j += transposeCols {
		transposeColumns(l, dst, src, j, min(transposeCols, cols-j)/b)
	}
	if cols < src.Cols {
		transposeColumns(l, dst, src, src.Cols-b, 1)
	}
}

// transposeColumns transposes some blocks beside each other, from column j of src on.
func transposeColumns(l Level, dst, src *Matrix, j, blocks int) {
	b := tilings[l].block
	rows := src.Rows - src.Rows%b
	for i := 0; i < rows; i += transposeRows {
		transposeStrips(l, &dst.Data[j*dst.Stride+i], &src.Data[i*src.Stride+j],
			dst.Stride, src.Stride, blocks, min(transposeRows, rows-i)/b)
	}
	if rows < src.Rows {
		i := src.Rows - b
		transposeStrips(l, &dst.Data[j*dst.Stride+i], &src.Data[i*src.Stride+j], dst.Stride, src.Stride, blocks, 1)
	}
}
