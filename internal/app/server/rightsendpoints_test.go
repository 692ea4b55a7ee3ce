package server

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// endpoints has services with pods, of which one gets an address that no endpoint may have,
// and one with Endpoints of its own.
func (w *world) endpoints() {
	ctx := w.Context()
	core := w.admin.CoreV1()
	w.eventually("pods can be made", func() bool {
		_, err := core.ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	})
	address := func(pod, ip string) {
		w.Helper()
		patch := fmt.Sprintf(`{"status":{"podIP":%q,"podIPs":[{"ip":%q}],"phase":"Running"}}`, ip, ip)
		_, err := core.Pods("default").Patch(ctx, pod, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
		w.must(err)
	}
	for i, name := range []string{"first", "second"} {
		_, err := core.Pods("default").Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"of": "service"}},
			Spec: corev1.PodSpec{NodeName: "elsewhere", AutomountServiceAccountToken: ptr.To(false), Containers: []corev1.Container{{
				Name: "c", Image: "i", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: int32(8080 + i)}}}}},
		}, metav1.CreateOptions{})
		w.must(err)
		address(name, fmt.Sprintf("10.9.0.%d", i+1))
	}
	_, err := core.Services("default").Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "selecting"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"of": "service"}, PublishNotReadyAddresses: true, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("web")}}}}, metav1.CreateOptions{})
	w.must(err)
	w.says("selecting", 2)
	w.must(core.Pods("default").Delete(ctx, "second", *metav1.NewDeleteOptions(0)))
	w.says("selecting", 1)
	address("first", "10.9.0.3")
	w.eventually("the endpoints have moved", func() bool {
		e, err := core.Endpoints("default").Get(ctx, "selecting", metav1.GetOptions{})
		return err == nil && len(e.Subsets) == 1 && e.Subsets[0].Addresses[0].IP == "10.9.0.3"
	})
	address("first", "127.0.0.1")
	w.happens("FailedToUpdateEndpoint")
	w.happens("FailedToUpdateEndpointSlices")
	w.must(core.Services("default").Delete(ctx, "selecting", metav1.DeleteOptions{}))
	w.eventually("endpoints go with their service", func() bool {
		_, err := core.Endpoints("default").Get(ctx, "selecting", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})

	_, err = core.Services("default").Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "mirrored"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	w.must(err)
	e := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "mirrored"}, Subsets: []corev1.EndpointSubset{{Ports: []corev1.EndpointPort{{Port: 80}}}}}
	for i := range 1001 {
		e.Subsets[0].Addresses = append(e.Subsets[0].Addresses, corev1.EndpointAddress{IP: fmt.Sprintf("10.8.%d.%d", i/250, i%250)})
	}
	e, err = core.Endpoints("default").Create(ctx, e, metav1.CreateOptions{})
	w.must(err)
	w.says("mirrored", 1)
	w.happens("TooManyAddressesToMirror")
	e.Labels = map[string]string{"a": "b"}
	_, err = core.Endpoints("default").Update(ctx, e, metav1.UpdateOptions{})
	w.must(err)
	w.eventually("the slice has the label", func() bool {
		list, err := w.admin.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=mirrored,a=b"})
		return err == nil && len(list.Items) == 1
	})
	w.must(core.Endpoints("default").Delete(ctx, "mirrored", metav1.DeleteOptions{}))
	w.says("mirrored", 0)
}

// says waits until a service has so many slices with endpoints, and no others.
func (w *world) says(service string, slices int) {
	w.Helper()
	w.eventually(fmt.Sprintf("%s has %d slices", service, slices), func() bool {
		list, err := w.admin.DiscoveryV1().EndpointSlices("default").List(w.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
		full := 0
		for _, s := range list.Items {
			full += min(len(s.Endpoints), 1)
		}
		return err == nil && full == slices && len(list.Items) == slices
	})
}

// happens waits for an event.
func (w *world) happens(reason string) {
	w.Helper()
	w.eventually("an event "+reason, func() bool {
		list, err := w.admin.CoreV1().Events("default").List(w.Context(), metav1.ListOptions{FieldSelector: "reason=" + reason})
		return err == nil && len(list.Items) > 0
	})
}
