package desc

import "github.com/adafisher-go/adafisher/internal/gen/vec"

// y = fma(alpha, x, y)
func axpy(k *vec.Kernel) {
	y, x := k.InOut("y"), k.In("x")
	alpha := k.Scalar("alpha")
	k.Each(4, func() {
		k.Store(y, k.FMA(alpha, k.Load(x), k.Load(y)))
	})
}

// dst = alpha * x
func scale(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	alpha := k.Scalar("alpha")
	k.Each(4, func() {
		k.Store(dst, k.Mul(alpha, k.Load(x)))
	})
}

// y = flush(fma(keep, y, add*x))
func ema(k *vec.Kernel) {
	y, x := k.InOut("y"), k.In("x")
	keep, add := k.Scalar("keep"), k.Scalar("add")
	k.Each(4, func() {
		k.Store(y, k.Flush(k.FMA(keep, k.Load(y), k.Mul(add, k.Load(x)))))
	})
}

// dst = (x-lo) / width
func normalize(k *vec.Kernel) {
	dst, x := k.Out("dst"), k.In("x")
	lo, width := k.Scalar("lo"), k.Scalar("width")
	k.Each(4, func() {
		k.Store(dst, k.Div(k.Sub(k.Load(x), lo), width))
	})
}

// y = flush(fma(keep, y, add*((x-lo)/width)))
func normalizeEMA(k *vec.Kernel) {
	y, x := k.InOut("y"), k.In("x")
	lo, width := k.Scalar("lo"), k.Scalar("width")
	keep, add := k.Scalar("keep"), k.Scalar("add")
	k.Each(4, func() {
		norm := k.Div(k.Sub(k.Load(x), lo), width)
		k.Store(y, k.Flush(k.FMA(keep, k.Load(y), k.Mul(add, norm))))
	})
}
