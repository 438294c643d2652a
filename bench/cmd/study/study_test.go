package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/plotter"

	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/nn/models"
	"github.com/adafisher-go/adafisher/optim"
)

func TestRates(t *testing.T) {
	require.Equal(t, []float64{0.01, 0.03, 0.1, 0.3, 1}, decades(0.1).trials(5))
	require.Equal(t, []float64{0.003, 0.01, 0.03, 0.1, 0.3}, decades(0.03).trials(5))
	require.Equal(t, []float64{0.001, 0.003, 0.01}, decades(0.003).trials(3))
	require.Equal(t, []float64{0.015, 0.05, 0.15, 0.5, 1.5}, rates{1.5, 5, -1}.trials(5))
	for k := -6; k <= 6; k++ {
		got, ok := decades(0.003).number(decades(0.003).at(k))
		require.True(t, ok)
		require.Equal(t, k, got)
	}
	_, ok := decades(0.1).number(0.2)
	require.False(t, ok)
}

// Each rule trains each kind of network, and has names and periods that hold.
func TestRules(t *testing.T) {
	networks := map[string]func() (*nn.Model, error){
		"cnn": func() (*nn.Model, error) { return models.CNN(nn.Shape{6, 6, 1}, 3, 4) },
		"gpt": func() (*nn.Model, error) {
			return models.GPT(7, 5, models.Transformer{Blocks: 1, Width: 8, Heads: 2})
		},
	}
	names := make(map[string]bool)
	for _, r := range slices.Concat(rules, ablations) {
		require.False(t, names[r.name], r.name)
		names[r.name] = true
		require.NotEmpty(t, r.about)
		for name, network := range networks {
			m, err := network()
			require.NoError(t, err)
			trainer, err := r.build(m, r.rates.at(-2))
			require.NoError(t, err, r.name)
			s, err := m.NewSession(4)
			require.NoError(t, err)
			x := make([]float32, 4*m.In())
			labels := make([]int, 4*m.OutputShape().Positions())
			for i := range x {
				x[i] = float32(i*i%7 + i%3%2)
				if name == "gpt" {
					x[i] = float32(i * i % 7)
				}
			}
			for i := range labels {
				labels[i] = i % 3
			}
			first, last := float32(0), float32(0)
			for step := range 30 {
				last, err = trainer.Train(s, x, labels)
				require.NoError(t, err, "%s, %s, step %d", r.name, name, step)
				if step == 0 {
					first = last
				}
			}
			require.Less(t, last, first, "%s, %s", r.name, name)
			require.NoError(t, trainer.SetLR(0))
			reporting := strings.HasPrefix(r.name, published) || strings.HasPrefix(r.name, ablated) && !strings.HasSuffix(r.name, "element-wise")
			require.Equal(t, reporting, len(reports(trainer)) > 0, r.name)
		}
	}
	for _, name := range append([]string{reference, adamW, published, calibrated, "SGD"}, "K-FAC", "Shampoo", "AdaHessian") {
		require.True(t, names[name], "%s, which the report speaks of", name)
	}
}

func TestTasks(t *testing.T) {
	for name, want := range map[string][3]int{
		"digits":  {1257, 180, 360},
		"opticks": {7972, 442, 442},
	} {
		task, err := taskNamed(name)
		require.NoError(t, err)
		w, err := task.load("")
		require.NoError(t, err)
		require.Equal(t, want, [3]int{w.train.Len(), w.validation.Len(), w.test.Len()}, name)
		m, err := task.network()
		require.NoError(t, err)
		inputs, _ := w.train.Sizes()
		require.Equal(t, m.In(), inputs)
	}
	for _, task := range tasks {
		require.NotZero(t, full.steps(task), task.name)
		require.NotEqual(t, task.fresh, quick.steps(task) > 0, task.name)
		for _, name := range task.rules {
			_, err := ruleNamed(name)
			require.NoError(t, err)
		}
	}
	residual, err := residual()
	require.NoError(t, err)
	require.Equal(t, 10, residual.Out())
}

// Moments and statistics count, working memory doesn't, and a rule without a
// state says nothing.
func TestKept(t *testing.T) {
	digits, err := taskNamed("digits")
	require.NoError(t, err)
	const weights = 64*128 + 128 + 128*64 + 64 + 64*10 + 10
	const inputs, outputs = 64 + 128 + 64, 128 + 64 + 10
	const biases = 3 // each a further input, always 1
	for name, want := range map[string]float64{
		"SGD": weights, adamW: 2 * weights, published: weights + inputs + biases + outputs,
		calibrated: weights + 2*inputs + biases + outputs + 6, // and the mean square of each parameter
	} {
		r, err := ruleNamed(name)
		require.NoError(t, err)
		got, ok, err := kept(r, digits)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, want/weights, got, name)
	}
	r, err := ruleNamed("K-FAC")
	require.NoError(t, err)
	_, ok, err := kept(r, digits)
	require.NoError(t, err)
	require.False(t, ok)
}

// A data set that is not installed is no error, but is said, with the way to get it.
func TestMissingData(t *testing.T) {
	var progress bytes.Buffer
	store, err := open(t.TempDir())
	require.NoError(t, err)
	s := &study{scale: full, store: store, data: t.TempDir(), rules: rules, jobs: 1, progress: &progress}
	task, err := taskNamed("fashion-mlp")
	require.NoError(t, err)
	require.NoError(t, s.all(t.Context(), only(task), nothing))
	require.Contains(t, progress.String(), "fashion-mlp is left out: data: fashion-mnist not found")
	require.Contains(t, progress.String(), "apt-get install dataset-fashion-mnist")
	require.Equal(t, 1, strings.Count(progress.String(), "\n"))
}

// tiny is a study of two rules that takes a second.
func tiny(t *testing.T, dir string, progress io.Writer) *study {
	store, err := open(dir)
	require.NoError(t, err)
	s := &study{scale: quick, store: store, jobs: 2, progress: progress}
	s.scale.steps = func(task) int { return 12 }
	s.scale.offsets, s.scale.batches = []int{-1, 0, 2}, []int{32, 64}
	for _, name := range []string{"SGD", reference, published} {
		r, err := ruleNamed(name)
		require.NoError(t, err)
		s.rules = append(s.rules, r)
	}
	return s
}

// stopper cancels a study after so many finished runs.
type stopper struct {
	cancel func()
	left   int
}

func (s *stopper) Write(text []byte) (int, error) {
	if bytes.HasPrefix(text, []byte("[")) {
		if s.left--; s.left == 0 {
			s.cancel()
		}
	}
	return len(text), nil
}

// A study that is stopped, and whose file breaks off inside a line, goes on where it
// was and has the same results, to the bit, as one that is not.
func TestResume(t *testing.T) {
	task, err := taskNamed("digits")
	require.NoError(t, err)
	whole := t.TempDir()
	require.NoError(t, tiny(t, whole, io.Discard).all(t.Context(), only(task), nothing))
	want := readLines(t, whole)
	// Of each rule: 3 trials, 2 final runs, at least one more rate, one more batch.
	require.GreaterOrEqual(t, len(want), 3*(1+3+2+1+1))

	broken := t.TempDir()
	path := filepath.Join(broken, "digits.jsonl")
	var costs bytes.Buffer
	text, err := os.ReadFile(filepath.Join(whole, "digits.jsonl"))
	require.NoError(t, err)
	for row := range bytes.Lines(text) {
		if bytes.Contains(row, []byte(`"kind":"cost"`)) {
			costs.Write(row)
		}
	}
	require.NoError(t, os.WriteFile(path, costs.Bytes(), 0o600))
	for _, runs := range []int{2, 5, 4} {
		ctx, cancel := context.WithCancel(t.Context())
		err := tiny(t, broken, &stopper{cancel, runs}).all(ctx, only(task), nothing)
		require.ErrorIs(t, err, context.Canceled)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, text[:len(text)-20], 0o600))
	}
	require.NoError(t, tiny(t, broken, io.Discard).all(t.Context(), only(task), nothing))
	got := readLines(t, broken)
	require.Len(t, got, len(want), "no line is there twice or lost")
	for k, l := range want {
		other := got[k]
		require.NotNil(t, other, k)
		require.Equal(t, l.Points, other.Points, k)
		require.Equal(t, l.Failed, other.Failed, k)
		require.Equal(t, l.Layers, other.Layers, k)
		require.Equal(t, l.where.CPU, other.where.CPU)
		require.NotEmpty(t, other.Commit)
		require.NotEmpty(t, other.Level)
	}
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, tiny(t, broken, io.Discard).all(t.Context(), only(task), nothing))
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after, "nothing is left to do")

	// The report follows from the lines alone.
	var pages [2][]byte
	for i := range pages {
		store, err := open(broken)
		require.NoError(t, err)
		require.NoError(t, report(store))
		pages[i], err = os.ReadFile(filepath.Join(broken, reportName))
		require.NoError(t, err)
	}
	require.Equal(t, pages[0], pages[1])
	for _, name := range []string{"digits-time.svg", "digits-steps.svg", "digits-rate.svg", "digits-batch.svg", "digits-curvature.svg", "cost.svg"} {
		require.Contains(t, string(pages[0]), "("+name+")")
		picture, err := os.ReadFile(filepath.Join(broken, name))
		require.NoError(t, err)
		require.Contains(t, string(picture), "<svg")
		require.NotContains(t, string(picture), "NaN")
	}
}

// readLines reads a file of a finished study; a key that is there twice fails.
func readLines(t *testing.T, dir string) map[key]*line {
	text, err := os.ReadFile(filepath.Join(dir, "digits.jsonl"))
	require.NoError(t, err)
	all := make(map[key]*line)
	for row := range bytes.Lines(text) {
		l := &line{}
		require.NoError(t, json.Unmarshal(row, l), string(row))
		require.Nil(t, all[l.key], l.key)
		all[l.key] = l
	}
	return all
}

// All get the same time, and with other batches as many samples; the tuning seed
// never sees the test.
func TestProtocol(t *testing.T) {
	task, err := taskNamed("digits")
	require.NoError(t, err)
	s := tiny(t, t.TempDir(), io.Discard)
	s.scale = full
	allocs := 0.0
	for i, r := range s.rules {
		require.NoError(t, s.store.add(&line{Kind: "cost", key: costKey(task, r), Micros: 100, Ratio: []float64{0.5, 1, 4}[i], Allocs: &allocs}))
	}
	require.Equal(t, 1200, s.ruleSteps(task, s.rules[0], 64))
	require.Equal(t, 600, s.ruleSteps(task, s.rules[1], 64))
	require.Equal(t, 150, s.ruleSteps(task, s.rules[2], 64))
	require.Equal(t, 300, s.ruleSteps(task, s.rules[1], 128))
	trials := make(map[string]int)
	for _, k := range s.trialKeys(task) {
		trials[k.Optimizer]++
		require.EqualValues(t, trialSeed, k.Seed)
	}
	require.Equal(t, map[string]int{"SGD": 5, reference: 5, published: 5}, trials)
	require.Empty(t, s.finalKeys(task), "nothing is chosen yet")
	w, err := task.load("")
	require.NoError(t, err)
	for i, lr := range []float64{0.01, 0.1, 1e5} {
		k := key{"digits", "SGD", lr, 64, trialSeed, 10}
		l, err := run(t.Context(), task, w, k, 2)
		require.NoError(t, err)
		if i == 2 {
			require.Contains(t, l.Failed, "step ")
			continue
		}
		require.Empty(t, l.Failed)
		require.Len(t, l.Points, 2)
		require.Equal(t, 10, l.last().Step)
		require.Nil(t, l.last().Test)
	}
	l, err := run(t.Context(), task, w, key{"digits", "SGD", 0.1, 64, 1, 10}, 2)
	require.NoError(t, err)
	require.NotNil(t, l.last().Test)

	// The best of the trials, by the least loss, has final runs.
	sgd := s.rules[0]
	add := func(lr float64, seed uint64, loss float64) {
		k := s.key(task, sgd, lr, 64, seed)
		require.NoError(t, s.store.add(&line{Kind: "run", key: k, Points: []point{{Step: 1200, Validation: score{Loss: loss}}}}))
	}
	for i, loss := range []float64{1, 0.5, 0.4, 0.6} {
		add(sgd.rates.trials(5)[i], trialSeed, loss)
	}
	require.NoError(t, s.store.add(&line{Kind: "run", key: s.key(task, sgd, 1, 64, trialSeed), Failed: "step 3: the loss is NaN"}))
	lr, ok := s.best(task, sgd)
	require.True(t, ok)
	require.Equal(t, 0.1, lr)
	var want []key
	for seed := range uint64(5) {
		want = append(want, key{"digits", "SGD", 0.1, 64, seed + 1, 1200})
	}
	require.Equal(t, want, s.missing(s.finalKeys(task)))

	// If these show that the trial was an accident, so that its mean is above the next
	// best's, that one has final runs too.
	for seed := range uint64(5) {
		add(0.1, seed+1, 0.5475)
		lr, _ := s.best(task, sgd)
		require.Equal(t, seed >= 2, lr == 0.03, "a mean above 0.5 from the third seed on")
	}
	for seed := range uint64(5) {
		add(0.03, seed+1, 0.56)
	}
	lr, _ = s.best(task, sgd)
	require.Equal(t, 0.1, lr, "0.523 against 0.55")
	require.Empty(t, s.missing(s.finalKeys(task)))
	// A failure, which a loss without perplexity is too, weighs more than a loss.
	last := s.store.find(key{"digits", "SGD", 0.1, 64, 5, 1200})
	last.Points[0].Validation.Loss = 1e3
	lr, _ = s.best(task, sgd)
	require.Equal(t, 0.03, lr)
	require.Len(t, s.finalKeys(task), 5)
	require.Len(t, s.robustKeys(task), 9+6)

	// A rule at its usual rate has no trials, and the runs and costs of the rule that it is.
	for _, name := range []string{calibrated, calibrated + untuned} {
		r, err := ruleNamed(name)
		require.NoError(t, err)
		s.rules = append(s.rules, r)
	}
	tuned, usual := s.rules[3], s.rules[4]
	require.NoError(t, s.store.add(&line{Kind: "cost", key: costKey(task, tuned), Micros: 100, Ratio: 2, Allocs: &allocs}))
	require.Empty(t, s.untimed(task), "nothing is left to measure")
	require.Nil(t, s.store.find(key{Task: task.name, Optimizer: usual.name, Batch: task.batch}))
	require.Equal(t, 300, s.ruleSteps(task, usual, 64))
	require.Len(t, s.trialKeys(task), 5*4)
	finals := s.finalKeys(task)
	require.Len(t, finals, 5+5)
	for seed, k := range finals[5:] {
		require.Equal(t, key{"digits", calibrated, optim.CalibratedDefaults().LR, 64, uint64(seed + 1), 300}, k)
	}
	require.Len(t, s.robustKeys(task), 9+6)
	rms, err := ruleNamed(calibratedRMS + untuned)
	require.NoError(t, err)
	require.Equal(t, []float64{optim.CalibratedRMSDefaults().LR}, rms.trials(5))
}

// A run that ends with a loss beyond all measure has failed.
func TestJudged(t *testing.T) {
	end := func(validation float64, test *score) *line {
		return &line{Kind: "run", Points: []point{{Step: 7, Validation: score{Loss: validation}, Test: test}}}
	}
	for _, l := range []*line{{Kind: "cost"}, end(2, nil), end(700, &score{Loss: 1}), {Kind: "run", Failed: "step 3: lost"}} {
		require.Same(t, l, l.judged())
	}
	require.Equal(t, "step 7: a loss of 1e+03", end(1000, nil).judged().Failed)
	require.Equal(t, "step 7: a loss of 2e+05", end(2, &score{Loss: 2e5}).judged().Failed)
}

// The ablations have as many steps as the rule that they are of, and a table of their
// own.
func TestAblations(t *testing.T) {
	task, err := taskNamed("digits")
	require.NoError(t, err)
	s := tiny(t, t.TempDir(), io.Discard)
	require.Empty(t, s.ablationKeys(task), "their rule does not take part")
	whole, err := ruleNamed(calibrated)
	require.NoError(t, err)
	s.rules, s.ablationSeeds = append(s.rules, whole), 2
	allocs := 0.0
	for i, r := range s.rules {
		require.NoError(t, s.store.add(&line{Kind: "cost", key: costKey(task, r), Micros: 100, Ratio: float64(1 + i), Allocs: &allocs}))
	}
	keys := s.ablationKeys(task)
	require.Len(t, keys, 2*len(ablations))
	vit, err := taskNamed("fashion-vit")
	require.NoError(t, err)
	require.NoError(t, s.store.add(&line{Kind: "cost", key: costKey(vit, whole), Micros: 100, Ratio: 1, Allocs: &allocs}))
	s.scale.rules = full.rules
	require.Len(t, s.ablationKeys(vit), 2*(len(ablations)-3))
	for _, name := range retuned {
		_, err := ruleNamed(name)
		require.NoError(t, err)
	}
	for i, k := range keys {
		lr := optim.CalibratedDefaults().LR
		if strings.HasSuffix(k.Optimizer, "RMS") {
			lr = optim.CalibratedRMSDefaults().LR
		}
		require.Equal(t, key{"digits", ablations[i/2].name, lr, 64, uint64(i%2 + 1), s.ruleSteps(task, whole, 64)}, k)
	}
	require.NoError(t, s.all(t.Context(), only(task), nothing))
	require.NoError(t, report(s.store))
	page, err := os.ReadFile(filepath.Join(s.store.dir, reportName))
	require.NoError(t, err)
	for _, r := range ablations {
		row := "| " + strings.TrimPrefix(r.name, ablated) + " | " + r.about + " | "
		require.Equal(t, 1, strings.Count(string(page), row), row)
		require.NotContains(t, string(page), r.name, "it is in no other table")
	}
	require.Contains(t, string(page), "Seeds: 2 on digits.")
}

func TestCosts(t *testing.T) {
	task, err := taskNamed("digits")
	require.NoError(t, err)
	w, err := task.load("")
	require.NoError(t, err)
	sgd, err := ruleNamed("SGD")
	require.NoError(t, err)
	kfac, err := ruleNamed("K-FAC")
	require.NoError(t, err)
	lines, err := measureCosts(t.Context(), task, w, []rule{sgd, kfac}, 3, time.Millisecond)
	require.NoError(t, err)
	require.Len(t, lines, 3, "Adam's steps are the yardstick")
	for _, l := range lines {
		require.NoError(t, l.check())
		require.Equal(t, l.Optimizer == reference, l.Ratio == 1)
		require.Equal(t, lines[0].Rounds, l.Rounds, "all have as many turns")
		require.Zero(t, l.Rounds%5, "and K-FAC as many of each kind")
		require.Less(t, *l.Allocs, 2.0)
	}
}

// A step costs the mean of its kinds of turns, by their medians: one turn that was
// disturbed changes nothing, and the one that inverts counts once in five.
func TestCost(t *testing.T) {
	r := &racer{rule: rule{period: 50}}
	for _, inverting := range []float64{40, 1000, 42} {
		r.micros = append(r.micros, 10, 12, 10, 14, inverting)
	}
	r.micros[10] = 90
	micros, spread := r.cost()
	require.Equal(t, (10.0+12+10+14+42)/5, micros)
	require.InDelta(t, (40.0/5+(521.0-41)/5)/micros, spread, 1e-12)
	require.Equal(t, 2.5, quantile([]float64{4, 1, 2, 3}, 0.5))
	require.Equal(t, 3.0, quantile([]float64{3}, 0.75))
}

// Steps that are timed anew change no budget.
func TestTimeAll(t *testing.T) {
	task, err := taskNamed("digits")
	require.NoError(t, err)
	dir := t.TempDir()
	s := tiny(t, dir, io.Discard)
	allocs := 0.0
	for _, r := range s.rules {
		require.NoError(t, s.store.add(&line{Kind: "cost", key: costKey(task, r), Micros: 100, Ratio: 4, Allocs: &allocs}))
	}
	require.NoError(t, s.timeAll(t.Context(), only(task)))
	reread := tiny(t, dir, io.Discard)
	for _, s := range []*study{s, reread} {
		require.Len(t, s.store.order, 6)
		for _, r := range s.rules {
			require.Equal(t, 4, s.ruleSteps(task, r, 64), "a quarter of 12, and a point each")
		}
		for _, l := range s.store.order[3:] {
			require.Equal(t, l.Optimizer == reference, l.Ratio == 1)
		}
	}
}

func TestStoreErrors(t *testing.T) {
	for text, want := range map[string]string{
		"{}\n": "digits.jsonl: line 1: unknown task",
		"{\"kind\":\"run\",\"task\":\"digits\",\"failed\":\"x\"}\n{]\n": "digits.jsonl: line 2: invalid character",
		"{\"kind\":\"run\",\"task\":\"digits\"}\n":                      "line 1: kind \"run\": want a cost above 0, or a run with points or a failure",
		"{\"kind\":\"run\",\"task\":\"digits\",\"more\":1}\n":           "unknown field",
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "digits.jsonl"), []byte(text), 0o600))
		_, err := open(dir)
		require.ErrorContains(t, err, want)
	}
}

// Means, deviations, and what the summary says of them, on lines written out.
func TestReportNumbers(t *testing.T) {
	dir := t.TempDir()
	store, err := open(dir)
	require.NoError(t, err)
	allocs := 0.0
	add := func(rule string, ratio float64, accuracies ...float64) {
		require.NoError(t, store.add(&line{Kind: "cost", key: key{Task: "digits", Optimizer: rule, Batch: 64}, Micros: 100 * ratio, Ratio: ratio, Rounds: 1, Allocs: &allocs}))
		worse := &line{Kind: "run", key: key{"digits", rule, 0.1, 64, trialSeed, 100}, Points: []point{{Step: 100, Validation: score{0.4, 0.8}}}}
		require.NoError(t, store.add(worse))
		for seed, a := range append([]float64{0.9}, accuracies...) {
			l := &line{Kind: "run", key: key{"digits", rule, 0.01, 64, uint64(seed), 100}}
			p := point{Step: 100, TrainLoss: 0.5, Validation: score{0.3, a}}
			if seed > 0 {
				p.Test = &score{0.2, a}
			}
			l.Points = []point{p}
			if strings.HasPrefix(rule, published) {
				l.Layers = []layer{{Name: "0", DampingShare: 0.98, Spread: 1.5, TraceH: 3, TraceS: 0.02}, {Name: "2", DampingShare: 0.96, Spread: 1.25}}
			}
			require.NoError(t, store.add(l))
		}
	}
	add(reference, 1, 0.95, 0.97)
	add(adamW, 1.05, 0.95, 0.97)
	add("SGD", 0.9, 0.91, 0.9)
	add(published, 1.25, 0.94, 0.96)
	require.NoError(t, report(store))
	text, err := os.ReadFile(filepath.Join(dir, reportName))
	require.NoError(t, err)
	page := string(text)
	for _, want := range []string{
		"best is Adam 96.00 ± 1.41, then AdamW 96.00 ± 1.41, then AdaFisher 95.00 ± 1.41 (with 1.25 of the time).",
		"AdaFisher is number 3 of 4 with 95.00 ± 1.41 (with 1.25 of the time), level with AdamW (96.00), clearly ahead of SGD (90.50, with 0.90 of the time).",
		"A step in steps of Adam: of AdaFisher 1.25, of SGD 0.90.",
		" | 64 | 100 | 2 | 2 |", // rates tried, before the seeds
		"With AdaFisher damping makes up at least 96.0 % of the curvature of every layer at the end of a run (the least in layer 2 of digits), and the largest entry is at most 1.500 times the smallest (layer 0 of digits).",
		"| optimizer | Digits, MLP, accuracy |",
		"| SGD | 90.50 ± 0.71 |",
		"| Adam | **96.00 ± 1.41** |",
		"| AdamW | **96.00 ± 1.41** |",
		"| AdamW | 0.01 (edge) | 100 | 0.105 | 1.05 | 96.00 ± 1.41 |",
		"by the last measurement, see \"What a step costs\": 0.90 to 1.25. On digits the first costs were the least of several rounds",
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "%!")
	text, err = os.ReadFile(filepath.Join(dir, "digits-curvature.svg"))
	require.NoError(t, err)
	for _, panel := range []string{"damping in F", "spread of F", "trace of H", "trace of S"} {
		require.Contains(t, string(text), panel)
	}
	require.NotContains(t, string(text), "effective step", "no line has one")

	// A rule at its usual rate has the costs of the one that it is, and no robustness.
	add(calibrated, 1.5, 0.98, 0.99)
	for seed, a := range []float64{0.97, 0.98} {
		p := point{Step: 100, Validation: score{0.3, a}, Test: &score{0.2, a}}
		require.NoError(t, store.add(&line{Kind: "run", key: key{"digits", calibrated, 0.005, 64, uint64(seed + 1), 100}, Points: []point{p}}))
	}
	require.NoError(t, report(store))
	text, err = os.ReadFile(filepath.Join(dir, reportName))
	require.NoError(t, err)
	page = string(text)
	for _, want := range []string{
		"AdaFisher calibrated is number 1 of 5 with 98.50 ± 0.71 (with 1.50 of the time), clearly ahead of AdamW (96.00), clearly ahead of SGD (90.50, with 0.90 of the time). " +
			"AdaFisher calibrated untuned has 97.50 ± 0.71 (with 1.50 of the time), level with AdamW (96.00), clearly ahead of SGD (90.50, with 0.90 of the time).",
		"| AdaFisher calibrated untuned | 0.005 | 100 | 0.150 | 1.50 | 97.50 ± 0.71 |",
		"| AdaFisher calibrated untuned | 97.50 ± 0.71 |", // not in bold
		"| Digits, MLP | yes | Adam 96.00 ± 1.41 | 97.50 ± 0.71 | -1.50 points: reached | level with 96.00 |  | 1.042: reached |",
		"Of the tasks used to choose the default within the bound on 1 of 1, clearly ahead of tuned AdamW on 0, within the state on 1.",
	} {
		require.Contains(t, page, want)
	}
	require.Contains(t, page, "A step in steps of Adam: of AdaFisher 1.25, of AdaFisher calibrated 1.50, of SGD 0.90.")
	results, err := gather(store)
	require.NoError(t, err)
	require.Len(t, results[0].drawn(), 6)
	require.Len(t, results[0].costly(), 5)

	// Where one has more rates than others, their number is a range.
	require.NoError(t, store.add(&line{Kind: "run", key: key{"digits", "SGD", 1, 64, trialSeed, 100}, Failed: "step 3: lost"}))
	require.NoError(t, report(store))
	text, err = os.ReadFile(filepath.Join(dir, reportName))
	require.NoError(t, err)
	require.Contains(t, string(text), " | 64 | 100 | 2 to 3 | 2 |")

	// Final runs with a better rate take the place of the first ones.
	for seed := range uint64(3) {
		l := &line{Kind: "run", key: key{"digits", "SGD", 0.03, 64, seed, 100}, Points: []point{{Step: 100, Test: &score{0.1, 0.99}}}}
		require.NoError(t, store.add(l))
	}
	results, err = gather(store)
	require.NoError(t, err)
	require.Equal(t, "SGD", results[0].outcomes[0].rule)
	require.Equal(t, spread{mean: 99, low: 99, high: 99, n: 2}, results[0].outcomes[0].final(results[0].task))

	require.NoError(t, store.add(&line{Kind: "run", key: key{"digits", "SGD", 0.03, 64, 1, 101}, Failed: "x"}))
	require.ErrorContains(t, report(store), "digits.jsonl: SGD has runs of 100 and of 101 steps: remove those of one budget")
}

// A rate may not be the best if it has no neighbour on one side, or if another one's
// runs, made later, are better.
func TestEdge(t *testing.T) {
	of := func(lr float64, losses ...float64) *outcome {
		o := &outcome{rule: "SGD", lr: lr}
		for i, loss := range losses {
			l := &line{Kind: "run", key: key{LR: []float64{0.01, 0.1, 1}[i], Seed: trialSeed}, Points: []point{{Validation: score{Loss: loss}}}}
			o.runs, o.trials = append(o.runs, l), append(o.trials, l)
		}
		return o
	}
	require.False(t, of(0.1, 3, 1, 2).edge())
	require.True(t, of(0.01, 1, 2, 3).edge())
	require.True(t, of(1, 3, 2, 1).edge())
	require.True(t, of(0.1, 3, 2, 1).edge())
	require.False(t, of(0.3, 3, 2, 1).edge(), "no trial")
	usual := of(0.01, 1, 2, 3)
	usual.rule = calibrated + untuned
	require.False(t, usual.edge())

	// Another seed may show that a trial was better than it is.
	o := of(0.1, 3, 2, 1)
	o.runs = append(o.runs, &line{Kind: "run", key: key{LR: 1, Seed: 1}, Points: []point{{Validation: score{Loss: 5}}}})
	require.False(t, o.edge())
	require.Equal(t, 0.1, rank(o.runs)[0].lr)
	o.runs[1].Failed = "step 3: lost"
	require.True(t, o.edge())
}

// Of rates with final runs those with the most seeds count, of them the best.
func TestChosen(t *testing.T) {
	o := &outcome{}
	require.Zero(t, o.chosen())
	for _, lr := range []float64{0.01, 0.1, 1} {
		for seed := range uint64(3) {
			if lr == 1 && seed > 1 {
				continue
			}
			l := &line{Kind: "run", key: key{LR: lr, Seed: seed}, Points: []point{{Validation: score{Loss: 2 - lr}}}}
			o.runs = append(o.runs, l)
			if seed != trialSeed {
				o.finals = append(o.finals, l)
			}
		}
	}
	require.Equal(t, 0.1, o.chosen())
}

// Layers have the line of their name, also where another optimizer has fewer of them.
func TestLayerNames(t *testing.T) {
	of := func(names ...string) *outcome {
		l := &line{}
		for i, name := range names {
			l.Layers = append(l.Layers, layer{Name: name, Spread: float64(i + 1)})
		}
		return &outcome{finals: []*line{{Failed: "step 3: lost"}, l}}
	}
	few, more := of("block", "head"), of("embedding", "block", "norm", "head")
	names := layerNames([]*outcome{few, more})
	require.Equal(t, []string{"embedding", "block", "norm", "head"}, names)
	spread := func(_ *outcome, l layer) float64 { return l.Spread }
	x := axis{scale: identity, high: 9}
	require.Equal(t, plotter.XYs{{X: 1, Y: -1}, {X: 2, Y: -3}}, pointsOf(few, spread, x, placesOf(names)))
	require.Equal(t, plotter.XYs{{X: 1, Y: 0}, {X: 2, Y: -1}, {X: 3, Y: -2}, {X: 4, Y: -3}}, pointsOf(more, spread, x, placesOf(names)))
}

// A single run has no deviation.
func TestSpread(t *testing.T) {
	o := &outcome{finals: []*line{
		{Points: []point{{Test: &score{Accuracy: 0.5}}}},
		{Failed: "step 3: lost"},
	}}
	digits, err := taskNamed("digits")
	require.NoError(t, err)
	require.Equal(t, "50.00, 1 of 2 failed", o.cell(digits))
	o.finals = append(o.finals, o.finals[0])
	require.Equal(t, "50.00 ± 0.00, 1 of 3 failed", o.cell(digits))
}

func TestCompare(t *testing.T) {
	good, bad := spread{mean: 97, std: 0.2, n: 4}, spread{mean: 96.5, std: 0.2, n: 4}
	require.Equal(t, ahead, accuracy.compare(good, bad))
	require.Equal(t, behind, perplexity.compare(good, bad))
	bad.mean = 96.8
	require.Equal(t, level, accuracy.compare(good, bad), "two standard errors are 0.28")
	require.InDelta(t, math.E, perplexity.of(score{Loss: 1}), 1e-12)
}

// Lines name the commit that made them, or say that it did not.
func TestMayRun(t *testing.T) {
	require.NoError(t, options{}.mayRun("0123456789ab"))
	require.EqualError(t, options{}.mayRun("0123456789ab-dirty"), "files differ from commit 0123456789ab: commit them, or say -dirty")
	for _, arg := range []string{"-dirty", "-quick"} {
		o, err := parse([]string{arg}, io.Discard)
		require.NoError(t, err)
		require.NoError(t, o.mayRun("0123456789ab-dirty"))
	}
}

func TestParse(t *testing.T) {
	var usage bytes.Buffer
	o, err := parse([]string{"-tasks", "digits, opticks", "-optimizers", "SGD,K-FAC,SGD"}, &usage)
	require.NoError(t, err)
	require.Len(t, o.tasks, 2)
	require.Len(t, o.rules, 2)
	require.Equal(t, filepath.Join("bench", "results", "study"), o.out)
	o, err = parse([]string{"-quick"}, &usage)
	require.NoError(t, err)
	require.Equal(t, filepath.Join("bench", "results", "study-quick"), o.out)
	require.Len(t, o.rules, len(rules))
	for args, want := range map[string]string{
		"-tasks digit":     `unknown task "digit"; -list names them`,
		"-optimizers adam": `unknown optimizer "adam"; -list names them`,
		"-jobs 0":          "-jobs 0: want 1 to 1024",
		"-rounds":          "flag provided but not defined: -rounds",
		"digits":           `unexpected argument "digits"`,
	} {
		_, err := parse(strings.Split(args, " "), &usage)
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, usage.String())
	_, err = parse([]string{"-help"}, &usage)
	require.Error(t, err)
	require.Contains(t, usage.String(), "goes on where")

	var text bytes.Buffer
	require.NoError(t, do(t.Context(), options{scale: full, list: true, tasks: tasks, rules: rules}, &text))
	for _, r := range rules {
		require.Contains(t, text.String(), r.name)
	}
	require.True(t, slices.ContainsFunc(strings.Split(text.String(), "\n"), func(l string) bool {
		return strings.Contains(l, "learning rates 0.01 to 1") && strings.Contains(l, "SGD")
	}), fmt.Sprint(text.String()))
}

func only(t task) []task { return []task{t} }

func nothing() error { return nil }

// The discs of a layer, on rows written out: those of its inputs, of these less their
// means, and of the gradients at its outputs.
func TestDiscs(t *testing.T) {
	layer := &kron.Layer{Name: "a", Weight: &kron.Param{Name: "a.weight", Shape: []int{2, 2}, Value: make([]float32, 4)}}
	require.Equal(t, 2, layer.Outputs())
	d, err := discsOf(nn.Observation{Layer: layer, X: []float32{1, 2, 3, 2}, DY: []float32{1, 0, 0, 0}})
	require.NoError(t, err)
	// The inputs' factor is {5, 4; 4, 4}, less means {1, 0; 0, 0}.
	require.Equal(t, &discs{Inputs: [3]float64{0.85, 0.9, 0.95}}, d)

	// On a network: all its linear layers and convolutions, and no parameter moves.
	m, err := models.CNN(nn.Shape{6, 6, 1}, 3, 4)
	require.NoError(t, err)
	m.Init(1)
	s, err := m.NewSession(4)
	require.NoError(t, err)
	x := make([]float32, 4*m.In())
	for i := range x {
		x[i] = float32(i * i % 7)
	}
	var before [][]float32
	for _, p := range m.Params() {
		before = append(before, slices.Clone(p.Value))
	}
	all, err := observe(s, x, []int{0, 1, 2, 0})
	require.NoError(t, err)
	for i, p := range m.Params() {
		require.Equal(t, before[i], p.Value)
	}
	var names []string
	for name, d := range all {
		names = append(names, name)
		for _, quartiles := range [][3]float64{d.Inputs, d.Centred, d.Outputs} {
			require.Positive(t, quartiles[0], name)
			require.True(t, slices.IsSorted(quartiles[:]), name)
		}
		require.Less(t, d.Centred[1], d.Inputs[1], "%s: inputs that are not negative have means", name)
	}
	slices.Sort(names)
	require.Equal(t, []string{"0", "3", "7"}, names)
}
