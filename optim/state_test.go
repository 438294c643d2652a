package optim_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

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
			require.NoError(t, resumed.Restore(state))
			require.Equal(t, state, resumed.State())
			require.Equal(t, 0.0123, resumed.LR())
			for range 5 {
				pass := n.pass(rng)
				require.Equal(t, opt.NeedsStatistics(), resumed.NeedsStatistics())
				require.NoError(t, opt.Step(pass))
				require.NoError(t, resumed.Step(n.transfer(pass, twin)))
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

		moment := map[string]string{"SGD": "velocity", "Adam": "first_moment", "AdamW": "first_moment"}[opt.Name()]
		spoils := map[string]func(*optim.State){
			`it is of "none": want "` + before.Rule + `"`: func(s *optim.State) { s.Rule = "none" },
			"LR is -1: want a number in [0, ":             func(s *optim.State) { s.LR = -1 },
			"it has 4 counters: want 5":                   func(s *optim.State) { delete(s.Counters, "steps") },
			`counter "scale/steps" is -3: want 0 or more`: func(s *optim.State) { s.Counters["scale/steps"] = -3 },
			`counter "a.bias/steps" is missing`:           func(s *optim.State) { delete(s.Counters, "a.bias/steps"); s.Counters["x/steps"] = 1 },
			`counter "steps" is missing`:                  func(s *optim.State) { delete(s.Counters, "steps"); s.Counters["x/steps"] = 1 },
			"vectors: want":                               func(s *optim.State) { s.Vectors["more"] = nil },
		}
		if _, fisher := opt.(*optim.AdaFisher); fisher {
			moment = "momentum"
			spoils["layer b: average of factor S has 2 entries: want 3"] = func(s *optim.State) { s.Vectors["b/S"] = s.Vectors["b/S"][:2] }
			spoils["layer a: average of factor H has an entry that is negative or not finite"] = func(s *optim.State) { s.Vectors["a/H"][0] = nan }
			spoils["layer b: average of factor H has 0 entries"] = func(s *optim.State) { delete(s.Vectors, "b/H"); s.Vectors["c/H"] = nil }
		}
		key := "b.weight/" + moment
		spoils[`vector "`+key+`" is missing`] = func(s *optim.State) { delete(s.Vectors, key); s.Vectors["x"] = nil }
		spoils[`vector "`+key+`" has 20 entries: want 21`] = func(s *optim.State) { s.Vectors[key] = s.Vectors[key][1:] }
		spoils[`vector "`+key+`" has an entry that is not finite`] = func(s *optim.State) { s.Vectors[key][4] = inf }
		if moment == "first_moment" {
			spoils[`vector "scale/second_moment" has a negative entry`] = func(s *optim.State) { s.Vectors["scale/second_moment"][1] = -1 }
		}
		for message, spoil := range spoils {
			state := other.State()
			spoil(state)
			require.ErrorContains(t, opt.Restore(state), "optim: "+opt.Name()+": ", message)
			require.ErrorContains(t, opt.Restore(state), message)
			require.Equal(t, before, opt.State(), message)
		}
		require.ErrorContains(t, opt.Restore(nil), "state: there is none")
	})
}

// TestRestoreTellsVariantsApart: averages of one variant mean nothing to
// another.
func TestRestoreTellsVariantsApart(t *testing.T) {
	states := make(map[string]*optim.State)
	for _, r := range rules() {
		rng := rand.New(rand.NewPCG(20, 14))
		opt := r.on(t, newNetwork(rng, 3, 4))
		states[opt.State().Rule] = opt.State()
	}
	require.Len(t, states, 6+1+2)
	for _, r := range rules() {
		rng := rand.New(rand.NewPCG(20, 14))
		opt := r.on(t, newNetwork(rng, 3, 4))
		for name, state := range states {
			if name == opt.State().Rule {
				require.NoError(t, opt.Restore(state))
			} else {
				require.ErrorContains(t, opt.Restore(state), "it is of")
			}
		}
	}
}
