package compat

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// signalled prints which signals it gets, and ends at the last one that it is to get.
func signalled(name string, signal *corev1.Signal, last string) *corev1.Pod {
	pod := shell(name, "for s in TERM USR1 HUP; do trap \"echo got $s; test $s = "+last+" && exit 3\" $s; done; echo ready; while :; do sleep 0.1; done")
	pod.Spec.TerminationGracePeriodSeconds = ptr.To(int64(20))
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	if signal != nil {
		pod.Spec.OS = &corev1.PodOS{Name: corev1.Linux}
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{StopSignal: signal}
	}
	return pod
}

// TestContainersAreStoppedWithTheSignalOfTheirPod (KEP-4960), within one grace period.
func TestContainersAreStoppedWithTheSignalOfTheirPod(t *testing.T) {
	s := newStage(t)
	pods := s.client.CoreV1().Pods(s.ns)
	for name, c := range map[string]struct {
		signal *corev1.Signal
		last   string
		want   string // of the log
		code   int32
	}{
		"the image's": {nil, "TERM", "ready got TERM", 3},
		"the pod's":   {ptr.To(corev1.SIGUSR1), "USR1", "ready got USR1", 3},
		"in vain":     {ptr.To(corev1.SIGHUP), "none", "ready got HUP", 137},
	} {
		s.conforms(t, name, func(t *testing.T) {
			pod := signalled(s.name("signalled"), c.signal, c.last)
			pod.Finalizers = []string{"example.com/keep"}
			if c.code == 137 {
				pod.Spec.TerminationGracePeriodSeconds = ptr.To(int64(3))
			}
			pod = s.runs(t, pod)
			if got := pod.Status.ContainerStatuses[0].StopSignal; ptr.Deref(got, "") != ptr.Deref(c.signal, "") {
				t.Errorf("the status says that it is stopped with %v, want %v", ptr.Deref(got, ""), ptr.Deref(c.signal, ""))
			}
			eventually(t, 10*time.Second, func() error {
				if log := s.log(t, pod); !strings.Contains(log, "ready") {
					return fmt.Errorf("its log is %q", log)
				}
				return nil
			})
			began := time.Now()
			if err := pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			pod = s.await(t, pod, "to end", func(p *corev1.Pod) bool { return p.Status.ContainerStatuses[0].State.Terminated != nil })
			took := time.Since(began)
			if got := pod.Status.ContainerStatuses[0].State.Terminated.ExitCode; got != c.code {
				t.Errorf("it ended with %d, want %d", got, c.code)
			}
			if got := strings.Join(strings.Fields(s.log(t, pod)), " "); got != c.want {
				t.Errorf("its log is %q, want %q", got, c.want)
			}
			if c.code == 137 && (took < 2*time.Second || took > 15*time.Second) || c.code != 137 && took > 15*time.Second {
				t.Errorf("that took %v", took)
			}
			if _, err := pods.Patch(context.Background(), pod.Name, "application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	_, err := pods.Create(t.Context(), func() *corev1.Pod {
		p := signalled("no-system", ptr.To(corev1.SIGUSR1), "USR1")
		p.Spec.OS = nil
		return p
	}(), metav1.CreateOptions{})
	if err == nil || !strings.Contains(err.Error(), "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`") {
		t.Errorf("a signal without a system: %v", err)
	}
}
