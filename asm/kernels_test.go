package asm_test

import (
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A routine is a TEXT of an assembly file.
type routine struct {
	name  string
	level string   // AVX2, AVX512 or NEON: how the name ends
	flags []string // what avo says that its instructions require
	code  []instruction
}

// An instruction as the assembler encodes it. Those that it adds to set up a
// frame and to take it down belong to the line of the TEXT and of the RET.
type instruction struct {
	line  int
	text  string // the line, without comment
	op    string
	bytes []byte
}

func (r *routine) at(in instruction) string {
	return fmt.Sprintf("%s, line %d: %s", r.name, in.line, in.text)
}

var (
	listingText  = regexp.MustCompile(`^asm\.(\w+(AVX2|AVX512|NEON)) STEXT `)
	listingLine  = regexp.MustCompile(`^\t0x[0-9a-f]+ (\d+) \([^:]+:(\d+)\)\t(\S+)`)
	listingBytes = regexp.MustCompile(`^\t0x[0-9a-f]+((?: [0-9a-f]{2})+)  `)
	comment      = regexp.MustCompile(`\s*//.*`)
)

// assemble returns the routines of kernels_ARCH.s, from the assembler's listing.
func assemble(t *testing.T, arch string) []*routine {
	file := "kernels_" + arch + ".s"
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	source := strings.Split(string(data), "\n")

	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	cmd := exec.Command("go", "tool", "asm", "-S", "-p", "asm", "-o", filepath.Join(t.TempDir(), "asm.o"),
		"-I", filepath.Join(strings.TrimSpace(string(root)), "pkg", "include"), file)
	cmd.Env = append(os.Environ(), "GOARCH="+arch)
	listing, err := cmd.CombinedOutput()
	require.NoError(t, err, "%.1000s", listing)

	var all []*routine
	for section := range sections(string(listing)) {
		m := listingText.FindStringSubmatch(section)
		if m == nil {
			require.NotContains(t, strings.SplitN(section, "\n", 2)[0], "STEXT", "a routine's name ends in its level")
			continue
		}
		r := &routine{name: m[1], level: m[2]}
		var offsets []int
		var code []byte
		for line := range strings.Lines(section) {
			if m := listingBytes.FindStringSubmatch(line); m != nil {
				b, err := hex.DecodeString(strings.ReplaceAll(m[1], " ", ""))
				require.NoError(t, err)
				code = append(code, b...)
				continue
			}
			m := listingLine.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			offset, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			n, err := strconv.Atoi(m[2])
			require.NoError(t, err)
			if m[3] == "TEXT" {
				if flags, ok := strings.CutPrefix(source[n-2], "// Requires: "); ok {
					r.flags = strings.Split(flags, ", ")
				}
			}
			if m[3] == "TEXT" || m[3] == "FUNCDATA" || m[3] == "PCDATA" {
				continue
			}
			text := strings.TrimSpace(comment.ReplaceAllString(source[n-1], ""))
			r.code = append(r.code, instruction{line: n, text: text, op: m[3]})
			offsets = append(offsets, offset)
		}
		require.NotEmpty(t, offsets, r.name)
		for i, o := range append(offsets[1:], len(code)) {
			r.code[i].bytes = code[offsets[i]:o]
		}
		r.code = slices.DeleteFunc(r.code, func(in instruction) bool {
			return in.op == "PCALIGN" && len(in.bytes) == 0 // is already aligned
		})
		for _, in := range r.code {
			require.NotEmpty(t, in.bytes, r.at(in))
		}
		all = append(all, r)
	}
	require.NotEmpty(t, all)
	return all
}

// sections cuts a listing before each line that starts a symbol.
func sections(listing string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start := 0
		for i := range listing {
			if i > start && listing[i-1] == '\n' && listing[i] != '\t' {
				if !yield(listing[start:i]) {
					return
				}
				start = i
			}
		}
		yield(listing[start:])
	}
}

// levels are the instruction sets of a level: those that package kernels checks
// before it uses one, and what they imply. Every amd64 processor has CMOV, and
// prefetching, which avo calls MMX+.
var levels = map[string][]string{
	"AVX2":   {"CMOV", "MMX+", "AVX", "AVX2", "FMA3", "BMI2", "F16C"},
	"AVX512": {"CMOV", "MMX+", "AVX", "AVX2", "FMA3", "BMI2", "F16C", "AVX512F", "AVX512VL", "AVX512BW", "AVX512DQ"},
}

// kind is how an x86 instruction is encoded.
type kind int

const (
	general kind = iota // works on general registers
	vex
	evex
	sse // legacy: merges into the upper halves of the vector registers
)

func (k kind) String() string { return [...]string{"general", "VEX", "EVEX", "SSE"}[k] }

// encoding classifies a 64-bit x86 instruction. Of the two-byte opcodes only the
// general ones that a kernel may need are not taken for SSE.
func encoding(b []byte) kind {
	switch b[0] {
	case 0xc4, 0xc5:
		return vex
	case 0x62:
		return evex
	}
	for b[0] == 0x66 || b[0] == 0xf2 || b[0] == 0xf3 { // operand size and repeat
		b = b[1:]
	}
	if b[0]>>4 == 4 { // REX
		b = b[1:]
	}
	if b[0] != 0x0f {
		return general
	}
	switch op := b[1]; {
	case op>>4 == 8, // Jcc
		op>>4 == 4, op>>4 == 9, // CMOVcc, SETcc
		op == 0x18, op == 0x1f, // PREFETCH, NOP
		op == 0xae && b[2] == 0xf8,                     // SFENCE
		op == 0xaf,                                     // IMUL
		op == 0xb6, op == 0xb7, op == 0xbe, op == 0xbf: // MOVZX, MOVSX
		return general
	}
	return sse
}

func TestEncoding(t *testing.T) {
	for code, want := range map[string]kind{
		"4883e920":       general, // SUBQ $32, CX
		"0f8c01010000":   general, // JL
		"410f182424":     general, // PREFETCHNTA (R12)
		"0faef8":         general, // SFENCE
		"0fae00":         sse,     // FXSAVE (AX)
		"c3":             general, // RET
		"c5f877":         vex,     // VZEROUPPER
		"c4e27db8e9":     vex,     // VFMADD231PS Y1, Y0, Y5
		"62f17c481003":   evex,    // VMOVUPS (BX), Z0
		"f30f1003":       sse,     // MOVSS (BX), X0
		"0f58c1":         sse,     // ADDPS X1, X0
		"66480f6ec0":     sse,     // MOVQ AX, X0
		"f30f51c0":       sse,     // SQRTSS X0, X0
		"f2480f2ac0":     sse,     // CVTSQ2SD AX, X0
		"66440f3813c8":   sse,     // CVTPH2PS, three-byte opcode
		"66410fefc9":     sse,     // PXOR X9, X1
		"440f1104254000": sse,     // MOVUPS X8, mem
	} {
		b, err := hex.DecodeString(code)
		require.NoError(t, err)
		require.Equal(t, want, encoding(b), code)
	}
}

var (
	reserved    = regexp.MustCompile(`\b(R14|R15)[BWL]?\b|\bBPB?\b`)
	avx512Only  = regexp.MustCompile(`\bZ\d+\b|\bK[0-7]\b|\b[XY](1[6-9]|2\d|3[01])\b`)
	outsideJump = regexp.MustCompile(`^(JMP|CALL)\b.*(\(|\bSB\b)`)
)

// TestAMD64 checks what neither the assembler nor the kernels' results show: a
// forgotten VZEROUPPER or one SSE instruction costs 200 ns a call, and R14, R15
// and BP belong to the runtime, the linker and the tracebacks.
func TestAMD64(t *testing.T) {
	for _, r := range assemble(t, "amd64") {
		allowed := levels[r.level]
		require.NotEmpty(t, allowed, "level of %s", r.name)
		require.Subset(t, allowed, r.flags, r.name)
		// Code for rare cases stands after the RET and jumps back.
		require.Contains(t, []string{"RET", "JMP"}, r.code[len(r.code)-1].op, "last of %s", r.name)
		returns := 0
		var before instruction // of an earlier line
		for i, in := range r.code {
			if i > 0 && r.code[i-1].line < in.line {
				before = r.code[i-1]
			}
			k := encoding(in.bytes)
			require.NotEqual(t, sse, k, r.at(in))
			vector := strings.HasPrefix(in.op, "V") || strings.HasPrefix(in.op, "K")
			require.True(t, vector == (k != general) || in.op == "BZHIL", "%s: encoded as %v", r.at(in), k)
			require.NotRegexp(t, outsideJump, in.text, r.at(in))
			if in.text == "RET" && in.op == "RET" {
				require.Equal(t, "VZEROUPPER", before.text, "before the RET in line %d of %s", in.line, r.name)
				returns++
			}
			if !strings.HasPrefix(in.text, "TEXT") {
				require.NotRegexp(t, reserved, in.text, r.at(in))
			}
			if r.level == "AVX2" {
				require.NotRegexp(t, avx512Only, in.text, r.at(in))
				require.NotEqual(t, evex, k, r.at(in))
			}
		}
		require.Positive(t, returns, r.name)
	}
}

// TestPlacedLoops: the jumps that end the loops of AVX2's tiles lie where the generator
// means them to, which has to know how long each instruction is.
func TestPlacedLoops(t *testing.T) {
	placed := 0
	for _, r := range assemble(t, "amd64") {
		if r.level != "AVX2" || !strings.HasPrefix(r.name, "Gemm") {
			continue
		}
		at, ended := 0, map[string]bool{}
		for _, in := range r.code {
			f := strings.Fields(in.text)
			if f[0] == "JGE" && (f[1] == "unrolled" || f[1] == "prefetching") && !ended[f[1]] {
				ended[f[1]] = true // other jumps to it are of rare cases
				jump := at % 64
				require.True(t, 16 <= jump && jump <= 48, "%s: at byte %d of a cache line", r.at(in), jump)
				placed++
			}
			at += len(in.bytes)
		}
	}
	require.Greater(t, placed, 100)
}

var (
	reservedARM64 = regexp.MustCompile(`\bR(16|17|18|18_PLATFORM|27|28|29|30)\b|\bg\b|\bRSP\b`)
	outsideARM64  = regexp.MustCompile(`^(BL|CALL)\b|^(B|JMP)\b.*\(`)
)

// TestARM64: R16 and R17 are the linker's, R18 the platform's, R27 the
// assembler's, R28 the goroutine's, R29 and R30 those of the caller's frame.
func TestARM64(t *testing.T) {
	for _, r := range assemble(t, "arm64") {
		require.Equal(t, "NEON", r.level, r.name)
		// As on amd64, code for rare cases stands after the RET and jumps back.
		require.Contains(t, []string{"RET", "JMP"}, r.code[len(r.code)-1].op, "last of %s", r.name)
		for _, in := range r.code {
			require.Zero(t, len(in.bytes)%4, r.at(in))
			require.NotRegexp(t, outsideARM64, in.text, r.at(in))
			if !strings.HasPrefix(in.text, "TEXT") {
				require.NotRegexp(t, reservedARM64, in.text, r.at(in))
			}
		}
	}
}

// TestRegisterPatterns shows what the patterns above catch and let pass.
func TestRegisterPatterns(t *testing.T) {
	for pattern, examples := range map[*regexp.Regexp][2][]string{
		reserved: {
			{"MOVQ R14, AX", "ADDL $1, R15L", "MOVQ 8(BP), AX", "LEAQ (AX)(R15*4), BX"},
			{"SUBPS X1, X2", "VSUBPS Y4, Y5, Y6", "MOVQ R13, R12", "MOVQ (SP), AX"}},
		avx512Only: {
			{"VPXOR Y16, Y1, Y2", "VADDPS Z1, Z2, Z3", "KMOVW AX, K1", "VMOVSS X31, (AX)"},
			{"VADDPS Y15, Y1, Y9", "VMOVUPS 16(AX), X1"}},
		outsideJump: {
			{"JMP ·next(SB)", "CALL other(SB)", "JMP (AX)", "CALL AX, (BX)"},
			{"JMP done", "JE done", "LEAQ partial_masks<>+0(SB), R13"}},
		reservedARM64: {
			{"MOVD R18, R1", "MOVD g, R1", "ADD $1, R27", "MOVD R30, 8(R1)", "MOVD 8(RSP), R0", "MOVD R18_PLATFORM, R0"},
			{"MOVD R8, R26", "VMOV V30.B16, V27.B16", "FMOVQ F28, 16(R1)"}},
		outsideARM64: {
			{"BL next", "B ·next(SB)", "JMP (R1)"},
			{"B done", "BLT done", "BIC R1, R2"}},
	} {
		for _, bad := range examples[0] {
			require.Regexp(t, pattern, bad)
		}
		for _, good := range examples[1] {
			require.NotRegexp(t, pattern, good)
		}
	}
}

// declarations returns the Go declarations of kernels_ARCH.go.
func declarations(t *testing.T, arch string) map[string]*ast.FuncDecl {
	file, err := parser.ParseFile(token.NewFileSet(), "kernels_"+arch+".go", nil, parser.ParseComments)
	require.NoError(t, err)
	all := map[string]*ast.FuncDecl{}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			all[f.Name.Name] = f
		}
	}
	return all
}

// argument is an access to an argument or a result.
var argument = regexp.MustCompile(`\b(\w+)\+\d+\(FP\)`)

// accessWidth is the number of bytes that the instructions on arguments move.
var accessWidth = map[string]int{"MOVQ": 8, "MOVD": 8, "VBROADCASTSS": 4, "VMOVSS": 4, "FMOVS": 4}

// TestDeclarations: each routine has its declaration and the other way round,
// none lets its arguments escape, and each argument is moved with its width,
// which vet doesn't see on arm64.
func TestDeclarations(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		declared := declarations(t, arch)
		var names []string
		for _, r := range assemble(t, arch) {
			names = append(names, r.name)
			f := declared[r.name]
			require.NotNil(t, f, "declaration of %s", r.name)
			require.Nil(t, f.Body, r.name)
			require.NotNil(t, f.Doc, "pragma of %s", r.name)
			require.True(t, slices.ContainsFunc(f.Doc.List, func(c *ast.Comment) bool { return c.Text == "//go:noescape" }), r.name)
			widths := map[string]int{}
			fields := f.Type.Params.List
			if f.Type.Results != nil {
				fields = slices.Concat(fields, f.Type.Results.List)
			}
			for _, field := range fields {
				width := 8
				if id, ok := field.Type.(*ast.Ident); ok && (id.Name == "float32" || id.Name == "uint32") {
					width = 4
				}
				for _, name := range field.Names {
					widths[name.Name] = width
				}
				if field.Names == nil {
					widths["ret"] = width
				}
			}
			touched := map[string]bool{}
			for _, in := range r.code {
				for _, m := range argument.FindAllStringSubmatch(in.text, -1) {
					require.Contains(t, widths, m[1], r.at(in))
					require.Equal(t, widths[m[1]], accessWidth[strings.Fields(in.text)[0]], r.at(in))
					touched[m[1]] = true
				}
			}
			require.Len(t, touched, len(widths), "%s uses all its arguments", r.name)
		}
		require.Len(t, declared, len(names), arch)
	}
}
