package compat

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// eventsOf are the Events about a pod, a line each.
func (s *system) eventsOf(t testing.TB, ns, pod string) string {
	t.Helper()
	return s.sh(t, "kubectl get events -n "+ns+" --field-selector involvedObject.name="+pod+
		` -o jsonpath='{range .items[*]}{.type} {.reason} {.involvedObject.fieldPath}: {.message}{"\n"}{end}'`)
}

// TestLivenessProbesRestartContainers has a container that ignores SIGTERM, so that its
// exit code tells that the probe's own grace period is the one that counts.
func TestLivenessProbesRestartContainers(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 600
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "trap '' TERM; if [ -e /v/again ]; then touch /v/well; fi; touch /v/again; sleep 3600"]
    volumeMounts: [{name: v, mountPath: /v}]
    livenessProbe:
      exec: {command: [sh, -c, "echo looking; ls /v/well"]}
      periodSeconds: 1
      failureThreshold: 2
      terminationGracePeriodSeconds: 2
  volumes: [{name: v, emptyDir: {}}]
`)
	shared.sh(t, "kubectl wait -n "+ns+" pod/p --for=jsonpath='{.status.containerStatuses[0].restartCount}'=1 --timeout=50s")
	shared.running(t, ns, "p")
	if code := shared.field(t, ns, "pod/p", "{.status.containerStatuses[0].lastState.terminated.exitCode}"); code != "137" {
		t.Errorf("exit code %s", code)
	}
	contains(t, shared.eventsOf(t, ns, "p"),
		"Warning Unhealthy spec.containers{c}: Liveness probe failed: looking\nls: /v/well: No such file or directory",
		"Normal Killing spec.containers{c}: Container c failed liveness probe, will be restarted")
	time.Sleep(4 * time.Second)
	if count := shared.field(t, ns, "pod/p", "{.status.containerStatuses[0].restartCount}"); count != "1" {
		t.Errorf("restarted %s times, and it is well now", count)
	}
}

// TestProbesThatFailEndPodsByTheirPolicy wants no restart where the policy is Never, and
// one where it is OnFailure although the container ends well.
func TestProbesThatFailEndPodsByTheirPolicy(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	const pod = `
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  restartPolicy: %s
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    startupProbe: {tcpSocket: {port: 9}, periodSeconds: 1, failureThreshold: 1}
    livenessProbe: {exec: {command: [no-such-program]}}
`
	shared.apply(t, ns, fmt.Sprintf(pod, "never", "Never"))
	shared.apply(t, ns, fmt.Sprintf(pod, "failure", "OnFailure"))
	shared.sh(t, "kubectl wait -n "+ns+" pod/never --for=jsonpath='{.status.phase}'=Succeeded --timeout=50s")
	shared.sh(t, "kubectl wait -n "+ns+" pod/failure --for=jsonpath='{.status.containerStatuses[0].state.waiting.reason}'=CrashLoopBackOff --timeout=50s")
	if phase := shared.field(t, ns, "pod/failure", "{.status.phase}"); phase != "Running" {
		t.Errorf("the pod that is restarted is %s", phase)
	}
	ip := shared.field(t, ns, "pod/never", "{.status.podIP}")
	contains(t, shared.eventsOf(t, ns, "never"),
		"Warning Unhealthy spec.containers{c}: Startup probe failed: dial tcp "+ip+":9: connect: connection refused",
		"Normal Killing spec.containers{c}: Container c failed startup probe\n")
	contains(t, shared.eventsOf(t, ns, "failure"), "Container c failed startup probe, will be restarted")
	if events := shared.eventsOf(t, ns, "never"); strings.Contains(events, "Liveness") {
		t.Errorf("asked whether it lives before it has started:\n%s", events)
	}
}

// TestReadinessShowsAtOnce changes what servers of the test answer, by HTTP and gRPC, and
// takes the time from the answer to the pod's condition.
func TestReadinessShowsAtOnce(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	var ready atomic.Bool
	var answered atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ready.Load() || r.UserAgent() != "kube-probe/1.37" || r.Header.Get("X") != "1" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		answered.Store(time.Now().UnixNano())
	}))
	defer server.Close()
	shared.apply(t, ns, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: http}
spec:
  containers:
  - name: c
    image: busybox:1.28
    command: [sleep, "3600"]
    startupProbe: {exec: {command: ["true"]}, periodSeconds: 1}
    readinessProbe:
      httpGet: {host: 127.0.0.1, port: %d, path: /ready, httpHeaders: [{name: X, value: "1"}]}
      periodSeconds: 1
      failureThreshold: 1
`, server.Listener.Addr().(*net.TCPAddr).Port))
	shared.sh(t, "kubectl wait -n "+ns+" pod/http --for=jsonpath='{.status.containerStatuses[0].started}'=true --timeout=50s")
	if got := shared.field(t, ns, "pod/http", `{.status.phase} {.status.containerStatuses[0].ready} {.status.conditions[?(@.type=="Ready")].message}`); got != "Running false containers with unready status: [c]" {
		t.Errorf("before its probe passes: %s", got)
	}
	var slowest time.Duration
	for round := range 6 {
		want := round%2 == 0
		seen := shared.whenReady(t, ns, "http", want)
		ready.Store(want)
		at := <-seen
		slowest = max(slowest, at.Sub(time.Unix(0, answered.Load())))
	}
	t.Logf("the slowest of 6 changes was shown %s after the answer", slowest)
	if slowest > 250*time.Millisecond {
		t.Errorf("shown %s after the answer", slowest)
	}
	contains(t, shared.eventsOf(t, ns, "http"), "Warning Unhealthy spec.containers{c}: Readiness probe failed: HTTP probe failed with statuscode: 503")
}

// whenReady tells when a pod's condition Ready is seen to become want.
func (s *system) whenReady(t testing.TB, ns, pod string, want bool) <-chan time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	w, err := s.client(t).CoreV1().Pods(ns).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + pod})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan time.Time, 1)
	go func() {
		defer cancel()
		for e := range w.ResultChan() {
			p, ok := e.Object.(*corev1.Pod)
			if !ok {
				continue
			}
			for _, c := range p.Status.Conditions {
				if c.Type == corev1.PodReady && (c.Status == corev1.ConditionTrue) == want {
					seen <- time.Now()
					return
				}
			}
		}
		close(seen)
	}()
	return seen
}

func TestGRPCProbesAskTheHealthProtocol(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	ip := strings.TrimSpace(shared.sh(t, `kubectl get nodes -o jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}'`))
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server, state := grpc.NewServer(), health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, state)
	state.SetServingStatus("s", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	go func() { _ = server.Serve(l) }()
	defer server.Stop()
	shared.apply(t, ns, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  hostNetwork: true
  containers:
  - name: c
    image: busybox:1.28
    command: [sleep, "3600"]
    readinessProbe: {grpc: {port: %d, service: s}, periodSeconds: 1}
`, l.Addr().(*net.TCPAddr).Port))
	eventually(t, 40*time.Second, func() error {
		const want = `Warning Unhealthy spec.containers{c}: Readiness probe failed: service unhealthy (responded with "NOT_SERVING")`
		if events := shared.eventsOf(t, ns, "p"); !strings.Contains(events, want) {
			return fmt.Errorf("no Event %s:\n%s", want, events)
		}
		return nil
	})
	state.SetServingStatus("s", grpc_health_v1.HealthCheckResponse_SERVING)
	shared.running(t, ns, "p")
}

// TestProbesOfServersInPods asks nginx by the name of its port, a server that sends
// elsewhere, and one that does not answer.
func TestProbesOfServersInPods(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	elsewhere := httptest.NewServer(http.RedirectHandler("http://other.example/", http.StatusFound))
	defer elsewhere.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // connections are made, and nobody takes them
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	shared.apply(t, ns, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - name: web
    image: nginx:alpine
    imagePullPolicy: IfNotPresent
    ports: [{name: http, containerPort: 80}]
    readinessProbe: {httpGet: {port: http, path: /}, periodSeconds: 1}
    livenessProbe: {tcpSocket: {port: http}, periodSeconds: 1}
  - name: sent
    image: busybox:1.28
    command: [sleep, "3600"]
    readinessProbe: {httpGet: {host: 127.0.0.1, port: %d}, periodSeconds: 1}
  - name: mute
    image: busybox:1.28
    command: [sleep, "3600"]
    readinessProbe: {httpGet: {host: 127.0.0.1, port: %d}, periodSeconds: 1}
`, elsewhere.Listener.Addr().(*net.TCPAddr).Port, mute.Addr().(*net.TCPAddr).Port))
	ready := `{range .status.containerStatuses[*]}{.name}={.ready} {end}`
	eventually(t, 40*time.Second, func() error {
		if got := shared.field(t, ns, "pod/p", ready); got != "web=true sent=true mute=false " && got != "mute=false sent=true web=true " {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	eventually(t, 20*time.Second, func() error {
		events := shared.eventsOf(t, ns, "p")
		for _, part := range []string{
			"Warning ProbeWarning spec.containers{sent}: Readiness probe warning: Probe terminated redirects, Response body: ",
			"Warning Unhealthy spec.containers{mute}: Readiness probe failed: Get \"http://", "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
		} {
			if !strings.Contains(events, part) {
				return fmt.Errorf("no Event %s:\n%s", part, events)
			}
		}
		return nil
	})
}

func TestReadinessGatesHoldAPodBack(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  readinessGates: [{conditionType: a.example/open}]
  containers: [{name: c, image: "busybox:1.28", command: [sleep, "3600"]}]
`)
	shared.sh(t, "kubectl wait -n "+ns+" pod/p --for=condition=ContainersReady --timeout=50s")
	if got := shared.field(t, ns, "pod/p", `{.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].message}`); got != `False corresponding condition of pod readiness gate "a.example/open" does not exist.` {
		t.Errorf("before: %s", got)
	}
	patch := func(status string) {
		shared.sh(t, fmt.Sprintf(`kubectl patch -n %s pod p --subresource=status -p '{"status":{"conditions":[{"type":"a.example/open","status":"%s"}]}}'`, ns, status))
	}
	patch("True")
	shared.running(t, ns, "p")
	patch("False")
	shared.sh(t, "kubectl wait -n "+ns+" pod/p --for=condition=Ready=false --timeout=20s")
}

// TestSidecarsAreProbed has a sidecar that starts slowly, and that is restarted when its
// liveness probe fails: what follows waits for the first, and goes on at the second.
func TestSidecarsAreProbed(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  initContainers:
  - name: side
    image: busybox:1.28
    restartPolicy: Always
    command: [sh, -c, "trap 'exit 0' TERM; sleep 2; date +%s > /v/started; while :; do sleep 0.1; done"]
    volumeMounts: [{name: v, mountPath: /v}]
    startupProbe: {exec: {command: [ls, /v/started]}, periodSeconds: 1, failureThreshold: 60}
    readinessProbe: {exec: {command: [ls, /v/ready]}, periodSeconds: 1}
    livenessProbe: {exec: {command: [sh, -c, "! rm /v/ill"]}, periodSeconds: 1, failureThreshold: 1}
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "cp /v/started /v/seen && touch /v/ready && sleep 3600"]
    volumeMounts: [{name: v, mountPath: /v}]
  volumes: [{name: v, emptyDir: {}}]
`)
	shared.running(t, ns, "p")
	main := shared.field(t, ns, "pod/p", "{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}")
	shared.sh(t, "kubectl exec -n "+ns+" p -c c -- touch /v/ill")
	shared.sh(t, "kubectl wait -n "+ns+" pod/p --for=jsonpath='{.status.initContainerStatuses[0].restartCount}'=1 --timeout=50s")
	shared.running(t, ns, "p")
	contains(t, shared.eventsOf(t, ns, "p"),
		"Warning Unhealthy spec.initContainers{side}: Startup probe failed: ls: /v/started: No such file or directory",
		"Warning Unhealthy spec.initContainers{side}: Liveness probe failed",
		"Normal Killing spec.initContainers{side}: Init container side failed liveness probe")
	if now := shared.field(t, ns, "pod/p", "{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}"); now != main {
		t.Errorf("the main container was %s and is %s", main, now)
	}
}
