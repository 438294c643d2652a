// The loops of package roof. A pass moves four vectors of each stream: 64
// elements with AVX-512, 32 with AVX2.

#include "textflag.h"

// LOAD reads four vectors of V bytes at P, OR combines four at P with registers,
// STORE writes four.
#define LOAD(P, V, A, B, C, D) \
	VMOVUPS (0*V)(P), A \
	VMOVUPS (1*V)(P), B \
	VMOVUPS (2*V)(P), C \
	VMOVUPS (3*V)(P), D

#define STORE(P, V, A, B, C, D) \
	VMOVUPS A, (0*V)(P) \
	VMOVUPS B, (1*V)(P) \
	VMOVUPS C, (2*V)(P) \
	VMOVUPS D, (3*V)(P)

#define OR(P, V, OP, A, B, C, D, E, F, G, H) \
	OP (0*V)(P), A, E \
	OP (1*V)(P), B, F \
	OP (2*V)(P), C, G \
	OP (3*V)(P), D, H

// START begins a walk: it loads the addresses of the streams and their length.
#define START \
	MOVQ s+0(FP), DX \
	MOVQ n+8(FP), CX \
	MOVQ 0(DX), DI \
	MOVQ 8(DX), SI \
	MOVQ 16(DX), R8 \
	MOVQ 24(DX), R9

// NEXT steps over four vectors and loops, over the streams and then over walks.
#define NEXT(V) \
	ADDQ $(4*V), DI \
	ADDQ $(4*V), SI \
	ADDQ $(4*V), R8 \
	ADDQ $(4*V), R9 \
	SUBQ $V, CX \
	JG   loop \
	SUBQ $1, BX \
	JG   walk \
	VZEROUPPER \
	RET

// func readAVX512(s *streams, n, times int)
TEXT ·readAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(DI, 64, Z0, Z1, Z2, Z3)
	NEXT(64)

// func readBothAVX512(s *streams, n, times int)
TEXT ·readBothAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(DI, 64, Z0, Z1, Z2, Z3)
	LOAD(SI, 64, Z4, Z5, Z6, Z7)
	NEXT(64)

// func writeAVX512(s *streams, n, times int)
TEXT ·writeAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX
	VPXOR X12, X12, X12
	VPXOR X13, X13, X13
	VPXOR X14, X14, X14
	VPXOR X15, X15, X15

walk:
	START

loop:
	STORE(DI, 64, Z12, Z13, Z14, Z15)
	NEXT(64)

// func copyAVX512(s *streams, n, times int)
TEXT ·copyAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(SI, 64, Z0, Z1, Z2, Z3)
	STORE(DI, 64, Z0, Z1, Z2, Z3)
	NEXT(64)

// func combineAVX512(s *streams, n, times int)
TEXT ·combineAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(SI, 64, Z0, Z1, Z2, Z3)
	OR(R8, 64, VPORD, Z0, Z1, Z2, Z3, Z0, Z1, Z2, Z3)
	STORE(DI, 64, Z0, Z1, Z2, Z3)
	NEXT(64)

// func modifyAVX512(s *streams, n, times int)
TEXT ·modifyAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX
	VPXOR X12, X12, X12
	VPXOR X13, X13, X13
	VPXOR X14, X14, X14
	VPXOR X15, X15, X15

walk:
	START

loop:
	OR(DI, 64, VPORD, Z12, Z13, Z14, Z15, Z0, Z1, Z2, Z3)
	STORE(DI, 64, Z0, Z1, Z2, Z3)
	NEXT(64)

// func updateAVX512(s *streams, n, times int)
TEXT ·updateAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(SI, 64, Z0, Z1, Z2, Z3)
	OR(DI, 64, VPORD, Z0, Z1, Z2, Z3, Z0, Z1, Z2, Z3)
	STORE(DI, 64, Z0, Z1, Z2, Z3)
	NEXT(64)

// func accumulateAVX512(s *streams, n, times int)
TEXT ·accumulateAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(SI, 64, Z0, Z1, Z2, Z3)
	OR(R8, 64, VPORD, Z0, Z1, Z2, Z3, Z0, Z1, Z2, Z3)
	OR(DI, 64, VPORD, Z0, Z1, Z2, Z3, Z0, Z1, Z2, Z3)
	STORE(DI, 64, Z0, Z1, Z2, Z3)
	NEXT(64)

// func update2AVX512(s *streams, n, times int)
TEXT ·update2AVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(R8, 64, Z0, Z1, Z2, Z3)
	OR(DI, 64, VPORD, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	OR(SI, 64, VPORD, Z0, Z1, Z2, Z3, Z8, Z9, Z10, Z11)
	STORE(DI, 64, Z4, Z5, Z6, Z7)
	STORE(SI, 64, Z8, Z9, Z10, Z11)
	NEXT(64)

// func update3AVX512(s *streams, n, times int)
TEXT ·update3AVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(R9, 64, Z0, Z1, Z2, Z3)
	OR(DI, 64, VPORD, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	OR(SI, 64, VPORD, Z0, Z1, Z2, Z3, Z8, Z9, Z10, Z11)
	OR(R8, 64, VPORD, Z0, Z1, Z2, Z3, Z12, Z13, Z14, Z15)
	STORE(DI, 64, Z4, Z5, Z6, Z7)
	STORE(SI, 64, Z8, Z9, Z10, Z11)
	STORE(R8, 64, Z12, Z13, Z14, Z15)
	NEXT(64)

// func fmaAVX512(passes int)
TEXT ·fmaAVX512(SB), NOSPLIT, $0-8
	MOVQ passes+0(FP), CX
	VPXOR X0, X0, X0
	VPXOR X1, X1, X1
	VPXOR X2, X2, X2
	VPXOR X3, X3, X3
	VPXOR X4, X4, X4
	VPXOR X5, X5, X5
	VPXOR X6, X6, X6
	VPXOR X7, X7, X7
	VPXOR X8, X8, X8
	VPXOR X9, X9, X9
	VPXOR X10, X10, X10
	VPXOR X11, X11, X11
	VPXOR X12, X12, X12
	VPXOR X13, X13, X13
	VPXOR X14, X14, X14
	VPXOR X15, X15, X15

loop:
	VFMADD231PS Z14, Z15, Z0
	VFMADD231PS Z14, Z15, Z1
	VFMADD231PS Z14, Z15, Z2
	VFMADD231PS Z14, Z15, Z3
	VFMADD231PS Z14, Z15, Z4
	VFMADD231PS Z14, Z15, Z5
	VFMADD231PS Z14, Z15, Z6
	VFMADD231PS Z14, Z15, Z7
	VFMADD231PS Z14, Z15, Z8
	VFMADD231PS Z14, Z15, Z9
	VFMADD231PS Z14, Z15, Z10
	VFMADD231PS Z14, Z15, Z11
	VFMADD231PS Z14, Z15, Z12
	VFMADD231PS Z14, Z15, Z13
	SUBQ $1, CX
	JG   loop
	VZEROUPPER
	RET

// func readAVX2(s *streams, n, times int)
TEXT ·readAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(DI, 32, Y0, Y1, Y2, Y3)
	NEXT(32)

// func readBothAVX2(s *streams, n, times int)
TEXT ·readBothAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(DI, 32, Y0, Y1, Y2, Y3)
	LOAD(SI, 32, Y4, Y5, Y6, Y7)
	NEXT(32)

// func writeAVX2(s *streams, n, times int)
TEXT ·writeAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX
	VPXOR X12, X12, X12
	VPXOR X13, X13, X13
	VPXOR X14, X14, X14
	VPXOR X15, X15, X15

walk:
	START

loop:
	STORE(DI, 32, Y12, Y13, Y14, Y15)
	NEXT(32)

// func copyAVX2(s *streams, n, times int)
TEXT ·copyAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(SI, 32, Y0, Y1, Y2, Y3)
	STORE(DI, 32, Y0, Y1, Y2, Y3)
	NEXT(32)

// func combineAVX2(s *streams, n, times int)
TEXT ·combineAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(SI, 32, Y0, Y1, Y2, Y3)
	OR(R8, 32, VPOR, Y0, Y1, Y2, Y3, Y0, Y1, Y2, Y3)
	STORE(DI, 32, Y0, Y1, Y2, Y3)
	NEXT(32)

// func modifyAVX2(s *streams, n, times int)
TEXT ·modifyAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX
	VPXOR X12, X12, X12
	VPXOR X13, X13, X13
	VPXOR X14, X14, X14
	VPXOR X15, X15, X15

walk:
	START

loop:
	OR(DI, 32, VPOR, Y12, Y13, Y14, Y15, Y0, Y1, Y2, Y3)
	STORE(DI, 32, Y0, Y1, Y2, Y3)
	NEXT(32)

// func updateAVX2(s *streams, n, times int)
TEXT ·updateAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(SI, 32, Y0, Y1, Y2, Y3)
	OR(DI, 32, VPOR, Y0, Y1, Y2, Y3, Y0, Y1, Y2, Y3)
	STORE(DI, 32, Y0, Y1, Y2, Y3)
	NEXT(32)

// func accumulateAVX2(s *streams, n, times int)
TEXT ·accumulateAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(SI, 32, Y0, Y1, Y2, Y3)
	OR(R8, 32, VPOR, Y0, Y1, Y2, Y3, Y0, Y1, Y2, Y3)
	OR(DI, 32, VPOR, Y0, Y1, Y2, Y3, Y0, Y1, Y2, Y3)
	STORE(DI, 32, Y0, Y1, Y2, Y3)
	NEXT(32)

// func update2AVX2(s *streams, n, times int)
TEXT ·update2AVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(R8, 32, Y0, Y1, Y2, Y3)
	OR(DI, 32, VPOR, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)
	OR(SI, 32, VPOR, Y0, Y1, Y2, Y3, Y8, Y9, Y10, Y11)
	STORE(DI, 32, Y4, Y5, Y6, Y7)
	STORE(SI, 32, Y8, Y9, Y10, Y11)
	NEXT(32)

// func update3AVX2(s *streams, n, times int)
TEXT ·update3AVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	LOAD(R9, 32, Y0, Y1, Y2, Y3)
	OR(DI, 32, VPOR, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)
	OR(SI, 32, VPOR, Y0, Y1, Y2, Y3, Y8, Y9, Y10, Y11)
	OR(R8, 32, VPOR, Y0, Y1, Y2, Y3, Y12, Y13, Y14, Y15)
	STORE(DI, 32, Y4, Y5, Y6, Y7)
	STORE(SI, 32, Y8, Y9, Y10, Y11)
	STORE(R8, 32, Y12, Y13, Y14, Y15)
	NEXT(32)

// func fmaAVX2(passes int)
TEXT ·fmaAVX2(SB), NOSPLIT, $0-8
	MOVQ passes+0(FP), CX
	VPXOR X0, X0, X0
	VPXOR X1, X1, X1
	VPXOR X2, X2, X2
	VPXOR X3, X3, X3
	VPXOR X4, X4, X4
	VPXOR X5, X5, X5
	VPXOR X6, X6, X6
	VPXOR X7, X7, X7
	VPXOR X8, X8, X8
	VPXOR X9, X9, X9
	VPXOR X10, X10, X10
	VPXOR X11, X11, X11
	VPXOR X12, X12, X12
	VPXOR X13, X13, X13
	VPXOR X14, X14, X14
	VPXOR X15, X15, X15

loop:
	VFMADD231PS Y14, Y15, Y0
	VFMADD231PS Y14, Y15, Y1
	VFMADD231PS Y14, Y15, Y2
	VFMADD231PS Y14, Y15, Y3
	VFMADD231PS Y14, Y15, Y4
	VFMADD231PS Y14, Y15, Y5
	VFMADD231PS Y14, Y15, Y6
	VFMADD231PS Y14, Y15, Y7
	VFMADD231PS Y14, Y15, Y8
	VFMADD231PS Y14, Y15, Y9
	VFMADD231PS Y14, Y15, Y10
	VFMADD231PS Y14, Y15, Y11
	VFMADD231PS Y14, Y15, Y12
	VFMADD231PS Y14, Y15, Y13
	SUBQ $1, CX
	JG   loop
	VZEROUPPER
	RET
