package compat

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// asSidecar makes a pod's container a sidecar, beside a main container that sleeps.
func asSidecar(pod *corev1.Pod) *corev1.Pod {
	side := pod.Spec.Containers[0]
	side.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	pod.Spec.Containers = []corev1.Container{{Name: "beside", Image: "busybox:1.28", Command: []string{"sleep", "3600"}}}
	pod.Spec.InitContainers = []corev1.Container{side}
	return pod
}

// TestNodeConformanceProbes has each pod's container be a main container and a sidecar.
func TestNodeConformanceProbes(t *testing.T) {
	s := newStage(t)
	local := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ill" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/ill", http.StatusFound)
	}))
	t.Cleanup(local.Close)
	at, err := url.Parse(local.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(at.Port(), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	slow := func(p *corev1.Probe) *corev1.Probe { p.TimeoutSeconds = 1; return p }
	for name, tc := range map[string]struct {
		line     string
		change   func(*corev1.Container)
		restarts bool
		events   string
	}{
		"should be restarted with an exec liveness probe with timeout": {restarts: true, events: "Liveness probe failed: command timed out:", change: func(c *corev1.Container) {
			c.LivenessProbe = slow(everySecond(execProbe("sleep", "10")))
		}},
		"should be restarted with a failing exec liveness probe that took longer than the timeout": {restarts: true, events: "Liveness probe failed: command timed out:", change: func(c *corev1.Container) {
			c.LivenessProbe = slow(everySecond(execProbe("sh", "-c", "sleep 3; exit 1")))
		}},
		"should not be restarted by liveness probe because startup probe delays it": {events: "Startup probe failed", change: func(c *corev1.Container) {
			c.LivenessProbe, c.StartupProbe = everySecond(execProbe("false")), everySecond(execProbe("cat", "/tmp/startup"))
			c.StartupProbe.FailureThreshold = 60
		}},
		"should be restarted by liveness probe after startup probe enables it": {restarts: true, events: "Liveness probe failed", line: "sleep 2; touch /tmp/startup; ", change: func(c *corev1.Container) {
			c.LivenessProbe, c.StartupProbe = everySecond(execProbe("false")), everySecond(execProbe("cat", "/tmp/startup"))
			c.StartupProbe.FailureThreshold = 60
		}},
		"should be restarted by a startup probe that fails": {restarts: true, events: "failed startup probe", change: func(c *corev1.Container) {
			c.StartupProbe = everySecond(execProbe("false"))
		}},
		"should be restarted with a local redirect http liveness probe": {restarts: true, events: "HTTP probe failed with statuscode: 500", change: func(c *corev1.Container) {
			c.LivenessProbe = everySecond(corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Host: at.Hostname(), Port: intstr.FromInt32(int32(port)), Path: "/redirect"}})
		}},
	} {
		for _, sidecar := range []bool{false, true} {
			s.conforms(t, fmt.Sprintf("%s, sidecar %v", name, sidecar), func(t *testing.T) {
				pod := probed(s.name("pod"), tc.line+forever)
				tc.change(&pod.Spec.Containers[0])
				of := func(p *corev1.Pod) int32 { return timesRestarted(p) }
				if sidecar {
					pod = asSidecar(pod)
					of = func(p *corev1.Pod) int32 {
						if len(p.Status.InitContainerStatuses) == 0 {
							return 0
						}
						return p.Status.InitContainerStatuses[0].RestartCount
					}
				}
				made := s.create(t, pod)
				if tc.restarts {
					s.await(t, made, "to be restarted", func(p *corev1.Pod) bool { return of(p) > 0 })
				} else {
					s.stays(t, made, 6*time.Second, func(p *corev1.Pod) bool { return of(p) > 0 })
				}
				eventually(t, 10*time.Second, func() error {
					if events := s.eventsOf(t, s.ns, pod.Name); !strings.Contains(events, tc.events) {
						return fmt.Errorf("no Event %q:\n%s", tc.events, events)
					}
					return nil
				})
			})
		}
	}

	s.conforms(t, "should not be ready with an exec readiness probe timeout", func(t *testing.T) {
		pod := probed(s.name("pod"), forever)
		pod.Spec.Containers[0].ReadinessProbe = slow(everySecond(execProbe("sleep", "10")))
		s.stays(t, s.runs(t, pod), 5*time.Second, func(p *corev1.Pod) bool { return p.Status.ContainerStatuses[0].Ready || timesRestarted(p) > 0 })
	})
	s.conforms(t, "should be ready immediately after startupProbe succeeds", func(t *testing.T) {
		pod := probed(s.name("pod"), "sleep 2; touch /tmp/startup; "+forever)
		c := &pod.Spec.Containers[0]
		c.StartupProbe, c.ReadinessProbe = everySecond(execProbe("cat", "/tmp/startup")), everySecond(execProbe("true"))
		c.StartupProbe.FailureThreshold, c.ReadinessProbe.PeriodSeconds = 60, 60
		started := s.await(t, s.create(t, pod), "to be started", func(p *corev1.Pod) bool {
			return len(p.Status.ContainerStatuses) == 1 && *p.Status.ContainerStatuses[0].Started
		})
		began := time.Now()
		s.await(t, started, "to be ready", func(p *corev1.Pod) bool { return p.Status.ContainerStatuses[0].Ready })
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("ready %s after it was started", took)
		}
	})
	for name, liveness := range map[string]*corev1.Probe{
		"should mark readiness on pods to false while pod is in progress of terminating when a pod has a readiness probe": nil,
		"should mark readiness on pods to false and disable liveness probes while pod is in progress of terminating":      everySecond(execProbe("cat", "/tmp/ready")),
	} {
		s.conforms(t, name, func(t *testing.T) {
			pod := probed(s.name("pod"), "touch /tmp/ready; trap 'rm /tmp/ready; sleep 8; exit 0' TERM; while :; do sleep 0.05; done")
			pod.Spec.TerminationGracePeriodSeconds = new(int64(30))
			pod.Spec.Containers[0].ReadinessProbe, pod.Spec.Containers[0].LivenessProbe = everySecond(execProbe("cat", "/tmp/ready")), liveness
			ready := func(p *corev1.Pod) bool { return condition(p, corev1.PodReady).Status == corev1.ConditionTrue }
			pod = s.await(t, s.create(t, pod), "to be ready", ready)
			pods := s.client.CoreV1().Pods(s.ns)
			if err := pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			now := s.await(t, pod, "not to be ready", func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil && !ready(p) })
			if c := now.Status.ContainerStatuses[0]; c.State.Running == nil || c.Ready {
				t.Errorf("when the pod is no longer ready its container is %+v", c)
			}
			s.sh(t, "kubectl wait -n "+s.ns+" pod/"+pod.Name+" --for=delete --timeout=30s")
			if events := s.eventsOf(t, s.ns, pod.Name); strings.Contains(events, "Liveness") {
				t.Errorf("asked whether it lives while it ends:\n%s", events)
			}
		})
	}
	for _, kind := range []string{"LivenessProbe", "StartupProbe"} {
		s.conforms(t, "should override timeoutGracePeriodSeconds when "+kind+" field is set", func(t *testing.T) {
			pod := probed(s.name("pod"), forever) // deaf to SIGTERM
			pod.Spec.TerminationGracePeriodSeconds = new(int64(500))
			probe := everySecond(execProbe("false"))
			probe.TerminationGracePeriodSeconds = new(int64(2))
			if kind == "LivenessProbe" {
				pod.Spec.Containers[0].LivenessProbe = probe
			} else {
				pod.Spec.Containers[0].StartupProbe = probe
			}
			s.await(t, s.create(t, pod), "to be restarted", func(p *corev1.Pod) bool { return timesRestarted(p) == 1 })
		})
	}
}
