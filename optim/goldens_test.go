package optim_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// goldenTolerance is relative to the largest entry of each array.
const goldenTolerance = 5e-6

// TestGoldens trains the networks of every case file in testdata/goldens, or in
// the directory that ADAFISHER_GOLDENS names (from the module's root on, if it is
// relative), and compares each step with what the authors' code and PyTorch
// printed. The README there gives the format.
//
// Everything is compared with the float32 run. Where a file has a float64 run
// alone, its numbers are rounded to float32 and compared at the same tolerance,
// up to the first raw factor that is finite there and infinite in float32: from
// there on the two runs differ by definition.
func TestGoldens(t *testing.T) {
	dir := os.Getenv("ADAFISHER_GOLDENS")
	switch {
	case dir == "":
		dir = filepath.Join("testdata", "goldens")
	case !filepath.IsAbs(dir):
		dir = filepath.Join("..", dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "no case file in %s", dir)

	for _, file := range files {
		g := readGolden(t, file)
		run := map[string]func(*testing.T){
			"a": g.runTraining, "b": g.runTraining, "c": g.runTraining, "d": g.runTraining, "e": g.runTraining, "f": g.runTraining,
			"q": g.runUnowned, "t": g.runTorch, "v": g.runRows,
		}[g.family(t, file)]
		t.Run(g.Case, run)
	}
	t.Logf("%d case files in %s", len(files), dir)
}

// golden is one case file.
type golden struct {
	Case       string
	Model      string
	Layers     []goldenLayer `json:"supported_layers"`
	ParamOrder []string      `json:"param_order"`
	Loss       string
	Optimizer  goldenOptimizer
	Initial    map[string]array
	X, Y       []array
	Runs       json.RawMessage
	Resume     string
	Gradients  map[string]array `json:"grads_step0_float64"`
	Rows       []map[string]json.RawMessage
}

type goldenLayer struct {
	Name, Type string
	Weight     []int // its shape
	Bias       bool

	Kernel, Stride, Padding, Dilation [2]int
	Groups                            int
	Eps, Momentum                     *float64
}

type goldenOptimizer struct {
	Name           string
	RunningAverage string `json:"running_average"`
	LR, Beta       float64
	Lambda, Gamma  float64
	TCov           int
	WeightDecay    float64 `json:"weight_decay"`
}

// goldenStep is what is known of one step; most fields may be missing.
type goldenStep struct {
	Loss         *array
	Output       *array
	StatsUpdated *bool `json:"stats_updated"`
	Grads        map[string]array
	HRaw         map[string]array `json:"H_raw"`
	SRaw         map[string]array `json:"S_raw"`
	H            map[string]array `json:"H_D"`
	S            map[string]array `json:"S_D"`
	F            map[string]array `json:"F_tilde"`
	Params       map[string]array
	Buffers      map[string]array
	State        *goldenState `json:"state_dict"`
}

// goldenState lists layers and parameters in the order of the file.
type goldenState struct {
	Steps  int64
	H      []array `json:"H_D"`
	S      []array `json:"S_D"`
	Params []struct {
		Step   int64
		Moment array `json:"exp_avg"`
	} `json:"param_state"`
}

// array is a row-major tensor in PyTorch's layout, rounded to float32.
type array struct {
	Shape []int
	Data  []float32
	wide  bool // an entry is finite in the file and not in float32
}

func (a *array) UnmarshalJSON(b []byte) error {
	var raw struct {
		Shape []int
		Data  []json.RawMessage
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*a = array{Shape: raw.Shape, Data: make([]float32, len(raw.Data))}
	for i, text := range raw.Data {
		x, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 32)
		if errors.Is(err, strconv.ErrRange) {
			a.wide = true
		} else if err != nil {
			return err
		}
		a.Data[i] = float32(x)
	}
	n := 1
	for _, d := range a.Shape {
		n *= d
	}
	if n != len(a.Data) {
		return fmt.Errorf("array of shape %v has %d entries", a.Shape, len(a.Data))
	}
	return nil
}

func readGolden(t *testing.T, file string) *golden {
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	g := new(golden)
	require.NoError(t, json.Unmarshal(b, g))
	return g
}

// family returns the leading letters of the case's name, or of the file's.
func (g *golden) family(t *testing.T, file string) string {
	letters := regexp.MustCompile(`^[a-z]+`)
	for _, name := range []string{g.Case, filepath.Base(file)} {
		family := letters.FindString(strings.ToLower(name))
		if len(family) == 1 && strings.Contains("abcdefqtv", family) {
			return family
		}
	}
	require.FailNow(t, "unknown family", "case %q in %s", g.Case, file)
	return ""
}

// steps decodes a run per precision and picks the float32 one; narrow is false
// if there is none.
func steps(t *testing.T, runs json.RawMessage) (s []goldenStep, narrow bool) {
	var both struct{ Float32, Float64 []goldenStep }
	require.NoError(t, json.Unmarshal(runs, &both))
	if len(both.Float32) > 0 {
		return both.Float32, true
	}
	require.NotEmpty(t, both.Float64, "no run")
	return both.Float64, false
}

// trainer is a network in training on a golden's batches.
type trainer struct {
	*golden
	model   *goldenModel
	session *nn.Session
	opt     optim.Optimizer
}

func (g *golden) newTrainer(t *testing.T, newOptimizer func(*nn.Model) (optim.Optimizer, error)) *trainer {
	model := g.newModel(t)
	batch := 0
	for _, x := range g.X {
		batch = max(batch, x.Shape[0])
	}
	session, err := model.NewSession(batch)
	require.NoError(t, err)
	opt, err := newOptimizer(model.Model)
	require.NoError(t, err)
	return &trainer{g, model, session, opt}
}

// rows is the number of rows if all dimensions but the last are flattened.
func (a array) rows() int { return len(a.Data) / a.Shape[len(a.Shape)-1] }

// transpose returns the transpose of a row-major rows x len(x)/rows matrix.
func transpose(x []float32, rows int) []float32 {
	cols := len(x) / rows
	y := make([]float32, len(x))
	for i, v := range x {
		y[i%cols*rows+i/cols] = v
	}
	return y
}

// backward does everything of step i but the optimizer's part.
func (r *trainer) backward(t *testing.T, i int) (loss float32, output []float32, pass *kron.Pass) {
	r.session.CollectStatistics(r.opt.NeedsStatistics())
	out, err := r.session.Forward(r.X[i].channelsLast())
	require.NoError(t, err)
	output = slices.Clone(out)
	switch r.Loss {
	case "cross_entropy_mean":
		labels := make([]int, len(r.Y[i].Data))
		for k, v := range r.Y[i].Data {
			labels[k] = int(v)
		}
		loss, err = r.session.SoftmaxCrossEntropy(labels)
	case "mse_mean":
		loss, err = r.session.MSE(r.Y[i].Data)
	default:
		require.FailNow(t, "unknown loss", r.Loss)
	}
	require.NoError(t, err)
	pass, err = r.session.Backward()
	require.NoError(t, err)
	return loss, output, pass
}

// compare does step i and compares all that the golden knows of it. It returns
// false where a raw factor leaves float32 and the golden, in float64, doesn't.
func (r *trainer) compare(t *testing.T, i int, want goldenStep) bool {
	at := func(what, name string) string { return fmt.Sprintf("step %d: %s %s", i, what, name) }
	if want.StatsUpdated != nil {
		require.Equal(t, *want.StatsUpdated, r.opt.NeedsStatistics() != kron.CollectNone, at("statistics", ""))
	}
	loss, output, pass := r.backward(t, i)
	if want.Loss != nil {
		near(t, at("loss", ""), *want.Loss, []float32{loss})
	}
	if want.Output != nil {
		near(t, at("output", ""), *want.Output, output)
	}
	reached := make(map[*kron.Param][]float32) // not the frozen ones of the first layers
	for _, g := range pass.Gradients {
		reached[g.Param] = g.Data
	}
	gradients := r.model.theirs(func(i int) []float32 { return reached[r.model.Params()[i]] })
	for name, w := range want.Grads {
		// Bias and weight sum the same gradients at the layer's output. Before a batch
		// normalisation those cancel in the bias: what is left is roundings.
		room := 0.0
		if layer, ok := strings.CutSuffix(name, ".bias"); ok {
			room = goldenTolerance * want.Grads[layer+".weight"].largest()
		}
		require.Contains(t, gradients, name)
		nearWithin(t, at("gradient of", name), w, gradients[name], room)
	}
	rawH, rawS := make(map[string][]float32), make(map[string][]float32)
	for _, st := range pass.Statistics {
		name, layer := r.factored(t, st.Layer)
		rawH[name], rawS[name] = theirFactor(layer, st.H), st.S
	}
	nearAll(t, at("H_raw of", ""), want.HRaw, rawH)
	nearAll(t, at("S_raw of", ""), want.SRaw, rawS)
	for _, raw := range []map[string]array{want.HRaw, want.SRaw} {
		for layer, a := range raw {
			if a.wide {
				t.Logf("step %d: a raw factor of layer %s is beyond float32; not compared from here on", i, layer)
				return false
			}
		}
	}
	require.NoError(t, r.opt.Step(pass))
	nearAll(t, at("parameter", ""), want.Params, r.model.values())
	nearAll(t, at("buffer", ""), want.Buffers, r.model.buffers(want.Buffers))
	if opt, ok := r.opt.(*optim.AdaFisher); ok {
		r.compareCurvature(t, at, opt, want)
	}
	return true
}

// factored returns the name of a factored layer in the file, and the file's
// description if it has one.
func (r *trainer) factored(t *testing.T, l *kron.Layer) (name string, layer *goldenLayer) {
	for i := range r.Layers {
		if r.model.layer(r.Layers[i].Name) == l.Name {
			return r.Layers[i].Name, &r.Layers[i]
		}
	}
	require.Empty(t, r.Layers, "layer %s has factors here alone", l.Name)
	return l.Name, nil
}

func (r *trainer) compareCurvature(t *testing.T, at func(string, string) string, opt *optim.AdaFisher, want goldenStep) {
	state := opt.State()
	h, s, f := make(map[string][]float32), make(map[string][]float32), make(map[string][]float32)
	for _, l := range r.model.Layers() {
		name, layer := r.factored(t, l)
		h[name], s[name] = theirFactor(layer, state.Vectors[l.Name+"/H"]), state.Vectors[l.Name+"/S"]
		all := make([]float32, l.Inputs()*l.Outputs()) // [in+1, out]
		n := len(l.Weight.Value)
		require.NoError(t, opt.Curvature(all[:n], l.Weight))
		if l.Bias != nil {
			require.NoError(t, opt.Curvature(all[n:], l.Bias))
		}
		for row := range slices.Chunk(transpose(all, l.Inputs()), l.Inputs()) {
			f[name] = append(f[name], theirFactor(layer, row)...)
		}
	}
	nearAll(t, at("H_D of", ""), want.H, h)
	nearAll(t, at("S_D of", ""), want.S, s)
	nearAll(t, at("F_tilde of", ""), want.F, f)
	if want.State == nil {
		return
	}
	require.Equal(t, want.State.Steps, state.Counters["steps"])
	require.Len(t, want.State.H, len(r.Layers))
	for i, l := range r.Layers {
		near(t, at("state: H of", l.Name), want.State.H[i], h[l.Name])
		near(t, at("state: S of", l.Name), want.State.S[i], s[l.Name])
	}
	momenta := r.model.theirs(func(i int) []float32 { return state.Vectors[r.model.Params()[i].Name+"/momentum"] })
	for i, name := range r.ParamOrder {
		require.Equal(t, want.State.Params[i].Step, state.Counters[r.model.ours(name)+"/steps"])
		near(t, at("state: momentum of", name), want.State.Params[i].Moment, momenta[name])
	}
}

func nearAll(t *testing.T, what string, want map[string]array, got map[string][]float32) {
	for name, w := range want {
		require.Contains(t, got, name, what)
		near(t, what+name, w, got[name])
	}
}

// largest returns the largest finite magnitude.
func (a array) largest() float64 {
	m := 0.0
	for _, v := range a.Data {
		if v := math.Abs(float64(v)); !math.IsInf(v, 0) {
			m = max(m, v)
		}
	}
	return m
}

// near requires every entry of got within the tolerance, and infinities and NaN
// where want has them.
func near(t *testing.T, what string, want array, got []float32) {
	t.Helper()
	nearWithin(t, what, want, got, 0)
}

// nearWithin is near with more room.
func nearWithin(t *testing.T, what string, want array, got []float32, room float64) {
	t.Helper()
	require.Len(t, got, len(want.Data), what)
	room += goldenTolerance * want.largest()
	for i, w := range want.Data {
		g := got[i]
		if w == g || w != w && g != g {
			continue
		}
		if diff := math.Abs(float64(g) - float64(w)); !(diff <= room) {
			require.FailNow(t, what, "entry %d is %v: want %v, within %g", i, g, w, room)
		}
	}
}

// variantOf tells the variant by the formula of the running average, which a
// remark may follow.
func variantOf(t *testing.T, formula string) kron.Variant {
	compact := strings.ReplaceAll(formula, " ", "")
	switch {
	case formula == "", strings.HasPrefix(compact, "H=(0.1*gamma)*H+(0.01*gamma)*norm"):
		return kron.Published
	case strings.HasPrefix(compact, "H=gamma*H+(1-gamma)*norm"):
		return kron.PaperEMA
	}
	require.FailNow(t, "unknown running average", formula)
	return 0
}

func (o goldenOptimizer) build(t *testing.T, m *nn.Model) (optim.Optimizer, error) {
	c := optim.AdaFisherDefaults()
	c.LR, c.Beta, c.Lambda, c.Gamma = o.LR, o.Beta, o.Lambda, o.Gamma
	c.TCov, c.WeightDecay = o.TCov, o.WeightDecay
	c.Variant = variantOf(t, o.RunningAverage)
	switch o.Name {
	case "AdaFisher":
		return optim.NewAdaFisher(m, c)
	case "AdaFisherW":
		return optim.NewAdaFisherW(m, c)
	}
	return nil, fmt.Errorf("unknown optimizer %q", o.Name)
}

// runTraining is a case of families a to f: a network under AdaFisher.
//
// Each step is compared from the parameters that the file has after the step before,
// so that a network that amplifies roundings, as attention with large steps does,
// is held to the same tolerance as others. Moments and factors are our own
// throughout. A second network trains on its own parameters alone; there the
// tolerance also counts what becomes of one unit in the last place of the initial
// parameters, which a third network shows.
func (g *golden) runTraining(t *testing.T) {
	want, narrow := steps(t, g.Runs)
	require.GreaterOrEqual(t, len(g.X), len(want))
	build := func(m *nn.Model) (optim.Optimizer, error) { return g.Optimizer.build(t, m) }
	guided, free, moved := g.newTrainer(t, build), g.newTrainer(t, build), g.newTrainer(t, build)
	moved.moveParams()

	resumeAfter := -1
	if g.Resume != "" {
		digits := regexp.MustCompile(`step index (\d+)`).FindStringSubmatch(g.Resume)
		require.NotNil(t, digits, "resume %q", g.Resume)
		resumeAfter, _ = strconv.Atoi(digits[1])
		require.Less(t, resumeAfter, len(want)-1)
	}
	var resumed *trainer
	for i, w := range want {
		if g.X[i].wide {
			require.False(t, narrow)
			t.Logf("step %d: the input is beyond float32; not compared from here on", i)
			return
		}
		if !guided.compare(t, i, w) {
			require.False(t, narrow)
			return
		}
		guided.setParams(t, w)
		free.follow(t, i, w, moved)
		if resumed != nil {
			_, _, pass := resumed.backward(t, i)
			require.NoError(t, resumed.opt.Step(pass))
			requireSameBits(t, free.model.Model, resumed.model.Model)
		}
		if i == resumeAfter {
			resumed = g.newTrainer(t, build)
			require.NoError(t, resumed.model.LoadStateDict(free.model.StateDict()))
			require.NoError(t, resumed.opt.Restore(free.opt.State()))
		}
	}
}

// moveParams moves each parameter by one unit in the last place, up or down.
func (r *trainer) moveParams() {
	random := rand.New(rand.NewPCG(1, 1))
	for _, p := range r.model.Params() {
		for i, v := range p.Value {
			p.Value[i] = math.Nextafter32(v, float32(random.IntN(2)*2-1)*math.MaxFloat32)
		}
	}
}

// setParams takes over the parameters and buffers after a step.
func (r *trainer) setParams(t *testing.T, want goldenStep) {
	state := r.model.StateDict()
	for _, all := range []map[string]array{want.Params, want.Buffers} {
		for name, a := range all {
			r.model.set(t, state, name, a)
		}
	}
	require.NoError(t, r.model.LoadStateDict(state))
}

// follow does step i and compares loss, output, parameters and buffers, with room
// for twice the distance to other, which does the same.
func (r *trainer) follow(t *testing.T, i int, want goldenStep, other *trainer) {
	all := func(r *trainer) (y, params, buffers map[string][]float32) {
		loss, output, pass := r.backward(t, i)
		require.NoError(t, r.opt.Step(pass))
		return map[string][]float32{"loss": {loss}, "output": output}, r.model.values(), r.model.buffers(want.Buffers)
	}
	y, params, buffers := all(r)
	otherY, otherParams, otherBuffers := all(other)
	outputs := make(map[string]array)
	for name, a := range map[string]*array{"loss": want.Loss, "output": want.Output} {
		if a != nil {
			outputs[name] = *a
		}
	}
	for _, c := range []struct {
		want       map[string]array
		got, other map[string][]float32
	}{{outputs, y, otherY}, {want.Params, params, otherParams}, {want.Buffers, buffers, otherBuffers}} {
		for name, w := range c.want {
			require.Contains(t, c.got, name)
			distance := 0.0
			for k, v := range c.got[name] {
				distance = max(distance, math.Abs(float64(v)-float64(c.other[name][k])))
			}
			nearWithin(t, fmt.Sprintf("step %d: %s of the network that trains alone", i, name), w, c.got[name], 2*distance)
		}
	}
}

// runUnowned is a case of family q: networks with parameters that are frozen, or
// that no factored layer owns. The rows tell what the released code did and what
// it meant to do; the latter is compared.
func (g *golden) runUnowned(t *testing.T) {
	require.NotEmpty(t, g.Rows)
	for _, row := range g.Rows {
		var name string
		decode(t, row, "name", &name)
		t.Run(name, func(t *testing.T) {
			var frozen []string
			var want []goldenStep
			r := new(golden)
			for key, dst := range map[string]any{
				"model": &r.Model, "frozen": &frozen, "param_order": &r.ParamOrder, "optimizer": &r.Optimizer,
				"initial": &r.Initial, "x": &r.X, "y": &r.Y, "intent": &want,
			} {
				decode(t, row, key, dst)
			}
			r.Loss = "cross_entropy_mean"
			training := r.newTrainer(t, func(m *nn.Model) (optim.Optimizer, error) { return r.Optimizer.build(t, m) })
			for _, p := range training.model.Params() {
				p.Frozen = slices.ContainsFunc(frozen, func(name string) bool { return training.model.ours(name) == p.Name })
			}
			require.NotEmpty(t, want)
			for i, w := range want {
				require.NotEmpty(t, w.Params)
				require.True(t, training.compare(t, i, w))
			}
			for name, a := range r.Initial {
				if slices.Contains(frozen, name) {
					require.Equal(t, a.Data, training.model.values()[name])
				}
			}
		})
	}
}

func requireSameBits(t *testing.T, want, got *nn.Model) {
	for k, p := range want.Params() {
		for i, w := range p.Value {
			require.Equal(t, math.Float32bits(w), math.Float32bits(got.Params()[k].Value[i]), "%s, entry %d", p.Name, i)
		}
	}
}

// torchRun is one optimizer of PyTorch on the common network.
type torchRun struct {
	Name, Optimizer string
	Kwargs          json.RawMessage
	Scheduler       *string
	Float64         []torchStep
}

// torchStep is what a step of a schedule was done with.
type torchStep struct {
	LR       float64
	Momentum *float64
	Betas    *[2]float64
}

type torchArguments struct {
	LR          *float64
	Momentum    float64
	Dampening   float64
	Nesterov    bool
	WeightDecay *float64 `json:"weight_decay"`
	Betas       *[2]float64
	Eps         *float64
	AMSGrad     bool
	LRDecay     float64 `json:"lr_decay"`
	Initial     float64 `json:"initial_accumulator_value"`
	Alpha       *float64
	Centered    bool
}

// runTorch is a case of family t: PyTorch's optimizers and schedules.
func (g *golden) runTorch(t *testing.T) {
	var runs []json.RawMessage
	require.NoError(t, json.Unmarshal(g.Runs, &runs))
	require.NotEmpty(t, runs)
	for _, raw := range runs {
		var run torchRun
		require.NoError(t, json.Unmarshal(raw, &run))
		var args torchArguments
		d := json.NewDecoder(bytes.NewReader(run.Kwargs))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&args), run.Name)
		t.Run(run.Name, func(t *testing.T) {
			want, _ := steps(t, raw)
			if len(g.Gradients) > 0 {
				want[0].Grads = g.Gradients
			}
			r := g.newTrainer(t, func(m *nn.Model) (optim.Optimizer, error) { return args.build(m, run.Optimizer) })
			lr, momentum := run.schedules(t, *args.LR)
			require.Len(t, run.Float64, len(want))
			largest := slices.MaxFunc(run.Float64, func(a, b torchStep) int { return cmp.Compare(a.LR, b.LR) }).LR
			for i, w := range want {
				run.Float64[i].set(t, r.opt, lr, momentum, largest)
				require.True(t, r.compare(t, i, w))
			}
		})
	}
}

// set compares the schedules with what PyTorch had, and sets the optimizer by them;
// largest is the largest learning rate of the run.
func (s torchStep) set(t *testing.T, opt optim.Optimizer, lr, momentum optim.Schedule, largest float64) {
	require.InDelta(t, s.LR, lr(opt.Steps()), 1e-15*largest) // PyTorch's own rounding errors are as large
	require.NoError(t, opt.SetLR(lr(opt.Steps())))
	if momentum == nil {
		return
	}
	want := s.Momentum
	if s.Betas != nil {
		want = &s.Betas[0]
	}
	require.InEpsilon(t, *want, momentum(opt.Steps()), 1e-14)
	require.NoError(t, opt.(interface{ SetMomentum(float64) error }).SetMomentum(momentum(opt.Steps())))
}

// schedules returns the schedules that PyTorch had under the name in the file; that
// of the momentum is nil if there was none.
func (r *torchRun) schedules(t *testing.T, base float64) (lr, momentum optim.Schedule) {
	one := must(t)
	cycle := func(c optim.OneCycleConfig) (lr, momentum optim.Schedule) {
		lr, momentum, err := optim.OneCycle(c)
		require.NoError(t, err)
		return lr, momentum
	}
	if r.Scheduler == nil {
		return one(optim.Constant(base)), nil
	}
	const steps = 10
	peak := optim.OneCycleDefaults(4*base, steps)
	_, name, _ := strings.Cut(r.Name, "+")
	switch name {
	case "cosine":
		return one(optim.Cosine(base, base/50, steps)), nil
	case "cosine_tmax4":
		return one(optim.CosineWave(base, 0, 4)), nil
	case "steplr":
		return one(optim.StepDecay(base, 0.5, 3)), nil
	case "multistep":
		return one(optim.MultiStep(base, 0.1, 3, 7)), nil
	case "exponential":
		return one(optim.StepDecay(base, 0.9, 1)), nil
	case "onecycle":
		return cycle(peak)
	case "onecycle_nocycmom":
		lr, _ = cycle(peak)
		return lr, nil
	case "onecycle_linear":
		peak.Rise, peak.Linear = 0.4, true
		lr, _ = cycle(peak)
		return lr, nil
	case "warmup_cosine":
		return one(optim.Warmup(3, one(optim.Cosine(base, 0, steps-3)))), nil
	case "warmup_cosine_sequentiallr":
		return one(optim.Join(3, one(optim.Linear(0.1*base, base, 3)), one(optim.Cosine(base, 0, steps-3)))), nil
	}
	require.FailNow(t, "unknown schedule", *r.Scheduler)
	return nil, nil
}

func (a torchArguments) build(m *nn.Model, optimizer string) (optim.Optimizer, error) {
	set := func(dst, src *float64) {
		if src != nil {
			*dst = *src
		}
	}
	switch optimizer {
	case "SGD":
		c := optim.SGDDefaults()
		set(&c.LR, a.LR)
		set(&c.WeightDecay, a.WeightDecay)
		c.Momentum, c.Dampening, c.Nesterov = a.Momentum, a.Dampening, a.Nesterov
		return optim.NewSGD(m, c)
	case "Adagrad":
		c := optim.AdagradDefaults()
		set(&c.LR, a.LR)
		set(&c.WeightDecay, a.WeightDecay)
		set(&c.Epsilon, a.Eps)
		c.LRDecay, c.Initial = a.LRDecay, a.Initial
		return optim.NewAdagrad(m, c)
	case "RMSprop":
		c := optim.RMSPropDefaults()
		set(&c.LR, a.LR)
		set(&c.WeightDecay, a.WeightDecay)
		set(&c.Epsilon, a.Eps)
		set(&c.Alpha, a.Alpha)
		c.Momentum, c.Centered = a.Momentum, a.Centered
		return optim.NewRMSProp(m, c)
	}
	c, construct := optim.AdamDefaults(), optim.NewAdam
	if optimizer == "AdamW" {
		c, construct = optim.AdamWDefaults(), optim.NewAdamW
	} else if optimizer != "Adam" {
		return nil, fmt.Errorf("unknown optimizer %q", optimizer)
	}
	set(&c.LR, a.LR)
	set(&c.WeightDecay, a.WeightDecay)
	set(&c.Epsilon, a.Eps)
	if a.Betas != nil {
		c.Beta1, c.Beta2 = a.Betas[0], a.Betas[1]
	}
	c.AMSGrad = a.AMSGrad
	return construct(m, c)
}

// runRows is a case of family v: single layers, and vectors under min-max
// normalisation and the running average.
func (g *golden) runRows(t *testing.T) {
	require.NotEmpty(t, g.Rows)
	for _, row := range g.Rows {
		var name, layer string
		decode(t, row, "name", &name)
		if _, ok := row["input"]; ok {
			t.Run(name, func(t *testing.T) { runVector(t, row) })
			continue
		}
		decode(t, row, "type", &layer)
		compute, ok := map[string]func(*testing.T, factorRow) (h, s []float32){
			"Linear": linearRow, "Conv2d": convRow, "BatchNorm2d": batchNormRow, "LayerNorm": layerNormRow,
		}[layer]
		require.True(t, ok, "row %s: kind of layer %q", name, layer)
		t.Run(name, func(t *testing.T) { runFactorRow(t, row, compute) })
	}
}

func decode(t *testing.T, row map[string]json.RawMessage, key string, dst any) {
	require.Contains(t, row, key)
	require.NoError(t, json.Unmarshal(row[key], dst), key)
}

// eitherRun returns the key of a row's float32 array, or of its float64 one.
func eitherRun(row map[string]json.RawMessage, prefix, suffix string) string {
	if _, ok := row[prefix+"float32"+suffix]; ok {
		return prefix + "float32" + suffix
	}
	return prefix + "float64" + suffix
}

// factorRow is a single layer with an input and a gradient at the output.
type factorRow struct {
	goldenLayer
	X  array
	DY array `json:"grad_output"`
}

func runFactorRow(t *testing.T, row map[string]json.RawMessage, compute func(*testing.T, factorRow) (h, s []float32)) {
	var r factorRow
	all, err := json.Marshal(row)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(all, &r))
	h, s := compute(t, r)
	for _, f := range []struct {
		name   string
		factor []float32
	}{{"H", h}, {"S", s}} {
		var want array
		decode(t, row, eitherRun(row, f.name+"_raw_", ""), &want)
		near(t, f.name+" raw", want, f.factor)
		norm := make([]float32, len(f.factor))
		kernels.MinMaxNormalize(norm, f.factor)
		decode(t, row, eitherRun(row, f.name+"_norm_", ""), &want)
		near(t, f.name+" normalised", want, norm)
	}
}

// last returns the last dimension.
func (a array) last() int { return a.Shape[len(a.Shape)-1] }

func linearRow(t *testing.T, r factorRow) (h, s []float32) {
	h = make([]float32, r.X.last(), r.X.last()+1)
	if r.Bias {
		h = append(h, 0)
	}
	s = make([]float32, r.DY.last())
	require.NoError(t, kron.LinearInputFactor(h, r.X.Data, r.X.rows()))
	require.NoError(t, kron.LinearOutputFactor(s, r.DY.Data, r.DY.rows()))
	return h, s
}

// convRow is a convolution. The authors' code takes the patches of the input
// factor without the dilation of the layer; the library takes those that the layer
// sees, so that such a row is the factor of the layer without dilation.
func convRow(t *testing.T, r factorRow) (h, s []float32) {
	samples, channels, out := r.X.Shape[0], r.X.Shape[1], r.DY.Shape[1]
	c := kernels.Conv2d{
		H: r.X.Shape[2], W: r.X.Shape[3], C: channels, Out: out,
		Kernel: r.Kernel, Stride: r.Stride, Padding: r.Padding, Groups: r.Groups,
	}
	require.NoError(t, c.Check())
	h, s = make([]float32, c.PatchLen(), c.PatchLen()+1), make([]float32, out)
	c.PatchSumSquares(h, r.X.channelsLast(), make([]float32, c.Scratch(1)))
	if r.Bias {
		h = append(h, 0)
	}
	require.NoError(t, kron.Conv2dInputFactor(h, c, samples))
	dy := r.DY.channelsLast()
	require.NoError(t, kron.LinearOutputFactor(s, dy, len(dy)/out))
	r.Weight = []int{out, channels / r.Groups, r.Kernel[0], r.Kernel[1]}
	return theirFactor(&r.goldenLayer, h), s
}

func colSums(x []float32, cols int) []float32 {
	sums := make([]float32, cols)
	kernels.ColSums(sums, x)
	return sums
}

func batchNormRow(t *testing.T, r factorRow) (h, s []float32) {
	h, s = make([]float32, 2), make([]float32, r.X.Shape[1])
	require.NoError(t, kron.BatchNormFactors(h, s, r.X.channelsLast(), colSums(r.DY.channelsLast(), len(s)), r.X.Shape[0]))
	return h, s
}

func layerNormRow(t *testing.T, r factorRow) (h, s []float32) {
	h, s = make([]float32, 2), make([]float32, r.X.last())
	require.NoError(t, kron.LayerNormFactors(h, s, r.X.Data, colSums(r.DY.Data, len(s)), r.X.Shape[0], r.X.Shape[1]))
	return h, s
}

func runVector(t *testing.T, row map[string]json.RawMessage) {
	var in, want array
	decode(t, row, "input", &in)
	norm := make([]float32, len(in.Data))
	kernels.MinMaxNormalize(norm, in.Data)
	decode(t, row, eitherRun(row, "norm_", ""), &want)
	near(t, "normalised", want, norm)

	gammas := make(map[string]bool)
	for key := range row {
		if _, gamma, ok := strings.Cut(key, "_gamma_"); ok && strings.HasPrefix(key, "avg_") {
			gammas[gamma] = true
		}
	}
	require.NotEmpty(t, gammas)
	for text := range gammas {
		gamma, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err)
		keep, add := kron.Published.Coefficients(gamma)
		avg := make([]float32, len(in.Data))
		for i := range avg {
			avg[i] = 1
		}
		var updates []array
		decode(t, row, eitherRun(row, "avg_", "_gamma_"+text), &updates)
		for i, want := range updates {
			kernels.MinMaxEMA(avg, in.Data, keep, add)
			near(t, fmt.Sprintf("gamma %s: average after %d updates", text, i+1), want, avg)
		}
	}
}
