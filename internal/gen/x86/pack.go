package x86

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// Pack emits the copy of a panel of two vectors of columns into consecutive
// rows.
func (t *Target) Pack() {
	t.pack("Pack", vec.PackSignature, 4, t.VMOVUPS)
}

// PackHalf emits the same from float16.
func (t *Target) PackHalf() {
	t.pack("PackHalf", vec.PackHalfSignature, 2, t.VCVTPH2PS)
}

func (t *Target) pack(name, signature string, size int, load func(...operand.Op)) {
	t.Function(name + t.Suffix())
	t.SignatureExpr(signature)
	t.Attributes(attr.NOSPLIT)
	dst, src, stride, rows := reg.RAX, reg.RBX, reg.RCX, reg.RDX
	t.MOVQ(t.addr("dst"), dst)
	t.MOVQ(t.addr("src"), src)
	t.MOVQ(t.addr("stride"), stride)
	t.MOVQ(t.addr("rows"), rows)
	t.SHLQ(operand.U8(uint8(size/2)), stride)
	bytes := 4 * t.Lanes()
	t.Label("row")
	for v := range vec.Reg(2) {
		load(operand.Mem{Base: src, Disp: size * t.Lanes() * int(v)}, t.v(v))
	}
	for v := range vec.Reg(2) {
		t.VMOVUPS(t.v(v), operand.Mem{Base: dst, Disp: bytes * int(v)})
	}
	t.ADDQ(stride, src)
	t.ADDQ(operand.I32(int32(2*bytes)), dst)
	t.SUBQ(operand.I32(1), rows)
	t.JNE(operand.LabelRef("row"))
	t.End()
}
