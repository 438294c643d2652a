package x86

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// Pack emits the copy of panels of two vectors of columns into consecutive rows.
func (t *Target) Pack() {
	t.pack("Pack", vec.PackSignature, 4, 4, t.VMOVUPS, t.store)
}

// PackHalf emits the same from float16.
func (t *Target) PackHalf() {
	t.pack("PackHalf", vec.PackHalfSignature, 4, 2, t.VCVTPH2PS, t.store)
}

// PackRounded emits the same to float16.
func (t *Target) PackRounded() {
	t.pack("PackRounded", vec.PackRoundedSignature, 2, 4, t.VMOVUPS, func(s vec.Reg, m operand.Mem) { t.storeHalf(s, m, s) })
}

func (t *Target) store(s vec.Reg, m operand.Mem) { t.VMOVUPS(t.v(s), m) }

// pack: the sizes are those of elements.
func (t *Target) pack(name, signature string, to, from int, load func(...operand.Op), store func(vec.Reg, operand.Mem)) {
	t.Function(name + t.Suffix())
	t.SignatureExpr(signature)
	t.Attributes(attr.NOSPLIT)
	dst, src, stride, rows, panels, row := reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI
	t.MOVQ(t.addr("dst"), dst)
	t.MOVQ(t.addr("src"), src)
	t.MOVQ(t.addr("stride"), stride)
	t.MOVQ(t.addr("panels"), panels)
	t.SHLQ(operand.U8(uint8(from/2)), stride)
	lanes := t.Lanes()
	t.Label("panel")
	t.MOVQ(src, row)
	t.MOVQ(t.addr("rows"), rows)
	t.Label("row")
	for v := range 2 {
		load(operand.Mem{Base: row, Disp: from * lanes * v}, t.v(vec.Reg(v)))
	}
	for v := range 2 {
		store(vec.Reg(v), operand.Mem{Base: dst, Disp: to * lanes * v})
	}
	t.ADDQ(stride, row)
	t.ADDQ(operand.I32(int32(2*to*lanes)), dst)
	t.SUBQ(operand.I32(1), rows)
	t.JNE(operand.LabelRef("row"))
	t.ADDQ(operand.I32(int32(2*from*lanes)), src)
	t.SUBQ(operand.I32(1), panels)
	t.JNE(operand.LabelRef("panel"))
	t.End()
}
