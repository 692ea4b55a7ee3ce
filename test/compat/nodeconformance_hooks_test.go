package compat

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestNodeConformanceHooks(t *testing.T) {
	s := newStage(t)
	asked := make(chan string, 10)
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.String() }))
	t.Cleanup(server.Close)
	s.conforms(t, "should execute poststart and prestop https hooks properly", func(t *testing.T) {
		ask := func(path string) *corev1.LifecycleHandler {
			return &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{
				Scheme: corev1.URISchemeHTTPS, Host: "127.0.0.1", Port: intstr.FromInt32(int32(server.Listener.Addr().(*net.TCPAddr).Port)), Path: path}}
		}
		pod := labelled(s.name("pod"), "hooked", "https")
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: ask("/started?a=b"), PreStop: ask("/stopped")}
		pod = s.runs(t, pod)
		if got := <-asked; got != "/started?a=b" {
			t.Errorf("the hook asks for %s", got)
		}
		s.ends(t, pod)
		if got := <-asked; got != "/stopped" {
			t.Errorf("the hook asks for %s", got)
		}
	})

	// slept deletes a pod with a preStop hook that sleeps and returns how long that takes.
	slept := func(t *testing.T, seconds int64, before func(*corev1.Pod)) time.Duration {
		t.Helper()
		pod := labelled(s.name("pod"), "hooked", "sleep")
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: seconds}}}
		before(pod)
		pod = s.runs(t, pod)
		if len(pod.Spec.Containers) > 1 {
			pod = s.await(t, pod, "to have a container that has ended", func(p *corev1.Pod) bool {
				return len(p.Status.ContainerStatuses) == 2 && p.Status.ContainerStatuses[1].State.Terminated != nil
			})
		}
		began := time.Now()
		s.ends(t, pod)
		return time.Since(began)
	}
	s.conforms(t, "valid prestop hook using sleep action", func(t *testing.T) {
		if took := slept(t, 3, func(*corev1.Pod) {}); took < 3*time.Second || took > 15*time.Second {
			t.Errorf("gone after %s", took)
		}
	})
	s.conforms(t, "prestop hook using sleep action with zero duration", func(t *testing.T) {
		if took := slept(t, 0, func(*corev1.Pod) {}); took > 10*time.Second {
			t.Errorf("gone after %s", took)
		}
	})
	s.conforms(t, "ignore terminated container", func(t *testing.T) {
		took := slept(t, 20, func(p *corev1.Pod) {
			p.Spec.RestartPolicy = corev1.RestartPolicyNever
			ended := *p.Spec.Containers[0].DeepCopy()
			ended.Name, ended.Command = "over", []string{"true"} // by its name the second
			p.Spec.Containers[0].Lifecycle = nil
			p.Spec.Containers = append(p.Spec.Containers, ended)
		})
		if took > 15*time.Second {
			t.Errorf("gone after %s: the hook of a container that had ended was run", took)
		}
	})
	s.conforms(t, "reduce GracePeriodSeconds during runtime", func(t *testing.T) {
		pod := shell(s.name("pod"), forever) // deaf to SIGTERM
		pod.Spec.TerminationGracePeriodSeconds = new(int64(100))
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sleep", "300"}}}}
		pod = s.runs(t, pod)
		began, pods := time.Now(), s.client.CoreV1().Pods(s.ns)
		for _, grace := range []int64{100, 2} {
			if err := pods.Delete(t.Context(), pod.Name, *metav1.NewDeleteOptions(grace)); err != nil {
				t.Fatal(err)
			}
		}
		s.sh(t, "kubectl wait -n "+s.ns+" pod/"+pod.Name+" --for=delete --timeout=40s")
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("gone %s after its grace was reduced to 2 s", took)
		}
	})
	s.conforms(t, "graceful pod termination should wait until preStop hook completes the process", func(t *testing.T) {
		pod := shell(s.name("pod"), forever)
		pod.Spec.TerminationGracePeriodSeconds = new(int64(60))
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sh", "-c", "sleep 3; kill -9 -1"}}}}
		pod.Spec.Containers[0].Command = []string{"sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"}
		pod = s.runs(t, pod)
		pods := s.client.CoreV1().Pods(s.ns)
		began := time.Now()
		if err := pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		s.stays(t, pod, 2*time.Second, func(p *corev1.Pod) bool { return p.Status.ContainerStatuses[0].State.Running == nil })
		s.sh(t, "kubectl wait -n "+s.ns+" pod/"+pod.Name+" --for=delete --timeout=40s")
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("gone after %s", took)
		}
	})
}
