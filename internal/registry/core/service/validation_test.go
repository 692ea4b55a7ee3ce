package service

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// complete returns a service as validation sees it.
func complete(change func(*corev1.Service)) *corev1.Service {
	s := newService("s", func(spec *corev1.ServiceSpec) {
		spec.ClusterIP, spec.ClusterIPs = "10.0.0.5", []string{"10.0.0.5"}
		spec.IPFamilies, spec.IPFamilyPolicy = []corev1.IPFamily{"IPv4"}, ptr.To(corev1.IPFamilyPolicySingleStack)
	})
	change(s)
	return s
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*corev1.Service)
		want   []string
	}{
		{"good", func(*corev1.Service) {}, nil},
		{"headless without ports", func(s *corev1.Service) {
			s.Spec.Ports, s.Spec.ClusterIP, s.Spec.ClusterIPs = nil, "None", []string{"None"}
		}, nil},
		{"no ports", func(s *corev1.Service) { s.Spec.Ports = nil }, []string{"spec.ports: Required value"}},
		{"type", func(s *corev1.Service) { s.Spec.Type = "Odd" }, []string{`spec.type: Unsupported value: "Odd": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"`}},
		{"headless node port", func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.ExternalTrafficPolicy = "NodePort", "None", []string{"None"}, "Cluster"
		}, []string{`spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services`}},
		{"external name with all", func(s *corev1.Service) { s.Spec.Type = "ExternalName" }, []string{
			"spec.clusterIPs: Forbidden: may not be set for ExternalName services", "spec.ipFamilies: Forbidden", "spec.ipFamilyPolicy: Forbidden", "spec.externalName: Required value",
		}},
		{"external name", func(s *corev1.Service) {
			s.Spec = corev1.ServiceSpec{Type: "ExternalName", ExternalName: "example.com.", SessionAffinity: "None"}
		}, nil},
		{"bad external name", func(s *corev1.Service) {
			s.Spec = corev1.ServiceSpec{Type: "ExternalName", ExternalName: "-", SessionAffinity: "None"}
		}, []string{`spec.externalName: Invalid value: "-"`}},
		{"ports", func(s *corev1.Service) {
			s.Spec.Ports = []corev1.ServicePort{
				{Port: 0, Protocol: "XTP", TargetPort: intstr.FromString("-")},
				{Name: "A", Port: 70000, TargetPort: intstr.FromInt32(-1)},
				{Name: "b", Port: 80, Protocol: "TCP", TargetPort: intstr.FromInt32(80), NodePort: 30000, AppProtocol: ptr.To("a b")},
				{Name: "b", Port: 80, Protocol: "TCP", TargetPort: intstr.FromString("http"), NodePort: 30000},
			}
		}, []string{
			"spec.ports[0].name: Required value", "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
			`spec.ports[0].protocol: Unsupported value: "XTP": supported values: "SCTP", "TCP", "UDP"`, `spec.ports[0].targetPort: Invalid value: "-"`,
			`spec.ports[1].name: Invalid value: "A"`, "spec.ports[1].port: Invalid value: 70000", "spec.ports[1].protocol: Required value", "spec.ports[1].targetPort: Invalid value: -1",
			"spec.ports[2].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'", "spec.ports[2].appProtocol: Invalid value",
			`spec.ports[3].name: Duplicate value: "b"`, "spec.ports[3].nodePort: Duplicate value: 30000", "spec.ports[3]: Duplicate value",
		}},
		{"selector", func(s *corev1.Service) { s.Spec.Selector = map[string]string{"a b": "c"} }, []string{"spec.selector: Invalid value"}},
		{"affinity", func(s *corev1.Service) { s.Spec.SessionAffinity = "Odd" }, []string{`spec.sessionAffinity: Unsupported value: "Odd": supported values: "ClientIP", "None"`}},
		{"affinity config", func(s *corev1.Service) { s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{} }, []string{"spec.sessionAffinityConfig: Forbidden: must not be set when session affinity is None"}},
		{"affinity seconds", func(s *corev1.Service) {
			s.Spec.SessionAffinity = "ClientIP"
			s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr.To[int32](86401)}}
		}, []string{"spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400"}},
		{"addresses disagree", func(s *corev1.Service) { s.Spec.ClusterIP = "10.0.0.6" }, []string{"spec.clusterIPs: Invalid value: [\"10.0.0.5\"]: first value must match `clusterIP`"}},
		{"second address", func(s *corev1.Service) { s.Spec.ClusterIPs = []string{"10.0.0.5", "10.0.0.6"} }, []string{"may specify no more than one IP for each IP family"}},
		{"none and one", func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", []string{"None", "10.0.0.6"} }, []string{"'None' must be the first and only value"}},
		{"family", func(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{"IPv6", "IPv6", "IPv5"} }, []string{
			"spec.ipFamilies[1]: Duplicate value", `spec.ipFamilies[2]: Unsupported value: "IPv5"`, "expected an IPv6 value as indicated by `ipFamilies[0]`",
		}},
		{"family policy", func(s *corev1.Service) { s.Spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicy("Odd")) }, []string{`spec.ipFamilyPolicy: Unsupported value: "Odd"`}},
		{"external IPs", func(s *corev1.Service) {
			s.Spec.ExternalIPs, s.Spec.ExternalTrafficPolicy = []string{"x", "127.0.0.1", "0.0.0.0"}, "Cluster"
		}, []string{
			`spec.externalIPs[0]: Invalid value: "x"`, "spec.externalIPs[1]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)", "may not be unspecified (0.0.0.0)",
		}},
		{"balancer's fields", func(s *corev1.Service) {
			s.Spec.LoadBalancerSourceRanges, s.Spec.AllocateLoadBalancerNodePorts, s.Spec.LoadBalancerClass = []string{"10.0.0.0"}, ptr.To(true), ptr.To("a/b")
		}, []string{
			"spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'", "spec.LoadBalancerSourceRanges[0]: Invalid value",
			"spec.allocateLoadBalancerNodePorts: Forbidden", "spec.loadBalancerClass: Forbidden",
		}},
		{"traffic", func(s *corev1.Service) {
			s.Spec.ExternalTrafficPolicy, s.Spec.HealthCheckNodePort = "Local", 30000
			s.Spec.InternalTrafficPolicy, s.Spec.TrafficDistribution = ptr.To(corev1.ServiceInternalTrafficPolicy("Odd")), ptr.To("Odd")
		}, []string{
			`spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services`,
			"spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
			`spec.internalTrafficPolicy: Unsupported value: "Odd"`, `spec.trafficDistribution: Unsupported value: "Odd": supported values: "PreferClose", "PreferSameZone", "PreferSameNode"`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := validate(complete(tc.change)).ToAggregate()
			if len(tc.want) == 0 && err != nil {
				t.Fatalf("unexpected: %v", err)
			}
			for _, w := range tc.want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("error %v\nlacks %s", err, w)
				}
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	s := newService("s")
	spec := s.Spec
	if spec.Type != "ClusterIP" || spec.SessionAffinity != "None" || spec.Ports[0].Protocol != "TCP" || spec.Ports[0].TargetPort != intstr.FromInt32(80) ||
		*spec.InternalTrafficPolicy != "Cluster" || spec.ExternalTrafficPolicy != "" || spec.AllocateLoadBalancerNodePorts != nil {
		t.Errorf("defaulted to %+v", spec)
	}
	spec = newService("s", kind(corev1.ServiceTypeLoadBalancer), func(spec *corev1.ServiceSpec) { spec.SessionAffinity = "ClientIP" }).Spec
	if spec.ExternalTrafficPolicy != "Cluster" || !*spec.AllocateLoadBalancerNodePorts || *spec.SessionAffinityConfig.ClientIP.TimeoutSeconds != 10800 {
		t.Errorf("defaulted to %+v", spec)
	}
	if spec := newService("s", kind(corev1.ServiceTypeExternalName)).Spec; spec.InternalTrafficPolicy != nil {
		t.Errorf("defaulted to %+v", spec)
	}
}

func TestFamilies(t *testing.T) {
	policy := func(p corev1.IPFamilyPolicy) func(*corev1.ServiceSpec) {
		return func(spec *corev1.ServiceSpec) { spec.IPFamilyPolicy = &p }
	}
	families := func(f ...corev1.IPFamily) func(*corev1.ServiceSpec) {
		return func(spec *corev1.ServiceSpec) { spec.IPFamilies = f }
	}
	free := func(spec *corev1.ServiceSpec) { spec.Selector, spec.ClusterIP = nil, "None" }
	for _, tc := range []struct {
		name   string
		change func(*corev1.ServiceSpec)
		want   string // families and policy, or the error
	}{
		{"plain", func(*corev1.ServiceSpec) {}, "IPv4 SingleStack"},
		{"prefers two", policy("PreferDualStack"), "IPv4 PreferDualStack"},
		{"requires two", policy("RequireDualStack"), `spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services`},
		{"names two", families("IPv4", "IPv6"), "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified"},
		{"the other", families("IPv6"), `spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster`},
		{"its address", address("fd00::1"), `spec.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster`},
		{"headless", address("None"), "IPv4 SingleStack"},
		{"headless, by hand", free, "IPv4,IPv6 RequireDualStack"},
		{"external", kind(corev1.ServiceTypeExternalName), " "},
	} {
		s := newService("s", tc.change)
		settle(s, nil)
		errs := settleFamilies(s, nil, corev1.IPv4Protocol)
		var names []string
		for _, f := range s.Spec.IPFamilies {
			names = append(names, string(f))
		}
		got := strings.Join(names, ",") + " " + string(ptr.Deref(s.Spec.IPFamilyPolicy, ""))
		if len(errs) > 0 {
			got = errs.ToAggregate().Error()
		}
		if got != tc.want && (len(errs) == 0 || !strings.Contains(got, tc.want)) {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestRow(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*corev1.Service)
		want   []any
	}{
		{"plain", func(*corev1.Service) {}, []any{"s", "ClusterIP", "10.0.0.5", "<none>", "80/TCP", "<unknown>", "a=b"}},
		{"headless", func(s *corev1.Service) { s.Spec = corev1.ServiceSpec{Type: "ClusterIP", ClusterIPs: []string{"None"}} }, []any{"s", "ClusterIP", "None", "<none>", "<none>", "<unknown>", "<none>"}},
		{"external name", func(s *corev1.Service) {
			s.Spec = corev1.ServiceSpec{Type: "ExternalName", ExternalName: "example.com"}
		}, []any{"s", "ExternalName", "<none>", "example.com", "<none>", "<unknown>", "<none>"}},
		{"node port", func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalIPs = "NodePort", []string{"1.2.3.4", "1.2.3.5"}
			s.Spec.Ports[0].NodePort = 30080
		}, []any{"s", "NodePort", "10.0.0.5", "1.2.3.4,1.2.3.5", "80:30080/TCP", "<unknown>", "a=b"}},
		{"pending", func(s *corev1.Service) { s.Spec.Type = "LoadBalancer" }, []any{"s", "LoadBalancer", "10.0.0.5", "<pending>", "80/TCP", "<unknown>", "a=b"}},
		{"balanced", func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalIPs = "LoadBalancer", []string{"1.2.3.4"}
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{Hostname: "lb.example.com"}, {IP: "1.1.1.1"}}
		}, []any{"s", "LoadBalancer", "10.0.0.5", "1.1.1.1,lb.example.com,1.2.3.4", "80/TCP", "<unknown>", "a=b"}},
	} {
		s := complete(tc.change)
		s.CreationTimestamp = metav1.Time{}
		if row := columns().Row(s); !slices.Equal(row, tc.want) || len(row) != len(columns().Columns) {
			t.Errorf("%s: row %v\nwant %v", tc.name, row, tc.want)
		}
	}
}

func FuzzValidateAddresses(f *testing.F) {
	for _, ip := range []string{"10.0.0.5", "None", "", "::1", "010.0.0.5", "::ffff:10.0.0.5", "fe80::1%a"} {
		f.Add(ip, ip)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		s := newService("s", address(one))
		s.Spec.ClusterIPs, s.Spec.ExternalIPs = []string{one, two}, []string{two}
		settle(s, nil)
		settleFamilies(s, nil, corev1.IPv4Protocol)
		if len(validate(s)) == 0 {
			addressesOf(s)
			columns().Row(s)
		}
	})
}
