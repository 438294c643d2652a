// Package vec is the language in which a kernel is described once, and its
// lowering to an instruction set.
//
// A description declares the kernel's slices and scalars and one loop whose body
// is a formula over vector values:
//
//	func axpy(k *vec.Kernel) {
//		y, x := k.InOut("y"), k.In("x")
//		alpha := k.Scalar("alpha")
//		k.Each(4, func() { k.Store(y, k.FMA(alpha, k.Load(x), k.Load(y))) })
//	}
//
// Every operation is a single IEEE-754 operation per lane (or works on bits), so
// a kernel's result is the same on every target. The loops (see loops.go) and the
// allocation of registers (see lower.go) are shared; a [Target] knows one
// instruction set.
package vec

import (
	"math"
	"slices"
	"strings"
)

// Op is an operation on vectors.
type Op int

const (
	opLoad     Op = iota // a slice's next vector
	opStore              // args[0] to a slice's next vector
	opScalar             // a float32 or uint32 argument in all lanes
	opConst              // a constant in all lanes
	opRow                // the current row's element of a slice, in all lanes
	opColumn             // a slice's elements of the current columns
	opIndex              // the numbers of the elements in the loop
	opFirst              // the first element of the current row, in all lanes
	opPass               // a pass over the current row; its sum in all lanes, if it has one
	opStoreRow           // args[0] to the current row's element of a slice
	opAcc                // a loop-carried vector
	opPlace              // the number of the current place of a window, in all lanes

	Add        // a + b
	Sub        // a - b
	Mul        // a * b
	Div        // a / b
	Sqrt       // square root of a
	FMA        // a*b + c, one rounding
	FNMA       // c - a*b, one rounding
	FMS        // a*b - c, one rounding
	Least      // a < b ? a : b
	Greatest   // a > b ? a : b
	And        // bits of a and b
	Or         // bits of a or b
	Xor        // bits of a or b but not both
	AndNot     // bits of b that are not in a
	IntAdd     // a + b as integers, wrapping; so IntSub and IntMul
	IntSub     // a - b
	IntMul     // a * b
	IntMax     // the larger one as signed integers
	ShiftLeft  // bits of a shifted left by a constant
	ShiftRight // bits of a shifted right by a constant, zeros come in
	ShiftInt   // a as an integer shifted right by a constant, the sign comes in
	ToFloat    // a as a signed integer, rounded
	Less       // mask: a < b, false for a NaN
	IntLess    // mask: a < b as signed integers
	Equal      // mask: a == b, false for a NaN
	IntEqual   // mask: a == b as integers
	Exceeds    // mask: a > b or a is a NaN
	Keep       // b where the mask a is set, +0 elsewhere
	Drop       // +0 where the mask a is set, b elsewhere
	Select     // b where the mask a is set, c elsewhere
	CopySign   // a, which is not negative, with the sign of b; c is the sign's bit
	Flush      // +0 where a has none of the bits b, an exponent's: |a| < 2^-126; a elsewhere
	Fill       // a in the lanes of a partial vector, b in the others
	Move       // a

	// Compositions that a target may do faster, with the same bits, because their
	// operands are bounded or because it has an instruction: see the methods.

	StepQuotient // a - b*(d/e); c is b * 2^-24
	RootSum      // sqrt(a*b) + d; c is b * 2^24
	Scale        // a * 2^b, rounded once; c holds b in its low bits, d undoes the bias
	ScaleWide    // a * 2^b, rounded once; c holds b + 254 in its low bits
	Unusual      // sign set where a is not positive, normal and finite; see Parts
	Significand  // m in [0.75, 1.5), a = m * 2^k
	Exponent     // k, a = b * 2^k
	RootEstimate // 1/sqrt(a) to 14 bits at least
)

// A Value is a vector of the loop body, or a mask.
type Value struct {
	op    Op
	args  []*Value
	bits  uint32 // of a constant; count of a shift
	slice *Slice // of a load, store or row element
	pass  *pass  // of an opPass
	name  string // of a scalar
	word  bool   // a scalar is a uint32
	acc   *Value // the accumulator that this value is the next state of
	last  int    // index in the body of the last operation that reads it
	fold  bool   // a load that its only user does
	regs  []Reg  // one for each copy of the body; one in all for a uniform value
}

// Name is the name of a scalar argument.
func (v *Value) Name() string { return v.name }

// Type is the Go type of a scalar argument.
func (v *Value) Type() string {
	if v.word {
		return "uint32"
	}
	return "float32"
}

// uniform reports whether all vectors of the loop share the value.
func (v *Value) uniform() bool {
	switch v.op {
	case opScalar, opConst, opRow, opFirst, opPass, opPlace:
		return true
	case opLoad, opStore, opColumn, opIndex, opAcc:
		return false
	}
	for _, a := range v.args {
		if !a.uniform() {
			return false
		}
	}
	return true
}

// Access says what a kernel does with a slice.
type Access int

const (
	In Access = iota
	Out
	InOut
)

// A Slice is a []float32 argument, or a []uint16 of float16 numbers.
type Slice struct {
	Name    string
	Access  Access
	Half    bool   // of float16, which are float32 in registers
	ptr     GP     // the moving pointer
	base    GP     // of windows: the first place of the next one
	blocks  []GP   // of narrow sums: the moving pointers of the blocks of rows
	strided bool   // a matrix with a distance of rows of its own
	indices *Slice // of which rows it is about, in turn
}

// Int is an integer argument of the assembly routine. Len names the slice whose
// length it is; an Int without one is an argument of the Go function too.
type Int struct {
	Name, Len string
	gp        GP
}

// A Kernel is a description: arguments and a loop.
type Kernel struct {
	Name    string // of the Go function in package kernels
	Lanes64 bool   // a reduction with the argument acc *[64]float32
	Slices  []*Slice
	Ints    []*Int
	Scalars []*Value
	Results []string

	row      []*Value // operations done once a row
	body     []*Value
	start    *Value    // of the element numbers; nil for 0
	index    bool      // the body uses element numbers
	each     bool      // the loop is Each
	block    int       // vectors of a block of Each
	grid     *Grid     // the loop is Rows
	after    *Int      // of strided passes: elements after those of a row
	clear    []*Slice  // matrices in which these are set to +0
	place    *Value    // the number of the current place of a window; nil without
	distance *Int      // of what is fetched ahead, in bytes; nil without
	into     *[]*Value // where operations are recorded: row or body
	loop     func(*lowering)
}

// A Grid is the matrix that Rows goes over.
type Grid struct {
	Rows, Cols *Int
	mats, cols []*Slice
}

// Cut returns which elements of an argument belong to rows r0 to r1 and columns c0 to
// c1, elements lo to hi of the matrix.
func (g *Grid) Cut(s *Slice) string {
	switch {
	case slices.Contains(g.mats, s):
		return "[lo:hi]"
	case slices.Contains(g.cols, s):
		return "[c0:c1]"
	}
	return "[r0:r1]"
}

// Describe runs a description.
func Describe(name string, f func(*Kernel)) *Kernel {
	k := &Kernel{Name: name}
	f(k)
	if k.loop == nil {
		panic("vec: kernel " + name + " has no loop")
	}
	for _, s := range k.Slices {
		if s.Half && !k.each {
			panic("vec: kernel " + name + ": only Each knows float16")
		}
	}
	return k
}

// Chunks reports whether the kernel is one of vectors that can be cut: no argument
// tells where in them the slices lie, and the sum of a part is carried to the next.
func (k *Kernel) Chunks() bool { return k.each && !k.index || k.Lanes64 }

// Streams reports whether the kernel has a routine for a large output that is none
// of the inputs: it does so little that it waits for the memory.
func (k *Kernel) Streams() bool {
	return k.simple() && len(k.Slices) > 0 && k.Slices[0].Access == Out &&
		!slices.ContainsFunc(k.Slices[1:], func(s *Slice) bool { return s.Access != In })
}

// FetchesAhead reports whether the kernel has a routine for large vectors that fetches
// them ahead: it updates several, and does so much with an element that a processor
// doesn't look far enough ahead.
func (k *Kernel) FetchesAhead() bool {
	updated := 0
	for _, s := range k.Slices {
		if s.Access == InOut {
			updated++
		}
	}
	return updated > 1 && (k.each && !k.index || k.grid != nil)
}

// Ahead returns the routine of a kernel that FetchesAhead: its blocks fetch what
// later ones load, as many bytes ahead as the argument distance says.
func (k *Kernel) Ahead() *Kernel {
	a := *k
	a.Name += "Ahead"
	a.distance = &Int{Name: "distance"}
	a.Ints = append(slices.Clip(a.Ints), a.distance)
	return &a
}

// Grid returns the matrix that the kernel goes over, nil if it has another loop.
func (k *Kernel) Grid() *Grid { return k.grid }

// Short reports whether the kernel does so little with an element that masks would
// take much of a short call.
func (k *Kernel) Short() bool { return k.each && len(k.body) <= shortBody }

// Estimates reports whether AVX-512 gets some quotients or roots from estimates.
func (k *Kernel) Estimates() bool {
	return slices.ContainsFunc(k.body, func(v *Value) bool { return v.op == StepQuotient || v.op == RootSum })
}

// simple reports whether the kernel does little with an element, of float32 numbers and
// wherever it is.
func (k *Kernel) simple() bool {
	return k.Short() && !k.index && !slices.ContainsFunc(k.Slices, func(s *Slice) bool { return s.Half })
}

// piecewise reports whether the kernel does so little with an element that a partial
// vector does well to be done by narrower ones. A divider takes as long for each.
func (k *Kernel) piecewise() bool {
	return k.simple() && !slices.ContainsFunc(k.body, func(v *Value) bool { return v.op == Div || v.op == Sqrt || v.op == Fill })
}

// Title is the kernel's name in package asm, without the level.
func (k *Kernel) Title() string { return strings.ToUpper(k.Name[:1]) + k.Name[1:] }

// Signature is the Go type of the assembly routine: pointers, counts, scalars.
func (k *Kernel) Signature() string {
	var args []string
	if k.Lanes64 {
		args = append(args, "acc *[64]float32")
	}
	for _, s := range k.Slices {
		args = append(args, s.Name+" *"+s.Type())
	}
	for _, i := range k.Ints {
		args = append(args, i.Name+" int")
	}
	for _, s := range k.Scalars {
		args = append(args, s.name+" "+s.Type())
	}
	sig := "func(" + strings.Join(args, ", ") + ")"
	switch len(k.Results) {
	case 0:
		return sig
	case 1:
		return sig + " float32"
	}
	return sig + " (" + strings.Join(k.Results, ", ") + " float32)"
}

// Type is the Go type of an element.
func (s *Slice) Type() string {
	if s.Half {
		return "uint16"
	}
	return "float32"
}

// size is that of an element in bytes.
func (s *Slice) size() int {
	if s.Half {
		return 2
	}
	return 4
}

// Strided reports whether the slice is a matrix with a distance of rows of its own,
// the argument of its name and "Stride".
func (s *Slice) Strided() bool { return s.strided }

// Indices returns the slice of the numbers of the rows that the kernel takes of a
// matrix, in turn, or nil.
func (s *Slice) Indices() *Slice { return s.indices }

func (k *Kernel) addSlice(name string, a Access) *Slice {
	s := &Slice{Name: name, Access: a}
	k.Slices = append(k.Slices, s)
	return s
}

// In declares an input slice.
func (k *Kernel) In(name string) *Slice { return k.addSlice(name, In) }

// Out declares a slice that is written.
func (k *Kernel) Out(name string) *Slice { return k.addSlice(name, Out) }

// InOut declares a slice that is read and written.
func (k *Kernel) InOut(name string) *Slice { return k.addSlice(name, InOut) }

// InHalf declares an input slice of float16, for Each.
func (k *Kernel) InHalf(name string) *Slice { return k.addHalf(name, In) }

// OutHalf declares a slice of float16 that is written, for Each.
func (k *Kernel) OutHalf(name string) *Slice { return k.addHalf(name, Out) }

func (k *Kernel) addHalf(name string, a Access) *Slice {
	s := k.addSlice(name, a)
	s.Half = true
	return s
}

// Int declares an integer argument.
func (k *Kernel) Int(name string) *Int { return k.length(name, "") }

func (k *Kernel) length(name, slice string) *Int {
	i := &Int{Name: name, Len: slice}
	k.Ints = append(k.Ints, i)
	return i
}

// Scalar declares a float32 argument and returns it in all lanes.
func (k *Kernel) Scalar(name string) *Value {
	v := &Value{op: opScalar, name: name}
	k.Scalars = append(k.Scalars, v)
	return v
}

// Word declares a uint32 argument and returns it in all lanes.
func (k *Kernel) Word(name string) *Value {
	v := k.Scalar(name)
	v.word = true
	return v
}

// Index returns, as integers, the numbers of the loop's current elements: start
// (0 if that is nil) for the first one of the slices, and so on. A kernel has
// one start.
func (k *Kernel) Index(start *Value) *Value {
	k.start, k.index = start, true
	return k.do(opIndex)
}

// Const returns a constant in all lanes.
func (k *Kernel) Const(x float32) *Value { return k.Bits(math.Float32bits(x)) }

// Bits returns a bit pattern in all lanes.
func (k *Kernel) Bits(b uint32) *Value { return &Value{op: opConst, bits: b} }

func (k *Kernel) record(v *Value) *Value {
	if k.into == nil {
		panic("vec: operation outside a loop in kernel " + k.Name)
	}
	*k.into = append(*k.into, v)
	return v
}

func (k *Kernel) do(op Op, args ...*Value) *Value { return k.record(&Value{op: op, args: args}) }

// Load returns the loop's current vector of s; 0 fills a partial one.
func (k *Kernel) Load(s *Slice) *Value { return k.record(&Value{op: opLoad, slice: s}) }

// Store sets the loop's current vector of s.
func (k *Kernel) Store(s *Slice, v *Value) {
	k.record(&Value{op: opStore, slice: s, args: []*Value{v}})
}

// The operations; see the constants of the same names.

func (k *Kernel) Add(a, b *Value) *Value       { return k.do(Add, a, b) }
func (k *Kernel) Sub(a, b *Value) *Value       { return k.do(Sub, a, b) }
func (k *Kernel) Mul(a, b *Value) *Value       { return k.do(Mul, a, b) }
func (k *Kernel) Div(a, b *Value) *Value       { return k.do(Div, a, b) }
func (k *Kernel) Sqrt(a *Value) *Value         { return k.do(Sqrt, a) }
func (k *Kernel) FMA(a, b, c *Value) *Value    { return k.do(FMA, a, b, c) }
func (k *Kernel) FNMA(a, b, c *Value) *Value   { return k.do(FNMA, a, b, c) }
func (k *Kernel) FMS(a, b, c *Value) *Value    { return k.do(FMS, a, b, c) }
func (k *Kernel) Least(a, b *Value) *Value     { return k.do(Least, a, b) }
func (k *Kernel) Greatest(a, b *Value) *Value  { return k.do(Greatest, a, b) }
func (k *Kernel) And(a, b *Value) *Value       { return k.do(And, a, b) }
func (k *Kernel) Or(a, b *Value) *Value        { return k.do(Or, a, b) }
func (k *Kernel) Xor(a, b *Value) *Value       { return k.do(Xor, a, b) }
func (k *Kernel) IntAdd(a, b *Value) *Value    { return k.do(IntAdd, a, b) }
func (k *Kernel) IntSub(a, b *Value) *Value    { return k.do(IntSub, a, b) }
func (k *Kernel) IntMul(a, b *Value) *Value    { return k.do(IntMul, a, b) }
func (k *Kernel) IntMax(a, b *Value) *Value    { return k.do(IntMax, a, b) }
func (k *Kernel) ToFloat(a *Value) *Value      { return k.do(ToFloat, a) }
func (k *Kernel) AndNot(a, b *Value) *Value    { return k.do(AndNot, a, b) }
func (k *Kernel) Less(a, b *Value) *Value      { return k.do(Less, a, b) }
func (k *Kernel) IntLess(a, b *Value) *Value   { return k.do(IntLess, a, b) }
func (k *Kernel) Equal(a, b *Value) *Value     { return k.do(Equal, a, b) }
func (k *Kernel) IntEqual(a, b *Value) *Value  { return k.do(IntEqual, a, b) }
func (k *Kernel) Exceeds(a, b *Value) *Value   { return k.do(Exceeds, a, b) }
func (k *Kernel) Select(m, a, b *Value) *Value { return k.do(Select, m, a, b) }
func (k *Kernel) Keep(m, v *Value) *Value      { return k.do(Keep, m, v) }
func (k *Kernel) Drop(m, v *Value) *Value      { return k.do(Drop, m, v) }
func (k *Kernel) Fill(a, b *Value) *Value      { return k.do(Fill, a, b) }

// Flush returns +0 where |a| < 2^-126 and a elsewhere. The bits of the exponent are
// an argument so that targets can keep them in a register.
func (k *Kernel) Flush(a *Value) *Value { return k.do(Flush, a, k.Bits(0x7f800000)) }

// ShiftLeft shifts the bits of each lane by n.
func (k *Kernel) ShiftLeft(a *Value, n uint32) *Value { return k.shift(ShiftLeft, a, n) }

// ShiftRight shifts the bits of each lane by n.
func (k *Kernel) ShiftRight(a *Value, n uint32) *Value { return k.shift(ShiftRight, a, n) }

// ShiftInt shifts each lane, a signed integer, by n.
func (k *Kernel) ShiftInt(a *Value, n uint32) *Value { return k.shift(ShiftInt, a, n) }

func (k *Kernel) shift(op Op, a *Value, n uint32) *Value {
	v := k.do(op, a)
	v.bits = n
	return v
}

// StepQuotient returns w - step*(m/d), the quotient and the difference rounded.
// scaled is step * 2^-24. |m| is 0 or at least 2^-126, step and scaled are normal.
func (k *Kernel) StepQuotient(w, step, scaled, m, d *Value) *Value {
	return k.do(StepQuotient, w, step, scaled, m, d)
}

// RootSum returns sqrt(v*c) + e, each operation rounded. scaled is c * 2^24. v is
// 0 or at least 2^-126, c at least 1, scaled is finite.
func (k *Kernel) RootSum(v, c, scaled, e *Value) *Value {
	return k.do(RootSum, v, c, scaled, e)
}

// Scale returns p * 2^n, rounded once. n is an integer and t the sum
// 1.5*2^23 + 127 + bias + n that made it one; 2^(n+bias) and p times it are normal.
func (k *Kernel) Scale(p, n, t *Value, bias int) *Value {
	return k.do(Scale, p, n, t, k.Const(float32(math.Ldexp(1, -bias))))
}

// ScaleWide returns p * 2^n, rounded once. n is an integer in [-252, 256], t the sum
// 1.5*2^23 + 254 + n that made it one, |p| in [2^-1, 2].
func (k *Kernel) ScaleWide(p, n, t *Value) *Value { return k.do(ScaleWide, p, n, t) }

// Parts returns m in [0.75, 1.5) and k where x = m * 2^k is positive. Where x is a
// zero m is 1 and k is -Inf, where it is +Inf m is 1 and k is +Inf, elsewhere m is NaN
// and k any number.
func (k *Kernel) Parts(x *Value) (significand, exponent *Value) {
	// Empty on targets that need no test for rare cases: x - 2^-126 or x + 2^-126, as
	// integers, is negative where x is not positive, normal and finite.
	unusual := k.do(Unusual, x, k.Bits(0xff800000), k.Bits(0x00800000))
	// x - 0x3f400000 has k in its upper nine bits.
	significand = k.do(Significand, x, unusual, k.Bits(0xc0c00000), k.Bits(0xff800000))
	return significand, k.do(Exponent, x, significand, unusual)
}

// RootEstimate returns 1/sqrt(x) with a relative error of at most 2^-14, a zero or an
// infinity where that is the result. Its bits differ between processors: what is
// computed from it must not.
func (k *Kernel) RootEstimate(x *Value) *Value { return k.do(RootEstimate, x) }

// CopySign returns x >= +0 with the sign of y.
func (k *Kernel) CopySign(x, y *Value) *Value { return k.do(CopySign, x, y, k.Bits(1<<31)) }

// isMask reports whether the result is a mask, which some targets keep in
// registers of their own.
func (v *Value) isMask() bool { return Less <= v.op && v.op <= Exceeds }

func (o Op) String() string {
	return [...]string{"load", "store", "scalar", "const", "row", "column", "index", "first", "pass", "store row", "acc", "place",
		"add", "sub", "mul", "div", "sqrt", "fma", "fnma", "fms", "least", "greatest",
		"and", "or", "xor", "andnot", "iadd", "isub", "imul", "imax", "shl", "shr", "sar", "float",
		"less", "iless", "equal", "iequal", "exceeds", "keep", "drop", "select", "copysign", "flush", "fill", "move",
		"step quotient", "root sum", "scale", "scale wide", "unusual", "significand", "exponent", "root estimate"}[o]
}
