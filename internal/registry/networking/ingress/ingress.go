// Package ingress owns the Ingress kind of networking.k8s.io/v1: validation, table and
// storage with the status subresource. Laterna runs no ingress controller: objects are
// stored for those that are installed. Classes live in internal/registry/networking/ingressclass.
package ingress

import (
	"context"
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"laterna.dev/laterna/internal/registry/resource"
)

type ingress = networkingv1.Ingress

// Unserved is what is said of every ingress that is made.
const Unserved = "spec: Laterna runs no ingress controller: the object is only stored, and no traffic is led by it unless a controller that you install does so"

// classAnnotation is the older way to name a class.
const classAnnotation = "kubernetes.io/ingress.class"

// Definition describes ingresses.
func Definition() resource.Definition[*ingress] {
	halves := resource.Halves[*ingress, networkingv1.IngressSpec, networkingv1.IngressStatus]{
		Spec:   func(i *ingress) *networkingv1.IngressSpec { return &i.Spec },
		Status: func(i *ingress) *networkingv1.IngressStatus { return &i.Status },
	}
	rules := halves.Main(validateNew, validateChange)
	rules.WarnCreate = func(_ context.Context, i *ingress) []string {
		if _, ok := i.Annotations[classAnnotation]; ok {
			return []string{fmt.Sprintf("annotation %q is deprecated, please use 'spec.ingressClassName' instead", classAnnotation), Unserved}
		}
		return []string{Unserved}
	}
	return resource.Definition[*ingress]{
		GroupVersion: networkingv1.SchemeGroupVersion,
		Plural:       "ingresses",
		Singular:     "ingress",
		ShortNames:   []string{"ing"},
		Namespaced:   true,
		New:          func() *ingress { return &ingress{} },
		NewList:      func() runtime.Object { return &networkingv1.IngressList{} },
		Rules:        rules,
		Status:       halves.Sub(validateStatus),
		Columns:      columns(),
	}
}

func columns() resource.Columns[*ingress] {
	return resource.Columns[*ingress]{
		Columns: []resource.Column{
			resource.Name(),
			{Name: "Class", Type: "string", Description: "The name of the IngressClass resource that should be used for additional configuration"},
			{Name: "Hosts", Type: "string", Description: "Hosts that incoming requests are matched against before the ingress rule"},
			{Name: "Address", Type: "string", Description: "Address is a list containing ingress points for the load-balancer"},
			{Name: "Ports", Type: "string", Description: "Ports of TLS configurations that open"},
			resource.AgeColumn(),
		},
		Row: func(i *ingress) []any {
			class := "<none>"
			if i.Spec.IngressClassName != nil {
				class = *i.Spec.IngressClassName
			}
			ports := "80"
			if len(i.Spec.TLS) > 0 {
				ports = "80, 443"
			}
			return []any{i.Name, class, hosts(i.Spec.Rules), addresses(i.Status.LoadBalancer.Ingress), ports, resource.Age(i)}
		},
	}
}

// shownHosts is how many hosts a table names.
const shownHosts = 3

func hosts(rules []networkingv1.IngressRule) string {
	var list []string
	more := ""
	for _, rule := range rules {
		if len(list) == shownHosts {
			more = fmt.Sprintf(" + %d more...", len(rules)-shownHosts)
			break
		}
		if rule.Host != "" {
			list = append(list, rule.Host)
		}
	}
	if len(list) == 0 {
		return "*"
	}
	return strings.Join(list, ",") + more
}

func addresses(points []networkingv1.IngressLoadBalancerIngress) string {
	var list []string
	for _, p := range points {
		if p.IP != "" {
			list = append(list, p.IP)
		} else if p.Hostname != "" {
			list = append(list, p.Hostname)
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ",")
}
