package vec

import "fmt"

// A Tile is the shape of one matrix micro-kernel: Rows x Vectors vectors of the
// output stay in registers while k runs.
type Tile struct {
	Rows    int
	Vectors int
	Cols    bool // A is read by columns, A[k*stride+i] (transposed), not A[i*stride+k]
	Lanes   bool // A has a vector where it has an element else: lane by lane products
	Half    bool // B is of float16
	Panels  bool // B is in panels of two vectors, one beside the other
	Pack    bool // B is stored to TileArgs.Pack, without gaps, on the way
	Partial bool // the last vector has TileArgs.Columns elements
}

// Name is that of the routine in package asm, without the level.
func (s Tile) Name() string {
	order := "Rows"
	switch {
	case s.Cols:
		order = "Cols"
	case s.Lanes:
		order = "Lanes"
	case s.Half && s.Panels:
		order = "HalfPanels"
	case s.Half:
		order = "Half"
	case s.Panels:
		order = "Panels"
	}
	end := ""
	switch {
	case s.Partial:
		end = "Partial"
	case s.Pack:
		end = "Pack"
	}
	return fmt.Sprintf("Gemm%s%dx%d%s", order, s.Rows, s.Vectors, end)
}

// Tiles returns the shapes that a level has: rows 1..max of one and two vectors,
// with the last one whole or partial; and shapes of few rows with more vectors,
// wide[rows-1], so that enough chains are in flight. Shapes with Lanes have rows
// 1..lanes. For B of float16, or in panels, there are whole vectors alone.
func Tiles(max, lanes int, wide ...int) []Tile {
	var all []Tile
	add := func(s Tile, max int) {
		for s.Rows = 1; s.Rows <= max; s.Rows++ {
			for s.Vectors = 1; s.Vectors <= 2; s.Vectors++ {
				for _, s.Partial = range []bool{false, true} {
					all = append(all, s)
				}
			}
		}
	}
	for _, cols := range []bool{false, true} {
		add(Tile{Cols: cols}, max)
		for i, v := range wide {
			all = append(all, Tile{Rows: i + 1, Vectors: v, Cols: cols})
		}
	}
	add(Tile{Lanes: true}, lanes)
	for r := 1; r <= max; r++ {
		all = append(all, Tile{Rows: r, Vectors: 2, Half: true})
	}
	for i, v := range wide {
		s := Tile{Rows: i + 1, Vectors: v, Half: true}
		all = append(all, s)
		s.Panels = true
		all = append(all, s)
		s.Half = false
		all = append(all, s)
	}
	return all
}

// TallTiles returns the shapes of one vector with rows from..to: as many chains of
// multiply-adds as keep a processor busy that has registers for few tiles.
func TallTiles(from, to int) []Tile {
	var all []Tile
	for _, cols := range []bool{false, true} {
		for r := from; r <= to; r++ {
			for _, partial := range []bool{false, true} {
				all = append(all, Tile{Rows: r, Vectors: 1, Cols: cols, Partial: partial})
			}
		}
	}
	return all
}

// PackTiles returns the shapes with Pack, of these heights: those that the first of
// three tiles or more has, if they are about as high.
func PackTiles(heights ...int) []Tile {
	var all []Tile
	for _, cols := range []bool{false, true} {
		for _, r := range heights {
			all = append(all, Tile{Rows: r, Vectors: 2, Cols: cols, Pack: true})
		}
	}
	return all
}

// Block is the most k in one chain of multiply-adds. Routines with Panels take more
// k than that, and add the blocks.
const Block = 256

// Offsets of the fields of asm.Tile, all of 8 bytes; strides are in bytes.
const (
	TileA         = 8 * iota // first element of A
	TileB                    // of B
	TileC                    // of C
	TileBias                 // bias of the columns, or nil
	TileK                    // number of k, at least 1; at most Block, unless with Panels
	TileAStride              // between rows of A, with Cols between its k
	TileBStride              // between k of B, with Panels between its panels
	TileCStride              // between rows of C
	TileCount                // row tiles, at least 1
	TileANext                // from one row tile to the next in A
	TileColumns              // elements of the last vector, with Partial
	TileAdd                  // not 0: C += Alpha*A*B; 0: C = A*B
	TileReLU                 // not 0: C = max(C, 0) at the end
	TileAhead                // what to prefetch, or 0
	TileAheadStep            // and how far to go after two lines and four k; 0 without
	TileSegments             // more k at other places, or nil
	TileLines                // lines of tiles; 0 for 1
	TileALine                // from the end of a line to the next in A
	TileCLine                // in C
	TileBLine                // from one line to the next in B
	TileBiasLine             // and in Bias
	TileAStep                // with Lanes, between k of A
	TilePack                 // with Pack, where to
	TileAlpha                // float32
)

// Offsets of the fields of asm.Segment.
const (
	SegmentA = 8 * iota
	SegmentK
	SegmentSize
)

// TileStruct is the Go declaration of asm.Tile.
const TileStruct = `// Tile holds the arguments of the matrix micro-kernels. One call computes lines of
// Count tiles of R rows, below each other, of a panel of columns: C = A*B, or
// C += Alpha*A*B with Add, then C += Bias, then C = max(C, 0) with ReLU. Strides
// are in bytes.
type Tile struct {
	A, B, C  *float32
	Bias     *float32 // one value a column, or nil
	K        int      // at least 1; at most 256, unless with Panels
	AStride  int      // between rows of A, of routines with Cols between its k
	BStride  int      // between k of B, of routines with Panels between its panels
	CStride  int      // between rows of C
	Count    int      // row tiles of a line, at least 1
	ANext    int      // from one row tile to the next in A
	Columns  int      // elements of the last vector, of routines with Partial
	Add      int      // 0 or 1
	ReLU     int      // 0 or 1
	Ahead    uintptr  // what to prefetch, AheadStep bytes every four k, or 0; only a hint
	AheadStep int      // 64 or 128, or 0 without
	Segments *Segment // further k after the first K, up to a segment without any; or nil
	Lines    int      // 0 or 1 for one
	ALine    int      // from the row tile after a line's last to the first of the next line in A
	CLine    int      // and in C
	BLine     int     // from one line to the next in B
	BiasLine  int     // and in Bias
	AStep    int      // between k of A, of routines with Lanes
	Pack     *float32 // where routines with Pack store B
	Alpha    float32
}

// Segment continues the sums of a tile at another place of A; B goes on.
type Segment struct {
	A int // from the k after the last one to the first of the segment, in bytes
	K int
}
`

// TransposeSignature is the type of the routines that transpose strips of src below
// each other, each as many rows as a block is wide, into dst. Strides are in elements.
const TransposeSignature = "func(dst, src *float32, dstStride, srcStride, blocks, strips int)"

// PackSignature is the type of the routines that copy panels of two vectors of columns,
// one after the other, into consecutive memory: rows at a stride in elements.
const PackSignature = "func(dst, src *float32, stride, rows, panels int)"

// PackLeftSignature is the type of the routines that copy tiles of A, whose rows or
// columns are at a stride in elements, to consecutive columns of k.
const PackLeftSignature = "func(dst, src *float32, stride, tiles, k int)"

// A DotStrip is the shape of one routine that multiplies a row by rows of a matrix: so
// many groups of 8 rows at a time, and blocks of k.
type DotStrip struct{ Groups, Blocks int }

// Name is that of the routine in package asm, without the level.
func (s DotStrip) Name() string { return fmt.Sprintf("Dots%dx%d", 8*s.Groups, s.Blocks) }

// DotsSignature is the type of the routines that multiply a row x by the transpose of a
// matrix b whose rows are at a stride in bytes, in strips of some rows. A block has k of
// each, Block if there are several.
const DotsSignature = "func(c, x, b *float32, stride, k, strips, add, fetch int)"

// CombineSignature is the type of the routine that multiplies a row x by k rows of a matrix
// b at a stride in bytes, n columns in whole vectors; more is 1 to go on with sums. k and n are at least 1.
const CombineSignature = "func(c, x, b *float32, stride, k, n, more int)"

// PackHalfSignature is that of routines that also convert from float16.
const PackHalfSignature = "func(dst *float32, src *uint16, stride, rows, panels int)"

// PackRoundedSignature is that of routines that also round to float16.
const PackRoundedSignature = "func(dst *uint16, src *float32, stride, rows, panels int)"

// PlanesSignature is the type of the routines that copy pixels, at a stride, into
// planes of whole vectors. Distances are in elements.
const PlanesSignature = "func(dst, src *float32, plane, stride, vectors, pixels int)"

// Planes are the numbers of planes for which there are such routines.
var Planes = []int{2, 4}
