package policystatus

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/client-go/rest"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// schemas finds the schemas of kinds in the OpenAPI document of their group-version. It does
// not ask for the index of all documents, with which the server would build all of them.
type schemas struct {
	ctx    context.Context // that of the check; the value lives no longer
	client rest.Interface
}

var _ resolver.SchemaResolver = schemas{}

// patience is how long the server may take to build a document.
const patience = 10 * time.Second

const definitions = "#/components/schemas/"

// ResolveSchema implements resolver.SchemaResolver.
func (s schemas) ResolveSchema(kind schema.GroupVersionKind) (*spec.Schema, error) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	raw, err := s.client.Get().AbsPath("/openapi/v3", root(kind.Group), kind.Group, kind.Version).SetHeader("Accept", "application/json").DoRaw(ctx)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("resolving %s: %w", kind, resolver.ErrSchemaNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the schema of %s: %w", kind, err)
	}
	var doc struct {
		Components struct {
			Schemas map[string]*spec.Schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("reading the schema of %s: %w", kind, err)
	}
	for name, candidate := range doc.Components.Schemas {
		var kinds []schema.GroupVersionKind
		if err := candidate.Extensions.GetObject("x-kubernetes-group-version-kind", &kinds); err != nil || !slices.Contains(kinds, kind) {
			continue
		}
		return resolver.PopulateRefs(func(ref string) (*spec.Schema, bool) {
			found, ok := doc.Components.Schemas[strings.TrimPrefix(ref, definitions)]
			return found, ok
		}, definitions+name)
	}
	return nil, fmt.Errorf("resolving %s: %w", kind, resolver.ErrSchemaNotFound)
}

// root is where a group is served.
func root(group string) string {
	if group == "" {
		return "api"
	}
	return "apis"
}
