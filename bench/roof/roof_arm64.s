// The loops of package roof. A pass moves 16 vectors, 64 elements, of each
// stream.

#include "textflag.h"

// LOAD reads 16 vectors into V0..V15, STORE writes them, WITH combines them with
// the next 16 of another stream.
#define LOAD(ADDR) \
	VLD1.P 64(ADDR), [V0.B16, V1.B16, V2.B16, V3.B16] \
	VLD1.P 64(ADDR), [V4.B16, V5.B16, V6.B16, V7.B16] \
	VLD1.P 64(ADDR), [V8.B16, V9.B16, V10.B16, V11.B16] \
	VLD1.P 64(ADDR), [V12.B16, V13.B16, V14.B16, V15.B16]

#define STORE(ADDR) \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(ADDR) \
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(ADDR) \
	VST1.P [V8.B16, V9.B16, V10.B16, V11.B16], 64(ADDR) \
	VST1.P [V12.B16, V13.B16, V14.B16, V15.B16], 64(ADDR)

#define WITH4(ADDR, A, B, C, D) \
	VLD1.P 64(ADDR), [V16.B16, V17.B16, V18.B16, V19.B16] \
	VORR   V16.B16, A, A \
	VORR   V17.B16, B, B \
	VORR   V18.B16, C, C \
	VORR   V19.B16, D, D

#define WITH(ADDR) \
	WITH4(ADDR, V0.B16, V1.B16, V2.B16, V3.B16) \
	WITH4(ADDR, V4.B16, V5.B16, V6.B16, V7.B16) \
	WITH4(ADDR, V8.B16, V9.B16, V10.B16, V11.B16) \
	WITH4(ADDR, V12.B16, V13.B16, V14.B16, V15.B16)

// UPDATE combines a stream with V0..V15, which stay as they are, and stores it;
// R and W are its address for reading and writing.
#define UPDATE4(R, W, A, B, C, D) \
	VLD1.P 64(R), [V16.B16, V17.B16, V18.B16, V19.B16] \
	VORR   V16.B16, A, V16.B16 \
	VORR   V17.B16, B, V17.B16 \
	VORR   V18.B16, C, V18.B16 \
	VORR   V19.B16, D, V19.B16 \
	VST1.P [V16.B16, V17.B16, V18.B16, V19.B16], 64(W)

#define UPDATE(R, W) \
	UPDATE4(R, W, V0.B16, V1.B16, V2.B16, V3.B16) \
	UPDATE4(R, W, V4.B16, V5.B16, V6.B16, V7.B16) \
	UPDATE4(R, W, V8.B16, V9.B16, V10.B16, V11.B16) \
	UPDATE4(R, W, V12.B16, V13.B16, V14.B16, V15.B16)

// ZERO clears V0..V15.
#define ZERO \
	VEOR V0.B16, V0.B16, V0.B16 \
	VEOR V1.B16, V1.B16, V1.B16 \
	VEOR V2.B16, V2.B16, V2.B16 \
	VEOR V3.B16, V3.B16, V3.B16 \
	VEOR V4.B16, V4.B16, V4.B16 \
	VEOR V5.B16, V5.B16, V5.B16 \
	VEOR V6.B16, V6.B16, V6.B16 \
	VEOR V7.B16, V7.B16, V7.B16 \
	VEOR V8.B16, V8.B16, V8.B16 \
	VEOR V9.B16, V9.B16, V9.B16 \
	VEOR V10.B16, V10.B16, V10.B16 \
	VEOR V11.B16, V11.B16, V11.B16 \
	VEOR V12.B16, V12.B16, V12.B16 \
	VEOR V13.B16, V13.B16, V13.B16 \
	VEOR V14.B16, V14.B16, V14.B16 \
	VEOR V15.B16, V15.B16, V15.B16

// START begins a walk: it loads the addresses of the streams, in R0..R3 for writing and in R4..R7
// for reading, and their length.
#define START \
	MOVD s+0(FP), R8 \
	MOVD n+8(FP), R9 \
	LDP  0(R8), (R0, R1) \
	LDP  16(R8), (R2, R3) \
	LDP  0(R8), (R4, R5) \
	LDP  16(R8), (R6, R7)

#define NEXT \
	SUBS $64, R9 \
	BGT  loop \
	SUBS $1, R10 \
	BGT  walk \
	RET

// func readNEON(s *streams, n, times int)
TEXT ·readNEON(SB), NOSPLIT, $0-24
	MOVD times+16(FP), R10

walk:
	START

loop:
	LOAD(R4)
	NEXT

// func readBothNEON(s *streams, n, times int)
TEXT ·readBothNEON(SB), NOSPLIT, $0-24
	MOVD times+16(FP), R10

walk:
	START

loop:
	LOAD(R4)
	LOAD(R5)
	NEXT

// func writeNEON(s *streams, n, times int)
TEXT ·writeNEON(SB), NOSPLIT, $0-24
	MOVD times+16(FP), R10
	ZERO

walk:
	START

loop:
	STORE(R0)
	NEXT

// func copyNEON(s *streams, n, times int)
TEXT ·copyNEON(SB), NOSPLIT, $0-24
	MOVD times+16(FP), R10

walk:
	START

loop:
	LOAD(R5)
	STORE(R0)
	NEXT

// func combineNEON(s *streams, n, times int)
TEXT ·combineNEON(SB), NOSPLIT, $0-24
	MOVD times+16(FP), R10

walk:
	START

loop:
	LOAD(R5)
	WITH(R6)
	STORE(R0)
	NEXT

// func modifyNEON(s *streams, n, times int)
TEXT ·modifyNEON(SB), NOSPLIT, $0-24
	MOVD times+16(FP), R10
	ZERO

walk:
	START

loop:
	UPDATE(R4, R0)
	NEXT

// func updateNEON(s *streams, n, times int)
TEXT ·updateNEON(SB), NOSPLIT, $0-24
	MOVD times+16(FP), R10

walk:
	START

loop:
	LOAD(R5)
	UPDATE(R4, R0)
	NEXT

// func accumulateNEON(s *streams, n, times int)
TEXT ·accumulateNEON(SB), NOSPLIT, $0-24
	MOVD times+16(FP), R10

walk:
	START

loop:
	LOAD(R5)
	WITH(R6)
	UPDATE(R4, R0)
	NEXT

// func update2NEON(s *streams, n, times int)
TEXT ·update2NEON(SB), NOSPLIT, $0-24
	MOVD times+16(FP), R10

walk:
	START

loop:
	LOAD(R6)
	UPDATE(R4, R0)
	UPDATE(R5, R1)
	NEXT

// func update3NEON(s *streams, n, times int)
TEXT ·update3NEON(SB), NOSPLIT, $0-24
	MOVD times+16(FP), R10

walk:
	START

loop:
	LOAD(R7)
	UPDATE(R4, R0)
	UPDATE(R5, R1)
	UPDATE(R6, R2)
	NEXT

// func fmaNEON(passes int)
TEXT ·fmaNEON(SB), NOSPLIT, $0-8
	MOVD passes+0(FP), R3
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	VEOR V4.B16, V4.B16, V4.B16
	VEOR V5.B16, V5.B16, V5.B16
	VEOR V6.B16, V6.B16, V6.B16
	VEOR V7.B16, V7.B16, V7.B16
	VEOR V8.B16, V8.B16, V8.B16
	VEOR V9.B16, V9.B16, V9.B16
	VEOR V10.B16, V10.B16, V10.B16
	VEOR V11.B16, V11.B16, V11.B16
	VEOR V12.B16, V12.B16, V12.B16
	VEOR V13.B16, V13.B16, V13.B16
	VEOR V14.B16, V14.B16, V14.B16
	VEOR V15.B16, V15.B16, V15.B16
	VEOR V16.B16, V16.B16, V16.B16
	VEOR V17.B16, V17.B16, V17.B16
	VEOR V18.B16, V18.B16, V18.B16
	VEOR V19.B16, V19.B16, V19.B16
	VEOR V20.B16, V20.B16, V20.B16
	VEOR V21.B16, V21.B16, V21.B16
	VEOR V22.B16, V22.B16, V22.B16
	VEOR V23.B16, V23.B16, V23.B16
	VEOR V24.B16, V24.B16, V24.B16
	VEOR V25.B16, V25.B16, V25.B16

loop:
	VFMLA V24.S4, V25.S4, V0.S4
	VFMLA V24.S4, V25.S4, V1.S4
	VFMLA V24.S4, V25.S4, V2.S4
	VFMLA V24.S4, V25.S4, V3.S4
	VFMLA V24.S4, V25.S4, V4.S4
	VFMLA V24.S4, V25.S4, V5.S4
	VFMLA V24.S4, V25.S4, V6.S4
	VFMLA V24.S4, V25.S4, V7.S4
	VFMLA V24.S4, V25.S4, V8.S4
	VFMLA V24.S4, V25.S4, V9.S4
	VFMLA V24.S4, V25.S4, V10.S4
	VFMLA V24.S4, V25.S4, V11.S4
	VFMLA V24.S4, V25.S4, V12.S4
	VFMLA V24.S4, V25.S4, V13.S4
	VFMLA V24.S4, V25.S4, V14.S4
	VFMLA V24.S4, V25.S4, V15.S4
	VFMLA V24.S4, V25.S4, V16.S4
	VFMLA V24.S4, V25.S4, V17.S4
	VFMLA V24.S4, V25.S4, V18.S4
	VFMLA V24.S4, V25.S4, V19.S4
	VFMLA V24.S4, V25.S4, V20.S4
	VFMLA V24.S4, V25.S4, V21.S4
	VFMLA V24.S4, V25.S4, V22.S4
	VFMLA V24.S4, V25.S4, V23.S4
	SUBS $1, R3
	BGT  loop
	RET

// func divideNEON(passes int)
TEXT ·divideNEON(SB), NOSPLIT, $0-8
	MOVD passes+0(FP), R3
	MOVD $0x3fd9999a, R4 // 1.7
	VDUP R4, V31.S4

loop:
	WORD $0x6e3fffe0 // FDIV V0.4S, V31.4S, V31.4S
	WORD $0x6e3fffe1 // FDIV V1.4S, V31.4S, V31.4S
	WORD $0x6e3fffe2 // FDIV V2.4S, V31.4S, V31.4S
	WORD $0x6e3fffe3 // FDIV V3.4S, V31.4S, V31.4S
	WORD $0x6e3fffe4 // FDIV V4.4S, V31.4S, V31.4S
	WORD $0x6e3fffe5 // FDIV V5.4S, V31.4S, V31.4S
	WORD $0x6e3fffe6 // FDIV V6.4S, V31.4S, V31.4S
	WORD $0x6e3fffe7 // FDIV V7.4S, V31.4S, V31.4S
	SUBS $1, R3
	BGT  loop
	RET

// func rootNEON(passes int)
TEXT ·rootNEON(SB), NOSPLIT, $0-8
	MOVD passes+0(FP), R3
	MOVD $0x3fd9999a, R4 // 1.7
	VDUP R4, V31.S4

loop:
	WORD $0x6ea1fbe0 // FSQRT V0.4S, V31.4S
	WORD $0x6ea1fbe1 // FSQRT V1.4S, V31.4S
	WORD $0x6ea1fbe2 // FSQRT V2.4S, V31.4S
	WORD $0x6ea1fbe3 // FSQRT V3.4S, V31.4S
	WORD $0x6ea1fbe4 // FSQRT V4.4S, V31.4S
	WORD $0x6ea1fbe5 // FSQRT V5.4S, V31.4S
	WORD $0x6ea1fbe6 // FSQRT V6.4S, V31.4S
	WORD $0x6ea1fbe7 // FSQRT V7.4S, V31.4S
	SUBS $1, R3
	BGT  loop
	RET
