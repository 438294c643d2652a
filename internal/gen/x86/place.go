package x86

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Where a loop of a tile has the jump to its beginning, in a cache line. A Zen 3 whose
// other hardware thread is busy needs two or four cycles more for a pass if it is
// elsewhere, of some 30.
const (
	cacheLine = 64
	jumpFrom  = 16
	jumpTo    = 48
)

// PlacedLoop is Loop for the loops that take most of a tile's time: their last jump comes
// to lie where it costs nothing.
func (t *Target) PlacedLoop(name string) {
	t.Loop(name)
	if !t.Wide {
		t.placed[name] = true
	}
}

// Result is that of the context, with loops in their places.
func (f *File) Result() (*ir.File, error) {
	file, err := f.Context.Result()
	if err != nil {
		return nil, err
	}
	for _, fn := range file.Functions() {
		f.place(fn)
	}
	return file, nil
}

// place puts instructions that do nothing before the loops that are to be placed.
func (f *File) place(fn *ir.Function) {
	var nodes []ir.Node
	for i, n := range fn.Nodes {
		if label, ok := n.(ir.Label); ok && i > 0 && f.placed[string(label)] && isAlignment(fn.Nodes[i-1]) {
			size := loopSize(fn.Nodes[i+1:], label)
			for at := size; at%cacheLine < jumpFrom || at%cacheLine > jumpTo; at += nopSize {
				nodes = append(nodes, nop())
			}
		}
		nodes = append(nodes, n)
	}
	fn.Nodes = nodes
}

func isAlignment(n ir.Node) bool {
	i, ok := n.(*ir.Instruction)
	return ok && i.Opcode == "PCALIGN"
}

// nop returns an instruction of eight bytes that does nothing.
func nop() *ir.Instruction {
	return &ir.Instruction{Opcode: "NOPL", Operands: []operand.Op{operand.Mem{Base: reg.RAX, Index: reg.RAX, Scale: 1, Disp: 128}}}
}

const nopSize = 8

// loopSize returns the bytes from a label to the jump back to it.
func loopSize(nodes []ir.Node, label ir.Label) (size int) {
	for _, n := range nodes {
		i, ok := n.(*ir.Instruction)
		if !ok {
			continue
		}
		if i.IsBranch {
			if target := i.TargetLabel(); target != nil && *target == label {
				return size
			}
			panic("x86: a jump in a loop that is to be placed")
		}
		size += instructionSize(i)
	}
	panic("x86: no jump to " + string(label))
}

// instructionSize returns the bytes of one of the instructions that loops of tiles have.
func instructionSize(i *ir.Instruction) (size int) {
	var mem *operand.Mem
	extended := false // a register of its address needs a bit more
	for _, o := range i.Operands {
		if m, ok := o.(operand.Mem); ok {
			mem = &m
			extended = number(m.Base) >= 8 || m.Index != nil && number(m.Index) >= 8
		}
	}
	switch i.Opcode {
	case "VMOVUPS":
		size = 2 + 2
		if extended {
			size++
		}
	case "VBROADCASTSS", "VFMADD231PS", "VCVTPH2PS", "VMASKMOVPS":
		size = 3 + 2
	case "PREFETCHT0", "PREFETCHT1":
		size = 3
		if extended {
			size++
		}
	case "ADDQ", "SUBQ", "LEAQ":
		size = 3
		if c, ok := i.Operands[0].(operand.Constant); ok {
			size += immediateSize(c)
		}
	default:
		panic("x86: the size of " + i.Opcode + " isn't known")
	}
	if mem == nil {
		return size
	}
	base := number(mem.Base) % 8
	if mem.Index != nil || base == 4 {
		size++
	}
	switch d := mem.Disp; {
	case d == 0 && base != 5:
	case d == int(int8(d)):
		size++
	default:
		size += 4
	}
	return size
}

func immediateSize(c operand.Constant) int {
	var n int
	if _, err := fmt.Sscanf(c.Asm(), "$%v", &n); err != nil {
		panic("x86: constant " + c.Asm())
	}
	if n == int(int8(n)) {
		return 1
	}
	return 4
}

// number is that of a register in encodings.
func number(r reg.Register) int { return int(r.(reg.Physical).PhysicalIndex()) }
