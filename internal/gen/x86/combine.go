package x86

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// Combine emits the product of a row and a matrix whose rows are at a stride in bytes,
// for columns in whole vectors:
//
//	s = +0, or c[j] with more;  s = fma(x[k], b[k,j], s) for k in order;  c[j] = s
//
// Four rows of b are read at a time, from the first column to the last, as a processor
// foresees: the sums wait in c.
func (t *Target) Combine() {
	const most, unroll = 4, 4 // rows, and vectors of each
	vector := 4 * t.Lanes()
	t.Function("Combine" + t.Suffix())
	t.SignatureExpr(vec.CombineSignature)
	t.Attributes(attr.NOSPLIT)
	x, k, n, j := reg.RAX, reg.RBX, reg.RDX, reg.RCX
	one, c := reg.RSI, reg.RDI
	rows := []reg.GPPhysical{reg.R10, reg.R11, reg.R12, reg.R13}
	y := func(r int) reg.VecPhysical { return t.v(vec.Reg(r)) }
	factor := func(r int) reg.VecPhysical { return y(8 + r) }

	t.MOVQ(t.addr("c"), c)
	t.MOVQ(t.addr("x"), x)
	t.MOVQ(t.addr("b"), rows[0])
	t.MOVQ(t.addr("stride"), one)
	t.MOVQ(t.addr("k"), k)
	t.MOVQ(t.addr("n"), n)
	t.SHLQ(operand.U8(2), n)
	t.ADDQ(n, c) // ends, from which j counts up to 0
	t.ADDQ(n, rows[0])
	t.NEGQ(n)
	// pass adds some rows of b to the sums.
	pass := func(name string, count int, first bool) {
		at := func(base reg.Register, v int) operand.Mem {
			return operand.Mem{Base: base, Index: j, Scale: 1, Disp: vector * v}
		}
		vectors := func(count int, of []reg.GPPhysical) {
			for v := range count {
				if first {
					t.Zero(vec.Reg(v))
				} else {
					t.VMOVUPS(at(c, v), y(v))
				}
				for r, p := range of {
					t.VFMADD231PS(at(p, v), factor(r), y(v))
				}
				t.VMOVUPS(y(v), at(c, v))
			}
			t.ADDQ(operand.I32(int32(vector*count)), j)
		}
		for r := range count {
			t.VBROADCASTSS(operand.Mem{Base: x, Disp: 4 * r}, factor(r))
			if r > 0 {
				t.LEAQ(operand.Mem{Base: rows[r-1], Index: one, Scale: 1}, rows[r])
			}
		}
		t.MOVQ(n, j)
		t.ADDQ(operand.I32(int32(vector*unroll)), j)
		t.JG(operand.LabelRef(name + "rest"))
		t.SUBQ(operand.I32(int32(vector*unroll)), j)
		t.Label(name + "vectors")
		vectors(unroll, rows[:count])
		t.CMPQ(j, operand.I32(int32(-vector*unroll)))
		t.JLE(operand.LabelRef(name + "vectors"))
		t.TESTQ(j, j)
		t.JE(operand.LabelRef(name + "end"))
		t.JMP(operand.LabelRef(name + "vector"))
		t.Label(name + "rest")
		t.SUBQ(operand.I32(int32(vector*unroll)), j)
		t.Label(name + "vector")
		vectors(1, rows[:count])
		t.JNE(operand.LabelRef(name + "vector"))
		t.Label(name + "end")
		t.ADDQ(operand.I32(int32(4*count)), x)
		t.LEAQ(operand.Mem{Base: rows[count-1], Index: one, Scale: 1}, rows[0])
	}
	t.MOVQ(t.addr("more"), j)
	t.TESTQ(j, j)
	t.JNE(operand.LabelRef("next"))
	t.SUBQ(operand.I8(most), k)
	t.JL(operand.LabelRef("few"))
	pass("first", most, true)
	t.JMP(operand.LabelRef("next"))
	t.Label("few")
	pass("single", 1, true)
	t.ADDQ(operand.I8(most-1), k)
	t.JE(operand.LabelRef("done"))
	t.JMP(operand.LabelRef("one"))
	t.Label("rows")
	pass("rows", most, false)
	t.Label("next")
	t.SUBQ(operand.I8(most), k)
	t.JGE(operand.LabelRef("rows"))
	t.ADDQ(operand.I8(most), k)
	t.JE(operand.LabelRef("done"))
	t.Label("one")
	pass("one", 1, false)
	t.SUBQ(operand.I8(1), k)
	t.JNE(operand.LabelRef("one"))
	t.Label("done")
	t.End()
}
