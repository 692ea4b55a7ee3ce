package endpoints

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func pod(name, ip string, ready bool, change ...func(*corev1.Pod)) *corev1.Pod {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name)},
		Spec: corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Ports: []corev1.ContainerPort{
			{Name: "web", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}},
	}
	for _, f := range change {
		f(p)
	}
	return p
}

func ending(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }

func service(change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s", Labels: map[string]string{"of": "service"}},
		Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.5", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, Ports: []corev1.ServicePort{
			{Name: "a", Port: 80, TargetPort: intstr.FromString("web"), Protocol: corev1.ProtocolTCP},
			{Name: "b", Port: 81, TargetPort: intstr.FromInt32(9000), Protocol: corev1.ProtocolTCP},
			{Name: "none", Port: 82, TargetPort: intstr.FromString("absent"), Protocol: corev1.ProtocolTCP},
		}},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

// text is what subsets say: addresses, those that are not ready in brackets, and ports.
func text(subsets []corev1.EndpointSubset) (all []string) {
	for _, s := range subsets {
		line := ""
		for _, a := range s.Addresses {
			line += a.IP + " "
		}
		for _, a := range s.NotReadyAddresses {
			line += "(" + a.IP + ") "
		}
		for _, p := range s.Ports {
			line += fmt.Sprintf("%s:%d ", p.Name, p.Port)
		}
		all = append(all, line)
	}
	return all
}

func TestWhatEndpointsSay(t *testing.T) {
	headless := func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }
	portless := func(s *corev1.Service) { s.Spec.Ports = nil }
	unready := func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true }
	over := func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }
	other := func(p *corev1.Pod) { p.Spec.Containers[0].Ports[0].ContainerPort = 8081 }
	for name, tc := range map[string]struct {
		service *corev1.Service
		pods    []*corev1.Pod
		want    []string
	}{
		"ports of the same addresses stand together": {service(), []*corev1.Pod{pod("q", "10.0.0.2", true), pod("p", "10.0.0.1", true)},
			[]string{"10.0.0.1 10.0.0.2 a:8080 b:9000 "}},
		"one is not ready": {service(), []*corev1.Pod{pod("p", "10.0.0.1", true), pod("q", "10.0.0.2", false)},
			[]string{"10.0.0.1 (10.0.0.2) a:8080 b:9000 "}},
		"a port of another number": {service(), []*corev1.Pod{pod("p", "10.0.0.1", true), pod("q", "10.0.0.2", true, other)},
			[]string{"10.0.0.1 a:8080 ", "10.0.0.2 a:8081 ", "10.0.0.1 10.0.0.2 b:9000 "}},
		"ended, ending, without address": {service(), []*corev1.Pod{pod("p", "10.0.0.1", true, over), pod("q", "10.0.0.2", true, ending), pod("r", "", true)}, nil},
		"published though not ready":     {service(unready), []*corev1.Pod{pod("p", "10.0.0.1", false), pod("q", "10.0.0.2", true, ending)}, []string{"10.0.0.1 10.0.0.2 a:8080 b:9000 "}},
		"headless without ports":         {service(headless, portless), []*corev1.Pod{pod("p", "10.0.0.1", true)}, []string{"10.0.0.1 "}},
		"other family":                   {service(), []*corev1.Pod{pod("p", "2001:db8::1", true)}, nil},
		"no pods":                        {service(), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := desired(tc.service, tc.pods, nil, time.Time{})
			if !reflect.DeepEqual(text(got.Subsets), tc.want) {
				t.Errorf("got  %q\nwant %q", text(got.Subsets), tc.want)
			}
			if again := desired(tc.service, tc.pods, got, time.Time{}); again != nil {
				t.Errorf("the same is written again: %+v", again)
			}
		})
	}
}

func TestMetadataOfEndpoints(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("x", 3600))
	e := desired(service(), nil, nil, at)
	if e.Labels["of"] != "service" || e.Labels[managedBy] != Name || e.Annotations[corev1.EndpointsLastChangeTriggerTime] != "2026-01-02T02:04:05.000006Z" {
		t.Errorf("%+v", e.ObjectMeta)
	}
	s := service(func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone; s.Labels = nil })
	next := desired(s, []*corev1.Pod{pod("p", "10.0.0.1", true)}, e, time.Time{})
	if _, there := next.Annotations[corev1.EndpointsLastChangeTriggerTime]; there || !reflect.DeepEqual(next.Labels, map[string]string{managedBy: Name, corev1.IsHeadlessService: ""}) {
		t.Errorf("%+v", next.ObjectMeta)
	}
	if ref := next.Subsets[0].Addresses[0].TargetRef; ref.Kind != "Pod" || ref.UID != "uid-p" || *next.Subsets[0].Addresses[0].NodeName != "node" {
		t.Errorf("address %+v", next.Subsets[0].Addresses[0])
	}
}

func TestMoreThanAThousandAddressesAreTruncated(t *testing.T) {
	var pods []*corev1.Pod
	for i := range 1500 {
		pods = append(pods, pod(fmt.Sprint(i), fmt.Sprintf("10.0.%d.%d", i/256, i%256), i < 900))
	}
	e := desired(service(), pods, nil, time.Time{})
	if count(e.Subsets, true) != 900 || count(e.Subsets, false) != 100 || e.Annotations[corev1.EndpointsOverCapacity] != truncated {
		t.Errorf("%d ready, %d not, %v", count(e.Subsets, true), count(e.Subsets, false), e.Annotations)
	}
	for _, p := range pods {
		p.Status.Conditions[0].Status = corev1.ConditionTrue
	}
	if e = desired(service(), pods, e, time.Time{}); count(e.Subsets, true) != 1000 || count(e.Subsets, false) != 0 {
		t.Errorf("%d ready, %d not", count(e.Subsets, true), count(e.Subsets, false))
	}
	if e = desired(service(), pods[:10], e, time.Time{}); e.Annotations[corev1.EndpointsOverCapacity] != "" || count(e.Subsets, true) != 10 {
		t.Errorf("%d ready, %v", count(e.Subsets, true), e.Annotations)
	}
}
