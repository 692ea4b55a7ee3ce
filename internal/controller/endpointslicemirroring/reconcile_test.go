package endpointslicemirroring

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func endpoints(subsets ...corev1.EndpointSubset) *corev1.Endpoints {
	return &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "e", UID: "u", Labels: map[string]string{"a": "b"},
			Annotations: map[string]string{"c": "d", corev1.EndpointsLastChangeTriggerTime: "x", corev1.LastAppliedConfigAnnotation: "y"}},
		Subsets: subsets,
	}
}

func subset(port int32, ready ...string) corev1.EndpointSubset {
	s := corev1.EndpointSubset{Ports: []corev1.EndpointPort{{Name: "p", Port: port, Protocol: corev1.ProtocolTCP}}}
	for _, ip := range ready {
		s.Addresses = append(s.Addresses, corev1.EndpointAddress{IP: ip})
	}
	return s
}

// text is what a slice says.
func text(s *discoveryv1.EndpointSlice) string {
	line := fmt.Sprintf("%s%s %s", s.GenerateName, s.Name, s.AddressType)
	for _, e := range s.Endpoints {
		line += fmt.Sprintf(" %s=%t", e.Addresses[0], *e.Conditions.Ready)
	}
	for _, p := range s.Ports {
		line += fmt.Sprintf(" %s:%d", *p.Name, *p.Port)
	}
	return line
}

func texts(all []*discoveryv1.EndpointSlice) string {
	var lines []string
	for _, s := range all {
		lines = append(lines, text(s))
	}
	return strings.Join(lines, "; ")
}

func TestEndpointsAreMirrored(t *testing.T) {
	waiting := subset(80, "10.0.0.1")
	waiting.NotReadyAddresses = []corev1.EndpointAddress{{IP: "10.0.0.2"}}
	e := endpoints(waiting, subset(81, "10.0.0.3", "2001:db8::1", "10.0.0.3"))
	c := compare(e, desired(e), nil)
	want := "e- IPv4 10.0.0.1=true 10.0.0.2=false p:80; e- IPv4 10.0.0.3=true p:81; e- IPv6 2001:db8::1=true p:81"
	if texts(c.create) != want || len(c.update)+len(c.remove) != 0 {
		t.Errorf("made %s\nwant %s", texts(c.create), want)
	}
	s := c.create[0]
	if fmt.Sprint(s.Labels) != "map[a:b endpointslice.kubernetes.io/managed-by:"+manager+" kubernetes.io/service-name:e]" || fmt.Sprint(s.Annotations) != "map[c:d]" ||
		s.OwnerReferences[0].Kind != "Endpoints" || !*s.OwnerReferences[0].Controller {
		t.Errorf("%+v", s.ObjectMeta)
	}
}

func TestSlicesAreBroughtInLine(t *testing.T) {
	had := endpoints(subset(80, "10.0.0.1", "10.0.0.2"), subset(81, "10.0.0.3"))
	have := compare(had, desired(had), nil).create
	for i, s := range have {
		s.Name, s.GenerateName = fmt.Sprintf("slice-%d", i), ""
	}
	labelled := endpoints(had.Subsets...)
	labelled.Labels = map[string]string{"other": "label"}
	for name, tc := range map[string]struct {
		now                    *corev1.Endpoints
		create, update, remove string
	}{
		"nothing changed":   {now: endpoints(had.Subsets...)},
		"in another order":  {now: endpoints(subset(80, "10.0.0.2", "10.0.0.1"), subset(81, "10.0.0.3"))},
		"an address less":   {now: endpoints(subset(80, "10.0.0.2"), subset(81, "10.0.0.3")), update: "slice-0 IPv4 10.0.0.2=true p:80"},
		"no more subset":    {now: endpoints(subset(80, "10.0.0.1", "10.0.0.2")), remove: "slice-1 IPv4 10.0.0.3=true p:81"},
		"another port":      {now: endpoints(subset(80, "10.0.0.1", "10.0.0.2"), subset(82, "10.0.0.3")), update: "slice-1 IPv4 10.0.0.3=true p:82"},
		"another family":    {now: endpoints(subset(80, "10.0.0.1", "10.0.0.2"), subset(81, "2001:db8::1")), create: "e- IPv6 2001:db8::1=true p:81", remove: "slice-1 IPv4 10.0.0.3=true p:81"},
		"other labels":      {now: labelled, update: "slice-0 IPv4 10.0.0.1=true 10.0.0.2=true p:80; slice-1 IPv4 10.0.0.3=true p:81"},
		"no address at all": {now: endpoints(), remove: "slice-0 IPv4 10.0.0.1=true 10.0.0.2=true p:80; slice-1 IPv4 10.0.0.3=true p:81"},
	} {
		t.Run(name, func(t *testing.T) {
			c := compare(tc.now, desired(tc.now), have)
			if len(c.remove) == 2 && c.remove[0].Name > c.remove[1].Name {
				c.remove[0], c.remove[1] = c.remove[1], c.remove[0]
			}
			if texts(c.create) != tc.create || texts(c.update) != tc.update || texts(c.remove) != tc.remove {
				t.Errorf("create %q, update %q, remove %q", texts(c.create), texts(c.update), texts(c.remove))
			}
		})
	}
}

func TestWhatIsNotMirroredIsCounted(t *testing.T) {
	var many []string
	for i := range 1100 {
		many = append(many, fmt.Sprintf("10.1.%d.%d", i/250, i%250))
	}
	many[0] = "no address"
	d := desired(endpoints(subset(80, many...)))
	if d.invalid != 1 || d.skipped != 100 || len(d.list[d.order[0]]) != perSubset {
		t.Errorf("%d invalid, %d skipped, %d mirrored", d.invalid, d.skipped, len(d.list[d.order[0]]))
	}
	skipped, lock := endpoints(), endpoints()
	skipped.Labels[discoveryv1.LabelSkipMirror], lock.Annotations[leader] = "true", "{}"
	if mirrored(skipped) || mirrored(lock) || !mirrored(endpoints()) {
		t.Error("the wrong endpoints are mirrored")
	}
}
