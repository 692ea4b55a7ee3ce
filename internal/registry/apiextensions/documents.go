package apiextensions

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	apihelpers "k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/client/informers/externalversions"
	listers "k8s.io/apiextensions-apiserver/pkg/client/listers/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	generated "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kube-openapi/pkg/cached"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/handler"
	"k8s.io/kube-openapi/pkg/handler3"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Documents are the OpenAPI documents that schemas of custom resources are published in.
type Documents struct {
	// Models describes the kinds of the server, whose metadata custom resources share.
	Models func() (*common.OpenAPIV3Config, error)
	// Own is the document of the server's own kinds in version 2; all are published by V2.
	Own cached.Value[*spec.Swagger]
	V2  *handler.OpenAPIService
	V3  *handler3.OpenAPIService
	// Taken are the paths of V3 that are not for custom resources: "apis/apps/v1".
	Taken map[string]bool
}

// OpenAPI describes the types of the API of definitions.
func OpenAPI(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	return generated.GetOpenAPIDefinitions(ref)
}

// publisher publishes schemas. Unlike the library's own controllers it builds a document
// when somebody asks for it: together they are the most of what definitions cost.
type publisher struct {
	Documents
	definitions listers.CustomResourceDefinitionLister
	log         *slog.Logger
	// published are the definitions by name, roots what is published in V3, by path.
	published map[string]described
	roots     map[string]string
}

// described is a definition whose schemas are published.
type described struct {
	// state changes with what is published of the definition.
	state string
	v2    cached.Value[*spec.Swagger]
	v3    map[string]cached.Value[*spec3.OpenAPI] // by path
}

// publish keeps documents up to date until ctx ends.
func (s *Server) publish(ctx context.Context, informers externalversions.SharedInformerFactory) error {
	all := informers.Apiextensions().V1().CustomResourceDefinitions()
	p := &publisher{
		Documents: s.config.Documents, definitions: all.Lister(), log: s.config.Log,
		published: map[string]described{}, roots: map[string]string{},
	}
	changed := func(any) {
		if ctx.Err() == nil {
			p.update()
		}
	}
	_, err := all.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: changed, UpdateFunc: func(_, now any) { changed(now) }, DeleteFunc: changed,
	})
	return err
}

// update publishes what is defined now. The informer calls it from one goroutine.
func (p *publisher) update() {
	all, err := p.definitions.List(labels.Everything())
	if err != nil {
		p.log.Warn("cannot publish schemas of custom resources", "error", err)
		return
	}
	now := map[string]described{}
	for _, d := range all {
		if !apihelpers.IsCRDConditionTrue(d, apiextensionsv1.Established) {
			continue
		}
		state := fmt.Sprintf("%s %d", d.UID, d.Generation)
		if old, ok := p.published[d.Name]; ok && old.state == state {
			now[d.Name] = old
			continue
		}
		now[d.Name] = p.describe(d, state)
	}
	if maps.EqualFunc(now, p.published, func(a, b described) bool { return a.state == b.state }) {
		return
	}
	p.published = now
	p.publishV2()
	p.publishV3()
}

// describe returns documents of a definition, not yet built.
func (p *publisher) describe(d *apiextensionsv1.CustomResourceDefinition, state string) described {
	out := described{state: state, v3: map[string]cached.Value[*spec3.OpenAPI]{}}
	out.v2 = cached.Once(cached.Func(func() (*spec.Swagger, string, error) {
		all := &spec.Swagger{}
		for _, v := range d.Spec.Versions {
			if !v.Served {
				continue
			}
			one, err := builder.BuildOpenAPIV2(d, v.Name, builder.Options{V2: true, IncludeSelectableFields: true})
			if err != nil {
				return nil, "", fmt.Errorf("building OpenAPI v2 of %s: %w", d.Name, err)
			}
			one.Definitions = handler.PruneDefaults(one.Definitions)
			if all, err = builder.MergeSpecs(all, one); err != nil {
				return nil, "", fmt.Errorf("merging OpenAPI v2 of %s: %w", d.Name, err)
			}
		}
		return all, state, nil
	}))
	for _, v := range d.Spec.Versions {
		root := "apis/" + d.Spec.Group + "/" + v.Name
		if !v.Served || p.Taken[root] {
			continue
		}
		out.v3[root] = cached.Once(cached.Func(func() (*spec3.OpenAPI, string, error) {
			doc, err := builder.BuildOpenAPIV3(d, v.Name, builder.Options{IncludeSelectableFields: true})
			if err != nil {
				return nil, "", fmt.Errorf("building OpenAPI v3 of %s: %w", d.Name, err)
			}
			return doc, state, nil
		}))
	}
	return out
}

// publishV2 publishes one document of everything. A schema that cannot be shown is left
// out.
func (p *publisher) publishV2() {
	parts := []cached.Value[*spec.Swagger]{p.Own}
	for _, name := range slices.Sorted(maps.Keys(p.published)) {
		parts = append(parts, p.published[name].v2)
	}
	p.V2.UpdateSpecLazy(cached.MergeList(func(results []cached.Result[*spec.Swagger]) (*spec.Swagger, string, error) {
		own := results[0]
		if own.Err != nil {
			return nil, "", own.Err
		}
		states := []string{own.Etag}
		var custom []*spec.Swagger
		for _, r := range results[1:] {
			if r.Err == nil {
				custom, states = append(custom, r.Value), append(states, r.Etag)
			}
		}
		doc, err := builder.MergeSpecs(own.Value, custom...)
		if err != nil {
			return nil, "", fmt.Errorf("merging OpenAPI v2: %w", err)
		}
		return doc, strings.Join(states, "\n"), nil
	}, parts))
}

// publishV3 publishes a document for each group-version that has changed.
func (p *publisher) publishV3() {
	parts, states := map[string][]cached.Value[*spec3.OpenAPI]{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(p.published)) {
		d := p.published[name]
		for root, doc := range d.v3 {
			parts[root] = append(parts[root], doc)
			states[root] += d.state + "\n"
		}
	}
	for root := range p.roots {
		if states[root] == "" {
			p.V3.DeleteGroupVersion(root)
		}
	}
	for root, state := range states {
		if p.roots[root] != state {
			p.V3.UpdateGroupVersionLazy(root, merged(root, state, parts[root]))
		}
	}
	p.roots = states
}

// merged is the document of a group-version.
func merged(root, state string, parts []cached.Value[*spec3.OpenAPI]) cached.Value[*spec3.OpenAPI] {
	return cached.MergeList(func(results []cached.Result[*spec3.OpenAPI]) (*spec3.OpenAPI, string, error) {
		var docs []*spec3.OpenAPI
		for _, r := range results {
			if r.Err == nil {
				docs = append(docs, r.Value)
			}
		}
		doc, err := builder.MergeSpecsV3(docs...)
		if err != nil {
			return nil, "", fmt.Errorf("merging OpenAPI v3 of %s: %w", root, err)
		}
		return doc, state, nil
	}, parts)
}
