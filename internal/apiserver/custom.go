package apiserver

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"

	genericserver "k8s.io/apiserver/pkg/server"

	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/apiextensions"
)

// buildCustom makes what serves custom resources. c is the configuration that the server
// was made with.
func (s *Server) buildCustom(c *genericserver.Config, all *registry.Storages, docs apiextensions.Documents) error {
	stored, ok := all.Group(apiextensions.Version.Group)[apiextensions.Plural]
	if !ok {
		return fmt.Errorf("%s are not in the table of kinds", apiextensions.Plural)
	}
	generic := *c
	// The server's own decisions are made while nobody else is served, and so is this.
	generic.LoopbackClientConfig = s.inner.config(process, nil)
	generic.FlowControl, generic.StorageObjectCountTracker = nil, nil // requests have passed it
	own := map[string][]string{}
	for _, g := range all.Groups {
		own[g.Version.Group] = append(own[g.Version.Group], g.Version.Version)
	}
	s.custom = apiextensions.New(apiextensions.Config{
		Generic:     generic,
		Definitions: unused{s.backend},
		Objects:     customResources{s.backend, reading{s.backend, &s.config}.custom},
		Stored:      stored,
		Services:    s.access.conversions.Services,
		Connections: s.access.conversions.Connections,
		Groups:      s.generic.AggregatedDiscoveryGroupManager,
		Listed:      s.generic.DiscoveryGroupManager,
		Own:         own,
		Documents:   docs,
		Wall:        s.config.Wall,
		Log:         s.config.Log,
	})
	s.backend.versionsOf = s.custom.Versions
	return nil
}

// customResources says how custom resources are stored: as JSON, whatever they are. It
// implements generic.RESTOptionsGetter. Their storages come and go with their definitions,
// and are stopped by who has asked for them.
type customResources struct {
	*backend
	// read returns when a watch cache is filled, or ctx ends.
	read func(ctx context.Context, resource schema.GroupResource, cached *cacher.Cacher)
}

// customPlace is where the objects of a custom resource are below objectPrefix.
func customPlace(resource schema.GroupResource) string {
	return resource.Group + "/" + resource.Resource
}

// customAt returns the custom resource whose objects are at a place.
func customAt(place string) (resource schema.GroupResource, ok bool) {
	resource.Group, resource.Resource, ok = strings.Cut(place, "/")
	return resource, ok
}

// GetRESTOptions implements generic.RESTOptionsGetter.
func (b customResources) GetRESTOptions(resource schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	config := storagebackend.NewDefaultConfig(objectPrefix, unstructured.UnstructuredJSONScheme)
	config.Transformer = b.transformer(resource, customPlace(resource))
	return generic.RESTOptions{
		StorageConfig:           config.ForResource(resource),
		Decorator:               b.transient,
		EnableGarbageCollection: true,
		DeleteCollectionWorkers: deleteWorkers,
		ResourcePrefix:          customPlace(resource),
	}, nil
}

// transient is a generic.StorageDecorator: backend.cached for as long as it is wanted.
func (b customResources) transient(c *storagebackend.ConfigForResource, resourcePrefix string, key func(runtime.Object) (string, error), newObject, newList func() runtime.Object, attributes storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
	objects, cached, stop, err := b.watched(c, resourcePrefix, key, newObject, newList, attributes, triggers, indexers)
	if err != nil {
		return nil, nil, err
	}
	ctx, end := context.WithCancel(b.client.Ctx())
	var reading sync.WaitGroup
	reading.Go(func() { b.read(ctx, c.GroupResource, cached) })
	return objects, sync.OnceFunc(func() {
		end()
		reading.Wait()
		stop()
	}), nil
}

// unused says how definitions are stored that the library makes a storage for and nobody
// asks: what answers is made by registry/apiextensions. It implements
// generic.RESTOptionsGetter.
type unused struct{ *backend }

// GetRESTOptions implements generic.RESTOptionsGetter.
func (b unused) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := b.backend.GetRESTOptions(resource, example)
	options.Decorator = b.uncached
	return options, err
}
