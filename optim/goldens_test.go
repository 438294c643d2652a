package optim_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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

	var notCovered []string
	for _, file := range files {
		g := readGolden(t, file)
		var run func(*testing.T) []string
		switch g.family(t, file) {
		case "a", "b", "f":
			run = g.runTraining
		case "t":
			run = g.runTorch
		case "v":
			run = g.runRows
		default:
			notCovered = append(notCovered, filepath.Base(file))
			continue
		}
		t.Run(g.Case, func(t *testing.T) { notCovered = append(notCovered, run(t)...) })
	}
	t.Logf("%d case files, not yet covered:\n\t%s", len(files), strings.Join(notCovered, "\n\t"))
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
	Weight     []int // [out, in]
	Bias       bool
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
	model   *nn.Model
	session *nn.Session
	opt     optim.Optimizer
}

func (g *golden) newTrainer(t *testing.T, newOptimizer func(*nn.Model) (optim.Optimizer, error)) *trainer {
	layers := g.Layers
	if layers == nil { // the file of PyTorch's optimizers has the shapes alone
		for _, name := range g.ParamOrder {
			if name, ok := strings.CutSuffix(name, ".weight"); ok {
				_, bias := g.Initial[name+".bias"]
				layers = append(layers, goldenLayer{name, "Linear", g.Initial[name+".weight"].Shape, bias})
			}
		}
	}
	require.NotEmpty(t, layers)

	between := regexp.MustCompile(`^Linear\(.*\)(?: with (\w+) between)?$`).FindStringSubmatch(g.Model)
	require.NotNil(t, between, "model %q", g.Model)
	activations := map[string]func() nn.Layer{"relu": nn.ReLU, "tanh": nn.Tanh}
	var modules []nn.Layer
	for _, l := range layers {
		require.Equal(t, "Linear", l.Type)
		require.Len(t, l.Weight, 2)
		at, err := strconv.Atoi(l.Name)
		require.NoError(t, err)
		for len(modules) < at {
			require.Contains(t, activations, between[1], "model %q", g.Model)
			modules = append(modules, activations[between[1]]())
		}
		require.Len(t, modules, at, "position of layer %s", l.Name)
		if l.Bias {
			modules = append(modules, nn.Linear(l.Weight[1], l.Weight[0]))
		} else {
			modules = append(modules, nn.LinearNoBias(l.Weight[1], l.Weight[0]))
		}
	}
	model, err := nn.NewSequential(modules...)
	require.NoError(t, err)
	require.Len(t, model.Params(), len(g.Initial))
	for _, p := range model.Params() {
		require.Contains(t, g.Initial, p.Name)
		require.Len(t, g.Initial[p.Name].Data, len(p.Value))
		copy(p.Value, ours(p, g.Initial[p.Name].Data))
	}
	batch := 0
	for _, x := range g.X {
		batch = max(batch, x.rows())
	}
	session, err := model.NewSession(batch)
	require.NoError(t, err)
	opt, err := newOptimizer(model)
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

// ours and theirs bring the values of a parameter into our and into PyTorch's
// layout: weights are [in, out] here and [out, in] there.
func ours(p *kron.Param, x []float32) []float32 {
	if len(p.Shape) != 2 {
		return x
	}
	return transpose(x, p.Shape[1])
}

func theirs(p *kron.Param, x []float32) []float32 {
	if len(p.Shape) != 2 {
		return x
	}
	return transpose(x, p.Shape[0])
}

// backward does everything of step i but the optimizer's part.
func (r *trainer) backward(t *testing.T, i int) (loss float32, output []float32, pass *kron.Pass) {
	r.session.CollectStatistics(r.opt.NeedsStatistics())
	out, err := r.session.Forward(r.X[i].Data)
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
		require.Equal(t, *want.StatsUpdated, r.opt.NeedsStatistics(), at("statistics", ""))
	}
	loss, output, pass := r.backward(t, i)
	if want.Loss != nil {
		near(t, at("loss", ""), *want.Loss, []float32{loss})
	}
	if want.Output != nil {
		near(t, at("output", ""), *want.Output, output)
	}
	gradients := make(map[string][]float32)
	for _, g := range pass.Gradients {
		gradients[g.Param.Name] = theirs(g.Param, g.Data)
	}
	nearAll(t, at("gradient of", ""), want.Grads, gradients)
	rawH, rawS := make(map[string][]float32), make(map[string][]float32)
	for _, st := range pass.Statistics {
		rawH[st.Layer.Name], rawS[st.Layer.Name] = st.H, st.S
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
	params := make(map[string][]float32)
	for _, p := range r.model.Params() {
		params[p.Name] = theirs(p, p.Value)
	}
	nearAll(t, at("parameter", ""), want.Params, params)
	if opt, ok := r.opt.(*optim.AdaFisher); ok {
		r.compareCurvature(t, at, opt, want)
	}
	return true
}

func (r *trainer) compareCurvature(t *testing.T, at func(string, string) string, opt *optim.AdaFisher, want goldenStep) {
	state := opt.State()
	h, s, f := make(map[string][]float32), make(map[string][]float32), make(map[string][]float32)
	for _, l := range r.model.Layers() {
		h[l.Name], s[l.Name] = state.Vectors[l.Name+"/H"], state.Vectors[l.Name+"/S"]
		all := make([]float32, l.Inputs()*l.Outputs()) // [in+1, out]
		n := len(l.Weight.Value)
		require.NoError(t, opt.Curvature(all[:n], l.Weight))
		if l.Bias != nil {
			require.NoError(t, opt.Curvature(all[n:], l.Bias))
		}
		f[l.Name] = transpose(all, l.Inputs())
	}
	nearAll(t, at("H_D of", ""), want.H, h)
	nearAll(t, at("S_D of", ""), want.S, s)
	nearAll(t, at("F_tilde of", ""), want.F, f)
	if want.State == nil {
		return
	}
	require.Equal(t, want.State.Steps, state.Counters["steps"])
	for i, l := range r.Layers {
		near(t, at("state: H of", l.Name), want.State.H[i], h[l.Name])
		near(t, at("state: S of", l.Name), want.State.S[i], s[l.Name])
	}
	for i, name := range r.ParamOrder {
		require.Equal(t, want.State.Params[i].Step, state.Counters[name+"/steps"])
		k := slices.IndexFunc(r.model.Params(), func(p *kron.Param) bool { return p.Name == name })
		p := r.model.Params()[k]
		near(t, at("state: momentum of", name), want.State.Params[i].Moment, theirs(p, state.Vectors[name+"/momentum"]))
	}
}

func nearAll(t *testing.T, what string, want map[string]array, got map[string][]float32) {
	for name, w := range want {
		require.Contains(t, got, name, what)
		near(t, what+name, w, got[name])
	}
}

// near requires every entry of got within the tolerance, and infinities and NaN
// where want has them.
func near(t *testing.T, what string, want array, got []float32) {
	require.Len(t, got, len(want.Data), what)
	largest := 0.0
	for _, w := range want.Data {
		if a := math.Abs(float64(w)); !math.IsInf(a, 0) {
			largest = max(largest, a)
		}
	}
	for i, w := range want.Data {
		g := got[i]
		if w == g || w != w && g != g {
			continue
		}
		if diff := math.Abs(float64(g) - float64(w)); !(diff <= goldenTolerance*largest) {
			require.FailNow(t, what, "entry %d is %v: want %v, within %g", i, g, w, goldenTolerance*largest)
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

// runTraining is a case of families a, b and f: a network under AdaFisher. All
// of it is covered.
func (g *golden) runTraining(t *testing.T) (notCovered []string) {
	want, narrow := steps(t, g.Runs)
	require.GreaterOrEqual(t, len(g.X), len(want))
	build := func(m *nn.Model) (optim.Optimizer, error) { return g.Optimizer.build(t, m) }
	r := g.newTrainer(t, build)

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
			return nil
		}
		if !r.compare(t, i, w) {
			require.False(t, narrow)
			return nil
		}
		if resumed != nil {
			_, _, pass := resumed.backward(t, i)
			require.NoError(t, resumed.opt.Step(pass))
			requireSameBits(t, r.model, resumed.model)
		}
		if i == resumeAfter {
			resumed = g.newTrainer(t, build)
			for k, p := range resumed.model.Params() {
				copy(p.Value, r.model.Params()[k].Value)
			}
			require.NoError(t, resumed.opt.Restore(r.opt.State()))
		}
	}
	return nil
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
	Scheduler       any
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
}

// runTorch is a case of family t. It returns the runs that are not covered.
func (g *golden) runTorch(t *testing.T) (notCovered []string) {
	var runs []json.RawMessage
	require.NoError(t, json.Unmarshal(g.Runs, &runs))
	require.NotEmpty(t, runs)
	for _, raw := range runs {
		var run torchRun
		require.NoError(t, json.Unmarshal(raw, &run))
		if run.Scheduler != nil || !slices.Contains([]string{"SGD", "Adam", "AdamW"}, run.Optimizer) {
			notCovered = append(notCovered, g.Case+": "+run.Name)
			continue
		}
		var args torchArguments
		d := json.NewDecoder(bytes.NewReader(run.Kwargs))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&args), run.Name)
		if args.AMSGrad {
			notCovered = append(notCovered, g.Case+": "+run.Name)
			continue
		}
		t.Run(run.Name, func(t *testing.T) {
			want, _ := steps(t, raw)
			if len(g.Gradients) > 0 {
				want[0].Grads = g.Gradients
			}
			r := g.newTrainer(t, func(m *nn.Model) (optim.Optimizer, error) { return args.build(m, run.Optimizer) })
			for i, w := range want {
				require.True(t, r.compare(t, i, w))
			}
		})
	}
	return notCovered
}

func (a torchArguments) build(m *nn.Model, optimizer string) (optim.Optimizer, error) {
	set := func(dst, src *float64) {
		if src != nil {
			*dst = *src
		}
	}
	if optimizer == "SGD" {
		c := optim.SGDDefaults()
		set(&c.LR, a.LR)
		set(&c.WeightDecay, a.WeightDecay)
		c.Momentum, c.Dampening, c.Nesterov = a.Momentum, a.Dampening, a.Nesterov
		return optim.NewSGD(m, c)
	}
	c, construct := optim.AdamDefaults(), optim.NewAdam
	if optimizer == "AdamW" {
		c, construct = optim.AdamWDefaults(), optim.NewAdamW
	}
	set(&c.LR, a.LR)
	set(&c.WeightDecay, a.WeightDecay)
	set(&c.Epsilon, a.Eps)
	if a.Betas != nil {
		c.Beta1, c.Beta2 = a.Betas[0], a.Betas[1]
	}
	return construct(m, c)
}

// runRows is a case of family v: single layers, and vectors under min-max
// normalisation and the running average. It returns the rows not covered.
func (g *golden) runRows(t *testing.T) (notCovered []string) {
	require.NotEmpty(t, g.Rows)
	for _, row := range g.Rows {
		var name, layer string
		decode(t, row, "name", &name)
		if _, ok := row["input"]; ok {
			t.Run(name, func(t *testing.T) { runVector(t, row) })
			continue
		}
		decode(t, row, "type", &layer)
		if layer != "Linear" {
			notCovered = append(notCovered, g.Case+": "+name)
			continue
		}
		t.Run(name, func(t *testing.T) { runLinearRow(t, row) })
	}
	return notCovered
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

func runLinearRow(t *testing.T, row map[string]json.RawMessage) {
	var bias bool
	var x, dy, want array
	decode(t, row, "bias", &bias)
	decode(t, row, "x", &x)
	decode(t, row, "grad_output", &dy)
	h := make([]float32, x.Shape[len(x.Shape)-1], x.Shape[len(x.Shape)-1]+1)
	if bias {
		h = append(h, 0)
	}
	s := make([]float32, dy.Shape[len(dy.Shape)-1])
	require.NoError(t, kron.LinearInputFactor(h, x.Data, x.rows()))
	require.NoError(t, kron.LinearOutputFactor(s, dy.Data, dy.rows()))
	for _, f := range []struct {
		name   string
		factor []float32
	}{{"H", h}, {"S", s}} {
		decode(t, row, eitherRun(row, f.name+"_raw_", ""), &want)
		near(t, f.name+" raw", want, f.factor)
		norm := make([]float32, len(f.factor))
		kernels.MinMaxNormalize(norm, f.factor)
		decode(t, row, eitherRun(row, f.name+"_norm_", ""), &want)
		near(t, f.name+" normalised", want, norm)
	}
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
