package neon

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// Pack emits the copy of a panel of two vectors of columns into consecutive
// rows.
func (t *Target) Pack() {
	t.Func("Pack"+t.Suffix(), vec.PackSignature)
	const dst, src, stride, rows = 0, 1, 2, 3
	t.op("MOVD dst+0(FP), R%d", dst)
	t.op("MOVD src+8(FP), R%d", src)
	t.op("MOVD stride+16(FP), R%d", stride)
	t.op("MOVD rows+24(FP), R%d", rows)
	t.op("LSL $2, R%d", stride)
	t.Label("row")
	t.op("VLD1 (R%d), [V0.S4, V1.S4]", src)
	t.op("VST1.P [V0.S4, V1.S4], 32(R%d)", dst)
	t.op("ADD R%d, R%d", stride, src)
	t.op("SUBS $1, R%d", rows)
	t.op("BNE row")
	t.End()
}
