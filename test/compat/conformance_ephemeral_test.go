package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// debugged runs a pod and adds an ephemeral container that prints "polo", which must be
// running, with a log and commands of its own.
func (s *stage) debugged(t *testing.T) *corev1.Pod {
	t.Helper()
	pod := s.runs(t, shell(s.name("pod"), forever))
	if pod.Generation != 1 {
		t.Errorf("created with generation %d", pod.Generation)
	}
	patch := `{"spec":{"ephemeralContainers":[{"name":"debugger","image":"busybox:1.28","stdin":true,"tty":true,"command":["sh","-c","while true; do echo polo; sleep 2; done"]}]}}`
	now, err := s.client.CoreV1().Pods(s.ns).Patch(t.Context(), pod.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "ephemeralcontainers")
	if err != nil {
		t.Fatal(err)
	}
	now = s.await(t, now, "to run its ephemeral container", func(p *corev1.Pod) bool {
		return len(p.Status.EphemeralContainerStatuses) == 1 && p.Status.EphemeralContainerStatuses[0].State.Running != nil
	})
	if now.Generation != 2 {
		t.Errorf("generation %d with the ephemeral container", now.Generation)
	}
	if got := s.sh(t, "kubectl exec -n "+s.ns+" "+pod.Name+" -c debugger -- echo marco"); got != "marco\n" {
		t.Errorf("a command in the ephemeral container prints %q", got)
	}
	eventually(t, 10*time.Second, func() error {
		if log := s.sh(t, "kubectl logs -n "+s.ns+" "+pod.Name+" -c debugger"); !strings.Contains(log, "polo") {
			return fmt.Errorf("the log is %q", log)
		}
		return nil
	})
	return now
}

// ephemerals reads a pod's ephemeral containers from their own resource.
func (s *stage) ephemerals(t testing.TB, pod *corev1.Pod) []corev1.EphemeralContainer {
	t.Helper()
	var got corev1.Pod
	if err := s.client.CoreV1().RESTClient().Get().Namespace(s.ns).Resource("pods").Name(pod.Name).SubResource("ephemeralcontainers").Do(t.Context()).Into(&got); err != nil {
		t.Fatal(err)
	}
	return got.Spec.EphemeralContainers
}

func TestConformanceEphemeralContainers(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-node] Ephemeral Containers will start an ephemeral container in an existing pod", func(t *testing.T) { s.debugged(t) })
	s.conforms(t, "[sig-node] Ephemeral Containers should update the ephemeral containers in an existing pod", func(t *testing.T) {
		pod := s.debugged(t)
		if n := len(s.ephemerals(t, pod)); n != 1 {
			t.Errorf("%d ephemeral containers, want 1", n)
		}
		pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debugger2", Image: "nginx:alpine", ImagePullPolicy: corev1.PullIfNotPresent, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		}})
		eventually(t, 10*time.Second, func() error {
			got, err := s.client.CoreV1().Pods(s.ns).Get(t.Context(), pod.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			got.Spec.EphemeralContainers = pod.Spec.EphemeralContainers
			_, err = s.client.CoreV1().Pods(s.ns).UpdateEphemeralContainers(t.Context(), pod.Name, got, metav1.UpdateOptions{})
			return err
		})
		if n := len(s.ephemerals(t, pod)); n != 2 {
			t.Errorf("%d ephemeral containers, want 2", n)
		}
	})
}
