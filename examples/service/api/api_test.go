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
	require.NoError(t, Read([]byte(` {"input": [1], "label": 2} `), &l))
	all, err := l.All()
	require.NoError(t, err)
	require.Equal(t, Vector{1}, all[0].Input)
	require.Equal(t, 2, *all[0].Label)
	for text, want := range map[string]string{
		"":                 "the JSON text ends too early",
		`{"input": [1]`:    "the JSON text ends too early",
		`{"input": [1]} 1`: "there is more after the JSON value",
		`{"input": [1]} x`: "there is more after the JSON value",
		`{"input": [x]}`:   "it is not JSON: byte 12: invalid character 'x' looking for beginning of value",
		`{"inptu": [1]}`:   `there is no member "inptu"`,
		`[]`:               "the value is list: want an object",
		`3`:                "the value is number: want an object",

		`{"input": [1], "label": 1.5}`:  `"label" is number 1.5: want an integer`,
		`{"input": [1], "label": 1e30}`: `"label" is number 1e30: want an integer`,
		`{"input": [1], "label": "3"}`:  `"label" is string: want an integer`,
		`{"input": [1], "label": [3]}`:  `"label" is list: want an integer`,
		`{"input": 1, "label": 3}`:      `"input": want a list of numbers`,
		`{"input": [1, null]}`:          `"input": number 1 is "null": want a number`,
		`{"inputs": [[1], null]}`:       "input 1: want a list of numbers",
		`{"inputs": [[1], [2, "3"]]}`:   `input 1: number 1 is "\"3\"": want a number`,
		`{"inputs": [[1e39]]}`:          `input 0: number 0 is "1e39": want a number that float32 has room for`,
		`{"examples": 3}`:               `"examples" is number: want a list`,
		`{"examples": [3]}`:             "example 0: the value is number: want an object",

		`{"examples": [{"input": [1], "label": 1}, {"input": null, "label": 2}]}`: `example 1: "input": want a list of numbers`,
		`{"examples": [{"input": [1], "label": 1.5}]}`:                            `example 0: "label" is number 1.5: want an integer`,
		`{"examples": [{"input": [1], "lable": 1}]}`:                              `example 0: there is no member "lable"`,
	} {
		v := any(new(Learn))
		if strings.Contains(text, "inputs") {
			v = new(Predict)
		}
		require.EqualError(t, Read([]byte(text), v), want, text)
	}
}

func TestAll(t *testing.T) {
	for text, want := range map[string]string{
		`{"input": [1]}`: `"label" is missing: want an integer, the class of the input`,
		`{"examples": [{"input": [1], "label": 1}, {"input": [1], "label": null}]}`: `example 1: "label" is missing: want an integer, the class of the input`,
	} {
		var l Learn
		require.NoError(t, Read([]byte(text), &l))
		_, err := l.All()
		require.EqualError(t, err, want)
	}
}

// FuzzReadUsual compares the short way of Read with the long one.
func FuzzReadUsual(f *testing.F) {
	for _, seed := range []string{
		`{"input":[1,-2.5e3,0]}`, " {\n\"input\" : [ 1 ,\t-0 ] }\r\n", `{"inputs":[[0.5],[1,2]]}`, `{"inputs": [ [1e-60] , [2E+2] ] }`,
		`{"input":[01]}`, `{"input":[1.]}`, `{"input":[.5]}`, `{"input":[1e]}`, `{"input":[0x1]}`, `{"input":[1_0]}`, `{"input":[+1]}`,
		`{"input":[NaN]}`, `{"input":[-]}`, `{"input":[1e39]}`, `{"input":[]}`, `{"input":[1,]}`, `{"input":[1]]}`, `{"input":[1]},`,
		`{"input":[1],"input":[2]}`, `{"inputs":[[1],]}`, `{"inputs":[]}`, `{"inputs":[[1]}`, `{"Input":[1]}`, `{"inputs":[1]}`, `{}`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var short, long Predict
		if !short.readUsual(text) {
			require.Zero(t, short)
			return
		}
		require.NoError(t, readAny(text, &long))
		require.Equal(t, long.Inputs == nil, short.Inputs == nil)
		require.Len(t, short.Inputs, len(long.Inputs))
		for i, v := range append(long.Inputs, long.Input) {
			got := append(short.Inputs, short.Input)[i]
			require.Len(t, got, len(v))
			for j := range v {
				require.Equal(t, math.Float32bits(v[j]), math.Float32bits(got[j]))
			}
		}
	})
}

// TestReadUsual: what clients of package api send goes the short way.
func TestReadUsual(t *testing.T) {
	for _, want := range []Predict{
		{Input: Vector{0, 0.0625, -1e-20, 1e20, 3}},
		{Inputs: []Vector{{1}, {2, math.MaxFloat32}}},
	} {
		text, err := json.Marshal(want)
		require.NoError(t, err)
		for _, pretty := range []string{string(text), " " + strings.ReplaceAll(string(text), ",", " ,\n") + "\n"} {
			var got Predict
			require.True(t, got.readUsual([]byte(pretty)), pretty)
			require.Equal(t, want, got)
		}
	}
}
