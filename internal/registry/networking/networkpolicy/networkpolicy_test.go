package networkpolicy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type (
	peer = networkingv1.NetworkPolicyPeer
	port = networkingv1.NetworkPolicyPort
)

func from(p ...peer) *policy {
	return &policy{Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{From: p}}}}
}

func at(p ...port) *policy {
	return &policy{Spec: networkingv1.NetworkPolicySpec{Egress: []networkingv1.NetworkPolicyEgressRule{{Ports: p}}}}
}

func block(cidr string, except ...string) peer {
	return peer{IPBlock: &networkingv1.IPBlock{CIDR: cidr, Except: except}}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	odd := metav1.LabelSelector{MatchLabels: map[string]string{"a": "-"}}
	named, one := new(intstr.FromString("http")), new(intstr.FromInt32(100))
	mixed := block("10.0.0.0/8")
	mixed.PodSelector = &metav1.LabelSelector{}
	for name, tc := range map[string]struct {
		policy *policy
		want   string
	}{
		"everything":  {&policy{}, "<nil>"},
		"good":        {from(block("10.0.0.0/8", "10.1.0.0/16"), peer{NamespaceSelector: &metav1.LabelSelector{}, PodSelector: &metav1.LabelSelector{}}), "<nil>"},
		"good ports":  {at(port{Port: named}, port{Port: one, EndPort: new(int32(200))}, port{}), "<nil>"},
		"selector":    {&policy{Spec: networkingv1.NetworkPolicySpec{PodSelector: odd}}, "spec.podSelector.matchLabels: Invalid value"},
		"no peer":     {from(peer{}), "spec.ingress[0].from[0]: Required value: must specify a peer"},
		"two peers":   {from(mixed), "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer"},
		"namespaces":  {from(peer{NamespaceSelector: &odd}), "spec.ingress[0].from[0].namespaceSelector.matchLabels: Invalid value"},
		"no range":    {from(block("")), "spec.ingress[0].from[0].ipBlock.cidr: Required value"},
		"odd range":   {from(block("10.0.0.1/8")), "spec.ingress[0].from[0].ipBlock.cidr: Invalid value"},
		"outside":     {from(block("10.0.0.0/8", "11.0.0.0/16")), "from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`"},
		"all of it":   {from(block("10.0.0.0/8", "10.0.0.0/8")), "must be a strict subset of `cidr`"},
		"protocol":    {at(port{Protocol: new(corev1.Protocol("ICMP"))}), `spec.egress[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"`},
		"zero":        {at(port{Port: new(intstr.FromInt32(0))}), "spec.egress[0].ports[0].port: Invalid value: 0"},
		"name":        {at(port{Port: new(intstr.FromString("-"))}), "spec.egress[0].ports[0].port: Invalid value: \"-\""},
		"end alone":   {at(port{EndPort: new(int32(1))}), "endPort: Invalid value: 1: may not be specified when `port` is not specified"},
		"end of name": {at(port{Port: named, EndPort: new(int32(1))}), "endPort: Invalid value: 1: may not be specified when `port` is non-numeric"},
		"end before":  {at(port{Port: one, EndPort: new(int32(1))}), "endPort: Invalid value: 1: must be greater than or equal to `port`"},
		"types":       {&policy{Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress", "x"}}}, `spec.policyTypes[1]: Unsupported value: "x": supported values: "Ingress", "Egress"`},
		"three types": {&policy{Spec: networkingv1.NetworkPolicySpec{PolicyTypes: make([]networkingv1.PolicyType, 3)}}, "may not specify more than two policyTypes"},
	} {
		if got := fmt.Sprint(validateNew(tc.policy).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestOddRangesThatAnUpdateKeeps(t *testing.T) {
	odd := from(block("10.0.0.1/8", "10.1.0.1/16"))
	if errs := validateChange(odd, odd); len(errs) > 0 {
		t.Errorf("what was there is refused: %v", errs)
	}
	if errs := validateChange(odd, from(block("10.0.0.1/8"))); len(errs) != 1 {
		t.Errorf("what is new is taken: %v", errs)
	}
}

func TestDefaultsOfPolicies(t *testing.T) {
	for p, want := range map[*policy][]networkingv1.PolicyType{
		from(): {"Ingress"}, at(port{}): {"Ingress", "Egress"},
		{Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Egress"}}}: {"Egress"},
	} {
		setDefaults(p)
		if !slices.Equal(p.Spec.PolicyTypes, want) {
			t.Errorf("types %v, want %v", p.Spec.PolicyTypes, want)
		}
		for _, rule := range p.Spec.Egress {
			if *rule.Ports[0].Protocol != corev1.ProtocolTCP {
				t.Errorf("protocol %s", *rule.Ports[0].Protocol)
			}
		}
	}
}

func TestEveryWriteIsToldThatNothingEnforcesIt(t *testing.T) {
	rules := Definition().Rules
	if got := rules.WarnCreate(t.Context(), from()); len(got) != 1 || got[0] != Unenforced {
		t.Errorf("created: %q", got)
	}
	if got := rules.WarnUpdate(t.Context(), from(), at()); len(got) != 1 || got[0] != Unenforced {
		t.Errorf("changed: %q", got)
	}
	if got := rules.WarnUpdate(t.Context(), from(), from()); got != nil {
		t.Errorf("unchanged: %q", got)
	}
}
