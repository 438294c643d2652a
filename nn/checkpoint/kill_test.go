package checkpoint_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn/checkpoint"
)

// victim names, in the environment, the file that a process saves to until it is
// killed.
const victim = "ADAFISHER_TEST_SAVE"

func TestMain(m *testing.M) {
	if path := os.Getenv(victim); path != "" {
		saveForever(path)
	}
	os.Exit(m.Run())
}

// saveForever continues with the content after the one on the disk, and prints
// the number of each that is safe.
func saveForever(path string) {
	n, err := strconv.Atoi(os.Args[len(os.Args)-1])
	for ; err == nil; n++ {
		if err = checkpoint.Save(path, sample(n)); err == nil {
			_, err = fmt.Println(n)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// A process that saves one content after the other is killed at a random moment,
// again and again. Each time, the last content that it has called safe, or a newer
// one, is there with the same bits.
func TestKill(t *testing.T) {
	kills := 220
	if testing.Short() {
		kills = 20
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "run.ckpt")
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	safe := -1 // the newest content that was called safe
	leftovers, between := 0, 0
	for kill := range kills {
		acknowledged := saveAndKill(t, path, safe+1, time.Duration(r.IntN(12_000))*time.Microsecond)
		safe = max(safe, acknowledged)

		before := names(t, dir)
		require.Subset(t, []string{"run.ckpt", "run.ckpt.prev", "run.ckpt.prev.tmp", "run.ckpt.tmp"}, before)
		if _, err := os.Stat(path + ".tmp"); err == nil {
			leftovers++
		}
		if safe < 0 {
			continue
		}
		// The file by itself first: Load would fall back, and clean.
		newest := checkSample(t, path)
		require.GreaterOrEqual(t, newest, safe)
		if newest > safe {
			between++
		}
		safe = newest
		if newest > 0 {
			require.LessOrEqual(t, checkSample(t, path+".prev"), newest)
		}
		// In every other round, cleaning is left to the next Save.
		if kill%2 == 0 {
			l := load(t, path)
			require.NoError(t, l.Skipped)
			requireSame(t, sample(newest), &l.Content)
			require.Subset(t, []string{"run.ckpt", "run.ckpt.prev"}, names(t, dir))
		}
	}
	require.NoError(t, checkpoint.Save(path, sample(safe+1)))
	require.Equal(t, []string{"run.ckpt", "run.ckpt.prev"}, names(t, dir))
	t.Logf("%d kills, %d contents saved; %d left a temporary file, %d came between rename and acknowledgement",
		kills, safe+2, leftovers, between)
}

// checkSample reads one file and returns the number of its content.
func checkSample(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	c, err := checkpoint.Decode(b)
	require.NoError(t, err)
	n := int(c.Ints["n"])
	requireSame(t, sample(n), c)
	return n
}

// saveAndKill starts a process that saves from content n on, kills it some time
// after the first that it has saved, and returns the last that it has called
// safe.
func saveAndKill(t *testing.T, path string, n int, after time.Duration) int {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, strconv.Itoa(n))
	cmd.Env = append(os.Environ(), victim+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	if err = cmd.Start(); errors.Is(err, syscall.ENOEXEC) {
		t.Skip("an emulated program can't start itself")
	}
	require.NoError(t, err)
	last := -1
	started, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if last < 0 {
				close(started)
			}
			last, _ = strconv.Atoi(lines.Text())
		}
	}()
	select {
	case <-started:
	case <-ended:
		t.Fatal("the process has ended by itself")
	}
	time.Sleep(after)
	require.NoError(t, cmd.Process.Kill())
	<-ended
	require.Error(t, cmd.Wait())
	return last
}
