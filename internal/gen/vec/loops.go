package vec

import (
	"fmt"
	"slices"
)

// The loops that a kernel can have. Each is written once, for all targets.

// Each runs the body over n elements, the length of the first slice: blocks of
// up to unroll vectors, then single vectors, then a partial one.
func (k *Kernel) Each(unroll int, body func()) {
	n := k.length("n", k.Slices[0].Name)
	k.each, k.block = true, unroll
	k.into = &k.body
	body()
	k.loop = func(l *lowering) {
		l.pointers()
		l.ints()
		l.uniforms(bodyRegisters)
		l.startIndex()
		l.keepConstants(k.body, unroll)
		l.each(k.body, n.gp, unroll, k.Slices, "done", nil)
		l.t.Label("done")
	}
}

// bodyRegisters is the number of vector registers that no constant takes if it can be
// loaded where it is used: enough for copies of most bodies beside each other.
const bodyRegisters = 22

// longBlock is a number of operations beside which those that count the elements
// don't matter: a block has more of them only in copies that run beside each other.
const longBlock = 56

// each emits the loop of Each over n elements and jumps to or falls through to
// the label end. n counts down; before a partial vector it is handed to tail,
// where there is one.
func (l *lowering) each(body []*Value, n GP, unroll int, moving []*Slice, end string, tail func()) {
	t, lanes := l.t, l.t.Lanes()
	if len(body) <= shortBody { // as many elements for all targets
		unroll = unroll * 8 / lanes
	}
	for group := l.fit(body, unroll); unroll > group && unroll*len(body) > longBlock; {
		unroll /= 2
	}
	if unroll > 1 {
		t.SubJump(n, unroll*lanes, LT, l.prefix+"blocks_end")
		if l.k.distance != nil {
			t.Loop(l.prefix + "blocks")
			l.fetch(moving, unroll*lanes)
		} else {
			t.Label(l.prefix + "blocks")
		}
		l.block(body, unroll, 0)
		l.advance(moving, unroll*lanes)
		t.SubJump(n, unroll*lanes, GE, l.prefix+"blocks")
		t.Label(l.prefix + "blocks_end")
		t.AddImm(n, unroll*lanes)
	}
	t.SubJump(n, lanes, LT, l.prefix+"vectors_end")
	t.Label(l.prefix + "vectors")
	l.run(body, 1, 0)
	l.advance(moving, lanes)
	t.SubJump(n, lanes, GE, l.prefix+"vectors")
	t.Label(l.prefix + "vectors_end")
	t.AddImm(n, lanes)
	t.CmpJump(n, 0, EQ, end)
	switch {
	case tail != nil:
		tail()
	case l.k.piecewise() && t.Pieces() != nil:
		l.pieces(body, n, moving)
		return
	default:
		l.preparePartial(n)
	}
	l.partialRun(body, 0)
}

// pieces lowers the body for a partial vector of n elements by narrower vectors.
func (l *lowering) pieces(body []*Value, n GP, moving []*Slice) {
	l.partial = true
	for _, lanes := range l.t.Pieces() {
		end := fmt.Sprint(l.prefix, "piece", lanes, "_end")
		l.t.CmpJump(n, lanes, LT, end)
		l.t.Narrow(lanes)
		l.run(body, 1, 0)
		l.t.Narrow(0)
		if lanes > 1 {
			l.advance(moving, lanes)
			l.t.AddImm(n, -lanes)
		}
		l.t.Label(end)
	}
	l.partial = false
}

// shortBody is a number of operations that take about as long as their loads and
// stores.
const shortBody = 8

// block lowers n copies of a body, as many beside each other as there are registers
// for, or one after the other where that is better. Copy j works on accumulators
// first+j.
func (l *lowering) block(body []*Value, n, first int) {
	group := l.t.StoreGroup()
	if group == 0 || l.around || len(body) > shortBody || !stores(body) {
		group = n
	}
	group = l.fit(body, min(group, n))
	for l.vector = 0; l.vector < n; l.vector += group {
		l.run(body, group, first+l.vector)
	}
	l.vector = 0
}

// stores reports whether a body has a store.
func stores(body []*Value) bool {
	return slices.ContainsFunc(body, func(v *Value) bool { return v.op == opStore })
}

// preparePartial sets up the mask of a partial vector of n elements.
func (l *lowering) preparePartial(n GP) {
	if l.t.PartialInVector() {
		l.mask = l.reg()
	}
	l.t.Partial(n, l.mask, l.spare)
}

// partialRun lowers the body for a partial vector.
func (l *lowering) partialRun(body []*Value, acc int) {
	l.partial = true
	l.run(body, 1, acc)
	l.partial = false
}

// Rows describes a kernel over a row-major matrix: mats are contiguous matrices,
// cols vectors with one element a column. The first function runs once a row and
// may use Row; the second is the body over the row's elements. With rowLen nil
// the number of rows is an argument.
func (k *Kernel) Rows(unroll int, rowLen, colLen *Slice, mats, cols []*Slice, row, body func()) {
	var rows *Int
	if rowLen != nil {
		rows = k.length("rows", rowLen.Name)
	} else {
		rows = k.Int("rows")
	}
	width := k.length("cols", colLen.Name)
	k.grid = &Grid{Rows: rows, Cols: width, mats: mats, cols: cols}
	k.into = &k.row
	row()
	k.into = &k.body
	body()
	k.loop = func(l *lowering) {
		t := l.t
		l.pointers()
		l.ints()
		n := l.gp()
		l.uniforms(bodyRegisters)
		t.MoveInt(n, width.gp) // the partial vector is the same in every row
		t.Remainder(n, t.Lanes())
		if len(cols) > 0 {
			l.spare = cols[0].ptr // each row loads it
		}
		l.preparePartial(n)
		moving := append(append([]*Slice{}, mats...), cols...)
		for _, v := range k.row {
			if v.isMask() || v.op == Fill {
				panic("vec: " + k.Name + ": masks and partial vectors don't exist before a row")
			}
			v.regs = []Reg{l.reg()}
		}
		l.keepConstants(k.body, unroll)
		t.Label("row")
		for _, v := range k.row {
			if v.op != opRow {
				continue
			}
			t.BroadcastAt(v.regs[0], v.slice.ptr)
			t.AddImm(v.slice.ptr, 4)
		}
		for _, v := range k.row {
			if v.op == opRow {
				continue
			}
			var args []Operand
			for _, a := range v.args {
				args = append(args, l.operand(a, 0))
			}
			l.emit(v.op, v.regs[0], args, v.bits, 0)
		}
		t.MoveInt(n, width.gp)
		for _, c := range cols { // again from memory: general registers are few
			t.Arg(c.ptr, c.Name)
		}
		l.each(k.body, n, unroll, moving, "row_end", func() {})
		t.Scale4(n)
		for _, m := range mats {
			t.AddInt(m.ptr, n)
		}
		t.Label("row_end")
		t.SubJump(rows.gp, 1, NE, "row")
	}
}

// Row returns the current row's element of s, in all lanes.
func (k *Kernel) Row(s *Slice) *Value { return k.record(&Value{op: opRow, slice: s}) }

// An Accumulator is a loop-carried vector of a reduction.
type Accumulator struct {
	Start *Value // a constant; nil for +0
	Fold  Op     // combines two partial results
	Next  func(acc *Value) *Value
}

// Reduce describes a reduction over n elements, the length of the first slice.
// An accumulator has the given number of lanes, element i in lane i mod lanes,
// which are folded in halves to the result of the same position; lanes 0 leaves
// the number to the target, for folds in which the order doesn't matter. With 64
// lanes the single accumulator starts from the argument acc and is stored there,
// if that is not nil.
func (k *Kernel) Reduce(lanes int, accs ...Accumulator) {
	n := k.length("n", k.Slices[0].Name)
	carry := lanes == 64
	k.Lanes64 = carry
	if len(k.Results) == 0 {
		k.Results = []string{"sum"}
	}
	k.into = &k.body
	states := make([]*Value, len(accs))
	for i, a := range accs {
		states[i] = &Value{op: opAcc}
		next := a.Next(states[i])
		next.acc = states[i]
	}
	k.loop = func(l *lowering) {
		t, width := l.t, l.t.Lanes()
		count := lanes / width // vectors of an accumulator
		if lanes == 0 {
			count = l.chains()
		}
		var acc GP
		if carry {
			acc = l.arg("acc")
		}
		l.pointers()
		l.ints()
		l.uniforms(count*len(accs) + 7)
		l.startIndex()
		if carry {
			l.few(acc, n.gp, accs[0].Fold, states[0])
		}
		for i, s := range states {
			s.regs = make([]Reg, count)
			for j := range s.regs {
				s.regs[j] = l.reg()
				if start := accs[i].Start; start != nil {
					t.Constant(s.regs[j], start.bits)
				} else {
					t.Zero(s.regs[j])
				}
			}
		}
		if carry {
			t.CmpJump(acc, 0, EQ, "start")
			for j, r := range states[0].regs {
				t.Load(r, acc, 4*width*j, false)
			}
			t.Label("start")
		}
		l.keepConstants(k.body, count)
		l.accumulate(k.body, count, n.gp, k.Slices, false)
		if carry {
			t.CmpJump(acc, 0, EQ, "tree")
			for j, r := range states[0].regs {
				t.Store(r, acc, 4*width*j, false)
			}
			t.Label("tree")
		}
		for i, s := range states {
			l.fold(accs[i].Fold, s.regs)
			t.Result(i, s.regs[0])
		}
	}
}

// chains is the number of vectors of an accumulator whose number is free: of so many
// elements that a short loop doesn't wait for the one before.
func (l *lowering) chains() int { return max(4, 32/l.t.Lanes()) }

// few emits a sum in 64 lanes of at most a vector where no lanes are carried. The other
// lanes are +0. To add them turns a sum of -0, which so many products that underflow may
// have, to +0, as the last addition does, and changes no other.
func (l *lowering) few(acc, n GP, fold Op, state *Value) {
	t, lanes := l.t, l.t.Lanes()
	t.CmpJump(n, lanes+1, GE, "many")
	t.CmpJump(acc, 0, NE, "many")
	t.CmpJump(n, 0, EQ, "many")
	state.regs = []Reg{l.reg()}
	t.Zero(state.regs[0])
	t.CmpJump(n, lanes, LT, "few")
	l.run(l.k.body, 1, 0)
	t.Jump("few_lanes")
	t.Label("few")
	if t.PartialInVector() {
		l.mask = l.reg()
	}
	t.Partial(n, l.mask, l.spare)
	l.partialRun(l.k.body, 0)
	if t.PartialInVector() {
		l.release(l.mask)
	}
	t.Label("few_lanes")
	l.fold(fold, state.regs)
	zero := l.reg()
	t.Zero(zero)
	t.Narrow(1)
	l.emit(fold, state.regs[0], []Operand{{Reg: state.regs[0]}, {Reg: zero}}, 0, 0)
	t.Narrow(0)
	t.Result(0, state.regs[0])
	t.End()
	t.Label("many")
	l.release(zero)
	l.release(state.regs[0])
}

// accumulate emits the loop of a reduction over n elements into accumulators of
// count vectors, which end in the label "fold". The mask of a partial vector is
// prepared already, or set up here.
func (l *lowering) accumulate(body []*Value, count int, n GP, moving []*Slice, prepared bool) {
	t, width := l.t, l.t.Lanes()
	t.SubJump(n, count*width, LT, l.prefix+"blocks_end")
	t.Label(l.prefix + "blocks")
	l.block(body, count, 0)
	l.advance(moving, count*width)
	t.SubJump(n, count*width, GE, l.prefix+"blocks")
	t.Label(l.prefix + "blocks_end")
	t.AddImm(n, count*width)
	// The rest: single vectors into the lanes in order, then a partial one.
	for j := range count {
		t.CmpJump(n, width, LT, fmt.Sprint(l.prefix, "partial", j))
		l.run(body, 1, j)
		l.advance(moving, width)
		t.AddImm(n, -width)
	}
	t.Jump(l.prefix + "fold")
	ownMask := !prepared && t.PartialInVector()
	if ownMask {
		l.mask = l.reg()
	}
	for j := range count {
		t.Label(fmt.Sprint(l.prefix, "partial", j))
		t.CmpJump(n, 0, EQ, l.prefix+"fold")
		if !prepared {
			t.Partial(n, l.mask, l.spare)
		}
		l.partialRun(body, j)
		if j < count-1 {
			t.Jump(l.prefix + "fold")
		}
	}
	t.Label(l.prefix + "fold")
	if ownMask {
		l.release(l.mask)
	}
}

// fold combines the lanes of an accumulator in halves into lane 0 of its first
// vector.
func (l *lowering) fold(op Op, regs []Reg) {
	for h := len(regs) / 2; h > 0; h /= 2 {
		for j := range h {
			l.emit(op, regs[j], []Operand{{Reg: regs[j]}, {Reg: regs[j+h]}}, 0, 0)
		}
	}
	var held []Reg
	l.t.Across(op, regs[0], func() Reg {
		held = append(held, l.reg())
		return held[len(held)-1]
	})
	l.release(held...)
}

// Columns describes a sum over the rows of matrices into dst; see ColumnSums.
func (k *Kernel) Columns(most int, dst *Slice, mats, rows, cols []*Slice, next func(acc *Value) *Value) {
	k.ColumnSums(most, mats, rows, cols, ColumnSum{dst, next})
}

// carry is the value of the argument add with which chains go on.
const carry = 2

// A ColumnSum is a sum over the rows of matrices, one for each column.
type ColumnSum struct {
	Dst  *Slice
	Next func(acc *Value) *Value
}

// ColumnSums describes sums over the rows of matrices: for each column and each
// sum one chain of Next from +0 over the rows, which is stored in Dst, or added to
// it when the argument add is 1; when add is 2 the chain goes on from Dst. The
// matrices mats have one distance of rows, the argument stride in elements. rows are
// vectors with one element a row, for Row; cols have one a column, for Column. Up to
// most vectors of columns stay in registers over all rows.
func (k *Kernel) ColumnSums(most int, mats, rows, cols []*Slice, sums ...ColumnSum) {
	n := k.length("n", sums[0].Dst.Name)
	count, stride, add := k.Int("rows"), k.Int("stride"), k.Int("add")
	states := k.chains(sums)
	k.loop = func(l *lowering) {
		t, lanes := l.t, l.t.Lanes()
		// Arguments are loaded again where they are needed: general registers are few.
		l.pointers()
		n.gp, stride.gp = l.arg(n.Name), l.arg(stride.Name)
		done, left := l.gp(), l.gp() // bytes of the columns before, rows
		l.uniforms(most*len(sums) + 2)
		t.Scale4(stride.gp)
		t.ZeroInt(done)
		body, rowValues, colValues := k.split()
		for _, v := range rowValues {
			v.regs = []Reg{l.reg()}
		}
		values := slices.Concat(colValues, states) // kept over all rows
		unroll := l.widest(most, values, body, false)
		// columns emits the sums of u vectors of columns.
		columns := func(u int, partial bool, label string) {
			l.partial = partial
			held := l.hold(values, u)
			for _, m := range mats {
				t.Arg(m.ptr, m.Name)
				t.AddInt(m.ptr, done)
			}
			for _, r := range rows {
				t.Arg(r.ptr, r.Name)
			}
			for _, v := range colValues {
				t.Arg(v.slice.ptr, v.slice.Name)
				t.AddInt(v.slice.ptr, done)
				for j, r := range v.regs {
					t.Load(r, v.slice.ptr, 4*lanes*j, partial)
				}
			}
			for _, s := range states {
				for _, r := range s.regs {
					t.Zero(r)
				}
			}
			t.Arg(left, add.Name)
			t.CmpJump(left, carry, NE, label+"_begin")
			for i, s := range states {
				for j, r := range s.regs {
					t.Load(r, sums[i].Dst.ptr, 4*lanes*j, partial)
				}
			}
			t.Label(label + "_begin")
			t.Arg(left, count.Name)
			t.Label(label + "_rows")
			for _, v := range rowValues {
				t.BroadcastAt(v.regs[0], v.slice.ptr)
				t.AddImm(v.slice.ptr, 4)
			}
			l.block(body, u, 0)
			for _, m := range mats {
				t.AddInt(m.ptr, stride.gp)
			}
			t.SubJump(left, 1, NE, label+"_rows")
			t.Arg(left, add.Name)
			t.CmpJump(left, 1, NE, label+"_store")
			for i, s := range states {
				for j, r := range s.regs {
					v := l.reg()
					t.Load(v, sums[i].Dst.ptr, 4*lanes*j, partial)
					l.emit(Add, r, []Operand{{Reg: v}, {Reg: r}}, 0, 0)
					l.release(v)
				}
			}
			t.Label(label + "_store")
			for i, s := range states {
				for j, r := range s.regs {
					t.Store(r, sums[i].Dst.ptr, 4*lanes*j, partial)
				}
			}
			l.release(held...)
			l.partial = false
		}
		for u := unroll; u > 0; u /= 2 {
			label := fmt.Sprint("columns", u)
			t.Label(label)
			t.CmpJump(n.gp, u*lanes, LT, label+"_end")
			columns(u, false, label)
			for _, s := range sums {
				t.AddImm(s.Dst.ptr, 4*lanes*u)
			}
			t.AddImm(done, 4*lanes*u)
			t.AddImm(n.gp, -u*lanes)
			t.Jump(label)
			t.Label(label + "_end")
		}
		t.CmpJump(n.gp, 0, EQ, "done")
		l.preparePartial(n.gp)
		columns(1, true, "partial")
		t.Label("done")
	}
}

// NarrowSums describes the sums of ColumnSums for matrices of few columns: over a
// number of consecutive blocks of rows, whose chains run beside each other, as those
// of a single vector of columns would wait for themselves. The argument block is the
// distance of blocks in elements; their sums are added in order.
func (k *Kernel) NarrowSums(blocks int, mats, cols []*Slice, sums ...ColumnSum) {
	n := k.length("n", sums[0].Dst.Name)
	count, stride, block, add := k.Int("rows"), k.Int("stride"), k.Int("block"), k.Int("add")
	states := k.chains(sums)
	k.loop = func(l *lowering) {
		t, lanes := l.t, l.t.Lanes()
		for _, s := range k.Slices {
			if !slices.Contains(cols, s) { // read once for each vector of columns
				s.ptr = l.arg(s.Name)
			}
		}
		n.gp, stride.gp = l.arg(n.Name), l.arg(stride.Name)
		done, left := l.gp(), l.gp() // bytes of the columns before, rows
		for _, m := range mats {
			m.blocks = []GP{m.ptr}
			for range blocks - 1 {
				m.blocks = append(m.blocks, l.gp())
			}
		}
		l.uniforms(blocks*len(sums) + 2)
		t.Scale4(stride.gp)
		t.ZeroInt(done)
		body, _, colValues := k.split()
		for _, v := range colValues {
			v.regs = slices.Repeat([]Reg{l.reg()}, blocks)
		}
		for _, s := range states {
			s.regs = make([]Reg, blocks)
			for j := range s.regs {
				s.regs[j] = l.reg()
			}
		}
		// columns emits the sums of a vector of columns.
		columns := func(partial bool, label string) {
			l.partial = partial
			t.Arg(left, block.Name)
			t.Scale4(left)
			for _, m := range mats {
				t.Arg(m.ptr, m.Name)
				t.AddInt(m.ptr, done)
				for j := 1; j < blocks; j++ {
					t.MoveInt(m.blocks[j], m.blocks[j-1])
					t.AddInt(m.blocks[j], left)
				}
			}
			for _, v := range colValues {
				t.Arg(left, v.slice.Name)
				t.AddInt(left, done)
				t.Load(v.regs[0], left, 0, partial)
			}
			for _, s := range states {
				for _, r := range s.regs {
					t.Zero(r)
				}
			}
			t.Arg(left, count.Name)
			t.Label(label + "_rows")
			l.block(body, blocks, 0)
			for _, m := range mats {
				for _, p := range m.blocks {
					t.AddInt(p, stride.gp)
				}
			}
			t.SubJump(left, 1, NE, label+"_rows")
			t.Arg(left, add.Name)
			t.CmpJump(left, 0, EQ, label+"_store")
			for i, s := range states {
				v := l.reg()
				t.Load(v, sums[i].Dst.ptr, 0, partial)
				l.emit(Add, s.regs[0], []Operand{{Reg: v}, {Reg: s.regs[0]}}, 0, 0)
				l.release(v)
			}
			t.Label(label + "_store")
			for i, s := range states {
				for _, r := range s.regs[1:] {
					l.emit(Add, s.regs[0], []Operand{{Reg: s.regs[0]}, {Reg: r}}, 0, 0)
				}
				t.Store(s.regs[0], sums[i].Dst.ptr, 0, partial)
			}
			l.partial = false
		}
		t.Label("columns")
		t.CmpJump(n.gp, lanes, LT, "columns_end")
		columns(false, "whole")
		for _, s := range sums {
			t.AddImm(s.Dst.ptr, 4*lanes)
		}
		t.AddImm(done, 4*lanes)
		t.AddImm(n.gp, -lanes)
		t.Jump("columns")
		t.Label("columns_end")
		t.CmpJump(n.gp, 0, EQ, "done")
		l.preparePartial(n.gp)
		columns(true, "partial")
		t.Label("done")
	}
}

// chains records the sums, and returns their accumulators.
func (k *Kernel) chains(sums []ColumnSum) []*Value {
	states := make([]*Value, len(sums))
	k.into = &k.body
	for i, s := range sums {
		states[i] = &Value{op: opAcc}
		s.Next(states[i]).acc = states[i]
	}
	return states
}

// Column returns the current columns' elements of s.
func (k *Kernel) Column(s *Slice) *Value { return k.record(&Value{op: opColumn, slice: s}) }

// split takes the row and the column elements out of the body: they are loaded
// apart from it.
func (k *Kernel) split() (body, rows, cols []*Value) {
	for _, v := range k.body {
		switch v.op {
		case opRow:
			rows = append(rows, v)
		case opColumn:
			cols = append(cols, v)
		default:
			body = append(body, v)
		}
	}
	return body, rows, cols
}
