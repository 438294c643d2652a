package vec

import (
	"fmt"
	"slices"
)

// A pass goes over the elements of the current row.
type pass struct {
	body   []*Value
	unroll int
	state  *Value // the accumulator of a sum; nil if the body only stores
}

// Passes describes a kernel that goes several times over each row of a row-major
// matrix: mats are contiguous matrices, cols vectors with one element a column.
// The function records what is done once a row: Row, First, operations on them
// but no comparisons, StoreRow, and the passes Total and Over. With rowLen or
// colLen nil the number of rows or columns is an argument.
func (k *Kernel) Passes(rowLen, colLen *Slice, mats, cols []*Slice, describe func()) {
	length := func(name string, s *Slice) *Int {
		if s == nil {
			return k.Int(name)
		}
		return k.length(name, s.Name)
	}
	rows, width := length("rows", rowLen), length("cols", colLen)
	k.into = &k.row
	describe()
	last, inPass := k.rowUses()
	k.loop = func(l *lowering) {
		t := l.t
		l.pointers()
		l.ints()
		n, whole := l.gp(), l.gp()
		l.uniforms(64/t.Lanes() + 8)
		t.MoveInt(n, width.gp) // the partial vector is the same in every row
		t.Remainder(n, t.Lanes())
		l.preparePartial(n)
		t.MoveInt(whole, width.gp) // bytes of a row's whole vectors
		t.SubInt(whole, n)
		t.Scale4(whole)
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
				t.MoveInt(n, width.gp)
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
				t.Narrow(true)
				l.emit(v.op, v.regs[0], args, v.bits, 0)
				t.Narrow(false)
				if inPass[v] {
					t.Spread(v.regs[0])
				}
			}
			for _, u := range last[i] {
				l.release(u.regs[0])
			}
		}
		t.MoveInt(n, width.gp)
		t.Scale4(n)
		for _, m := range mats {
			t.AddInt(m.ptr, n)
		}
		t.SubJump(rows.gp, 1, NE, "row")
	}
}

// pass emits a pass over n elements and returns the register that has its sum in
// lane 0, if it has one.
func (l *lowering) pass(p *pass, n GP, moving []*Slice) []Reg {
	if p.state == nil {
		l.each(p.body, n, p.unroll, moving, l.prefix+"end", func() {})
		l.t.Label(l.prefix + "end")
		return nil
	}
	regs := make([]Reg, 64/l.t.Lanes())
	for j := range regs {
		regs[j] = l.reg()
		l.t.Zero(regs[j])
	}
	p.state.regs = regs
	l.accumulate(p.body, len(regs), n, moving, true)
	l.fold(Add, regs)
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
	p := &pass{state: &Value{op: opAcc}}
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
