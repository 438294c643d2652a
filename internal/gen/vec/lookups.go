package vec

// Lookups describes a kernel over the rows of two matrices: row i of rows meets row
// indices[i] of table, where indices holds whole numbers. The matrices have distances
// of rows of their own, the arguments of their names and "Stride", in elements; the
// body is that of a row's elements.
func (k *Kernel) Lookups(unroll int, rows, table, indices *Slice, body func()) {
	count, width := k.length("rows", indices.Name), k.Int("cols")
	strides := map[*Slice]*Int{}
	for _, m := range []*Slice{rows, table} {
		m.strided = true
		strides[m] = k.Int(m.Name + "Stride")
	}
	table.indices = indices
	k.into = &k.body
	body()
	k.loop = func(l *lowering) {
		t := l.t
		l.pointers()
		l.ints()
		n, first, next := l.gp(), l.gp(), l.gp()
		l.uniforms(bodyRegisters)
		number := l.reg()
		t.MoveInt(n, width.gp) // the partial vector is the same in every row
		t.Remainder(n, t.Lanes())
		l.preparePartial(n)
		l.keepConstants(k.body, unroll)
		t.Scale4(strides[rows].gp)
		t.Scale4(strides[table].gp)
		t.MoveInt(first, table.ptr)
		t.MoveInt(next, rows.ptr)
		t.Label("row")
		t.IndexAt(table.ptr, indices.ptr, number)
		t.AddImm(indices.ptr, 4)
		t.MulInt(table.ptr, strides[table].gp)
		t.AddInt(table.ptr, first)
		t.MoveInt(rows.ptr, next)
		t.AddInt(next, strides[rows].gp)
		t.MoveInt(n, width.gp)
		l.each(k.body, n, unroll, []*Slice{rows, table}, "row_end", func() {})
		t.Label("row_end")
		t.SubJump(count.gp, 1, NE, "row")
	}
}
