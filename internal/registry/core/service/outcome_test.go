package service

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/registry/resource/resourcetest"
)

// TestNothingIsGivenBackBeforeItIsStored has somebody else be faster than an update, so that
// the store asks twice.
func TestNothingIsGivenBackBeforeItIsStored(t *testing.T) {
	s := serve(t, "10.0.0.0/24")
	s.mustCreate(newService("a", address("10.0.0.2"), kind(corev1.ServiceTypeNodePort), func(spec *corev1.ServiceSpec) { spec.Ports[0].NodePort = 30001 }))
	update := func(change func(*corev1.ServiceSpec)) (asked int) {
		t.Helper()
		transform := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
			svc := old.DeepCopyObject().(*corev1.Service)
			change(&svc.Spec)
			if asked++; asked == 1 {
				s.edit("a", func(spec *corev1.ServiceSpec) { spec.PublishNotReadyAddresses = !spec.PublishNotReadyAddresses })
			} else if held, ports := portsOf(old.(*corev1.Service)), s.takenPorts(); len(s.takenIPs()) != 1 || !slices.Contains(ports, held[0]-30000) {
				t.Errorf("while nothing is stored %v and %v are taken", s.takenIPs(), ports)
			}
			return svc, nil
		}
		_, _, err := s.Update(s.ctx, "a", rest.DefaultUpdatedObjectInfo(nil, transform), resourcetest.Allow, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return asked
	}
	if asked := update(func(spec *corev1.ServiceSpec) { spec.Ports[0].NodePort = 30002 }); asked != 2 {
		t.Fatalf("the store asked %d times", asked)
	}
	if ports := s.takenPorts(); len(ports) != 1 || ports[0] != 2 {
		t.Errorf("with another port %v are taken", ports)
	}
	update(func(spec *corev1.ServiceSpec) {
		spec.Type, spec.ExternalName, spec.ClusterIP, spec.ClusterIPs = corev1.ServiceTypeExternalName, "example.com", "", nil
		spec.Ports[0].NodePort, spec.ExternalTrafficPolicy, spec.SessionAffinity, spec.IPFamilies, spec.IPFamilyPolicy, spec.InternalTrafficPolicy = 0, "", "None", nil, nil, nil
	})
	s.want("without an address")
	if ports := s.takenPorts(); len(ports) != 0 {
		t.Errorf("without a port %v are taken", ports)
	}
}
