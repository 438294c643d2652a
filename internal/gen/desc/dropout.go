package desc

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// h = hash(key1, key2, first+i);  dst = h>>8 < keep ? scale*x : +0
func dropout(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	first, key1, key2 := k.Word("first"), k.Word("key1"), k.Word("key2")
	keep, scale := k.Scalar("keep"), k.Scalar("scale")
	k.Each(4, func() {
		h := k.Xor(k.Index(first), key1)
		h = k.IntMul(k.Xor(h, k.ShiftRight(h, 16)), k.Bits(0x85ebca6b))
		h = k.Xor(h, key2)
		h = k.IntMul(k.Xor(h, k.ShiftRight(h, 13)), k.Bits(0xc2b2ae35))
		kept := k.Less(k.ToFloat(k.ShiftRight(h, 8)), keep)
		k.Store(dst, k.Keep(kept, k.Mul(scale, k.Load(x))))
	})
}
