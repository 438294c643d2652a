package neon

import (
	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// Tiles returns the shapes of the matrix micro-kernels: 8x8 outputs in 16
// registers, beside one register of A a row and a row of B.
func (t *Target) Tiles() []vec.Tile { return vec.Tiles(8, 8, 8, 8) }

// General registers of a micro-kernel; R0 to R7 point into rows of A.
const (
	gemmArgs    R = 8
	gemmK       R = 9
	gemmB       R = 10
	gemmStrideA R = 11
	gemmStrideB R = 12
	gemmStrideC R = 13
	gemmC       R = 14
	gemmCount   R = 15
	gemmA       R = 19 // first row of the tile
	gemmColumns R = 20
	gemmPtr     R = 21
	gemmSegment R = 22 // the next one
	gemmLines   R = 23
	gemmStepA   R = 24
)

func (t *Target) field(offset int, d R) { t.op("MOVD %d(R%d), R%d", offset, gemmArgs, d) }

// element emits Vd += Vn * Vm[i].
func (t *Target) element(d, n, m V, i int) {
	t.op("WORD $0x%08x // %s", elementWord(d, n, m, i), elementText(d, n, m, i))
}

// Gemm emits the micro-kernel of a shape; the comment at the x86 one has the
// formula. Multiplying by an element of A needs no broadcast.
func (t *Target) Gemm(s vec.Tile) {
	t.Func(s.Name()+t.Suffix(), "func(t uintptr)")
	acc := func(r, v int) V { return V(31 - (r*s.Vectors + v)) }
	rowB := func(v int) V { return V(v) }
	elemA := func(r int) V { return V(s.Vectors + r) }
	partial := func(v int) bool { return s.Partial && v == s.Vectors-1 }
	load := func(d V, p R, offset int, part bool) {
		if part {
			t.loadPartial(d, p, offset)
		} else {
			t.op("FMOVQ %d(R%d), F%d", offset, p, d)
		}
	}

	// With Panels, BStride is between panels, which have a pointer each.
	panels := 1
	if s.Panels {
		panels = s.Vectors / 2
	}
	panel := func(p int) R {
		if p == 0 {
			return gemmB
		}
		return R(7 - p) // above the rows of A
	}
	size := 16
	if s.Half {
		size /= 2
	}
	// place is the pointer to vector v of B and the distance from it.
	place := func(v int) (R, int) {
		if s.Panels {
			return panel(v / 2), size * (v % 2)
		}
		return gemmB, size * v
	}
	advance := func() {
		if !s.Panels {
			t.op("ADD R%d, R%d", gemmStrideB, gemmB)
			return
		}
		for p := range panels {
			t.op("ADD $%d, R%d", 2*size, panel(p))
		}
	}

	t.op("MOVD t+0(FP), R%d", gemmArgs)
	t.field(vec.TileAStride, gemmStrideA)
	t.field(vec.TileBStride, gemmStrideB)
	t.field(vec.TileCStride, gemmStrideC)
	t.field(vec.TileC, gemmC)
	t.field(vec.TileA, gemmA)
	t.field(vec.TileLines, gemmLines)
	if s.Lanes {
		t.field(vec.TileAStep, gemmStepA)
	}
	if s.Partial {
		t.field(vec.TileColumns, gemmColumns)
		t.left = gemmColumns
	}

	t.Label("line")
	t.field(vec.TileCount, gemmCount)
	t.Label("tile")
	t.field(vec.TileB, gemmB)
	t.field(vec.TileSegments, gemmSegment)
	t.op("MOVD R%d, R0", gemmA)
	for p := 1; p < panels; p++ {
		t.op("ADD R%d, R%d, R%d", gemmStrideB, panel(p-1), panel(p))
	}
	if !s.Cols {
		for r := 1; r < s.Rows; r++ {
			t.op("ADD R%d, R%d, R%d", gemmStrideA, r-1, r)
		}
	}
	// With Panels: k after the block at hand, and whether to add it to C.
	const rest, add R = 2, 3
	if s.Panels {
		t.field(vec.TileK, rest)
		t.field(vec.TileAdd, add)
		t.Label("block")
		t.op("MOVD $%d, R%d", vec.Block, gemmK)
		t.op("CMP R%d, R%d", gemmK, rest)
		t.op("CSEL LT, R%d, R%d, R%d", rest, gemmK, gemmK)
		t.op("SUB R%d, R%d", gemmK, rest)
	} else {
		t.field(vec.TileK, gemmK)
	}
	for r := range s.Rows {
		for v := range s.Vectors {
			t.Zero(vec.Reg(acc(r, v)))
		}
	}
	// multiply adds the products of k u of those unrolled: element i(r) of register a(r).
	multiply := func(u int, a func(r int) (V, int)) {
		rowB := func(v int) V {
			if partial(v) && u > 0 { // a part that is loaded waits for the rest of its register
				return elemA(s.Rows - 1 + u)
			}
			return rowB(v)
		}
		for v := range s.Vectors {
			from, offset := place(v)
			switch {
			case !s.Half:
				load(rowB(v), from, offset, partial(v))
			case v%2 == 0: // two vectors at once
				load(rowB(v+1), from, offset, false)
				t.word("FCVTL", rowB(v), rowB(v+1), 0)
				t.word("FCVTL2", rowB(v+1), rowB(v+1), 0)
			}
		}
		advance()
		for r := range s.Rows {
			m, i := a(r)
			for v := range s.Vectors {
				t.element(acc(r, v), rowB(v), m, i)
			}
		}
	}
	again := "single" // where a segment starts
	switch {
	case s.Lanes:
		t.Label("single")
		for v := range s.Vectors {
			load(rowB(v), gemmB, 16*v, partial(v))
		}
		t.op("ADD R%d, R%d", gemmStrideB, gemmB)
		for r := range s.Rows {
			for v := range s.Vectors {
				a := elemA(v)
				if partial(v) { // see multiply
					a = elemA(v + r)
				}
				load(a, R(r), 16*v, partial(v))
				t.op("VFMLA V%d.S4, V%d.S4, V%d.S4", rowB(v), a, acc(r, v))
			}
			t.op("ADD R%d, R%d", gemmStepA, r)
		}
		t.op("SUBS $1, R%d", gemmK)
		t.op("BNE single")
	case s.Cols:
		t.Label("single")
		t.loadElements(elemA(0), 0, s.Rows)
		t.op("ADD R%d, R0", gemmStrideA)
		multiply(0, func(r int) (V, int) { return elemA(r / 4), r % 4 })
		t.op("SUBS $1, R%d", gemmK)
		t.op("BNE single")
	default:
		again = "start"
		t.Label("start")
		t.op("SUBS $4, R%d", gemmK)
		t.op("BLT rest")
		t.Label("unrolled")
		for r := range s.Rows {
			t.op("VLD1.P 16(R%d), [V%d.B16]", r, elemA(r))
		}
		for u := range 4 {
			multiply(u, func(r int) (V, int) { return elemA(r), u })
		}
		t.op("SUBS $4, R%d", gemmK)
		t.op("BGE unrolled")
		t.Label("rest")
		t.op("ADDS $4, R%d", gemmK)
		t.op("BEQ finish")
		t.Label("single")
		for r := range s.Rows {
			t.op("FMOVS (R%d), F%d", r, elemA(r))
			t.op("ADD $4, R%d", r)
		}
		multiply(0, func(r int) (V, int) { return elemA(r), 0 })
		t.op("SUBS $1, R%d", gemmK)
		t.op("BNE single")
		t.Label("finish")
	}
	t.op("CBNZ R%d, segment", gemmSegment)
	t.rare = append(t.rare, func() {
		t.Label("segment")
		next := gemmPtr
		t.op("MOVD %d(R%d), R%d", vec.SegmentA, gemmSegment, next)
		for r := range s.Rows {
			if r == 0 || !s.Cols {
				t.op("ADD R%d, R%d", next, r)
			}
		}
		t.op("MOVD %d(R%d), R%d", vec.SegmentK, gemmSegment, gemmK)
		t.op("ADD $%d, R%d", vec.SegmentSize, gemmSegment)
		t.op("CBNZ R%d, %s", gemmK, again)
		t.Jump("finished")
	})
	t.Label("finished")

	// rows calls f for each output with a pointer to its row of C.
	rows := func(f func(r, v int)) {
		t.op("MOVD R%d, R%d", gemmC, gemmPtr)
		for r := range s.Rows {
			for v := range s.Vectors {
				f(r, v)
			}
			if r < s.Rows-1 {
				t.op("ADD R%d, R%d", gemmStrideC, gemmPtr)
			}
		}
	}
	free, alpha := V(0), V(1)
	if s.Panels {
		t.op("CBZ R%d, bias", add)
	} else {
		t.field(vec.TileAdd, gemmK)
		t.op("CBZ R%d, bias", gemmK)
	}
	t.op("FMOVS %d(R%d), F%d", vec.TileAlpha, gemmArgs, alpha)
	rows(func(r, v int) { // the accumulator becomes C + alpha*sum
		load(free, gemmPtr, 16*v, partial(v))
		t.element(free, acc(r, v), alpha, 0)
		t.move(acc(r, v), free)
	})
	t.Label("bias")
	if s.Panels {
		t.op("CBNZ R%d, more", rest)
		t.rare = append(t.rare, func() {
			t.Label("more")
			rows(func(r, v int) { t.op("FMOVQ F%d, %d(R%d)", acc(r, v), 16*v, gemmPtr) })
			t.op("MOVD $1, R%d", add)
			t.Jump("block")
		})
	}
	t.field(vec.TileBias, gemmPtr)
	t.op("CBZ R%d, rectify", gemmPtr)
	for v := range s.Vectors {
		load(free, gemmPtr, 16*v, partial(v))
		for r := range s.Rows {
			t.word("FADD", acc(r, v), free, acc(r, v))
		}
	}
	t.Label("rectify")
	t.field(vec.TileReLU, gemmK)
	t.op("CBZ R%d, store", gemmK)
	t.Zero(vec.Reg(free))
	for r := range s.Rows {
		for v := range s.Vectors {
			negative := V(1)
			t.word("FCMGT", negative, free, acc(r, v))
			t.word("BIC", acc(r, v), acc(r, v), negative)
		}
	}
	t.Label("store")
	rows(func(r, v int) {
		if partial(v) {
			t.storePartial(acc(r, v), gemmPtr, 16*v)
		} else {
			t.op("FMOVQ F%d, %d(R%d)", acc(r, v), 16*v, gemmPtr)
		}
	})
	t.op("ADD R%d, R%d, R%d", gemmStrideC, gemmPtr, gemmC)
	t.field(vec.TileANext, gemmK)
	t.op("ADD R%d, R%d", gemmK, gemmA)
	t.op("SUBS $1, R%d", gemmCount)
	t.op("BNE tile")
	t.op("SUBS $1, R%d", gemmLines)
	t.op("BGT next")
	t.rare = append(t.rare, func() {
		t.Label("next")
		t.field(vec.TileALine, gemmK)
		t.op("ADD R%d, R%d", gemmK, gemmA)
		t.field(vec.TileCLine, gemmK)
		t.op("ADD R%d, R%d", gemmK, gemmC)
		for _, f := range [][2]int{{vec.TileB, vec.TileBLine}, {vec.TileBias, vec.TileBiasLine}} {
			t.field(f[0], gemmPtr)
			t.field(f[1], gemmK)
			t.op("ADD R%d, R%d", gemmK, gemmPtr)
			t.op("MOVD R%d, %d(R%d)", gemmPtr, f[0], gemmArgs)
		}
		t.Jump("line")
	})
	t.End()
}

// loadElements loads n consecutive elements into registers d, d+1, .. of four.
func (t *Target) loadElements(d V, p R, n int) {
	offset := 0
	for ; n >= 4; n -= 4 {
		t.op("FMOVQ %d(R%d), F%d", offset, p, d)
		d, offset = d+1, offset+16
	}
	switch n {
	case 1:
		t.op("FMOVS %d(R%d), F%d", offset, p, d)
	case 2, 3:
		t.op("FMOVD %d(R%d), F%d", offset, p, d)
		if n == 3 {
			t.op("ADD $%d, R%d, R%d", offset+8, p, scratch)
			t.op("VLD1 (R%d), V%d.S[2]", scratch, d)
		}
	}
}
