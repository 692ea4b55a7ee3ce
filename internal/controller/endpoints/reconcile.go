package endpoints

import (
	"maps"
	"math"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/endpointslice"
	endpointsliceutil "k8s.io/endpointslice/util"
)

const (
	// maxAddresses is how many addresses are kept of one service.
	maxAddresses = 1000
	// truncated is the value of the annotation of Endpoints that were more.
	truncated = "truncated"
	// managedBy is the label that says who keeps Endpoints.
	managedBy = "endpoints.kubernetes.io/managed-by"
)

// desired returns the Endpoints of a service as they should be, nil when they are. have are
// those that there are, nil when there are none; trigger is when what they follow from
// changed, zero when that is not known.
func desired(s *corev1.Service, pods []*corev1.Pod, have *corev1.Endpoints, trigger time.Time) *corev1.Endpoints {
	subsets := repack(addressed(s, pods))
	if have != nil && equality.Semantic.DeepEqual(have.Subsets, subsets) && equality.Semantic.DeepEqual(have.Labels, withLabels(s)) && !overCapacity(have) {
		return nil
	}
	want := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}
	if have != nil {
		want = have.DeepCopy()
	}
	want.Subsets, want.Labels = subsets, withLabels(s)
	note(want, corev1.EndpointsLastChangeTriggerTime, stamp(trigger))
	note(want, corev1.EndpointsOverCapacity, "")
	if truncate(want.Subsets) {
		note(want, corev1.EndpointsOverCapacity, truncated)
	}
	return want
}

// note sets an annotation, or removes it where there is nothing to say.
func note(e *corev1.Endpoints, key, value string) {
	if value == "" {
		delete(e.Annotations, key)
		return
	}
	metav1.SetMetaDataAnnotation(&e.ObjectMeta, key, value)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// withLabels are the labels of a service's Endpoints: its own and those that say more.
func withLabels(s *corev1.Service) map[string]string {
	all := maps.Clone(s.Labels)
	if all == nil {
		all = map[string]string{}
	}
	all[managedBy] = Name
	if delete(all, corev1.IsHeadlessService); s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone {
		all[corev1.IsHeadlessService] = ""
	}
	return all
}

// overCapacity tells whether Endpoints have, or say that they had, too many addresses: then
// they are written again.
func overCapacity(e *corev1.Endpoints) bool {
	_, marked := e.Annotations[corev1.EndpointsOverCapacity]
	return marked || count(e.Subsets, true)+count(e.Subsets, false) > maxAddresses
}

// addressed returns a subset for each pod and port of a service.
func addressed(s *corev1.Service, pods []*corev1.Pod) (all []corev1.EndpointSubset) {
	for _, pod := range pods {
		address, ok := addressOf(s, pod)
		if !ok || !endpointsliceutil.ShouldPodBeInEndpoints(pod, s.Spec.PublishNotReadyAddresses) {
			continue
		}
		add := func(ports ...corev1.EndpointPort) {
			subset := corev1.EndpointSubset{Ports: ports}
			if s.Spec.PublishNotReadyAddresses || endpointsliceutil.IsPodReady(pod) {
				subset.Addresses = []corev1.EndpointAddress{address}
			} else {
				subset.NotReadyAddresses = []corev1.EndpointAddress{address}
			}
			all = append(all, subset)
		}
		if len(s.Spec.Ports) == 0 && s.Spec.ClusterIP == corev1.ClusterIPNone {
			add()
		}
		for i := range s.Spec.Ports {
			port := &s.Spec.Ports[i]
			if number, err := endpointslice.FindPort(pod, port); err == nil {
				add(corev1.EndpointPort{Name: port.Name, Port: int32(number), Protocol: port.Protocol, AppProtocol: port.AppProtocol})
			}
		}
	}
	return all
}

// addressOf returns a pod's address of the first family of a service.
func addressOf(s *corev1.Service, pod *corev1.Pod) (corev1.EndpointAddress, bool) {
	six := len(s.Spec.IPFamilies) > 0 && s.Spec.IPFamilies[0] == corev1.IPv6Protocol
	for _, ip := range pod.Status.PodIPs {
		addr, err := netip.ParseAddr(ip.IP)
		if err != nil || addr.Is6() != six {
			continue
		}
		a := corev1.EndpointAddress{
			IP:        ip.IP,
			NodeName:  &pod.Spec.NodeName,
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		}
		if endpointsliceutil.ShouldSetHostname(pod, s) {
			a.Hostname = pod.Spec.Hostname
		}
		return a, true
	}
	return corev1.EndpointAddress{}, false
}

// count returns how many addresses there are that are ready, or are not.
func count(subsets []corev1.EndpointSubset, ready bool) (n int) {
	for _, s := range subsets {
		n += len(*addressesOf(&s, ready))
	}
	return n
}

func addressesOf(s *corev1.EndpointSubset, ready bool) *[]corev1.EndpointAddress {
	if ready {
		return &s.Addresses
	}
	return &s.NotReadyAddresses
}

// truncate keeps maxAddresses in all: those that are not ready go first, and each subset
// gives its share. It tells whether it had to.
func truncate(subsets []corev1.EndpointSubset) bool {
	ready, others := count(subsets, true), count(subsets, false)
	if ready+others <= maxAddresses {
		return false
	}
	shorten, total, room := false, others, maxAddresses-ready
	if ready > maxAddresses {
		shorten, total, room = true, ready, maxAddresses
	}
	left := room
	for i := range subsets {
		list := addressesOf(&subsets[i], shorten)
		keep := min(int(math.Ceil(float64(len(*list))/float64(total)*float64(room))), left, len(*list))
		*list = (*list)[:keep]
		left -= keep
		if shorten {
			subsets[i].NotReadyAddresses = nil
		}
	}
	return true
}
