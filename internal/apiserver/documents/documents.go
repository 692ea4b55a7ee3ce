// Package documents describes what the server serves: the OpenAPI documents of all
// group-versions, and the types of their kinds' fields, by which it is known who manages
// which.
//
// Models of the kinds are generated (internal/generated/openapi), what custom resources add
// is internal/registry/apiextensions's.
package documents

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	restful "github.com/emicklei/go-restful/v3"
	apiopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-openapi/pkg/builder"
	"k8s.io/kube-openapi/pkg/builder3"
	"k8s.io/kube-openapi/pkg/cached"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/common/restfuladapter"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/handler3"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"laterna.dev/laterna/internal/generated/openapi"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/apiextensions"
	"laterna.dev/laterna/internal/registry/scheme"
)

// Documents builds the OpenAPI documents of the server. Everything is built when it is
// first asked for: together it takes as long as the rest of the start.
type Documents struct {
	version string
	namer   func() (*apiopenapi.DefinitionNamer, error)
}

// New returns documents of a version, none of which is built yet.
func New(version string, sch *scheme.Scheme) *Documents {
	return &Documents{
		version: version,
		namer: sync.OnceValues(func() (*apiopenapi.DefinitionNamer, error) {
			public, err := sch.Public()
			if err != nil {
				return nil, err
			}
			return apiopenapi.NewDefinitionNamer(public), nil
		}),
	}
}

// definitions describes the types of all kinds.
func definitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	all := apiextensions.OpenAPI(ref)
	maps.Copy(all, openapi.GetOpenAPIDefinitions(ref))
	return all
}

// definition describes one of them.
func definition(name string, ref common.ReferenceCallback) (common.OpenAPIDefinition, bool) {
	if d, ok := openapi.Definition(name, ref); ok {
		return d, true
	}
	d, ok := apiextensions.OpenAPI(ref)[name]
	return d, ok
}

// security is how clients authenticate, as the documents of Kubernetes say it.
const security = "BearerToken"

func (d *Documents) v2() (*common.Config, error) {
	namer, err := d.namer()
	if err != nil {
		return nil, err
	}
	c := genericserver.DefaultOpenAPIConfig(definitions, namer)
	c.Info.Title, c.Info.Version = "Kubernetes", d.version
	c.SecurityDefinitions = &spec.SecurityDefinitions{security: securityScheme()}
	c.DefaultSecurity = []map[string][]string{{security: {}}}
	c.CommonResponses = map[int]spec.Response{
		http.StatusUnauthorized: {ResponseProps: spec.ResponseProps{Description: "Unauthorized"}},
	}
	return c, nil
}

func securityScheme() *spec.SecurityScheme {
	return &spec.SecurityScheme{SecuritySchemeProps: spec.SecuritySchemeProps{
		Type: "apiKey", Name: "authorization", In: "header", Description: "Bearer Token authentication",
	}}
}

func (d *Documents) v3() (*common.OpenAPIV3Config, error) {
	namer, err := d.namer()
	if err != nil {
		return nil, err
	}
	c := genericserver.DefaultOpenAPIV3Config(definitions, namer)
	c.Info.Title, c.Info.Version = "Kubernetes", d.version
	c.SecuritySchemes = spec3.SecuritySchemes{security: &spec3.SecurityScheme{SecuritySchemeProps: spec3.SecuritySchemeProps{
		Type: "apiKey", Name: "authorization", In: "header", Description: "Bearer Token authentication",
	}}}
	c.DefaultSecurity = []map[string][]string{{security: {}}}
	c.CommonResponses = map[int]*spec3.Response{
		http.StatusUnauthorized: {ResponseProps: spec3.ResponseProps{Description: "Unauthorized"}},
	}
	return c, nil
}

// Serve answers /openapi/v2 and /openapi/v3 for all web services registered so far. Those
// of groups, which the container has without their routes, describe makes for a document. It
// returns what custom resources are published in.
func (d *Documents) Serve(h *genericserver.APIServerHandler, describe func(registry.GroupStorages) (*restful.WebService, error), groups []registry.GroupStorages) apiextensions.Documents {
	byRoot := map[string][]func() (*restful.WebService, error){}
	for _, ws := range slices.Concat(h.GoRestfulContainer.RegisteredWebServices(), describedOnly()) {
		byRoot[ws.RootPath()] = append(byRoot[ws.RootPath()], func() (*restful.WebService, error) { return ws, nil })
	}
	for _, g := range groups {
		root := RootOf(g.Version.Group) + "/" + g.Version.String()
		byRoot[root] = []func() (*restful.WebService, error){func() (*restful.WebService, error) { return describe(g) }}
	}
	own := cached.Once(cached.Func(func() (*spec.Swagger, string, error) {
		var all []func() (*restful.WebService, error)
		for _, root := range slices.Sorted(maps.Keys(byRoot)) {
			all = append(all, byRoot[root]...)
		}
		return d.swagger(all)
	}))
	v2 := handler.NewOpenAPIServiceLazy(own)
	v2.RegisterOpenAPIVersionedService("/openapi/v2", h.NonGoRestfulMux)

	v3 := handler3.NewOpenAPIService()
	v3.RegisterOpenAPIV3VersionedService("/openapi/v3", h.NonGoRestfulMux)
	taken := map[string]bool{}
	for root, services := range byRoot {
		root := strings.TrimPrefix(root, "/")
		taken[root] = true
		v3.UpdateGroupVersionLazy(root, cached.Once(cached.Func(func() (*spec3.OpenAPI, string, error) {
			return d.openAPI(root, services)
		})))
	}
	return apiextensions.Documents{Models: d.v3, Own: own, V2: v2, V3: v3, Taken: taken}
}

// RootOf returns where a group is served.
func RootOf(group string) string {
	if group == "" {
		return genericserver.DefaultLegacyAPIPrefix
	}
	return genericserver.APIGroupPrefix
}

// made calls all.
func made(all []func() (*restful.WebService, error)) ([]*restful.WebService, error) {
	services := make([]*restful.WebService, len(all))
	for i, get := range all {
		var err error
		if services[i], err = get(); err != nil {
			return nil, err
		}
	}
	return services, nil
}

// swagger builds the document of version 2.
func (d *Documents) swagger(all []func() (*restful.WebService, error)) (*spec.Swagger, string, error) {
	c, err := d.v2()
	if err != nil {
		return nil, "", err
	}
	services, err := made(all)
	if err != nil {
		return nil, "", err
	}
	doc, err := builder.BuildOpenAPISpecFromRoutes(restfuladapter.AdaptWebServices(services), c)
	if err != nil {
		return nil, "", fmt.Errorf("building OpenAPI v2: %w", err)
	}
	doc.Definitions = handler.PruneDefaults(doc.Definitions)
	return doc, d.version, nil
}

// openAPI builds the document of version 3 of what is served below root.
func (d *Documents) openAPI(root string, all []func() (*restful.WebService, error)) (*spec3.OpenAPI, string, error) {
	c, err := d.v3()
	if err != nil {
		return nil, "", err
	}
	services, err := made(all)
	if err != nil {
		return nil, "", err
	}
	doc, err := builder3.BuildOpenAPISpecFromRoutes(restfuladapter.AdaptWebServices(services), c)
	if err != nil {
		return nil, "", fmt.Errorf("building OpenAPI v3 of %s: %w", root, err)
	}
	return doc, d.version + "/" + root, nil
}
