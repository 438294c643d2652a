package roof

// Vectors names the kinds of vectors that the loops use.
var Vectors = []string{"NEON"}

func (p Pattern) run(_ string, s *streams, n, times int) {
	switch p {
	case Read:
		readNEON(s, n, times)
	case ReadBoth:
		readBothNEON(s, n, times)
	case Write:
		writeNEON(s, n, times)
	case Copy:
		copyNEON(s, n, times)
	case Combine:
		combineNEON(s, n, times)
	case Modify:
		modifyNEON(s, n, times)
	case Update:
		updateNEON(s, n, times)
	case Accumulate:
		accumulateNEON(s, n, times)
	case Update2:
		update2NEON(s, n, times)
	case Update3:
		update3NEON(s, n, times)
	}
}

// fma does a number of passes and returns the number of operations: 24 chains.
func fma(_ string, passes int) int {
	fmaNEON(passes)
	return passes * 24 * 4 * 2
}

// mixed is fma: there is no processor here whose core is shared.
func mixed(vectors string, passes int) int { return fma(vectors, passes) }

// divide and root do a number of passes and return the number of results: 8 vectors.
func divide(_ string, passes int) int {
	divideNEON(passes)
	return passes * 8 * 4
}

func root(_ string, passes int) int {
	rootNEON(passes)
	return passes * 8 * 4
}

//go:noescape
func readNEON(s *streams, n, times int)

//go:noescape
func readBothNEON(s *streams, n, times int)

//go:noescape
func writeNEON(s *streams, n, times int)

//go:noescape
func copyNEON(s *streams, n, times int)

//go:noescape
func combineNEON(s *streams, n, times int)

//go:noescape
func modifyNEON(s *streams, n, times int)

//go:noescape
func updateNEON(s *streams, n, times int)

//go:noescape
func accumulateNEON(s *streams, n, times int)

//go:noescape
func update2NEON(s *streams, n, times int)

//go:noescape
func update3NEON(s *streams, n, times int)

func fmaNEON(passes int)

func divideNEON(passes int)

func rootNEON(passes int)
