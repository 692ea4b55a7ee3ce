package compat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestConformanceServices(t *testing.T) {
	s := newStage(t)
	s.apply(t, s.ns, strings.Join([]string{
		netserver("exec", nil, ""), netserver("one", map[string]string{"app": "two"}, "", 8080, 8081), netserver("two", map[string]string{"app": "two"}, "", 8080, 8081),
	}, "\n---\n"))
	s.running(t, s.ns, "exec", "one", "two")
	node := s.nodeIP(t)
	s.conforms(t, "[sig-network] Services should serve a basic endpoint from pods", s.basicEndpoint)
	s.conforms(t, "[sig-network] Services should serve multiport endpoints from pods", s.multiportEndpoints)
	s.conforms(t, "[sig-network] Services should serve endpoints on same port and different protocols", s.twoProtocols)
	s.conforms(t, "[sig-network] Services should be able to create a functioning NodePort service", func(t *testing.T) {
		made := s.expose(t, corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"app": "two"}, Ports: []corev1.ServicePort{portTo("", "TCP", 80, 8080)}})
		s.reaches(t, "exec", made.Spec.ClusterIP, 80, "one", "two")
		s.reaches(t, "exec", node, int(made.Spec.Ports[0].NodePort), "one", "two")
		if got := strings.TrimSpace(s.ask(t, fmt.Sprintf("%s:%d", node, made.Spec.Ports[0].NodePort))); !strings.HasPrefix(got, "one") && !strings.HasPrefix(got, "two") {
			t.Errorf("from the machine %q", got)
		}
	})
	s.conforms(t, "[sig-network] Services should have session affinity work for service with type clusterIP", func(t *testing.T) {
		s.affinity(t, corev1.ServiceTypeClusterIP)
	})
	s.conforms(t, "[sig-network] Services should have session affinity work for NodePort service", func(t *testing.T) {
		s.affinity(t, corev1.ServiceTypeNodePort)
	})
	s.conforms(t, "[sig-network] Services should be able to switch session affinity for service with type clusterIP", func(t *testing.T) {
		s.affinitySwitched(t, corev1.ServiceTypeClusterIP)
	})
	s.conforms(t, "[sig-network] Services should be able to switch session affinity for NodePort service", func(t *testing.T) {
		s.affinitySwitched(t, corev1.ServiceTypeNodePort)
	})
	s.conforms(t, "[sig-network] EndpointSlice should support a Service with multiple endpoint IPs specified in multiple EndpointSlices", func(t *testing.T) {
		made := s.expose(t, corev1.ServiceSpec{Ports: []corev1.ServicePort{portTo("http", "TCP", 80, 8080)}})
		s.slice(t, made.Name, s.podIP(t, "one"), slicePort("http", 8080))
		s.slice(t, made.Name, s.podIP(t, "two"), slicePort("http", 8080))
		s.reaches(t, "exec", made.Spec.ClusterIP, 80, "one", "two")
	})
	s.conforms(t, "[sig-network] EndpointSlice should support a Service with multiple ports specified in multiple EndpointSlices", func(t *testing.T) {
		made := s.expose(t, corev1.ServiceSpec{Ports: []corev1.ServicePort{portTo("http", "TCP", 80, 8080), portTo("other", "TCP", 81, 8081)}})
		s.slice(t, made.Name, s.podIP(t, "one"), slicePort("http", 8080))
		s.slice(t, made.Name, s.podIP(t, "two"), slicePort("other", 8081))
		s.reaches(t, "exec", made.Spec.ClusterIP, 80, "one")
		s.reaches(t, "exec", made.Spec.ClusterIP, 81, "two")
	})
}

// twoServers is a service of the pods one and two, and where it is reached.
func (s *stage) twoServers(t *testing.T, kind corev1.ServiceType, affinity corev1.ServiceAffinity) (name, host string, port int) {
	t.Helper()
	made := s.expose(t, corev1.ServiceSpec{
		Type: kind, SessionAffinity: affinity, Selector: map[string]string{"app": "two"}, Ports: []corev1.ServicePort{portTo("", "TCP", 80, 8080)},
	})
	if kind == corev1.ServiceTypeNodePort {
		return made.Name, s.nodeIP(t), int(made.Spec.Ports[0].NodePort)
	}
	return made.Name, made.Spec.ClusterIP, 80
}

func (s *stage) affinity(t *testing.T, kind corev1.ServiceType) {
	_, host, port := s.twoServers(t, kind, corev1.ServiceAffinityClientIP)
	s.sticks(t, host, port)
}

func (s *stage) affinitySwitched(t *testing.T, kind corev1.ServiceType) {
	name, host, port := s.twoServers(t, kind, corev1.ServiceAffinityNone)
	s.reaches(t, "exec", host, port, "one", "two")
	s.patchService(t, name, `{"spec":{"sessionAffinity":"ClientIP"}}`)
	s.sticks(t, host, port)
	s.patchService(t, name, `{"spec":{"sessionAffinity":"None","sessionAffinityConfig":null}}`)
	s.reaches(t, "exec", host, port, "one", "two")
}

// sticks waits until 16 connections in a row reach one and the same pod.
func (s *stage) sticks(t *testing.T, host string, port int) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		all := slices.Compact(slices.Sorted(slices.Values(s.answerers(t, "exec", host, port, 16))))
		if len(all) != 1 || all[0] == "" {
			return fmt.Errorf("%s:%d is answered by %q, want one", host, port, all)
		}
		return nil
	})
}

func (s *stage) podIP(t testing.TB, pod string) string {
	t.Helper()
	return s.field(t, s.ns, "pod/"+pod, "{.status.podIP}")
}

func slicePort(name string, port int32) discoveryv1.EndpointPort {
	return discoveryv1.EndpointPort{Name: ptr.To(name), Protocol: ptr.To(corev1.ProtocolTCP), Port: &port}
}

// slice adds endpoints to a service without a selector.
func (s *stage) slice(t *testing.T, service, ip string, ports ...discoveryv1.EndpointPort) {
	t.Helper()
	_, err := s.client.DiscoveryV1().EndpointSlices(s.ns).Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: s.name(service), Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: ports, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{ip}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stage) delete(t *testing.T, pod string) {
	t.Helper()
	if err := s.client.CoreV1().Pods(s.ns).Delete(t.Context(), pod, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s *stage) basicEndpoint(t *testing.T) {
	labels := map[string]string{"app": "basic"}
	made := s.expose(t, corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{portTo("", "TCP", 80, 80)}})
	ip := made.Spec.ClusterIP
	s.unanswered(t, "exec", ip, 80)
	s.apply(t, s.ns, netserver("basic1", labels, "", 80))
	s.reaches(t, "exec", ip, 80, "basic1")
	s.apply(t, s.ns, netserver("basic2", labels, "", 80))
	s.reaches(t, "exec", ip, 80, "basic1", "basic2")
	s.delete(t, "basic1")
	s.reaches(t, "exec", ip, 80, "basic2")
	s.delete(t, "basic2")
	s.unanswered(t, "exec", ip, 80)
}

func (s *stage) multiportEndpoints(t *testing.T) {
	labels := map[string]string{"app": "multiport"}
	made := s.expose(t, corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{portTo("portname1", "TCP", 80, 100), portTo("portname2", "TCP", 81, 101)}})
	named := func(name string, port int) string {
		return netserver(name, labels, "", port) + fmt.Sprintf("    ports: [{name: %s, containerPort: %d}]\n", "svc-"+name, port)
	}
	s.patchService(t, made.Name, `{"spec":{"ports":[{"name":"portname1","port":80,"targetPort":"svc-multi1"},{"name":"portname2","port":81,"targetPort":"svc-multi2"}]}}`)
	ip := made.Spec.ClusterIP
	s.apply(t, s.ns, named("multi1", 100))
	s.reaches(t, "exec", ip, 80, "multi1")
	s.unanswered(t, "exec", ip, 81)
	s.apply(t, s.ns, named("multi2", 101))
	s.reaches(t, "exec", ip, 81, "multi2")
	s.reaches(t, "exec", ip, 80, "multi1")
	s.delete(t, "multi1")
	s.unanswered(t, "exec", ip, 80)
	s.reaches(t, "exec", ip, 81, "multi2")
	s.delete(t, "multi2")
	s.unanswered(t, "exec", ip, 81)
}

func (s *stage) twoProtocols(t *testing.T) {
	labels := map[string]string{"app": "protocols"}
	made := s.expose(t, corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{portTo("tcp-port", "TCP", 80, 80), portTo("udp-port", "UDP", 80, 80)}})
	ip := made.Spec.ClusterIP
	s.apply(t, s.ns, netserver("protocols", labels, "", 80))
	s.running(t, s.ns, "protocols")
	s.serveUDP(t, "protocols", 80)
	s.reaches(t, "exec", ip, 80, "protocols")
	s.reachesUDP(t, "exec", ip, 80, "protocols")
	s.patchService(t, made.Name, `{"spec":{"ports":[{"name":"tcp-port","port":80,"protocol":"TCP","targetPort":80}]}}`)
	s.reachesUDP(t, "exec", ip, 80, "")
	s.reaches(t, "exec", ip, 80, "protocols")
	s.patchService(t, made.Name, `{"spec":{"ports":[{"name":"udp-port","port":80,"protocol":"UDP","targetPort":80}]}}`)
	s.unanswered(t, "exec", ip, 80)
	s.reachesUDP(t, "exec", ip, 80, "protocols")
}

func TestConformanceNetworking(t *testing.T) {
	s := newStage(t)
	s.apply(t, s.ns, strings.Join([]string{
		netserver("first", nil, "", 8080), netserver("second", nil, "", 8080), netserver("host", nil, "hostNetwork: true"),
	}, "\n---\n"))
	s.running(t, s.ns, "first", "second", "host")
	ips := map[string]string{}
	for _, pod := range []string{"first", "second"} {
		ips[pod] = s.podIP(t, pod)
		s.serveUDP(t, pod, 8081)
	}
	s.conforms(t, "[sig-network] Networking Granular Checks: Pods should function for intra-pod communication: http", func(t *testing.T) {
		for pod, ip := range ips {
			s.reaches(t, "first", ip, 8080, pod)
		}
	})
	s.conforms(t, "[sig-network] Networking Granular Checks: Pods should function for intra-pod communication: udp", func(t *testing.T) {
		for pod, ip := range ips {
			s.reachesUDP(t, "first", ip, 8081, pod)
		}
	})
	s.conforms(t, "[sig-network] Networking Granular Checks: Pods should function for node-pod communication: http", func(t *testing.T) {
		for pod, ip := range ips {
			s.reaches(t, "host", ip, 8080, pod)
		}
	})
	s.conforms(t, "[sig-network] Networking Granular Checks: Pods should function for node-pod communication: udp", func(t *testing.T) {
		for pod, ip := range ips {
			s.reachesUDP(t, "", ip, 8081, pod) // from the machine's network, as the pod's is
		}
	})
}
