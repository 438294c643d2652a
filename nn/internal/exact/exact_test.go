package exact

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrite(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		parts   []string
		fails   error
		written string
		err     string
	}{
		{parts: []string{"abc", "de"}, written: "abcde"},
		{parts: []string{"abc"}, written: "abc", err: "its function wrote 3 bytes: want 5"},
		{parts: []string{"abc", "def"}, written: "abc", err: "its function writes more than the 2 bytes left"},
		{parts: []string{"abcde"}, fails: broken, written: "abcde", err: "broken"},
	} {
		var b bytes.Buffer
		n, err := Write(&b, 5, func(w io.Writer) error {
			for _, p := range c.parts {
				if _, err := io.WriteString(w, p); err != nil {
					return err
				}
			}
			return c.fails
		})
		require.Equal(t, c.written, b.String())
		require.Equal(t, int64(len(c.written)), n)
		if c.err == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, c.err)
		}
	}
}
