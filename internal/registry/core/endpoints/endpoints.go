// Package endpoints owns the Endpoints kind of core/v1: defaults, validation,
// table and storage. Filling endpoints from pods is a controller's work.
package endpoints

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

// Definition describes endpoints.
func Definition() resource.Definition[*corev1.Endpoints] {
	return resource.Definition[*corev1.Endpoints]{
		GroupVersion: corev1.SchemeGroupVersion,
		Plural:       "endpoints",
		Singular:     "endpoints",
		ShortNames:   []string{"ep"},
		Namespaced:   true,
		New:          func() *corev1.Endpoints { return &corev1.Endpoints{} },
		NewList:      func() runtime.Object { return &corev1.EndpointsList{} },
		Default:      setDefaults,
		Rules: resource.Rules[*corev1.Endpoints]{
			Validate: func(_ context.Context, e *corev1.Endpoints) field.ErrorList { return validate(e) },
			ValidateUpdate: func(_ context.Context, e, _ *corev1.Endpoints) field.ErrorList {
				return validate(e)
			},
			AllowCreateOnUpdate: true,
		},
		Columns: columns(),
	}
}

// setDefaults makes TCP the protocol of a port that names none.
func setDefaults(e *corev1.Endpoints) {
	for i := range e.Subsets {
		for j := range e.Subsets[i].Ports {
			if port := &e.Subsets[i].Ports[j]; port.Protocol == "" {
				port.Protocol = corev1.ProtocolTCP
			}
		}
	}
}

func columns() resource.Columns[*corev1.Endpoints] {
	return resource.Columns[*corev1.Endpoints]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Endpoints", Type: "string", Description: corev1.Endpoints{}.SwaggerDoc()["subsets"]},
			resource.AgeColumn(),
		},
		Row: func(e *corev1.Endpoints) []any {
			return []any{e.Name, summary(e.Subsets), resource.Age(e)}
		},
	}
}

// shown is how many addresses the table spells out.
const shown = 3

func summary(subsets []corev1.EndpointSubset) string {
	var list []string
	for _, s := range subsets {
		for _, port := range s.Ports {
			for _, a := range s.Addresses {
				list = append(list, net.JoinHostPort(a.IP, strconv.Itoa(int(port.Port))))
			}
		}
		if len(s.Ports) > 0 {
			continue
		}
		// Headless services may have no ports.
		for _, a := range s.Addresses {
			list = append(list, a.IP)
		}
	}
	switch {
	case len(subsets) == 0:
		return "<none>"
	case len(list) > shown:
		return fmt.Sprintf("%s + %d more...", strings.Join(list[:shown], ","), len(list)-shown)
	}
	return strings.Join(list, ",")
}
