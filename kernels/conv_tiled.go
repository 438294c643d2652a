//go:build !purego && (amd64 || arm64)

package kernels

import "github.com/adafisher-go/adafisher/asm"

// A convolution runs on the micro-kernels of the matrix product (see gemm_tiled.go)
// without a matrix of patches. The rows of A are neighbouring pixels, and the terms
// of a sum lie in segments: runs of a padded row of the image, from which the kernel
// goes on to the next row with its outputs in registers. Only what is padded is
// copied, some rows of an image or some images at a time: a band.
//
// Where groups have few channels, lanes are channels of all groups: the kernels with
// Lanes multiply vectors of inputs by vectors of weights. A pixel is copied as planes
// then: plane c' has, for each output channel, the input channel c' of its group. So
// it is for the gradient at the input with x and y in exchanged roles.

const (
	// A band has so many elements, or more if a row of outputs needs them, and not more
	// pixels of outputs than these. The weights are read for each band: if they are many,
	// a band has more elements as long as it has few pixels.
	bandLen      = 1 << 16
	bandLenLarge = 1 << 18
	manyWeights  = 1 << 18
	bandPixels   = 1 << 10
	fewPixels    = 320

	// Between the images of a band: pixels of a tile that are of different images would
	// share sets of the first cache else.
	imageGap = 16

	packRowsFrom = 8 // tiles for which packing a panel pays

	laneGroup = 4 // most channels of a group that is computed in lanes
)

// lanes reports whether lanes run over the channels of all groups.
func (c *convolution) lanes() bool {
	return c.Groups > 1 && max(c.cg, c.og) <= laneGroup
}

// pointwise reports whether the convolution is a product of matrices as it is.
func (c *convolution) pointwise() bool {
	return c.Kernel == [2]int{1, 1} && c.Stride == [2]int{1, 1} && c.Padding == [2]int{} && !c.lanes()
}

// spread is the number of rows or columns that n outputs of the forward direction
// need of the image, and reach that of outputs that n inputs are seen by, at most.
func (c *convolution) spread(d, n int) int {
	return (n-1)*c.Stride[d] + (c.Kernel[d]-1)*c.Dilation[d] + 1
}

func (c *convolution) reach(d, n int) int {
	return (n-1+(c.Kernel[d]-1)*c.Dilation[d])/c.Stride[d] + 1
}

// convScratch returns the workspace of one worker: a packed panel and a band.
func convScratch(c *Conv2d) int {
	v := convolution{Conv2d: *c, outH: c.OutH(), outW: c.OutW(), cg: c.C / c.Groups, og: c.Out / c.Groups}
	if v.pointwise() {
		n := gemmScratch
		if c.C*c.Out >= 1<<14 {
			n = gemmScratchLarge
		}
		return max(n, convRows(c))
	}
	in, out := c.C, c.Out
	if v.lanes() {
		in, out = v.cg*c.Out, v.og*c.C
	}
	forward := v.spread(0, 1) * v.spread(1, v.outW) * in
	backward := v.reach(0, 1) * v.reach(1, c.W) * out
	return max(blockK*packCols+max(v.mostBand(), forward, backward, v.blockPixels()*v.leastChannels()), convRows(c))
}

// mostBand returns the elements that a band of few pixels may have.
func (c *convolution) mostBand() int {
	if c.PatchLen()*c.Out >= manyWeights {
		return bandLenLarge
	}
	return bandLen
}

// blockPixels is the number of pixels of the bands that a block of 256 outputs needs,
// at most; leastChannels the number of channels that are copied at least.
func (c *convolution) blockPixels() int {
	lines := (blockRows-2)/c.outW + 2
	images := min(lines, (lines-2)/c.outH+2)
	return (lines*c.Stride[0] + images*c.spread(0, 1)) * c.spread(1, c.outW)
}

func (c *convolution) leastChannels() int {
	if c.lanes() {
		return c.cg * min(c.Out, packCols)
	}
	return min(c.cg, packCols)
}

func convolvePart(v *convolution, r convPart, worker int) {
	l := CurrentLevel()
	if l == Generic {
		v.reference(r)
		return
	}
	share := len(v.scratch) / v.workers
	c := convCall{convolution: v, convPart: r, level: l, t: &tilings[l], scratch: v.scratch[worker*share:][:share]}
	c.race()
	switch {
	case v.pointwise():
		c.products()
	case v.what == forward:
		c.forward()
	case v.what == inputGradient:
		c.inputGradient()
	default:
		c.weightGradient()
	}
}

// convCall computes a part of a convolution.
type convCall struct {
	*convolution
	convPart
	level   Level
	t       *tiling
	scratch []float32

	segments [blockK + 1]asm.Segment // after the first one, up to one without terms
}

// race tells the race detector what the assembly of this part touches.
func (c *convCall) race() {
	if !raceEnabled {
		return
	}
	write := func(out []float32, rows, stride int) {
		m := Matrix{Rows: rows, Cols: c.col1 - c.col0, Stride: stride, Data: out[c.col0:]}
		raceWriteMatrix(&m)
	}
	switch c.what {
	case forward:
		raceRead(c.x)
		raceRead(c.w)
		raceRead(c.bias)
		write(c.y[c.line0*c.outW*c.Out:], (c.line1-c.line0)*c.outW, c.Out)
	case inputGradient:
		raceRead(c.y)
		raceRead(c.w)
		write(c.x[c.line0*c.W*c.C:], (c.line1-c.line0)*c.W, c.C)
	case weightGradient:
		raceRead(c.x)
		raceRead(c.y)
		if c.byRows {
			write(c.w[c.line0*c.Out:], c.line1-c.line0, c.Out)
			break
		}
		for place := range c.Kernel[0] * c.Kernel[1] {
			write(c.w[(place*c.cg+c.line0)*c.Out:], c.line1-c.line0, c.Out)
		}
	}
	raceWrite(c.scratch)
}

// groups calls f for the groups with columns of this part, of which a group has n.
func (c *convCall) groups(n int, f func(g, col0, col1 int)) {
	for g := c.col0 / n; g*n < c.col1; g++ {
		f(g, max(c.col0, g*n), min(c.col1, (g+1)*n))
	}
}

// products computes a convolution with windows of one pixel.
func (c *convCall) products() {
	rows := c.n * c.H * c.W
	g := Gemm{Scratch: c.scratch}
	x, y := Matrix{Rows: rows, Stride: c.C, Data: c.x}, Matrix{Rows: rows, Stride: c.Out, Data: c.y}
	w := Matrix{Rows: c.cg, Stride: c.Out, Data: c.w}
	if c.what != weightGradient {
		first := c.line0 * c.W
		x.Rows = (c.line1 - c.line0) * c.W
		y.Rows = x.Rows
		x.Data, y.Data = x.Data[first*c.C:], y.Data[first*c.Out:]
	}
	inputs := func(g, c0, c1 int) (m Matrix) {
		m = x
		m.Data, m.Cols = m.Data[g*c.cg+c0:], c1-c0
		return m
	}
	// Of y and w, channels o0 to o1; of w, inputs c0 to c1.
	outputs := func(m Matrix, o0, o1 int) Matrix {
		m.Data, m.Cols = m.Data[o0:], o1-o0
		return m
	}
	weights := func(c0, c1, o0, o1 int) (m Matrix) {
		m = outputs(w, o0, o1)
		m.Data, m.Rows = m.Data[c0*c.Out:], c1-c0
		return m
	}
	switch c.what {
	case forward:
		c.groups(c.og, func(i, o0, o1 int) {
			if g.Bias = nil; c.bias != nil {
				g.Bias = c.bias[o0:o1]
			}
			y, x, w := outputs(y, o0, o1), inputs(i, 0, c.cg), weights(0, c.cg, o0, o1)
			multiply(&y, &x, &w, y.Rows, y.Cols, c.cg, 1, &g)
		})
	case inputGradient:
		g.TransB = true
		c.groups(c.cg, func(i, c0, c1 int) {
			c0, c1 = c0-i*c.cg, c1-i*c.cg
			x, y, w := inputs(i, c0, c1), outputs(y, i*c.og, (i+1)*c.og), weights(c0, c1, i*c.og, (i+1)*c.og)
			multiply(&x, &y, &w, x.Rows, x.Cols, c.og, 1, &g)
		})
	case weightGradient:
		g.TransA = true
		c.groups(c.og, func(i, o0, o1 int) {
			w, x, y := weights(c.line0, c.line1, o0, o1), inputs(i, c.line0, c.line1), outputs(y, o0, o1)
			multiply(&w, &x, &y, w.Rows, w.Cols, rows, 1, &g)
		})
	}
}

// A source gives the pixels of images: channels [c0, c1), or with planes for each of
// these channels of the other side the ones of its group here.
type source struct {
	level          Level
	x              []float32
	h, w, channels int
	c0, c1         int
	planes         int // channels of a group; 0 without planes
	other          int // and on the other side
}

// pixel returns the elements of a pixel, and plane those of one of its planes.
func (s *source) pixel() int { return s.plane() * max(1, s.planes) }
func (s *source) plane() int { return s.c1 - s.c0 }

// asIs reports whether a pixel's channels lie next to each other in the image.
func (s *source) asIs() bool { return s.planes == 0 || s.planes == 1 && s.other == 1 }

// inside reports whether rows and columns are all inside of the image.
func (s *source) inside(row, rows, col, cols int) bool {
	return row >= 0 && row+rows <= s.h && col >= 0 && col+cols <= s.w
}

// load copies rows and columns of an image, with zeros around it.
func (s *source) load(dst []float32, image, row, rows, col, cols int) {
	pixel := s.pixel()
	left, right := min(max(0, -col), cols), max(0, min(cols, s.w-col))
	for r := range rows {
		dst := dst[r*cols*pixel:][:cols*pixel]
		if row+r < 0 || row+r >= s.h || right <= left {
			clear(dst)
			continue
		}
		clear(dst[:left*pixel])
		clear(dst[right*pixel:])
		src := s.x[((image*s.h+row+r)*s.w+col+left)*s.channels:]
		dst = dst[left*pixel : right*pixel]
		switch {
		case !s.asIs():
			s.split(dst, src, right-left)
		case pixel == s.channels:
			copy(dst, src)
		default:
			for p := range right - left {
				copy(dst[p*pixel:][:pixel], src[p*s.channels+s.c0:])
			}
		}
	}
}

// split stores the planes of pixels.
func (s *source) split(dst, src []float32, pixels int) {
	n := s.plane()
	done := 0 // channels
	if vectors := n / tilings[s.level].block; vectors > 0 && s.planes == s.other && (s.planes == 2 || s.planes == 4) {
		done = vectors * tilings[s.level].block
		step := max(1, chunkLen/s.pixel())
		for p := 0; p < pixels; p += step {
			dst, src, count := &dst[p*s.pixel()], &src[p*s.channels+s.c0], min(step, pixels-p)
			if s.planes == 2 {
				planes2(s.level, dst, src, n, s.channels, vectors, count)
			} else {
				planes4(s.level, dst, src, n, s.channels, vectors, count)
			}
		}
	}
	if done == n {
		return
	}
	for p := range pixels {
		src := src[p*s.channels:]
		for k := range s.planes {
			plane := dst[p*s.pixel()+k*n:][done:n]
			at, left := (s.c0+done)/s.other*s.planes+k, s.other-(s.c0+done)%s.other
			for c := range plane {
				plane[c] = src[at]
				if left--; left == 0 {
					at, left = at+s.planes, s.other
				}
			}
		}
	}
}

// A band holds rows and columns of some images: those of a source, where they lie or
// as a copy.
type band struct {
	data               []float32
	line, image, pixel int // from row to row, from image to image, from pixel to pixel
	plane              int
}

// band returns rows and columns of some images, copied to buffer unless they are all
// inside of the images.
func (s *source) band(buffer []float32, image, images, row, rows, col, cols int) (b band) {
	if rows == 0 || cols == 0 {
		return band{}
	}
	if s.asIs() && s.inside(row, rows, col, cols) {
		return band{s.x[((image*s.h+row)*s.w+col)*s.channels+s.c0:], s.w * s.channels, s.h * s.w * s.channels, s.channels, s.channels}
	}
	b = band{buffer, cols * s.pixel(), rows*cols*s.pixel() + imageGap, s.pixel(), s.plane()}
	for i := range images {
		s.load(buffer[i*b.image:], image+i, row, rows, col, cols)
	}
	return b
}

// An axis is one dimension of the outputs: how many there are, and from one to the
// next in the inputs and in the outputs.
type axis struct{ n, src, dst int }

// A grid is what the micro-kernels compute in one go: outputs along three axes, of
// which the first are the rows of tiles, for some columns. The terms of a sum lie at
// places, rows x cols of them.
type grid struct {
	src, dst         []float32 // for the first output
	axes             [3]axis
	rows, cols       int
	rowStep, colStep int // from place to place in src
	terms, termStep  int // of a place
	shape            tileShape
	col0, columns    int // the first column, of all, and how many

	// For the gradient at the input: the row and column of the window that the first
	// place stands for, and how many fewer from place to place.
	window, windowStep [2]int
}

// merge makes one axis of the first two where it can.
func (q *grid) merge() {
	a, b := &q.axes[0], &q.axes[1]
	if a.n == 1 && (b.src == 1 || q.shape != shapeCols) {
		a.src, a.dst = b.src, b.dst
	}
	if b.src == a.n*a.src && b.dst == a.n*a.dst {
		a.n *= b.n
		*b = q.axes[2]
		q.axes[2].n = 1
	}
}

// longest chooses as the first axis the one whose tiles are the highest, and makes the
// second one longer than the third.
func (q *grid) longest(rows int) {
	a := &q.axes
	height := func(n int) float64 { return float64(n) / float64((n+rows-1)/rows) }
	for i := range a {
		if height(a[i].n) > height(a[0].n) {
			a[0], a[i] = a[i], a[0]
		}
	}
	if a[2].n > a[1].n {
		a[1], a[2] = a[2], a[1]
	}
}

// A walk lists the segments of consecutive terms: the first one is kept here, its
// place that of its first term, the others in c.segments.
type walk struct {
	c     *convCall
	first asm.Segment
	next  int // of c.segments
	end   int // where the terms so far end
}

// add appends n terms at a distance.
func (w *walk) add(at, n, step int) {
	switch {
	case w.first.K == 0:
		w.first = asm.Segment{A: at, K: n}
	case at != w.end:
		w.c.segments[w.next] = asm.Segment{A: 4 * (at - w.end), K: n}
		w.next++
	case w.next > 0:
		w.c.segments[w.next-1].K += n
	default:
		w.first.K += n
	}
	w.c.segments[w.next].K = 0
	w.end = at + n*step
}

// walk lists the terms [k, k+n) and returns the first segment.
func (c *convCall) walk(q *grid, k, n int) asm.Segment {
	terms, termStep, cols, colStep := q.terms, q.termStep, q.cols, q.colStep
	if terms == 1 && q.shape == shapeLanes { // each place of a row is a term
		terms, termStep, cols, colStep = cols, colStep, 1, 0
	}
	w := walk{c: c}
	for n > 0 {
		place, term := k/terms, k%terms
		run := min(terms-term, n)
		w.add(place/cols*q.rowStep+place%cols*colStep+term*termStep, run, termStep)
		k, n = k+run, n-run
	}
	return w.first
}

// compute computes the outputs of a grid.
func (c *convCall) compute(q *grid) {
	width := panelVectors * c.t.lanes
	pixels := q.axes[0].n * q.axes[1].n * q.axes[2].n
	total := q.rows * q.cols * q.terms
	for k := 0; k < total; k += blockK {
		n := min(blockK, total-k)
		first := c.walk(q, k, n)
		var bias []float32
		if c.what == forward && c.bias != nil && k+n == total {
			bias = c.bias
		}
		for col := 0; col < q.columns; col += width {
			cols := min(width, q.columns-col)
			b, stride := c.weights(q, k, n, q.col0+col, cols, width, pixels)
			c.panel(q, first, n, col, cols, b, stride, k > 0, bias)
		}
	}
}

// panel computes cols columns from col on, for n terms that begin with the segment.
func (c *convCall) panel(q *grid, first asm.Segment, n, col, cols int, b []float32, stride int, add bool, bias []float32) {
	var args asm.Tile
	a := &q.axes
	src, dst := q.src[first.A:], q.dst[col:]
	shape, last, tall := q.shape+shapeOne, cols, c.t.rows
	if cols > c.t.lanes {
		shape, last = q.shape+shapeTwo, cols-c.t.lanes
	}
	if last < c.t.lanes {
		shape += shapePartial
		args.Columns = last
	}
	args.AStride = 4 * a[0].src
	switch q.shape {
	case shapeCols:
		args.AStride = 4 * q.termStep
	case shapeLanes:
		tall = c.t.laneRows
		src = src[col:]
		args.AStep = 4 * q.termStep
		if q.terms == 1 {
			args.AStep = 4 * q.colStep
		}
	}
	args.B, args.BStride = &b[0], 4*stride
	args.K, args.CStride = first.K, 4*a[0].dst
	args.Alpha = 1
	if add {
		args.Add = 1
	}
	if bias != nil {
		args.Bias = &bias[q.col0+col]
	}
	if c.segments[0].K > 0 {
		args.Segments = &c.segments[0]
	}
	for outer := range a[2].n {
		split := c.t.split(a[0].n, tall)
		for row := 0; split.left > 0; {
			h, count := split.take(maxTiles)
			args.Count, args.ANext = count, 4*h*a[0].src
			args.ALine = 4 * (a[1].src - count*h*a[0].src)
			args.CLine = 4 * (a[1].dst - count*h*a[0].dst)
			step := max(1, maxTiles*blockK/(n*count))
			for line := 0; line < a[1].n; line += step {
				args.Lines = min(step, a[1].n-line)
				args.A = &src[outer*a[2].src+line*a[1].src+row*a[0].src]
				args.C = &dst[outer*a[2].dst+line*a[1].dst+row*a[0].dst]
				runTile(c.level, shape+tileShape(h), &args)
			}
			row += count * h
		}
	}
}

// buffers returns the parts of the workspace: a panel of packed weights and a band.
func (c *convCall) buffers() (panel, buffer []float32) {
	return c.scratch[:blockK*packCols], c.scratch[blockK*packCols:]
}

// packRows copies rows of w <= width elements to the panel.
func (c *convCall) packRows(src []float32, stride, rows, w, width int) ([]float32, int) {
	panel, _ := c.buffers()
	if w == width {
		packPanel(c.level, &panel[0], &src[0], stride, rows, 1)
	} else {
		for r := range rows {
			copy(panel[r*width:][:w], src[r*stride:])
		}
	}
	return panel, width
}

// weights returns those for terms [k, k+n) and columns [col, col+cols), packed if
// enough pixels use them, and the distance of their rows.
func (c *convCall) weights(q *grid, k, n, col, cols, width, pixels int) (panel []float32, stride int) {
	if c.what == forward {
		src := c.w[k*c.Out+col:]
		if cols == c.Out || q.shape == shapeLanes || pixels < packRowsFrom*c.t.rows {
			return src, c.Out
		}
		return c.packRows(src, c.Out, n, cols, width)
	}
	panel, _ = c.buffers()
	g := col / c.cg // without lanes, of all columns
	for row := 0; row < n; {
		place, o := (k+row)/c.og, (k+row)%c.og
		i := q.window[0] - place/q.cols*q.windowStep[0]
		j := q.window[1] - place%q.cols*q.windowStep[1]
		w := c.w[(i*c.Kernel[1]+j)*c.cg*c.Out:]
		if q.shape == shapeLanes {
			switch dst := panel[row*width:][:cols]; {
			case c.cg == 1 && c.og == 1:
				copy(dst, w[col:])
			default:
				for m := range dst {
					ch := col + m
					dst[m] = w[ch%c.cg*c.Out+ch/c.cg*c.og+o]
				}
			}
			row++
			continue
		}
		run := min(c.og-o, n-row)
		transpose(c.level, &Matrix{Rows: run, Cols: cols, Stride: width, Data: panel[row*width:]},
			&Matrix{Rows: cols, Cols: run, Stride: c.Out, Data: w[(col-g*c.cg)*c.Out+g*c.og+o:]})
		row += run
	}
	return panel, width
}

// bands cuts the lines of this part into bands, for one of which it calls f: some
// lines of an image, or whole images. An image has the given lines of pixels; n of them
// need rows(n) rows of a band.
func (c *convCall) bands(lines, pixels, row int, rows func(n int) int, f func(image, images, line, n int)) {
	row = max(row, 1)
	most := 1
	for most < lines && rows(most+1)*row <= bandLen && (most+1)*pixels <= bandPixels {
		most++
	}
	parts := (lines + most - 1) / most
	for at := c.line0; at < c.line1; {
		image, line := at/lines, at%lines
		if whole := (c.line1 - at) / lines; line == 0 && parts == 1 && whole > 0 {
			length := rows(lines)*row + imageGap
			few := min(c.mostBand()/length, fewPixels/(lines*pixels))
			whole = max(1, min(whole, max(few, min(bandLen/length, bandPixels/(lines*pixels)))))
			if whole > c.t.rows && pixels < 2*c.t.rows { // images are rows of tiles: whole ones
				whole -= whole % c.t.rows
			}
			f(image, whole, 0, lines)
			at += whole * lines
			continue
		}
		part := line * parts / lines // of the image, all of about one size
		for lines*(part+1)/parts <= line {
			part++
		}
		n := min(lines*(part+1)/parts-line, c.line1-at)
		f(image, 1, line, n)
		at += n
	}
}

func (c *convCall) forward() {
	_, buffer := c.buffers()
	s := source{level: c.level, x: c.x, h: c.H, w: c.W, channels: c.C, c1: c.C}
	q := grid{rows: c.Kernel[0], cols: c.Kernel[1], terms: c.cg, termStep: 1}
	if c.lanes() {
		q.shape = shapeLanes
		s.c0, s.c1, s.planes, s.other = c.col0, c.col1, c.cg, c.og
	}
	cols, col := c.spread(1, c.outW), -c.Padding[1]
	c.bands(c.outH, c.outW, cols*s.pixel(), func(n int) int { return c.spread(0, n) }, func(image, images, line, n int) {
		b := s.band(buffer, image, images, line*c.Stride[0]-c.Padding[0], c.spread(0, n), col, cols)
		y := c.y[(image*c.outH+line)*c.outW*c.Out:]
		q.rowStep, q.colStep = c.Dilation[0]*b.line, c.Dilation[1]*b.pixel
		outputs := func(src, o0, o1 int) {
			q.src, q.dst, q.col0, q.columns = b.data[src:], y[o0:], o0, o1-o0
			q.axes = [3]axis{
				{c.outW, c.Stride[1] * b.pixel, c.Out},
				{n, c.Stride[0] * b.line, c.outW * c.Out},
				{images, b.image, c.outH * c.outW * c.Out},
			}
			q.longest(c.t.rows)
			c.compute(&q)
		}
		if q.shape == shapeLanes {
			q.termStep = b.plane
			outputs(0, c.col0, c.col1)
		} else {
			c.groups(c.og, func(g, o0, o1 int) { outputs(g*c.cg, o0, o1) })
		}
	})
}

// A phase is what input rows (or columns) at distances of a stride have in common:
// which rows of the window meet an output, from the last on.
type phase struct {
	n     int // inputs
	out   int // the output that the first one meets, at the last place of the window
	place int // that place
	step  int // from place to place, backwards
	count int // of places
	next  int // from the output at a place to that at the next one
}

// phase returns that of the rows (d = 0) or columns (1) first, first+stride, ..
// before end.
func (c *convolution) phase(d, first, end int) (p phase) {
	stride, dilation := c.Stride[d], c.Dilation[d]
	p.n = (end - first + stride - 1) / stride
	common, rest := stride, dilation
	for rest > 0 {
		common, rest = rest, common%rest
	}
	p.step, p.next = stride/common, dilation/common
	for p.place = c.Kernel[d] - 1; p.place >= 0; p.place-- {
		if at := first + c.Padding[d] - p.place*dilation; at%stride == 0 {
			p.out, p.count = at/stride, p.place/p.step+1
			return p
		}
	}
	return p
}

// outputsOf returns the outputs [lo, hi) that see the inputs [first, end) of rows or
// columns; those outside of the output too.
func (c *convolution) outputsOf(d, first, end int) (lo, hi int) {
	stride := c.Stride[d]
	floor := func(a int) int { return (a - (a%stride+stride)%stride) / stride }
	lo = floor(first + c.Padding[d] - (c.Kernel[d]-1)*c.Dilation[d] + stride - 1)
	return lo, max(lo, floor(end-1+c.Padding[d])+1)
}

func (c *convCall) inputGradient() {
	_, buffer := c.buffers()
	s := source{level: c.level, x: c.y, h: c.outH, w: c.outW, channels: c.Out, c1: c.Out}
	q := grid{terms: c.og, termStep: 1}
	if c.lanes() {
		q.shape = shapeLanes
		s.c0, s.c1, s.planes, s.other = c.col0, c.col1, c.og, c.cg
	}
	col, end := c.outputsOf(1, 0, c.W)
	cols := end - col
	c.bands(c.H, c.W, cols*s.pixel(), func(n int) int { return c.reach(0, n) }, func(image, images, line, n int) {
		row, end := c.outputsOf(0, line, line+n)
		b := s.band(buffer, image, images, row, end-row, col, cols)
		for h := line; h < min(line+c.Stride[0], line+n); h++ {
			rows := c.phase(0, h, line+n)
			for w := range min(c.Stride[1], c.W) {
				columns := c.phase(1, w, c.W)
				at := ((image*c.H+h)*c.W + w) * c.C
				axes := [3]axis{
					{columns.n, b.pixel, c.Stride[1] * c.C},
					{rows.n, b.line, c.Stride[0] * c.W * c.C},
					{images, b.image, c.H * c.W * c.C},
				}
				if rows.count == 0 || columns.count == 0 {
					c.clear(c.x[at:], axes)
					continue
				}
				q.rows, q.cols = rows.count, columns.count
				q.rowStep, q.colStep = rows.next*b.line, columns.next*b.pixel
				q.window, q.windowStep = [2]int{rows.place, columns.place}, [2]int{rows.step, columns.step}
				src := b.data[(rows.out-row)*b.line+(columns.out-col)*b.pixel:]
				outputs := func(o, c0, c1 int) {
					q.src, q.dst, q.col0, q.columns, q.axes = src[o:], c.x[at+c0:], c0, c1-c0, axes
					q.longest(c.t.rows)
					c.compute(&q)
				}
				if q.shape == shapeLanes {
					q.termStep = b.plane
					outputs(0, c.col0, c.col1)
				} else {
					c.groups(c.cg, func(g, c0, c1 int) { outputs(g*c.og, c0, c1) })
				}
			}
		}
	})
}

// clear sets the columns of this part to +0 for pixels along axes.
func (c *convCall) clear(dst []float32, a [3]axis) {
	for i := range a[2].n {
		for j := range a[1].n {
			for k := range a[0].n {
				clear(dst[i*a[2].dst+j*a[1].dst+k*a[0].dst:][c.col0:c.col1])
			}
		}
	}
}

func (c *convCall) weightGradient() {
	total := c.n * c.outH * c.outW
	for r := 0; r < total; r += blockRows {
		n := min(blockRows, total-r)
		if c.lanes() {
			c.gradientBlock(r, n, 0, c.col0, c.col1)
		} else {
			c.groups(c.og, func(g, o0, o1 int) { c.gradientBlock(r, n, g, o0, o1) })
		}
	}
}

// gradientBlock adds the products of outputs [r, r+n) to the gradient at the weights
// of columns [o0, o1): of one group, or with lanes.
func (c *convCall) gradientBlock(r, n, g, o0, o1 int) {
	_, buffer := c.buffers()
	cols, col := c.spread(1, c.outW), -c.Padding[1]
	firstLine, lastLine := r/c.outW, (r+n-1)/c.outW
	copied := c.lanes() && max(c.cg, c.og) > 1 || c.Padding != [2]int{}
	// Of each image, the outputs need these rows.
	imageRows := func(image int) (row, rows int) {
		first, last := max(firstLine-image*c.outH, 0), min(lastLine-image*c.outH, c.outH-1)
		return first*c.Stride[0] - c.Padding[0], c.spread(0, last-first+1)
	}
	pixels := 0
	for image := firstLine / c.outH; image <= lastLine/c.outH; image++ {
		_, rows := imageRows(image)
		pixels += rows * cols
	}
	s := source{level: c.level, x: c.x, h: c.H, w: c.W, channels: c.C}
	q := grid{shape: shapeCols}
	line0, line1 := c.line0, c.line1 // channels
	if c.byRows {
		line0, line1 = 0, c.cg
	}
	lo, hi := g*c.cg+line0, g*c.cg+line1
	perPixel := 1
	if c.lanes() {
		s.planes, s.other = c.cg, c.og
		q.shape = shapeLanes
		lo, hi, perPixel = o0, o1, c.cg
	}
	step := hi - lo
	if most := min(len(buffer), bandLen) / (pixels * perPixel); copied && step > most {
		step = max(1, most/packCols) * packCols
	}
	for ; lo < hi; lo += step {
		s.c0, s.c1 = lo, min(lo+step, hi)
		b := band{c.x, c.W * c.C, c.H * c.W * c.C, c.C, c.C}
		if copied {
			b = band{buffer, cols * s.pixel(), 0, s.pixel(), s.plane()}
		}
		q.termStep = c.Stride[1] * b.pixel
		terms := walk{c: c}
		free, start := 0, 0 // of the buffer, of the image in the band
		for at := r; at < r+n; {
			line, ow := at/c.outW, at%c.outW
			image, oh := line/c.outH, line%c.outH
			row, rows := imageRows(image)
			switch {
			case !copied:
				start = ((image*c.H+row)*c.W+col)*c.C + s.c0
			case at == r || oh == 0 && ow == 0:
				start = free
				s.load(buffer[start:], image, row, rows, col, cols)
				free += rows * b.line
			}
			run := min(c.outW-ow, r+n-at)
			terms.add(start+(oh*c.Stride[0]-c.Padding[0]-row)*b.line+ow*q.termStep, run, q.termStep)
			at += run
		}

		// The terms of a place, the places of a row, the rows.
		q.axes = [3]axis{
			{line1 - line0, 1, c.Out},
			{c.Kernel[1], c.Dilation[1] * b.pixel, c.cg * c.Out},
			{c.Kernel[0], c.Dilation[0] * b.line, c.Kernel[1] * c.cg * c.Out},
		}
		q.src, q.dst = b.data, c.w[line0*c.Out+o0:]
		q.col0, q.columns = o0, o1-o0
		if c.lanes() {
			q.axes[0].src = b.plane
			q.src = q.src[line0*b.plane:]
			q.dst = c.w[line0*c.Out+s.c0:]
			q.col0, q.columns = s.c0, s.c1-s.c0
		} else {
			q.axes[0].n = s.c1 - s.c0
			q.dst = q.dst[(s.c0-g*c.cg-line0)*c.Out:]
		}
		q.merge()
		width := panelVectors * c.t.lanes
		for col := 0; col < q.columns; col += width {
			cols := min(width, q.columns-col)
			y, stride := c.y[r*c.Out+q.col0+col:], c.Out
			if cols < c.Out && q.shape == shapeCols && q.axes[0].n*q.axes[1].n*q.axes[2].n >= packRowsFrom*c.t.rows {
				y, stride = c.packRows(y, stride, n, cols, width)
			}
			if !c.byRows {
				c.panel(&q, terms.first, n, col, cols, y, stride, r > 0, nil)
				continue
			}
			for i := range q.axes[2].n {
				for j := range q.axes[1].n {
					if part := c.rows(&q, s.c0, i, j); part.axes[0].n > 0 {
						c.panel(&part, terms.first, n, col, cols, y, stride, r > 0, nil)
					}
				}
			}
		}
	}
}

// rows returns what this part has of the rows of the weights along the first axis of a
// grid, at i and j on the others, where the grid begins with the given row.
func (c *convCall) rows(q *grid, first, i, j int) grid {
	part, a := *q, &q.axes
	at := i*a[2].dst + j*a[1].dst
	row, step := first+at/c.Out, a[0].dst/c.Out
	from := max(0, (c.line0-row+step-1)/step)
	to := min(a[0].n, (c.line1-row+step-1)/step)
	part.axes = [3]axis{{max(0, to-from), a[0].src, a[0].dst}, {n: 1}, {n: 1}}
	if from < to {
		part.src = q.src[i*a[2].src+j*a[1].src+from*a[0].src:]
		part.dst = q.dst[at+from*a[0].dst:]
	}
	return part
}
