package apiserver

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/etcd3"
	"k8s.io/apiserver/pkg/storage/feature"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	"k8s.io/client-go/tools/cache"

	iamv1alpha1 "laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/apiserver/answers"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/encryption/atrest"
	"laterna.dev/laterna/internal/etcd/damaged"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/apiextensions"
	"laterna.dev/laterna/internal/registry/scheme"
	"laterna.dev/laterna/internal/tokens/review"
	"laterna.dev/laterna/internal/wait"
)

// objectPrefix is where API objects live in the store, as in Kubernetes.
const objectPrefix = "/registry"

// compactionInterval is how often revisions older than that are forgotten.
const compactionInterval = 5 * time.Minute

// deleteWorkers is how many objects of a collection are deleted at once: the store
// then writes them to disk together.
const deleteWorkers = 8

// backend says how objects of each resource are stored. All resources share one
// connection. It implements generic.RESTOptionsGetter; its methods may be called
// concurrently.
type backend struct {
	client    *clientv3.Client
	compactor etcd3.Compactor
	codecs    map[string]storageCodec // by API group
	box       *atrest.Box
	// confidential are the resources whose objects are sealed in any case.
	confidential map[schema.GroupResource]bool
	// seldom are the resources without a watch cache.
	seldom map[schema.GroupResource]bool
	// rules are those of an encryption provider configuration; nil without.
	rules *atrest.Configuration
	clock clock.Wall
	// counts are how many objects there are.
	counts *answers.Counts
	// damaged are the objects that lists and watches leave out; finding is held by who looks
	// for them.
	damaged damaged.Set
	finding sync.Mutex
	// versionsOf returns the version that a custom resource is asked for in, "" for none, and
	// all that its objects may be stored in.
	versionsOf func(schema.GroupResource) (served string, all []string)

	// streams counts the clients of custom resources, which have streams of their own.
	streams atomic.Int64

	mu sync.Mutex
	// readers are how the objects of stored resources are read, by where they are.
	readers map[string]damaged.Reader
	// encryption is that of stored resources, by where they are.
	encryption map[string]value.Transformer
	caches     []*cacher.Cacher
	stops      []func()
}

type storageCodec struct {
	version   schema.GroupVersion
	codec     runtime.Codec
	versioner runtime.GroupVersioner
}

// newBackend takes over client, which stop closes. ctx ends the background work.
func newBackend(ctx context.Context, client *clientv3.Client, s *scheme.Scheme, box *atrest.Box, rules *atrest.Configuration, kinds registry.Table, clk clock.Wall) (*backend, error) {
	feature.DefaultFeatureSupportChecker.CheckClient(ctx, client, storage.RequestWatchProgress)
	compactor := etcd3.NewCompactor(client, compactionInterval, clk, nil)
	b := &backend{client: client, clock: clk, counts: answers.NewCounts(clk), compactor: compactor, codecs: map[string]storageCodec{}, box: box, rules: rules, confidential: kinds.Confidential(), seldom: kinds.Seldom(), encryption: map[string]value.Transformer{}, readers: map[string]damaged.Reader{}}
	b.stops = []func(){func() { client.Close() }, compactor.Stop}
	for _, gv := range s.GroupVersions() {
		if _, ok := b.codecs[gv.Group]; ok {
			continue // objects are stored in the first version of their group
		}
		encoding, ok := runtime.SerializerInfoForMediaType(s.Codecs.SupportedMediaTypes(), s.StorageType(gv.Group))
		if !ok {
			return nil, fmt.Errorf("scheme has no encoding %s", s.StorageType(gv.Group))
		}
		b.codecs[gv.Group] = storageCodec{
			version:   gv,
			codec:     s.Codecs.CodecForVersions(encoding.Serializer, s.Codecs.UniversalDeserializer(), gv, runtime.InternalGroupVersioner),
			versioner: runtime.NewMultiGroupVersioner(gv, schema.GroupKind{Group: gv.Group}),
		}
	}
	return b, nil
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (b *backend) GetRESTOptions(resource schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	c, ok := b.codecs[resource.Group]
	if !ok {
		return generic.RESTOptions{}, fmt.Errorf("group of %s is not in the scheme", resource)
	}
	config := storagebackend.NewDefaultConfig(objectPrefix, c.codec)
	config.EncodeVersioner = c.versioner
	config.Transformer = b.transformer(resource, placeOf(resource))
	options := generic.RESTOptions{
		StorageConfig:           config.ForResource(resource),
		Decorator:               b.cached,
		EnableGarbageCollection: true,
		DeleteCollectionWorkers: deleteWorkers,
		ResourcePrefix:          placeOf(resource),
	}
	switch {
	case resource == corev1.Resource("rangeallocations"): // not served
		options.Decorator = b.uncached
	case b.seldom[resource]:
		options.Decorator = b.direct
	}
	return options, nil
}

// placeOf returns where objects of a resource are below objectPrefix. It is the plural, as
// in Kubernetes, but for the group of IAM, which has roles as RBAC has them, and for
// definitions of custom resources, which lie in Kubernetes as those do.
func placeOf(resource schema.GroupResource) string {
	switch resource.Group {
	case iamv1alpha1.GroupName:
		return resource.String()
	case apiextensions.Version.Group:
		return customPlace(resource)
	}
	return resource.Resource
}

// transformer encrypts what the provider configuration names, and what is confidential
// anyway. It refuses to read encrypted values elsewhere.
func (b *backend) transformer(resource schema.GroupResource, place string) (t value.Transformer) {
	secret := b.confidential[resource]
	switch {
	case b.rules != nil:
		t = b.rules.Objects(resource, b.box, secret)
	case secret:
		t = b.box.Transformer()
	default:
		t = identity.NewEncryptCheckTransformer()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.encryption[place] = t
	return t
}

// encryptionOf returns how the objects at a place are encrypted, nil where there is no such
// resource. Custom resources may have objects that nobody has asked for yet.
func (b *backend) encryptionOf(place string) value.Transformer {
	b.mu.Lock()
	t := b.encryption[place]
	b.mu.Unlock()
	if resource, custom := customAt(place); t == nil && custom {
		t = b.transformer(resource, place)
	}
	return t
}

// uncached is a generic.StorageDecorator: the store alone.
func (b *backend) uncached(c *storagebackend.ConfigForResource, resourcePrefix string, _ func(runtime.Object) (string, error), newObject, newList func() runtime.Object, _ storage.AttrFunc, _ storage.IndexerFuncs, _ *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
	return b.raw(b.streamOf(c.GroupResource), c, resourcePrefix, newObject, newList)
}

// raw makes a storage that watches the store on a stream.
func (b *backend) raw(stream string, c *storagebackend.ConfigForResource, resourcePrefix string, newObject, newList func() runtime.Object) (storage.Interface, factory.DestroyFunc, error) {
	versioner := storage.APIObjectVersioner{}
	transformer := etcd3.WithCorruptObjErrorHandlingTransformer(c.Transformer)
	decoder := etcd3.WithCorruptObjErrorHandlingDecoder(etcd3.NewDefaultDecoder(c.Codec, versioner))
	b.readable(c, resourcePrefix, newObject, decoder)
	s, err := etcd3.New(b.clientOn(stream), b.compactor, c.Codec, newObject, newList, c.Prefix, resourcePrefix, c.GroupResource, transformer, c.LeaseManagerConfig, decoder, versioner)
	if err != nil {
		return nil, nil, fmt.Errorf("storage of %s: %w", c.GroupResource, err)
	}
	return etcd3.NewStoreWithUnsafeCorruptObjectDeletion(s, c.GroupResource), sync.OnceFunc(s.Close), nil
}

// direct is a generic.StorageDecorator: the store alone, of a served kind that is seldom read.
func (b *backend) direct(c *storagebackend.ConfigForResource, resourcePrefix string, _ func(runtime.Object) (string, error), newObject, newList func() runtime.Object, _ storage.AttrFunc, _ storage.IndexerFuncs, _ *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
	raw, stop, err := b.raw(directStream, c, resourcePrefix, newObject, newList)
	if err != nil {
		return nil, nil, err
	}
	weighed, _ := b.counts.Weigh(c.GroupResource, raw, nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stops = append(b.stops, stop)
	return b.damaged.Explain(weighed, objectPrefix), stop, nil
}

// cached is a generic.StorageDecorator: the store with a watch cache before it.
func (b *backend) cached(c *storagebackend.ConfigForResource, resourcePrefix string, key func(runtime.Object) (string, error), newObject, newList func() runtime.Object, attributes storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
	objects, cached, stop, err := b.watched(c, resourcePrefix, key, newObject, newList, attributes, triggers, indexers)
	if err != nil {
		return nil, nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.caches = append(b.caches, cached)
	b.stops = append(b.stops, stop)
	return objects, stop, nil
}

// watched makes a store with a watch cache before it, until stop.
func (b *backend) watched(c *storagebackend.ConfigForResource, resourcePrefix string, key func(runtime.Object) (string, error), newObject, newList func() runtime.Object, attributes storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers) (objects storage.Interface, cached *cacher.Cacher, stop func(), err error) {
	raw, stopRaw, err := b.uncached(c, resourcePrefix, key, newObject, newList, attributes, triggers, indexers)
	if err != nil {
		return nil, nil, nil, err
	}
	cached, err = cacher.NewCacherFromConfig(cacher.Config{
		Storage:             raw,
		Versioner:           storage.APIObjectVersioner{},
		GroupResource:       c.GroupResource,
		EventsHistoryWindow: c.EventsHistoryWindow,
		ResourcePrefix:      resourcePrefix,
		KeyFunc:             key,
		NewFunc:             newObject,
		NewListFunc:         newList,
		GetAttrsFunc:        attributes,
		IndexerFuncs:        triggers,
		Indexers:            indexers,
		Codec:               c.Codec,
		Clock:               promptClock{b.clock},
	})
	if err != nil {
		stopRaw()
		return nil, nil, nil, fmt.Errorf("watch cache of %s: %w", c.GroupResource, err)
	}
	delegator := cacher.NewCacheDelegator(cached, raw)
	weighed, forget := b.counts.Weigh(c.GroupResource, delegator, cached)
	stop = sync.OnceFunc(func() {
		forget()
		delegator.Stop()
		cached.Stop()
		stopRaw()
	})
	return b.damaged.Explain(weighed, objectPrefix), cached, stop, nil
}

// awaitCaches waits until every watch cache has read what the store holds, and for
// a moment until it is known that the store reports progress, without which watches
// cannot begin with a list.
func (b *backend) awaitCaches(ctx context.Context) error {
	for range 200 {
		if feature.DefaultFeatureSupportChecker.Supports(storage.RequestWatchProgress) {
			break
		}
		wait.Pause(ctx, b.clock, time.Millisecond)
	}
	b.mu.Lock()
	caches := b.caches
	b.mu.Unlock()
	for _, c := range caches {
		if err := c.Wait(ctx); err != nil {
			return fmt.Errorf("filling watch caches: %w", err)
		}
	}
	return nil
}

// revisions is a review.Revisions: one transaction of keys-only reads.
func (b *backend) revisions(ctx context.Context, objects []review.ObjectKey) ([]int64, error) {
	ops := make([]clientv3.Op, len(objects))
	for i, o := range objects {
		ops[i] = clientv3.OpGet(objectKey(o), clientv3.WithKeysOnly())
	}
	resp, err := b.client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return nil, fmt.Errorf("reading revisions: %w", err)
	}
	out := make([]int64, len(objects))
	for i, r := range resp.Responses {
		if kvs := r.GetResponseRange().Kvs; len(kvs) > 0 {
			out[i] = kvs[0].ModRevision
		}
	}
	return out, nil
}

// objectKey is where the storages keep an object.
func objectKey(o review.ObjectKey) string {
	parts := []string{objectPrefix, o.Kind.Resource().Resource, o.Namespace, o.Name}
	if o.Namespace == "" {
		parts = []string{objectPrefix, o.Kind.Resource().Resource, o.Name}
	}
	return strings.Join(parts, "/")
}

// stop ends all storages and closes the connection, the last opened first.
func (b *backend) stop() {
	for i := len(b.stops) - 1; i >= 0; i-- {
		b.stops[i]()
	}
}
