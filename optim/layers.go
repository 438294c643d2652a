package optim

import (
	"fmt"

	"github.com/adafisher-go/adafisher/kron"
)

// averages are the running averages of one layer's statistics: [kron.Factors] or
// [kron.Moments].
type averages interface {
	Layer() *kron.Layer
	Stage(kron.Statistics) error
	Commit()
}

// factored is a factored layer and its averages.
type factored[A averages] struct {
	averages A
	checked  uint64 // the last check that met statistics of it

	keyH, keyS, keyMean, counter string // in a State
}

// layers are the factored layers of a model.
type layers[A averages] struct {
	list   []factored[A]                // in the model's order, but for those left out
	index  map[*kron.Layer]*factored[A] // nil for those left out
	owners map[*kron.Param]*factored[A] // of weights and biases
}

// newLayers makes the averages of the model's layers. average may leave a layer out.
func newLayers[A averages](m Model, average func(*kron.Layer) (a A, use bool, err error)) (layers[A], error) {
	all := m.Layers()
	ls := layers[A]{
		list:   make([]factored[A], 0, len(all)),
		index:  make(map[*kron.Layer]*factored[A], len(all)),
		owners: make(map[*kron.Param]*factored[A]),
	}
	params := make(map[*kron.Param]bool)
	for _, p := range m.Params() {
		params[p] = true
	}
	names := make(map[string]bool, len(all))
	for _, l := range all {
		a, use, err := average(l)
		if err != nil {
			return ls, err
		}
		if !use {
			ls.index[l] = nil
			continue
		}
		if names[l.Name] {
			return ls, fmt.Errorf("two layers of the model are named %q", l.Name)
		}
		names[l.Name] = true
		ls.list = append(ls.list, factored[A]{
			averages: a, keyH: l.Name + "/H", keyS: l.Name + "/S", keyMean: l.Name + "/mean", counter: l.Name + "/updates",
		})
		own := &ls.list[len(ls.list)-1]
		ls.index[l] = own
		for _, p := range []*kron.Param{l.Weight, l.Bias} {
			if p == nil {
				continue
			}
			if !params[p] {
				return ls, fmt.Errorf("layer %s: its parameter %s is not one of the model", l.Name, p.Name)
			}
			if other := ls.owners[p]; other != nil {
				return ls, fmt.Errorf("layers %s and %s share the parameter %s: leave one of them out of Layers, and its statistics out of passes",
					other.averages.Layer().Name, l.Name, p.Name)
			}
			ls.owners[p] = own
		}
	}
	return ls, nil
}

// stage prepares the next averages of the layers that the pass, of which this is the
// check, has statistics of. It changes none.
func (ls *layers[A]) stage(p *kron.Pass, check uint64) error {
	for i, st := range p.Statistics {
		l, known := ls.index[st.Layer]
		if err := checkStatistics(i, st.Layer, known, l != nil && l.checked == check); err != nil {
			return err
		}
		if l == nil {
			continue
		}
		if err := l.averages.Stage(st); err != nil {
			return err
		}
		l.checked = check
	}
	return nil
}

// checkStatistics returns an error unless statistics number i of a pass are those of a
// layer of the model, which the pass has once.
func checkStatistics(i int, l *kron.Layer, known, twice bool) error {
	switch {
	case l == nil:
		return fmt.Errorf("statistics %d of the pass have no layer", i)
	case !known:
		return fmt.Errorf("statistics of layer %s: it is not one of the model", l.Name)
	case twice:
		return fmt.Errorf("statistics of layer %s: the pass has them twice", l.Name)
	}
	return nil
}

func missingStatistics(l *kron.Layer, step int64) error {
	return fmt.Errorf("statistics of layer %s are missing: step %d updates their averages", l.Name, step)
}

// stageMoving is stage for the pass that c has prepared. It fails where statistics are
// missing of a layer with a parameter that moves.
func (ls *layers[A]) stageMoving(p *kron.Pass, c *core) error {
	if err := ls.stage(p, c.check); err != nil {
		return err
	}
	for _, s := range c.moving {
		if l := ls.owners[s.param]; l != nil && l.checked != c.check {
			return missingStatistics(l.averages.Layer(), c.steps)
		}
	}
	return nil
}

// commit makes what stage prepared current.
func (ls *layers[A]) commit(check uint64) {
	for i := range ls.list {
		if l := &ls.list[i]; l.checked == check {
			l.averages.Commit()
		}
	}
}

// commitAll makes current what was staged from a State.
func (ls *layers[A]) commitAll() {
	for i := range ls.list {
		ls.list[i].averages.Commit()
	}
}

// nameMoments adds the names that moments have in a state.
func nameMoments(ls *layers[*kron.Moments], to *stateNames) {
	for _, l := range ls.list {
		to.counters = append(to.counters, l.counter)
		to.vectors = append(to.vectors, l.keyH, l.keyS)
		if _, _, mean, _ := l.averages.Averages(); len(mean) > 0 {
			to.vectors = append(to.vectors, l.keyMean)
		}
	}
}

// saveMoments stores a copy of the moments in a state.
func saveMoments(ls *layers[*kron.Moments], st *State) {
	for i := range ls.list {
		l := &ls.list[i]
		h, s, mean, updates := l.averages.Averages()
		st.save(l.keyH, h)
		st.save(l.keyS, s)
		if len(mean) > 0 {
			st.save(l.keyMean, mean)
		}
		st.Counters[l.counter] = updates
	}
}

// stageMoments prepares the moments of a state.
func stageMoments(ls *layers[*kron.Moments], st *State) error {
	for i := range ls.list {
		l := &ls.list[i]
		if err := checkCounter(st, l.counter); err != nil {
			return err
		}
		if err := l.averages.StageAverages(st.Vectors[l.keyH], st.Vectors[l.keyS], st.Vectors[l.keyMean], st.Counters[l.counter]); err != nil {
			return err
		}
	}
	return nil
}
