package server

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// quotas has objects counted.
func (w *world) quotas() {
	client := w.admin.CoreV1().ResourceQuotas("default")
	_, err := client.Create(w.Context(), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "quota"}, Spec: corev1.ResourceQuotaSpec{
		Hard: corev1.ResourceList{"count/leases.coordination.k8s.io": resource.MustParse("100")}}}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("leases are counted", func() bool {
		q, err := client.Get(w.Context(), "quota", metav1.GetOptions{})
		return err == nil && len(q.Status.Used) == 1
	})
	w.must(client.Delete(w.Context(), "quota", metav1.DeleteOptions{}))
}
