package podfields

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestPortsOfContainersAndSidecarsAreTaken(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	port := func(hostPort int32) []corev1.ContainerPort {
		return []corev1.ContainerPort{{ContainerPort: 1, HostPort: hostPort}}
	}
	got := HostPorts(&corev1.PodSpec{
		InitContainers: []corev1.Container{{Ports: port(1)}, {Ports: port(2), RestartPolicy: &always}},
		Containers: []corev1.Container{
			{Ports: append(port(0), corev1.ContainerPort{ContainerPort: 1, HostPort: 3, HostIP: "192.0.2.1", Protocol: corev1.ProtocolUDP})},
		},
	})
	want := []HostPort{{AllAddresses, corev1.ProtocolTCP, 2}, {"192.0.2.1", corev1.ProtocolUDP, 3}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPortsConflictWhereOneConnectionCouldMeanBoth(t *testing.T) {
	p := HostPort{"192.0.2.1", corev1.ProtocolTCP, 80}
	for q, want := range map[HostPort]bool{
		p:                                       true,
		{AllAddresses, corev1.ProtocolTCP, 80}:  true,
		{"192.0.2.2", corev1.ProtocolTCP, 80}:   false,
		{AllAddresses, corev1.ProtocolUDP, 80}:  false,
		{AllAddresses, corev1.ProtocolTCP, 81}:  false,
		{AllAddresses, corev1.ProtocolSCTP, 80}: false,
	} {
		if p.Conflicts(q) != want || q.Conflicts(p) != want {
			t.Errorf("%v and %v: conflict %v and %v, want %v", p, q, p.Conflicts(q), q.Conflicts(p), want)
		}
	}
}
