package optim

import (
	"fmt"
	"math"

	"github.com/adafisher-go/adafisher/kron"
)

// A Group is a set of parameters with a learning rate or a weight decay of their
// own. Parameters in no group have the factors 1.
type Group struct {
	Params     []*kron.Param
	LRScale    float64 // times the learning rate; above 0
	DecayScale float64 // times the weight decay; 0 or more
}

// NoDecay returns the group of the parameters that usually go without weight
// decay: those of one dimension, which are biases and the scales and shifts of
// normalisations. A model without any gives no group.
//
//	config := optim.AdamWDefaults()
//	config.Groups = optim.NoDecay(model)
func NoDecay(m Model) []Group {
	if isNil(m) {
		return nil
	}
	g := Group{LRScale: 1}
	for _, p := range m.Params() {
		if p != nil && len(p.Shape) < 2 {
			g.Params = append(g.Params, p)
		}
	}
	if g.Params == nil {
		return nil
	}
	return []Group{g}
}

// group gives the parameters the factors of their groups.
func (c *core) group(groups []Group, weightDecay float64) error {
	in := make(map[*kron.Param]int)
	for i, g := range groups {
		if len(g.Params) == 0 {
			return fmt.Errorf("group %d has no parameters", i)
		}
		if !(g.LRScale > 0 && g.LRScale <= math.MaxFloat32) {
			return fmt.Errorf("group %d: LRScale is %v: want a number above 0; freeze parameters that should stay", i, g.LRScale)
		}
		if !(g.DecayScale >= 0 && g.DecayScale <= maxDecay/max(1, weightDecay)) {
			return fmt.Errorf("group %d: DecayScale is %v: want a number in [0, %v]", i, g.DecayScale, maxDecay/max(1, weightDecay))
		}
		for k, p := range g.Params {
			if p == nil {
				return fmt.Errorf("group %d: parameter %d is nil", i, k)
			}
			s := c.index[p]
			if s == nil {
				return fmt.Errorf("group %d: parameter %s is not one of the model", i, p.Name)
			}
			if before, ok := in[p]; ok {
				return fmt.Errorf("group %d: parameter %s is in group %d, too", i, p.Name, before)
			}
			in[p] = i
			s.lr, s.decay = g.LRScale, g.DecayScale
		}
	}
	return nil
}
