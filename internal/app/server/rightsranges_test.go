package server

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ranges has one more range of service addresses.
func (w *world) ranges() {
	client := w.admin.NetworkingV1().ServiceCIDRs()
	_, err := client.Create(w.Context(), &networkingv1.ServiceCIDR{
		ObjectMeta: metav1.ObjectMeta{Name: "more"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"192.0.2.0/24"}},
	}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("the range is ready", func() bool {
		r, err := client.Get(w.Context(), "more", metav1.GetOptions{})
		return err == nil && len(r.Finalizers) == 1 && meta.IsStatusConditionTrue(r.Status.Conditions, networkingv1.ServiceCIDRConditionReady)
	})
}
