package vec_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// A term is a value of a random kernel, and what it is at a point of the data.
type term struct {
	v    *vec.Value
	eval func(at point) uint32
}

// A point is a row and a column of the data.
type point struct{ row, col int }

// operations are those that a term can be made by; a mask is made by Less or
// Equal and used at once.
var operations = []struct {
	op     vec.Op
	arity  int
	record func(k *vec.Kernel, v []*vec.Value) *vec.Value
}{
	{vec.Add, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.Add(v[0], v[1]) }},
	{vec.Sub, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.Sub(v[0], v[1]) }},
	{vec.Mul, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.Mul(v[0], v[1]) }},
	{vec.Div, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.Div(v[0], v[1]) }},
	{vec.Sqrt, 1, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.Sqrt(v[0]) }},
	{vec.FMA, 3, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.FMA(v[0], v[1], v[2]) }},
	{vec.FNMA, 3, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.FNMA(v[0], v[1], v[2]) }},
	{vec.FMS, 3, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.FMS(v[0], v[1], v[2]) }},
	{vec.Least, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.Least(v[0], v[1]) }},
	{vec.Greatest, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.Greatest(v[0], v[1]) }},
	{vec.And, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.And(v[0], v[1]) }},
	{vec.Or, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.Or(v[0], v[1]) }},
	{vec.Xor, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.Xor(v[0], v[1]) }},
	{vec.AndNot, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.AndNot(v[0], v[1]) }},
	{vec.IntAdd, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.IntAdd(v[0], v[1]) }},
	{vec.IntSub, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.IntSub(v[0], v[1]) }},
	{vec.IntMul, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.IntMul(v[0], v[1]) }},
	{vec.IntMax, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.IntMax(v[0], v[1]) }},
	{vec.ToFloat, 1, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.ToFloat(v[0]) }},
	{vec.RootSum, 4, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.RootSum(v[0], v[1], v[2], v[3]) }},
	{vec.StepQuotient, 5, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.StepQuotient(v[0], v[1], v[2], v[3], v[4]) }},
	// These take a mask; the row's part of a kernel has none.
	{vec.Keep, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.Keep(v[0], v[1]) }},
	{vec.Drop, 2, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.Drop(v[0], v[1]) }},
	{vec.Select, 3, func(k *vec.Kernel, v []*vec.Value) *vec.Value { return k.Select(v[0], v[1], v[2]) }},
}

var comparisons = []struct {
	op     vec.Op
	record func(k *vec.Kernel, a, b *vec.Value) *vec.Value
}{
	{vec.Less, (*vec.Kernel).Less},
	{vec.IntLess, (*vec.Kernel).IntLess},
	{vec.Equal, (*vec.Kernel).Equal},
	{vec.IntEqual, (*vec.Kernel).IntEqual},
	{vec.Exceeds, (*vec.Kernel).Exceeds},
}

var shifts = []struct {
	op     vec.Op
	record func(k *vec.Kernel, a *vec.Value, n uint32) *vec.Value
}{
	{vec.ShiftLeft, (*vec.Kernel).ShiftLeft},
	{vec.ShiftRight, (*vec.Kernel).ShiftRight},
	{vec.ShiftInt, (*vec.Kernel).ShiftInt},
}

// A formula grows random terms in a kernel.
type formula struct {
	k *vec.Kernel
	r *rand.Rand
	// What a term can start from: loads differ from pass to pass, uniforms don't.
	loads    []func() term
	uniforms []term
	row      bool // the terms are those of a row
}

func (f *formula) uniform() term {
	if i := f.r.IntN(len(f.uniforms) + 1); i < len(f.uniforms) {
		return f.uniforms[i]
	}
	bits := f.r.Uint32()
	return term{f.k.Bits(bits), func(point) uint32 { return bits }}
}

func (f *formula) load() term { return f.loads[f.r.IntN(len(f.loads))]() }

// made returns the term of a recorded operation.
func made(v *vec.Value, op vec.Op, bits uint32, args ...term) term {
	return term{v, func(at point) uint32 {
		in := make([]uint32, len(args))
		for i, a := range args {
			in[i] = a.eval(at)
		}
		return scramble(op, in, bits)
	}}
}

// step applies a random operation to x and to what other returns; x stands in
// any place.
func (f *formula) step(x term, other func() term) term {
	k, r := f.k, f.r
	switch {
	case r.IntN(20) == 0:
		s, n := shifts[r.IntN(len(shifts))], 1+r.Uint32N(31)
		return made(s.record(k, x.v, n), s.op, n, x)
	case r.IntN(20) == 0:
		exponent := term{nil, func(point) uint32 { return 0x7f800000 }}
		return made(k.Flush(x.v), vec.Flush, 0, x, exponent)
	case r.IntN(20) == 0 && !f.row: // fills lanes that no result shows
		return term{k.Fill(x.v, f.uniform().v), x.eval}
	}
	o := operations[r.IntN(len(operations))]
	if f.row {
		o = operations[r.IntN(len(operations)-3)]
	}
	args := make([]term, o.arity)
	place := r.IntN(o.arity)
	for a := range args {
		args[a] = x
	}
	masked := o.op == vec.Keep || o.op == vec.Drop || o.op == vec.Select
	for a := range args {
		if a != place && !(masked && a == 0) {
			args[a] = other()
		}
	}
	if masked {
		c, y := comparisons[r.IntN(len(comparisons))], other()
		args[0] = made(c.record(k, x.v, y.v), c.op, 0, x, y)
	}
	var values []*vec.Value
	for _, a := range args {
		values = append(values, a.v)
	}
	return made(o.record(k, values), o.op, 0, args...)
}

// grow returns n terms that together use all that is computed and loaded, after
// a number of steps.
func (f *formula) grow(n, steps int) []term {
	pool := make([]term, n)
	for i := range pool {
		pool[i] = f.load()
	}
	other := func() term {
		switch f.r.IntN(6) {
		case 0, 1:
			return f.uniform()
		case 2:
			return f.load()
		}
		return pool[f.r.IntN(len(pool))]
	}
	for range steps {
		i := f.r.IntN(len(pool))
		y := f.step(pool[i], other)
		if len(pool) < n+2 && f.r.IntN(3) == 0 {
			pool = append(pool, y)
		} else {
			pool[i] = y
		}
	}
	for len(pool) > n { // use up the last
		last := pool[len(pool)-1]
		pool = pool[:len(pool)-1]
		i := f.r.IntN(len(pool))
		pool[i] = made(f.k.Sub(pool[i].v, last.v), vec.Sub, 0, pool[i], last)
	}
	return pool
}

// A trial is a random kernel, lowered to a random machine.
type trial struct {
	k *vec.Kernel
	m *machine
	r *rand.Rand
	f formula

	data    map[string][]uint32 // of the arguments, before the run
	scalars []string
}

// trials runs a body for random machines and kernels; describe returns the
// kernel's loop. Kernels that the lowering refuses are left out, but must be few.
func trials(t *testing.T, describe func(c *trial), run func(t *testing.T, c *trial)) {
	const n = 400
	refused := 0
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := &trial{m: randomMachine(r), r: r}
		c.k = vec.Describe("random", func(k *vec.Kernel) {
			c.f = formula{k: k, r: r}
			for i := range r.IntN(3) {
				c.scalar(fmt.Sprint("scalar", i))
			}
			describe(c)
		})
		if c.m.lower(c.k) != nil {
			refused++
			continue
		}
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { run(t, c) })
	}
	require.Less(t, refused, n/5, "kernels refused")
}

func (c *trial) scalar(name string) {
	c.scalars = append(c.scalars, name)
	c.f.uniforms = append(c.f.uniforms, term{c.f.k.Scalar(name), func(point) uint32 { return c.m.scalars[name] }})
}

// loads adds to what terms start from the elements of a slice, which index finds
// in the slice's words.
func (c *trial) loads(s *vec.Slice, index func(at point) int) {
	c.f.loads = append(c.f.loads, func() term {
		return term{c.f.k.Load(s), func(at point) uint32 { return c.data[s.Name][index(at)] }}
	})
}

// numbers adds the elements' numbers to what terms start from: from 0, or from a
// scalar.
func (c *trial) numbers() {
	first := term{nil, func(point) uint32 { return 0 }}
	if c.r.IntN(2) == 0 {
		c.scalars = append(c.scalars, "first")
		first = term{c.f.k.Word("first"), func(point) uint32 { return c.m.scalars["first"] }}
	}
	c.f.loads = append(c.f.loads, func() term {
		return term{c.f.k.Index(first.v), func(at point) uint32 { return first.eval(at) + uint32(at.col) }}
	})
}

// arguments sets new arguments: slices of the given lengths.
func (c *trial) arguments(lengths map[*vec.Slice]int) {
	c.m.arguments()
	c.data = map[string][]uint32{}
	for _, s := range c.k.Slices {
		c.data[s.Name] = c.m.add(c.r, s.Name, lengths[s])
	}
	for _, s := range c.scalars {
		c.m.scalars[s] = c.r.Uint32()
	}
}

// lengths returns numbers of elements that reach every part of a loop.
func (c *trial) lengths(unroll int) []int {
	lanes := c.m.lanes
	ns := []int{0, 1, lanes - 1, lanes, lanes + 1, unroll * lanes, 2*unroll*lanes - 1}
	for range 5 {
		ns = append(ns, c.r.IntN(3*unroll*lanes))
	}
	return ns
}

// requireWords compares an argument's words after a run.
func (c *trial) requireWords(t *testing.T, s *vec.Slice, want func(i int) uint32, message string, a ...any) {
	for i, got := range c.m.get(s.Name, len(c.data[s.Name])) {
		require.Equal(t, want(i), got, "%s[%d], %s", s.Name, i, fmt.Sprintf(message, a...))
	}
}

func TestEach(t *testing.T) {
	var in, inOut, out *vec.Slice
	var results []term
	unroll := 1
	trials(t, func(c *trial) {
		k := c.f.k
		in, inOut, out = k.In("in"), k.InOut("inOut"), k.Out("out")
		unroll = 1 << c.r.IntN(3)
		column := func(at point) int { return at.col }
		c.loads(in, column)
		c.loads(inOut, column)
		c.numbers()
		k.Each(unroll, func() {
			results = c.f.grow(2, c.r.IntN(9))
			k.Store(inOut, results[0].v)
			k.Store(out, results[1].v)
		})
	}, func(t *testing.T, c *trial) {
		for _, n := range c.lengths(unroll) {
			c.arguments(map[*vec.Slice]int{in: n, inOut: n, out: n})
			c.m.args["n"] = n
			c.m.run()
			c.requireWords(t, in, func(i int) uint32 { return c.data["in"][i] }, "n=%d", n)
			c.requireWords(t, inOut, func(i int) uint32 { return results[0].eval(point{col: i}) }, "n=%d", n)
			c.requireWords(t, out, func(i int) uint32 { return results[1].eval(point{col: i}) }, "n=%d", n)
		}
	})
}

// TestLoadBeforeStore: arguments may be the same memory, so an operation after a
// store can't do a load from before it.
func TestLoadBeforeStore(t *testing.T) {
	k := vec.Describe("move", func(k *vec.Kernel) {
		b, c, a := k.InOut("b"), k.Out("c"), k.In("a")
		alpha := k.Scalar("alpha")
		k.Each(2, func() {
			v := k.Load(a)
			k.Store(b, k.Mul(alpha, k.Load(b)))
			k.Store(c, k.Sub(alpha, v))
		})
	})
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		m := randomMachine(r)
		m.memoryVector = func(vec.Op, int) int { return 2 }
		require.NoError(t, m.lower(k))
		m.arguments()
		n := 5*m.lanes + 1
		old := m.add(r, "a", n)
		m.add(r, "c", n)
		m.args["b"], m.args["n"], m.scalars["alpha"] = m.args["a"], n, r.Uint32()
		m.run()
		for i, x := range old {
			alpha := m.scalars["alpha"]
			require.Equal(t, scramble(vec.Mul, []uint32{alpha, x}, 0), m.get("b", n)[i])
			require.Equal(t, scramble(vec.Sub, []uint32{alpha, x}, 0), m.get("c", n)[i])
		}
	}
}

// TestEachStream: whole blocks with stores past the caches.
func TestEachStream(t *testing.T) {
	var in, out *vec.Slice
	var result term
	unroll := 1
	trials(t, func(c *trial) {
		k := c.f.k
		out, in = k.Out("out"), k.In("in")
		unroll = 1 << c.r.IntN(3)
		c.loads(in, func(at point) int { return at.col })
		k.Each(unroll, func() {
			result = c.f.grow(1, c.r.IntN(3))[0]
			k.Store(out, result.v)
		})
	}, func(t *testing.T, c *trial) {
		if !c.k.Streams() {
			return
		}
		require.NoError(t, c.m.refuse(c.k.LowerStream))
		for blocks := 1; blocks < 4; blocks++ {
			n := blocks * unroll * c.m.lanes
			c.arguments(map[*vec.Slice]int{in: n, out: n})
			c.m.args["n"] = n
			c.m.around = 0
			c.m.run()
			require.Equal(t, n/c.m.lanes, c.m.around, "stores past the caches")
			c.requireWords(t, in, func(i int) uint32 { return c.data["in"][i] }, "n=%d", n)
			c.requireWords(t, out, func(i int) uint32 { return result.eval(point{col: i}) }, "n=%d", n)
		}
	})
}

// TestAhead: blocks fetch each line of what moves once, and compute the same.
func TestAhead(t *testing.T) {
	var a, b, col *vec.Slice
	var results []term
	fetching := 0
	trials(t, func(c *trial) {
		k := c.f.k
		a, b, col = k.InOut("a"), k.InOut("b"), k.In("col")
		c.loads(a, func(at point) int { return at.col })
		c.loads(b, func(at point) int { return at.col })
		c.loads(col, func(at point) int { return at.col })
		k.Rows(4, nil, col, []*vec.Slice{a, b}, []*vec.Slice{col}, func() {}, func() {
			results = c.f.grow(2, c.r.IntN(3))
			k.Store(a, results[0].v)
			k.Store(b, results[1].v)
		})
	}, func(t *testing.T, c *trial) {
		require.True(t, c.k.FetchesAhead())
		require.NoError(t, c.m.refuse(c.k.Ahead().Lower))
		for _, n := range append(c.lengths(4), 2000) {
			if n == 0 {
				continue
			}
			c.arguments(map[*vec.Slice]int{a: n, b: n, col: n})
			c.m.args["rows"], c.m.args["cols"], c.m.args["distance"] = 1, n, 1280
			c.m.run()
			c.requireWords(t, a, func(i int) uint32 { return results[0].eval(point{col: i}) }, "n=%d", n)
			c.requireWords(t, b, func(i int) uint32 { return results[1].eval(point{col: i}) }, "n=%d", n)
			if n < 2000 || len(c.m.fetched) == 0 { // no registers for a block of several vectors
				continue
			}
			fetching++
			lines := map[int]int{}
			for _, p := range c.m.fetched {
				lines[p]++
			}
			for _, s := range []*vec.Slice{a, b} {
				found := 0
				for p := range 4 * n {
					found += lines[c.m.args[s.Name]+1280+p]
				}
				// The last block ends before the slice does, or fetches past its end.
				require.InDelta(t, 4*n/64, found, 8, "lines of %s", s.Name)
			}
			require.Less(t, len(c.m.fetched), 3*4*n/64, "the columns' vector, which stays in the caches")
		}
	})
	require.Positive(t, fetching)
}

// TestFetchesAhead: kernels that update several vectors have such a routine.
func TestFetchesAhead(t *testing.T) {
	describe := func(slices func(k *vec.Kernel) (to, from *vec.Slice)) bool {
		return vec.Describe("copy", func(k *vec.Kernel) {
			to, from := slices(k)
			k.Each(2, func() { k.Store(to, k.Load(from)) })
		}).FetchesAhead()
	}
	require.True(t, describe(func(k *vec.Kernel) (to, from *vec.Slice) { return k.InOut("to"), k.InOut("from") }))
	require.False(t, describe(func(k *vec.Kernel) (to, from *vec.Slice) { return k.InOut("to"), k.In("from") }))
}

// TestStreams: an output that is read, or several, have no such routine.
func TestStreams(t *testing.T) {
	describe := func(slices func(k *vec.Kernel) (to, from *vec.Slice)) bool {
		return vec.Describe("copy", func(k *vec.Kernel) {
			to, from := slices(k)
			k.Each(2, func() { k.Store(to, k.Load(from)) })
		}).Streams()
	}
	require.True(t, describe(func(k *vec.Kernel) (to, from *vec.Slice) { return k.Out("to"), k.In("from") }))
	require.False(t, describe(func(k *vec.Kernel) (to, from *vec.Slice) { return k.InOut("to"), k.In("from") }))
	require.False(t, describe(func(k *vec.Kernel) (to, from *vec.Slice) { return k.Out("to"), k.InOut("from") }))
	require.False(t, describe(func(k *vec.Kernel) (to, from *vec.Slice) { return k.Out("to"), k.InHalf("from") }))
}

// TestEachHalf: slices whose elements are half as wide as those in registers.
func TestEachHalf(t *testing.T) {
	var in, out, half, outHalf *vec.Slice
	var results []term
	unroll := 1
	halfOf := func(words []uint32, i int) uint16 { return uint16(words[i/2] >> (16 * (i % 2))) }
	trials(t, func(c *trial) {
		k := c.f.k
		outHalf, half, in, out = k.OutHalf("outHalf"), k.InHalf("half"), k.In("in"), k.Out("out")
		unroll = 1 << c.r.IntN(3)
		c.loads(in, func(at point) int { return at.col })
		c.f.loads = append(c.f.loads, func() term {
			return term{k.Load(half), func(at point) uint32 { return widen(halfOf(c.data["half"], at.col)) }}
		})
		k.Each(unroll, func() {
			results = c.f.grow(2, c.r.IntN(9))
			k.Store(outHalf, results[0].v)
			k.Store(out, results[1].v)
		})
	}, func(t *testing.T, c *trial) {
		for _, n := range c.lengths(unroll) {
			words := (n + 1) / 2
			c.arguments(map[*vec.Slice]int{in: n, out: n, half: words, outHalf: words})
			c.m.args["n"] = n
			c.m.run()
			c.requireWords(t, half, func(i int) uint32 { return c.data["half"][i] }, "n=%d", n)
			c.requireWords(t, out, func(i int) uint32 { return results[1].eval(point{col: i}) }, "n=%d", n)
			got := c.m.get("outHalf", words)
			for i := range 2 * words {
				want := halfOf(c.data["outHalf"], i)
				if i < n {
					want = narrow(results[0].eval(point{col: i}))
				}
				require.Equal(t, want, halfOf(got, i), "outHalf[%d], n=%d", i, n)
			}
		}
	})
}

func TestRows(t *testing.T) {
	var mat, dst, row, col *vec.Slice
	var result term
	unroll, cols := 1, 0
	trials(t, func(c *trial) {
		k := c.f.k
		dst, mat, row, col = k.InOut("dst"), k.In("mat"), k.In("row"), k.In("col")
		unroll = 1 << c.r.IntN(3)
		element := func(at point) int { return at.row*cols + at.col }
		c.loads(dst, element)
		c.loads(mat, element)
		c.loads(col, func(at point) int { return at.col })
		k.Rows(unroll, row, col, []*vec.Slice{dst, mat}, []*vec.Slice{col}, func() {
			x := term{k.Row(row), func(at point) uint32 { return c.data["row"][at.row] }}
			c.f.row = true
			for range c.r.IntN(3) {
				x = c.f.step(x, c.f.uniform)
			}
			c.f.row = false
			c.f.uniforms = append(c.f.uniforms, x)
		}, func() {
			result = c.f.grow(1, c.r.IntN(9))[0]
			k.Store(dst, result.v)
		})
	}, func(t *testing.T, c *trial) {
		for _, cols = range c.lengths(unroll) {
			rows := 1 + c.r.IntN(4)
			c.arguments(map[*vec.Slice]int{dst: rows * cols, mat: rows * cols, row: rows, col: cols})
			c.m.args["rows"], c.m.args["cols"] = rows, cols
			c.m.run()
			for _, s := range []*vec.Slice{mat, row, col} {
				c.requireWords(t, s, func(i int) uint32 { return c.data[s.Name][i] }, "%d x %d", rows, cols)
			}
			c.requireWords(t, dst, func(i int) uint32 { return result.eval(point{row: i / cols, col: i % cols}) }, "%d x %d", rows, cols)
		}
	})
}

// fold combines words in halves: word l takes word l+n/2, and so on.
func fold(op vec.Op, words []uint32) uint32 {
	for h := len(words) / 2; h > 0; h /= 2 {
		for l := range h {
			words[l] = scramble(op, []uint32{words[l], words[l+h]}, 0)
		}
	}
	return words[0]
}

// TestReduceLanes: the 64 lanes start from an argument or from +0, and what is
// folded in which order shows in the sum.
func TestReduceLanes(t *testing.T) {
	var in, out *vec.Slice
	var results []term
	trials(t, func(c *trial) {
		k := c.f.k
		in, out = k.In("in"), k.Out("out")
		c.m.registers = 32
		c.loads(in, func(at point) int { return at.col })
		k.Reduce(64, vec.Accumulator{Fold: vec.Add, Next: func(acc *vec.Value) *vec.Value {
			results = c.f.grow(2, c.r.IntN(5))
			k.Store(out, results[0].v)
			return k.IntAdd(k.Fill(results[1].v, k.Bits(0)), acc)
		}})
	}, func(t *testing.T, c *trial) {
		for _, n := range append(c.lengths(2), 63, 64, 65, 64+c.m.lanes, 127, 128, 200) {
			c.arguments(map[*vec.Slice]int{in: n, out: n})
			c.m.args["n"], c.m.args["acc"] = n, 0
			lanes := make([]uint32, 64)
			if c.r.IntN(2) == 0 {
				lanes = c.m.add(c.r, "acc", 64)
			}
			c.m.run()
			for i := range n {
				lanes[i%64] += results[1].eval(point{col: i})
			}
			c.requireWords(t, out, func(i int) uint32 { return results[0].eval(point{col: i}) }, "n=%d", n)
			if c.m.args["acc"] != 0 {
				require.Equal(t, lanes, c.m.get("acc", 64), "lanes of n=%d", n)
			}
			var want uint32
			if c.m.args["acc"] == 0 && 0 < n && n <= c.m.lanes { // the other lanes are 0
				want = scramble(vec.Add, []uint32{fold(vec.Add, lanes[:c.m.lanes]), 0}, 0)
			} else {
				want = fold(vec.Add, lanes)
			}
			require.Equal(t, map[int]uint32{0: want}, c.m.results, "n=%d", n)
		}
	})
}

// TestReduceAnyOrder: two accumulators with folds in which the order makes no
// difference.
func TestReduceAnyOrder(t *testing.T) {
	var in *vec.Slice
	var values []term
	trials(t, func(c *trial) {
		k := c.f.k
		in = k.In("in")
		k.Results = []string{"sum", "common"}
		c.loads(in, func(at point) int { return at.col })
		c.m.registers = max(c.m.registers, 24)
		c.numbers()
		ones := k.Bits(^uint32(0))
		k.Reduce(0,
			vec.Accumulator{Fold: vec.IntAdd, Next: func(acc *vec.Value) *vec.Value {
				values = c.f.grow(2, c.r.IntN(5))
				return k.IntAdd(k.Fill(values[0].v, k.Bits(0)), acc)
			}},
			vec.Accumulator{Start: ones, Fold: vec.And, Next: func(acc *vec.Value) *vec.Value {
				return k.And(k.Fill(k.Or(values[1].v, k.Bits(0)), ones), acc)
			}})
		values[1] = made(nil, vec.Or, 0, values[1], term{nil, func(point) uint32 { return 0 }})
	}, func(t *testing.T, c *trial) {
		for _, n := range c.lengths(8) {
			c.arguments(map[*vec.Slice]int{in: n})
			c.m.args["n"] = n
			c.m.run()
			sum, common := uint32(0), ^uint32(0)
			for i := range n {
				sum += values[0].eval(point{col: i})
				common &= values[1].eval(point{col: i})
			}
			require.Equal(t, map[int]uint32{0: sum, 1: common}, c.m.results, "n=%d", n)
		}
	})
}

// TestColumns: one sum, or two of the same loads.
func TestColumns(t *testing.T) {
	var x, y, row, col *vec.Slice
	var dsts []*vec.Slice
	var values []term
	unroll, stride := 1, 0
	trials(t, func(c *trial) {
		k := c.f.k
		x, y, row, col = k.In("x"), k.In("y"), k.In("row"), k.In("col")
		dsts, values = nil, nil
		unroll = 1 << c.r.IntN(2)
		element := func(at point) int { return at.row*stride + at.col }
		c.loads(x, element)
		c.loads(y, element)
		var r, first term
		next := func(acc *vec.Value) *vec.Value {
			var v term
			if len(values) == 0 {
				r = term{k.Row(row), func(at point) uint32 { return c.data["row"][at.row] }}
				v = made(k.Sub(k.Column(col), r.v), vec.Sub, 0, term{nil, func(at point) uint32 { return c.data["col"][at.col] }}, r)
				first = c.f.step(v, c.f.load)
				v = first
			} else {
				v = c.f.step(first, c.f.load)
			}
			values = append(values, v)
			return k.Sub(v.v, acc)
		}
		var sums []vec.ColumnSum
		for i := range 1 + c.r.IntN(2) {
			dsts = append(dsts, k.InOut(fmt.Sprint("dst", i)))
			sums = append(sums, vec.ColumnSum{Dst: dsts[i], Next: next})
		}
		k.ColumnSums(unroll, []*vec.Slice{x, y}, []*vec.Slice{row}, []*vec.Slice{col}, sums...)
	}, func(t *testing.T, c *trial) {
		for _, cols := range c.lengths(unroll) {
			rows, add := 1+c.r.IntN(4), c.r.IntN(3)
			stride = cols + c.r.IntN(3)
			n := (rows-1)*stride + cols
			lengths := map[*vec.Slice]int{x: n, y: n, row: rows, col: cols}
			for _, d := range dsts {
				lengths[d] = cols
			}
			c.arguments(lengths)
			c.m.args["n"], c.m.args["rows"], c.m.args["stride"], c.m.args["add"] = cols, rows, stride, add
			c.m.run()
			for _, s := range []*vec.Slice{x, y, row, col} {
				c.requireWords(t, s, func(i int) uint32 { return c.data[s.Name][i] }, "%d x %d", rows, cols)
			}
			for k, d := range dsts {
				c.requireWords(t, d, func(j int) uint32 {
					sum := uint32(0)
					if add == 2 {
						sum = c.data[d.Name][j]
					}
					for i := range rows {
						sum = scramble(vec.Sub, []uint32{values[k].eval(point{row: i, col: j}), sum}, 0)
					}
					if add == 1 {
						sum = scramble(vec.Add, []uint32{c.data[d.Name][j], sum}, 0)
					}
					return sum
				}, "%d x %d, stride %d, add %d", rows, cols, stride, add)
			}
		}
	})
}

// windowNumbers are the arguments of Gather and Scatter.
type windowNumbers struct{ lines, pixels, channels, rows, taps, depth, step, rowGap, lineGap, ownGap int }

// draw draws all but the channels, with windows that overlap, or that leave elements
// out, and returns the lengths of the image and of the others.
func (w *windowNumbers) draw(c *trial) (image, own int) {
	w.lines, w.pixels, w.rows, w.taps = 1+c.r.IntN(3), 1+c.r.IntN(3), 1+c.r.IntN(3), 1+c.r.IntN(3)
	w.depth = w.channels + c.r.IntN(3)
	// Distances in the image are whole pixels. Those of windows may lead back.
	w.step = c.r.IntN(4) * w.depth
	w.rowGap = c.r.IntN(4) * w.depth
	w.lineGap = c.r.IntN(4)*w.depth - c.r.IntN(w.pixels*w.step/w.depth+1)*w.depth
	w.ownGap = c.r.IntN(3)
	w.each(func(a, at, _ int) { image, own = max(image, a+w.channels), max(own, at+w.channels) })
	return image, own
}

// set sets the arguments.
func (w *windowNumbers) set(c *trial) {
	for name, v := range map[string]int{"lines": w.lines, "pixels": w.pixels, "channels": w.channels, "rows": w.rows, "taps": w.taps,
		"depth": w.depth, "step": w.step, "rowGap": w.rowGap, "lineGap": w.lineGap, "ownGap": w.ownGap} {
		c.m.args[name] = v
	}
}

// each calls f for the places of each window in order: where the pixel is in the image,
// where that of the window is in the others, and the place's number.
func (w *windowNumbers) each(f func(image, own, place int)) {
	lineStart, own := 0, 0
	for range w.lines {
		for range w.pixels {
			at := lineStart
			for row := range w.rows {
				for tap := range w.taps {
					f(at, own, row*w.taps+tap)
					at += w.depth
				}
				at += w.rowGap
			}
			lineStart += w.step
			own += w.depth
		}
		lineStart += w.lineGap
		own += w.ownGap
	}
}

// TestGather: two states, the second of which shows in the first, and the numbers of
// places.
func TestGather(t *testing.T) {
	var a, b, image *vec.Slice
	var first, next, number, finish term
	unroll, finished := 1, false
	trials(t, func(c *trial) {
		k := c.f.k
		a, b, image = k.InOut("a"), k.InOut("b"), k.In("image")
		unroll, finished = 1<<c.r.IntN(3), c.r.IntN(2) == 0
		c.loads(image, func(at point) int { return at.col }) // row is the number of the place
		c.scalars = append(c.scalars, "first")
		number = term{k.Place(k.Word("first")), func(at point) uint32 { return c.m.scalars["first"] + uint32(at.row) }}
		var last func(s []*vec.Value) []*vec.Value
		if finish = c.f.uniform(); finished {
			last = func(s []*vec.Value) []*vec.Value { return []*vec.Value{s[0], k.Mul(s[1], finish.v)} }
		}
		k.Gather(unroll, image, []*vec.Slice{a, b}, func() []*vec.Value {
			x := c.f.grow(1, c.r.IntN(3))[0]
			first = made(k.Sub(x.v, number.v), vec.Sub, 0, x, number)
			return []*vec.Value{first.v, number.v}
		}, func(s []*vec.Value) []*vec.Value {
			next = c.f.grow(1, c.r.IntN(5))[0]
			return []*vec.Value{k.Sub(k.IntAdd(next.v, s[1]), s[0]), k.Sub(s[1], number.v)}
		}, last)
	}, func(t *testing.T, c *trial) {
		for _, channels := range c.lengths(unroll) {
			w := windowNumbers{channels: channels}
			if channels == 0 {
				continue
			}
			imageLen, ownLen := w.draw(c)
			c.arguments(map[*vec.Slice]int{a: ownLen, b: ownLen, image: imageLen})
			more := c.r.IntN(2)
			w.set(c)
			c.m.args["more"] = more
			c.m.run()
			c.requireWords(t, image, func(i int) uint32 { return c.data["image"][i] }, "%+v", w)
			want := [2][]uint32{slices.Clone(c.data["a"]), slices.Clone(c.data["b"])}
			w.each(func(in, own, place int) {
				for ch := range channels {
					at := point{row: place, col: in + ch}
					s0, s1 := &want[0][own+ch], &want[1][own+ch]
					if place == 0 && more == 0 {
						*s0, *s1 = first.eval(at), number.eval(at)
					} else {
						*s0 = scramble(vec.Sub, []uint32{next.eval(at) + *s1, *s0}, 0)
						*s1 = scramble(vec.Sub, []uint32{*s1, number.eval(at)}, 0)
					}
					if finished && place == w.rows*w.taps-1 {
						*s1 = scramble(vec.Mul, []uint32{*s1, finish.eval(at)}, 0)
					}
				}
			})
			c.requireWords(t, a, func(i int) uint32 { return want[0][i] }, "%+v, more %d", w, more)
			c.requireWords(t, b, func(i int) uint32 { return want[1][i] }, "%+v, more %d", w, more)
		}
	})
}

// TestScatter: windows may overlap, and are in order.
func TestScatter(t *testing.T) {
	var a, image *vec.Slice
	var once, number term
	unroll, add := 1, false
	trials(t, func(c *trial) {
		k := c.f.k
		image, a = k.InOut("image"), k.In("a")
		unroll, add = 1<<c.r.IntN(3), c.r.IntN(2) == 0
		c.loads(a, func(at point) int { return at.col })
		c.scalars = append(c.scalars, "first")
		number = term{k.Place(k.Word("first")), func(at point) uint32 { return c.m.scalars["first"] + uint32(at.row) }}
		k.Scatter(unroll, image, []*vec.Slice{a}, func() []*vec.Value {
			x := c.f.grow(1, c.r.IntN(5))[0]
			once = made(k.Sub(x.v, number.v), vec.Sub, 0, x, number)
			return []*vec.Value{once.v}
		}, func(s []*vec.Value) {
			v := k.Sub(s[0], number.v)
			if add {
				v = k.Sub(k.Load(image), v)
			}
			k.Store(image, v)
		})
	}, func(t *testing.T, c *trial) {
		for _, channels := range c.lengths(unroll) {
			w := windowNumbers{channels: channels}
			if channels == 0 {
				continue
			}
			imageLen, ownLen := w.draw(c)
			c.arguments(map[*vec.Slice]int{a: ownLen, image: imageLen})
			w.set(c)
			c.m.run()
			c.requireWords(t, a, func(i int) uint32 { return c.data["a"][i] }, "%+v", w)
			want := slices.Clone(c.data["image"])
			w.each(func(in, own, place int) {
				for ch := range channels {
					v := scramble(vec.Sub, []uint32{once.eval(point{col: own + ch}), number.eval(point{row: place})}, 0)
					if add {
						v = scramble(vec.Sub, []uint32{want[in+ch], v}, 0)
					}
					want[in+ch] = v
				}
			})
			c.requireWords(t, image, func(i int) uint32 { return want[i] }, "%+v", w)
		}
	})
}

// TestNarrowSums: the sums of blocks, which are added in order.
func TestNarrowSums(t *testing.T) {
	var x, y, col *vec.Slice
	var dsts []*vec.Slice
	var values []term
	blocks, stride := 1, 0
	trials(t, func(c *trial) {
		k := c.f.k
		x, y, col = k.In("x"), k.In("y"), k.In("col")
		dsts, values = nil, nil
		blocks = 1 + c.r.IntN(4)
		c.m.registers = max(c.m.registers, 24)
		element := func(at point) int { return at.row*stride + at.col }
		c.loads(x, element)
		c.loads(y, element)
		var column term
		next := func(acc *vec.Value) *vec.Value {
			if len(values) == 0 {
				column = term{k.Column(col), func(at point) uint32 { return c.data["col"][at.col] }}
			}
			v := c.f.step(column, c.f.load)
			values = append(values, v)
			return k.Sub(v.v, acc)
		}
		var sums []vec.ColumnSum
		for i := range 1 + c.r.IntN(2) {
			dsts = append(dsts, k.InOut(fmt.Sprint("dst", i)))
			sums = append(sums, vec.ColumnSum{Dst: dsts[i], Next: next})
		}
		k.NarrowSums(blocks, []*vec.Slice{x, y}, []*vec.Slice{col}, sums...)
	}, func(t *testing.T, c *trial) {
		for _, cols := range c.lengths(1) {
			rows, add := 1+c.r.IntN(4), c.r.IntN(2)
			stride = cols + c.r.IntN(3)
			n := (blocks*rows-1)*stride + cols
			lengths := map[*vec.Slice]int{x: n, y: n, col: cols}
			for _, d := range dsts {
				lengths[d] = cols
			}
			c.arguments(lengths)
			c.m.args["n"], c.m.args["rows"], c.m.args["stride"] = cols, rows, stride
			c.m.args["block"], c.m.args["add"] = rows*stride, add
			c.m.run()
			for _, s := range []*vec.Slice{x, y, col} {
				c.requireWords(t, s, func(i int) uint32 { return c.data[s.Name][i] }, "%d x %d", rows, cols)
			}
			for k, d := range dsts {
				c.requireWords(t, d, func(j int) uint32 {
					total := c.data[d.Name][j]
					for b := range blocks {
						sum := uint32(0)
						for i := range rows {
							sum = scramble(vec.Sub, []uint32{values[k].eval(point{row: b*rows + i, col: j}), sum}, 0)
						}
						if b == 0 && add == 0 {
							total = sum
						} else {
							total = scramble(vec.Add, []uint32{total, sum}, 0)
						}
					}
					return total
				}, "%d blocks of %d x %d, stride %d, add %d", blocks, rows, cols, stride, add)
			}
		}
	})
}

// TestPasses: what is done once a row, two totals, the second of which depends on
// the first, and a pass that stores.
func TestPasses(t *testing.T) {
	var dst, mat, row, col, out *vec.Slice
	var values [2]term
	var sums [2]map[int]uint32 // by row
	var result, kept term
	unroll, cols := 1, 0
	trials(t, func(c *trial) {
		k := c.f.k
		c.m.registers = 32
		dst, mat, row, col, out = k.InOut("dst"), k.In("mat"), k.In("row"), k.In("col"), k.Out("out")
		unroll = 1 << c.r.IntN(3)
		element := func(at point) int { return at.row*cols + at.col }
		c.loads(dst, element)
		c.loads(mat, element)
		c.loads(col, func(at point) int { return at.col })
		total := func(i int) term {
			sum := k.Total(func(acc *vec.Value) *vec.Value {
				values[i] = c.f.grow(1, c.r.IntN(4))[0]
				return k.IntAdd(k.Fill(values[i].v, k.Bits(0)), acc)
			})
			return term{sum, func(at point) uint32 {
				if sums[i][at.row] == 0 {
					lanes := make([]uint32, 64)
					for j := range cols {
						lanes[j%64] += values[i].eval(point{row: at.row, col: j})
					}
					sums[i][at.row] = fold(vec.Add, lanes)
				}
				return sums[i][at.row]
			}}
		}
		k.Passes(row, col, []*vec.Slice{dst, mat}, []*vec.Slice{col}, func() {
			x := term{k.Row(row), func(at point) uint32 { return c.data["row"][at.row] }}
			first := term{k.First(mat), func(at point) uint32 { return c.data["mat"][at.row*cols] }}
			x = made(k.Sub(x.v, first.v), vec.Sub, 0, x, first)
			scalars := c.f.uniforms
			c.f.uniforms = append(scalars, x)
			y := total(0)
			c.f.uniforms = append(scalars, x, y)
			z := total(1)
			kept = made(k.Mul(y.v, z.v), vec.Mul, 0, y, z)
			kept = made(k.Sub(x.v, kept.v), vec.Sub, 0, x, kept)
			k.StoreRow(out, kept.v)
			c.f.uniforms = append(scalars, kept)
			k.Over(unroll, func() {
				result = c.f.grow(1, c.r.IntN(9))[0]
				k.Store(dst, result.v)
			})
		})
	}, func(t *testing.T, c *trial) {
		for _, cols = range append(c.lengths(unroll), 63, 64, 65, 127, 150) {
			if cols == 0 {
				continue // such a row has no first element
			}
			rows := 1 + c.r.IntN(4)
			c.arguments(map[*vec.Slice]int{dst: rows * cols, mat: rows * cols, row: rows, out: rows, col: cols})
			c.m.args["rows"], c.m.args["cols"] = rows, cols
			c.m.run()
			sums = [2]map[int]uint32{{}, {}}
			for _, s := range []*vec.Slice{mat, row, col} {
				c.requireWords(t, s, func(i int) uint32 { return c.data[s.Name][i] }, "%d x %d", rows, cols)
			}
			c.requireWords(t, out, func(i int) uint32 { return kept.eval(point{row: i}) }, "%d x %d", rows, cols)
			c.requireWords(t, dst, func(i int) uint32 { return result.eval(point{row: i / cols, col: i % cols}) }, "%d x %d", rows, cols)
		}
	})
}

// TestStridedPasses: matrices with space between their rows, of which all is seen
// or the lower triangles of square blocks; a pass whose result a second one uses,
// or a single one that stores.
func TestStridedPasses(t *testing.T) {
	var dst, mat, row, out *vec.Slice
	var value, kept, result term
	var common map[int]uint32 // by row
	unroll, cols, after, grow := 1, 0, 0, 0
	strides := map[string]int{}
	length := func(row int) int {
		if grow == 0 {
			return cols - after
		}
		return (cols-1-after+row)%cols + 1
	}
	trials(t, func(c *trial) {
		k := c.f.k
		c.m.registers = 32
		dst, mat, row, out = k.InOut("dst"), k.In("mat"), k.In("row"), k.Out("out")
		unroll = 1 << c.r.IntN(3)
		for _, s := range []*vec.Slice{dst, mat} {
			c.loads(s, func(at point) int { return at.row*strides[s.Name] + at.col })
		}
		ones := k.Bits(^uint32(0))
		k.StridedPasses(row, []*vec.Slice{dst, mat}, []*vec.Slice{dst}, func() {
			x := term{k.Row(row), func(at point) uint32 { return c.data["row"][at.row] }}
			scalars := c.f.uniforms
			kept = x
			if c.r.IntN(2) == 0 {
				c.f.uniforms = append(scalars, x)
				all := k.Extreme(vec.And, ones, func(acc *vec.Value) *vec.Value {
					value = c.f.grow(1, c.r.IntN(4))[0]
					value = made(k.Or(value.v, x.v), vec.Or, 0, value, x)
					return k.And(k.Fill(value.v, ones), acc)
				})
				y := term{all, func(at point) uint32 {
					if _, ok := common[at.row]; !ok {
						common[at.row] = ^uint32(0)
						for j := range length(at.row) {
							common[at.row] &= value.eval(point{row: at.row, col: j})
						}
					}
					return common[at.row]
				}}
				kept = made(k.Sub(x.v, y.v), vec.Sub, 0, x, y)
			}
			k.StoreRow(out, kept.v)
			c.f.uniforms = append(scalars, kept)
			k.Over(unroll, func() {
				result = c.f.grow(1, c.r.IntN(9))[0]
				k.Store(dst, result.v)
			})
		})
	}, func(t *testing.T, c *trial) {
		for _, cols = range append(c.lengths(unroll), 40) {
			if cols == 0 {
				continue
			}
			rows := 1 + c.r.IntN(6)
			grow, after = c.r.IntN(2), c.r.IntN(cols)
			if c.r.IntN(2) == 0 {
				after = c.r.IntN(min(cols, 4)) // a next block begins
			}
			lengths := map[*vec.Slice]int{row: rows, out: rows}
			for _, s := range []*vec.Slice{dst, mat} {
				strides[s.Name] = cols + c.r.IntN(3)
				lengths[s] = (rows-1)*strides[s.Name] + cols
			}
			c.arguments(lengths)
			c.m.args["rows"], c.m.args["cols"], c.m.args["after"], c.m.args["grow"] = rows, cols, after, grow
			c.m.args["dstStride"], c.m.args["matStride"] = strides["dst"], strides["mat"]
			c.m.run()
			common = map[int]uint32{}
			for _, s := range []*vec.Slice{mat, row} {
				c.requireWords(t, s, func(i int) uint32 { return c.data[s.Name][i] }, "%d x %d", rows, cols)
			}
			c.requireWords(t, out, func(i int) uint32 { return kept.eval(point{row: i}) }, "%d x %d, after %d, grow %d", rows, cols, after, grow)
			c.requireWords(t, dst, func(i int) uint32 {
				switch at := (point{row: i / strides["dst"], col: i % strides["dst"]}); {
				case at.col >= cols:
					return c.data["dst"][i]
				case at.col >= length(at.row):
					return 0
				default:
					return result.eval(at)
				}
			}, "%d x %d, after %d, grow %d", rows, cols, after, grow)
		}
	})
}

// TestLookups: rows of a matrix meet those of a table that indices name, some of them
// several times, in turn.
func TestLookups(t *testing.T) {
	var own, table, indices *vec.Slice
	var results []term
	unroll := 1
	trials(t, func(c *trial) {
		k := c.f.k
		table, own, indices = k.InOut("table"), k.InOut("own"), k.In("indices")
		unroll = 1 << c.r.IntN(3)
		c.loads(table, func(at point) int { return at.row }) // a point is an element of each
		c.loads(own, func(at point) int { return at.col })
		k.Lookups(unroll, own, table, indices, func() {
			results = c.f.grow(2, c.r.IntN(5))
			k.Store(table, results[0].v)
			k.Store(own, results[1].v)
		})
	}, func(t *testing.T, c *trial) {
		require.Equal(t, indices, table.Indices())
		for _, cols := range c.lengths(unroll)[1:] {
			if cols == 0 {
				continue
			}
			rows, height := 1+c.r.IntN(6), 1+c.r.IntN(4)
			stride, tableStride := cols+c.r.IntN(3), cols+c.r.IntN(3)
			c.arguments(map[*vec.Slice]int{own: rows * stride, table: height * tableStride, indices: rows})
			numbers := c.m.get("indices", rows)
			for i := range numbers {
				numbers[i] = c.r.Uint32N(uint32(height))
			}
			copy(c.data["indices"], numbers)
			c.m.args["rows"], c.m.args["cols"] = rows, cols
			c.m.args["ownStride"], c.m.args["tableStride"] = stride, tableStride
			c.m.run()
			for i, n := range numbers {
				for j := range cols {
					at := point{row: int(n)*tableStride + j, col: i*stride + j}
					inTable, inOwn := results[0].eval(at), results[1].eval(at)
					c.data["table"][at.row], c.data["own"][at.col] = inTable, inOwn
				}
			}
			for _, s := range c.k.Slices {
				c.requireWords(t, s, func(i int) uint32 { return c.data[s.Name][i] }, "%d rows of %d, table of %d, strides %d and %d", rows, cols, height, stride, tableStride)
			}
		}
	})
}
