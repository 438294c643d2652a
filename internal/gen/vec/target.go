package vec

// Reg is the number of a vector register, or of a mask register.
type Reg int

// GP is the number of a general register in the target's list.
type GP int

// Cond is a condition of a jump, on a signed comparison with zero.
type Cond int

const (
	LT Cond = iota
	GE
	EQ
	NE
)

// An Operand is a source of an operation: a register, or a constant or a vector in
// memory that is in none.
type Operand struct {
	Reg    Reg
	Const  bool
	Bits   uint32 // of the constant
	Mem    bool
	Ptr    GP // to the vector in memory
	Offset int
}

// InReg reports whether the operand is in a register.
func (o Operand) InReg() bool { return !o.Const && !o.Mem }

// Target is one instruction set. Registers are physical: the lowering allocates
// them.
type Target interface {
	Suffix() string            // of a routine's name: "AVX2"
	Lanes() int                // float32 elements of a vector
	Registers() int            // vector registers
	Masks() int                // mask registers for results of Less; 0: vector registers
	PartialInVector() bool     // the mask of a partial vector takes a vector register
	MemoryConstants() bool     // operands may be constants in memory
	InPlace(op Op, a int) bool // the result may take the register of argument a
	// MemoryVector reports whether argument a may be a vector in memory, and that
	// saves its load. dying reports whether the result takes the register of another
	// argument, or of an accumulator.
	MemoryVector(op Op, a int, dying bool) bool
	Temporaries(op Op, args []Operand) int // registers that Emit takes at most
	StoreGroup() int                       // vectors of a short body to store before more are loaded; 0: all
	Pieces() []int                         // lanes of the vectors that end a short loop, falling to 1; none: a partial one does

	Begin(name string, k *Kernel)
	End() // returns from the routine

	Arg(d GP, name string)        // loads a pointer or an int
	Broadcast(d Reg, name string) // loads a float32 argument into all lanes
	BroadcastAt(d Reg, p GP)      // loads *p into all lanes
	Constant(d Reg, bits uint32)  // sets all lanes
	LaneNumbers(d Reg)            // sets lane i to the integer i
	Zero(d Reg)                   // sets all bits to 0
	Result(i int, r Reg)          // stores lane 0 as a result
	StoreAt(s Reg, p GP)          // stores lane 0 to *p
	Spread(d Reg)                 // copies lane 0 to all lanes
	Narrow(lanes int)             // from now on, vectors have so many lanes; 0: all

	Label(name string)
	Loop(name string) // a label at the beginning of a cache line, where that pays
	Jump(label string)
	AddImm(r GP, n int)
	SubJump(r GP, n int, c Cond, label string) // r -= n, jumps if r is c
	CmpJump(r GP, n int, c Cond, label string) // jumps if r-n is c
	MoveInt(d, s GP)
	ZeroInt(d GP)
	AddInt(d, s GP)
	SubInt(d, s GP)
	MulInt(d, s GP)
	Scale4(d GP)              // d *= 4
	AddScaled(d, s GP)        // d += 4*s
	Remainder(d GP, n int)    // d &= n-1
	IndexAt(d, p GP, tmp Reg) // d = *p, a float32 that is a whole number; may overwrite tmp

	Partial(n GP, mask Reg, spare GP) // prepares for partial vectors of n < Lanes elements, where n has that value again; may overwrite spare
	Load(d Reg, p GP, offset int, partial bool)
	Store(s Reg, p GP, offset int, partial bool)
	StoreAround(s Reg, p GP, offset int)                      // past the caches, to a multiple of 32 bytes; see Streams
	Fence()                                                   // orders such stores before what follows
	Fetch(p, distance GP, offset int)                         // into the first cache
	LoadHalf(d Reg, p GP, offset int, partial bool)           // of float16, to float32
	StoreHalf(s Reg, p GP, offset int, partial bool, tmp Reg) // rounded to nearest, ties to even

	// Emit does one operation, for the copy of the loop body with the given number.
	// tmp returns a free vector register, valid within the call.
	Emit(op Op, d Reg, args []Operand, bits uint32, copy int, tmp func() Reg)
	// Across folds a vector in halves into its lane 0 by a commutative operation.
	Across(op Op, d Reg, tmp func() Reg)
}
