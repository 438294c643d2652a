package api

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzVector compares with encoding/json, which is more lenient: it takes null for
// 0 and for no list.
func FuzzVector(f *testing.F) {
	for _, seed := range []string{"[1, -2.5e3 ,0]", "[]", " [ ] ", "null", "[null]", "[1,]", "[1e39]", "[1e-60]", `["1"]`, "[[1]]", "[1 2]", "[-0]", "[01]", "[0x1]", "[1_0]", "{}", "3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got Vector
		var want []float32
		gotErr, wantErr := json.Unmarshal([]byte(text), &got), json.Unmarshal([]byte(text), &want)
		if strings.Contains(text, "null") {
			require.Error(t, gotErr)
			return
		}
		require.Equal(t, wantErr == nil, gotErr == nil, "%v, %v", gotErr, wantErr)
		if gotErr != nil {
			return
		}
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, math.Float32bits(want[i]), math.Float32bits(got[i]))
		}
	})
}

func TestRead(t *testing.T) {
	var l Learn
	require.NoError(t, Read(strings.NewReader(` {"input": [1], "label": 2} `), &l))
	all, err := l.All()
	require.NoError(t, err)
	require.Equal(t, Vector{1}, all[0].Input)
	require.Equal(t, 2, *all[0].Label)
	for text, want := range map[string]string{
		"":                 "ends too early",
		`{"input": [1]`:    "ends too early",
		`{"input": [1]} 1`: "more after",
		`{"inptu": [1]}`:   "unknown field",
	} {
		require.ErrorContains(t, Read(strings.NewReader(text), &l), want)
	}
}
