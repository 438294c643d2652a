//go:build !amd64 && !arm64

package roof

// Vectors names the vectors that the loops use; "" if there are no loops for
// this machine.
const Vectors = ""

const flopsPerPass = 1

func (Pattern) run(dst, x *float32, n int) {}

func fma(passes int) {}
