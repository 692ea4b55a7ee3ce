package serviceapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestServicesAreReadAsTheNetworkNeedsThem(t *testing.T) {
	for name, tt := range map[string]struct {
		spec   corev1.ServiceSpec
		status corev1.LoadBalancerStatus
		want   string
	}{
		"no address":    {corev1.ServiceSpec{}, corev1.LoadBalancerStatus{}, "nothing"},
		"headless":      {corev1.ServiceSpec{ClusterIP: "None"}, corev1.LoadBalancerStatus{}, "nothing"},
		"of IPv6":       {corev1.ServiceSpec{ClusterIP: "fd00::1", ClusterIPs: []string{"fd00::1"}}, corev1.LoadBalancerStatus{}, "nothing"},
		"external name": {corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ClusterIP: "10.96.0.7", ExternalName: "x.example"}, corev1.LoadBalancerStatus{}, "nothing"},
		"the plainest": {corev1.ServiceSpec{ClusterIP: "10.96.0.7", Ports: []corev1.ServicePort{{Port: 80, NodePort: 30080}}}, corev1.LoadBalancerStatus{},
			"{ns/web 10.96.0.7 [] [] [] 0s false false 0 [{ tcp 80 0}]}"},
		"second of two families": {corev1.ServiceSpec{ClusterIP: "fd00::1", ClusterIPs: []string{"fd00::1", "10.96.0.7"}}, corev1.LoadBalancerStatus{},
			"{ns/web 10.96.0.7 [] [] [] 0s false false 0 []}"},
		"node port": {corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, ClusterIP: "10.96.0.7", ExternalIPs: []string{"192.0.2.1", "fd00::1", "x"},
			ExternalTrafficPolicy: "Local", InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyLocal), SessionAffinity: "ClientIP",
			HealthCheckNodePort: 31000, Ports: []corev1.ServicePort{{Name: "a", Protocol: "UDP", Port: 80, NodePort: 30080}, {Name: "b", Protocol: "SCTP", Port: 81}},
		}, corev1.LoadBalancerStatus{}, "{ns/web 10.96.0.7 [192.0.2.1] [] [] 3h0m0s true true 0 [{a udp 80 30080} {b sctp 81 0}]}"},
		"load balancer": {corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.96.0.7", ExternalTrafficPolicy: "Local", HealthCheckNodePort: 31000,
			LoadBalancerSourceRanges: []string{"192.0.2.77/24", "fd00::/8", "x"}, SessionAffinity: "ClientIP",
			SessionAffinityConfig: &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr.To(int32(5))}},
		}, corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "198.51.100.1"}, {IP: "198.51.100.2", IPMode: ptr.To(corev1.LoadBalancerIPModeProxy)}, {Hostname: "x"}}},
			"{ns/web 10.96.0.7 [] [198.51.100.1] [192.0.2.0/24 255.255.255.255/32 255.255.255.255/32] 5s false true 31000 []}"},
		"load balancer, everywhere": {corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.96.0.7", HealthCheckNodePort: 31000}, corev1.LoadBalancerStatus{},
			"{ns/web 10.96.0.7 [] [] [] 0s false false 0 []}"},
	} {
		created := time.Unix(1, 0).UTC()
		read, ok := service(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", CreationTimestamp: metav1.NewTime(created)}, Spec: tt.spec, Status: corev1.ServiceStatus{LoadBalancer: tt.status}})
		got := "nothing"
		if ok {
			got = strings.Replace(fmt.Sprint(read), "ns/web "+created.String(), "ns/web", 1)
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestSlicesAreReadAsTheNetworkNeedsThem(t *testing.T) {
	yes, no := ptr.To(true), ptr.To(false)
	got := slice(&discoveryv1.EndpointSlice{
		Ports: []discoveryv1.EndpointPort{{}, {Name: ptr.To("dns"), Protocol: ptr.To(corev1.ProtocolUDP), Port: ptr.To(int32(53))}, {Port: ptr.To(int32(70000))}},
		Endpoints: []discoveryv1.Endpoint{
			{},
			{Addresses: []string{"10.244.0.1", "10.244.0.9"}},
			{Addresses: []string{"10.244.0.2"}, NodeName: ptr.To("a"), Conditions: discoveryv1.EndpointConditions{Ready: no}},
			{Addresses: []string{"10.244.0.3"}, Conditions: discoveryv1.EndpointConditions{Ready: no, Serving: yes, Terminating: yes}},
			{Addresses: []string{"x"}, Hints: &discoveryv1.EndpointHints{ForNodes: []discoveryv1.ForNode{{Name: "n"}}, ForZones: []discoveryv1.ForZone{{Name: "y"}, {Name: "z"}}}},
		},
	})
	const want = "&{[{ tcp 0} {dns udp 53} { tcp 0}] [" +
		"{10.244.0.1 true true false  [] []} {10.244.0.2 false false false a [] []} {10.244.0.3 false true true  [] []} {invalid IP true true false  [n] [y z]}]}"
	if fmt.Sprint(got) != want {
		t.Errorf("%v\nwant %v", got, want)
	}
}
