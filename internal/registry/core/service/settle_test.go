package service

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// port is one of a service, by name, number and node port.
func port(name string, number, node int32) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Port: number, NodePort: node}
}

func TestNodePortsAreTakenOverByName(t *testing.T) {
	old := newService("s", kind(corev1.ServiceTypeNodePort))
	old.Spec.Ports = []corev1.ServicePort{port("a", 80, 30001), port("b", 81, 30002)}
	for name, tc := range map[string]struct {
		ports []corev1.ServicePort
		want  []int32
	}{
		"as before":          {[]corev1.ServicePort{port("a", 80, 0), port("b", 81, 0)}, []int32{30001, 30002}},
		"with other ports":   {[]corev1.ServicePort{port("a", 90, 0), port("b", 91, 0)}, []int32{30001, 30002}},
		"in another order":   {[]corev1.ServicePort{port("b", 81, 0), port("a", 80, 0)}, []int32{30002, 30001}},
		"under a new name":   {[]corev1.ServicePort{port("c", 80, 0)}, []int32{0}},
		"given to another":   {[]corev1.ServicePort{port("a", 80, 0), port("b", 81, 30001)}, []int32{0, 30001}},
		"with one asked for": {[]corev1.ServicePort{port("a", 80, 30009), port("b", 81, 0)}, []int32{30009, 30002}},
	} {
		s := newService("s", kind(corev1.ServiceTypeNodePort))
		s.Spec.Ports = tc.ports
		keep(s, old)
		var got []int32
		for _, p := range s.Spec.Ports {
			got = append(got, p.NodePort)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestNodePortsGoWithTheType(t *testing.T) {
	old := newService("s", kind(corev1.ServiceTypeNodePort))
	old.Spec.Ports = []corev1.ServicePort{port("a", 80, 30001), port("b", 81, 30002)}
	for name, tc := range map[string]struct {
		ports []corev1.ServicePort
		gone  bool
	}{
		"sent back":     {[]corev1.ServicePort{port("a", 80, 30001), port("b", 81, 30002)}, true},
		"with one less": {[]corev1.ServicePort{port("b", 81, 30002)}, true},
		"with a new":    {[]corev1.ServicePort{port("a", 80, 30003)}, false},
	} {
		s := newService("s")
		s.Spec.Ports = tc.ports
		drop(s, old)
		if got := s.Spec.Ports[0].NodePort == 0; got != tc.gone {
			t.Errorf("%s: %+v", name, s.Spec.Ports)
		}
	}
}

func TestFamiliesAfterAnUpdate(t *testing.T) {
	families := func(f ...corev1.IPFamily) func(*corev1.ServiceSpec) {
		return func(spec *corev1.ServiceSpec) { spec.IPFamilies = f }
	}
	policy := func(p corev1.IPFamilyPolicy) func(*corev1.ServiceSpec) {
		return func(spec *corev1.ServiceSpec) { spec.IPFamilyPolicy = &p }
	}
	free := func(spec *corev1.ServiceSpec) {
		spec.Selector, spec.ClusterIP, spec.ClusterIPs = nil, "None", []string{"None"}
	}
	dual := newService("s", free, families("IPv4", "IPv6"), policy("RequireDualStack"))
	prefers := newService("s", families("IPv4"), policy("PreferDualStack"))
	for name, tc := range map[string]struct {
		s, old *corev1.Service
		want   string
	}{
		"the policy stays":            {newService("s"), prefers, "IPv4 PreferDualStack"},
		"the second is let go":        {newService("s", free, families("IPv4", "IPv6"), policy("SingleStack")), dual, "IPv4 SingleStack"},
		"the second is taken away":    {newService("s", free, families("IPv4"), policy("RequireDualStack")), dual, "must be 'SingleStack' to release the secondary IP family"},
		"a second of one":             {newService("s", families("IPv4", "IPv6")), newService("s", families("IPv4"), policy("SingleStack")), "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"},
		"two addresses of one family": {newService("s", func(spec *corev1.ServiceSpec) { spec.ClusterIPs = []string{"10.0.0.1", "10.0.0.2"} }), newService("s"), "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified"},
	} {
		errs := settleFamilies(tc.s, tc.old, corev1.IPv4Protocol)
		var names []string
		for _, f := range tc.s.Spec.IPFamilies {
			names = append(names, string(f))
		}
		got := strings.Join(names, ",") + " " + string(ptr.Deref(tc.s.Spec.IPFamilyPolicy, ""))
		if len(errs) > 0 {
			got = errs.ToAggregate().Error()
		}
		if !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestChangesThatAreRefused(t *testing.T) {
	same := func(*corev1.Service) {}
	none := func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", []string{"None"} }
	external := func(s *corev1.Service) {
		s.Spec = corev1.ServiceSpec{Type: "ExternalName", ExternalName: "example.com"}
	}
	balanced := func(class *string, check int32) func(*corev1.Service) {
		return func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalTrafficPolicy, s.Spec.LoadBalancerClass, s.Spec.HealthCheckNodePort = "LoadBalancer", "Local", class, check
		}
	}
	two := func(policy corev1.IPFamilyPolicy, more ...string) func(*corev1.Service) {
		return func(s *corev1.Service) {
			s.Spec.IPFamilyPolicy = &policy
			s.Spec.ClusterIPs = append(s.Spec.ClusterIPs, more...)
			for range more {
				s.Spec.IPFamilies = append(s.Spec.IPFamilies, "IPv6")
			}
		}
	}
	for name, tc := range map[string]struct {
		was, is func(*corev1.Service)
		want    string
	}{
		"nothing":              {same, same, ""},
		"another address":      {same, func(s *corev1.Service) { s.Spec.ClusterIPs = []string{"10.0.0.6"} }, `spec.clusterIPs[0]: Invalid value: ["10.0.0.6"]: may not change once set`},
		"no address":           {same, func(s *corev1.Service) { s.Spec.ClusterIPs = nil }, "spec.clusterIPs[0]: Invalid value: null: primary clusterIP can not be unset"},
		"to headless":          {same, none, "spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set"},
		"from headless":        {none, same, "may not change once set"},
		"headless family":      {none, func(s *corev1.Service) { none(s); s.Spec.IPFamilies[0] = "IPv6" }, ""},
		"another family":       {same, func(s *corev1.Service) { s.Spec.IPFamilies[0] = "IPv6" }, "spec.ipFamilies[0]: Invalid value: [\"IPv6\"]: may not change once set"},
		"from ExternalName":    {external, same, ""},
		"to ExternalName":      {same, external, ""},
		"class":                {balanced(nil, 30000), balanced(ptr.To("a/b"), 30000), `spec.loadBalancerClass: Invalid value: "a/b": may not change once set`},
		"health check":         {balanced(nil, 30000), balanced(nil, 30001), "spec.healthCheckNodePort: Forbidden: field is immutable"},
		"a second address":     {same, two("PreferDualStack", "fd00::1"), ""},
		"another second":       {two("PreferDualStack", "fd00::1"), two("PreferDualStack", "fd00::2"), "spec.clusterIPs[1]: Invalid value"},
		"without the second":   {two("PreferDualStack", "fd00::1"), two("PreferDualStack"), "spec.ipFamilyPolicy: Invalid value: \"PreferDualStack\": must be set to 'SingleStack' when releasing the secondary clusterIP"},
		"the second let go of": {two("PreferDualStack", "fd00::1"), two("SingleStack"), ""},
	} {
		err := validateChange(complete(tc.is), complete(tc.was)).ToAggregate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

func TestAnnotationsThatAreRefused(t *testing.T) {
	annotated := func(pairs ...string) *corev1.Service {
		return complete(func(s *corev1.Service) {
			s.Annotations = map[string]string{}
			for i := 0; i < len(pairs); i += 2 {
				s.Annotations[pairs[i]] = pairs[i+1]
			}
		})
	}
	const ranges, hints, mode = "service.beta.kubernetes.io/load-balancer-source-ranges", "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
	for _, tc := range []struct {
		s    *corev1.Service
		want string
	}{
		{annotated(hints, "Auto", mode, "Auto"), ""},
		{annotated(hints, "Auto", mode, "Off"), `metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: "Off": must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified`},
		{annotated(ranges, "10.0.0.0/8"), "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: Forbidden: may only be used when `type` is 'LoadBalancer'"},
		{annotated(ranges, " 10.0.0.0/8 , nowhere"), `metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: Invalid value: "nowhere"`},
	} {
		err := validate(tc.s).ToAggregate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %s", tc.s.Annotations, err, tc.want)
		}
	}
}

func TestBalancersAddressesMayBeMisread(t *testing.T) {
	s := complete(func(s *corev1.Service) {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "203.0.113.1"}, {IP: "2001:db8:0::1"}}
	})
	if got := statusWarnings(s); len(got) != 1 || !strings.Contains(got[0], "status.loadBalancer.ingress[1]") {
		t.Errorf("warned %q", got)
	}
}

func TestNamesAreLabels(t *testing.T) {
	for name, good := range map[string]bool{"a": true, "1-a": true, "a.b": false, "A": false, "-a": false} {
		if msgs := rules().ValidName(name, false); (len(msgs) == 0) != good {
			t.Errorf("%s: %v", name, msgs)
		}
	}
}
