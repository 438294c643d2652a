package vec

import (
	"fmt"
	"slices"
)

// A pass goes over the elements of the current row.
type pass struct {
	body   []*Value
	unroll int
	state  *Value // the accumulator; nil if the body only stores
	lanes  int    // of the accumulator, 0: any
	start  *Value // a constant, nil for +0
	fold   Op
}

// Passes describes a kernel that goes several times over each row of a row-major
// matrix: mats are contiguous matrices, cols vectors with one element a column.
// The function records what is done once a row: Row, First, operations on them
// but no comparisons, StoreRow, and the passes Total, Extreme and Over. With rowLen
// or colLen nil the number of rows or columns is an argument.
func (k *Kernel) Passes(rowLen, colLen *Slice, mats, cols []*Slice, describe func()) {
	length := func(name string, s *Slice) *Int {
		if s == nil {
			return k.Int(name)
		}
		return k.length(name, s.Name)
	}
	rows, width := length("rows", rowLen), length("cols", colLen)
	k.passes(rows, width, mats, cols, describe)
}

// StridedPasses is Passes for matrices that each have a distance of rows of their
// own: the argument of the matrix's name and "Stride", in elements. The matrices may
// be square blocks below each other of which the kernel sees the lower triangles:
// the argument after is the number of elements after those of the first row, and
// grow, 0 or 1, what each row of a block has more than the one before. The elements
// after those of a row are set to +0 in the matrices of clear.
func (k *Kernel) StridedPasses(rowLen *Slice, mats, clear []*Slice, describe func()) {
	rows, width := k.length("rows", rowLen.Name), k.Int("cols")
	for _, m := range mats {
		m.strided = true
		k.Int(m.Name + "Stride")
	}
	k.after, k.clear = k.Int("after"), clear
	k.Int("grow")
	k.passes(rows, width, mats, nil, describe)
}

func (k *Kernel) passes(rows, width *Int, mats, cols []*Slice, describe func()) {
	strided := k.after != nil
	k.into = &k.row
	describe()
	last, inPass := k.rowUses()
	k.loop = func(l *lowering) {
		t := l.t
		l.pointers()
		// Of the others, what a row needs once stays in memory.
		rows.gp, width.gp = l.arg(rows.Name), l.arg(width.Name)
		if strided {
			k.after.gp = l.arg(k.after.Name)
		}
		n, whole := l.gp(), l.gp()
		if len(cols) > 0 {
			l.spare = cols[0].ptr // loaded again below
		}
		l.uniforms(64/t.Lanes() + 8)
		if t.PartialInVector() {
			l.mask = l.reg()
		}
		// length sets n to the number of elements of a row.
		length := func() {
			t.MoveInt(n, width.gp)
			if strided {
				t.SubInt(n, k.after.gp)
			}
		}
		// prepare sets up a row's partial vector and the bytes of its whole ones.
		prepare := func() {
			length()
			t.MoveInt(whole, n)
			t.Remainder(n, t.Lanes())
			t.Partial(n, l.mask, l.spare)
			t.SubInt(whole, n)
			t.Scale4(whole)
		}
		prepare()
		if len(cols) > 0 {
			t.Arg(cols[0].ptr, cols[0].Name)
		}
		l.keepRowConstants()
		t.Label("row")
		for i, v := range k.row {
			l.prefix = fmt.Sprintf("pass%d_", i)
			switch v.op {
			case opRow:
				v.regs = []Reg{l.reg()}
				t.BroadcastAt(v.regs[0], v.slice.ptr)
				t.AddImm(v.slice.ptr, 4)
			case opFirst:
				v.regs = []Reg{l.reg()}
				t.BroadcastAt(v.regs[0], v.slice.ptr)
			case opStoreRow:
				t.StoreAt(v.args[0].regs[0], v.slice.ptr)
				t.AddImm(v.slice.ptr, 4)
			case opPass:
				length()
				moving := v.pass.slices()
				v.regs = l.pass(v.pass, n, moving)
				if inPass[v] {
					t.Spread(v.regs[0])
				}
				for _, s := range moving {
					if slices.Contains(cols, s) {
						t.Arg(s.ptr, s.Name)
					} else {
						t.SubInt(s.ptr, whole)
					}
				}
			default:
				var args []Operand
				for _, a := range v.args {
					args = append(args, l.operand(a, 0))
				}
				v.regs = []Reg{l.reg()}
				t.Narrow(1)
				l.emit(v.op, v.regs[0], args, v.bits, 0)
				t.Narrow(0)
				if inPass[v] {
					t.Spread(v.regs[0])
				}
			}
			for _, u := range last[i] {
				l.release(u.regs[0])
			}
		}
		if strided {
			for _, m := range k.clear {
				l.clearAfter(m, n, whole, length)
			}
			for _, m := range mats {
				t.Arg(n, m.Name+"Stride")
				t.AddScaled(m.ptr, n)
			}
			t.Arg(n, "grow")
			t.AddInt(n, k.after.gp)
			t.CmpJump(n, 0, EQ, "same_length") // all rows are whole
			t.Arg(n, "grow")
			t.SubInt(k.after.gp, n)
			t.CmpJump(k.after.gp, 0, GE, "same_block")
			t.AddInt(k.after.gp, width.gp)
			t.Label("same_block")
			prepare()
			t.Label("same_length")
		} else {
			for _, m := range mats {
				t.AddScaled(m.ptr, width.gp)
			}
		}
		t.SubJump(rows.gp, 1, NE, "row")
	}
}

// keepRowConstants loads constants of a kernel with a single pass that only stores.
func (l *lowering) keepRowConstants() {
	var single *pass
	for _, v := range l.k.row {
		if v.op != opPass {
			continue
		}
		if single != nil || v.pass.state != nil {
			return
		}
		single = v.pass
	}
	var held []Reg
	for _, v := range l.k.row {
		if v.op != opPass && v.op != opStoreRow {
			v.regs = []Reg{l.reg()}
			held = append(held, v.regs[0])
		}
	}
	l.keepConstants(single.body, single.unroll)
	l.release(held...)
}

// clearAfter stores +0 after the elements of the current row.
func (l *lowering) clearAfter(m *Slice, n, place GP, length func()) {
	t, lanes, zero := l.t, l.t.Lanes(), l.reg()
	label := "clear_" + m.Name
	t.CmpJump(l.k.after.gp, 0, EQ, label+"_end")
	t.Zero(zero)
	length()
	t.Scale4(n)
	t.MoveInt(place, m.ptr)
	t.AddInt(place, n)
	t.MoveInt(n, l.k.after.gp)
	t.SubJump(n, lanes, LT, label+"_vectors_end")
	t.Label(label + "_vectors")
	t.Store(zero, place, 0, false)
	t.AddImm(place, 4*lanes)
	t.SubJump(n, lanes, GE, label+"_vectors")
	t.Label(label + "_vectors_end")
	t.AddImm(n, lanes)
	t.CmpJump(n, 0, EQ, label+"_end")
	t.Partial(n, l.mask, l.spare)
	t.Store(zero, place, 0, true)
	t.Label(label + "_end")
	l.release(zero)
}

// pass emits a pass over n elements and returns the register that has its result
// in lane 0, if it has one.
func (l *lowering) pass(p *pass, n GP, moving []*Slice) []Reg {
	if p.state == nil {
		l.each(p.body, n, p.unroll, moving, l.prefix+"end", func() {})
		l.t.Label(l.prefix + "end")
		return nil
	}
	count := p.lanes / l.t.Lanes()
	if p.lanes == 0 {
		count = l.chains()
	}
	regs := make([]Reg, count)
	for j := range regs {
		regs[j] = l.reg()
		if p.start != nil {
			l.t.Constant(regs[j], p.start.bits)
		} else {
			l.t.Zero(regs[j])
		}
	}
	p.state.regs = regs
	l.accumulate(p.body, len(regs), n, moving, true)
	l.fold(p.fold, regs)
	for _, r := range regs[1:] {
		l.release(r)
	}
	return regs[:1]
}

// slices returns those that the pass loads from or stores to.
func (p *pass) slices() (all []*Slice) {
	for _, v := range p.body {
		if (v.op == opLoad || v.op == opStore) && !slices.Contains(all, v.slice) {
			all = append(all, v.slice)
		}
	}
	return all
}

// rowUses returns, for each operation of a row, the values of the row that are
// used there for the last time, and which values are used in a pass: they are
// needed in all lanes.
func (k *Kernel) rowUses() (last map[int][]*Value, inPass map[*Value]bool) {
	at := map[*Value]int{}
	inPass = map[*Value]bool{}
	for i, v := range k.row {
		at[v] = i
		for _, a := range v.args {
			at[a] = i
		}
		if v.op == opPass {
			for _, b := range v.pass.body {
				for _, a := range b.args {
					at[a], inPass[a] = i, true
				}
			}
		}
	}
	last = map[int][]*Value{}
	for _, v := range k.row {
		hasRegister := v.op != opStoreRow && (v.op != opPass || v.pass.state != nil)
		if !hasRegister {
			continue
		}
		if k.row[at[v]] == v {
			panic(fmt.Sprintf("vec: %s: result of %v is not used", k.Name, v.op))
		}
		last[at[v]] = append(last[at[v]], v)
	}
	return last, inPass
}

// First returns the first element of the current row of the matrix s, in all
// lanes.
func (k *Kernel) First(s *Slice) *Value { return k.record(&Value{op: opFirst, slice: s}) }

// StoreRow sets the current row's element of s, a vector with one a row.
func (k *Kernel) StoreRow(s *Slice, v *Value) {
	k.record(&Value{op: opStoreRow, slice: s, args: []*Value{v}})
}

// Total is a pass that adds up the row in 64 lanes from +0, as Reduce does, and
// returns the sum in all lanes.
func (k *Kernel) Total(next func(acc *Value) *Value) *Value {
	return k.fold(&pass{lanes: 64, fold: Add}, next)
}

// Extreme is a pass that folds the row into the largest or least element, or
// another result for which the order makes no difference, from the constant start,
// and returns it in all lanes.
func (k *Kernel) Extreme(fold Op, start *Value, next func(acc *Value) *Value) *Value {
	return k.fold(&pass{fold: fold, start: start}, next)
}

func (k *Kernel) fold(p *pass, next func(acc *Value) *Value) *Value {
	p.state = &Value{op: opAcc}
	k.inPass(p, func() { next(p.state).acc = p.state })
	return k.record(&Value{op: opPass, pass: p})
}

// Over is a pass that stores.
func (k *Kernel) Over(unroll int, body func()) {
	p := &pass{unroll: unroll}
	k.inPass(p, body)
	k.record(&Value{op: opPass, pass: p})
}

func (k *Kernel) inPass(p *pass, record func()) {
	row := k.into
	k.into = &p.body
	record()
	k.into = row
}
