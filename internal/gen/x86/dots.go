package x86

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// DotGroups returns how many groups of rows there are routines for: so many chains that
// they don't wait for each other, and one for what remains.
func (t *Target) DotGroups() []int { return []int{4, 1} }

// Dots emits the product of a row and the transpose of a matrix of rows at a stride in
// bytes, in strips of some groups of 8 rows:
//
//	s = +0;  s = fma(x[k], b[j,k], s) for k in order
//	c[j] = s, or c[j] + s
//
// The lanes of a vector are the outputs of a group: four k of its rows are transposed
// at a time. Two groups use up a line of each row before the next ones' turn, as the
// lines of more rows, which often share sets of the first cache, don't fit in. If fetch
// is 1, as many bytes as a strip has are fetched meanwhile from where the next begins:
// all of that, if rows follow each other and have one block of k; else some rows of it.
func (t *Target) Dots(groups int) {
	t.Function(fmt.Sprint("Dots", 8*groups, t.Suffix()))
	t.SignatureExpr(vec.DotsSignature)
	t.Attributes(attr.NOSPLIT)
	x, k, next, ahead := reg.RAX, reg.RBX, reg.RDX, reg.RCX
	one, three, five, seven := reg.RSI, reg.RDI, reg.R8, reg.R9
	group := []reg.GPPhysical{reg.R10, reg.R11, reg.R12, reg.R13}[:groups]
	row := func(base reg.Register, r, disp int) operand.Mem {
		m := operand.Mem{Base: base, Disp: disp}
		if r > 0 {
			m.Index, m.Scale = [...]reg.Register{nil, one, one, three, one, five, three, seven}[r], [...]uint8{0, 1, 2, 1, 4, 1, 2, 1}[r]
		}
		return m
	}
	xmm := func(r int) reg.VecPhysical { return vectors[r] }
	ymm := func(r int) reg.VecPhysical { return vectors[r].AsY().(reg.VecPhysical) }
	sum := func(g int) reg.VecPhysical { return ymm(12 + g) }
	c, left := t.AllocLocal(8), t.AllocLocal(8)

	t.MOVQ(t.addr("stride"), one)
	t.LEAQ(operand.Mem{Base: one, Index: one, Scale: 2}, three)
	t.LEAQ(operand.Mem{Base: one, Index: one, Scale: 4}, five)
	t.LEAQ(operand.Mem{Base: three, Index: one, Scale: 4}, seven)
	t.IMUL3Q(operand.I32(int32(8*groups)), one, next)
	t.MOVQ(t.addr("b"), group[0])
	t.MOVQ(t.addr("c"), k)
	t.MOVQ(k, c)
	t.MOVQ(t.addr("strips"), k)
	t.MOVQ(k, left)
	t.Label("strip")
	for g := 1; g < groups; g++ {
		t.LEAQ(operand.Mem{Base: group[g-1], Index: one, Scale: 8}, group[g])
	}
	for g := range groups {
		t.VXORPS(sum(g), sum(g), sum(g))
	}
	t.MOVQ(t.addr("fetch"), ahead) // 0, or what is fetched
	t.TESTQ(ahead, ahead)
	t.JE(operand.LabelRef("sums"))
	t.LEAQ(operand.Mem{Base: group[0], Index: next, Scale: 1}, ahead)
	t.Label("sums")
	t.MOVQ(t.addr("x"), x)
	t.MOVQ(t.addr("k"), k)
	// four multiplies four k of some groups.
	four := func(k, from, to int) {
		for i := range 4 {
			t.VBROADCASTSS(operand.Mem{Base: x, Disp: 4 * (k + i)}, ymm(4+i))
		}
		for g := from; g < to; g++ {
			for r := range 4 {
				t.VMOVUPS(row(group[g], r, 4*k), xmm(r))
				t.VINSERTF128(operand.U8(1), row(group[g], r+4, 4*k), ymm(r), ymm(r))
			}
			t.transpose4(ymm, 0)
			for i := range 4 {
				t.VFMADD231PS(ymm(4+i), ymm(i), sum(g))
			}
		}
	}
	advance := func(n int) {
		t.ADDQ(operand.I32(int32(4*n)), x)
		for _, p := range group {
			t.ADDQ(operand.I32(int32(4*n)), p)
		}
	}
	const line = 16
	t.SUBQ(operand.I8(line), k)
	t.JL(operand.LabelRef("fours"))
	t.Label("line")
	t.TESTQ(ahead, ahead)
	t.JE(operand.LabelRef("fetched"))
	for i := range 8 * groups {
		t.PREFETCHT1(operand.Mem{Base: ahead, Disp: 64 * i})
	}
	t.ADDQ(operand.I32(int32(64*8*groups)), ahead)
	t.Label("fetched")
	for g := 0; g < groups; g += 2 {
		for i := 0; i < line; i += 4 {
			four(i, g, min(g+2, groups))
		}
	}
	advance(line)
	t.SUBQ(operand.I8(line), k)
	t.JGE(operand.LabelRef("line"))
	t.Label("fours")
	t.ADDQ(operand.I8(line-4), k)
	t.JL(operand.LabelRef("ones"))
	t.Label("four")
	four(0, 0, groups)
	advance(4)
	t.SUBQ(operand.I8(4), k)
	t.JGE(operand.LabelRef("four"))
	t.Label("ones")
	t.ADDQ(operand.I8(4), k)
	t.JE(operand.LabelRef("end"))
	t.Label("one")
	t.VBROADCASTSS(operand.Mem{Base: x}, ymm(4))
	for g := range groups {
		for half := range 2 {
			t.VMOVSS(row(group[g], 4*half, 0), xmm(half))
			for r := 1; r < 4; r++ {
				t.VINSERTPS(operand.U8(uint8(r<<4)), row(group[g], 4*half+r, 0), xmm(half), xmm(half))
			}
		}
		t.VINSERTF128(operand.U8(1), xmm(1), ymm(0), ymm(0))
		t.VFMADD231PS(ymm(4), ymm(0), sum(g))
	}
	advance(1)
	t.SUBQ(operand.I8(1), k)
	t.JNE(operand.LabelRef("one"))
	t.Label("end")
	t.MOVQ(c, x)
	t.MOVQ(t.addr("add"), k)
	t.TESTQ(k, k)
	t.JE(operand.LabelRef("store"))
	for g := range groups {
		t.VADDPS(operand.Mem{Base: x, Disp: 32 * g}, sum(g), sum(g))
	}
	t.Label("store")
	for g := range groups {
		t.VMOVUPS(sum(g), operand.Mem{Base: x, Disp: 32 * g})
	}
	t.ADDQ(operand.I32(int32(32*groups)), x)
	t.MOVQ(x, c)
	t.MOVQ(t.addr("k"), k) // back to the first k of the next strip
	t.NEGQ(k)
	t.LEAQ(operand.Mem{Base: group[0], Index: k, Scale: 4}, group[0])
	t.ADDQ(next, group[0])
	t.MOVQ(left, k)
	t.SUBQ(operand.I8(1), k)
	t.MOVQ(k, left)
	t.JNE(operand.LabelRef("strip"))
	t.End()
}
