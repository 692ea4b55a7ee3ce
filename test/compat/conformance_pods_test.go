package compat

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
)

// labelled returns a pod of a label that runs until it is told to end, and ends then.
func labelled(name, key, value string) *corev1.Pod {
	pod := shell(name, "trap exit TERM; while :; do sleep 0.05; done")
	pod.Labels = map[string]string{key: value}
	pod.Spec.TerminationGracePeriodSeconds = nil
	return pod
}

// count is how many pods have a label.
func (s *stage) count(t testing.TB, selector string) int {
	t.Helper()
	list, err := s.client.CoreV1().Pods(s.ns).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

// change updates a pod as clients do: what is there now, changed, once more where
// somebody else was first.
func (s *stage) change(t testing.TB, pod *corev1.Pod, how func(*corev1.Pod)) (now *corev1.Pod) {
	t.Helper()
	pods := s.client.CoreV1().Pods(s.ns)
	if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		got, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		how(got)
		now, err = pods.Update(t.Context(), got, metav1.UpdateOptions{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return now
}

// watched are the events of a watch on the pods of a label.
type watched <-chan watch.Event

func (s *stage) watch(t testing.TB, selector string) watched {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	t.Cleanup(cancel)
	w, err := s.client.CoreV1().Pods(s.ns).Watch(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w.ResultChan()
}

// next skips events until one is as wanted.
func (w watched) next(t testing.TB, what string, wanted func(watch.EventType, *corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var last watch.Event
	for event := range w {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			t.Fatalf("watching for %s: %s %v", what, event.Type, event.Object)
		}
		if wanted(event.Type, pod) {
			return pod
		}
		last = event
	}
	t.Fatalf("watching for %s: the last event is %+v", what, last)
	return nil
}

func TestConformancePods(t *testing.T) {
	s := newStage(t)
	pods := s.client.CoreV1().Pods(s.ns)
	s.conforms(t, "[sig-node] Pods should get a host IP", func(t *testing.T) {
		pod := s.runs(t, shell(s.name("pod"), forever))
		node, err := s.client.CoreV1().Nodes().Get(t.Context(), pod.Spec.NodeName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ip := pod.Status.HostIP
		if ip == "" || ip != node.Status.Addresses[0].Address || len(pod.Status.HostIPs) != 1 || pod.Status.HostIPs[0].IP != ip {
			t.Errorf("host addresses %q %+v, those of the node are %+v", ip, pod.Status.HostIPs, node.Status.Addresses)
		}
	})

	s.conforms(t, "[sig-node] Pods should be submitted and removed", func(t *testing.T) {
		if n := s.count(t, "time=submitted"); n != 0 {
			t.Fatalf("%d pods of the label before one is created", n)
		}
		events := s.watch(t, "time=submitted")
		pod := s.create(t, labelled(s.name("pod"), "time", "submitted"))
		if n := s.count(t, "time=submitted"); n != 1 {
			t.Errorf("%d pods of the label, want 1", n)
		}
		if first := <-events; first.Type != watch.Added {
			t.Errorf("the first event is %+v", first)
		}
		s.await(t, pod, "to run", isRunning)
		if err := pods.Delete(t.Context(), pod.Name, *metav1.NewDeleteOptions(30)); err != nil {
			t.Fatal(err)
		}
		events.next(t, "the notice of the deletion", func(e watch.EventType, p *corev1.Pod) bool { return e == watch.Modified && p.DeletionTimestamp != nil })
		last := events.next(t, "the deletion", func(e watch.EventType, _ *corev1.Pod) bool { return e == watch.Deleted })
		if last.DeletionTimestamp == nil || *last.Spec.TerminationGracePeriodSeconds == 0 || last.Status.Phase != corev1.PodSucceeded {
			t.Errorf("as it went the pod was deleted at %v, had %ds, and was %s", last.DeletionTimestamp, *last.Spec.TerminationGracePeriodSeconds, last.Status.Phase)
		}
		if n := s.count(t, "time=submitted"); n != 0 {
			t.Errorf("%d pods of the label are left", n)
		}
	})

	s.conforms(t, "[sig-node] Pods should be updated", func(t *testing.T) {
		pod := s.runs(t, labelled(s.name("pod"), "time", "before"))
		if n := s.count(t, "time=before"); n != 1 {
			t.Errorf("%d pods of the label, want 1", n)
		}
		now := s.change(t, pod, func(p *corev1.Pod) { p.Labels["time"] = "after" })
		if !isRunning(now) || s.count(t, "time=after") != 1 || s.count(t, "time=before") != 0 {
			t.Errorf("%s, %d pods of the new label and %d of the old", now.Status.Phase, s.count(t, "time=after"), s.count(t, "time=before"))
		}
	})

	s.conforms(t, "[sig-node] Pods should allow activeDeadlineSeconds to be updated", func(t *testing.T) {
		pod := s.runs(t, labelled(s.name("pod"), "time", "deadline"))
		s.change(t, pod, func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = new(int64(2)) })
		ended := s.await(t, pod, "to be ended", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
		if ended.Status.Reason != "DeadlineExceeded" {
			t.Errorf("the reason is %q: %s", ended.Status.Reason, ended.Status.Message)
		}
	})

	s.conforms(t, "[sig-node] Pods should contain environment variables for services", s.knowsServices)

	s.conforms(t, "[sig-node] Pods should delete a collection of pods", func(t *testing.T) {
		var made []*corev1.Pod
		for range 3 {
			made = append(made, s.create(t, labelled(s.name("pod"), "type", "collection")))
		}
		for _, pod := range made {
			s.await(t, pod, "to run", isRunning)
		}
		if err := pods.DeleteCollection(t.Context(), *metav1.NewDeleteOptions(1), metav1.ListOptions{LabelSelector: "type=collection"}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 30*time.Second, func() error {
			if n := s.count(t, "type=collection"); n != 0 {
				return fmt.Errorf("%d pods are left", n)
			}
			return nil
		})
	})

	s.conforms(t, "[sig-node] Pods should patch a pod status", func(t *testing.T) {
		pod := s.runs(t, shell(s.name("pod"), forever))
		patch := []byte(`{"metadata":{"annotations":{"patchedstatus":"true"}},"status":{"message":"Patched by a test","reason":"Test"}}`)
		now, err := pods.Patch(t.Context(), pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		if err != nil || now.Status.Message != "Patched by a test" || now.Status.Reason != "Test" || now.Annotations["patchedstatus"] != "true" {
			t.Errorf("after the patch: %q %q %q, %v", now.Status.Message, now.Status.Reason, now.Annotations, err)
		}
		if got, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil || got.Annotations["patchedstatus"] != "true" {
			t.Errorf("read again: %q, %v", got.Annotations, err)
		}
	})

	s.conforms(t, "[sig-node] Pods should run through the lifecycle of Pods and PodStatus", s.livesThrough)

	s.conforms(t, "[sig-node] Pods Extended Pods Set QOS Class should be set on Pods with matching resource requests and limits for memory and cpu", func(t *testing.T) {
		pod := shell(s.name("pod"), forever)
		both := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("100Mi")}
		pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: both, Limits: both}
		if made := s.create(t, pod); made.Status.QOSClass != corev1.PodQOSGuaranteed {
			t.Errorf("the class is %q", made.Status.QOSClass)
		}
	})
}

// knowsServices has a pod print its environment once there is a service.
func (s *stage) knowsServices(t *testing.T) {
	server := s.runs(t, labelled(s.name("pod"), "name", "envvars"))
	made, err := s.client.CoreV1().Services(s.ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "fooservice", Labels: map[string]string{"name": "fooservice"}},
		Spec: corev1.ServiceSpec{
			Selector: server.Labels,
			Ports:    []corev1.ServicePort{{Port: 8765, TargetPort: intstr.FromInt32(8080)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ip := made.Spec.ClusterIP
	env := "\n" + s.output(t, shell(s.name("pod"), "env"))
	for _, want := range []string{
		"FOOSERVICE_SERVICE_HOST=" + ip, "FOOSERVICE_SERVICE_PORT=8765", "FOOSERVICE_PORT=tcp://" + ip + ":8765", "FOOSERVICE_PORT_8765_TCP_PORT=8765",
		"FOOSERVICE_PORT_8765_TCP_PROTO=tcp", "FOOSERVICE_PORT_8765_TCP=tcp://" + ip + ":8765", "FOOSERVICE_PORT_8765_TCP_ADDR=" + ip,
	} {
		contains(t, env, "\n"+want+"\n")
	}
}

// livesThrough creates a pod, changes label and image, writes its status and deletes it.
func (s *stage) livesThrough(t *testing.T) {
	const label, image = "test-pod-static=true", "public.ecr.aws/nginx/nginx:X.XX"
	pods := s.client.CoreV1().Pods(s.ns)
	events := s.watch(t, label)
	pod := labelled(s.name("pod"), "test-pod-static", "true")
	pod.Spec.RestartPolicy, pod.Spec.TerminationGracePeriodSeconds = corev1.RestartPolicyAlways, new(int64(1))
	s.runs(t, pod)
	patch := fmt.Sprintf(`{"metadata":{"labels":{"test-pod":"patched"}},"spec":{"containers":[{"name":"main","image":%q}]}}`, image)
	if _, err := pods.Patch(t.Context(), pod.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	events.next(t, "the patch", func(e watch.EventType, p *corev1.Pod) bool {
		return e == watch.Modified && p.Labels["test-pod"] == "patched"
	})
	got, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{})
	if err != nil || got.Labels["test-pod"] != "patched" || got.Spec.Containers[0].Image != image {
		t.Fatalf("after the patch: labels %q, image %q, %v", got.Labels, got.Spec.Containers[0].Image, err)
	}
	s.await(t, got, "to run the new image", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) == 1 && strings.Contains(p.Status.ContainerStatuses[0].Image, "nginx") && p.Status.ContainerStatuses[0].Ready
	})

	of := func(p *corev1.Pod, status corev1.ConditionStatus) (conditions []*corev1.PodCondition) {
		for i := range p.Status.Conditions {
			if c := &p.Status.Conditions[i]; (c.Type == corev1.PodReady || c.Type == corev1.ContainersReady) && c.Status == status {
				conditions = append(conditions, c)
			}
		}
		return conditions
	}
	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if got, err = pods.Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil {
			return err
		}
		for _, c := range of(got, corev1.ConditionTrue) {
			c.Status = corev1.ConditionFalse
		}
		got, err = pods.UpdateStatus(t.Context(), got, metav1.UpdateOptions{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if n := len(of(got, corev1.ConditionFalse)); n != 2 {
		t.Errorf("%d of the two conditions are False: %+v", n, got.Status.Conditions)
	}
	if err := pods.DeleteCollection(t.Context(), *metav1.NewDeleteOptions(1), metav1.ListOptions{LabelSelector: label}); err != nil {
		t.Fatal(err)
	}
	events.next(t, "the deletion", func(e watch.EventType, _ *corev1.Pod) bool { return e == watch.Deleted })
	if _, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after the deletion: %v", err)
	}
}

// dial opens a WebSocket to a path below a pod.
func (s *stage) dial(t testing.TB, pod *corev1.Pod, path, protocol string) *websocket.Conn {
	t.Helper()
	config := s.config(t)
	tls, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	dialer := &websocket.Dialer{TLSClientConfig: tls, Subprotocols: []string{protocol}, HandshakeTimeout: stepTimeout}
	ws, _, err := dialer.Dial(strings.Replace(config.Host, "https", "wss", 1)+"/api/v1/namespaces/"+s.ns+"/pods/"+pod.Name+"/"+path, http.Header{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	if err := ws.SetReadDeadline(time.Now().Add(stepTimeout)); err != nil {
		t.Fatal(err)
	}
	return ws
}

// messages are all of a WebSocket up to its regular end.
func messages(t testing.TB, ws *websocket.Conn) (all []string) {
	t.Helper()
	for {
		_, message, err := ws.ReadMessage()
		if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			return all
		}
		if err != nil {
			t.Fatalf("after %q: %v", all, err)
		}
		all = append(all, string(message))
	}
}

func TestConformanceWebSockets(t *testing.T) {
	s := newStage(t)
	pod := s.runs(t, shell(s.name("pod"), "echo container is alive; "+forever))
	s.conforms(t, "[sig-node] Pods should support remote command execution over websockets", func(t *testing.T) {
		ws := s.dial(t, pod, "exec?stderr=1&stdout=1&container=main&command=echo&command=remote%20execution%20test", "channel.k8s.io")
		var output string
		for _, message := range messages(t, ws) {
			switch {
			case message == "":
			case message[0] == 1:
				output += message[1:]
			case len(message) > 1:
				t.Errorf("a message of another channel than the output: %q", message)
			}
		}
		if output != "remote execution test\n" {
			t.Errorf("the output is %q", output)
		}
	})
	s.conforms(t, "[sig-node] Pods should support retrieving logs from the container over websockets", func(t *testing.T) {
		ws := s.dial(t, pod, "log?container=main", "binary.k8s.io")
		if got := strings.Join(messages(t, ws), ""); got != "container is alive\n" {
			t.Errorf("the log is %q", got)
		}
	})
}
