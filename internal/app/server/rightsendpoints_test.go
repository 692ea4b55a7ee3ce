package server

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// endpoints has a service find its pod, lose it, and go.
func (w *world) endpoints() {
	ctx, services, pods := w.Context(), w.admin.CoreV1().Services("default"), w.admin.CoreV1().Pods("default")
	_, err := services.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "front"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": "found"}, Ports: []corev1.ServicePort{{Port: 80}},
	}}, metav1.CreateOptions{})
	w.must(err)
	_, err = w.admin.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "found"}}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("a pod can be made", func() bool {
		_, err := pods.Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "found", Labels: map[string]string{"app": "found"}},
			Spec: corev1.PodSpec{
				NodeName: "found", AutomountServiceAccountToken: ptr.To(false), Containers: []corev1.Container{{Name: "c", Image: "i"}},
				Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			},
		}, metav1.CreateOptions{})
		return err == nil
	})
	for _, status := range []string{"True", "False"} {
		_, err = pods.Patch(ctx, "found", types.StrategicMergePatchType,
			[]byte(`{"status":{"phase":"Running","podIP":"192.0.2.7","podIPs":[{"ip":"192.0.2.7"}],"conditions":[{"type":"Ready","status":"`+status+`"}]}}`), metav1.PatchOptions{}, "status")
		w.must(err)
		w.eventually("the service tells whether its pod is ready: "+status, func() bool {
			e, err := w.admin.CoreV1().Endpoints("default").Get(ctx, "front", metav1.GetOptions{})
			s := w.slicesOf("front")
			return err == nil && len(e.Subsets) == 1 && (len(e.Subsets[0].Addresses) == 1) == (status == "True") &&
				len(s) == 1 && len(s[0].Endpoints) == 1 && *s[0].Endpoints[0].Conditions.Ready == (status == "True")
		})
	}
	w.must(w.replacePort("front", 81))
	w.must(services.Delete(ctx, "front", metav1.DeleteOptions{}))
	w.eventually("endpoints go with their service", func() bool {
		_, err := w.admin.CoreV1().Endpoints("default").Get(ctx, "front", metav1.GetOptions{})
		return err != nil && len(w.slicesOf("front")) == 0
	})
}

// replacePort gives a service another port, for which there is a slice then and no other.
func (w *world) replacePort(service string, port int32) error {
	w.Helper()
	s, err := w.admin.CoreV1().Services("default").Get(w.Context(), service, metav1.GetOptions{})
	w.must(err)
	s.Spec.Ports = []corev1.ServicePort{{Port: port}}
	_, err = w.admin.CoreV1().Services("default").Update(w.Context(), s, metav1.UpdateOptions{})
	w.eventually("the slice has the other port", func() bool {
		found := w.slicesOf(service)
		return len(found) == 1 && len(found[0].Ports) == 1 && *found[0].Ports[0].Port == port
	})
	return err
}

func (w *world) slicesOf(service string) []discoveryv1.EndpointSlice {
	w.Helper()
	list, err := w.admin.DiscoveryV1().EndpointSlices("default").List(w.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	w.must(err)
	return list.Items
}

// mirrored has endpoints that somebody writes by hand shown as slices.
func (w *world) mirrored() {
	ctx, endpoints := w.Context(), w.admin.CoreV1().Endpoints("default")
	_, err := w.admin.CoreV1().Services("default").Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "custom"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	w.must(err)
	made, err := endpoints.Create(ctx, &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "custom"}, Subsets: []corev1.EndpointSubset{{
		Addresses: []corev1.EndpointAddress{{IP: "192.0.2.8"}}, Ports: []corev1.EndpointPort{{Port: 80}},
	}}}, metav1.CreateOptions{})
	w.must(err)
	for _, change := range []struct {
		ip   string
		port int32
	}{{"192.0.2.8", 80}, {"192.0.2.9", 80}, {"192.0.2.9", 81}} {
		made.Subsets[0].Addresses[0].IP, made.Subsets[0].Ports[0].Port = change.ip, change.port
		made, err = endpoints.Update(ctx, made, metav1.UpdateOptions{})
		w.must(err)
		w.eventually("endpoints are mirrored", func() bool {
			s := w.slicesOf("custom")
			return len(s) == 1 && len(s[0].Endpoints) == 1 && strings.Join(s[0].Endpoints[0].Addresses, "") == change.ip && *s[0].Ports[0].Port == change.port
		})
	}
}
