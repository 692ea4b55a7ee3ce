package ipaddress

import (
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

func TestNamesAreCanonicalAddresses(t *testing.T) {
	for name, good := range map[string]bool{
		"10.96.0.1": true, "fd00::1": true, "255.255.255.255": true,
		"010.96.0.1": false, "FD00::1": false, "fd00:0::1": false, "::ffff:10.0.0.1": false, "10.96.0": false, "": false, "kubernetes": false,
	} {
		if msgs := validName(name, false); (len(msgs) == 0) != good {
			t.Errorf("%q: %v", name, msgs)
		}
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		parent *networkingv1.ParentReference
		want   []string
	}{
		"good":    {&networkingv1.ParentReference{Resource: "services", Namespace: "a", Name: "b"}, nil},
		"cluster": {&networkingv1.ParentReference{Group: "example.com", Resource: "gateways", Name: "b"}, nil},
		"none":    {nil, []string{"spec.parentRef: Required value"}},
		"empty":   {&networkingv1.ParentReference{}, []string{"spec.parentRef.resource: Required value", "spec.parentRef.name: Required value"}},
		"odd": {&networkingv1.ParentReference{Group: "a_b", Resource: "a/b", Namespace: "..", Name: "%"}, []string{
			`spec.parentRef.group: Invalid value: "a_b"`, `spec.parentRef.resource: Invalid value: "a/b": may not contain '/'`,
			`spec.parentRef.namespace: Invalid value: "..": may not be '..'`, `spec.parentRef.name: Invalid value: "%": may not contain '%'`,
		}},
	} {
		errs := validate(&networkingv1.IPAddress{Spec: networkingv1.IPAddressSpec{ParentRef: tc.parent}})
		if len(errs) != len(tc.want) {
			t.Errorf("%s: %v", name, errs)
		}
		for _, want := range tc.want {
			if err := errs.ToAggregate(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v lacks %s", name, err, want)
			}
		}
	}
}

func TestParentsStay(t *testing.T) {
	of := func(name string) *networkingv1.IPAddress {
		return &networkingv1.IPAddress{Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Name: name}}}
	}
	change := Definition().Rules.ValidateUpdate
	if errs := change(t.Context(), of("a"), of("a")); len(errs) > 0 {
		t.Error(errs)
	}
	errs := change(t.Context(), of("b"), of("a")).ToAggregate()
	if errs == nil || !strings.Contains(errs.Error(), "spec.parentRef: Invalid value") || !strings.Contains(errs.Error(), "field is immutable") {
		t.Error(errs)
	}
}

func TestParentNames(t *testing.T) {
	for want, parent := range map[string]*networkingv1.ParentReference{
		"<none>":                      nil,
		"services/default/kubernetes": {Resource: "services", Namespace: "default", Name: "kubernetes"},
		"gateways.example.com/a":      {Group: "example.com", Resource: "Gateways", Name: "a"},
	} {
		row := columns().Row(&networkingv1.IPAddress{Spec: networkingv1.IPAddressSpec{ParentRef: parent}})
		if row[1] != want || len(row) != len(columns().Columns) {
			t.Errorf("row %v, want %s", row, want)
		}
	}
}
