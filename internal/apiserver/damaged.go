package apiserver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/storagebackend"

	"laterna.dev/laterna/internal/encryption/atrest"
	"laterna.dev/laterna/internal/etcd/damaged"
)

// readable keeps how the objects at a place are read.
func (b *backend) readable(c *storagebackend.ConfigForResource, place string, newObject func() runtime.Object, decoder etcd3.Decoder) {
	resource := c.GroupResource.WithVersion(b.codecs[c.GroupResource.Group].version.Version)
	decode := func(plain []byte, revision int64) error { return decoder.Decode(plain, newObject(), revision) }
	if _, own := b.codecs[c.GroupResource.Group]; !own {
		resource.Version, _ = b.versionsOf(c.GroupResource)
		decode = damaged.Custom(c.GroupResource, b.versionsOf)
	}
	reader := damaged.NewReader(resource, c.Transformer, decode)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers[strings.TrimPrefix(place, "/")] = reader
}

// findDamaged sets aside what cannot be read, see damaged.Set. Where there are signing
// keys, they show whether the server has the keys that its own file gives.
func (b *backend) findDamaged(ctx context.Context) ([]damaged.Object, error) {
	b.finding.Lock()
	defer b.finding.Unlock()
	const signing = "/laterna/" + signingKeysPath
	resp, err := b.client.Get(ctx, signing)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", signing, err)
	}
	var opened []string
	for _, kv := range resp.Kvs {
		if _, err := b.box.Open(ctx, signing, kv.Value); err == nil {
			opened = append(opened, atrest.Label(kv.Value))
		}
	}
	return b.damaged.Find(ctx, damaged.Source{
		KV: b.client.KV, Label: atrest.Label, Opened: opened,
		Reader: func(place string) (damaged.Reader, bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			r, ok := b.readers[place]
			return r, ok
		},
	})
}

// reading is of what the store holds.
type reading struct {
	*backend
	config *Config
}

// until calls read, which returns once all is read. What would keep it from that for ever
// is set aside, see damaged.Set.
func (r reading) until(ctx context.Context, read func(context.Context) error) error {
	err := r.damaged.Reading(ctx, r.config.Wall, read, func(ctx context.Context) error {
		found, err := r.findDamaged(ctx)
		damaged.Tell(r.config.Log, found)
		return err
	})
	var wrong *damaged.WrongKeysError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%w: start with the --encryption-provider-config and the keys in %s that they were written with", err, r.config.Store.EncryptionKeyFile)
	}
	return err
}

// custom has what cannot be read of custom resources set aside while their watch cache is
// filled.
func (r reading) custom(ctx context.Context, resource schema.GroupResource, cached *cacher.Cacher) {
	if err := r.until(ctx, cached.Wait); err != nil && ctx.Err() == nil {
		r.config.Log.Warn("custom resources cannot be read", "resource", resource, "error", err)
	}
}
