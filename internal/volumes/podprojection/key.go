package podprojection

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/replace"
	"laterna.dev/laterna/internal/redacted"
)

// KeyFile is the name of the key's file in the data directory.
const KeyFile = "podprojection.key"

const keySize = 32

// Key makes digests. Whoever has it can find out by trying which guess of a secret a
// digest belongs to, so it stays on the node. It prints as [redacted].
type Key struct{ redacted.Text }

// OpenKey reads the key from the data directory, making it (0600) where there is none.
func OpenKey(dir string) (Key, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Key{}, fmt.Errorf("opening the data directory: %w", err)
	}
	defer root.Close()
	raw, err := bounded.Below(root, KeyFile, bounded.Small)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newKey(root)
	case err != nil:
		return Key{}, fmt.Errorf("reading the key of digests: %w", err)
	case len(raw) != keySize:
		return Key{}, fmt.Errorf("the key of digests in %s has %d bytes, not %d: remove the file, a new one is made", filepath.Join(dir, KeyFile), len(raw), keySize)
	}
	if err := root.Chmod(KeyFile, 0o600); err != nil {
		return Key{}, fmt.Errorf("closing the key of digests to others: %w", err)
	}
	return Key{redacted.New(string(raw))}, nil
}

// newKey makes a key that is on disk before a digest is made with it.
func newKey(root *os.Root) (Key, error) {
	raw := make([]byte, keySize)
	if _, err := rand.Read(raw); err != nil {
		return Key{}, fmt.Errorf("making the key of digests: %w", err)
	}
	if err := replace.Below(root, KeyFile, raw, 0o600); err != nil {
		return Key{}, fmt.Errorf("making the key of digests: %w", err)
	}
	return Key{redacted.New(string(raw))}, nil
}

// digest is what an object says of a tree with the given SHA-256. The namespace is part
// of it: who sees digests of one namespace and can make volumes in another must not be
// able to compare guesses.
func (k Key) digest(namespace string, tree []byte) string {
	if len(tree) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(k.Reveal()))
	fmt.Fprintf(mac, "laterna volume digest\x00%s\x00", namespace)
	mac.Write(tree)
	return v1alpha1.DigestPrefix + hex.EncodeToString(mac.Sum(nil))
}
