// Package atrest encrypts what must not be readable in copies of the store:
// Secrets, signing keys, and what an encryption provider configuration names.
//
// It owns the key file, how the keys in it change, and the encryption. It protects
// copies of the store (a backup, a disk, an etcd elsewhere), not the machine that
// holds the key file. Which resources are encrypted is decided in internal/apiserver;
// when keys change, and who writes values again, in internal/encryption.
package atrest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	"k8s.io/apiserver/pkg/storage/value/encrypt/secretbox"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/host/replace"
)

// prefix starts every encrypted value, followed by the key's name and a colon. It
// is the one that Kubernetes writes.
const prefix = "k8s:enc:secretbox:v1:"

// Box encrypts and decrypts values with the keys of a file. It is safe for concurrent
// use.
type Box struct {
	file    string
	created bool

	mu   sync.Mutex // one change at a time
	ring atomic.Pointer[ring]
}

// ring is what a key file holds. It does not change.
type ring struct {
	keys []reader
	// gone are keys that were removed while the process ran. They go on reading: old
	// revisions, which a list in parts may ask for, are sealed with them.
	gone        []reader
	transformer value.Transformer
}

// reader is a key that can be used.
type reader struct {
	entry
	value.PrefixTransformer
}

// Key tells of a key, but not the key.
type Key struct {
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"`
}

// Open reads the keys from file, and makes it with one key, mode 0600, when it
// does not exist. Each line holds a name and a key in base64; the first key
// encrypts, all decrypt. Values that are not encrypted can be read, and are
// encrypted when they are next written.
func Open(file string) (*Box, error) {
	b := &Box{file: file}
	_, err := os.Stat(file)
	if b.created = errors.Is(err, os.ErrNotExist); b.created {
		err = b.create()
	}
	if err == nil {
		err = b.Reload()
	}
	if err != nil {
		return nil, fmt.Errorf("reading encryption keys: %w", err)
	}
	return b, nil
}

// Created tells whether Open made the key file: nothing has been encrypted yet.
func (b *Box) Created() bool { return b.created }

// File is the path of the key file.
func (b *Box) File() string { return b.file }

func (b *Box) create() error {
	dir := filepath.Dir(b.file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return replace.File(b.file, encode([]entry{newEntry(nil)}), 0o600)
}

// Reload reads the file again. If it cannot be read, the keys stay as they are.
func (b *Box) Reload() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, err := b.read()
	if err == nil {
		b.take(all)
	}
	return err
}

func (b *Box) read() ([]entry, error) {
	data, err := bounded.File(b.file, bounded.Document)
	if err != nil {
		return nil, err
	}
	all, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.file, err)
	}
	return all, nil
}

// take makes the keys of a file those in use.
func (b *Box) take(all []entry) {
	r := &ring{}
	for _, e := range keysOf(all) {
		r.keys = append(r.keys, reader{e, value.PrefixTransformer{
			Prefix:      []byte(prefix + e.name + ":"),
			Transformer: secretbox.NewSecretboxTransformer(*e.secret),
		}})
	}
	if old := b.ring.Load(); old != nil {
		for _, k := range append(slices.Clone(old.keys), old.gone...) {
			if !slices.ContainsFunc(r.keys, func(o reader) bool { return o.line == k.line }) {
				r.gone = append(r.gone, k)
			}
		}
	}
	var readers []value.PrefixTransformer
	for _, k := range append(slices.Clone(r.keys), r.gone...) {
		readers = append(readers, k.PrefixTransformer)
	}
	readers = append(readers, value.PrefixTransformer{Transformer: identity.NewEncryptCheckTransformer()})
	unknown := errors.New("value is encrypted with a key that is not in the key file")
	r.transformer = value.NewPrefixTransformers(unknown, readers...)
	b.ring.Store(r)
}

// Keys returns the keys of the file; the first one encrypts.
func (b *Box) Keys() (all []Key) {
	for _, k := range b.ring.Load().keys {
		all = append(all, Key{k.name, k.fingerprint()})
	}
	return all
}

// change lets f change what the file holds, and writes it if f did.
func (b *Box) change(f func([]entry) ([]entry, error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	unlock, err := lock(filepath.Dir(b.file))
	if err != nil {
		return err
	}
	defer unlock()
	old, err := b.read()
	if err != nil {
		return err
	}
	all, err := f(old)
	if err != nil {
		return err
	}
	if data := encode(all); !bytes.Equal(data, encode(old)) {
		if err := replace.File(b.file, data, 0o600); err != nil {
			return fmt.Errorf("writing encryption keys: %w", err)
		}
	}
	b.take(all)
	return nil
}

// Add makes a key and puts it into the file, behind the first: it decrypts, and does
// not encrypt before Promote. It returns when the key is on disk.
func (b *Box) Add() (Key, error) {
	var made entry
	err := b.change(func(all []entry) ([]entry, error) {
		made = newEntry(all)
		return added(all, made), nil
	})
	if err != nil {
		return Key{}, err
	}
	return Key{made.name, made.fingerprint()}, nil
}

// Promote puts a key first in the file, so that it encrypts from now on.
func (b *Box) Promote(name string) error {
	return b.change(func(all []entry) ([]entry, error) {
		all, ok := promoted(all, name)
		if !ok {
			return nil, fmt.Errorf("%s has no key %s", b.file, name)
		}
		return all, nil
	})
}

// Remove takes keys out of the file, but never the first one. This process goes on
// reading values that are sealed with them, until it ends.
func (b *Box) Remove(names []string) error {
	return b.change(func(all []entry) ([]entry, error) { return without(all, names), nil })
}

// SealedWith tells which key of the file, or formerly of the file, has sealed what is
// stored at key. It opens the value to find out: others may have keys of the same name.
func (b *Box) SealedWith(ctx context.Context, key string, stored []byte) (name string, ok bool) {
	r := b.ring.Load()
	for _, k := range append(slices.Clone(r.keys), r.gone...) {
		if sealed, ours := bytes.CutPrefix(stored, k.Prefix); ours {
			if _, _, err := k.Transformer.TransformFromStorage(ctx, sealed, value.DefaultContext(key)); err == nil {
				return k.name, true
			}
		}
	}
	return "", false
}

// Transformer encrypts API objects on their way into the store, always with the keys
// of the moment.
func (b *Box) Transformer() value.Transformer { return moving{b} }

type moving struct{ box *Box }

// TransformFromStorage implements value.Transformer.
func (m moving) TransformFromStorage(ctx context.Context, data []byte, at value.Context) ([]byte, bool, error) {
	return m.box.ring.Load().transformer.TransformFromStorage(ctx, data, at)
}

// TransformToStorage implements value.Transformer.
func (m moving) TransformToStorage(ctx context.Context, data []byte, at value.Context) ([]byte, error) {
	return m.box.ring.Load().transformer.TransformToStorage(ctx, data, at)
}

// Seal encrypts a value that is stored under key. The key is sealed with it:
// secretbox itself has no place for it.
func (b *Box) Seal(ctx context.Context, key string, plain []byte) ([]byte, error) {
	bound := append([]byte(key+"\x00"), plain...)
	return moving{b}.TransformToStorage(ctx, bound, value.DefaultContext(key))
}

// Open decrypts a value that was sealed for key. Unlike an object, a sealed value
// is never read when it is not encrypted.
func (b *Box) Open(ctx context.Context, key string, sealed []byte) ([]byte, error) {
	if !bytes.HasPrefix(sealed, []byte(prefix)) {
		return nil, errors.New("value is not encrypted")
	}
	bound, _, err := moving{b}.TransformFromStorage(ctx, sealed, value.DefaultContext(key))
	if err != nil { // the library's own errors mislead
		return nil, errors.New("no key in the key file decrypts it")
	}
	plain, ok := bytes.CutPrefix(bound, []byte(key+"\x00"))
	if !ok {
		return nil, errors.New("value was sealed for another key")
	}
	return plain, nil
}

// Plain is the label of values that are not encrypted.
const Plain = "plain"

// Label says how a stored value is encrypted, and with which key, as its beginning
// does: "secretbox key1", "kms v2 vault", or Plain.
func Label(stored []byte) string {
	parts := strings.SplitN(string(stored[:min(len(stored), 256)]), ":", 6)
	if len(parts) < 6 || parts[0] != "k8s" || parts[1] != "enc" {
		return Plain
	}
	if parts[3] != "v1" {
		parts[2] += " " + parts[3]
	}
	return parts[2] + " " + parts[4]
}
