package policy

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/openapi"

	"laterna.dev/laterna/internal/clock"
)

// described is a client that knows schemas without asking for the index of all documents:
// the server builds all of them for it, and the library asks every five seconds.
type described struct {
	kubernetes.Interface
	schemas schemas
}

// Discovery implements kubernetes.Interface.
func (d described) Discovery() discovery.DiscoveryInterfaces {
	return describedDiscovery{d.Interface.Discovery(), d.schemas}
}

type describedDiscovery struct {
	discovery.DiscoveryInterfaces
	schemas schemas
}

// OpenAPIV3 implements discovery.DiscoveryInterface.
func (d describedDiscovery) OpenAPIV3() openapi.Client { return d.schemas }

// schemas is an openapi.Client of one document for each group-version.
type schemas struct {
	ended     <-chan struct{}
	discovery discovery.DiscoveryInterface
	// fixed tells whether the kinds of a group-version are part of the program.
	fixed func(schema.GroupVersion) bool
	wall  clock.Wall
}

// Paths implements openapi.Client.
func (s schemas) Paths() (map[string]openapi.GroupVersion, error) {
	groups, err := s.discovery.ServerGroups()
	if err != nil {
		return nil, fmt.Errorf("reading which groups there are: %w", err)
	}
	all := map[string]openapi.GroupVersion{}
	for _, g := range groups.Groups {
		for _, v := range g.Versions {
			path := "apis/" + v.GroupVersion
			if g.Name == "" {
				path = "api/" + v.GroupVersion
			}
			all[path] = document{s, path, s.generation(schema.GroupVersion{Group: g.Name, Version: v.Version})}
		}
	}
	return all, nil
}

// aging is how long the schemas of custom resources are taken for the newest, which is how
// often the library looks.
const aging = 5 * time.Second

// generation names a document as it is now: what is part of the program does not change.
func (s schemas) generation(gv schema.GroupVersion) string {
	if s.fixed(gv) {
		return ""
	}
	return fmt.Sprint(s.wall.Now().Truncate(aging).Unix())
}

// document is an openapi.GroupVersion.
type document struct {
	schemas          schemas
	path, generation string
}

// patience is how long the server may take to build a document.
const patience = 10 * time.Second

// Schema implements openapi.GroupVersion.
func (d document) Schema(contentType string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(wait.ContextForChannel(d.schemas.ended), patience)
	defer cancel()
	raw, err := d.schemas.discovery.RESTClient().Get().AbsPath("/openapi/v3/"+d.path).SetHeader("Accept", contentType).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the schemas of %s: %w", d.path, err)
	}
	return raw, nil
}

// ServerRelativeURL implements openapi.GroupVersion.
func (d document) ServerRelativeURL() string { return "/openapi/v3/" + d.path + "?" + d.generation }
