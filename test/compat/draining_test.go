package compat

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// TestEndpointsThatEndServeWhileNobodyElseDoes deletes the only pod of services, which takes
// its time, and has another one follow (KEP-1669).
func TestEndpointsThatEndServeWhileNobodyElseDoes(t *testing.T) {
	s := newStage(t)
	labels := map[string]string{"app": "draining"}
	s.apply(t, s.ns, netserver("exec", nil, "")+"---"+netserver("drain", labels, "", 8080))
	s.running(t, s.ns, "exec", "drain")
	ports := []corev1.ServicePort{portTo("", "TCP", 80, 8080)}
	anywhere := s.expose(t, corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Selector: labels, Ports: ports})
	local := s.expose(t, corev1.ServiceSpec{
		Type: corev1.ServiceTypeLoadBalancer, Selector: labels, Ports: ports,
		ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyLocal),
	})
	node := s.nodeIP(t)
	elsewhere := s.otherNetwork(t, 1)
	served := func(who string) {
		t.Helper()
		for _, svc := range []*corev1.Service{anywhere, local} {
			port := int(svc.Spec.Ports[0].NodePort)
			s.reaches(t, "exec", svc.Spec.ClusterIP, 80, who)
			s.reaches(t, "exec", node, port, who)
			waitsFor(t, "from beside the machine", who, func() string {
				out, _ := exec.CommandContext(t.Context(), "ip", "netns", "exec", elsewhere.name, "curl", "-sS", "-m", "5", fmt.Sprintf("http://%s:%d/hostname", elsewhere.machine, port)).CombinedOutput()
				return string(out)
			})
		}
	}
	healthy := func(want int) {
		t.Helper()
		waitsFor(t, "health", strconv.Itoa(want), func() string {
			answer, err := http.Get(fmt.Sprintf("http://%s:%d/", node, local.Spec.HealthCheckNodePort))
			if err != nil {
				return err.Error()
			}
			answer.Body.Close()
			return strconv.Itoa(answer.StatusCode)
		})
	}
	served("drain")
	healthy(http.StatusOK)
	if err := s.client.CoreV1().Pods(s.ns).Delete(t.Context(), "drain", metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](120)}); err != nil {
		t.Fatal(err)
	}
	s.isDraining(t, local.Name)
	healthy(http.StatusServiceUnavailable)
	served("drain")
	s.apply(t, s.ns, netserver("next", labels, "", 8080))
	s.running(t, s.ns, "next")
	healthy(http.StatusOK)
	served("next")
	s.isDraining(t, local.Name)
	if err := s.client.CoreV1().Pods(s.ns).Delete(t.Context(), "drain", metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}); err != nil {
		t.Fatal(err)
	}
}

// isDraining waits until an endpoint of a service ends and still serves.
func (s *stage) isDraining(t *testing.T, service string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		all, err := s.client.DiscoveryV1().EndpointSlices(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
		if err != nil {
			return err
		}
		for _, slice := range all.Items {
			for _, e := range slice.Endpoints {
				if c := e.Conditions; ptr.Deref(c.Terminating, false) && ptr.Deref(c.Serving, false) && !ptr.Deref(c.Ready, true) {
					return nil
				}
			}
		}
		return fmt.Errorf("no endpoint ends: %+v", all.Items)
	})
}

// otherNetwork is a network beside this machine, by a link of its own.
type otherNetwork struct {
	// name is that of the network, machine where this one is reached from there.
	name, machine string
}

// otherNetwork makes a network that sends everything to this machine, until the test ends; n tells
// those of tests that run at once apart.
func (s *system) otherNetwork(t *testing.T, n int) otherNetwork {
	t.Helper()
	name, link := fmt.Sprintf("beside-%d-%d", n, os.Getpid()), fmt.Sprintf("lb%d-%d", n, os.Getpid()%1000000)
	machine, its := fmt.Sprintf("198.51.100.%d", 4*n+1), fmt.Sprintf("198.51.100.%d", 4*n+2)
	t.Cleanup(func() {
		// Its end of the link goes with it.
		if out, err := exec.CommandContext(context.Background(), "ip", "netns", "del", name).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	for _, line := range []string{
		"ip netns add " + name, "ip link add " + link + " type veth peer name eth0 netns " + name,
		"ip addr add " + machine + "/30 dev " + link, "ip link set " + link + " up",
		"ip -n " + name + " addr add " + its + "/30 dev eth0", "ip -n " + name + " link set eth0 up", "ip -n " + name + " route add default via " + machine,
	} {
		s.sh(t, line)
	}
	return otherNetwork{name, machine}
}

// TestServicesByHints has endpoints that are meant for this node and for others.
func TestServicesByHints(t *testing.T) {
	s := newStage(t)
	labels := map[string]string{"app": "two"}
	s.apply(t, s.ns, strings.Join([]string{netserver("exec", nil, ""), netserver("one", labels, "", 8080), netserver("two", labels, "", 8080)}, "\n---\n"))
	s.running(t, s.ns, "exec", "one", "two")
	node := strings.TrimSpace(s.sh(t, "kubectl get nodes -o jsonpath={.items[0].metadata.name}"))
	ports := []corev1.ServicePort{portTo("", "TCP", 80, 8080)}

	// With one node all endpoints are for it.
	near := s.expose(t, corev1.ServiceSpec{Selector: labels, Ports: ports, TrafficDistribution: ptr.To(corev1.ServiceTrafficDistributionPreferSameNode)})
	eventually(t, 20*time.Second, func() error {
		hints := s.sh(t, fmt.Sprintf("kubectl get endpointslices -n %s -l kubernetes.io/service-name=%s -o jsonpath='{.items[*].endpoints[*].hints.forNodes[*].name}'", s.ns, near.Name))
		if hints != node+" "+node {
			return fmt.Errorf("hints for %q", hints)
		}
		return nil
	})
	s.reaches(t, "exec", near.Spec.ClusterIP, 80, "one", "two")

	hinted := s.expose(t, corev1.ServiceSpec{Ports: ports})
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: hinted.Name, Labels: map[string]string{discoveryv1.LabelServiceName: hinted.Name}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{slicePort("", 8080)},
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{s.podIP(t, "one")}, Hints: &discoveryv1.EndpointHints{ForNodes: []discoveryv1.ForNode{{Name: "elsewhere"}}}},
			{Addresses: []string{s.podIP(t, "two")}, Hints: &discoveryv1.EndpointHints{ForNodes: []discoveryv1.ForNode{{Name: node}}}},
		},
	}
	client := s.client.DiscoveryV1().EndpointSlices(s.ns)
	made, err := client.Create(t.Context(), slice, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.reaches(t, "exec", hinted.Spec.ClusterIP, 80, "two")
	// Where one has no hint none counts.
	made.Endpoints[0].Hints = nil
	if _, err := client.Update(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.reaches(t, "exec", hinted.Spec.ClusterIP, 80, "one", "two")
}
