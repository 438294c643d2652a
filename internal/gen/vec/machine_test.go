package vec_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// A machine is a target that runs what is lowered to it. Its registers and its
// memory hold words, and its operations scramble their arguments, so that a
// register that was overwritten too early, or an operand in the wrong place,
// can't go unseen in the results.
type machine struct {
	lanes, registers, masks int
	partialInVector         bool
	narrow                  int
	pieces                  []int
	memoryConstants         bool
	mixesStores             bool
	inPlace                 func(op vec.Op, a int) bool
	memoryVector            func(op vec.Op, a int) int // never, where the result takes another's register, always
	temporaries             func(op vec.Op) int        // how many registers Emit takes

	program  []func()
	labels   map[string]int
	mask     vec.Reg // of a partial vector, if in a register
	jump     string  // set by the current instruction
	unfenced bool    // stores past the caches are under way
	around   int     // such stores so far
	fetched  []int   // addresses

	vectors  [][]uint32
	opmasks  [][]uint32
	active   []uint32 // mask of a partial vector, if not in a register
	integers map[vec.GP]int
	memory   []uint32
	owned    []bool // words of memory that the kernel may touch
	args     map[string]int
	scalars  map[string]uint32
	results  map[int]uint32
}

var _ vec.Target = (*machine)(nil)

// scramble is the result of an operation: a word that depends on all of its
// arguments and their order. Operations that choose among their arguments, or
// that a reduction needs to be commutative, are what they are called.
func scramble(op vec.Op, args []uint32, bits uint32) uint32 {
	choose := func(set bool, a, b uint32) uint32 {
		if set {
			return a
		}
		return b
	}
	switch op {
	case vec.IntAdd:
		return args[0] + args[1]
	case vec.And:
		return args[0] & args[1]
	case vec.Keep:
		return choose(args[0] != 0, args[1], 0)
	case vec.Drop:
		return choose(args[0] != 0, 0, args[1])
	case vec.Select:
		return choose(args[0] != 0, args[1], args[2])
	case vec.Move:
		return args[0]
	}
	h := uint32(op)*0x9e3779b1 + bits
	for _, a := range args {
		h = (h ^ a) * 0x85ebca6b
		h = (h ^ h>>15) * 0xc2b2ae35
		h ^= h >> 13
	}
	if compares(op) {
		return -(h & 1)
	}
	return h
}

func compares(op vec.Op) bool { return vec.Less <= op && op <= vec.Exceeds }

const poison = 0xdeadbeef

func (m *machine) do(f func()) { m.program = append(m.program, f) }

func (m *machine) Suffix() string                { return "Test" }
func (m *machine) Lanes() int                    { return m.lanes }
func (m *machine) Registers() int                { return m.registers }
func (m *machine) Masks() int                    { return m.masks }
func (m *machine) PartialInVector() bool         { return m.partialInVector }
func (m *machine) MemoryConstants() bool         { return m.memoryConstants }
func (m *machine) InPlace(op vec.Op, a int) bool { return m.inPlace(op, a) }

func (m *machine) Temporaries(op vec.Op, _ []vec.Operand) int { return m.temporaries(op) }

func (m *machine) MemoryVector(op vec.Op, a int, dying bool) bool {
	w := m.memoryVector(op, a)
	return w == 2 || w == 1 && dying
}

func (m *machine) Begin(string, *vec.Kernel) {
	m.program, m.labels = nil, map[string]int{}
}

func (m *machine) End() {
	m.do(func() {
		if m.jump = "return"; m.unfenced {
			panic("no fence after the last store past the caches")
		}
	})
}

func (m *machine) Arg(d vec.GP, name string) {
	m.do(func() {
		v, ok := m.args[name]
		if !ok {
			panic("no argument " + name)
		}
		m.integers[d] = v
	})
}

func (m *machine) fill(d vec.Reg, word uint32) {
	for i := range m.vectors[d] {
		m.vectors[d][i] = word
	}
}

func (m *machine) Broadcast(d vec.Reg, name string) {
	m.do(func() {
		v, ok := m.scalars[name]
		if !ok {
			panic("no scalar " + name)
		}
		m.fill(d, v)
	})
}

func (m *machine) BroadcastAt(d vec.Reg, p vec.GP) {
	m.do(func() { m.fill(d, *m.word(m.integers[p])) })
}

func (m *machine) LaneNumbers(d vec.Reg) {
	m.do(func() {
		for i := range m.vectors[d] {
			m.vectors[d][i] = uint32(i)
		}
	})
}

func (m *machine) Constant(d vec.Reg, bits uint32) { m.do(func() { m.fill(d, bits) }) }
func (m *machine) Zero(d vec.Reg)                  { m.do(func() { m.fill(d, 0) }) }

func (m *machine) Result(i int, r vec.Reg) {
	m.do(func() { m.results[i] = m.vectors[r][0] })
}

func (m *machine) StoreAt(s vec.Reg, p vec.GP) {
	m.do(func() { *m.word(m.integers[p]) = m.vectors[s][0] })
}

func (m *machine) Narrow(lanes int) { m.narrow = lanes }
func (m *machine) Spread(d vec.Reg) { m.do(func() { m.fill(d, m.vectors[d][0]) }) }

func (m *machine) Loop(name string) { m.Label(name) }

func (m *machine) Label(name string) {
	if _, ok := m.labels[name]; ok {
		panic("label " + name + " twice")
	}
	m.labels[name] = len(m.program)
}

func (m *machine) Jump(label string) { m.do(func() { m.jump = label }) }

func (m *machine) jumpIf(x int, c vec.Cond, label string) {
	if c == vec.LT && x < 0 || c == vec.GE && x >= 0 || c == vec.EQ && x == 0 || c == vec.NE && x != 0 {
		m.jump = label
	}
}

func (m *machine) AddImm(r vec.GP, n int) { m.do(func() { m.integers[r] += n }) }

func (m *machine) SubJump(r vec.GP, n int, c vec.Cond, label string) {
	m.do(func() {
		m.integers[r] -= n
		m.jumpIf(m.integers[r], c, label)
	})
}

func (m *machine) CmpJump(r vec.GP, n int, c vec.Cond, label string) {
	m.do(func() { m.jumpIf(m.integers[r]-n, c, label) })
}

func (m *machine) MoveInt(d, s vec.GP)       { m.do(func() { m.integers[d] = m.integers[s] }) }
func (m *machine) ZeroInt(d vec.GP)          { m.do(func() { m.integers[d] = 0 }) }
func (m *machine) AddInt(d, s vec.GP)        { m.do(func() { m.integers[d] += m.integers[s] }) }
func (m *machine) SubInt(d, s vec.GP)        { m.do(func() { m.integers[d] -= m.integers[s] }) }
func (m *machine) MulInt(d, s vec.GP)        { m.do(func() { m.integers[d] *= m.integers[s] }) }
func (m *machine) Scale4(d vec.GP)           { m.do(func() { m.integers[d] *= 4 }) }
func (m *machine) AddScaled(d, s vec.GP)     { m.do(func() { m.integers[d] += 4 * m.integers[s] }) }
func (m *machine) Remainder(d vec.GP, n int) { m.do(func() { m.integers[d] &= n - 1 }) }

// IndexAt takes a word of memory for a whole number.
func (m *machine) IndexAt(d, p vec.GP, tmp vec.Reg) {
	m.do(func() {
		m.fill(tmp, poison)
		m.integers[d] = int(*m.word(m.integers[p]))
	})
}

func (m *machine) Partial(n vec.GP, r vec.Reg, spare vec.GP) {
	m.mask = r
	m.do(func() {
		m.integers[spare] = math.MaxInt / 2
		count := m.integers[n]
		if count < 0 || count >= m.lanes {
			panic(fmt.Sprintf("partial vector of %d elements", count))
		}
		m.active = make([]uint32, m.lanes)
		for i := range count {
			m.active[i] = ^uint32(0)
		}
		if m.partialInVector {
			copy(m.vectors[r], m.active)
		}
	})
}

// isActive reports whether lane i belongs to the partial vector, by the
// mask in register r if the machine keeps it in one.
func (m *machine) isActive(r vec.Reg, i int) bool {
	if m.partialInVector && !slices.Equal(m.vectors[r], m.active) {
		panic("the mask of the partial vector was overwritten")
	}
	return m.active[i] != 0
}

// takes reports whether a load or a store is about lane i of a vector that is narrow, or
// partial, or neither.
func (m *machine) takes(i, narrow int, partial bool, mask vec.Reg) bool {
	if narrow > 0 {
		return i < narrow
	}
	return !partial || m.isActive(mask, i)
}

// word returns the word of memory at a byte address.
func (m *machine) word(address int) *uint32 {
	i := address / 4
	if address%4 != 0 || i < 0 || i >= len(m.memory) || !m.owned[i] {
		panic(fmt.Sprintf("access outside the arguments at %d", address))
	}
	return &m.memory[i]
}

func (m *machine) Load(d vec.Reg, p vec.GP, offset int, partial bool) {
	mask, lanes := m.mask, m.narrow
	m.do(func() {
		for i := range m.lanes {
			if m.takes(i, lanes, partial, mask) {
				m.vectors[d][i] = *m.word(m.integers[p] + offset + 4*i)
			} else {
				m.vectors[d][i] = 0
			}
		}
	})
}

func (m *machine) Store(s vec.Reg, p vec.GP, offset int, partial bool) {
	mask, lanes := m.mask, m.narrow
	m.do(func() {
		for i := range m.lanes {
			if m.takes(i, lanes, partial, mask) {
				*m.word(m.integers[p] + offset + 4*i) = m.vectors[s][i]
			}
		}
	})
}

func (m *machine) Pieces() []int { return m.pieces }

func (m *machine) StoreGroup() int {
	if m.mixesStores {
		return 1
	}
	return 0
}

// StoreAround is a store that must be followed by a Fence.
func (m *machine) StoreAround(s vec.Reg, p vec.GP, offset int) {
	m.Store(s, p, offset, false)
	m.do(func() { m.unfenced, m.around = true, m.around+1 })
}

func (m *machine) Fence() { m.do(func() { m.unfenced = false }) }

// Fetch may go past the memory.
func (m *machine) Fetch(p, distance vec.GP, offset int) {
	m.do(func() { m.fetched = append(m.fetched, m.integers[p]+m.integers[distance]+offset) })
}

// The machine's halves are words that take two bytes of memory: the memory holds
// them in its lower or upper halves of words, and they are scrambled on the way.
func (m *machine) LoadHalf(d vec.Reg, p vec.GP, offset int, partial bool) {
	mask := m.mask
	m.do(func() {
		for i := range m.lanes {
			if m.vectors[d][i] = 0; !partial || m.isActive(mask, i) {
				at := m.integers[p] + offset + 2*i
				m.vectors[d][i] = widen(uint16(*m.word(at &^ 3) >> (8 * (at & 2))))
			}
		}
	})
}

func (m *machine) StoreHalf(s vec.Reg, p vec.GP, offset int, partial bool, tmp vec.Reg) {
	mask := m.mask
	m.do(func() {
		m.fill(tmp, poison)
		for i := range m.lanes {
			if !partial || m.isActive(mask, i) {
				at := m.integers[p] + offset + 2*i
				shift := 8 * (at & 2)
				w := m.word(at &^ 3)
				*w = *w&^(0xffff<<shift) | uint32(narrow(m.vectors[s][i]))<<shift
			}
		}
	})
}

func widen(h uint16) uint32  { return uint32(h) * 0x9e3779b1 }
func narrow(w uint32) uint16 { return uint16(w ^ w>>16*3) }

// file returns the registers that hold argument a of an operation (-1: its
// result).
func (m *machine) file(op vec.Op, a int) [][]uint32 {
	isMask := a < 0 && compares(op) ||
		a == 0 && (op == vec.Keep || op == vec.Drop || op == vec.Select)
	if isMask && m.masks > 0 {
		return m.opmasks
	}
	return m.vectors
}

func (m *machine) Emit(op vec.Op, d vec.Reg, args []vec.Operand, bits uint32, _ int, tmp func() vec.Reg) {
	var spoiled []vec.Reg
	for range m.temporaries(op) {
		spoiled = append(spoiled, tmp())
	}
	m.checkPlace(op, d, args)
	m.checkMemory(op, d, args)
	mask, narrow := m.mask, m.narrow
	m.do(func() {
		for _, r := range spoiled {
			m.fill(r, poison)
		}
		out := make([]uint32, m.lanes)
		for i := range out {
			in := make([]uint32, len(args))
			for a, o := range args {
				switch {
				case o.Const:
					in[a] = o.Bits
				case o.Mem:
					in[a] = *m.word(m.integers[o.Ptr] + o.Offset + 4*i)
				default:
					in[a] = m.file(op, a)[o.Reg][i]
				}
			}
			switch {
			case op != vec.Fill:
				if out[i] = scramble(op, in, bits); narrow > 0 && i >= narrow {
					out[i] = poison
				}
			case m.isActive(mask, i):
				out[i] = in[0]
			default:
				out[i] = in[1]
			}
		}
		copy(m.file(op, -1)[d], out)
	})
}

// checkPlace panics if the result takes the register of an argument that the
// machine reads after it has begun to write the result.
func (m *machine) checkPlace(op vec.Op, d vec.Reg, args []vec.Operand) {
	shared, allowed := false, false
	for a, o := range args {
		if o.InReg() && o.Reg == d && &m.file(op, a)[0] == &m.file(op, -1)[0] {
			shared = true
			allowed = allowed || m.inPlace(op, a)
		}
	}
	if shared && !allowed {
		panic(fmt.Sprintf("%v: its result overwrites an argument", op))
	}
}

// checkMemory panics if an operation takes what it can't from memory.
func (m *machine) checkMemory(op vec.Op, d vec.Reg, args []vec.Operand) {
	count, shared := 0, false
	for a, o := range args {
		shared = shared || o.InReg() && o.Reg == d && &m.file(op, a)[0] == &m.file(op, -1)[0]
	}
	for a, o := range args {
		if !o.Mem {
			continue
		}
		if count++; count > 1 || !m.MemoryVector(op, a, shared) {
			panic(fmt.Sprintf("%v: argument %d in memory", op, a))
		}
	}
}

func (m *machine) Across(op vec.Op, d vec.Reg, tmp func() vec.Reg) {
	spoiled := tmp()
	m.do(func() {
		m.fill(spoiled, poison)
		v := m.vectors[d]
		for h := m.lanes / 2; h > 0; h /= 2 {
			for i := range h {
				v[i] = scramble(op, []uint32{v[i], v[i+h]}, 0)
			}
		}
	})
}

// A refusal is the lowering's word that a kernel needs too many registers.
type refusal struct{}

func (refusal) Error() string { return "out of registers" }

// lower lowers a kernel to the machine.
func (m *machine) lower(k *vec.Kernel) error { return m.refuse(k.Lower) }

func (m *machine) refuse(lower func(vec.Target)) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if fmt.Sprintf("%T", r) != "vec.outOfRegisters" {
				panic(r)
			}
			err = refusal{}
		}
	}()
	m.reset()
	lower(m)
	return nil
}

func (m *machine) reset() {
	m.vectors, m.opmasks = nil, nil
	for range m.registers {
		m.vectors = append(m.vectors, slices.Repeat([]uint32{poison}, m.lanes))
	}
	for range m.masks {
		m.opmasks = append(m.opmasks, slices.Repeat([]uint32{poison}, m.lanes))
	}
	m.integers, m.results = map[vec.GP]int{}, map[int]uint32{}
	m.active, m.jump, m.unfenced, m.fetched = nil, "", false, nil
}

// run runs the program on the arguments that are set. It panics where the
// program does what no kernel may.
func (m *machine) run() {
	m.reset()
	steps := 0
	for at := 0; m.jump != "return"; {
		if steps++; steps > 100_000 {
			panic("endless loop")
		}
		m.jump = ""
		m.program[at]()
		at++
		if m.jump != "" && m.jump != "return" {
			to, ok := m.labels[m.jump]
			if !ok {
				panic("no label " + m.jump)
			}
			at = to
		}
	}
}

// arguments clears the memory and the arguments.
func (m *machine) arguments() {
	m.memory, m.owned = nil, nil
	m.args, m.scalars = map[string]int{}, map[string]uint32{}
}

// add passes n random words as the argument of a name, between words that do
// not belong to it, and returns a copy of them.
func (m *machine) add(r *rand.Rand, name string, n int) []uint32 {
	pad := func() {
		for range 40 {
			m.memory, m.owned = append(m.memory, r.Uint32()), append(m.owned, false)
		}
	}
	pad()
	start := len(m.memory)
	m.args[name] = 4 * start
	for range n {
		m.memory, m.owned = append(m.memory, r.Uint32()), append(m.owned, true)
	}
	pad()
	return slices.Clone(m.memory[start:][:n])
}

// get returns the current words of an argument.
func (m *machine) get(name string, n int) []uint32 { return m.memory[m.args[name]/4:][:n] }

// randomMachine returns a machine of any kind.
func randomMachine(r *rand.Rand) *machine {
	m := &machine{
		lanes:           4 << r.IntN(3),
		registers:       []int{16, 16, 32, 32, 12, 24}[r.IntN(6)],
		partialInVector: r.IntN(2) == 0,
		memoryConstants: r.IntN(2) == 0,
		mixesStores:     r.IntN(2) == 0,
	}
	if r.IntN(2) == 0 {
		m.masks = 5
	}
	// What an accumulator goes through must be possible in place.
	fussy, salt := r.IntN(2) == 0, r.Uint32()
	carries := []vec.Op{vec.Add, vec.Sub, vec.IntAdd, vec.And}
	m.inPlace = func(op vec.Op, a int) bool {
		return !fussy || slices.Contains(carries, op) || scramble(vec.Add, []uint32{uint32(op), uint32(a)}, salt)%3 > 0
	}
	folds := r.IntN(2) == 0
	m.memoryVector = func(op vec.Op, a int) int {
		if !folds || op == vec.Fill || op >= vec.StepQuotient {
			return 0
		}
		return int(scramble(vec.Sub, []uint32{uint32(op), uint32(a)}, salt) % 3)
	}
	m.temporaries = func(op vec.Op) int {
		most := uint32(3)
		if op >= vec.StepQuotient {
			most = 5
		}
		return int(scramble(vec.Add, []uint32{uint32(op)}, salt) % most)
	}
	if r.IntN(2) == 0 {
		for lanes := m.lanes / 2; lanes > 0; lanes /= 2 {
			m.pieces = append(m.pieces, lanes)
		}
	}
	return m
}
