package apiserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/value"

	"laterna.dev/laterna/internal/encryption/atrest"
	"laterna.dev/laterna/internal/etcd/damaged"
	"laterna.dev/laterna/internal/wait"
)

// The errors of reading a stored object say nothing of its content.
var (
	errSealed  = errors.New("its value in the store is damaged: the keys that open others of its kind do not open it")
	errEncoded = errors.New("its value in the store is damaged: it is not the encoding of an object")
)

// readable keeps how the objects of a resource are read.
func (b *backend) readable(c *storagebackend.ConfigForResource, newObject func() runtime.Object, decoder etcd3.Decoder) {
	reader := damaged.Reader{Resource: c.GroupResource.WithVersion(b.codecs[c.GroupResource.Group].version.Version)}
	reader.Read = func(ctx context.Context, kv *mvccpb.KeyValue) error {
		plain, _, err := c.Transformer.TransformFromStorage(ctx, kv.Value, value.DefaultContext(kv.Key))
		if err != nil {
			return errSealed
		}
		if err := decoder.Decode(plain, newObject(), kv.ModRevision); err != nil {
			return errEncoded
		}
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers[c.GroupResource.Resource] = reader
}

// findDamaged sets aside what cannot be read, see damaged.Set. Where there are signing
// keys, they show whether the server has the keys that its own file gives.
func (b *backend) findDamaged(ctx context.Context) ([]damaged.Object, error) {
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
		Reader: func(resource string) (damaged.Reader, bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			r, ok := b.readers[resource]
			return r, ok
		},
	})
}

// cachePatience is how long watch caches may take to fill before somebody looks why.
const cachePatience = time.Second

// awaitCaches waits until the watch caches are filled. Where objects cannot be read they
// would never be: these are set aside, unless it is the keys that are wrong.
func (s *Server) awaitCaches(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var looker sync.WaitGroup
	defer looker.Wait()
	defer cancel(nil)
	looker.Go(func() {
		if !wait.Pause(ctx, s.config.Wall, cachePatience) {
			return
		}
		found, err := s.backend.findDamaged(ctx)
		var wrong *damaged.WrongKeysError
		if errors.As(err, &wrong) {
			cancel(fmt.Errorf("%w: start with the --encryption-provider-config and the keys in %s that they were written with", err, s.config.Store.EncryptionKeyFile))
		}
		for _, o := range found {
			s.config.Log.Warn("an object cannot be read, the system goes on without it", "object", o.String(), "key", o.Key, "reason", o.Why, "advice", o.Advice())
		}
	})
	err := s.backend.awaitCaches(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// explained is a storage that says of objects which are set aside why they cannot be
// had and what to do.
type explained struct {
	storage.Interface
	set *damaged.Set
}

func (s explained) explain(key string, err error) error {
	if err == nil || storage.IsNotFound(err) { // it was deleted just now
		return err
	}
	o, ok := s.set.Get(objectPrefix + key)
	if !ok {
		return err
	}
	return apierrors.NewInternalError(fmt.Errorf("%s cannot be read: %s; %s", o.String(), o.Why, o.Advice()))
}

// Get implements storage.Interface.
func (s explained) Get(ctx context.Context, key string, opts storage.GetOptions, out runtime.Object) error {
	return s.explain(key, s.Interface.Get(ctx, key, opts, out))
}

// Create implements storage.Interface.
func (s explained) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	return s.explain(key, s.Interface.Create(ctx, key, obj, out, ttl))
}

// GuaranteedUpdate implements storage.Interface.
func (s explained) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool, preconditions *storage.Preconditions, update storage.UpdateFunc, cached runtime.Object) error {
	return s.explain(key, s.Interface.GuaranteedUpdate(ctx, key, out, ignoreNotFound, preconditions, update, cached))
}
