package vec

import (
	"fmt"
	"slices"
)

// lowering is the state of lowering one kernel to one target.
type lowering struct {
	t       Target
	k       *Kernel
	free    []Reg // vector registers, the next one last
	masks   []Reg
	gps     GP
	spare   GP // one that Partial may overwrite: the next, unless a loop knows better
	partial bool
	mask    Reg  // of a partial vector, where the target keeps it in a vector register
	dry     bool // allocate registers, emit nothing
	consts  map[uint32]Reg
	prefix  string // of the labels of a loop
	index   Reg    // the numbers of the next vector's elements, where the body uses them
	around  bool   // stores go past the caches
	vector  int    // that the first copy of a body works on, where all are not run at once
}

// Lower emits the kernel for a target.
func (k *Kernel) Lower(t Target) { k.lower(t, "", k.loop) }

// LowerStream emits a kernel that Streams a second time, for whole blocks of an
// output at a multiple of 32 bytes: with stores past the caches, which don't read
// first what they overwrite and leave the caches to others. A block's length divides
// that of a chunk.
func (k *Kernel) LowerStream(t Target) {
	k.lower(t, "Stream", func(l *lowering) {
		l.pointers()
		l.ints()
		l.uniforms(12)
		l.keepConstants(k.body, k.block)
		l.around = true
		t.Label("blocks")
		l.block(k.body, k.block, 0)
		l.advance(k.Slices, k.block*t.Lanes())
		t.SubJump(k.Ints[0].gp, k.block*t.Lanes(), NE, "blocks")
		t.Fence()
	})
}

func (k *Kernel) lower(t Target, variant string, loop func(*lowering)) {
	l := &lowering{t: t, k: k, consts: map[uint32]Reg{}}
	for r := Reg(t.Registers()) - 1; r >= 0; r-- {
		l.free = append(l.free, r)
	}
	for r := Reg(t.Masks()) - 1; r >= 0; r-- {
		l.masks = append(l.masks, r)
	}
	t.Begin(k.Title()+variant+t.Suffix(), k)
	loop(l)
	t.End()
}

type outOfRegisters struct{}

func (l *lowering) reg() Reg {
	if len(l.free) == 0 {
		panic(outOfRegisters{})
	}
	r := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	return r
}

func (l *lowering) release(rs ...Reg) { l.free = append(l.free, rs...) }

// hold gives each value u registers.
func (l *lowering) hold(values []*Value, u int) (held []Reg) {
	for _, v := range values {
		v.regs = make([]Reg, u)
		for j := range v.regs {
			v.regs[j] = l.reg()
		}
		held = append(held, v.regs...)
	}
	return held
}

// widest halves most until each value can be held in so many registers, beside which
// one body fits, or as many copies of it.
func (l *lowering) widest(most int, values, body []*Value, copies bool) int {
	for ; most > 1; most /= 2 {
		if len(l.free) < most*len(values) {
			continue
		}
		held, n := l.hold(values, most), 1
		if copies {
			n = most
		}
		fits := l.fits(body, n)
		l.release(held...)
		if fits {
			break
		}
	}
	return most
}

func (l *lowering) gp() GP {
	l.gps++
	l.spare = l.gps
	return l.gps - 1
}

// arg returns a general register that holds an argument.
func (l *lowering) arg(name string) GP {
	r := l.gp()
	l.t.Arg(r, name)
	return r
}

func (l *lowering) pointers() {
	for _, s := range l.k.Slices {
		s.ptr = l.arg(s.Name)
	}
}

func (l *lowering) ints() {
	for _, i := range l.k.Ints {
		i.gp = l.arg(i.Name)
	}
}

// uniforms loads the scalar arguments and, where operands can't be in memory,
// the constants that the bodies use, as long as reserve registers stay free; the
// others are made where they are used. So are all that are added to a product: there
// the sum takes the register of the constant, of which a kept one would be a copy.
func (l *lowering) uniforms(reserve int) {
	for _, s := range l.k.Scalars {
		s.regs = []Reg{l.reg()}
		l.t.Broadcast(s.regs[0], s.name)
	}
	if l.t.MemoryConstants() {
		return
	}
	for _, v := range slices.Concat(l.k.row, l.k.body) {
		for i, a := range v.args {
			if _, ok := l.consts[a.bits]; a.op == opConst && !ok && !v.addend(i) && len(l.free) > reserve {
				r := l.reg()
				l.consts[a.bits] = r
				l.t.Constant(r, a.bits)
			}
		}
	}
}

// keepConstants loads constants that operands could also have in memory, as long
// as the body fits the registers with as many copies, at most n, as without them.
// It saves loads in loops that are bound by them.
func (l *lowering) keepConstants(body []*Value, n int) {
	if !l.t.MemoryConstants() || len(l.free) == 0 {
		return
	}
	mask := l.reg() // a partial vector's, which is set up later
	n = l.fit(body, n)
	var kept []uint32
	for _, v := range body {
		for _, a := range v.args {
			if _, ok := l.consts[a.bits]; a.op != opConst || ok || len(l.free) == 0 {
				continue
			}
			l.consts[a.bits] = l.reg()
			if l.fits(body, n) && l.fitsPartial(body) {
				kept = append(kept, a.bits)
			} else {
				l.release(l.consts[a.bits])
				delete(l.consts, a.bits)
			}
		}
	}
	l.release(mask)
	for _, bits := range kept {
		l.t.Constant(l.consts[bits], bits)
	}
}

// advance moves the loop to the next elements.
func (l *lowering) advance(moving []*Slice, elements int) {
	for _, s := range moving {
		l.t.AddImm(s.ptr, s.size()*elements)
	}
	if l.k.index {
		l.emit(IntAdd, l.index, []Operand{{Reg: l.index}, {Const: true, Bits: uint32(elements)}}, 0, 0)
	}
}

// fetch fetches the lines of the vectors that a later block loads.
func (l *lowering) fetch(moving []*Slice, elements int) {
	for _, s := range moving {
		if g := l.k.grid; g != nil && slices.Contains(g.cols, s) {
			continue // each row loads it
		}
		for offset := 0; offset < s.size()*elements; offset += 64 {
			l.t.Fetch(s.ptr, l.k.distance.gp, offset)
		}
	}
}

// startIndex sets the numbers of the first vector's elements.
func (l *lowering) startIndex() {
	if !l.k.index {
		return
	}
	l.index = l.reg()
	l.t.LaneNumbers(l.index)
	if l.k.start != nil {
		l.emit(IntAdd, l.index, []Operand{{Reg: l.index}, l.operand(l.k.start, 0)}, 0, 0)
	}
}

// resolve returns the value whose register holds v: whole vectors need no Fill.
func (l *lowering) resolve(v *Value) *Value {
	for v.op == Fill && !l.partial {
		v = v.args[0]
	}
	return v
}

// lastUses notes for each value the last operation of the body that reads it, and
// for each load whether that does it.
func (l *lowering) lastUses(body []*Value) {
	uses := map[*Value]int{}
	for i, v := range body {
		v.last, v.fold = i, false
		if l.resolve(v) != v {
			continue
		}
		for _, a := range v.args {
			a = l.resolve(a)
			a.last = i
			uses[a]++
		}
	}
	if l.partial {
		return
	}
	for i, v := range body {
		if v.op != opLoad || v.acc != nil || v.slice.Half || uses[v] != 1 {
			continue
		}
		stored := slices.ContainsFunc(body[i:v.last], func(v *Value) bool { return v.op == opStore })
		v.fold = !stored && l.folds(body[v.last], v.last, v) // arguments may be the same memory
	}
}

// folds reports whether operation i of the body does well to take the load x from
// memory.
func (l *lowering) folds(user *Value, i int, x *Value) bool {
	place, dying := -1, user.acc != nil && slices.Contains(user.args, user.acc)
	for a, arg := range user.args {
		switch arg = l.resolve(arg); {
		case arg == x:
			place = a
		case arg.fold && arg.last == i: // one is enough
			return false
		default:
			dying = dying || arg.last == i && l.ends(arg) && l.replaced(user, a, arg)
		}
	}
	return user.op != opStore && l.t.MemoryVector(user.op, place, dying)
}

// ends reports whether the register of a value is free after its last use.
func (l *lowering) ends(a *Value) bool {
	return a.op != opAcc && a.acc == nil && a.op != opColumn && !a.uniform()
}

func (l *lowering) operand(a *Value, copy int) Operand {
	switch {
	case a.op == opConst:
		if r, ok := l.consts[a.bits]; ok {
			return Operand{Reg: r}
		}
		return Operand{Const: true, Bits: a.bits}
	case a.uniform():
		return Operand{Reg: a.regs[0]}
	case a.op == opColumn:
		return Operand{Reg: a.regs[l.vector+copy]}
	}
	return Operand{Reg: a.regs[copy]}
}

// run lowers n copies of a body, operation by operation so that the copies'
// chains overlap. Copy j works on vector j of each slice and on accumulators
// first+j.
func (l *lowering) run(body []*Value, n, first int) {
	l.lastUses(body)
	for i, v := range body {
		if l.resolve(v) != v {
			continue
		}
		if v.uniform() && v.acc == nil {
			panic("vec: " + l.k.Name + ": the loop body computes a value that is the same in every pass")
		}
		v.regs = make([]Reg, n)
		shared := l.share(v, i, n)
		for j := range n {
			l.step(v, i, j, first+j)
		}
		for _, bits := range shared {
			l.release(l.consts[bits])
			delete(l.consts, bits)
		}
	}
}

// share loads constants that n copies of operation i have in memory, where registers
// are left: a load for all of them.
func (l *lowering) share(v *Value, i, n int) (shared []uint32) {
	if l.dry || n < 4 || !l.t.MemoryConstants() {
		return nil
	}
	need := 1 + l.t.Temporaries(v.op, nil) // registers beside the one of the constant
	if !slices.ContainsFunc(v.args, func(a *Value) bool {
		return a.op != opConst && a.last == i && l.ends(a) && !a.fold && l.replaced(v, slices.Index(v.args, a), a)
	}) {
		need += n
	}
	for _, arg := range v.args {
		if _, kept := l.consts[arg.bits]; arg.op != opConst || kept || len(l.free) <= need {
			continue
		}
		r := l.reg()
		l.t.Constant(r, arg.bits)
		l.consts[arg.bits] = r
		shared = append(shared, arg.bits)
	}
	return shared
}

// step lowers operation i of the body for one copy.
func (l *lowering) step(v *Value, i, copy, acc int) {
	args := make([]Operand, len(v.args))
	sources := make([]*Value, len(v.args))
	for a, arg := range v.args {
		arg = l.resolve(arg)
		sources[a] = arg
		switch {
		case arg.op == opAcc:
			args[a] = Operand{Reg: arg.regs[acc]}
		case arg.op == opConst && v.addend(a) && !l.t.MemoryConstants():
			args[a] = Operand{Const: true, Bits: arg.bits}
		case arg.fold:
			p, offset := l.place(arg.slice, copy)
			args[a] = Operand{Mem: true, Ptr: p, Offset: offset}
		default:
			args[a] = l.operand(arg, copy)
		}
	}
	// The registers of arguments that die here.
	var dying []*Value
	for _, a := range sources {
		if a.last == i && l.ends(a) && !a.fold && !slices.Contains(dying, a) {
			dying = append(dying, a)
		}
	}
	switch v.op {
	case opLoad:
		if v.fold {
			break
		}
		v.regs[copy] = l.destination(v, nil, nil, nil, acc)
		if l.dry {
			break
		}
		p, offset := l.place(v.slice, copy)
		if v.slice.Half {
			l.t.LoadHalf(v.regs[copy], p, offset, l.partial)
		} else {
			l.t.Load(v.regs[copy], p, offset, l.partial)
		}
	case opIndex:
		v.regs[copy] = l.reg()
		if vector := l.vector + copy; vector == 0 {
			l.emit(Move, v.regs[copy], []Operand{{Reg: l.index}}, 0, 0)
		} else {
			l.emit(IntAdd, v.regs[copy], []Operand{{Reg: l.index}, {Const: true, Bits: uint32(vector * l.t.Lanes())}}, 0, copy)
		}
	case opStore:
		if args[0].Const {
			panic("vec: " + l.k.Name + ": a store needs a value in a register, not a constant")
		}
		p, offset := l.place(v.slice, copy)
		switch {
		case v.slice.Half:
			tmp := l.reg()
			if !l.dry {
				l.t.StoreHalf(args[0].Reg, p, offset, l.partial, tmp)
			}
			l.release(tmp)
		case l.dry:
		case l.around:
			l.t.StoreAround(args[0].Reg, p, offset)
		default:
			l.t.Store(args[0].Reg, p, offset, l.partial)
		}
	default:
		v.regs[copy] = l.destination(v, args, sources, &dying, acc)
		l.emit(v.op, v.regs[copy], args, v.bits, copy)
	}
	for _, a := range dying {
		if a.isMask() && l.t.Masks() > 0 {
			l.masks = append(l.masks, a.regs[copy])
		} else {
			l.release(a.regs[copy])
		}
	}
	if v.last == i && v.op != opStore && v.acc == nil {
		panic(fmt.Sprintf("vec: %s: result of %v is not used", l.k.Name, v.op))
	}
}

// addend reports whether argument a is the one that is added to a product.
func (v *Value) addend(a int) bool { return (v.op == FMA || v.op == FNMA) && a == 2 }

// replaced reports whether the result of an operation may take the register of its
// argument a.
func (l *lowering) replaced(v *Value, a int, arg *Value) bool {
	return l.t.InPlace(v.op, a) && (l.t.Masks() == 0 || !v.isMask() && !arg.isMask())
}

// place returns where a copy of the body finds its vector of a slice.
func (l *lowering) place(s *Slice, copy int) (p GP, offset int) {
	vector := l.vector + copy
	if s.blocks != nil {
		return s.blocks[vector], 0
	}
	return s.ptr, l.t.Lanes() * vector * s.size()
}

// destination chooses the register of an operation's result: the accumulator's,
// that of a dying argument, or a free one.
func (l *lowering) destination(v *Value, args []Operand, sources []*Value, dying *[]*Value, acc int) Reg {
	if v.acc != nil {
		return v.acc.regs[acc]
	}
	if v.isMask() && l.t.Masks() > 0 {
		if len(l.masks) == 0 {
			panic(outOfRegisters{})
		}
		r := l.masks[len(l.masks)-1]
		l.masks = l.masks[:len(l.masks)-1]
		return r
	}
	for a := len(sources) - 1; a >= 0; a-- { // the addend of an FMA first
		arg := sources[a]
		if !l.replaced(v, a, arg) {
			continue
		}
		if d := slices.Index(*dying, arg); d >= 0 {
			*dying = slices.Delete(*dying, d, d+1)
			return args[a].Reg
		}
	}
	return l.reg()
}

func (l *lowering) emit(op Op, d Reg, args []Operand, bits uint32, copy int) {
	var held []Reg
	tmp := func() Reg {
		r := l.reg()
		held = append(held, r)
		return r
	}
	if l.dry {
		for range l.t.Temporaries(op, args) {
			tmp()
		}
	} else {
		l.t.Emit(op, d, args, bits, copy, tmp)
	}
	l.release(held...)
}

// fit returns the largest number of copies, at most n, for which the body's
// registers suffice.
func (l *lowering) fit(body []*Value, n int) int {
	for ; n > 1; n /= 2 {
		if l.fits(body, n) {
			break
		}
	}
	return n
}

// fitsPartial reports whether the registers suffice for a partial vector, whose
// loads take some.
func (l *lowering) fitsPartial(body []*Value) bool {
	l.partial = true
	defer func() { l.partial = false }()
	return l.fits(body, 1)
}

func (l *lowering) fits(body []*Value, n int) (ok bool) {
	free, masks := slices.Clone(l.free), slices.Clone(l.masks)
	l.dry = true
	defer func() {
		l.free, l.masks, l.dry = free, masks, false
		if r := recover(); r != nil {
			if _, out := r.(outOfRegisters); !out {
				panic(r)
			}
			ok = false
		}
	}()
	l.run(body, n, 0)
	return true
}
