package x86

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// Transpose emits the transposition of strips of 8 rows below each other, 8 columns
// at a time: two strips fill the lines of dst. The rows r and r+4 of a strip share a
// register, so that 4x4 transpositions in its halves are all that is left; loading
// halves costs no shuffle.
func (t *Target) Transpose() {
	t.Function("Transpose" + t.Suffix())
	t.SignatureExpr(vec.TransposeSignature)
	t.Attributes(attr.NOSPLIT)
	dst, src, blocks, left := reg.RBX, reg.RAX, reg.RDI, reg.R13
	ds, ss := strides{reg.RCX, reg.RDX}, strides{reg.RSI, reg.R8}
	rows, rows4 := reg.R10, reg.R11 // of a strip, from 0 and from 4
	to, to4 := reg.R12, reg.R9
	t.MOVQ(t.addr("dst"), dst)
	t.MOVQ(t.addr("src"), src)
	t.MOVQ(t.addr("dstStride"), ds.one)
	t.MOVQ(t.addr("srcStride"), ss.one)
	t.MOVQ(t.addr("blocks"), blocks)
	for _, s := range []strides{ds, ss} {
		t.SHLQ(operand.U8(2), s.one)
		t.LEAQ(operand.Mem{Base: s.one, Index: s.one, Scale: 2}, s.three)
	}
	x := func(r int) reg.VecPhysical { return vectors[r] }
	y := func(r int) reg.VecPhysical { return vectors[r].AsY().(reg.VecPhysical) }
	t.Label("block")
	t.MOVQ(src, rows)
	t.LEAQ(ss.at(src, 4, 0), rows4)
	t.MOVQ(dst, to)
	t.LEAQ(ds.at(dst, 4, 0), to4)
	t.MOVQ(t.addr("strips"), left)
	t.Label("strip")
	for half := range 2 {
		for r := range 4 {
			t.VMOVUPS(ss.at(rows, r, 16*half), x(4*half+r))
			t.VINSERTF128(operand.U8(1), ss.at(rows4, r, 16*half), y(4*half+r), y(4*half+r))
		}
	}
	for h := 0; h < 8; h += 4 {
		t.transpose4(y, h)
	}
	for r := range 4 {
		t.VMOVUPS(y(r), ds.at(to, r, 0))
	}
	for r := range 4 {
		t.VMOVUPS(y(4+r), ds.at(to4, r, 0))
	}
	for _, p := range []reg.GPPhysical{rows, rows4} {
		t.LEAQ(operand.Mem{Base: p, Index: ss.one, Scale: 8}, p)
	}
	for _, p := range []reg.GPPhysical{to, to4} {
		t.ADDQ(operand.I32(32), p)
	}
	t.SUBQ(operand.I32(1), left)
	t.JNE(operand.LabelRef("strip"))
	t.ADDQ(operand.I32(32), src)
	t.LEAQ(operand.Mem{Base: dst, Index: ds.one, Scale: 8}, dst)
	t.SUBQ(operand.I32(1), blocks)
	t.JNE(operand.LabelRef("block"))
	t.End()
}

// transpose4 transposes the 4x4 blocks in the halves of registers h to h+3.
func (t *Target) transpose4(y func(int) reg.VecPhysical, h int) { // rows a b c d
	t.VUNPCKLPS(y(h+1), y(h), y(8+h))    // a0 b0 a1 b1
	t.VUNPCKHPS(y(h+1), y(h), y(9+h))    // a2 b2 a3 b3
	t.VUNPCKLPS(y(h+3), y(h+2), y(10+h)) // c0 d0 c1 d1
	t.VUNPCKHPS(y(h+3), y(h+2), y(11+h))
	t.VSHUFPS(operand.U8(0x44), y(10+h), y(8+h), y(h)) // a0 b0 c0 d0
	t.VSHUFPS(operand.U8(0xee), y(10+h), y(8+h), y(h+1))
	t.VSHUFPS(operand.U8(0x44), y(11+h), y(9+h), y(h+2))
	t.VSHUFPS(operand.U8(0xee), y(11+h), y(9+h), y(h+3))
}
