package cli

import (
	"errors"
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type settings struct {
	flags *Flags
	n     *int
	seed  *uint64
	rate  *float64
	list  *[]int
	names *[]string
	name  *string
	file  *string
	text  *string
	on    *bool
}

func newSettings() settings {
	f := New("prog", "prog does it.")
	return settings{
		flags: f,
		n:     f.Int("n", 3, 1, 9, "how many"),
		seed:  f.Uint64("seed", 1, "the seed"),
		rate:  f.Positive("rate", 10, "the rate"),
		list:  f.Ints("list", []int{4, 5}, 3, 1, 8, "some sizes"),
		names: f.Names("names", []string{"One"}, []string{"One", "Two"}, "some names"),
		name:  f.Name("name", "One", []string{"One", "Two"}, "a name"),
		file:  f.File("file", "a.svg", []string{".svg", ".png"}, "a picture"),
		text:  f.String("text", "", "any text"),
		on:    f.Bool("on", "switches it on"),
	}
}

func TestDefaults(t *testing.T) {
	s := newSettings()
	require.NoError(t, s.flags.Parse(nil))
	require.Equal(t, 3, *s.n)
	require.Equal(t, uint64(1), *s.seed)
	require.Zero(t, *s.rate)
	require.Equal(t, []int{4, 5}, *s.list)
	require.Equal(t, []string{"One"}, *s.names)
	require.Equal(t, "One", *s.name)
	require.Equal(t, "a.svg", *s.file)
	require.False(t, *s.on)
	require.False(t, s.flags.Given("n"))
}

func TestValues(t *testing.T) {
	s := newSettings()
	require.NoError(t, s.flags.Parse([]string{"-n", "9", "-seed=18446744073709551615", "-rate", "1e-3", "-list", "8,1,1",
		"-names", "tWo,one", "-name", "TWO", "-file", "x/y.PNG", "-text", "-1", "-on"}))
	require.Equal(t, 9, *s.n)
	require.Equal(t, ^uint64(0), *s.seed)
	require.Equal(t, 1e-3, *s.rate)
	require.Equal(t, []int{8, 1, 1}, *s.list)
	require.Equal(t, []string{"Two", "One"}, *s.names)
	require.Equal(t, "Two", *s.name)
	require.Equal(t, "x/y.PNG", *s.file)
	require.Equal(t, "-1", *s.text)
	require.True(t, *s.on)
	require.True(t, s.flags.Given("n"))
}

func TestWrongValues(t *testing.T) {
	const (
		integer = "want an integer from 1 to 9"
		rate    = "want a number above 0, at most 10"
		list    = "want 1 to 3 integers from 1 to 8 with commas between them"
		names   = "want one or several of One, Two, each once, with commas between them"
		file    = "want a file name that ends in .svg or .png"
	)
	for _, c := range []struct{ flag, value, want string }{
		{"n", "0", integer},
		{"n", "10", integer},
		{"n", "1.5", integer},
		{"n", "", integer},
		{"n", "99999999999999999999", integer},
		{"seed", "-1", "want an integer from 0 to 18446744073709551615"},
		{"seed", "18446744073709551616", "want an integer from 0 to 18446744073709551615"},
		{"rate", "0", rate},
		{"rate", "-1", rate},
		{"rate", "10.1", rate},
		{"rate", "NaN", rate},
		{"rate", "inf", rate},
		{"rate", "fast", rate},
		{"list", "", list},
		{"list", "1,2,3,4", list},
		{"list", "1,,2", list},
		{"list", "9", list},
		{"names", "One,Three", names},
		{"names", "One,one", names},
		{"names", "", names},
		{"name", "One,Two", "want one of One, Two"},
		{"file", "a.pdf", file},
		{"file", "", file},
		{"on", "maybe", "want true or false"},
	} {
		s := newSettings()
		err := s.flags.Parse([]string{"-" + c.flag + "=" + c.value})
		require.ErrorContains(t, err, c.want, "-%s=%s", c.flag, c.value)
		require.ErrorContains(t, err, "-"+c.flag)
		require.NotContains(t, err.Error(), "\n")
		require.Equal(t, 2, Status(err))
	}
}

func TestWrongArguments(t *testing.T) {
	for want, args := range map[string][]string{
		"flag provided but not defined: -x": {"-x"},
		"flag needs an argument: -n":        {"-n"},
		`unexpected argument "7"`:           {"-n", "2", "7"},
	} {
		err := newSettings().flags.Parse(args)
		require.ErrorContains(t, err, want)
		require.Equal(t, 2, Status(err))
	}
	require.ErrorIs(t, newSettings().flags.Parse([]string{"-help"}), flag.ErrHelp)
}

func TestInvalid(t *testing.T) {
	s := newSettings()
	require.NoError(t, s.flags.Parse([]string{"-n", "9"}))
	err := s.flags.Invalid("n", "at most the 7 there are")
	require.EqualError(t, err, `invalid value "9" for flag -n: want at most the 7 there are`)
	require.Equal(t, 2, Status(err))
}

func TestStatus(t *testing.T) {
	require.Equal(t, 0, Status(nil))
	require.Equal(t, 1, Status(errors.New("the disk is full")))
}

func TestUsageNamesFlagsRangesAndDefaults(t *testing.T) {
	var text strings.Builder
	require.NoError(t, newSettings().flags.Usage(&text))
	for _, want := range []string{
		"prog does it.",
		"how many: an integer from 1 to 9 (default 3)",
		"some sizes: 1 to 3 integers from 1 to 8 with commas between them (default 4,5)",
		"one of One, Two (default One)",
		"switches it on\n",
	} {
		require.Contains(t, text.String(), want)
	}
}
