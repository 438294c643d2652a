//go:build cgo && (linux || darwin)

package clib

/*
#cgo CFLAGS: -O2 -I${SRCDIR}/loops
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include "operands.h"

typedef void (*routine)(struct operands *);

static void repeat(void *r, struct operands o, long times, float *out) {
	while (times--) ((routine)r)(&o);
	out[0] = o.out[0];
	out[1] = o.out[1];
}

// The part of OpenBLAS that has our kernels.
enum { row_major = 101, no_trans = 111, trans = 112, upper = 121 };

static void (*blas_saxpy)(int, float, const float *, int, float *, int);
static void (*blas_saxpby)(int, float, const float *, int, float, float *, int);
static void (*blas_sscal)(int, float, float *, int);
static void (*blas_scopy)(int, const float *, int, float *, int);
static float (*blas_sdot)(int, const float *, int, const float *, int);
static float (*blas_sasum)(int, const float *, int);
static float (*blas_snrm2)(int, const float *, int);
static size_t (*blas_isamax)(int, const float *, int);
static void (*blas_sger)(int, int, int, float, const float *, int, const float *, int, float *, int);
static void (*blas_sgemm)(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
static void (*blas_ssyrk)(int, int, int, int, int, float, const float *, int, float, float *, int);
static void (*blas_somatcopy)(int, int, int, int, float, const float *, int, float *, int);
static void (*blas_threads)(int);
static char *(*blas_config)(void);
static char *(*blas_core)(void);

static const char *load_blas(void *library) {
	struct { const char *name; void *to; } all[] = {
		{"cblas_saxpy", &blas_saxpy}, {"cblas_saxpby", &blas_saxpby}, {"cblas_sscal", &blas_sscal},
		{"cblas_scopy", &blas_scopy}, {"cblas_sdot", &blas_sdot}, {"cblas_sasum", &blas_sasum},
		{"cblas_snrm2", &blas_snrm2}, {"cblas_isamax", &blas_isamax}, {"cblas_sger", &blas_sger},
		{"cblas_sgemm", &blas_sgemm}, {"cblas_ssyrk", &blas_ssyrk}, {"cblas_somatcopy", &blas_somatcopy},
		{"openblas_set_num_threads", &blas_threads}, {"openblas_get_config", &blas_config},
		{"openblas_get_corename", &blas_core},
	};
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
		if (!(*(void **)all[i].to = dlsym(library, all[i].name))) return all[i].name;
	return 0;
}

static void run_axpy(struct operands *o) { blas_saxpy(o->m * o->n, o->s[0], o->a, 1, o->c, 1); }
static void run_ema(struct operands *o) { blas_saxpby(o->m * o->n, o->s[1], o->a, 1, o->s[0], o->c, 1); }
static void run_scale(struct operands *o) { blas_sscal(o->m * o->n, o->s[0], o->c, 1); }
static void run_copy(struct operands *o) { blas_scopy(o->m * o->n, o->a, 1, o->c, 1); }
static void run_dot(struct operands *o) { o->out[0] = blas_sdot(o->m * o->n, o->a, 1, o->b, 1); }
static void run_l1norm(struct operands *o) { o->out[0] = blas_sasum(o->m * o->n, o->a, 1); }
static void run_l2norm(struct operands *o) { o->out[0] = blas_snrm2(o->m * o->n, o->a, 1); }
static void run_maxabs(struct operands *o) { o->out[0] = fabsf(o->a[blas_isamax(o->m * o->n, o->a, 1)]); }
static void run_ger(struct operands *o) { blas_sger(row_major, o->m, o->n, o->s[0], o->row, 1, o->col, 1, o->c, o->n); }
static void run_transpose(struct operands *o) { blas_somatcopy(row_major, trans, o->m, o->n, 1, o->a, o->n, o->c, o->m); }
static void run_gemm(struct operands *o) {
	blas_sgemm(row_major, o->trans_a ? trans : no_trans, o->trans_b ? trans : no_trans, o->m, o->n, o->k, 1,
		o->a, o->trans_a ? o->m : o->k, o->b, o->trans_b ? o->k : o->n, o->s[0], o->c, o->n);
}
static void run_syrk(struct operands *o) {
	blas_ssyrk(row_major, upper, o->trans_a ? trans : no_trans, o->n, o->k, 1, o->a, o->trans_a ? o->n : o->k, o->s[0], o->c, o->n);
}

static void *blas_routine(int i) {
	routine all[] = {run_axpy, run_ema, run_scale, run_copy, run_dot, run_l1norm, run_l2norm, run_maxabs, run_ger, run_transpose, run_gemm, run_syrk};
	return all[i];
}

static void set_blas_threads(int n) { blas_threads(n); }
static char *get_blas_config(void) { return blas_config(); }
static char *get_blas_core(void) { return blas_core(); }
*/
import "C"

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unsafe"
)

//go:embed loops/loops.c
var loopsSource []byte

//go:embed loops/operands.h
var operandsHeader []byte

// Compile builds the plain loops with gcc and the flags, in a directory that
// must stay while they are used, and loads them. Routines are named as the
// functions of loops/loops.c.
func Compile(dir string, flags ...string) (*Library, error) {
	source := filepath.Join(dir, "loops.c")
	if err := errors.Join(os.WriteFile(source, loopsSource, 0o644),
		os.WriteFile(filepath.Join(dir, "operands.h"), operandsHeader, 0o644)); err != nil {
		return nil, err
	}
	name := "gcc " + strings.Join(flags, " ")
	object := filepath.Join(dir, strings.ReplaceAll(name, " ", "")+".o")
	binary := object + ".so"
	// Linking with the flags would let -Ofast flush subnormal numbers to zero in
	// this whole process.
	for _, args := range [][]string{
		append(slices.Clone(flags), "-c", "-fPIC", "-o", object, source),
		{"-shared", "-o", binary, object, "-lm"},
	} {
		if text, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", name, err, text)
		}
	}
	library, err := open(binary)
	if err != nil {
		return nil, err
	}
	return &Library{name, func(routine string) unsafe.Pointer {
		s := C.CString(routine)
		defer C.free(unsafe.Pointer(s))
		return C.dlsym(library, s)
	}}, nil
}

func open(path string) (unsafe.Pointer, error) {
	s := C.CString(path)
	defer C.free(unsafe.Pointer(s))
	library := C.dlopen(s, C.RTLD_NOW|C.RTLD_LOCAL)
	if library == nil {
		return nil, errors.New(C.GoString(C.dlerror()))
	}
	return library, nil
}

// blasName is that of the shared library.
var blasName = map[string]string{"linux": "libopenblas.so.0", "darwin": "libopenblas.dylib"}[runtime.GOOS]

// A BLAS is a loaded OpenBLAS. Its routines are named as the plain loops.
type BLAS struct{ Library }

var blasRoutines = []string{"axpy", "ema", "scale", "copy", "dot", "l1norm", "l2norm", "maxabs", "ger", "transpose", "gemm", "syrk"}

// OpenBLAS loads OpenBLAS with kernels for the given type of core, or with those
// that it chooses itself for an empty one, and sets it to one thread. It must be
// called once at most: the library chooses when it is first loaded.
func OpenBLAS(core string) (*BLAS, error) {
	if core != "" {
		if err := os.Setenv("OPENBLAS_CORETYPE", core); err != nil {
			return nil, err
		}
	}
	// Idle threads of the library spin for 2^n cycles: not for long.
	if err := os.Setenv("OPENBLAS_THREAD_TIMEOUT", "14"); err != nil {
		return nil, err
	}
	library, err := open(blasName)
	if err != nil {
		return nil, err
	}
	if missing := C.load_blas(library); missing != nil {
		return nil, fmt.Errorf("OpenBLAS has no %s", C.GoString(missing))
	}
	b := &BLAS{Library{"OpenBLAS", func(routine string) unsafe.Pointer {
		if i := slices.Index(blasRoutines, routine); i >= 0 {
			return C.blas_routine(C.int(i))
		}
		return nil
	}}}
	b.SetThreads(1)
	return b, nil
}

// SetThreads sets the number of threads.
func (*BLAS) SetThreads(n int) { C.set_blas_threads(C.int(n)) }

// Config describes the library, its version first.
func (*BLAS) Config() string { return strings.TrimSpace(C.GoString(C.get_blas_config())) }

// Core is the type of core that the library has chosen its kernels for.
func (*BLAS) Core() string { return C.GoString(C.get_blas_core()) }

// Repeat runs the routine a number of times and stores what the last run
// returned.
func (r Routine) Repeat(o *Operands, times int) {
	c := C.struct_operands{
		a: pointer(o.A), b: pointer(o.B), c: pointer(o.C), d: pointer(o.D), e: pointer(o.E), f: pointer(o.F),
		row: pointer(o.Row), col: pointer(o.Col), index: pointer(o.Index),
		m: C.long(o.M), n: C.long(o.N), k: C.long(o.K),
		trans_a: truth(o.TransA), trans_b: truth(o.TransB),
	}
	for i, v := range o.S {
		c.s[i] = C.float(v)
	}
	C.repeat(r.address, c, C.long(times), pointer(o.Out[:]))
}

func pointer(x []float32) *C.float { return (*C.float)(unsafe.Pointer(unsafe.SliceData(x))) }

func truth(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
