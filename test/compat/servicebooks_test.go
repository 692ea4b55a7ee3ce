package compat

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestAddressesTakenOutOfTheBooksComeBack deletes the object of a service's address, as
// whoever tidies up may, and reads what the service is told of it.
func TestAddressesTakenOutOfTheBooksComeBack(t *testing.T) {
	s := newStage(t)
	svc := s.expose(t, corev1.ServiceSpec{Ports: []corev1.ServicePort{portTo("", "TCP", 80, 80)}})
	addresses := s.client.NetworkingV1().IPAddresses()
	for n := range 2 {
		if err := addresses.Delete(t.Context(), svc.Spec.ClusterIP, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, func() error {
			a, err := addresses.Get(t.Context(), svc.Spec.ClusterIP, metav1.GetOptions{})
			if err == nil && a.Spec.ParentRef.Name != svc.Name {
				err = fmt.Errorf("it is that of %v", a.Spec.ParentRef)
			}
			return err
		})
		eventually(t, 10*time.Second, func() error {
			events, err := s.client.CoreV1().Events(s.ns).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + svc.Name})
			if err != nil || len(events.Items) != 1 {
				return fmt.Errorf("%d events, %v", len(events.Items), err)
			}
			e, times := events.Items[0], int32(1)
			if e.Series != nil {
				times = e.Series.Count
			}
			want := fmt.Sprintf("Cluster IP [IPv4]: %s is not allocated; repairing", svc.Spec.ClusterIP)
			if e.Reason != "ClusterIPNotAllocated" || e.Message != want || e.InvolvedObject.UID != svc.UID || times != int32(n+1) {
				return fmt.Errorf("event %+v", e)
			}
			return nil
		})
	}
}
