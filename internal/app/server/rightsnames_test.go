package server

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"laterna.dev/laterna/api"
)

// names has a node that says where its DNS is, moves, and goes, and somebody who changes what
// leads there.
func (w *world) names() {
	ctx := w.Context()
	nodes, services := w.admin.CoreV1().Nodes(), w.admin.CoreV1().Services("kube-system")
	slices := w.admin.DiscoveryV1().EndpointSlices("kube-system")
	_, err := nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "names", Annotations: map[string]string{api.ClusterDNS: "10.9.0.1:53"}}}, metav1.CreateOptions{})
	w.must(err)
	leads := func(to string, port int32) {
		w.Helper()
		w.eventually("pods are led to "+to, func() bool {
			list, err := slices.List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=kube-dns"})
			return err == nil && len(list.Items) == 1 && list.Items[0].Endpoints[0].Addresses[0] == to && *list.Items[0].Ports[0].Port == port
		})
	}
	leads("10.9.0.1", 53)
	s, err := services.Get(ctx, "kube-dns", metav1.GetOptions{})
	w.must(err)
	if s.Spec.ClusterIP != "10.96.0.10" || len(s.Spec.Ports) != 2 || s.Spec.Selector != nil {
		w.Errorf("the service is %+v", s.Spec)
	}
	s.Spec.Selector = map[string]string{"of": "somebody"}
	_, err = services.Update(ctx, s, metav1.UpdateOptions{})
	w.must(err)
	w.eventually("the service leads to no pods", func() bool {
		s, err := services.Get(ctx, "kube-dns", metav1.GetOptions{})
		return err == nil && s.Spec.Selector == nil
	})
	s, err = services.Get(ctx, "kube-dns", metav1.GetOptions{})
	w.must(err)
	s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "elsewhere.example"}
	_, err = services.Update(ctx, s, metav1.UpdateOptions{})
	w.must(err)
	w.eventually("the service is where pods ask", func() bool {
		s, err := services.Get(ctx, "kube-dns", metav1.GetOptions{})
		return err == nil && s.Spec.ClusterIP == "10.96.0.10"
	})
	endpoints := w.admin.CoreV1().Endpoints("kube-system")
	_, err = endpoints.Create(ctx, &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "kube-dns"}, Subsets: []corev1.EndpointSubset{{
		Addresses: []corev1.EndpointAddress{{IP: "10.9.9.9"}}, Ports: []corev1.EndpointPort{{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}},
	}}}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("endpoints lead pods nowhere", func() bool {
		_, err := endpoints.Get(ctx, "kube-dns", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	leads("10.9.0.1", 53)
	patch := []byte(`{"metadata":{"annotations":{"` + api.ClusterDNS + `":"10.9.0.2:54"}}}`)
	_, err = nodes.Patch(ctx, "names", types.MergePatchType, patch, metav1.PatchOptions{})
	w.must(err)
	leads("10.9.0.2", 54)
	patch = []byte(`{"metadata":{"annotations":{"` + api.ClusterDNS + `":"127.0.0.1:54"}}}`)
	_, err = nodes.Patch(ctx, "names", types.MergePatchType, patch, metav1.PatchOptions{})
	w.must(err)
	w.eventually("nobody is led to a loopback address", func() bool {
		_, err := slices.Get(ctx, "kube-dns-names", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	w.must(nodes.Delete(ctx, "names", metav1.DeleteOptions{}))
}
