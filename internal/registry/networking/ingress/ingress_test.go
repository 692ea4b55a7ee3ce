package ingress

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// to leads to a port of a service.
func to(service string, port int32) networkingv1.IngressBackend {
	return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: service, Port: networkingv1.ServiceBackendPort{Number: port}}}
}

func rule(host, path string, pathType networkingv1.PathType) networkingv1.IngressRule {
	p := networkingv1.HTTPIngressPath{Path: path, Backend: to("web", 80)}
	if pathType != "" {
		p.PathType = &pathType
	}
	return networkingv1.IngressRule{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{p}}}}
}

func of(rules ...networkingv1.IngressRule) *ingress {
	return &ingress{Spec: networkingv1.IngressSpec{Rules: rules}}
}

func by(b networkingv1.IngressBackend) *ingress {
	return &ingress{Spec: networkingv1.IngressSpec{DefaultBackend: &b}}
}

func TestIngressesThatAreRefused(t *testing.T) {
	both, named, unnamed := to("web", 80), to("web", 0), to("web", 0)
	both.Service.Port.Name, named.Service.Port.Name = "http", "much-too-long-for-a-port"
	twice := to("web", 80)
	twice.Resource = &corev1.TypedLocalObjectReference{Kind: "a", Name: "b"}
	tls := of(rule("a.b", "/", "Exact"))
	tls.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{"*.a.b", "a.*"}, SecretName: "A"}}
	annotated := of(rule("a.b", "/", "Exact"))
	annotated.Annotations, annotated.Spec.IngressClassName = map[string]string{classAnnotation: "a"}, new("b")
	for name, tc := range map[string]struct {
		ingress *ingress
		want    []string
	}{
		"good":          {of(rule("*.a.b", "/a", "Prefix"), rule("a.b", "", "ImplementationSpecific")), nil},
		"empty":         {of(), []string{"spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"}},
		"address":       {of(rule("10.0.0.1", "/", "Exact")), []string{`spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address`}},
		"wildcard":      {of(rule("a.*", "/", "Exact")), []string{`spec.rules[0].host: Invalid value: "a.*": a wildcard DNS-1123 subdomain must start with '*.'`}},
		"no path type":  {of(rule("a.b", "/", "")), []string{"spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"}},
		"odd path type": {of(rule("a.b", "/", "Regex")), []string{`paths[0].pathType: Unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix"`}},
		"relative":      {of(rule("a.b", "a", "Prefix"), rule("a.b", "a", "ImplementationSpecific")), []string{"must be an absolute path", "rules[1].http.paths[0].path: Invalid value"}},
		"odd paths":     {of(rule("a.b", "//%2f/..", "Exact")), []string{"must not contain '//'", "must not contain '%2f'", "cannot end with '/..'"}},
		"no backend":    {by(networkingv1.IngressBackend{}), []string{"spec.defaultBackend: Invalid value: \"\": resource or service backend is required"}},
		"two backends":  {by(twice), []string{"cannot set both resource and service backends"}},
		"two ports":     {by(both), []string{"cannot set both port name & port number"}},
		"odd port":      {by(named), []string{"spec.defaultBackend.service.port.name: Invalid value"}},
		"no port":       {by(unnamed), []string{"spec.defaultBackend: Required value: port name or number is required"}},
		"wide port":     {by(to("web", 70000)), []string{"spec.defaultBackend.service.port.number: Invalid value: 70000"}},
		"no service":    {by(to("", 80)), []string{"spec.defaultBackend.service.name: Required value"}},
		"odd service":   {by(to("a.b", 80)), []string{"spec.defaultBackend.service.name: Invalid value: \"a.b\""}},
		"odd resource":  {by(networkingv1.IngressBackend{Resource: &corev1.TypedLocalObjectReference{APIGroup: new("A"), Name: "a/b"}}), []string{"resource.apiGroup: Invalid value", "resource.kind: Required value", "resource.name: Invalid value"}},
		"tls":           {tls, []string{`spec.tls[0].hosts[1]: Invalid value: "a.*"`, `spec.tls[0].secretName: Invalid value: "A"`}},
		"annotation":    {annotated, []string{"annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match `ingressClassName` when both are specified"}},
	} {
		got := fmt.Sprint(validateNew(tc.ingress).ToAggregate())
		if len(tc.want) == 0 && got != "<nil>" {
			t.Errorf("%s: %s", name, got)
		}
		for _, want := range tc.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
}

func TestOddPartsThatAnUpdateKeeps(t *testing.T) {
	odd := of(rule("*.a.b", "a", "Exact"))
	odd.Spec.TLS = []networkingv1.IngressTLS{{SecretName: "A"}}
	if errs := validateChange(odd, odd); len(errs) > 0 {
		t.Errorf("what was there is refused: %v", errs)
	}
	if errs := validateChange(odd, of(rule("a.b", "/", "Exact"))); len(errs) != 2 {
		t.Errorf("what is new is taken: %v", errs)
	}
}

func TestAddressesOfIngresses(t *testing.T) {
	at := func(ip, host string) *ingress {
		i := of()
		i.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: ip, Hostname: host}}
		return i
	}
	for _, tc := range []struct {
		now, old *ingress
		want     string
	}{
		{at("10.0.0.1", "a.b"), of(), ""},
		{at("010.0.0.1", ""), at("010.0.0.1", ""), ""},
		{at("010.0.0.1", ""), of(), "status.loadBalancer.ingress[0].ip: Invalid value"},
		{at("", "10.0.0.1"), of(), "status.loadBalancer.ingress[0].hostname: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address"},
		{at("", "A"), of(), "status.loadBalancer.ingress[0].hostname: Invalid value"},
	} {
		if errs := validateStatus(tc.now, tc.old); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%v: %v, want %s", tc.now.Status, errs, tc.want)
		}
	}
}

func TestRowsOfIngresses(t *testing.T) {
	i := of(rule("d.e", "/", "Exact"), rule("", "/", "Exact"), rule("b.e", "/", "Exact"), rule("c.e", "/", "Exact"), rule("a.e", "/", "Exact"))
	i.Name, i.Spec.TLS = "web", []networkingv1.IngressTLS{{}}
	i.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{Hostname: "z"}, {IP: "10.0.0.1"}, {IP: "10.0.0.1"}}
	if got, want := fmt.Sprint(columns().Row(i)), "[web <none> d.e,b.e,c.e + 2 more... 10.0.0.1,z 80, 443 <unknown>]"; got != want {
		t.Errorf("row %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(columns().Row(of())), "[ <none> *  80 <unknown>]"; got != want {
		t.Errorf("row %s, want %s", got, want)
	}
}

func TestIngressesAreSaidToBeUnserved(t *testing.T) {
	i := of()
	if got := Definition().Rules.WarnCreate(t.Context(), i); len(got) != 1 || got[0] != Unserved {
		t.Errorf("warned %q", got)
	}
	i.Annotations = map[string]string{classAnnotation: "a"}
	if got := Definition().Rules.WarnCreate(t.Context(), i); len(got) != 2 || got[0] != `annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead` {
		t.Errorf("warned %q", got)
	}
}
