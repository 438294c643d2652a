package x86

import (
	"fmt"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// Tiles returns the shapes of the level's matrix micro-kernels. The widest keep
// 28 of 32, or 12 of 16 registers for outputs.
func (t *Target) Tiles() []vec.Tile {
	if t.Wide {
		return vec.Tiles(14, 8, 16, 8)
	}
	return slices.Concat(vec.Tiles(6, 6, 8, 4), vec.TallTiles(7, 12), vec.PackTiles(5, 6))
}

// PackHeights returns the rows of tiles that A is packed for: three tiles or more that
// are about as high.
func (t *Target) PackHeights() []int {
	if t.Wide {
		return []int{9, 10, 11, 12, 13, 14}
	}
	return []int{4, 5, 6}
}

// Registers of a micro-kernel. A row group is five rows on one pointer, at 0, 1,
// 2, 3 (by a register of its own) and 4 strides; with AVX2 there is a sixth, at 5, and
// a register for that.
var (
	gemmK    = reg.RAX
	gemmB    = reg.RBX
	gemmBS   = strides{reg.RCX, reg.RDX}
	gemmAS   = strides{reg.RSI, reg.R8}
	gemmP    = []reg.GPPhysical{reg.R9, reg.R10, reg.R11}
	gemmA    = reg.RDI // first row of the tile
	gemmC    = reg.R12
	gemmArgs = reg.R13
)

// strides addresses base + i strides for i in 0..4 by one and three strides.
type strides struct{ one, three reg.GPPhysical }

func (s strides) at(base reg.Register, i, disp int) operand.Mem {
	switch i {
	case 0:
		return operand.Mem{Base: base, Disp: disp}
	case 3:
		return operand.Mem{Base: base, Index: s.three, Scale: 1, Disp: disp}
	}
	return operand.Mem{Base: base, Index: s.one, Scale: uint8(i), Disp: disp}
}

func (t *Target) field(offset int) operand.Mem { return operand.Mem{Base: gemmArgs, Disp: offset} }

// Gemm emits the micro-kernel of a shape:
//
//	s[r,c] = +0;  s[r,c] = fma(A[r,k], B[k,c], s[r,c]) for k in order
//	C[r,c] = s[r,c], or fma(alpha, s[r,c], C[r,c]);  C[r,c] += bias[c]
//	C[r,c] = +0 with ReLU if C[r,c] < 0
//
// With Lanes, A[r,k] is a vector of its own for each c.
func (t *Target) Gemm(s vec.Tile) {
	const unroll = 4
	bytes := 4 * t.Lanes()
	t.Function(s.Name() + t.Suffix())
	t.SignatureExpr("func(t uintptr)") // *Tile
	t.Attributes(attr.NOSPLIT)
	left, line, segment := t.AllocLocal(8), t.AllocLocal(8), t.AllocLocal(8) // tiles, lines, next segment

	// While k runs, the register of C points to what is prefetched. AVX2, which is
	// bound by the number of instructions, has a loop of its own for that.
	aheads, ahead := s.Rows > 2 && !s.Lanes && !s.Pack, gemmC
	prefetches := aheads && t.Wide
	var aheadAt, c0 operand.Mem
	if aheads {
		aheadAt, c0 = t.AllocLocal(8), t.AllocLocal(8)
	}

	freeGP := gemmP[2] // tiles of AVX2 with two vectors leave it free
	pack := freeGP

	group, groups := 5, 1
	if !t.Wide {
		group = 6
	}
	if !s.Cols {
		groups = (s.Rows + group - 1) / group
	}
	five := gemmP[min(groups, 2)] // strides
	rowOfA := func(r, disp int) operand.Mem {
		p := gemmP[r/group]
		if r%group == 5 {
			return operand.Mem{Base: p, Index: five, Scale: 1, Disp: disp}
		}
		return gemmAS.at(p, r%group, disp)
	}

	// A Zen 3 takes some six stores of vectors that aren't computed yet and then waits,
	// here until the multiply-adds run dry: 25 cycles a tile. So rows get their last
	// four k, and are stored, group by group.
	drained := 0 // rows of a group
	if !t.Wide && !s.Partial && !s.Lanes && !s.Panels && s.Vectors == 2 && s.Rows > 3 {
		drained = 4 / s.Vectors
	}

	// Vector registers: outputs from the top, a row of B from the bottom, and in
	// between the broadcast elements of A.
	acc := func(r, v int) vec.Reg { return vec.Reg(t.Registers() - 1 - (r*s.Vectors + v)) }
	rowB, next := s.Vectors, 0
	if s.Rows == 1 && !s.Lanes {
		rowB = 0 // B is used once: from memory
	}
	broadcasts := t.Registers() - s.Rows*s.Vectors - rowB
	if s.Partial && !t.Wide {
		broadcasts--
		t.mask = t.v(vec.Reg(rowB + broadcasts))
	}
	broadcast := func() reg.VecPhysical {
		next = (next + 1) % broadcasts
		return t.v(vec.Reg(rowB + next))
	}
	partial := func(v int) bool { return s.Partial && v == s.Vectors-1 }
	load := func(m operand.Mem, d vec.Reg, part bool) {
		switch {
		case !part:
			t.VMOVUPS(m, t.v(d))
		case t.Wide:
			t.VMOVUPS_Z(m, reg.K1, t.v(d))
		default:
			t.VMASKMOVPS(m, t.mask, t.v(d))
		}
	}

	// With Panels: k after the block at hand, and whether to add it to C.
	var rest operand.Mem
	add := t.field(vec.TileAdd)
	if s.Panels {
		rest, add = t.AllocLocal(8), t.AllocLocal(8)
	}

	// What C gets besides the sums.
	const (
		nothing   = iota
		additions // of C alone
		bothEnds  // a bias and ReLU alone
		mixed
	)
	var ends operand.Mem
	if drained > 0 {
		ends = t.AllocLocal(8)
	}

	t.MOVQ(t.addr("t"), gemmArgs)
	if s.Partial {
		t.MOVQ(t.field(vec.TileColumns), reg.RAX)
		if t.Wide {
			t.MOVL(operand.U32(0xffff), reg.EBX)
			t.BZHIL(reg.EAX, reg.EBX, reg.EBX)
			t.KMOVW(reg.EBX, reg.K1)
		} else {
			t.LEAQ(t.maskTable(), reg.RBX)
			t.NEGQ(reg.RAX)
			t.VMOVUPS(operand.Mem{Base: reg.RBX, Index: reg.RAX, Scale: 4, Disp: 32}, t.mask)
		}
	}
	for i, s := range []strides{gemmAS, gemmBS} {
		t.MOVQ(t.field([]int{vec.TileAStride, vec.TileBStride}[i]), s.one)
		t.LEAQ(operand.Mem{Base: s.one, Index: s.one, Scale: 2}, s.three)
	}
	if group == 6 && !s.Cols && s.Rows > 5 {
		t.LEAQ(gemmAS.at(gemmAS.one, 4, 0), five)
	}
	step := gemmBS.three // of A, with Lanes: B needs no three strides
	if s.Lanes {
		t.MOVQ(t.field(vec.TileAStep), step)
	}
	// Vector v of B at u k from here. With Panels, BStride is between panels, and
	// those after the fifth have a pointer of their own.
	size, panels := bytes, 1
	if s.Half {
		size /= 2
	}
	if s.Panels {
		panels = s.Vectors / 2
	}
	farB := gemmP[2]
	rowOfB := func(u, v int) operand.Mem {
		switch p := v / 2; {
		case !s.Panels:
			return gemmBS.at(gemmB, u, size*v)
		case p < 5:
			return gemmBS.at(gemmB, p, size*(2*u+v%2))
		default:
			return gemmBS.at(farB, p-5, size*(2*u+v%2))
		}
	}
	t.MOVQ(t.field(vec.TileLines), reg.RAX)
	t.MOVQ(reg.RAX, line)
	t.MOVQ(t.field(vec.TileSegments), reg.RAX)
	t.MOVQ(reg.RAX, segment)
	t.MOVQ(t.field(vec.TileA), gemmA)
	if aheads {
		t.MOVQ(t.field(vec.TileAhead), ahead)
		if prefetches {
			t.TESTQ(ahead, ahead)
			t.CMOVQEQ(gemmArgs, ahead) // something near
		}
		t.MOVQ(ahead, aheadAt)
	}
	if drained > 0 {
		t.MOVQ(t.field(vec.TileAdd), reg.RAX)
		t.ORQ(t.field(vec.TileBias), reg.RAX)
		t.ORQ(t.field(vec.TileReLU), reg.RAX)
		t.MOVQ(reg.RAX, ends)
		t.JNE(operand.LabelRef("which"))
		t.rare = append(t.rare, func() {
			t.Label("which")
			t.MOVQ(operand.I32(additions), ends)
			t.MOVQ(t.field(vec.TileBias), reg.RAX)
			t.ORQ(t.field(vec.TileReLU), reg.RAX)
			t.JE(operand.LabelRef("begin"))
			t.MOVQ(operand.I32(mixed), ends)
			t.CMPQ(t.field(vec.TileAdd), operand.I8(0))
			t.JNE(operand.LabelRef("begin"))
			t.CMPQ(t.field(vec.TileBias), operand.I8(0))
			t.JE(operand.LabelRef("begin"))
			t.CMPQ(t.field(vec.TileReLU), operand.I8(0))
			t.JE(operand.LabelRef("begin"))
			t.MOVQ(operand.I32(bothEnds), ends)
			t.JMP(operand.LabelRef("begin"))
		})
		t.Label("begin")
	}
	t.MOVQ(t.field(vec.TileC), gemmC)
	if drained > 0 && !s.Pack {
		t.MOVQ(t.field(vec.TileCStride), freeGP)
	}

	t.Label("line")
	t.MOVQ(t.field(vec.TileCount), reg.RAX)
	t.MOVQ(reg.RAX, left)
	t.Loop("tile")
	t.MOVQ(t.field(vec.TileB), gemmB)
	if panels > 5 {
		t.LEAQ(gemmBS.at(gemmB, 4, 0), farB)
		t.ADDQ(gemmBS.one, farB)
	}
	if drained > 0 || prefetches && s.Vectors == 2 && !s.Partial {
		t.CMPQ(add, operand.I8(0))
		t.JNE(operand.LabelRef("touch"))
		t.rare = append(t.rare, func() {
			t.Label("touch") // what is added to at the end, and may be far away
			row := gemmP[0]
			t.MOVQ(gemmC, row)
			t.MOVQ(operand.I32(int32(s.Rows)), gemmK)
			t.Label("touching")
			for line := 0; line < s.Vectors*bytes; line += 64 {
				t.PREFETCHT0(operand.Mem{Base: row, Disp: line})
			}
			t.ADDQ(t.field(vec.TileCStride), row)
			t.SUBQ(operand.I8(1), gemmK)
			t.JNE(operand.LabelRef("touching"))
			t.JMP(operand.LabelRef("touched"))
		})
		t.Label("touched")
	}
	t.MOVQ(gemmA, gemmP[0])
	if prefetches {
		t.MOVQ(gemmC, c0)
		t.MOVQ(aheadAt, ahead)
	}
	if s.Pack {
		t.MOVQ(t.field(vec.TilePack), pack)
	}
	for g := 1; g < groups; g++ {
		if group == 6 {
			t.LEAQ(operand.Mem{Base: gemmP[g-1], Index: gemmAS.three, Scale: 2}, gemmP[g])
		} else {
			t.LEAQ(gemmAS.at(gemmP[g-1], 4, 0), gemmP[g])
			t.ADDQ(gemmAS.one, gemmP[g])
		}
	}
	if s.Panels {
		t.MOVQ(t.field(vec.TileK), gemmK)
		t.MOVQ(gemmK, rest)
		t.MOVQ(t.field(vec.TileAdd), gemmK)
		t.MOVQ(gemmK, add)
		t.Label("block")
	}
	for r := range s.Rows {
		for v := range s.Vectors {
			t.Zero(acc(r, v))
		}
	}
	multiply := func(u, from, to int) {
		for v := range rowB {
			if s.Half {
				t.VCVTPH2PS(rowOfB(u, v), t.v(vec.Reg(v)))
			} else {
				load(rowOfB(u, v), vec.Reg(v), partial(v))
			}
			if s.Pack && from == 0 {
				t.VMOVUPS(t.v(vec.Reg(v)), operand.Mem{Base: pack, Disp: bytes * (u*rowB + v)})
			}
		}
		if s.Pack && from == 0 { // the next panel
			t.PREFETCHT1(rowOfB(u, rowB))
		}
		for r := from; r < to; r++ {
			if s.Lanes {
				for v := range s.Vectors {
					m := rowOfA(r, bytes*v)
					if partial(v) {
						a := vec.Reg(rowB)
						load(m, a, true)
						t.VFMADD231PS(t.v(a), t.v(vec.Reg(v)), t.v(acc(r, v)))
					} else {
						t.VFMADD231PS(m, t.v(vec.Reg(v)), t.v(acc(r, v)))
					}
				}
				continue
			}
			a := broadcast()
			if s.Cols {
				t.VBROADCASTSS(gemmAS.at(gemmP[0], u, 4*r), a)
			} else {
				t.VBROADCASTSS(rowOfA(r, 4*u), a)
			}
			for v := range s.Vectors {
				switch {
				case rowB > 0:
					t.VFMADD231PS(t.v(vec.Reg(v)), a, t.v(acc(r, v)))
				case s.Half:
					b := broadcast()
					if b == a { // all the way round
						b = broadcast()
					}
					t.VCVTPH2PS(rowOfB(u, v), b)
					t.VFMADD231PS(b, a, t.v(acc(r, v)))
				case partial(v):
					b := broadcast()
					if t.Wide {
						t.VMOVUPS_Z(rowOfB(u, v), reg.K1, b)
					} else {
						t.VMASKMOVPS(rowOfB(u, v), t.mask, b)
					}
					t.VFMADD231PS(b, a, t.v(acc(r, v)))
				default:
					t.VFMADD231PS(rowOfB(u, v), a, t.v(acc(r, v)))
				}
			}
		}
	}
	advance := func(n int) {
		switch {
		case s.Cols && n == 1:
			t.ADDQ(gemmAS.one, gemmP[0])
		case s.Cols:
			t.LEAQ(gemmAS.at(gemmP[0], n, 0), gemmP[0])
		default:
			for g := range groups {
				if s.Lanes {
					t.ADDQ(step, gemmP[g])
				} else {
					t.ADDQ(operand.I32(int32(4*n)), gemmP[g])
				}
			}
		}
		if s.Pack {
			t.ADDQ(operand.I32(int32(n*rowB*bytes)), pack)
		}
		switch {
		case s.Panels:
			t.ADDQ(operand.I32(int32(2*n*size)), gemmB)
			if panels > 5 {
				t.ADDQ(operand.I32(int32(2*n*size)), farB)
			}
		case n == 1:
			t.ADDQ(gemmBS.one, gemmB)
		default:
			t.LEAQ(gemmBS.at(gemmB, n, 0), gemmB)
		}
	}
	if s.Panels {
		t.MOVQ(rest, gemmK)
		t.CMPQ(gemmK, operand.U32(vec.Block))
		t.JLE(operand.LabelRef("last"))
		t.MOVL(operand.U32(vec.Block), gemmK.As32())
		t.Label("last")
		t.SUBQ(gemmK, rest)
	} else {
		t.MOVQ(t.field(vec.TileK), gemmK)
	}
	prefetch := func(line int) { t.PREFETCHT1(operand.Mem{Base: ahead, Disp: 64 * line}) }
	if drained > 0 { // hold back the last k
		t.CMPQ(t.field(vec.TileSegments), operand.I8(0))
		t.JNE(operand.LabelRef("segments"))
		t.SUBQ(operand.I8(unroll), gemmK)
	}
	if !s.Lanes {
		t.SUBQ(operand.I32(unroll), gemmK)
		t.JL(operand.LabelRef("rest"))
		if aheads && !prefetches {
			t.CMPQ(t.field(vec.TileAhead), operand.I8(0))
			t.JNE(operand.LabelRef("ahead"))
			t.rare = append(t.rare, func() {
				t.Label("ahead")
				t.MOVQ(gemmC, c0)
				t.MOVQ(aheadAt, ahead)
				t.PlacedLoop("prefetching")
				for u := range unroll {
					multiply(u, 0, s.Rows)
				}
				prefetch(0)
				t.ADDQ(t.field(vec.TileAheadStep), ahead)
				advance(unroll)
				t.SUBQ(operand.I32(unroll), gemmK)
				t.JGE(operand.LabelRef("prefetching"))
				if drained > 0 { // as many as with the last k
					prefetch(0)
					t.ADDQ(t.field(vec.TileAheadStep), ahead)
				}
				t.MOVQ(ahead, aheadAt)
				t.MOVQ(c0, gemmC)
				t.JMP(operand.LabelRef("rest"))
			})
		}
		t.PlacedLoop("unrolled")
		for u := range unroll {
			multiply(u, 0, s.Rows)
			if prefetches && u%2 == 0 {
				prefetch(u / 2)
			}
		}
		if prefetches {
			t.ADDQ(t.field(vec.TileAheadStep), ahead)
		}
		advance(unroll)
		t.SUBQ(operand.I32(unroll), gemmK)
		t.JGE(operand.LabelRef("unrolled"))
		t.Label("rest")
		t.ADDQ(operand.I32(unroll), gemmK)
		t.JE(operand.LabelRef("finish"))
		if drained > 0 {
			t.JL(operand.LabelRef("few"))
		}
	}
	t.Label("single")
	multiply(0, 0, s.Rows)
	advance(1)
	t.SUBQ(operand.I32(1), gemmK)
	t.JNE(operand.LabelRef("single"))

	t.Label("finish")
	t.CMPQ(t.field(vec.TileSegments), operand.I8(0))
	t.JNE(operand.LabelRef("segment"))
	t.rare = append(t.rare, func() {
		t.Label("segment")
		at := func(offset int) operand.Mem { return operand.Mem{Base: gemmK, Disp: offset} }
		t.MOVQ(segment, gemmK)
		if drained > 0 {
			t.CMPQ(at(vec.SegmentK), operand.I8(0))
			t.JE(operand.LabelRef("drain"))
		}
		for g := range groups {
			t.ADDQ(at(vec.SegmentA), gemmP[g])
		}
		t.ADDQ(operand.I8(vec.SegmentSize), segment)
		if drained > 0 {
			t.CMPQ(at(vec.SegmentSize+vec.SegmentK), operand.I8(0))
			t.MOVQ(at(vec.SegmentK), gemmK)
			t.JNE(operand.LabelRef("middle"))
			t.Label("last")
			t.SUBQ(operand.I8(unroll), gemmK)
			t.Label("middle")
			t.SUBQ(operand.I8(unroll), gemmK)
			t.JGE(operand.LabelRef("unrolled"))
			t.JMP(operand.LabelRef("rest"))
			t.Label("segments")
			t.MOVQ(t.field(vec.TileSegments), gemmK)
			t.MOVQ(gemmK, segment)
			t.CMPQ(at(vec.SegmentK), operand.I8(0))
			t.MOVQ(t.field(vec.TileK), gemmK)
			t.JNE(operand.LabelRef("middle"))
			t.JMP(operand.LabelRef("last"))
			return
		}
		t.MOVQ(at(vec.SegmentK), gemmK)
		if s.Lanes {
			t.TESTQ(gemmK, gemmK)
			t.JNE(operand.LabelRef("single"))
		} else {
			t.SUBQ(operand.I32(unroll), gemmK)
			t.JGE(operand.LabelRef("unrolled"))
			t.CMPQ(gemmK, operand.I8(-unroll))
			t.JNE(operand.LabelRef("rest"))
		}
		t.MOVQ(t.field(vec.TileSegments), gemmK) // for the next tile
		t.MOVQ(gemmK, segment)
		t.JMP(operand.LabelRef("finished"))
	})

	// The end of some rows of a tile, whose first one gemmC points to: what C gets
	// besides the sums, and storing it.
	var strideC operand.Op = reg.RCX // those of B are loaded again for the next tile
	switch {
	case drained > 0 && s.Pack:
		strideC = t.field(vec.TileCStride)
	case drained > 0:
		strideC = freeGP
	}
	c := reg.RAX
	free := vec.Reg(0) // a register below the outputs
	addBias := func(from, to int) {
		for v := range s.Vectors {
			load(operand.Mem{Base: c, Disp: bytes * v}, free, partial(v))
			for r := from; r < to; r++ {
				t.VADDPS(t.v(free), t.v(acc(r, v)), t.v(acc(r, v)))
			}
		}
	}
	rectify := func(from, to int) {
		t.Zero(free)
		for r := from; r < to; r++ {
			for v := range s.Vectors {
				// The second source, s, is what a NaN and two zeros give.
				t.VMAXPS(t.v(acc(r, v)), t.v(free), t.v(acc(r, v)))
			}
		}
	}
	// All loads of C come before the stores: partial rows overlap otherwise.
	addC := func(from, to int) {
		alpha := vec.Reg(1)
		t.VBROADCASTSS(t.field(vec.TileAlpha), t.v(alpha))
		t.MOVQ(gemmC, c)
		for r := from; r < to; r++ {
			for v := range s.Vectors {
				m := operand.Mem{Base: c, Disp: bytes * v}
				if partial(v) {
					load(m, free, true)
					t.VFMADD213PS(t.v(free), t.v(alpha), t.v(acc(r, v)))
				} else {
					t.VFMADD213PS(m, t.v(alpha), t.v(acc(r, v)))
				}
			}
			if r < to-1 {
				t.ADDQ(strideC, c)
			}
		}
	}
	complete := func() {
		t.CMPQ(add, operand.I8(0))
		t.JE(operand.LabelRef("bias"))
		addC(0, s.Rows)
		t.Label("bias")
		if s.Panels {
			t.CMPQ(rest, operand.I8(0))
			t.JNE(operand.LabelRef("more"))
			t.rare = append(t.rare, func() {
				t.Label("more")
				t.MOVQ(gemmC, c)
				for r := range s.Rows {
					for v := range s.Vectors {
						t.VMOVUPS(t.v(acc(r, v)), operand.Mem{Base: c, Disp: bytes * v})
					}
					if r < s.Rows-1 {
						t.ADDQ(strideC, c)
					}
				}
				t.MOVQ(t.field(vec.TileBStride), gemmBS.one)
				t.MOVQ(operand.I32(1), add)
				t.JMP(operand.LabelRef("block"))
			})
		}
		t.MOVQ(t.field(vec.TileBias), c)
		t.TESTQ(c, c)
		t.JE(operand.LabelRef("rectify"))
		addBias(0, s.Rows)
		t.Label("rectify")
		t.CMPQ(t.field(vec.TileReLU), operand.I8(0))
		t.JE(operand.LabelRef("store"))
		rectify(0, s.Rows)
		t.Label("store")
	}
	store := func(from, to int) {
		last := gemmB // where the partial vectors lie
		if s.Partial && !t.Wide {
			t.LEAQ(operand.Mem{Base: gemmC, Disp: bytes * (s.Vectors - 1)}, last)
		}
		for r := from; r < to; r++ {
			for v := range s.Vectors {
				m, x := operand.Mem{Base: gemmC, Disp: bytes * v}, t.v(acc(r, v))
				switch {
				case !partial(v):
					t.VMOVUPS(x, m)
				case t.Wide:
					t.VMOVUPS(x, reg.K1, m)
				}
			}
			t.ADDQ(strideC, gemmC)
		}
		if !s.Partial || t.Wide {
			return
		}
		// A Zen 3 takes twelve cycles for a store with a mask: four, two and one element
		// are faster.
		for n := 4; n > 0; n /= 2 {
			t.TESTB(operand.U8(uint8(n)), t.field(vec.TileColumns))
			t.JE(operand.LabelRef(fmt.Sprint("without", n)))
			t.MOVQ(last, c)
			for r := from; r < to; r++ {
				y, m := acc(r, s.Vectors-1), operand.Mem{Base: c}
				x := vectors[y]
				switch n {
				case 4:
					t.VMOVUPS(x, m)
					t.VEXTRACTF128(operand.U8(1), t.v(y), x)
				case 2:
					t.VMOVLPS(x, m)
					t.VMOVHLPS(x, x, x)
				case 1:
					t.VMOVSS(x, m)
				}
				if r < to-1 {
					t.ADDQ(strideC, c)
				}
			}
			if n > 1 {
				t.ADDQ(operand.I8(int8(4*n)), last)
			}
			t.Label(fmt.Sprint("without", n))
		}
	}
	if drained > 0 {
		drain := func(end func(from, to int)) {
			for from := 0; from < s.Rows; from += drained {
				to := min(from+drained, s.Rows)
				for u := range unroll {
					multiply(u, from, to)
				}
				end(from, to)
				store(from, to)
			}
		}
		t.Loop("drain")
		t.CMPQ(ends, operand.I8(nothing))
		t.JNE(operand.LabelRef("ends"))
		drain(func(from, to int) {})
		t.Label("stored")
		t.rare = append(t.rare, func() {
			t.Label("ends")
			t.CMPQ(ends, operand.I8(bothEnds))
			t.JL(operand.LabelRef("additions"))
			t.JG(operand.LabelRef("mixed"))
			drain(func(from, to int) {
				t.MOVQ(t.field(vec.TileBias), c)
				addBias(from, to)
				rectify(from, to)
			})
			t.JMP(operand.LabelRef("stored"))
			t.Label("additions")
			drain(addC)
			t.JMP(operand.LabelRef("stored"))
			t.Label("mixed")
			t.XORL(gemmK.As32(), gemmK.As32())
			t.Label("few")
			t.ADDQ(operand.I8(unroll), gemmK)
			t.Label("each")
			multiply(0, 0, s.Rows)
			advance(1)
			t.SUBQ(operand.I8(1), gemmK)
			t.JNE(operand.LabelRef("each"))
			complete()
			store(0, s.Rows)
			t.JMP(operand.LabelRef("stored"))
		})
	} else {
		t.Label("finished")
		if prefetches {
			t.MOVQ(ahead, aheadAt)
			t.MOVQ(c0, gemmC)
		}
		t.MOVQ(t.field(vec.TileCStride), strideC)
		complete()
		store(0, s.Rows)
		t.MOVQ(t.field(vec.TileBStride), gemmBS.one)
	}
	t.ADDQ(t.field(vec.TileANext), gemmA)
	t.MOVQ(left, c)
	t.SUBQ(operand.I32(1), c)
	t.MOVQ(c, left)
	t.JNE(operand.LabelRef("tile"))
	t.SUBQ(operand.I8(1), line)
	t.JG(operand.LabelRef("next"))
	t.rare = append(t.rare, func() {
		t.Label("next")
		t.ADDQ(t.field(vec.TileALine), gemmA)
		t.ADDQ(t.field(vec.TileCLine), gemmC)
		t.MOVQ(t.field(vec.TileBLine), c)
		t.ADDQ(c, t.field(vec.TileB))
		t.MOVQ(t.field(vec.TileBiasLine), c)
		t.ADDQ(c, t.field(vec.TileBias))
		t.JMP(operand.LabelRef("line"))
	})
	t.End()
}
