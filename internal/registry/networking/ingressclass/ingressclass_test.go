package ingressclass

import (
	"fmt"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

type parametersOf = networkingv1.IngressClassParametersReference

func of(controller string, p *parametersOf) *class {
	return &class{Spec: networkingv1.IngressClassSpec{Controller: controller, Parameters: p}}
}

func TestClassesThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		class *class
		want  string
	}{
		"good":           {of("example.com/a", &parametersOf{Kind: "A", Name: "b", Scope: new("Cluster")}), "<nil>"},
		"of a namespace": {of("example.com/a", &parametersOf{Kind: "A", Name: "b", Scope: new("Namespace"), Namespace: new("n")}), "<nil>"},
		"no controller":  {of("", nil), "spec.controller: Required value"},
		"odd controller": {of("a", nil), `spec.controller: Invalid value: "a": must be a domain-prefixed path (such as "acme.io/foo")`},
		"long":           {of("a.b/"+strings.Repeat("c", 250), nil), "spec.controller: Too long: may not be more than 250 bytes"},
		"no kind":        {of("a.b/c", &parametersOf{Name: "b", Scope: new("Cluster")}), "spec.parameters.kind: Required value"},
		"odd name":       {of("a.b/c", &parametersOf{Kind: "A", Name: "a/b", Scope: new("Cluster")}), "spec.parameters.name: Invalid value"},
		"no scope":       {of("a.b/c", &parametersOf{Kind: "A", Name: "b"}), "spec.parameters.scope: Required value"},
		"odd scope":      {of("a.b/c", &parametersOf{Kind: "A", Name: "b", Scope: new("x")}), `spec.parameters.scope: Unsupported value: "x": supported values: "Cluster", "Namespace"`},
		"no namespace":   {of("a.b/c", &parametersOf{Kind: "A", Name: "b", Scope: new("Namespace")}), "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"},
		"namespace":      {of("a.b/c", &parametersOf{Kind: "A", Name: "b", Scope: new("Cluster"), Namespace: new("n")}), "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"},
	} {
		if got := fmt.Sprint(validate(tc.class).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	if errs := Definition().Rules.ValidateUpdate(t.Context(), of("a.b/c", nil), of("a.b/d", nil)); !strings.Contains(fmt.Sprint(errs), "spec.controller: Invalid value: \"a.b/c\": field is immutable") {
		t.Errorf("another controller: %v", errs)
	}
}

func TestParametersAreOfTheCluster(t *testing.T) {
	c := of("a.b/c", &parametersOf{APIGroup: new("x.io"), Kind: "A", Name: "b"})
	setDefaults(c)
	setDefaults(of("a.b/c", nil))
	if *c.Spec.Parameters.Scope != "Cluster" {
		t.Errorf("scope %s", *c.Spec.Parameters.Scope)
	}
	for c, want := range map[*class]string{c: "A.x.io/b", of("a", &parametersOf{Kind: "A", Name: "b"}): "A/b", of("a", nil): "<none>"} {
		if got := columns().Row(c)[2]; got != want {
			t.Errorf("parameters %s, want %s", got, want)
		}
	}
}
