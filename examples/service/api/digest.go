package api

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/adafisher-go/adafisher/nn/checkpoint"
)

// Digest returns the SHA-256 of the file that holds a checkpoint's content, in
// hexadecimal: what sha256sum prints.
func Digest(c *checkpoint.Content) string {
	h := sha256.New()
	if err := checkpoint.Encode(h, c); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}
