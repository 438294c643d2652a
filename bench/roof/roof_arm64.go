package roof

// Vectors names the vectors that the loops use.
const Vectors = "NEON"

// flopsPerPass is the number of operations of a pass of fma: 24 chains.
const flopsPerPass = 24 * 4 * 2

func (p Pattern) run(dst, x *float32, n int) {
	switch p {
	case Read:
		readNEON(x, n)
	case ReadBoth:
		readBothNEON(dst, x, n)
	case Copy:
		copyNEON(dst, x, n)
	case Modify:
		modifyNEON(dst, n)
	case Update:
		updateNEON(dst, x, n)
	}
}

func fma(passes int) { fmaNEON(passes) }

//go:noescape
func readNEON(x *float32, n int)

//go:noescape
func readBothNEON(dst, x *float32, n int)

//go:noescape
func copyNEON(dst, x *float32, n int)

//go:noescape
func modifyNEON(dst *float32, n int)

//go:noescape
func updateNEON(dst, x *float32, n int)

func fmaNEON(passes int)
