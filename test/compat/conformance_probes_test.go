package compat

import (
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probed returns a pod that runs a line of shell for ever, and restarts.
func probed(name, line string) *corev1.Pod {
	pod := shell(name, line)
	pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	return pod
}

// everySecond is a probe that one failure is enough for.
func everySecond(handler corev1.ProbeHandler) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: handler, PeriodSeconds: 1, FailureThreshold: 1, TimeoutSeconds: 5}
}

func execProbe(command ...string) corev1.ProbeHandler {
	return corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: command}}
}

func httpProbe(path string) corev1.ProbeHandler {
	return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(8080)}}
}

func tcpProbe(port int32) corev1.ProbeHandler {
	return corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(port)}}
}

// servingFiles is a line of shell that serves files at port 8080 and is well at /healthz, for
// as long as what follows does not remove /www/healthz.
const servingFiles = "mkdir /www && touch /www/healthz && httpd -p 8080 -h /www; "

// timesRestarted is how often a pod's first container was restarted.
func timesRestarted(p *corev1.Pod) int32 {
	if len(p.Status.ContainerStatuses) == 0 {
		return 0
	}
	return p.Status.ContainerStatuses[0].RestartCount
}

// stays watches a pod for a while in which nothing may be as unwanted.
func (s *stage) stays(t testing.TB, pod *corev1.Pod, d time.Duration, unwanted func(*corev1.Pod) bool) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		now, err := s.client.CoreV1().Pods(s.ns).Get(t.Context(), pod.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if unwanted(now) {
			t.Fatalf("pod %s: %+v\n%s", pod.Name, now.Status, s.eventsOf(t, s.ns, pod.Name))
		}
	}
}

// health is a gRPC server of the test's, at an address of the node.
func (s *stage) health(t testing.TB) (state *health.Server, port int32) {
	t.Helper()
	nodes, err := s.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(nodes.Items[0].Status.Addresses[0].Address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server, state := grpc.NewServer(), health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, state)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return state, int32(l.Addr().(*net.TCPAddr).Port)
}

func TestConformanceLivenessProbes(t *testing.T) {
	s := newStage(t)
	for _, tc := range []struct {
		behaviour, line string
		probe           corev1.ProbeHandler
		restarts        bool
	}{
		{behaviour: `[sig-node] Probing container should be restarted with a exec "cat /tmp/health" liveness probe`,
			line: "echo ok > /tmp/health; sleep 3; rm /tmp/health; " + forever, probe: execProbe("cat", "/tmp/health"), restarts: true},
		{behaviour: `[sig-node] Probing container should *not* be restarted with a exec "cat /tmp/health" liveness probe`,
			line: "echo ok > /tmp/health; " + forever, probe: execProbe("cat", "/tmp/health")},
		{behaviour: "[sig-node] Probing container should be restarted with a /healthz http liveness probe",
			line: servingFiles + "sleep 3; rm /www/healthz; " + forever, probe: httpProbe("/healthz"), restarts: true},
		{behaviour: "[sig-node] Probing container should *not* be restarted with a /healthz http liveness probe",
			line: servingFiles + forever, probe: httpProbe("/healthz")},
		{behaviour: "[sig-node] Probing container should *not* be restarted with a tcp:8080 liveness probe",
			line: servingFiles + forever, probe: tcpProbe(8080)},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := probed(s.name("pod"), tc.line)
			pod.Spec.Containers[0].LivenessProbe = everySecond(tc.probe)
			pod.Spec.Containers[0].LivenessProbe.InitialDelaySeconds = 1 // the server needs a moment
			pod = s.runs(t, pod)
			if tc.restarts {
				pod = s.await(t, pod, "to be restarted", func(p *corev1.Pod) bool { return timesRestarted(p) == 1 })
				if last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil || last.FinishedAt.Sub(last.StartedAt.Time) < 3*time.Second {
					t.Errorf("the container before had ended so: %+v", last)
				}
			} else {
				s.stays(t, pod, 4*time.Second, func(p *corev1.Pod) bool { return timesRestarted(p) > 0 })
			}
		})
	}

	for _, tc := range []struct {
		behaviour string
		restarts  bool
	}{
		{behaviour: "[sig-node] Probing container should be restarted with a GRPC liveness probe", restarts: true},
		{behaviour: "[sig-node] Probing container should *not* be restarted with a GRPC liveness probe"},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			state, port := s.health(t)
			pod := probed(s.name("pod"), forever)
			pod.Spec.HostNetwork = true
			pod.Spec.Containers[0].LivenessProbe = everySecond(corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: port}})
			pod = s.runs(t, pod)
			s.stays(t, pod, 2*time.Second, func(p *corev1.Pod) bool { return timesRestarted(p) > 0 })
			if tc.restarts {
				state.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
				s.await(t, pod, "to be restarted", func(p *corev1.Pod) bool { return timesRestarted(p) == 1 })
			}
		})
	}
}

func TestConformanceReadinessProbes(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-node] Probing container with readiness probe should not be ready before initial delay and never restart", func(t *testing.T) {
		const delay = 3
		pod := probed(s.name("pod"), servingFiles+forever)
		pod.Spec.Containers[0].ReadinessProbe = everySecond(httpProbe("/healthz"))
		pod.Spec.Containers[0].ReadinessProbe.InitialDelaySeconds = delay
		pod = s.runs(t, pod)
		if pod.Status.ContainerStatuses[0].Ready {
			t.Error("ready as soon as it runs")
		}
		pod = s.await(t, pod, "to be ready", func(p *corev1.Pod) bool { return p.Status.ContainerStatuses[0].Ready })
		var since metav1.Time
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				since = c.LastTransitionTime
			}
		}
		// Both are whole seconds.
		if waited := since.Sub(pod.Status.ContainerStatuses[0].State.Running.StartedAt.Time); since.IsZero() || waited < (delay-1)*time.Second {
			t.Errorf("ready %s after its start", waited)
		}
		s.stays(t, pod, 2*time.Second, func(p *corev1.Pod) bool { return timesRestarted(p) > 0 || !p.Status.ContainerStatuses[0].Ready })
	})
	s.conforms(t, "[sig-node] Probing container with readiness probe that fails should never be ready and never restart", func(t *testing.T) {
		pod := probed(s.name("pod"), forever)
		pod.Spec.Containers[0].ReadinessProbe = everySecond(execProbe("false"))
		s.stays(t, s.runs(t, pod), 4*time.Second, func(p *corev1.Pod) bool { return timesRestarted(p) > 0 || p.Status.ContainerStatuses[0].Ready })
	})
}
