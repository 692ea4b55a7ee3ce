package network_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec/network"
	"laterna.dev/laterna/internal/registry/core/podspec/podspectest"
)

func TestHostnameOverride(t *testing.T) {
	const path = "spec.hostnameOverride: "
	long := strings.Repeat("a", 60) + ".aaaa"
	wrong := podspectest.Wrong
	podspectest.Run(t,
		wrong("right", podspectest.With("hostnameOverride: a.b.example")),
		wrong("as long as may be", podspectest.With("hostnameOverride: "+long[:64])),
		wrong("longer", podspectest.With("hostnameOverride: "+long), path+"Too long: may not be more than 64 bytes"),
		wrong("no name", podspectest.With("hostnameOverride: ''"), path+`Invalid value: "": `+podspectest.Domain),
		wrong("with what rules it out", podspectest.With("hostnameOverride: A\nsetHostnameAsFQDN: true\nhostNetwork: true"),
			path+`Invalid value: "A": `+podspectest.Domain,
			path+"Forbidden: may not be specified when `setHostnameAsFQDN` is true",
			path+"Forbidden: may not be specified when `hostNetwork` is true"),
		wrong("with what leaves it", podspectest.With("hostnameOverride: a\nsetHostnameAsFQDN: false")),
	)
}

func TestPortsOfTheHostNetwork(t *testing.T) {
	const wrongPort = "spec.containers[0].ports[0].hostPort: Invalid value: "
	const rule = ": must match `containerPort` when `hostNetwork` is true"
	for _, c := range []struct {
		ports         string
		pod, template []string
	}{
		{"{containerPort: 80, hostPort: 80}", nil, nil},
		{"{containerPort: 80}", []string{wrongPort + "0" + rule}, nil},
		{"{containerPort: 80, hostPort: 81}", []string{wrongPort + "81" + rule}, []string{wrongPort + "81" + rule}},
	} {
		spec := podspectest.Parse[corev1.PodSpec](t, "hostNetwork: true\ncontainers: [{name: a, ports: ["+c.ports+"]}]")
		podspectest.Compare(t, network.ValidateHostNetwork(spec, field.NewPath("spec"), true), c.pod)
		podspectest.Compare(t, network.ValidateHostNetwork(spec, field.NewPath("spec"), false), c.template)
		spec.HostNetwork = false
		podspectest.Compare(t, network.ValidateHostNetwork(spec, field.NewPath("spec"), true), nil)
	}
}
