// Package atrest encrypts what must not be readable in copies of the store:
// Secrets and signing keys.
//
// It owns the key file and the encryption. It protects copies of the store (a
// backup, a disk, an etcd elsewhere), not the machine that holds the key file.
// Which resources are encrypted is decided in internal/apiserver.
package atrest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	"k8s.io/apiserver/pkg/storage/value/encrypt/secretbox"
)

// keySize is that of NaCl secretbox.
const keySize = 32

// prefix starts every encrypted value, followed by the key's name and a colon. It
// is the one that Kubernetes writes.
const prefix = "k8s:enc:secretbox:v1:"

// Box encrypts and decrypts values. It is safe for concurrent use.
type Box struct {
	transformer value.Transformer
	created     bool
}

// Open reads the keys from file, and makes it with one key, mode 0600, when it
// does not exist. Each line holds a name and a key in base64; the first key
// encrypts, all decrypt. Values that are not encrypted can be read, and are
// encrypted when they are next written.
func Open(file string) (*Box, error) {
	data, err := os.ReadFile(file)
	created := errors.Is(err, os.ErrNotExist)
	if created {
		data, err = create(file)
	}
	if err != nil {
		return nil, fmt.Errorf("reading encryption keys: %w", err)
	}
	readers, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading encryption keys from %s: %w", file, err)
	}
	readers = append(readers, value.PrefixTransformer{Transformer: identity.NewEncryptCheckTransformer()})
	unknown := errors.New("value is encrypted with a key that is not in the key file")
	return &Box{value.NewPrefixTransformers(unknown, readers...), created}, nil
}

// Created tells whether Open made the key file: nothing has been encrypted yet.
func (b *Box) Created() bool { return b.created }

// create writes a new key file, complete or not at all.
func create(file string) ([]byte, error) {
	key := make([]byte, keySize)
	rand.Read(key) // never fails
	data := []byte("key1 " + base64.StdEncoding.EncodeToString(key) + "\n")
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	return data, os.Rename(tmp.Name(), file)
}

func parse(data []byte) ([]value.PrefixTransformer, error) {
	var out []value.PrefixTransformer
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, encoded, _ := strings.Cut(line, " ")
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil || len(key) != keySize || strings.Contains(name, ":") {
			return nil, fmt.Errorf("line %d is not a name and %d bytes in base64", n, keySize)
		}
		out = append(out, value.PrefixTransformer{
			Prefix:      []byte(prefix + name + ":"),
			Transformer: secretbox.NewSecretboxTransformer([keySize]byte(key)),
		})
	}
	if len(out) == 0 {
		return nil, errors.New("no key")
	}
	return out, lines.Err()
}

// Transformer encrypts API objects on their way into the store.
func (b *Box) Transformer() value.Transformer { return b.transformer }

// Seal encrypts a value that is stored under key. The key is sealed with it:
// secretbox itself has no place for it.
func (b *Box) Seal(ctx context.Context, key string, plain []byte) ([]byte, error) {
	bound := append([]byte(key+"\x00"), plain...)
	return b.transformer.TransformToStorage(ctx, bound, value.DefaultContext(key))
}

// Open decrypts a value that was sealed for key. Unlike an object, a sealed value
// is never read when it is not encrypted.
func (b *Box) Open(ctx context.Context, key string, sealed []byte) ([]byte, error) {
	if !bytes.HasPrefix(sealed, []byte(prefix)) {
		return nil, errors.New("value is not encrypted")
	}
	bound, _, err := b.transformer.TransformFromStorage(ctx, sealed, value.DefaultContext(key))
	if err != nil { // the library's own errors mislead
		return nil, errors.New("no key in the key file decrypts it")
	}
	plain, ok := bytes.CutPrefix(bound, []byte(key+"\x00"))
	if !ok {
		return nil, errors.New("value was sealed for another key")
	}
	return plain, nil
}
