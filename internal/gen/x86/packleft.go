package x86

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// PackRows emits the copy of tiles of A, of a height of 4 rows to those of a vector, to
// consecutive columns: the transposition of eight k at a time, four rows to each 128 bits
// of a vector. Columns are stored in order, as vectors that the next one overwrites in
// part; what a vector has beyond the last column is overwritten, too.
func (t *Target) PackRows(height int) {
	t.Function(fmt.Sprint("PackRows", height, t.Suffix()))
	t.SignatureExpr(vec.PackLeftSignature)
	t.Attributes(attr.NOSPLIT)
	dst, src, tiles, left := reg.RBX, reg.RAX, reg.RDI, reg.RDX
	ss := strides{reg.RSI, reg.R8}
	groups := []reg.GPPhysical{reg.R10, reg.R11, reg.R12, reg.R13}[:(height+3)/4] // of rows
	t.MOVQ(t.addr("dst"), dst)
	t.MOVQ(t.addr("src"), src)
	t.MOVQ(t.addr("stride"), ss.one)
	t.MOVQ(t.addr("tiles"), tiles)
	t.SHLQ(operand.U8(2), ss.one)
	t.LEAQ(operand.Mem{Base: ss.one, Index: ss.one, Scale: 2}, ss.three)
	x := func(r int) reg.VecPhysical { return vectors[r] }
	v := func(r int) reg.VecPhysical { return t.v(vec.Reg(r)) }
	row := func(r, disp int) operand.Mem { return ss.at(groups[r/4], r%4, disp) }
	t.Label("tile")
	t.MOVQ(src, groups[0])
	for i := range groups[1:] {
		t.LEAQ(ss.at(groups[i], 4, 0), groups[i+1])
	}
	t.MOVQ(t.addr("k"), left)
	t.SUBQ(operand.I8(8), left)
	t.JL(operand.LabelRef("rest"))
	t.Label("eight")
	for half := range 2 {
		for r := range 4 {
			t.VMOVUPS(row(r, 16*half), x(4*half+r))
			for group := 1; 4*group+r < height; group++ {
				into, from := v(4*half+r), row(4*group+r, 16*half)
				if t.Wide {
					t.VINSERTF32X4(operand.U8(uint8(group)), from, into, into)
				} else {
					t.VINSERTF128(operand.U8(1), from, into, into)
				}
			}
		}
	}
	for h := 0; h < 8; h += 4 {
		t.transpose4(v, h)
	}
	for k := range 8 {
		m := operand.Mem{Base: dst, Disp: 4 * height * k}
		if height == 4 {
			t.VMOVUPS(x(k), m)
		} else {
			t.VMOVUPS(v(k), m)
		}
	}
	t.ADDQ(operand.I32(int32(4*8*height)), dst)
	for _, rows := range groups {
		t.ADDQ(operand.I8(32), rows)
	}
	t.SUBQ(operand.I8(8), left)
	t.JGE(operand.LabelRef("eight"))
	t.Label("rest")
	t.ADDQ(operand.I8(8), left)
	t.JE(operand.LabelRef("next"))
	t.Label("one")
	for r := range height {
		t.VMOVSS(row(r, 0), x(r))
	}
	for r := range height {
		t.VMOVSS(x(r), operand.Mem{Base: dst, Disp: 4 * r})
	}
	t.ADDQ(operand.I32(int32(4*height)), dst)
	for _, rows := range groups {
		t.ADDQ(operand.I8(4), rows)
	}
	t.SUBQ(operand.I8(1), left)
	t.JNE(operand.LabelRef("one"))
	t.Label("next")
	for range height / 4 {
		t.LEAQ(ss.at(src, 4, 0), src)
	}
	for range height % 4 {
		t.ADDQ(ss.one, src)
	}
	t.SUBQ(operand.I8(1), tiles)
	t.JNE(operand.LabelRef("tile"))
	t.End()
}

// PackCols emits the same from a matrix that lies by columns.
func (t *Target) PackCols(height int) {
	t.Function(fmt.Sprint("PackCols", height, t.Suffix()))
	t.SignatureExpr(vec.PackLeftSignature)
	t.Attributes(attr.NOSPLIT)
	dst, src, stride, k, left := reg.RBX, reg.RAX, reg.RSI, reg.RDX, reg.RDI
	from, to, next := reg.R10, reg.R11, reg.RCX // of a tile, and from one to the next
	t.MOVQ(t.addr("dst"), dst)
	t.MOVQ(t.addr("src"), src)
	t.MOVQ(t.addr("stride"), stride)
	t.MOVQ(t.addr("k"), k)
	t.SHLQ(operand.U8(2), stride)
	t.IMUL3Q(operand.I8(int8(4*height)), k, next)
	if t.Wide {
		t.MOVL(operand.U32(1<<height-1), reg.EDI) // left, for now
		t.KMOVW(reg.EDI, reg.K1)
	}
	t.Label("column")
	t.MOVQ(t.addr("tiles"), left)
	t.MOVQ(src, from)
	t.MOVQ(dst, to)
	t.Label("tile")
	at := func(base reg.Register, r int) operand.Mem { return operand.Mem{Base: base, Disp: 4 * r} }
	if t.Wide {
		t.VMOVUPS_Z(at(from, 0), reg.K1, reg.Z0)
		t.VMOVUPS(reg.Z0, reg.K1, at(to, 0))
	} else {
		t.VMOVUPS(at(from, 0), reg.X0)
		switch height {
		case 5:
			t.VMOVSS(at(from, 4), reg.X1)
		case 6:
			t.VMOVSD(at(from, 4), reg.X1)
		}
		t.VMOVUPS(reg.X0, at(to, 0))
		switch height {
		case 5:
			t.VMOVSS(reg.X1, at(to, 4))
		case 6:
			t.VMOVSD(reg.X1, at(to, 4))
		}
	}
	t.ADDQ(operand.I8(int8(4*height)), from)
	t.ADDQ(next, to)
	t.SUBQ(operand.I8(1), left)
	t.JNE(operand.LabelRef("tile"))
	t.ADDQ(stride, src)
	t.ADDQ(operand.I8(int8(4*height)), dst)
	t.SUBQ(operand.I8(1), k)
	t.JNE(operand.LabelRef("column"))
	t.End()
}
