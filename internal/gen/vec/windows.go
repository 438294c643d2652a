package vec

import "fmt"

// Gather and Scatter describe kernels over windows of images whose channels are the
// lanes, in lines of neighbouring windows. Each window has a pixel of some slices of
// its own, and rows of places in the image, which are pixels too.
//
// The arguments are the numbers of lines, of windows in one (pixels), of channels, and
// of rows and columns of a window (taps); and distances in elements: from pixel to
// pixel (depth), from window to window of a line in the image (step), and what is left
// from the pixel after the last one to the first of the next row of a window (rowGap),
// of the next line's first window in the image (lineGap), and of the next line in the
// others (ownGap). All numbers are at least 1. Up to most vectors of channels are
// computed at once.

// Gather describes a kernel that folds the places of each window into the slices own,
// which have a state each: first returns the states after the first place, next what
// they become with another one, in the order in which they change, and last what is
// stored of them; with last nil they are. With the argument more not 0, own holds the
// states of places before, and there is no first one.
func (k *Kernel) Gather(most int, image *Slice, own []*Slice, first func() []*Value, next, last func(s []*Value) []*Value) {
	w := &windows{image: image, own: own, gather: true, most: most}
	for range own {
		w.states = append(w.states, &Value{op: opAcc})
	}
	k.windows(w)
	w.more = k.Int("more")
	w.first = k.part(func() { w.become(k, first()) })
	w.place = k.part(func() { w.become(k, next(w.states)) })
	w.last = k.part(func() {
		values := w.states
		if last != nil {
			values = last(values)
		}
		for i, v := range values {
			k.Store(own[i], v)
		}
	})
}

// Scatter describes a kernel that stores to the places of each window: once returns
// what is computed for all of them from own.
func (k *Kernel) Scatter(most int, image *Slice, own []*Slice, once func() []*Value, place func(s []*Value)) {
	w := &windows{image: image, own: own, most: most}
	k.windows(w)
	w.first = k.part(func() {
		values := once()
		for range values {
			w.states = append(w.states, &Value{op: opAcc})
		}
		w.become(k, values)
	})
	w.place = k.part(func() { place(w.states) })
}

// Place returns, as integers, the number of the current place of a window: first for
// the first one, and so on. A kernel has one first.
func (k *Kernel) Place(first *Value) *Value {
	if k.place == nil {
		k.place = &Value{op: opPlace, args: []*Value{first}}
	}
	return k.place
}

type windows struct {
	image  *Slice
	own    []*Slice
	gather bool
	most   int

	states             []*Value
	first, place, last []*Value // bodies

	lines, pixels, channels, rows, taps, depth, step, rowGap, lineGap, ownGap, more *Int
}

// become sets the next values of the states.
func (w *windows) become(k *Kernel, values []*Value) {
	for i, v := range values {
		if v.op == opPlace {
			v = k.do(Move, v)
		}
		v.acc = w.states[i]
	}
}

// part records a body.
func (k *Kernel) part(record func()) (body []*Value) {
	k.into = &body
	record()
	k.into = nil
	k.body = append(k.body, body...)
	return body
}

func (k *Kernel) windows(w *windows) {
	w.lines, w.pixels, w.channels = k.Int("lines"), k.Int("pixels"), k.Int("channels")
	w.rows, w.taps = k.Int("rows"), k.Int("taps")
	w.depth, w.step = k.Int("depth"), k.Int("step")
	w.rowGap, w.lineGap, w.ownGap = k.Int("rowGap"), k.Int("lineGap"), k.Int("ownGap")
	k.loop = func(l *lowering) { l.windows(w) }
}

func (l *lowering) windows(w *windows) {
	t, k, lanes, image := l.t, l.k, l.t.Lanes(), w.image
	// Arguments are loaded again where they are needed: general registers are few.
	l.pointers()
	w.lines.gp, w.depth.gp, w.rowGap.gp = l.arg(w.lines.Name), l.arg(w.depth.Name), l.arg(w.rowGap.Name)
	image.base, image.ptr = image.ptr, l.gp()
	w.pixels.gp, w.rows.gp, w.taps.gp = l.gp(), l.gp(), l.gp()
	n, some := l.gp(), l.gp()
	l.uniforms(w.most*(len(w.states)+1) + 4)
	one := Operand{Const: true, Bits: 1}
	if k.place != nil {
		k.place.regs = []Reg{l.reg()}
		if !t.MemoryConstants() {
			one = Operand{Reg: l.reg()}
			t.Constant(one.Reg, 1)
		}
	}
	t.Scale4(w.depth.gp)
	t.Scale4(w.rowGap.gp)
	t.Arg(n, w.channels.Name) // the partial vector is the same for every window
	t.Remainder(n, lanes)
	l.spare = some
	l.preparePartial(n)
	unroll := l.widestWindow(w)
	for _, v := range w.first { // constants, where they take no room from others
		for _, a := range v.args {
			if _, ok := l.consts[a.bits]; a.op != opConst || ok || len(l.free) == 0 {
				continue
			}
			l.consts[a.bits] = l.reg()
			if l.widestWindow(w) == unroll {
				t.Constant(l.consts[a.bits], a.bits)
			} else {
				l.release(l.consts[a.bits])
				delete(l.consts, a.bits)
			}
		}
	}
	// begin starts a window for u vectors of channels.
	begin := func(u int) (held []Reg) {
		held = l.hold(w.states, u)
		t.MoveInt(image.ptr, image.base)
		if k.place != nil {
			l.emit(Move, k.place.regs[0], []Operand{l.operand(k.place.args[0], 0)}, 0, 0)
		}
		return held
	}
	// count counts the places.
	count := func() {
		if k.place != nil {
			l.emit(IntAdd, k.place.regs[0], []Operand{{Reg: k.place.regs[0]}, one}, 0, 0)
		}
	}
	// pair is a window of 2 x 2 places, without a loop.
	pair := func(u int, _ string) {
		held := begin(u)
		l.block(w.first, u, 0)
		if !w.gather {
			l.block(w.place, u, 0)
		}
		for place := 1; place < 4; place++ {
			count()
			t.AddInt(image.ptr, w.depth.gp)
			if place == 2 {
				t.AddInt(image.ptr, w.rowGap.gp)
			}
			l.block(w.place, u, 0)
		}
		l.block(w.last, u, 0)
		l.release(held...)
	}
	// window is one of any size, or a part of one.
	window := func(u int, label string) {
		held := begin(u)
		t.Arg(w.rows.gp, w.rows.Name)
		t.Arg(w.taps.gp, w.taps.Name)
		if w.gather {
			t.Arg(some, w.more.Name)
			t.CmpJump(some, 0, NE, label+"_more")
			l.block(w.first, u, 0)
			t.Jump(label + "_next")
			t.Label(label + "_more")
			for i, s := range w.states {
				for j, r := range s.regs {
					t.Load(r, w.own[i].ptr, 4*lanes*j, l.partial)
				}
			}
		} else {
			l.block(w.first, u, 0)
		}
		t.Label(label + "_places")
		l.block(w.place, u, 0)
		t.Label(label + "_next")
		count()
		t.AddInt(image.ptr, w.depth.gp)
		t.SubJump(w.taps.gp, 1, NE, label+"_places")
		t.AddInt(image.ptr, w.rowGap.gp)
		t.Arg(w.taps.gp, w.taps.Name)
		t.SubJump(w.rows.gp, 1, NE, label+"_places")
		l.block(w.last, u, 0)
		l.release(held...)
	}
	sizes := []*Int{w.rows, w.taps}
	for _, size := range sizes {
		t.Arg(some, size.Name)
		t.CmpJump(some, 2, NE, "any")
	}
	if w.gather {
		t.Arg(some, w.more.Name)
		t.CmpJump(some, 0, NE, "any")
	}
	l.prefix = "pair_"
	l.eachWindow(w, unroll, n, some, pair)
	t.End()
	l.prefix = ""
	t.Label("any")
	l.eachWindow(w, unroll, n, some, window)
}

// eachWindow emits the loops over the lines and windows, and over the channels of each,
// up to unroll vectors of which the function emits. n and some are free registers.
func (l *lowering) eachWindow(w *windows, unroll int, n, some GP, window func(u int, label string)) {
	t, lanes, image := l.t, l.t.Lanes(), w.image
	// next moves pointers by an argument.
	next := func(by *Int, pointers ...GP) {
		t.Arg(some, by.Name)
		if by == w.depth || by == w.step { // from the end of the channels
			t.Arg(n, w.channels.Name)
			t.SubInt(some, n)
		}
		for _, p := range pointers {
			t.AddScaled(p, some)
		}
	}
	var own []GP
	for _, s := range w.own {
		own = append(own, s.ptr)
	}
	t.Label(l.prefix + "line")
	t.Arg(w.pixels.gp, w.pixels.Name)
	t.Label(l.prefix + "pixel")
	t.Arg(n, w.channels.Name)
	for u := unroll; u > 0; u /= 2 {
		label := fmt.Sprint(l.prefix, "vectors", u)
		t.CmpJump(n, u*lanes, LT, label+"_end")
		t.Label(label)
		window(u, label)
		for _, p := range append([]GP{image.base}, own...) {
			t.AddImm(p, 4*lanes*u)
		}
		t.AddImm(n, -u*lanes)
		t.CmpJump(n, u*lanes, GE, label)
		t.Label(label + "_end")
	}
	t.CmpJump(n, 0, EQ, l.prefix+"next")
	l.partial = true
	window(1, l.prefix+"partial")
	l.partial = false
	for _, p := range append([]GP{image.base}, own...) {
		t.AddScaled(p, n)
	}
	t.Label(l.prefix + "next")
	next(w.depth, own...)
	next(w.step, image.base)
	t.SubJump(w.pixels.gp, 1, NE, l.prefix+"pixel")
	next(w.ownGap, own...)
	next(w.lineGap, image.base)
	t.SubJump(w.lines.gp, 1, NE, l.prefix+"line")
}

// widestWindow returns how many vectors of channels there are registers for.
func (l *lowering) widestWindow(w *windows) int {
	n := w.most
	for _, body := range [][]*Value{w.first, w.place, w.last} {
		n = l.widest(n, w.states, body, false)
	}
	return n
}
