package opticks_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adafisher-go/adafisher/nn/data"
	"github.com/adafisher-go/adafisher/nn/data/opticks"
)

func TestText(t *testing.T) {
	text := opticks.Text()
	require.Len(t, text, 567_198)
	sum := sha256.Sum256([]byte(text))
	require.Equal(t, "d4a9ac22462b35e7821a4f2706c211093da678620a8f9997989ee7cf8d507bbd", hex.EncodeToString(sum[:]))
	require.Contains(t, text, "By Sir _ISAAC NEWTON_, Knt.")

	vocabulary, err := data.Characters(text)
	require.NoError(t, err)
	require.Equal(t, 91, vocabulary.Len())
	tokens, err := vocabulary.Encode(text)
	require.NoError(t, err)
	again, err := vocabulary.Decode(tokens)
	require.NoError(t, err)
	require.True(t, text == again)
}

// The Go distribution has the same file.
func TestTextIsTheOneInGo(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	var original []byte
	if err == nil {
		original, err = os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", "testdata", "Isaac.Newton-Opticks.txt"))
	}
	if err != nil {
		t.Log("only the checksum was compared:", err)
		return
	}
	require.True(t, string(original) == opticks.Text())
}
