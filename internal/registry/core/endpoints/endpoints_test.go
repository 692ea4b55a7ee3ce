package endpoints

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

func addresses(ips ...string) []corev1.EndpointAddress {
	var all []corev1.EndpointAddress
	for _, ip := range ips {
		all = append(all, corev1.EndpointAddress{IP: ip})
	}
	return all
}

func TestValidate(t *testing.T) {
	tcp := corev1.EndpointPort{Port: 80, Protocol: "TCP"}
	for _, tc := range []struct {
		name   string
		subset corev1.EndpointSubset
		want   []string
	}{
		{"good", corev1.EndpointSubset{Addresses: addresses("10.0.0.1", "2001:db8::1"), Ports: []corev1.EndpointPort{tcp}}, nil},
		{"no ports", corev1.EndpointSubset{NotReadyAddresses: addresses("10.0.0.1")}, nil},
		{"no addresses", corev1.EndpointSubset{Ports: []corev1.EndpointPort{tcp}}, []string{"subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"}},
		{"bad ip", corev1.EndpointSubset{Addresses: addresses("10.0.0")}, []string{`subsets[0].addresses[0].ip: Invalid value: "10.0.0"`}},
		{"octal ip", corev1.EndpointSubset{Addresses: addresses("010.0.0.1")}, []string{"subsets[0].addresses[0].ip: Invalid value"}},
		{"special", corev1.EndpointSubset{NotReadyAddresses: addresses("127.0.0.1", "0.0.0.0", "169.254.1.1", "ff02::1")}, []string{
			"subsets[0].notReadyAddresses[0].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range", "may not be unspecified (0.0.0.0)",
			"may not be in the link-local range", "may not be in the link-local multicast range",
		}},
		{"names", corev1.EndpointSubset{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1", Hostname: "a.b", NodeName: ptr.To("A")}}}, []string{
			"subsets[0].addresses[0].hostname: Invalid value", "subsets[0].addresses[0].nodeName: Invalid value",
		}},
		{"ports", corev1.EndpointSubset{Addresses: addresses("10.0.0.1"), Ports: []corev1.EndpointPort{{Port: 70000}, {Name: "A", Port: 1, Protocol: "XTP", AppProtocol: ptr.To("a b")}}}, []string{
			"subsets[0].ports[0].name: Required value", "subsets[0].ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive", "subsets[0].ports[0].protocol: Required value",
			"subsets[0].ports[1].name: Invalid value", `subsets[0].ports[1].protocol: Unsupported value: "XTP": supported values: "SCTP", "TCP", "UDP"`, "subsets[0].ports[1].appProtocol: Invalid value",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := validate(&corev1.Endpoints{Subsets: []corev1.EndpointSubset{tc.subset}}).ToAggregate()
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

func TestEndpointsNameOnlyAddressesOfOneMachine(t *testing.T) {
	for addr, want := range map[string]bool{
		"10.0.0.1": true, "2001:db8::1": true,
		"127.0.0.1": false, "::1": false, "0.0.0.0": false, "::": false, "169.254.1.1": false, "fe80::1": false, "fe80::1%eth0": false, "2001:db8::1%eth0": false, "224.0.0.1": false,
	} {
		if got := Nameable(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

func TestSummary(t *testing.T) {
	http := []corev1.EndpointPort{{Port: 80}}
	for _, tc := range []struct {
		subsets []corev1.EndpointSubset
		want    string
	}{
		{nil, "<none>"},
		{[]corev1.EndpointSubset{{Addresses: addresses("10.0.0.1", "2001:db8::1"), Ports: http}}, "10.0.0.1:80,[2001:db8::1]:80"},
		{[]corev1.EndpointSubset{{Addresses: addresses("10.0.0.1")}}, "10.0.0.1"},
		{[]corev1.EndpointSubset{{NotReadyAddresses: addresses("10.0.0.1"), Ports: http}}, ""},
		{[]corev1.EndpointSubset{{Addresses: addresses("10.0.0.1", "10.0.0.2"), Ports: append(http, corev1.EndpointPort{Port: 443})}}, "10.0.0.1:80,10.0.0.2:80,10.0.0.1:443 + 1 more..."},
	} {
		if got := summary(tc.subsets); got != tc.want {
			t.Errorf("summary %q, want %q", got, tc.want)
		}
	}
	e := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "e"}}
	if row := columns().Row(e); !slices.Equal(row, []any{"e", "<none>", "<unknown>"}) || len(row) != len(columns().Columns) {
		t.Errorf("row %v", row)
	}
}

func TestDefaultsAndStorage(t *testing.T) {
	e := &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "e"},
		Subsets:    []corev1.EndpointSubset{{Addresses: addresses("10.0.0.1"), Ports: []corev1.EndpointPort{{Port: 80}, {Name: "u", Port: 81, Protocol: "UDP"}}}},
	}
	env := resourcetest.Env(t, Definition().Register)
	env.Scheme.Default(e)
	if ports := e.Subsets[0].Ports; ports[0].Protocol != "TCP" || ports[1].Protocol != "UDP" {
		t.Errorf("ports %+v", ports)
	}
	paths, err := Definition().Storages(env)
	if err != nil {
		t.Fatal(err)
	}
	e.Subsets[0].Ports = e.Subsets[0].Ports[:1]
	obj, created, err := paths["endpoints"].(rest.Updater).Update(resourcetest.Context(t, "ns"), "e", rest.DefaultUpdatedObjectInfo(e),
		resourcetest.Allow, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil || !created {
		t.Errorf("a PUT of new endpoints: %v, created %v, %v", obj, created, err)
	}
}

func FuzzValidateIP(f *testing.F) {
	for _, ip := range []string{"10.0.0.1", "010.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "1.2.3.4.5", ""} {
		f.Add(ip)
	}
	f.Fuzz(func(t *testing.T, ip string) {
		e := &corev1.Endpoints{Subsets: []corev1.EndpointSubset{{Addresses: addresses(ip), Ports: []corev1.EndpointPort{{Port: 80, Protocol: "TCP"}}}}}
		if len(validate(e)) == 0 && summary(e.Subsets) == "" {
			t.Errorf("address %q passes and is not shown", ip)
		}
	})
}
