// Package endpointslice owns the EndpointSlice kind of discovery.k8s.io/v1: defaults,
// validation, table and storage. The slice of the service kubernetes is kept by
// internal/apiserver; filling slices from pods is a controller's work.
package endpointslice

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes endpoint slices.
func Definition() resource.Definition[*discoveryv1.EndpointSlice] {
	return resource.Definition[*discoveryv1.EndpointSlice]{
		GroupVersion: discoveryv1.SchemeGroupVersion,
		Plural:       "endpointslices",
		Singular:     "endpointslice",
		Namespaced:   true,
		New:          func() *discoveryv1.EndpointSlice { return &discoveryv1.EndpointSlice{} },
		NewList:      func() runtime.Object { return &discoveryv1.EndpointSliceList{} },
		Default:      setDefaults,
		Rules: resource.Rules[*discoveryv1.EndpointSlice]{
			PrepareCreate: func(_ context.Context, s *discoveryv1.EndpointSlice) { s.Generation = 1 },
			PrepareUpdate: func(_ context.Context, s, old *discoveryv1.EndpointSlice) { generation(s, old) },
			Validate:      func(_ context.Context, s *discoveryv1.EndpointSlice) field.ErrorList { return validate(s) },
			ValidateUpdate: func(_ context.Context, s, old *discoveryv1.EndpointSlice) field.ErrorList {
				return append(validate(s), validateChange(s, old)...)
			},
			WarnCreate:          func(_ context.Context, s *discoveryv1.EndpointSlice) []string { return warnings(s) },
			AllowCreateOnUpdate: true,
		},
		Columns: columns(),
	}
}

// setDefaults gives ports an empty name and the protocol TCP.
func setDefaults(s *discoveryv1.EndpointSlice) {
	for i := range s.Ports {
		if s.Ports[i].Name == nil {
			s.Ports[i].Name = ptr.To("")
		}
		if s.Ports[i].Protocol == nil {
			s.Ports[i].Protocol = ptr.To(corev1.ProtocolTCP)
		}
	}
}

// generation counts the changes of what a slice says.
func generation(s, old *discoveryv1.EndpointSlice) {
	s.Generation = old.Generation
	if !apiequality.Semantic.DeepEqual(s.Endpoints, old.Endpoints) || !apiequality.Semantic.DeepEqual(s.Ports, old.Ports) ||
		!apiequality.Semantic.DeepEqual(s.Labels, old.Labels) {
		s.Generation++
	}
}

func columns() resource.Columns[*discoveryv1.EndpointSlice] {
	return resource.Columns[*discoveryv1.EndpointSlice]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "AddressType", Type: "string", Description: discoveryv1.EndpointSlice{}.SwaggerDoc()["addressType"]},
			{Name: "Ports", Type: "string", Description: discoveryv1.EndpointSlice{}.SwaggerDoc()["ports"]},
			{Name: "Endpoints", Type: "string", Description: discoveryv1.EndpointSlice{}.SwaggerDoc()["endpoints"]},
			resource.AgeColumn(),
		},
		Row: func(s *discoveryv1.EndpointSlice) []any {
			return []any{s.Name, string(s.AddressType), ports(s.Ports), addresses(s.Endpoints), resource.Age(s)}
		},
	}
}

func ports(all []discoveryv1.EndpointPort) string {
	var list []string
	for _, p := range all {
		switch {
		case p.Port != nil:
			list = append(list, strconv.Itoa(int(*p.Port)))
		case ptr.Deref(p.Name, "") == "":
			list = append(list, "*")
		default:
			list = append(list, *p.Name)
		}
	}
	return shorten(list)
}

func addresses(all []discoveryv1.Endpoint) string {
	var list []string
	for _, e := range all {
		list = append(list, e.Addresses...)
	}
	return shorten(list)
}

// shown is how many ports or addresses the table spells out.
const shown = 3

func shorten(list []string) string {
	switch {
	case len(list) == 0:
		return "<unset>"
	case len(list) > shown:
		return fmt.Sprintf("%s + %d more...", strings.Join(list[:shown], ","), len(list)-shown)
	}
	return strings.Join(list, ",")
}
