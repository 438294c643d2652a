// Package x86 lowers kernels to AVX2 with FMA and to AVX-512 through avo, with
// registers that package vec has allocated.
package x86

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// A Target is AVX2, or AVX-512 if Wide.
type Target struct {
	*File
	Wide   bool
	narrow int             // lanes of the vectors now; 0: all
	mask   reg.VecPhysical // of a partial vector, AVX2
	left   reg.GPPhysical  // its number of elements
	labels int             // made so far
	rare   []func()        // code after the routine, for cases that hardly occur
}

// File is the assembly file that both targets write to.
type File struct {
	*build.Context
	consts map[uint32]operand.Mem
	masks  *operand.Mem    // table of AVX2 masks for partial vectors
	lanes  *operand.Mem    // the integers 0 to 15
	placed map[string]bool // labels of loops
}

// NewFile returns a file for package asm.
func NewFile() *File {
	c := build.NewContext()
	c.ConstraintExpr("!purego")
	return &File{Context: c, consts: map[uint32]operand.Mem{}, placed: map[string]bool{}}
}

// The general registers: all but SP, BP (frame), R14 (goroutine) and R15 (GOT).
var gps = []reg.GPPhysical{
	reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI,
	reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13,
}

var vectors = []reg.VecPhysical{
	reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7,
	reg.X8, reg.X9, reg.X10, reg.X11, reg.X12, reg.X13, reg.X14, reg.X15,
	reg.X16, reg.X17, reg.X18, reg.X19, reg.X20, reg.X21, reg.X22, reg.X23,
	reg.X24, reg.X25, reg.X26, reg.X27, reg.X28, reg.X29, reg.X30, reg.X31,
}

// K1 masks partial vectors, K6 and K7 are scratch; these hold results of Less.
var opmasks = []reg.OpmaskPhysical{reg.K2, reg.K3, reg.K4, reg.K5}

func (t *Target) Suffix() string {
	if t.Wide {
		return "AVX512"
	}
	return "AVX2"
}

func (t *Target) Lanes() int {
	if t.Wide {
		return 16
	}
	return 8
}

func (t *Target) Registers() int {
	if t.Wide {
		return 32
	}
	return 16
}

func (t *Target) Masks() int {
	if t.Wide {
		return len(opmasks)
	}
	return 0
}

func (t *Target) PartialInVector() bool { return !t.Wide }
func (t *Target) MemoryConstants() bool { return true }

// InPlace: most operations are one instruction; in the others a source may be
// read after the result's register is written.
func (t *Target) InPlace(op vec.Op, a int) bool {
	switch op {
	case vec.StepQuotient, vec.CopySign:
		return a == 0
	case vec.RootSum:
		return false
	}
	return true
}

// MemoryVector: a load less. Multiply-adds overwrite a source.
func (t *Target) MemoryVector(op vec.Op, a int, dying bool) bool {
	switch op {
	case vec.FMA, vec.FNMA, vec.FMS:
		return dying
	case vec.Add, vec.Mul, vec.And, vec.Or, vec.Xor, vec.IntAdd, vec.IntMul, vec.IntMax:
		return true
	case vec.Sub, vec.Div, vec.Least, vec.Greatest, vec.AndNot, vec.IntSub, vec.Less, vec.Equal, vec.Keep, vec.Drop:
		return a == 1
	case vec.IntEqual:
		return true
	case vec.IntLess:
		return a == 0
	case vec.Select:
		return a == 1
	case vec.Sqrt:
		return true
	}
	return false
}

// Temporaries: one for an operand that has to be in a register, or what the operation
// takes besides.
func (t *Target) Temporaries(op vec.Op, args []vec.Operand) int {
	n := 0
	for _, a := range args {
		if !a.InReg() {
			n = 1
		}
	}
	switch op {
	case vec.Exceeds:
		n++
	case vec.Flush, vec.CopySign, vec.Scale:
		n = max(n, 1)
	case vec.ScaleWide, vec.RootEstimate:
		n = 2
	case vec.Unusual, vec.Significand, vec.Exponent, vec.StepQuotient, vec.RootSum:
		n = 4
	}
	return n
}

func (t *Target) v(r vec.Reg) reg.VecPhysical {
	x := vectors[r]
	switch {
	case 0 < t.narrow && t.narrow <= 4:
		return x
	case t.Wide && t.narrow == 0:
		return x.AsZ().(reg.VecPhysical)
	}
	return x.AsY().(reg.VecPhysical)
}

func gp(r vec.GP) reg.GPPhysical {
	if int(r) >= len(gps) {
		panic("x86: out of general registers")
	}
	return gps[r]
}

func (t *Target) Begin(name string, k *vec.Kernel) {
	t.Function(name)
	t.SignatureExpr(k.Signature())
	t.Attributes(attr.NOSPLIT)
}

func (t *Target) End() {
	t.VZEROUPPER()
	t.RET()
	for len(t.rare) > 0 { // which may have rarer ones
		f := t.rare[0]
		t.rare = t.rare[1:]
		f()
	}
}

func (t *Target) addr(name string) operand.Mem {
	b, err := t.Param(name).Resolve()
	if err != nil {
		panic(fmt.Sprintf("x86: argument %s: %v", name, err))
	}
	return b.Addr
}

func (t *Target) Arg(d vec.GP, name string)        { t.MOVQ(t.addr(name), gp(d)) }
func (t *Target) Broadcast(d vec.Reg, name string) { t.VBROADCASTSS(t.addr(name), t.v(d)) }
func (t *Target) BroadcastAt(d vec.Reg, p vec.GP) {
	t.VBROADCASTSS(operand.Mem{Base: gp(p)}, t.v(d))
}

// constant returns a read-only vector of 32 bytes that repeats bits, as AVX2 needs
// it. AVX-512 instructions repeat the first four bytes themselves: the linker
// aligns data to 32 bytes at most, and half of all 64-byte loads would straddle two
// cache lines.
func (f *File) constant(bits uint32) operand.Mem {
	m, ok := f.consts[bits]
	if !ok {
		m = f.StaticGlobal(fmt.Sprintf("lanes_%08x", bits))
		f.DataAttributes(attr.RODATA | attr.NOPTR)
		for i := range 8 {
			f.AddDatum(4*i, operand.U32(bits))
		}
		f.consts[bits] = m
	}
	return m
}

func (t *Target) Constant(d vec.Reg, bits uint32) { t.VBROADCASTSS(t.constant(bits), t.v(d)) }

// form returns the instruction for a source: one that repeats a constant, with AVX-512.
func (t *Target) form(source vec.Operand, plain, broadcast func(...operand.Op)) func(...operand.Op) {
	if source.Const && t.Wide {
		return broadcast
	}
	return plain
}

func (t *Target) LaneNumbers(d vec.Reg) {
	if t.lanes == nil {
		m := t.StaticGlobal("lane_numbers")
		t.DataAttributes(attr.RODATA | attr.NOPTR)
		for i := range 16 {
			t.AddDatum(4*i, operand.U32(i))
		}
		t.lanes = &m
	}
	t.VMOVUPS(*t.lanes, t.v(d))
}

func (t *Target) Zero(d vec.Reg) {
	if d < 16 {
		x := vectors[d]
		t.VPXOR(x, x, x)
	} else {
		t.VPXORD(t.v(d), t.v(d), t.v(d))
	}
}

func (t *Target) Result(i int, r vec.Reg) {
	b, err := t.ReturnIndex(i).Resolve()
	if err != nil {
		panic(err)
	}
	t.VMOVSS(vectors[r], b.Addr)
}

func (t *Target) StoreAt(s vec.Reg, p vec.GP) {
	t.VMOVSS(vectors[s], operand.Mem{Base: gp(p)})
}

func (t *Target) Spread(d vec.Reg) { t.VBROADCASTSS(vectors[d], t.v(d)) }

// Narrow: divisions and roots of a short vector are faster.
func (t *Target) Narrow(lanes int) { t.narrow = lanes }

// Pieces: what was stored in parts, or with a mask, a masked load has to wait for, by
// some 4 ns.
func (t *Target) Pieces() []int {
	if t.Wide {
		return []int{8, 4, 2, 1}
	}
	return []int{4, 2, 1}
}

// Loop emits a label, with AVX2 at the beginning of a cache line: short products, and
// steps that fetch ahead, are up to a tenth faster. Others are not.
func (t *Target) Loop(name string) {
	if !t.Wide {
		t.Instruction(&ir.Instruction{Opcode: "PCALIGN", Operands: []operand.Op{operand.Imm(64)}})
	}
	t.Label(name)
}

func (t *Target) Label(name string)      { t.Context.Label(name) }
func (t *Target) Jump(label string)      { t.JMP(operand.LabelRef(label)) }
func (t *Target) AddImm(r vec.GP, n int) { t.ADDQ(operand.I32(int32(n)), gp(r)) }
func (t *Target) MoveInt(d, s vec.GP)    { t.MOVQ(gp(s), gp(d)) }
func (t *Target) ZeroInt(d vec.GP)       { t.XORL(gp(d).As32(), gp(d).As32()) }
func (t *Target) AddInt(d, s vec.GP)     { t.ADDQ(gp(s), gp(d)) }
func (t *Target) SubInt(d, s vec.GP)     { t.SUBQ(gp(s), gp(d)) }
func (t *Target) MulInt(d, s vec.GP)     { t.IMULQ(gp(s), gp(d)) }
func (t *Target) Scale4(d vec.GP)        { t.SHLQ(operand.U8(2), gp(d)) }
func (t *Target) AddScaled(d, s vec.GP) {
	t.LEAQ(operand.Mem{Base: gp(d), Index: gp(s), Scale: 4}, gp(d))
}

func (t *Target) Remainder(d vec.GP, n int) { t.ANDQ(operand.I32(int32(n-1)), gp(d)) }

func (t *Target) IndexAt(d, p vec.GP, _ vec.Reg) {
	t.VCVTTSS2SIQ(operand.Mem{Base: gp(p)}, gp(d))
}

func (t *Target) SubJump(r vec.GP, n int, c vec.Cond, label string) {
	t.SUBQ(operand.I32(int32(n)), gp(r))
	t.jump(c, label)
}

func (t *Target) CmpJump(r vec.GP, n int, c vec.Cond, label string) {
	if n == 0 {
		t.TESTQ(gp(r), gp(r))
	} else {
		t.CMPQ(gp(r), operand.I32(int32(n)))
	}
	t.jump(c, label)
}

func (t *Target) jump(c vec.Cond, label string) {
	l := operand.LabelRef(label)
	switch c {
	case vec.LT:
		t.JL(l)
	case vec.GE:
		t.JGE(l)
	case vec.EQ:
		t.JE(l)
	case vec.NE:
		t.JNE(l)
	}
}

// Partial sets K1, or the vector mask whose first n lanes are all ones.
func (t *Target) Partial(n vec.GP, mask vec.Reg, spare vec.GP) {
	scratch := gp(spare)
	if t.Wide {
		t.MOVL(operand.U32(0xffff), scratch.As32())
		t.BZHIL(gp(n).As32(), scratch.As32(), scratch.As32())
		t.KMOVW(scratch.As32(), reg.K1)
		return
	}
	t.mask, t.left = t.v(mask), gp(n)
	t.LEAQ(t.maskTable(), scratch)
	// The table holds 8 words of ones, then 8 of zeros: start n words before the zeros.
	t.NEGQ(gp(n))
	t.VMOVUPS(operand.Mem{Base: scratch, Index: gp(n), Scale: 4, Disp: 32}, t.mask)
	t.NEGQ(gp(n))
}

func (f *File) maskTable() operand.Mem {
	if f.masks == nil {
		m := f.StaticGlobal("partial_masks")
		f.DataAttributes(attr.RODATA | attr.NOPTR)
		for i := range 16 {
			bits := uint32(0)
			if i < 8 {
				bits = 0xffffffff
			}
			f.AddDatum(4*i, operand.U32(bits))
		}
		f.masks = &m
	}
	return *f.masks
}

func (t *Target) Load(d vec.Reg, p vec.GP, offset int, partial bool) {
	m := operand.Mem{Base: gp(p), Disp: offset}
	switch {
	case t.narrow == 1:
		t.VMOVSS(m, t.v(d))
	case t.narrow == 2:
		t.VMOVSD(m, t.v(d))
	case !partial || t.narrow > 0:
		t.VMOVUPS(m, t.v(d))
	case t.Wide:
		t.VMOVUPS_Z(m, reg.K1, t.v(d))
	default:
		t.VMASKMOVPS(m, t.mask, t.v(d))
	}
}

func (t *Target) Store(s vec.Reg, p vec.GP, offset int, partial bool) {
	m := operand.Mem{Base: gp(p), Disp: offset}
	switch {
	case t.narrow == 1:
		t.VMOVSS(t.v(s), m)
	case t.narrow == 2:
		t.VMOVSD(t.v(s), m)
	case !partial || t.narrow > 0:
		t.VMOVUPS(t.v(s), m)
	case t.Wide:
		t.VMOVUPS(t.v(s), reg.K1, m)
	default:
		t.storePartial(t.v(s), m)
	}
}

// storePartial stores 1 to 7 elements piece by piece: a masked store takes AMD's
// processors 8 ns.
func (t *Target) storePartial(s reg.VecPhysical, m operand.Mem) {
	t.labels++
	label := func(name string) (string, operand.LabelRef) {
		name = fmt.Sprint("store", t.labels, "_", name)
		return name, operand.LabelRef(name)
	}
	few, toFew := label("few")
	five, toFive := label("five")
	one, toOne := label("one")
	swap, toSwap := label("swap")
	end, toEnd := label("end")
	low := s.AsX()
	halves := func() { t.VPERM2F128(operand.U8(1), s, s, s) }
	t.CMPQ(t.left, operand.U8(4))
	t.JL(toFew)
	t.VMOVUPS(low, m)
	t.JE(toEnd)
	halves()
	t.CMPQ(t.left, operand.U8(6))
	t.JL(toFive)
	t.VMOVLPS(low, m.Offset(16))
	t.JE(toSwap)
	t.VEXTRACTPS(operand.U8(2), low, m.Offset(24))
	t.JMP(toSwap)
	t.Label(five)
	t.VMOVSS(low, m.Offset(16))
	t.Label(swap)
	halves()
	t.JMP(toEnd)
	t.Label(few)
	t.CMPQ(t.left, operand.U8(2))
	t.JL(toOne)
	t.VMOVLPS(low, m)
	t.JE(toEnd)
	t.VEXTRACTPS(operand.U8(2), low, m.Offset(8))
	t.JMP(toEnd)
	t.Label(one)
	t.VMOVSS(low, m)
	t.Label(end)
}

// StoreGroup: from its first cache, a Zen 3 adds two vectors of 1024 elements in 43 ns
// that way, in 51 with four loads of each, four additions and four stores. With AVX-512,
// a Zen 4 takes 41 for 47.
func (t *Target) StoreGroup() int {
	return 1
}

func (t *Target) StoreAround(s vec.Reg, p vec.GP, offset int) {
	t.VMOVNTPS(t.v(s), operand.Mem{Base: gp(p), Disp: offset})
}

func (t *Target) Fence() { t.SFENCE() }

func (t *Target) Fetch(p, distance vec.GP, offset int) {
	t.PREFETCHT0(operand.Mem{Base: gp(p), Index: gp(distance), Scale: 1, Disp: offset})
}

// half is the register for the float16 form of a vector.
func (t *Target) half(r vec.Reg) reg.VecPhysical {
	if t.Wide {
		return vectors[r].AsY().(reg.VecPhysical)
	}
	return vectors[r]
}

func (t *Target) LoadHalf(d vec.Reg, p vec.GP, offset int, partial bool) {
	m := operand.Mem{Base: gp(p), Disp: offset}
	switch {
	case !partial:
		t.VCVTPH2PS(m, t.v(d))
	case t.Wide:
		t.VCVTPH2PS_Z(m, reg.K1, t.v(d))
	default:
		x := t.half(d)
		t.VPXOR(x, x, x)
		t.eachHalf(func(i int) { t.VPINSRW(operand.U8(uint8(i)), m.Offset(2*i), x, x) })
		t.VCVTPH2PS(x, t.v(d))
	}
}

func (t *Target) StoreHalf(s vec.Reg, p vec.GP, offset int, partial bool, tmp vec.Reg) {
	m := operand.Mem{Base: gp(p), Disp: offset}
	switch {
	case !partial:
		t.storeHalf(s, m, tmp)
	case t.Wide:
		t.VCVTPS2PH(nearest, t.v(s), reg.K1, m)
	default:
		x := t.half(tmp)
		t.VCVTPS2PH(nearest, t.v(s), x)
		t.eachHalf(func(i int) { t.VPEXTRW(operand.U8(uint8(i)), x, m.Offset(2*i)) })
	}
}

const nearest = operand.U8(0) // how VCVTPS2PH rounds

// storeHalf stores a whole vector. With AVX2 it goes through tmp: a Zen 3 takes twice
// the time straight into memory.
func (t *Target) storeHalf(s vec.Reg, m operand.Mem, tmp vec.Reg) {
	if t.Wide {
		t.VCVTPS2PH(nearest, t.v(s), m)
		return
	}
	x := t.half(tmp)
	t.VCVTPS2PH(nearest, t.v(s), x)
	t.VMOVDQU(x, m)
}

// eachHalf emits f for each element of a partial vector: AVX2 has no masks for
// float16.
func (t *Target) eachHalf(f func(i int)) {
	t.labels++
	end := fmt.Sprint("half", t.labels)
	for i := range t.Lanes() - 1 {
		if i > 0 { // a partial vector has an element
			t.CMPQ(t.left, operand.U8(uint8(i)))
			t.JE(operand.LabelRef(end))
		}
		f(i)
	}
	t.Label(end)
}

// Predicates of VCMPPS.
const (
	equalOrdered    = 0 // a == b, false for a NaN
	lessOrdered     = 1 // a < b, false for a NaN
	unordered       = 3 // a or b is a NaN
	notGreaterEqual = 9 // not a >= b, true for a NaN
)

// orOfAnd is the truth table a | b&c for VPTERNLOGD.
const orOfAnd = 0xf8

func (t *Target) Emit(op vec.Op, dr vec.Reg, args []vec.Operand, bits uint32, copy int, tmp func() vec.Reg) {
	// mem takes any operand, in a register otherwise.
	mem := func(o vec.Operand) operand.Op {
		switch {
		case o.Const:
			return t.constant(o.Bits)
		case o.Mem:
			return operand.Mem{Base: gp(o.Ptr), Disp: o.Offset}
		}
		return t.v(o.Reg)
	}
	register := func(o vec.Operand) reg.VecPhysical {
		if o.InReg() {
			return t.v(o.Reg)
		}
		r := tmp()
		t.set(r, o)
		return t.v(r)
	}
	compare := func(d operand.Op) {
		switch op {
		case vec.IntEqual:
			a, b := args[0], args[1]
			if !a.InReg() {
				a, b = b, a
			}
			t.form(b, t.VPCMPEQD, t.VPCMPEQD_BCST)(mem(b), register(a), d)
			return
		case vec.Exceeds:
			a := register(args[0])
			if t.Wide {
				t.VCMPPS(operand.U8(unordered), a, a, reg.K7)
				t.VCMPPS(operand.U8(lessOrdered), a, register(args[1]), d)
				t.KORW(reg.K7, d, d)
				return
			}
			nan := t.v(tmp())
			t.VCMPPS(operand.U8(unordered), a, a, nan)
			t.VCMPPS(operand.U8(lessOrdered), a, register(args[1]), d)
			t.VORPS(nan, d, d)
			return
		case vec.IntLess: // GT: the operands change places
			b := args[0]
			t.form(b, t.VPCMPGTD, t.VPCMPGTD_BCST)(mem(b), register(args[1]), d)
			return
		}
		predicate := operand.U8(lessOrdered)
		if op == vec.Equal {
			predicate = equalOrdered
		}
		b := args[1]
		t.form(b, t.VCMPPS, t.VCMPPS_BCST)(predicate, mem(b), register(args[0]), d)
	}
	if t.Wide && vec.Less <= op && op <= vec.Exceeds {
		compare(opmasks[dr])
		return
	}
	d := t.v(dr)
	binary := func(a, b vec.Operand, plain, broadcast func(...operand.Op)) {
		t.form(b, plain, broadcast)(mem(b), register(a), d)
	}
	ordered := func(plain, broadcast func(...operand.Op)) { binary(args[0], args[1], plain, broadcast) }
	// What is in memory goes second where the order doesn't matter.
	commuted := func(plain, broadcast func(...operand.Op)) {
		a, b := args[0], args[1]
		if a.Const || a.Mem {
			a, b = b, a
		}
		binary(a, b, plain, broadcast)
	}
	switch op {
	case vec.Add:
		commuted(t.VADDPS, t.VADDPS_BCST)
	case vec.Sub:
		ordered(t.VSUBPS, t.VSUBPS_BCST)
	case vec.Mul:
		commuted(t.VMULPS, t.VMULPS_BCST)
	case vec.Div:
		ordered(t.VDIVPS, t.VDIVPS_BCST)
	case vec.Sqrt:
		t.VSQRTPS(mem(args[0]), d)
	case vec.FMA, vec.FNMA, vec.FMS:
		t.fma(op, dr, args, mem, register)
	case vec.Least: // MINPS returns its second source unless the first is less
		ordered(t.VMINPS, t.VMINPS_BCST)
	case vec.Greatest:
		ordered(t.VMAXPS, t.VMAXPS_BCST)
	case vec.And:
		if t.Wide {
			commuted(t.VPANDD, t.VPANDD_BCST)
		} else {
			commuted(t.VANDPS, nil)
		}
	case vec.Or:
		if t.Wide {
			commuted(t.VPORD, t.VPORD_BCST)
		} else {
			commuted(t.VORPS, nil)
		}
	case vec.Xor:
		if t.Wide {
			commuted(t.VPXORD, t.VPXORD_BCST)
		} else {
			commuted(t.VXORPS, nil)
		}
	case vec.AndNot:
		if t.Wide {
			ordered(t.VPANDND, t.VPANDND_BCST)
		} else {
			ordered(t.VANDNPS, nil)
		}
	case vec.ShiftLeft:
		t.VPSLLD(operand.U8(uint8(bits)), register(args[0]), d)
	case vec.ShiftRight:
		t.VPSRLD(operand.U8(uint8(bits)), register(args[0]), d)
	case vec.ShiftInt:
		t.VPSRAD(operand.U8(uint8(bits)), register(args[0]), d)
	case vec.ToFloat:
		t.VCVTDQ2PS(register(args[0]), d)
	case vec.IntAdd:
		commuted(t.VPADDD, t.VPADDD_BCST)
	case vec.IntSub:
		ordered(t.VPSUBD, t.VPSUBD_BCST)
	case vec.IntMul:
		commuted(t.VPMULLD, t.VPMULLD_BCST)
	case vec.IntMax:
		commuted(t.VPMAXSD, t.VPMAXSD_BCST)
	case vec.Less, vec.IntLess, vec.Equal, vec.IntEqual, vec.Exceeds:
		compare(d)
	case vec.Keep:
		if t.Wide {
			t.VMOVAPS_Z(register(args[1]), opmasks[args[0].Reg], d)
		} else {
			t.VANDPS(mem(args[1]), t.v(args[0].Reg), d)
		}
	case vec.Drop:
		if t.Wide {
			t.KNOTW(opmasks[args[0].Reg], reg.K7)
			t.VMOVAPS_Z(register(args[1]), reg.K7, d)
		} else {
			t.VANDNPS(mem(args[1]), t.v(args[0].Reg), d)
		}
	case vec.Select:
		if t.Wide {
			b := args[1]
			t.form(b, t.VBLENDMPS, t.VBLENDMPS_BCST)(mem(b), register(args[2]), opmasks[args[0].Reg], d)
		} else {
			t.VBLENDVPS(t.v(args[0].Reg), mem(args[1]), register(args[2]), d)
		}
	case vec.Flush:
		a := register(args[0])
		exponent := mem(args[1])
		if t.Wide {
			t.form(args[1], t.VPTESTMD, t.VPTESTMD_BCST)(exponent, a, reg.K7)
			t.VMOVAPS_Z(a, reg.K7, d)
			return
		}
		m := t.v(tmp())
		t.VANDPS(exponent, a, m)
		t.VPSIGND(m, a, d) // 0 where m is, a where m is positive
	case vec.Fill:
		if t.Wide {
			t.VBLENDMPS(t.v(args[0].Reg), register(args[1]), reg.K1, d)
		} else {
			t.VBLENDVPS(t.mask, t.v(args[0].Reg), register(args[1]), d)
		}
	case vec.Move:
		t.set(dr, args[0])
	case vec.CopySign:
		sign := mem(args[2])
		if t.Wide {
			t.set(dr, args[0])
			t.form(args[2], t.VPTERNLOGD, t.VPTERNLOGD_BCST)(operand.U8(orOfAnd), sign, t.v(args[1].Reg), d)
		} else {
			y := t.v(tmp())
			t.VANDPS(sign, t.v(args[1].Reg), y)
			t.VORPS(y, t.v(args[0].Reg), d)
		}
	case vec.Scale:
		if t.Wide {
			t.VSCALEFPS(t.v(args[1].Reg), t.v(args[0].Reg), d)
			return
		}
		power := t.v(tmp())
		t.VPSLLD(operand.U8(23), t.v(args[2].Reg), power)
		t.VMULPS(power, t.v(args[0].Reg), d)
		t.VMULPS(mem(args[3]), d, d)
	case vec.ScaleWide:
		if t.Wide {
			t.VSCALEFPS(t.v(args[1].Reg), t.v(args[0].Reg), d)
			return
		}
		half, rest := t.v(tmp()), t.v(tmp())
		t.VPSRLD(operand.U8(1), t.v(args[2].Reg), half)
		t.VPSLLD(operand.U8(23), half, half)
		t.VPSLLD(operand.U8(23), t.v(args[2].Reg), rest)
		t.VPSUBD(half, rest, rest)
		t.VMULPS(half, t.v(args[0].Reg), d)
		t.VMULPS(rest, d, d)
	case vec.Unusual:
		t.unusual(d, args, mem, tmp)
	case vec.Significand:
		t.significand(d, args, mem, tmp)
	case vec.Exponent:
		t.exponent(d, args, tmp)
	case vec.RootEstimate:
		if t.Wide {
			t.VRSQRT14PS(t.v(args[0].Reg), d)
			return
		}
		root, one := t.v(tmp()), tmp()
		t.VSQRTPS(t.v(args[0].Reg), root)
		t.Constant(one, 0x3f800000)
		t.VDIVPS(root, t.v(one), d)
	case vec.StepQuotient:
		t.stepQuotient(d, args, copy, tmp)
	case vec.RootSum:
		t.rootSum(d, args, copy, tmp)
	default:
		panic(fmt.Sprintf("x86: no lowering for %v", op))
	}
}

// fma emits a*b+c, c-a*b or a*b-c. The instruction overwrites one of its sources, and
// one may be in memory: the form follows from which of them is d.
func (t *Target) fma(op vec.Op, dr vec.Reg, args []vec.Operand,
	mem func(vec.Operand) operand.Op, register func(vec.Operand) reg.VecPhysical) {
	type forms struct{ plain, broadcast func(...operand.Op) }
	f231 := forms{t.VFMADD231PS, t.VFMADD231PS_BCST}
	f213 := forms{t.VFMADD213PS, t.VFMADD213PS_BCST}
	f132 := forms{t.VFMADD132PS, t.VFMADD132PS_BCST}
	switch op {
	case vec.FNMA:
		f231 = forms{t.VFNMADD231PS, t.VFNMADD231PS_BCST}
		f213 = forms{t.VFNMADD213PS, t.VFNMADD213PS_BCST}
		f132 = forms{t.VFNMADD132PS, t.VFNMADD132PS_BCST}
	case vec.FMS:
		f231 = forms{t.VFMSUB231PS, t.VFMSUB231PS_BCST}
		f213 = forms{t.VFMSUB213PS, t.VFMSUB213PS_BCST}
		f132 = forms{t.VFMSUB132PS, t.VFMSUB132PS_BCST}
	}
	d := t.v(dr)
	emit := func(f forms, last, middle vec.Operand) {
		t.form(last, f.plain, f.broadcast)(mem(last), register(middle), d)
	}
	is := func(o vec.Operand) bool { return o.InReg() && o.Reg == dr }
	a, b, c := args[0], args[1], args[2]
	if !a.InReg() || is(b) && !is(a) {
		a, b = b, a
	}
	switch {
	case is(c) && is(a): // x*b + x
		emit(f213, c, b)
	case is(c):
		emit(f231, b, a)
	case is(a) && !b.InReg():
		emit(f132, b, c)
	case is(a):
		emit(f213, c, b)
	default:
		t.set(dr, c)
		emit(f231, b, a)
	}
}

// set copies an operand to a register.
func (t *Target) set(d vec.Reg, o vec.Operand) {
	switch {
	case o.Const:
		t.Constant(d, o.Bits)
	case o.Mem:
		t.Load(d, o.Ptr, o.Offset, false)
	case o.Reg != d:
		t.VMOVAPS(t.v(o.Reg), t.v(d))
	}
}

// Across folds the upper half onto the lower one until one lane is left.
func (t *Target) Across(op vec.Op, dr vec.Reg, tmp func() vec.Reg) {
	d, h := vectors[dr], vectors[tmp()]
	if t.Wide {
		t.VEXTRACTF64X4(operand.U8(1), d.AsZ(), h.AsY())
		t.fold(op, d.AsY(), h.AsY())
		t.VEXTRACTF32X4(operand.U8(1), d.AsY(), h)
	} else {
		t.VEXTRACTF128(operand.U8(1), d.AsY(), h)
	}
	t.fold(op, d, h)
	t.VSHUFPS(operand.U8(0x0e), d, d, h) // lanes 2, 3
	t.fold(op, d, h)
	t.VSHUFPS(operand.U8(0x01), d, d, h) // lane 1
	t.fold(op, d, h)
}

func (t *Target) fold(op vec.Op, d, h reg.Register) {
	switch op {
	case vec.Add:
		t.VADDPS(h, d, d)
	case vec.Least:
		t.VMINPS(h, d, d)
	case vec.Greatest:
		t.VMAXPS(h, d, d)
	case vec.IntMax:
		t.VPMAXSD(h, d, d)
	default:
		panic(fmt.Sprintf("x86: no fold by %v", op))
	}
}
