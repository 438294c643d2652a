package neon

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// Pack emits the copy of a panel of two vectors of columns into consecutive
// rows.
func (t *Target) Pack() {
	t.pack("Pack", vec.PackSignature, 2, func(src R) {
		t.op("VLD1 (R%d), [V0.S4, V1.S4]", src)
	})
}

// PackHalf emits the same from float16.
func (t *Target) PackHalf() {
	t.pack("PackHalf", vec.PackHalfSignature, 1, func(src R) {
		t.op("FMOVQ (R%d), F1", src)
		t.word("FCVTL", 0, 1, 0)
		t.word("FCVTL2", 1, 1, 0)
	})
}

// pack: strides are shifted by the logarithm of an element's size.
func (t *Target) pack(name, signature string, shift int, load func(src R)) {
	t.Func(name+t.Suffix(), signature)
	const dst, src, stride, rows = 0, 1, 2, 3
	t.op("MOVD dst+0(FP), R%d", dst)
	t.op("MOVD src+8(FP), R%d", src)
	t.op("MOVD stride+16(FP), R%d", stride)
	t.op("MOVD rows+24(FP), R%d", rows)
	t.op("LSL $%d, R%d", shift, stride)
	t.Label("row")
	load(src)
	t.op("FSTPQ (F0, F1), (R%d)", dst)
	t.op("ADD $32, R%d", dst)
	t.op("ADD R%d, R%d", stride, src)
	t.op("SUBS $1, R%d", rows)
	t.op("BNE row")
	t.End()
}
