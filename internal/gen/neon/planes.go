package neon

import (
	"fmt"

	"github.com/adafisher-go/adafisher/internal/gen/vec"
)

// Planes emits the copy of pixels into planes: plane i has, in each place, element i
// of the place's group of 2 or 4.
func (t *Target) Planes(group int) {
	t.Func(fmt.Sprint("Planes", group, t.Suffix()), vec.PlanesSignature)
	const dst, src, plane, stride, vectors, pixels, from, to, left, at = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
	for i, name := range []string{"dst", "src", "plane", "stride", "vectors", "pixels"} {
		t.op("MOVD %s+%d(FP), R%d", name, 8*i, i)
	}
	t.op("LSL $2, R%d", plane)
	t.op("LSL $2, R%d", stride)
	t.Label("pixel")
	t.op("MOVD R%d, R%d", src, from)
	t.op("MOVD R%d, R%d", dst, to)
	t.op("MOVD R%d, R%d", vectors, left)
	t.Label("vector")
	t.op("FMOVQ (R%d), F0", from)
	t.op("ADD $16, R%d", from)
	place := R(to)
	for i := range group {
		if i > 0 {
			t.op("ADD R%d, R%d, R%d", plane, place, at)
			place = at
		}
		if group == 4 {
			t.op("VDUP V0.S[%d], V%d.S4", i, 1+i)
		} else {
			t.op("VTRN%d V0.S4, V0.S4, V%d.S4", 1+i, 1+i)
		}
		t.op("VST1 [V%d.S4], (R%d)", 1+i, place)
	}
	t.op("ADD $16, R%d", to)
	t.op("SUBS $1, R%d", left)
	t.op("BNE vector")
	t.op("ADD R%d, R%d", stride, src)
	for range group {
		t.op("ADD R%d, R%d", plane, dst)
	}
	t.op("SUBS $1, R%d", pixels)
	t.op("BNE pixel")
	t.End()
}
