// Package cli reads command-line flags whose values have a stated range, so that
// a wrong value gives one line that names the flag and the range.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Status returns the exit status of a program that ended with err: 0 for nil, 2
// if the flags were wrong, as package flag has it, and 1 otherwise.
func Status(err error) int {
	var wrong flagError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		return 2
	default:
		return 1
	}
}

// flagError is an error in the flags, of one line.
type flagError string

func (e flagError) Error() string { return string(e) }

// Flags is a set of flags. Each definition says the range in its usage and in
// its errors, in the same words.
type Flags struct {
	set   *flag.FlagSet
	about string
}

// New returns an empty set. The text about the program opens its usage.
func New(program, about string) *Flags {
	set := flag.NewFlagSet(program, flag.ContinueOnError)
	set.SetOutput(io.Discard) // errors are returned, and the usage is asked for
	return &Flags{set, about}
}

// Parse reads the arguments. It returns [flag.ErrHelp] where they ask for the
// usage; any other error is one line.
func (f *Flags) Parse(args []string) error {
	err := f.set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return flagError(err.Error())
	case f.set.NArg() > 0:
		return flagError(fmt.Sprintf("unexpected argument %q: want flags alone, see -help", f.set.Arg(0)))
	}
	return nil
}

// Given reports whether the arguments set the flag.
func (f *Flags) Given(name string) bool {
	given := false
	f.set.Visit(func(g *flag.Flag) { given = given || g.Name == name })
	return given
}

// Invalid returns the error for a flag's value that only turned out wrong after
// Parse. The range completes the sentence "want ..".
func (f *Flags) Invalid(name, accepted string) error {
	return flagError(fmt.Sprintf("invalid value %q for flag -%s: want %s", f.set.Lookup(name).Value, name, accepted))
}

// Usage writes what the program is and its flags.
func (f *Flags) Usage(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\nFlags:\n", f.about)
	f.set.SetOutput(&text)
	f.set.PrintDefaults()
	f.set.SetOutput(io.Discard)
	_, err := io.WriteString(w, text.String())
	return err
}

// value is a flag of any type.
type value[T any] struct {
	target *T
	parse  func(string) (T, bool)
	format func(T) string
	want   string
}

func (v *value[T]) String() string {
	if v.target == nil { // package flag asks an empty value for its default
		return ""
	}
	return v.format(*v.target)
}

func (v *value[T]) Set(s string) error {
	t, ok := v.parse(s)
	if !ok {
		return errors.New("want " + v.want)
	}
	*v.target = t
	return nil
}

// IsBoolFlag tells package flag which flags may stand without a value.
func (v *value[T]) IsBoolFlag() bool {
	_, is := any(v.target).(*bool)
	return is
}

// define adds a flag. usage may name its value in back quotes.
func define[T any](f *Flags, name string, initial T, usage, want string, format func(T) string, parse func(string) (T, bool)) *T {
	v := &value[T]{&initial, parse, format, want}
	if !v.IsBoolFlag() {
		usage += ": " + want
	}
	f.set.Var(v, name, usage)
	return v.target
}

// Int defines a flag for the integers from first to last.
func (f *Flags) Int(name string, initial, first, last int, usage string) *int {
	want := fmt.Sprintf("an integer from %d to %d", first, last)
	return define(f, name, initial, usage, want, strconv.Itoa, func(s string) (int, bool) {
		n, err := strconv.Atoi(s)
		return n, err == nil && n >= first && n <= last
	})
}

// Uint64 defines a flag for the integers from 0 to 2^64-1.
func (f *Flags) Uint64(name string, initial uint64, usage string) *uint64 {
	format := func(n uint64) string { return strconv.FormatUint(n, 10) }
	want := fmt.Sprintf("an integer from 0 to %d", uint64(math.MaxUint64))
	return define(f, name, initial, usage, want, format, func(s string) (uint64, bool) {
		n, err := strconv.ParseUint(s, 10, 64)
		return n, err == nil
	})
}

// Positive defines a flag for the numbers above 0, up to last. Without the flag
// it is 0, which the usage has to explain.
func (f *Flags) Positive(name string, last float64, usage string) *float64 {
	format := func(x float64) string {
		if x == 0 {
			return ""
		}
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	want := fmt.Sprintf("a number above 0, at most %g", last)
	return define(f, name, 0, usage, want, format, func(s string) (float64, bool) {
		x, err := strconv.ParseFloat(s, 64)
		return x, err == nil && x > 0 && x <= last
	})
}

// Ints defines a flag for a list of 1 to most integers from first to last, with
// commas between them.
func (f *Flags) Ints(name string, initial []int, most, first, last int, usage string) *[]int {
	format := func(list []int) string {
		words := make([]string, len(list))
		for i, n := range list {
			words[i] = strconv.Itoa(n)
		}
		return strings.Join(words, ",")
	}
	want := fmt.Sprintf("1 to %d integers from %d to %d with commas between them", most, first, last)
	return define(f, name, initial, usage, want, format, func(s string) ([]int, bool) {
		var list []int
		for word := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(word)
			if err != nil || n < first || n > last || len(list) == most {
				return nil, false
			}
			list = append(list, n)
		}
		return list, true
	})
}

// Names defines a flag for a list of different names out of those accepted,
// with commas between them. Case doesn't matter; the result has the accepted
// spelling.
func (f *Flags) Names(name string, initial, accepted []string, usage string) *[]string {
	format := func(list []string) string { return strings.Join(list, ",") }
	want := "one or several of " + strings.Join(accepted, ", ") + ", each once, with commas between them"
	return define(f, name, initial, usage, want, format, func(s string) ([]string, bool) {
		var list []string
		for word := range strings.SplitSeq(s, ",") {
			word, ok := spelling(word, accepted)
			if !ok || slices.Contains(list, word) {
				return nil, false
			}
			list = append(list, word)
		}
		return list, true
	})
}

// Name defines a flag for one of the accepted names. Case doesn't matter; the
// result has the accepted spelling.
func (f *Flags) Name(name, initial string, accepted []string, usage string) *string {
	want := "one of " + strings.Join(accepted, ", ")
	return define(f, name, initial, usage, want, identity, func(s string) (string, bool) {
		return spelling(s, accepted)
	})
}

func spelling(word string, accepted []string) (string, bool) {
	i := slices.IndexFunc(accepted, func(a string) bool { return strings.EqualFold(a, word) })
	if i < 0 {
		return "", false
	}
	return accepted[i], true
}

// File defines a flag for the name of a file with one of the given endings.
func (f *Flags) File(name, initial string, endings []string, usage string) *string {
	want := "a file name that ends in " + strings.Join(endings, " or ")
	return define(f, name, initial, usage, want, identity, func(s string) (string, bool) {
		lower := strings.ToLower(s)
		return s, slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(lower, e) })
	})
}

func identity(s string) string { return s }

// String defines a flag for any text.
func (f *Flags) String(name, initial, usage string) *string {
	return f.set.String(name, initial, usage)
}

// Bool defines a flag that is false unless it is given.
func (f *Flags) Bool(name, usage string) *bool {
	format := func(b bool) string {
		if !b {
			return "" // no default worth a word in the usage
		}
		return "true"
	}
	return define(f, name, false, usage, "true or false", format, func(s string) (bool, bool) {
		b, err := strconv.ParseBool(s)
		return b, err == nil
	})
}
