package neon

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// Transpose emits the transposition of strips of 4 rows below each other, 4 columns
// at a time: four strips fill a line of dst.
func (t *Target) Transpose() {
	t.Func("Transpose"+t.Suffix(), vec.TransposeSignature)
	const dst, ds, ss, blocks, src, ss4 = 4, 5, 6, 7, 8, 9 // R0 to R3 point into the rows
	const to, left, row = 10, 11, 12
	t.op("MOVD dst+0(FP), R%d", dst)
	t.op("MOVD src+8(FP), R%d", src)
	t.op("MOVD dstStride+16(FP), R%d", ds)
	t.op("MOVD srcStride+24(FP), R%d", ss)
	t.op("MOVD blocks+32(FP), R%d", blocks)
	t.op("LSL $2, R%d", ds)
	t.op("LSL $4, R%d, R%d", ss, ss4)
	t.op("LSL $2, R%d", ss)
	t.Label("block")
	t.op("MOVD R%d, R0", src)
	for r := 1; r < 4; r++ {
		t.op("ADD R%d, R%d, R%d", ss, r-1, r)
	}
	t.op("MOVD R%d, R%d", dst, to)
	t.op("MOVD strips+40(FP), R%d", left)
	t.Label("strip")
	for r := range 4 { // rows a b c d
		t.op("VLD1 (R%d), [V%d.S4]", r, r)
	}
	t.op("VTRN1 V1.S4, V0.S4, V4.S4") // a0 b0 a2 b2
	t.op("VTRN2 V1.S4, V0.S4, V5.S4") // a1 b1 a3 b3
	t.op("VTRN1 V3.S4, V2.S4, V6.S4")
	t.op("VTRN2 V3.S4, V2.S4, V7.S4")
	t.op("VZIP1 V6.D2, V4.D2, V0.D2") // a0 b0 c0 d0
	t.op("VZIP1 V7.D2, V5.D2, V1.D2")
	t.op("VZIP2 V6.D2, V4.D2, V2.D2")
	t.op("VZIP2 V7.D2, V5.D2, V3.D2")
	t.op("MOVD R%d, R%d", to, row)
	for r := range 4 {
		t.op("VST1 [V%d.S4], (R%d)", r, row)
		t.op("ADD R%d, R%d", ds, row)
	}
	for r := range 4 {
		t.op("ADD R%d, R%d", ss4, r)
	}
	t.op("ADD $16, R%d", to)
	t.op("SUBS $1, R%d", left)
	t.op("BNE strip")
	t.op("ADD $16, R%d", src)
	t.op("ADD R%d<<2, R%d", ds, dst)
	t.op("SUBS $1, R%d", blocks)
	t.op("BNE block")
	t.End()
}
