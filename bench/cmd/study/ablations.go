package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/adafisher-go/adafisher/bench/yardstick"
	"github.com/adafisher-go/adafisher/nn"
	"github.com/adafisher-go/adafisher/optim"
)

// ablations are AdaFisher calibrated as it is, and without one thing or another: all
// for as many steps, at its usual learning rate.
var ablations = []rule{
	ablation("whole", "as it is", func(*optim.CalibratedConfig) {}),
	ablation("not centred", "inputs taken as having mean 0", func(c *optim.CalibratedConfig) { c.Uncentred = true }),
	ablation("no curvature", "a damping of 1e30", func(c *optim.CalibratedConfig) { c.Damping = 1e30 }),
	ablation("neither", "momentum, Nesterov's, and a scale for each parameter", func(c *optim.CalibratedConfig) { c.Uncentred, c.Damping = true, 1e30 }),
	ablation("less damping", "of 0.003", func(c *optim.CalibratedConfig) { c.Damping = 0.003 }),
	ablation("more damping", "of 0.3", func(c *optim.CalibratedConfig) { c.Damping = 0.3 }),
	ablation("moments every 10 steps", "with gamma 0.8", func(c *optim.CalibratedConfig) { c.TCov, c.Gamma = 10, 0.8 }),
	ablation("RMS", "an UpdateRMS of 0.3, at its usual rate", func(c *optim.CalibratedConfig) { *c = optim.CalibratedRMSDefaults() }),
	{
		name: ablated + "element-wise", of: calibrated, rates: usual(calibrated).rates,
		about: "Adam's second moment of each weight, beta2 0.99, in place of curvature and centring",
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := yardstick.ElementwiseDefaults()
			c.LR = lr
			o, err := yardstick.NewElementwise(m, c)
			if err != nil {
				return nil, err
			}
			return yardstick.NewTrainer(o), nil
		},
	},
}

// retuned are the ablations that leave out nothing. They are not run where nothing was
// chosen.
var retuned = []string{ablated + "less damping", ablated + "more damping", ablated + "moments every 10 steps"}

// What the name of an ablation begins with.
const ablated = "calibrated: "

func ablation(name, about string, change func(*optim.CalibratedConfig)) rule {
	c := optim.CalibratedDefaults()
	change(&c)
	form := calibrated
	if c.UpdateRMS > 0 {
		form = calibratedRMS
	}
	return rule{name: ablated + name, about: about, of: calibrated, rates: usual(form).rates,
		build: func(m *nn.Model, lr float64) (yardstick.Trainer, error) {
			c := c
			c.LR = lr
			return plain(optim.NewCalibrated(m, c))
		}}
}

// ablationKeys are the runs of the ablations, which take part where their rule does.
func (s *study) ablationKeys(t task) []key {
	if !slices.ContainsFunc(s.takePart(t), func(r rule) bool { return r.name == calibrated }) {
		return nil
	}
	var keys []key
	for _, r := range ablations {
		if t.fresh && slices.Contains(retuned, r.name) {
			continue
		}
		lr := r.trials(1)[0]
		for seed := range s.ablationSeeds {
			keys = append(keys, s.key(t, r, lr, t.batch, uint64(seed+1)))
		}
	}
	return keys
}

// ablations writes what each part of AdaFisher calibrated is worth.
func (w *writer) ablations(s *store) {
	var done []task
	of := make(map[key]*outcome) // by task and optimizer
	for _, l := range s.order {
		if !strings.HasPrefix(l.Optimizer, ablated) {
			continue
		}
		k := key{Task: l.Task, Optimizer: l.Optimizer}
		if of[k] == nil {
			of[k] = &outcome{rule: l.Optimizer}
		}
		of[k].finals = append(of[k].finals, l)
	}
	for _, t := range tasks {
		if of[key{Task: t.name, Optimizer: ablations[0].name}] != nil {
			done = append(done, t)
		}
	}
	if len(done) == 0 {
		return
	}
	w.line("## What the parts of AdaFisher calibrated are worth\n")
	w.line("The rule as it is, at its usual learning rate, and without one thing or another, for as many steps: test results and losses, mean and standard deviation over the seeds. A plus is clearly ahead of the whole rule, a minus clearly behind, by more than two standard errors of the difference.\n")
	head, line := "| | |", "|---|---|"
	for _, t := range done {
		head += fmt.Sprintf(" %s, %s | loss |", t.title, t.metric)
		line += "---:|---:|"
	}
	w.line("%s\n%s", head, line)
	for _, r := range ablations {
		row := fmt.Sprintf("| %s | %s |", strings.TrimPrefix(r.name, ablated), r.about)
		for _, t := range done {
			o, whole := of[key{Task: t.name, Optimizer: r.name}], of[key{Task: t.name, Optimizer: ablations[0].name}]
			if o == nil {
				row += " | |"
				continue
			}
			row += " " + o.cell(t)
			if f := o.final(t); f.ok() && o != whole {
				row += [...]string{level: "", ahead: " +", behind: " −"}[t.metric.compare(f, whole.final(t))]
			}
			row += " |"
			if f := o.finalLoss(); f.n > 0 {
				row += fmt.Sprintf(" %.4f ± %.4f", f.mean, f.std)
			}
			row += " |"
		}
		w.line("%s", row)
	}
	w.line("")
	var seeds []string
	for _, t := range done {
		seeds = append(seeds, fmt.Sprintf("%d on %s", len(of[key{Task: t.name, Optimizer: ablations[0].name}].finals), t.name))
	}
	w.line("Seeds: %s.\n", strings.Join(seeds, ", "))
}
