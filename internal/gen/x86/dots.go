package x86

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// DotStrips returns the shapes of strips that there are routines for: as many chains as
// there are registers for, and one for what remains.
func (t *Target) DotStrips() []vec.DotStrip {
	return []vec.DotStrip{{Groups: 4, Blocks: 1}, {Groups: 2, Blocks: 2}, {Groups: 1, Blocks: 4}, {Groups: 1, Blocks: 1}}
}

// Dots emits the product of a row and the transpose of a matrix of rows at a stride in
// bytes, in strips of some groups of 8 rows and some blocks of k:
//
//	for each block:
//	    s = +0;  s = fma(x[k], b[j,k], s) for k in order
//	    c[j] = s for the first block without add, else c[j] + s
//
// The lanes of a vector are the outputs of a group: four k of its rows are transposed
// at a time. There is a chain for each group and block. If fetch is not 0, lines of the
// next strip are fetched meanwhile, half a block further on: those that are used now
// may need all of their sets of the first cache.
func (t *Target) Dots(s vec.DotStrip) {
	t.Function(s.Name() + t.Suffix())
	t.SignatureExpr(vec.DotsSignature)
	t.Attributes(attr.NOSPLIT)
	x, k, next, ahead := reg.RAX, reg.RBX, reg.RDX, reg.RCX
	one, three, five, seven := reg.RSI, reg.RDI, reg.R8, reg.R9
	chains := []reg.GPPhysical{reg.R10, reg.R11, reg.R12, reg.R13}[:s.Groups*s.Blocks] // block by block
	row := func(base reg.Register, r, disp int) operand.Mem {
		m := operand.Mem{Base: base, Disp: disp}
		if r > 0 {
			m.Index, m.Scale = [...]reg.Register{nil, one, one, three, one, five, three, seven}[r], [...]uint8{0, 1, 2, 1, 4, 1, 2, 1}[r]
		}
		return m
	}
	xmm := func(r int) reg.VecPhysical { return vectors[r] }
	ymm := func(r int) reg.VecPhysical { return vectors[r].AsY().(reg.VecPhysical) }
	sum := func(chain int) reg.VecPhysical { return ymm(12 + chain) }
	const blockBytes = 4 * vec.Block
	c, left := t.AllocLocal(8), t.AllocLocal(8)

	t.MOVQ(t.addr("stride"), one)
	t.LEAQ(operand.Mem{Base: one, Index: one, Scale: 2}, three)
	t.LEAQ(operand.Mem{Base: one, Index: one, Scale: 4}, five)
	t.LEAQ(operand.Mem{Base: three, Index: one, Scale: 4}, seven)
	t.IMUL3Q(operand.I32(int32(8*s.Groups)), one, next)
	t.MOVQ(t.addr("b"), chains[0])
	t.MOVQ(t.addr("c"), k)
	t.MOVQ(k, c)
	t.MOVQ(t.addr("strips"), k)
	t.MOVQ(k, left)
	t.Label("strip")
	for i := 1; i < len(chains); i++ {
		if i%s.Groups == 0 {
			t.LEAQ(operand.Mem{Base: chains[i-s.Groups], Disp: blockBytes}, chains[i])
		} else {
			t.LEAQ(operand.Mem{Base: chains[i-1], Index: one, Scale: 8}, chains[i])
		}
	}
	for i := range chains {
		t.VXORPS(sum(i), sum(i), sum(i))
	}
	t.MOVQ(t.addr("x"), x)
	t.MOVQ(t.addr("k"), k)
	// four multiplies four k of all chains.
	four := func(k int, fetch bool) {
		for chain := range chains {
			if chain%s.Groups == 0 {
				for i := range 4 {
					t.VBROADCASTSS(operand.Mem{Base: x, Disp: chain/s.Groups*blockBytes + 4*(k+i)}, ymm(4+i))
				}
			}
			p := chains[chain]
			for r := range 4 {
				t.VMOVUPS(row(p, r, 4*k), xmm(r))
				if k == 0 {
					t.VINSERTF128(operand.U8(1), row(p, r+4, 0), ymm(r), ymm(r))
				} else { // the four k before aren't used: a Zen 3 blends faster than it inserts
					t.VBLENDPS(operand.U8(0xf0), row(p, r+4, 4*(k-4)), ymm(r), ymm(r))
				}
			}
			t.transpose4(ymm, 0)
			for i := range 4 {
				t.VFMADD231PS(ymm(4+i), ymm(i), sum(chain))
			}
			if fetch {
				t.LEAQ(operand.Mem{Base: p, Index: next, Scale: 1}, ahead)
				for r := range 2 {
					t.PREFETCHT1(row(ahead, k/2+r, blockBytes/2))
				}
			}
		}
	}
	advance := func(n int) {
		t.ADDQ(operand.I32(int32(4*n)), x)
		for _, p := range chains {
			t.ADDQ(operand.I32(int32(4*n)), p)
		}
	}
	const line = 16
	t.SUBQ(operand.I8(line), k)
	if s.Blocks == 1 {
		t.JL(operand.LabelRef("fours"))
	}
	t.Label("line")
	t.MOVQ(t.addr("fetch"), ahead)
	t.TESTQ(ahead, ahead)
	t.JNE(operand.LabelRef("fetching"))
	for i := 0; i < line; i += 4 {
		four(i, false)
	}
	t.Label("next")
	advance(line)
	t.SUBQ(operand.I8(line), k)
	t.JGE(operand.LabelRef("line"))
	if s.Blocks == 1 { // else k is that of whole blocks
		t.Label("fours")
		t.ADDQ(operand.I8(line-4), k)
		t.JL(operand.LabelRef("ones"))
		t.Label("four")
		four(0, false)
		advance(4)
		t.SUBQ(operand.I8(4), k)
		t.JGE(operand.LabelRef("four"))
		t.Label("ones")
		t.ADDQ(operand.I8(4), k)
		t.JE(operand.LabelRef("end"))
		t.Label("one")
		t.VBROADCASTSS(operand.Mem{Base: x}, ymm(4))
		for chain, p := range chains {
			for half := range 2 {
				t.VMOVSS(row(p, 4*half, 0), xmm(half))
				for r := 1; r < 4; r++ {
					t.VINSERTPS(operand.U8(uint8(r<<4)), row(p, 4*half+r, 0), xmm(half), xmm(half))
				}
			}
			t.VINSERTF128(operand.U8(1), xmm(1), ymm(0), ymm(0))
			t.VFMADD231PS(ymm(4), ymm(0), sum(chain))
		}
		advance(1)
		t.SUBQ(operand.I8(1), k)
		t.JNE(operand.LabelRef("one"))
	}
	t.Label("end")
	t.MOVQ(c, x)
	t.MOVQ(t.addr("add"), k)
	t.TESTQ(k, k)
	t.JE(operand.LabelRef("store"))
	for g := range s.Groups {
		t.VADDPS(operand.Mem{Base: x, Disp: 32 * g}, sum(g), sum(g))
	}
	t.Label("store")
	for i := s.Groups; i < len(chains); i++ {
		g := i % s.Groups
		t.VADDPS(sum(i), sum(g), sum(g))
	}
	for g := range s.Groups {
		t.VMOVUPS(sum(g), operand.Mem{Base: x, Disp: 32 * g})
	}
	t.ADDQ(operand.I32(int32(32*s.Groups)), x)
	t.MOVQ(x, c)
	t.MOVQ(t.addr("k"), k) // back to the first k of the next strip
	t.NEGQ(k)
	t.LEAQ(operand.Mem{Base: chains[0], Index: k, Scale: 4}, chains[0])
	t.ADDQ(next, chains[0])
	t.MOVQ(left, k)
	t.SUBQ(operand.I8(1), k)
	t.MOVQ(k, left)
	t.JNE(operand.LabelRef("strip"))
	t.rare = append(t.rare, func() {
		t.Label("fetching")
		for i := 0; i < line; i += 4 {
			four(i, true)
		}
		t.JMP(operand.LabelRef("next"))
	})
	t.End()
}
