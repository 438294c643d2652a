package vec

import "fmt"

// A State is a loop-carried vector of Windows.
type State struct {
	Start *Value // a constant or a scalar; nil for +0
	Dst   *Slice // where it is kept in the end; nil for nowhere
}

// Windows describes a kernel over windows of pixels, whose channels are the lanes:
// for each of a number of pixels and each channel, states run over the taps of a
// window. They start from Start, or, where the argument more is not 0, those that are
// kept from what Dst holds. next returns what they become with a tap's elements of the
// matrices mats, in the order in which they change.
//
// The arguments are the numbers of pixels, channels and taps, and distances in
// elements: from pixel to pixel in the destinations (dstStep) and in mats (srcStep),
// and from tap to tap (tapStep). Up to most vectors of channels are computed at once.
func (k *Kernel) Windows(most int, mats []*Slice, states []State, next func(s []*Value) []*Value) {
	pixels, channels := k.Int("pixels"), k.Int("channels")
	dstStep, srcStep := k.Int("dstStep"), k.Int("srcStep")
	taps, tapStep, more := k.Int("taps"), k.Int("tapStep"), k.Int("more")
	values := make([]*Value, len(states))
	for i := range values {
		values[i] = &Value{op: opAcc}
	}
	k.into = &k.body
	for i, v := range next(values) {
		v.acc = values[i]
	}
	k.loop = func(l *lowering) {
		t, lanes := l.t, l.t.Lanes()
		l.pointers()
		pixels.gp, tapStep.gp = l.arg(pixels.Name), l.arg(tapStep.Name)
		n, left, whole := l.gp(), l.gp(), l.gp()
		for _, m := range mats {
			m.base, m.ptr = m.ptr, l.gp()
		}
		l.uniforms(most*(len(states)+2) + 2)
		t.Scale4(tapStep.gp)
		t.Arg(n, channels.Name) // the partial vector is the same for every pixel
		t.MoveInt(whole, n)
		t.Remainder(n, lanes)
		l.preparePartial(n)
		t.SubInt(whole, n)
		unroll := l.widest(most, values, k.body, true)
		// vectors emits u vectors of channels.
		vectors := func(u int, label string) {
			held := l.hold(values, u)
			start := func(kept bool) {
				for i, s := range states {
					for j, r := range values[i].regs {
						switch {
						case kept && s.Dst != nil:
							t.Load(r, s.Dst.ptr, 4*lanes*j, l.partial)
						case s.Start == nil:
							t.Zero(r)
						case s.Start.op == opConst:
							t.Constant(r, s.Start.bits)
						default:
							l.emit(Move, r, []Operand{l.operand(s.Start, 0)}, 0, 0)
						}
					}
				}
			}
			t.Arg(left, more.Name)
			t.CmpJump(left, 0, EQ, label+"_start")
			start(true)
			t.Jump(label + "_begin")
			t.Label(label + "_start")
			start(false)
			t.Label(label + "_begin")
			for _, m := range mats {
				t.MoveInt(m.ptr, m.base)
			}
			t.Arg(left, taps.Name)
			t.Label(label + "_taps")
			l.run(k.body, u, 0)
			for _, m := range mats {
				t.AddInt(m.ptr, tapStep.gp)
			}
			t.SubJump(left, 1, NE, label+"_taps")
			for i, s := range states {
				if s.Dst == nil {
					continue
				}
				for j, r := range values[i].regs {
					t.Store(r, s.Dst.ptr, 4*lanes*j, l.partial)
				}
			}
			l.release(held...)
		}
		t.Label("pixel")
		t.Arg(n, channels.Name)
		for u := unroll; u > 0; u /= 2 {
			label := fmt.Sprint("vectors", u)
			t.Label(label)
			t.CmpJump(n, u*lanes, LT, label+"_end")
			vectors(u, label)
			for _, s := range states {
				if s.Dst != nil {
					t.AddImm(s.Dst.ptr, 4*lanes*u)
				}
			}
			for _, m := range mats {
				t.AddImm(m.base, 4*lanes*u)
			}
			t.AddImm(n, -u*lanes)
			t.Jump(label)
			t.Label(label + "_end")
		}
		t.CmpJump(n, 0, EQ, "next")
		l.partial = true
		vectors(1, "partial")
		l.partial = false
		// From the whole vectors of a pixel to the next pixel.
		t.Label("next")
		rest := func(step *Int) {
			t.Arg(left, step.Name)
			t.SubInt(left, whole)
			t.Scale4(left)
		}
		rest(srcStep)
		for _, m := range mats {
			t.AddInt(m.base, left)
		}
		rest(dstStep)
		for _, s := range states {
			if s.Dst != nil {
				t.AddInt(s.Dst.ptr, left)
			}
		}
		t.SubJump(pixels.gp, 1, NE, "pixel")
	}
}
