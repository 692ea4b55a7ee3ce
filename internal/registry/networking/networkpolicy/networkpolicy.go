// Package networkpolicy owns the NetworkPolicy kind of networking.k8s.io/v1: defaults,
// validation, table and storage. The pod network enforces no policies, which every write
// of one is told.
package networkpolicy

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"laterna.dev/laterna/internal/registry/resource"
)

type policy = networkingv1.NetworkPolicy

// Unenforced is what is said of every policy that is written.
const Unenforced = "spec: the pod network of Laterna enforces no NetworkPolicies: the object is only stored, and restricts no traffic"

// Definition describes network policies.
func Definition() resource.Definition[*policy] {
	halves := resource.Halves[*policy, networkingv1.NetworkPolicySpec, struct{}]{
		Spec: func(p *policy) *networkingv1.NetworkPolicySpec { return &p.Spec },
	}
	rules := halves.Main(validateNew, validateChange)
	rules.WarnCreate = resource.OnlyStored[*policy](Unenforced)
	rules.WarnUpdate = func(_ context.Context, p, old *policy) []string {
		if equality.Semantic.DeepEqual(p.Spec, old.Spec) {
			return nil
		}
		return []string{Unenforced}
	}
	return resource.Definition[*policy]{
		GroupVersion: networkingv1.SchemeGroupVersion,
		Plural:       "networkpolicies",
		Singular:     "networkpolicy",
		ShortNames:   []string{"netpol"},
		Namespaced:   true,
		New:          func() *policy { return &policy{} },
		NewList:      func() runtime.Object { return &networkingv1.NetworkPolicyList{} },
		Default:      setDefaults,
		Rules:        rules,
		Columns: resource.Columns[*policy]{
			Columns: []resource.Column{
				resource.Name(),
				{Name: "Pod-Selector", Type: "string", Description: networkingv1.NetworkPolicySpec{}.SwaggerDoc()["podSelector"]},
				resource.AgeColumn(),
			},
			Row: func(p *policy) []any {
				return []any{p.Name, metav1.FormatLabelSelector(&p.Spec.PodSelector), resource.Age(p)}
			},
		},
	}
}

// setDefaults: a policy is of what comes in and, where it has rules for that, of what goes
// out; ports are of TCP.
func setDefaults(p *policy) {
	s := &p.Spec
	if len(s.PolicyTypes) == 0 {
		s.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(s.Egress) > 0 {
			s.PolicyTypes = append(s.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
	tcp := func(ports []networkingv1.NetworkPolicyPort) {
		for i := range ports {
			if ports[i].Protocol == nil {
				ports[i].Protocol = new(corev1.ProtocolTCP)
			}
		}
	}
	for i := range s.Ingress {
		tcp(s.Ingress[i].Ports)
	}
	for i := range s.Egress {
		tcp(s.Egress[i].Ports)
	}
}
