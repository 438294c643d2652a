package kernels

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// printLevels makes the test binary print the level in use and the available
// ones, and exit.
const printLevels = "ADAFISHER_TEST_PRINT_LEVELS"

func TestMain(m *testing.M) {
	if os.Getenv(printLevels) != "" {
		fmt.Println(CurrentLevel())
		fmt.Println(joinLevels(Levels()))
		os.Exit(0)
	}
	if err := requireLevels(os.Getenv("ADAFISHER_REQUIRE")); err != nil {
		fmt.Fprintln(os.Stderr, "ADAFISHER_REQUIRE:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// requireLevels returns an error unless every level of the comma-separated list
// is available, so that no level goes untested in silence.
func requireLevels(list string) error {
	if list == "" {
		return nil
	}
	for name := range strings.SplitSeq(list, ",") {
		l, err := ParseLevel(name)
		if err != nil {
			return err
		}
		if !slices.Contains(Levels(), l) {
			return fmt.Errorf("level %s would not be tested: have %s", l, joinLevels(Levels()))
		}
	}
	return nil
}

func TestRequireLevels(t *testing.T) {
	require.NoError(t, requireLevels(""))
	require.NoError(t, requireLevels("generic"))
	require.NoError(t, requireLevels(strings.ReplaceAll(joinLevels(Levels()), " ", "")))
	require.ErrorContains(t, requireLevels("generic,sse9"), `unknown level "sse9"`)
	require.ErrorContains(t, requireLevels("generic,"), `unknown level ""`)
	require.ErrorContains(t, requireLevels(missingLevel().String()), "would not be tested: have generic")
}

// missingLevel returns a level that no machine has beside the available ones.
func missingLevel() Level {
	for _, l := range []Level{AVX2, NEON} {
		if !slices.Contains(Levels(), l) {
			return l
		}
	}
	panic("x86 and ARM levels at once")
}

func TestParseLevel(t *testing.T) {
	for name, want := range map[string]Level{"generic": Generic, "avx2": AVX2, "avx512": AVX512, "neon": NEON} {
		got, err := ParseLevel(name)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, name, got.String())
	}
	for _, name := range []string{"", "AVX2", "avx", "sse2"} {
		_, err := ParseLevel(name)
		require.EqualError(t, err, fmt.Sprintf("kernels: unknown level %q: want one of generic, avx2, avx512, neon", name))
	}
	require.Equal(t, "Level(9)", Level(9).String())
}

func TestSetLevel(t *testing.T) {
	keepLevel(t)
	levels := Levels()
	require.Equal(t, Generic, levels[0])
	require.True(t, slices.IsSorted(levels))
	for _, l := range levels {
		require.NoError(t, SetLevel(l))
		require.Equal(t, l, CurrentLevel())
	}
	last := CurrentLevel()
	for _, l := range []Level{missingLevel(), 9} {
		require.EqualError(t, SetLevel(l),
			fmt.Sprintf("kernels: level %s is not available here: have %s", l, joinLevels(levels)))
		require.Equal(t, last, CurrentLevel())
	}
	levels[0] = 9
	require.Equal(t, Generic, Levels()[0], "Levels returns a copy")
}

// start runs the test binary with ADAFISHER_LEVEL and returns the level it
// uses, the levels it has, and what it logged.
func start(t *testing.T, value string) (level string, available []string, logged string) {
	exe, err := os.Executable()
	require.NoError(t, err)
	var stdout, stderr bytes.Buffer
	run := func(name string, args ...string) error {
		cmd := exec.Command(name, args...)
		cmd.Env = append(os.Environ(), printLevels+"=1", "ADAFISHER_LEVEL="+value)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		return cmd.Run()
	}
	err = run(exe)
	if errors.Is(err, syscall.ENOEXEC) { // the tests run under an emulator that the kernel does not know
		err = run("qemu-"+map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]+"-static", exe)
	}
	require.NoError(t, err, stderr.String())
	lines := strings.Split(stdout.String(), "\n")
	require.Len(t, lines, 3)
	return lines[0], strings.Split(lines[1], ", "), stderr.String()
}

func TestLevelFromEnvironment(t *testing.T) {
	level, levels, logged := start(t, "")
	fastest := levels[len(levels)-1]
	require.Equal(t, fastest, level)
	require.Empty(t, logged)

	for _, name := range append(levelNames[:], "avx9", "AVX2", " generic") {
		level, _, logged := start(t, name)
		if slices.Contains(levels, name) {
			require.Equal(t, name, level)
			require.Empty(t, logged)
			continue
		}
		require.Equal(t, fastest, level, "fallback from %q", name)
		require.Equal(t, 1, strings.Count(logged, "\n"), "warns once: %q", logged)
		require.Contains(t, logged, "WARN ADAFISHER_LEVEL ignored using="+fastest)
		require.Contains(t, logged, strings.TrimSpace(name))
	}
}
