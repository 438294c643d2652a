package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCommit: a commit is dirty if files differ from it, but for results.
func TestCommit(t *testing.T) {
	t.Chdir(t.TempDir())
	require.Equal(t, "unknown", Commit())
	git := func(args ...string) {
		text, err := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@b"}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", text)
	}
	write := func(path string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(path), 0o644))
	}
	git("init", "-q")
	write("a.go")
	git("add", ".")
	git("commit", "-q", "-m", "a")
	clean := Commit()
	require.Regexp(t, "^[0-9a-f]{12}$", clean)
	write("bench/results/x.json")
	require.Equal(t, clean, Commit())
	write("dir/b.go")
	require.Equal(t, clean+Dirty, Commit())
	t.Chdir("dir")
	require.Equal(t, clean+Dirty, Commit())
}
