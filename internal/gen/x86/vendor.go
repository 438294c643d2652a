package x86

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/reg"
)

// VendorSignature is the Go type of Vendor's routine.
const VendorSignature = "func() (b, d, c uint32)"

// Vendor returns the file with a routine that asks the processor for its maker: the
// three registers hold twelve letters.
func Vendor() (*ir.File, error) {
	c := build.NewContext()
	c.ConstraintExpr("!purego")
	c.Function("Vendor")
	c.SignatureExpr(VendorSignature)
	c.XORL(reg.EAX, reg.EAX)
	c.CPUID()
	c.Store(reg.EBX, c.Return("b"))
	c.Store(reg.EDX, c.Return("d"))
	c.Store(reg.ECX, c.Return("c"))
	c.RET()
	return c.Result()
}
