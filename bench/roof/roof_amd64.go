package roof

import "golang.org/x/sys/cpu"

const avx512 = "AVX-512"

// Vectors names the kinds of vectors that the loops of this machine use, the
// widest first; it is empty if there are no loops for this machine.
var Vectors = func() (v []string) {
	if cpu.X86.HasAVX512F {
		v = append(v, avx512)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		v = append(v, "AVX2")
	}
	return v
}()

func (p Pattern) run(vectors string, s *streams, n, times int) {
	wide := vectors == avx512
	switch {
	case p == Read && wide:
		readAVX512(s, n, times)
	case p == ReadBoth && wide:
		readBothAVX512(s, n, times)
	case p == Write && wide:
		writeAVX512(s, n, times)
	case p == Copy && wide:
		copyAVX512(s, n, times)
	case p == Combine && wide:
		combineAVX512(s, n, times)
	case p == Modify && wide:
		modifyAVX512(s, n, times)
	case p == Update && wide:
		updateAVX512(s, n, times)
	case p == Accumulate && wide:
		accumulateAVX512(s, n, times)
	case p == Update2 && wide:
		update2AVX512(s, n, times)
	case p == Update3 && wide:
		update3AVX512(s, n, times)
	case p == Read:
		readAVX2(s, n, times)
	case p == ReadBoth:
		readBothAVX2(s, n, times)
	case p == Write:
		writeAVX2(s, n, times)
	case p == Copy:
		copyAVX2(s, n, times)
	case p == Combine:
		combineAVX2(s, n, times)
	case p == Modify:
		modifyAVX2(s, n, times)
	case p == Update:
		updateAVX2(s, n, times)
	case p == Accumulate:
		accumulateAVX2(s, n, times)
	case p == Update2:
		update2AVX2(s, n, times)
	case p == Update3:
		update3AVX2(s, n, times)
	}
}

// loop does a number of passes of a loop and returns the number of its results, of which
// a pass has so many in each lane.
func loop(vectors string, passes, results int, wide, narrow func(passes int)) int {
	if vectors == avx512 {
		wide(passes)
		return passes * results * 16
	}
	narrow(passes)
	return passes * results * 8
}

// fma has 14 chains of two operations each.
func fma(vectors string, passes int) int { return loop(vectors, passes, 14*2, fmaAVX512, fmaAVX2) }

// mixed is fma with an instruction that does nothing after each multiply-add.
func mixed(vectors string, passes int) int {
	return loop(vectors, passes, 14*2, mixedAVX512, mixedAVX2)
}

// divide and root have 8 results.
func divide(vectors string, passes int) int {
	return loop(vectors, passes, 8, divideAVX512, divideAVX2)
}

func root(vectors string, passes int) int { return loop(vectors, passes, 8, rootAVX512, rootAVX2) }

//go:noescape
func readAVX512(s *streams, n, times int)

//go:noescape
func readBothAVX512(s *streams, n, times int)

//go:noescape
func writeAVX512(s *streams, n, times int)

//go:noescape
func copyAVX512(s *streams, n, times int)

//go:noescape
func combineAVX512(s *streams, n, times int)

//go:noescape
func modifyAVX512(s *streams, n, times int)

//go:noescape
func updateAVX512(s *streams, n, times int)

//go:noescape
func accumulateAVX512(s *streams, n, times int)

//go:noescape
func update2AVX512(s *streams, n, times int)

//go:noescape
func update3AVX512(s *streams, n, times int)

func fmaAVX512(passes int)

func mixedAVX512(passes int)

//go:noescape
func readAVX2(s *streams, n, times int)

//go:noescape
func readBothAVX2(s *streams, n, times int)

//go:noescape
func writeAVX2(s *streams, n, times int)

//go:noescape
func copyAVX2(s *streams, n, times int)

//go:noescape
func combineAVX2(s *streams, n, times int)

//go:noescape
func modifyAVX2(s *streams, n, times int)

//go:noescape
func updateAVX2(s *streams, n, times int)

//go:noescape
func accumulateAVX2(s *streams, n, times int)

//go:noescape
func update2AVX2(s *streams, n, times int)

//go:noescape
func update3AVX2(s *streams, n, times int)

func fmaAVX2(passes int)

func mixedAVX2(passes int)

func divideAVX512(passes int)

func divideAVX2(passes int)

func rootAVX512(passes int)

func rootAVX2(passes int)
