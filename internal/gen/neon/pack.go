package neon

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// Pack emits the copy of panels of two vectors of columns into consecutive rows.
func (t *Target) Pack() {
	t.pack("Pack", vec.PackSignature, 2, func(src R) {
		t.op("VLD1 (R%d), [V0.S4, V1.S4]", src)
	}, t.storePair)
}

// PackHalf emits the same from float16.
func (t *Target) PackHalf() {
	t.pack("PackHalf", vec.PackHalfSignature, 1, func(src R) {
		t.op("FMOVQ (R%d), F1", src)
		t.word("FCVTL", 0, 1, 0)
		t.word("FCVTL2", 1, 1, 0)
	}, t.storePair)
}

func (t *Target) storePair(dst R) {
	t.storeVector(0, dst, 0)
	t.storeVector(1, dst, 16)
	t.op("ADD $32, R%d", dst)
}

// PackRounded emits the same to float16.
func (t *Target) PackRounded() {
	t.pack("PackRounded", vec.PackRoundedSignature, 2, func(src R) {
		t.op("VLD1 (R%d), [V0.S4, V1.S4]", src)
		t.word("FCVTN", 0, 0, 0)
		t.word("FCVTN", 1, 1, 0)
	}, func(dst R) {
		t.op("VST1.P [V0.H4, V1.H4], 16(R%d)", dst)
	})
}

// pack: an element of src takes 1<<shift bytes.
func (t *Target) pack(name, signature string, shift int, load, store func(R)) {
	t.Func(name+t.Suffix(), signature)
	const dst, src, stride, rows, panels, row = 0, 1, 2, 3, 4, 5
	t.op("MOVD dst+0(FP), R%d", dst)
	t.op("MOVD src+8(FP), R%d", src)
	t.op("MOVD stride+16(FP), R%d", stride)
	t.op("MOVD panels+32(FP), R%d", panels)
	t.op("LSL $%d, R%d", shift, stride)
	t.Label("panel")
	t.op("MOVD R%d, R%d", src, row)
	t.op("MOVD rows+24(FP), R%d", rows)
	t.Label("row")
	load(row)
	store(dst)
	t.op("ADD R%d, R%d", stride, row)
	t.op("SUBS $1, R%d", rows)
	t.op("BNE row")
	t.op("ADD $%d, R%d", 8<<shift, src)
	t.op("SUBS $1, R%d", panels)
	t.op("BNE panel")
	t.End()
}
