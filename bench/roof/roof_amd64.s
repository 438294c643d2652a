// The loops of package roof. A pass moves eight vectors of each stream: 128
// elements with AVX-512, 64 with AVX2.

#include "textflag.h"

// Each pattern is a macro that moves vector N of V bytes, by way of the registers
// that follow; OP is the bitwise or, and X15 is zero. The streams are at DI, SI,
// R8 and R9, and AX bytes of them are done.
#define READ(N, V, OP, A, B, C) \
	VMOVUPS (N*V)(DI)(AX*1), A

#define READBOTH(N, V, OP, A, B, C) \
	VMOVUPS (N*V)(DI)(AX*1), A \
	VMOVUPS (N*V)(SI)(AX*1), B

#define WRITE(N, V, OP, A, B, C, ZERO) \
	VMOVUPS ZERO, (N*V)(DI)(AX*1)

#define COPY(N, V, OP, A, B, C) \
	VMOVUPS (N*V)(SI)(AX*1), A \
	VMOVUPS A, (N*V)(DI)(AX*1)

#define COMBINE(N, V, OP, A, B, C) \
	VMOVUPS (N*V)(SI)(AX*1), A \
	OP      (N*V)(R8)(AX*1), A, B \
	VMOVUPS B, (N*V)(DI)(AX*1)

#define MODIFY(N, V, OP, A, B, C, ZERO) \
	OP      (N*V)(DI)(AX*1), ZERO, A \
	VMOVUPS A, (N*V)(DI)(AX*1)

#define UPDATE(N, V, OP, A, B, C) \
	VMOVUPS (N*V)(SI)(AX*1), A \
	OP      (N*V)(DI)(AX*1), A, B \
	VMOVUPS B, (N*V)(DI)(AX*1)

#define ACCUMULATE(N, V, OP, A, B, C) \
	VMOVUPS (N*V)(SI)(AX*1), A \
	OP      (N*V)(R8)(AX*1), A, B \
	OP      (N*V)(DI)(AX*1), B, C \
	VMOVUPS C, (N*V)(DI)(AX*1)

#define UPDATE2(N, V, OP, A, B, C) \
	VMOVUPS (N*V)(R8)(AX*1), A \
	OP      (N*V)(DI)(AX*1), A, B \
	OP      (N*V)(SI)(AX*1), A, C \
	VMOVUPS B, (N*V)(DI)(AX*1) \
	VMOVUPS C, (N*V)(SI)(AX*1)

#define UPDATE3(N, V, OP, A, B, C) \
	VMOVUPS (N*V)(R9)(AX*1), A \
	OP      (N*V)(DI)(AX*1), A, B \
	OP      (N*V)(SI)(AX*1), A, C \
	VMOVUPS B, (N*V)(DI)(AX*1) \
	OP      (N*V)(R8)(AX*1), A, B \
	VMOVUPS C, (N*V)(SI)(AX*1) \
	VMOVUPS B, (N*V)(R8)(AX*1)

// START begins a walk: it loads the addresses of the streams and their length in
// bytes; AX is how far they have been walked.
#define START \
	MOVQ s+0(FP), DX \
	MOVQ n+8(FP), CX \
	MOVQ 0(DX), DI \
	MOVQ 8(DX), SI \
	MOVQ 16(DX), R8 \
	MOVQ 24(DX), R9 \
	SHLQ $2, CX \
	XORQ AX, AX

// NEXT steps over eight vectors and loops, over the streams and then over walks.
#define NEXT(V) \
	ADDQ $(8*V), AX \
	CMPQ AX, CX \
	JLT  loop \
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
	READ(0, 64, VPORD, Z0, Z1, Z2)
	READ(1, 64, VPORD, Z3, Z4, Z5)
	READ(2, 64, VPORD, Z6, Z7, Z8)
	READ(3, 64, VPORD, Z9, Z10, Z11)
	READ(4, 64, VPORD, Z12, Z13, Z14)
	READ(5, 64, VPORD, Z0, Z1, Z2)
	READ(6, 64, VPORD, Z3, Z4, Z5)
	READ(7, 64, VPORD, Z6, Z7, Z8)
	NEXT(64)

// func readBothAVX512(s *streams, n, times int)
TEXT ·readBothAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	READBOTH(0, 64, VPORD, Z0, Z1, Z2)
	READBOTH(1, 64, VPORD, Z3, Z4, Z5)
	READBOTH(2, 64, VPORD, Z6, Z7, Z8)
	READBOTH(3, 64, VPORD, Z9, Z10, Z11)
	READBOTH(4, 64, VPORD, Z12, Z13, Z14)
	READBOTH(5, 64, VPORD, Z0, Z1, Z2)
	READBOTH(6, 64, VPORD, Z3, Z4, Z5)
	READBOTH(7, 64, VPORD, Z6, Z7, Z8)
	NEXT(64)

// func writeAVX512(s *streams, n, times int)
TEXT ·writeAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX
	VPXOR X15, X15, X15

walk:
	START

loop:
	WRITE(0, 64, VPORD, Z0, Z1, Z2, Z15)
	WRITE(1, 64, VPORD, Z3, Z4, Z5, Z15)
	WRITE(2, 64, VPORD, Z6, Z7, Z8, Z15)
	WRITE(3, 64, VPORD, Z9, Z10, Z11, Z15)
	WRITE(4, 64, VPORD, Z12, Z13, Z14, Z15)
	WRITE(5, 64, VPORD, Z0, Z1, Z2, Z15)
	WRITE(6, 64, VPORD, Z3, Z4, Z5, Z15)
	WRITE(7, 64, VPORD, Z6, Z7, Z8, Z15)
	NEXT(64)

// func copyAVX512(s *streams, n, times int)
TEXT ·copyAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	COPY(0, 64, VPORD, Z0, Z1, Z2)
	COPY(1, 64, VPORD, Z3, Z4, Z5)
	COPY(2, 64, VPORD, Z6, Z7, Z8)
	COPY(3, 64, VPORD, Z9, Z10, Z11)
	COPY(4, 64, VPORD, Z12, Z13, Z14)
	COPY(5, 64, VPORD, Z0, Z1, Z2)
	COPY(6, 64, VPORD, Z3, Z4, Z5)
	COPY(7, 64, VPORD, Z6, Z7, Z8)
	NEXT(64)

// func combineAVX512(s *streams, n, times int)
TEXT ·combineAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	COMBINE(0, 64, VPORD, Z0, Z1, Z2)
	COMBINE(1, 64, VPORD, Z3, Z4, Z5)
	COMBINE(2, 64, VPORD, Z6, Z7, Z8)
	COMBINE(3, 64, VPORD, Z9, Z10, Z11)
	COMBINE(4, 64, VPORD, Z12, Z13, Z14)
	COMBINE(5, 64, VPORD, Z0, Z1, Z2)
	COMBINE(6, 64, VPORD, Z3, Z4, Z5)
	COMBINE(7, 64, VPORD, Z6, Z7, Z8)
	NEXT(64)

// func modifyAVX512(s *streams, n, times int)
TEXT ·modifyAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX
	VPXOR X15, X15, X15

walk:
	START

loop:
	MODIFY(0, 64, VPORD, Z0, Z1, Z2, Z15)
	MODIFY(1, 64, VPORD, Z3, Z4, Z5, Z15)
	MODIFY(2, 64, VPORD, Z6, Z7, Z8, Z15)
	MODIFY(3, 64, VPORD, Z9, Z10, Z11, Z15)
	MODIFY(4, 64, VPORD, Z12, Z13, Z14, Z15)
	MODIFY(5, 64, VPORD, Z0, Z1, Z2, Z15)
	MODIFY(6, 64, VPORD, Z3, Z4, Z5, Z15)
	MODIFY(7, 64, VPORD, Z6, Z7, Z8, Z15)
	NEXT(64)

// func updateAVX512(s *streams, n, times int)
TEXT ·updateAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	UPDATE(0, 64, VPORD, Z0, Z1, Z2)
	UPDATE(1, 64, VPORD, Z3, Z4, Z5)
	UPDATE(2, 64, VPORD, Z6, Z7, Z8)
	UPDATE(3, 64, VPORD, Z9, Z10, Z11)
	UPDATE(4, 64, VPORD, Z12, Z13, Z14)
	UPDATE(5, 64, VPORD, Z0, Z1, Z2)
	UPDATE(6, 64, VPORD, Z3, Z4, Z5)
	UPDATE(7, 64, VPORD, Z6, Z7, Z8)
	NEXT(64)

// func accumulateAVX512(s *streams, n, times int)
TEXT ·accumulateAVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	ACCUMULATE(0, 64, VPORD, Z0, Z1, Z2)
	ACCUMULATE(1, 64, VPORD, Z3, Z4, Z5)
	ACCUMULATE(2, 64, VPORD, Z6, Z7, Z8)
	ACCUMULATE(3, 64, VPORD, Z9, Z10, Z11)
	ACCUMULATE(4, 64, VPORD, Z12, Z13, Z14)
	ACCUMULATE(5, 64, VPORD, Z0, Z1, Z2)
	ACCUMULATE(6, 64, VPORD, Z3, Z4, Z5)
	ACCUMULATE(7, 64, VPORD, Z6, Z7, Z8)
	NEXT(64)

// func update2AVX512(s *streams, n, times int)
TEXT ·update2AVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	UPDATE2(0, 64, VPORD, Z0, Z1, Z2)
	UPDATE2(1, 64, VPORD, Z3, Z4, Z5)
	UPDATE2(2, 64, VPORD, Z6, Z7, Z8)
	UPDATE2(3, 64, VPORD, Z9, Z10, Z11)
	UPDATE2(4, 64, VPORD, Z12, Z13, Z14)
	UPDATE2(5, 64, VPORD, Z0, Z1, Z2)
	UPDATE2(6, 64, VPORD, Z3, Z4, Z5)
	UPDATE2(7, 64, VPORD, Z6, Z7, Z8)
	NEXT(64)

// func update3AVX512(s *streams, n, times int)
TEXT ·update3AVX512(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	UPDATE3(0, 64, VPORD, Z0, Z1, Z2)
	UPDATE3(1, 64, VPORD, Z3, Z4, Z5)
	UPDATE3(2, 64, VPORD, Z6, Z7, Z8)
	UPDATE3(3, 64, VPORD, Z9, Z10, Z11)
	UPDATE3(4, 64, VPORD, Z12, Z13, Z14)
	UPDATE3(5, 64, VPORD, Z0, Z1, Z2)
	UPDATE3(6, 64, VPORD, Z3, Z4, Z5)
	UPDATE3(7, 64, VPORD, Z6, Z7, Z8)
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
	READ(0, 32, VPOR, Y0, Y1, Y2)
	READ(1, 32, VPOR, Y3, Y4, Y5)
	READ(2, 32, VPOR, Y6, Y7, Y8)
	READ(3, 32, VPOR, Y9, Y10, Y11)
	READ(4, 32, VPOR, Y12, Y13, Y14)
	READ(5, 32, VPOR, Y0, Y1, Y2)
	READ(6, 32, VPOR, Y3, Y4, Y5)
	READ(7, 32, VPOR, Y6, Y7, Y8)
	NEXT(32)

// func readBothAVX2(s *streams, n, times int)
TEXT ·readBothAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	READBOTH(0, 32, VPOR, Y0, Y1, Y2)
	READBOTH(1, 32, VPOR, Y3, Y4, Y5)
	READBOTH(2, 32, VPOR, Y6, Y7, Y8)
	READBOTH(3, 32, VPOR, Y9, Y10, Y11)
	READBOTH(4, 32, VPOR, Y12, Y13, Y14)
	READBOTH(5, 32, VPOR, Y0, Y1, Y2)
	READBOTH(6, 32, VPOR, Y3, Y4, Y5)
	READBOTH(7, 32, VPOR, Y6, Y7, Y8)
	NEXT(32)

// func writeAVX2(s *streams, n, times int)
TEXT ·writeAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX
	VPXOR X15, X15, X15

walk:
	START

loop:
	WRITE(0, 32, VPOR, Y0, Y1, Y2, Y15)
	WRITE(1, 32, VPOR, Y3, Y4, Y5, Y15)
	WRITE(2, 32, VPOR, Y6, Y7, Y8, Y15)
	WRITE(3, 32, VPOR, Y9, Y10, Y11, Y15)
	WRITE(4, 32, VPOR, Y12, Y13, Y14, Y15)
	WRITE(5, 32, VPOR, Y0, Y1, Y2, Y15)
	WRITE(6, 32, VPOR, Y3, Y4, Y5, Y15)
	WRITE(7, 32, VPOR, Y6, Y7, Y8, Y15)
	NEXT(32)

// func copyAVX2(s *streams, n, times int)
TEXT ·copyAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	COPY(0, 32, VPOR, Y0, Y1, Y2)
	COPY(1, 32, VPOR, Y3, Y4, Y5)
	COPY(2, 32, VPOR, Y6, Y7, Y8)
	COPY(3, 32, VPOR, Y9, Y10, Y11)
	COPY(4, 32, VPOR, Y12, Y13, Y14)
	COPY(5, 32, VPOR, Y0, Y1, Y2)
	COPY(6, 32, VPOR, Y3, Y4, Y5)
	COPY(7, 32, VPOR, Y6, Y7, Y8)
	NEXT(32)

// func combineAVX2(s *streams, n, times int)
TEXT ·combineAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	COMBINE(0, 32, VPOR, Y0, Y1, Y2)
	COMBINE(1, 32, VPOR, Y3, Y4, Y5)
	COMBINE(2, 32, VPOR, Y6, Y7, Y8)
	COMBINE(3, 32, VPOR, Y9, Y10, Y11)
	COMBINE(4, 32, VPOR, Y12, Y13, Y14)
	COMBINE(5, 32, VPOR, Y0, Y1, Y2)
	COMBINE(6, 32, VPOR, Y3, Y4, Y5)
	COMBINE(7, 32, VPOR, Y6, Y7, Y8)
	NEXT(32)

// func modifyAVX2(s *streams, n, times int)
TEXT ·modifyAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX
	VPXOR X15, X15, X15

walk:
	START

loop:
	MODIFY(0, 32, VPOR, Y0, Y1, Y2, Y15)
	MODIFY(1, 32, VPOR, Y3, Y4, Y5, Y15)
	MODIFY(2, 32, VPOR, Y6, Y7, Y8, Y15)
	MODIFY(3, 32, VPOR, Y9, Y10, Y11, Y15)
	MODIFY(4, 32, VPOR, Y12, Y13, Y14, Y15)
	MODIFY(5, 32, VPOR, Y0, Y1, Y2, Y15)
	MODIFY(6, 32, VPOR, Y3, Y4, Y5, Y15)
	MODIFY(7, 32, VPOR, Y6, Y7, Y8, Y15)
	NEXT(32)

// func updateAVX2(s *streams, n, times int)
TEXT ·updateAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	UPDATE(0, 32, VPOR, Y0, Y1, Y2)
	UPDATE(1, 32, VPOR, Y3, Y4, Y5)
	UPDATE(2, 32, VPOR, Y6, Y7, Y8)
	UPDATE(3, 32, VPOR, Y9, Y10, Y11)
	UPDATE(4, 32, VPOR, Y12, Y13, Y14)
	UPDATE(5, 32, VPOR, Y0, Y1, Y2)
	UPDATE(6, 32, VPOR, Y3, Y4, Y5)
	UPDATE(7, 32, VPOR, Y6, Y7, Y8)
	NEXT(32)

// func accumulateAVX2(s *streams, n, times int)
TEXT ·accumulateAVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	ACCUMULATE(0, 32, VPOR, Y0, Y1, Y2)
	ACCUMULATE(1, 32, VPOR, Y3, Y4, Y5)
	ACCUMULATE(2, 32, VPOR, Y6, Y7, Y8)
	ACCUMULATE(3, 32, VPOR, Y9, Y10, Y11)
	ACCUMULATE(4, 32, VPOR, Y12, Y13, Y14)
	ACCUMULATE(5, 32, VPOR, Y0, Y1, Y2)
	ACCUMULATE(6, 32, VPOR, Y3, Y4, Y5)
	ACCUMULATE(7, 32, VPOR, Y6, Y7, Y8)
	NEXT(32)

// func update2AVX2(s *streams, n, times int)
TEXT ·update2AVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	UPDATE2(0, 32, VPOR, Y0, Y1, Y2)
	UPDATE2(1, 32, VPOR, Y3, Y4, Y5)
	UPDATE2(2, 32, VPOR, Y6, Y7, Y8)
	UPDATE2(3, 32, VPOR, Y9, Y10, Y11)
	UPDATE2(4, 32, VPOR, Y12, Y13, Y14)
	UPDATE2(5, 32, VPOR, Y0, Y1, Y2)
	UPDATE2(6, 32, VPOR, Y3, Y4, Y5)
	UPDATE2(7, 32, VPOR, Y6, Y7, Y8)
	NEXT(32)

// func update3AVX2(s *streams, n, times int)
TEXT ·update3AVX2(SB), NOSPLIT, $0-24
	MOVQ times+16(FP), BX

walk:
	START

loop:
	UPDATE3(0, 32, VPOR, Y0, Y1, Y2)
	UPDATE3(1, 32, VPOR, Y3, Y4, Y5)
	UPDATE3(2, 32, VPOR, Y6, Y7, Y8)
	UPDATE3(3, 32, VPOR, Y9, Y10, Y11)
	UPDATE3(4, 32, VPOR, Y12, Y13, Y14)
	UPDATE3(5, 32, VPOR, Y0, Y1, Y2)
	UPDATE3(6, 32, VPOR, Y3, Y4, Y5)
	UPDATE3(7, 32, VPOR, Y6, Y7, Y8)
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
