package resource_test

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/resource"
)

type ingress = networkingv1.Ingress

func halves() resource.Halves[*ingress, networkingv1.IngressSpec, networkingv1.IngressStatus] {
	return resource.Halves[*ingress, networkingv1.IngressSpec, networkingv1.IngressStatus]{
		Spec:   func(i *ingress) *networkingv1.IngressSpec { return &i.Spec },
		Status: func(i *ingress) *networkingv1.IngressStatus { return &i.Status },
	}
}

func object(class, ip string) *ingress {
	i := &ingress{Spec: networkingv1.IngressSpec{IngressClassName: &class}}
	i.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: ip}}
	i.Generation = 7
	return i
}

func TestEachHalfIsWrittenByItsOwner(t *testing.T) {
	none := func(*ingress) field.ErrorList { return nil }
	main, sub := halves().Main(none, nil), halves().Sub(nil)
	made := object("a", "10.0.0.1")
	main.PrepareCreate(t.Context(), made)
	if made.Generation != 1 || made.Status.LoadBalancer.Ingress != nil {
		t.Errorf("made as %+v", made)
	}
	for _, tc := range []struct {
		name       string
		rules      resource.Rules[*ingress]
		class, ip  string
		generation int64
	}{
		{"spec", main, "b", "10.0.0.1", 8},
		{"status", *sub, "a", "10.0.0.2", 7},
	} {
		now := object("b", "10.0.0.2")
		tc.rules.PrepareUpdate(t.Context(), now, object("a", "10.0.0.1"))
		if got := now.Status.LoadBalancer.Ingress[0].IP; *now.Spec.IngressClassName != tc.class || got != tc.ip || now.Generation != tc.generation {
			t.Errorf("%s: class %s, address %s, generation %d", tc.name, *now.Spec.IngressClassName, got, now.Generation)
		}
	}
	same := object("a", "10.0.0.2")
	main.PrepareUpdate(t.Context(), same, object("a", "10.0.0.1"))
	if same.Generation != 7 {
		t.Errorf("generation %d though nothing has changed", same.Generation)
	}
	if got := strings.Join(main.Reset, ",") + " " + strings.Join(sub.Reset, ","); got != "status spec" {
		t.Errorf("reset %s", got)
	}
}

func TestKindsWithoutGenerationAndStatus(t *testing.T) {
	h := halves()
	h.Status, h.Uncounted = nil, true
	main := h.Main(func(*ingress) field.ErrorList { return field.ErrorList{field.Required(nil, "")} }, nil)
	now := object("b", "10.0.0.2")
	main.PrepareUpdate(t.Context(), now, object("a", "10.0.0.1"))
	main.PrepareCreate(t.Context(), now)
	if now.Generation != 7 || now.Status.LoadBalancer.Ingress[0].IP != "10.0.0.2" || main.Reset != nil {
		t.Errorf("got %+v", now)
	}
	if len(main.ValidateUpdate(t.Context(), now, now)) != 1 {
		t.Error("an update is checked by no rules")
	}
}
