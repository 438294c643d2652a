package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// trial is one call of a kernel on every level.
type trial struct {
	kernel  *kernel
	shape   shape
	offset  int    // operand i starts offset*(2i+1) elements after a 64-byte boundary
	same    [2]int // operands that are one slice; none if equal
	typical bool   // use the kernel's typical scalars, not drawn ones
	pool    *Pool  // for kernels that take one; nil for none
	values  func() func() float32
	origin  string // of the values
}

// drawn returns the values of a mix for a seed.
func drawn(x mix, seed uint64) (values func() func() float32, origin string) {
	return func() func() float32 {
		r := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
		return func() float32 { return x.draw(r) }
	}, fmt.Sprintf("%s, seed %d", x.name, seed)
}

// guard fills everything around the operands: a NaN, so that an element read
// by mistake shows in the result.
const guard = 0x7fedcba9

// guardLen is the number of guard elements on each side of an operand.
const guardLen = 64

// region is where an operand lies in a workspace.
type region struct {
	lo, hi             int // with guards; the regions partition the workspace
	start              int
	rows, cols, stride int
}

func (r *region) len() int {
	if r.rows == 0 || r.cols == 0 {
		return 0
	}
	return (r.rows-1)*r.stride + r.cols
}

// contains reports whether the element p of the workspace belongs to the matrix.
func (r *region) contains(p int) bool {
	p -= r.start
	return p >= 0 && p < r.len() && p%r.stride < r.cols
}

// workspace holds the operands of a trial before the call, after it on the
// generic level, and after it on the level under test.
type workspace struct {
	before, want, got []float32
	regions           []region
	watched           [][2]int // ranges that hold all but the contents of scratch operands
	compared          int      // results, each at one level: outputs' elements, and what is returned
}

func (w *workspace) layout(k *kernel, s shape, offset int) {
	w.regions, w.watched = w.regions[:0], w.watched[:0]
	end := 0
	for i, op := range k.operands {
		r := region{lo: end}
		r.rows, r.cols = op.size.of(s)
		r.stride = r.cols
		if k.class.strided {
			r.stride += s.pad * (i + 1)
		}
		r.start = (end+guardLen+15)/16*16 + offset*(2*i+1)%16
		r.hi = r.start + r.len() + guardLen
		end = r.hi
		w.regions = append(w.regions, r)
		if op.role == scratch {
			w.watched = append(w.watched, [2]int{r.lo, r.start}, [2]int{r.start + r.len(), r.hi})
		} else {
			w.watched = append(w.watched, [2]int{r.lo, r.hi})
		}
	}
	for _, b := range []*[]float32{&w.before, &w.want, &w.got} {
		if cap(*b) < end {
			*b = aligned(2 * end)
		}
		*b = (*b)[:end]
	}
}

// aligned returns n elements that start at a 64-byte boundary.
func aligned(n int) []float32 {
	b := make([]float32, n+15)
	skip := -uintptr(unsafe.Pointer(&b[0])) % 64 / 4
	return b[skip:][:n]
}

// fill stores the values of every operand, and guards elsewhere.
func (w *workspace) fill(k *kernel, next func() float32) {
	for _, span := range w.watched {
		for p := span[0]; p < span[1]; p++ {
			w.before[p] = math.Float32frombits(guard)
		}
	}
	for i, r := range w.regions {
		if k.operands[i].role == scratch {
			continue
		}
		for p := range r.len() {
			if p%r.stride < r.cols {
				w.before[r.start+p] = next()
			}
		}
	}
}

// args returns the arguments that lie in data, one of the three buffers.
func (w *workspace) args(s shape, scalars, data []float32) *args {
	a := &args{shape: s, s: scalars}
	for _, r := range w.regions {
		a.m = append(a.m, Matrix{Rows: r.rows, Cols: r.cols, Stride: r.stride, Data: data[r.start:][:r.len():r.len()]})
	}
	return a
}

// onBochs is set by .ci/avx512. Bochs 2.7 takes the wrong entry of its table in
// VRSQRT14PS for the powers of two with an odd exponent: what it returns is off by
// 41 %, a processor's by 2^-14. And its VCVTPS2PH rounds ties away from zero.
var onBochs = os.Getenv("ADAFISHER_EMULATOR") == "bochs"

var roundsToFloat16 = map[string]bool{"ToFloat16": true, "PackFloat16": true}

// withoutTies sets the last bits of numbers: they are not half way between two that
// have less bits.
func withoutTies(next func() float32) func() float32 {
	return func() float32 { return math.Float32frombits(math.Float32bits(next()) | 1) }
}

// rooted are the kernels that take that estimate of their arguments, or of sums
// of them.
var rooted = map[string]bool{"RSqrt": true, "AdamStep": true, "AdamStep decoupled": true, "AdamStep plain": true,
	"AMSGradStep": true, "AMSGradStep decoupled": true}

// withoutPowers replaces the powers of two by numbers beside them.
func withoutPowers(next func() float32) func() float32 {
	return func() float32 {
		x := next()
		if significand, _ := math.Frexp(float64(x)); math.Abs(significand) == 0.5 {
			return math.Float32frombits(math.Float32bits(x) ^ 2)
		}
		return x
	}
}

// check runs the trial and describes the first difference: between a level and
// the generic one, or outside of what the kernel may write.
func (c *trial) check(w *workspace) error {
	w.layout(c.kernel, c.shape, c.offset)
	next := c.values()
	if onBochs && roundsToFloat16[c.kernel.name] {
		next = withoutTies(next)
	}
	if onBochs && rooted[c.kernel.name] {
		next = withoutPowers(next)
	}
	scalars := c.kernel.scalars
	if !c.typical {
		scalars = make([]float32, len(scalars))
		for i := range scalars {
			scalars[i] = next()
		}
	}
	w.fill(c.kernel, next)
	if out, in := c.same[0], c.same[1]; out != in {
		a := w.args(c.shape, scalars, w.before)
		copy(a.v(in), a.v(out))
	}

	level := Generic
	run := func(data []float32, shared, pooled bool) (r result, err error) {
		copy(data, w.before)
		a := w.args(c.shape, scalars, data)
		if shared {
			a.m[c.same[1]] = a.m[c.same[0]]
		}
		if err := SetLevel(level); err != nil {
			return r, err
		}
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%s\npanic: %v", c.title(level, scalars), p)
			}
		}()
		if pooled {
			c.kernel.pooled(c.pool, a)
			return r, nil
		}
		return c.kernel.call(a), nil
	}
	want, err := run(w.want, false, false)
	if err != nil {
		return err
	}
	if p := w.differs(w.before, w.want, func(p int) bool { return c.frozen(w, p) }); p >= 0 {
		return c.report(w, level, scalars, p, w.before[p], w.want[p])
	}
	for _, level = range Levels() {
		shared, pooled := c.same[0] != c.same[1], c.pool != nil && c.kernel.pooled != nil
		if level == Generic && !shared && (!pooled || len(Levels()) > 1) { // it is slow
			continue
		}
		got, err := run(w.got, shared, pooled)
		if err != nil {
			return err
		}
		if level != Generic {
			w.compared += c.kernel.results(c.shape)
		}
		for i := range got {
			if !sameFloat(got[i], want[i]) {
				return fmt.Errorf("%s\nresult %d: want %s, got %s%s",
					c.title(level, scalars), i, show(want[i]), show(got[i]), c.inputs(w, -1, 0, 0))
			}
		}
		differs := func(p int) bool { return c.frozen(w, p) || !sameFloat(w.want[p], w.got[p]) }
		if p := w.differs(w.want, w.got, differs); p >= 0 {
			return c.report(w, level, scalars, p, w.want[p], w.got[p])
		}
	}
	return nil
}

// results is the number of results of a call: elements of outputs, or one if it has
// none.
func (k *kernel) results(s shape) (n int) {
	for _, op := range k.operands {
		if op.role == output {
			rows, cols := op.size.of(s)
			n += rows * cols
		}
	}
	return max(n, 1)
}

// differs returns the first element whose bits differ between two buffers and
// for which the difference counts; -1 if there is none.
func (w *workspace) differs(x, y []float32, counts func(p int) bool) int {
	for _, span := range w.watched {
		for p := span[0]; p < span[1]; p++ {
			if math.Float32bits(x[p]) != math.Float32bits(y[p]) && counts(p) {
				return p
			}
		}
	}
	return -1
}

func sameFloat(x, y float32) bool {
	return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
}

func show(x float32) string { return fmt.Sprintf("%08x (%g)", math.Float32bits(x), x) }

// find returns the operand whose region, guards included, holds element p.
func (w *workspace) find(p int) int {
	for i, r := range w.regions {
		if p < r.hi {
			return i
		}
	}
	panic("element outside the workspace")
}

// frozen reports whether no call may change element p.
func (c *trial) frozen(w *workspace, p int) bool {
	i := w.find(p)
	return c.kernel.operands[i].role == input || !w.regions[i].contains(p)
}

func (c *trial) title(l Level, scalars []float32) string {
	s := fmt.Sprintf("%s at %s: %v, offset %d, values %s", c.kernel.name, l, c.shape, c.offset, c.origin)
	if out, in := c.same[0], c.same[1]; out != in {
		s += fmt.Sprintf(", %s is %s", c.kernel.operands[out].name, c.kernel.operands[in].name)
	}
	if c.pool != nil {
		s += fmt.Sprintf(", %d workers", c.pool.Workers())
	}
	for i, x := range scalars {
		s += fmt.Sprintf("\nscalar %d: %s", i, show(x))
	}
	return s
}

func (c *trial) report(w *workspace, l Level, scalars []float32, p int, want, got float32) error {
	at := w.find(p)
	r := &w.regions[at]
	stride := max(r.stride, 1)
	i, j := (p-r.start)/stride, (p-r.start)%stride
	what := fmt.Sprintf("[%d,%d]", i, j)
	if !r.contains(p) {
		what = fmt.Sprintf(", %d elements after the start of %dx%d, is outside of it", p-r.start, r.rows, r.cols)
	}
	return fmt.Errorf("%s\n%s%s: want %s, got %s%s",
		c.title(l, scalars), c.kernel.operands[at].name, what, show(want), show(got), c.inputs(w, at, i, j))
}

// inputs lists what element (i, j) of an operand depends on, as far as it is
// short: with at = -1 the whole operands.
func (c *trial) inputs(w *workspace, at, i, j int) string {
	var s strings.Builder
	list := func(name string, r region, i0, i1, j0, j1 int) {
		if (i1-i0)*(j1-j0) > 20 {
			fmt.Fprintf(&s, "\n%s[%d:%d,%d:%d]: from the seed", name, i0, i1, j0, j1)
			return
		}
		for i := i0; i < i1; i++ {
			for j := j0; j < j1; j++ {
				fmt.Fprintf(&s, "\n%s[%d,%d] = %s", name, i, j, show(w.before[r.start+i*r.stride+j]))
			}
		}
	}
	for o, op := range c.kernel.operands {
		r := w.regions[o]
		i0, i1, j0, j1 := 0, r.rows, 0, r.cols
		if at >= 0 && w.regions[at].contains(w.regions[at].start+i*w.regions[at].stride+j) {
			switch op.size {
			case c.kernel.operands[at].size:
				i0, i1, j0, j1 = i, i+1, j, j+1
			case sizeM:
				j0, j1 = i, i+1
			case sizeN, sizeKN:
				j0, j1 = j, j+1
			case sizeMK:
				i0, i1 = i, i+1
			case sizeKM:
				j0, j1 = i, i+1
			case sizeNK:
				i0, i1 = j, j+1
			case sizeMN:
				if c.kernel.operands[at].size == sizeNM {
					i0, i1, j0, j1 = j, j+1, i, i+1
				} else { // under a column sum
					j0, j1 = j, j+1
				}
			}
		}
		if op.role != scratch {
			list(op.name, r, i0, i1, j0, j1)
		}
	}
	return s.String()
}

// shrink returns the failure of the smallest trial it finds that still fails.
func (c *trial) shrink(w *workspace, failure error) error {
	for {
		smaller := false
		for _, s := range smallerShapes(c.shape) {
			if c.kernel.class == &vectors && s.m != 1 {
				continue
			}
			d := *c
			d.shape = s
			if err := d.check(w); err != nil {
				*c, failure, smaller = d, err, true
				break
			}
		}
		if d := *c; c.offset != 0 {
			d.offset = 0
			if err := d.check(w); err != nil {
				*c, failure, smaller = d, err, true
			}
		}
		if !smaller {
			return failure
		}
	}
}

func smallerShapes(s shape) (all []shape) {
	for _, size := range []func(*shape) *int{
		func(s *shape) *int { return &s.m }, func(s *shape) *int { return &s.n },
		func(s *shape) *int { return &s.k }, func(s *shape) *int { return &s.pad },
	} {
		for _, cut := range []func(int) int{
			func(x int) int { return x / 2 }, func(x int) int { return x * 7 / 8 }, func(x int) int { return x - 1 },
		} {
			t := s
			if p := size(&t); *p > 0 {
				*p = cut(*p)
				all = append(all, t)
			}
		}
	}
	return all
}

// run fails the test with the smallest case if the trial fails.
func (c *trial) run(t testing.TB, w *workspace) {
	if err := c.check(w); err != nil {
		t.Fatal(c.shrink(w, err))
	}
}

// overlaps lists the pairs of operands that may be one slice.
func (k *kernel) overlaps(s shape) (pairs [][2]int) {
	for i, x := range k.operands {
		for j, y := range k.operands {
			if i == j || y.role != input {
				continue
			}
			mi, ni := x.size.of(s)
			mj, nj := y.size.of(s)
			switch {
			case k.class.strided && s.pad > 0: // operands have strides of their own
			case x.role == output && !k.apart && x.size == y.size, slices.Contains(k.together, [2]int{i, j}),
				x.role == input && i < j && mi == mj && ni == nj:
				pairs = append(pairs, [2]int{i, j})
			}
		}
	}
	return pairs
}

// keepLevel restores the level in use at the end of the test.
func keepLevel(t testing.TB) {
	old := CurrentLevel()
	t.Cleanup(func() { require.NoError(t, SetLevel(old)) })
}

// roundsOver returns how often the shapes of a class are tried: once with
// -short, else the class's rounds times ADAFISHER_TEST_ROUNDS (1 if empty).
func roundsOver(t *testing.T, c *class) int {
	times := os.Getenv("ADAFISHER_TEST_ROUNDS")
	switch {
	case testing.Short():
		return 1
	case times == "":
		return c.rounds
	}
	n, err := strconv.Atoi(times)
	require.NoError(t, err, "ADAFISHER_TEST_ROUNDS")
	require.Positive(t, n, "ADAFISHER_TEST_ROUNDS")
	return n * c.rounds
}

// agree runs trials of a kernel at all shapes of its class.
func agree(t *testing.T, k *kernel, round int, w *workspace) {
	pick := rand.New(rand.NewPCG(uint64(round), 0))
	for i, s := range k.class.shapes {
		c := trial{kernel: k, shape: s, offset: pick.IntN(16), typical: pick.IntN(3) > 0}
		c.values, c.origin = drawn(mixes[pick.IntN(len(mixes))], uint64(round<<16|i))
		if pairs := k.overlaps(s); len(pairs) > 0 && pick.IntN(2) == 0 {
			c.same = pairs[pick.IntN(len(pairs))]
		}
		c.run(t, w)
	}
}

// TestLevelsAgree runs every kernel on every level at every length, with
// changing alignments and kinds of values, and compares bits with the generic
// level. Guards around each operand and the inputs themselves must survive, and
// operands that may be one slice give the result they give apart. It logs how many
// results it has compared.
func TestLevelsAgree(t *testing.T) {
	keepLevel(t)
	compared := 0
	for i := range table {
		k := &table[i]
		t.Run(k.name, func(t *testing.T) {
			var w workspace
			for round := range roundsOver(t, k.class) {
				agree(t, k, round, &w)
			}
			compared += w.compared
		})
	}
	if !t.Failed() {
		t.Logf("%d results compared with the reference, levels %v: no difference", compared, Levels()[1:])
	}
}
