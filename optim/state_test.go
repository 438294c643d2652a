package optim_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/kernels"
	"github.com/adafisher-go/adafisher/kron"
	"github.com/adafisher-go/adafisher/optim"
)

// TestResume continues from a state in a fresh optimizer on a copy of the
// parameters, and requires the same bits as without the interruption.
func TestResume(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		for _, at := range []int{0, 1, 4} { // before, on and between updates of the factors
			rng := rand.New(rand.NewPCG(18, 12))
			n := newNetwork(rng, 5, 7)
			opt := r.on(t, n)
			for range at {
				require.NoError(t, opt.Step(n.pass(rng)))
			}
			require.NoError(t, opt.SetLR(0.0123))
			state := opt.State()
			twin := n.clone()
			resumed := r.on(t, twin)
			require.Len(t, resumed.Params(), len(twin.Params()))
			for i, p := range resumed.Params() {
				require.Same(t, twin.Params()[i], p)
			}
			require.NoError(t, resumed.Restore(state))
			require.Equal(t, state, resumed.State())
			require.Equal(t, 0.0123, resumed.LR())
			for range 5 {
				pass := n.pass(rng)
				require.Equal(t, opt.NeedsStatistics(), resumed.NeedsStatistics())
				require.NoError(t, resumed.Step(n.transfer(pass, twin)))
				require.NoError(t, opt.Step(pass))
			}
			require.Equal(t, n.values(), twin.values())
			require.Equal(t, opt.State(), resumed.State())
			require.NotEqual(t, state, opt.State(), "the state is a copy")
		}
	})
}

func TestSaveState(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(21, 15))
		n := newNetwork(rng, 5, 7)
		opt := r.on(t, n)
		saved := &optim.State{Rule: "another", Counters: map[string]int64{"x": 1}}
		for range 3 {
			require.NoError(t, opt.Step(n.pass(rng)))
			opt.SaveState(saved)
			require.Equal(t, opt.State(), saved)
		}
		require.Zero(t, testing.AllocsPerRun(10, func() { opt.SaveState(saved) }))
		require.NoError(t, opt.Step(n.pass(rng)))
		require.NotEqual(t, opt.State(), saved, "what was saved is a copy")
		require.NoError(t, opt.Restore(saved))
		require.Equal(t, saved, opt.State())
		require.Zero(t, testing.AllocsPerRun(10, func() { _ = opt.Restore(saved) }))
	})
}

// TestRestoreRefuses spoils a state in every way; nothing moves.
func TestRestoreRefuses(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(19, 13))
		n := newNetwork(rng, 5, 7)
		opt := r.on(t, n)
		require.NoError(t, opt.Step(n.pass(rng)))
		before := opt.State()
		other := r.on(t, n.clone())

		spoils := map[string]func(*optim.State){
			`it is of "none": want "` + before.Rule + `"`:               func(s *optim.State) { s.Rule = "none" },
			"LR is -1: want a number in [0, ":                           func(s *optim.State) { s.LR = -1 },
			`counter "scale/steps" is -3: want a number from 0 to 2^53`: func(s *optim.State) { s.Counters["scale/steps"] = -3 },
			`counter "steps" is 9007199254740993: want`:                 func(s *optim.State) { s.Counters["steps"] = 1<<53 + 1 },
			`counter "a.bias/steps" is 9223372036854775807: want`:       func(s *optim.State) { s.Counters["a.bias/steps"] = math.MaxInt64 },
			`counter "a.bias/steps" is missing`:                         func(s *optim.State) { delete(s.Counters, "a.bias/steps"); s.Counters["x/steps"] = 1 },
			`counter "steps" is missing`:                                func(s *optim.State) { delete(s.Counters, "steps"); s.Counters["x/steps"] = 1 },
			`vector "more" is unknown`:                                  func(s *optim.State) { s.Vectors["more"] = nil },
			"counter \"scale/steps\" is missing\ncounter \"more\" is unknown\nvector \"x\" is unknown": func(s *optim.State) {
				delete(s.Counters, "scale/steps")
				s.Counters["more"], s.Vectors["x"] = 1, nil
			},
		}
		if _, calibrated := opt.(*optim.Calibrated); calibrated {
			spoils[`counter "b/updates" is missing`] = func(s *optim.State) { delete(s.Counters, "b/updates"); s.Counters["x"] = 1 }
			spoils[`counter "a/updates" is -1: want`] = func(s *optim.State) { s.Counters["a/updates"] = -1 }
			spoils[`counter "b/updates" is 9223372036854775807: want`] = func(s *optim.State) { s.Counters["b/updates"] = math.MaxInt64 }
			spoils["layer b: average of moment S has 2 entries: want 3"] = func(s *optim.State) { s.Vectors["b/S"] = s.Vectors["b/S"][:2] }
			spoils["layer a: average of moment H: entry 0 is -1: want finite numbers, 0 or more"] = func(s *optim.State) { s.Vectors["a/H"][0] = -1 }
			if before.Vectors["a/mean"] != nil {
				spoils["layer a: average of moment Mean: entry 0 is NaN: want finite numbers"] = func(s *optim.State) { s.Vectors["a/mean"][0] = nan }
				spoils["vector \"b/mean\" is missing\nvector \"c\" is unknown"] = func(s *optim.State) { delete(s.Vectors, "b/mean"); s.Vectors["c"] = nil }
			}
		}
		if _, fisher := opt.(*optim.AdaFisher); fisher {
			spoils["layer b: average of factor S has 2 entries: want 3"] = func(s *optim.State) { s.Vectors["b/S"] = s.Vectors["b/S"][:2] }
			spoils["layer a: average of factor H: entry 0 is NaN"] = func(s *optim.State) { s.Vectors["a/H"][0] = nan }
			spoils["vector \"b/H\" is missing\nvector \"c/H\" is unknown"] = func(s *optim.State) { delete(s.Vectors, "b/H"); s.Vectors["c/H"] = nil }
		}
		for key := range before.Vectors {
			parameter, moment, _ := strings.Cut(key, "/")
			if parameter != "b.weight" {
				continue
			}
			spoils[`vector "`+key+`" is missing`] = func(s *optim.State) { delete(s.Vectors, key); s.Vectors["x"] = nil }
			n := len(before.Vectors[key])
			spoils[fmt.Sprintf(`vector %q has %d entries: want %d`, key, n-1, n)] = func(s *optim.State) { s.Vectors[key] = s.Vectors[key][1:] }
			spoils[`vector "`+key+`" has an entry that is not finite`] = func(s *optim.State) { s.Vectors[key][n/5] = inf }
			if slices.Contains([]string{"second_moment", "largest_second_moment", "sum_of_squares", "mean_square"}, moment) {
				spoils[`vector "`+key+`" has a negative entry`] = func(s *optim.State) { s.Vectors[key][n/20] = -1 }
			}
		}
		for message, spoil := range spoils {
			state := other.State()
			spoil(state)
			require.ErrorContains(t, opt.Restore(state), "optim: "+opt.Name()+": ", message)
			require.ErrorContains(t, opt.Restore(state), message)
			require.Equal(t, before, opt.State(), message)
		}
		require.ErrorContains(t, opt.Restore(nil), "state: there is none")

		// The largest counters are good for a step, and for the next.
		last := other.State()
		for key := range last.Counters {
			last.Counters[key] = 1 << 53
		}
		require.NoError(t, opt.Restore(last))
		for range 2 {
			require.NoError(t, opt.Step(n.pass(rng)))
		}
		for _, p := range n.params {
			require.True(t, kernels.AllFinite(p.Value), p.Name)
		}
	})
}

// TestRestoreTellsStatesApart: the state of another rule, variant or form is
// refused, and changes nothing.
func TestRestoreTellsStatesApart(t *testing.T) {
	form := func(s *optim.State) string {
		return s.Rule + strings.Join(slices.Sorted(maps.Keys(s.Vectors)), " ")
	}
	on := func(r rule) optim.Optimizer { return r.on(t, newNetwork(rand.New(rand.NewPCG(20, 14)), 3, 4)) }
	forms := make(map[string]*optim.State)
	for _, r := range rules() {
		state := on(r).State()
		forms[form(state)] = state
	}
	// Calibrated in four forms, AdaFisher(W) in three variants, SGD with momentum or
	// not, Adam(W) with AMSGrad or not, Adagrad, RMSprop in four forms, Lion, Muon
	// with a matrix under AdamW or not.
	require.Len(t, forms, 4+6+2+4+1+4+1+2)
	for _, r := range rules() {
		opt := on(r)
		own := opt.State()
		for name, state := range forms {
			if name == form(own) {
				require.NoError(t, opt.Restore(state))
				require.NoError(t, opt.Restore(own))
			} else {
				require.ErrorContains(t, opt.Restore(state), "optim: "+opt.Name()+": state: ")
			}
			require.Equal(t, own, opt.State())
		}
	}
}

// TestSharedParameter: what the error about a parameter of two layers says to do works.
func TestSharedParameter(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(32, 1))
		n := newNetwork(rng, 5, 7)
		twin := n.clone()
		for _, m := range []*network{n, twin} {
			m.layers = append(m.layers, &kron.Layer{Name: "tied", Weight: m.layers[0].Weight})
		}
		if opt, err := r.construct(n); err == nil {
			require.NotContains(t, r.name, "AdaFisher")
			require.NotContains(t, r.name, "Calibrated")
			require.NoError(t, opt.Step(n.pass(rng)))
			return
		}
		n.layers, twin.layers = n.layers[:2], twin.layers[1:]
		for _, m := range []*network{n, twin} {
			opt := r.on(t, m)
			for range 2 {
				require.NoError(t, opt.Step(m.pass(rng)))
			}
		}
	})
}

// TestRestoreRefusesOtherModel restores what a model of other shapes, or of other
// names, left.
func TestRestoreRefusesOtherModel(t *testing.T) {
	eachRule(t, func(t *testing.T, r rule) {
		rng := rand.New(rand.NewPCG(31, 1))
		opt := r.on(t, newNetwork(rng, 5, 7))
		before := opt.State()
		renamed := newNetwork(rng, 5, 7)
		renamed.params[3].Name = "c.weight"
		require.ErrorContains(t, opt.Restore(r.on(t, renamed).State()), `"b.weight/`)
		if len(before.Vectors) > 0 {
			require.ErrorContains(t, opt.Restore(r.on(t, newNetwork(rng, 5, 8)).State()), " entries: want ")
		}
		require.Equal(t, before, opt.State())
	})
}
