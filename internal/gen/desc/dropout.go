package desc

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// h = hash(key1, key2, first+i);  dst = h < limit ? +0 : scale*x
func dropout(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	first, key1, key2, limit := k.Word("first"), k.Word("key1"), k.Word("key2"), k.Word("limit")
	scale := k.Scalar("scale")
	k.Each(4, func() {
		h := k.Xor(k.Index(first), key1)
		h = k.IntMul(k.Xor(h, k.ShiftRight(h, 16)), k.Bits(0x85ebca6b))
		h = k.Xor(h, key2)
		h = k.IntMul(k.Xor(h, k.ShiftRight(h, 13)), k.Bits(0xc2b2ae35))
		k.Store(dst, k.Drop(k.IntLess(h, limit), k.Mul(scale, k.Load(x))))
	})
}
