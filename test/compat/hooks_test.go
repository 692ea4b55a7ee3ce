package compat

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// hooked is a server of hooks: it notes them, and answers as the test says.
type hooked struct {
	*httptest.Server
	mu    sync.Mutex
	paths []string
	// hold has requests wait until it is closed.
	hold chan struct{}
}

func newHooked(t testing.TB) *hooked {
	h := &hooked{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.paths = append(h.paths, r.UserAgent()+" "+r.URL.Path)
		hold := h.hold
		h.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hooked) port() int { return h.Listener.Addr().(*net.TCPAddr).Port }

// count is how often a hook was run.
func (h *hooked) count(path string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.paths {
		if p == "kube-lifecycle/1.37 "+path {
			n++
		}
	}
	return n
}

// holding has hooks wait from now on, until the function it returns is called.
func (h *hooked) holding() (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hold := make(chan struct{})
	h.hold = hold
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		close(hold)
		h.hold = nil
	}
}

func TestContainersStartAfterTheirPostStartHook(t *testing.T) {
	t.Parallel()
	ns, server := shared.namespace(t), newHooked(t)
	release := server.holding()
	shared.apply(t, ns, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - name: a
    image: busybox:1.28
    command: [sleep, "3600"]
    lifecycle: {postStart: {httpGet: {host: 127.0.0.1, port: %d, path: /started}}}
  - name: b
    image: busybox:1.28
    command: [sleep, "3600"]
    lifecycle: {postStart: {exec: {command: [sh, -c, "sleep 1; echo hook > /started"]}}}
  - name: c
    image: busybox:1.28
    command: [sleep, "3600"]
    lifecycle: {postStart: {sleep: {seconds: 1}}}
`, server.port()))
	eventually(t, 40*time.Second, func() error {
		if server.count("/started") != 1 {
			return fmt.Errorf("the hook is run %d times", server.count("/started"))
		}
		return nil
	})
	time.Sleep(time.Second)
	if got := shared.field(t, ns, "pod/p", `{.status.phase}:{range .status.containerStatuses[*]} {.name}={.state.waiting.reason},{.started},{.ready}{end}`); got != "Pending: a=ContainerCreating,false,false b=ContainerCreating,false,false c=ContainerCreating,false,false" {
		t.Errorf("while the hook runs: %s", got)
	}
	release()
	shared.running(t, ns, "p")
	if out := shared.sh(t, "kubectl exec -n "+ns+" p -c b -- cat /started"); out != "hook\n" {
		t.Errorf("the hook has written %q", out)
	}
	if n := server.count("/started"); n != 1 {
		t.Errorf("the hook was run %d times", n)
	}
}

func TestAPostStartHookThatFailsEndsItsContainer(t *testing.T) {
	t.Parallel()
	ns, server := shared.namespace(t), newHooked(t)
	shared.apply(t, ns, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 4
  containers:
  - name: c
    image: busybox:1.28
    command: [sleep, "3600"]
    lifecycle:
      postStart: {exec: {command: [sh, -c, "echo no; exit 7"]}}
      preStop: {httpGet: {host: 127.0.0.1, port: %d, path: /stop}}
`, server.port()))
	shared.sh(t, "kubectl wait -n "+ns+" pod/p --for=jsonpath='{.status.containerStatuses[0].restartCount}'=1 --timeout=50s")
	var seen string
	eventually(t, 40*time.Second, func() error {
		seen = shared.field(t, ns, "pod/p", "{.status.containerStatuses[0].state.waiting.reason}")
		if seen != "CrashLoopBackOff" {
			return fmt.Errorf("waits for %s", seen)
		}
		return nil
	})
	contains(t, shared.eventsOf(t, ns, "p"), "Warning FailedPostStartHook spec.containers{c}: PostStartHook failed\n", "Normal Killing spec.containers{c}: FailedPostStartHook\n")
	if n := server.count("/stop"); n < 2 {
		t.Errorf("%d preStop hooks for two containers that were stopped", n)
	}
}

func TestPreStopHooksRunBeforeTheSignal(t *testing.T) {
	t.Parallel()
	ns, server := shared.namespace(t), newHooked(t)
	// The container notes SIGTERM by a request, too.
	shared.apply(t, ns, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 20
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "trap 'wget -q -U kube-lifecycle/1.37 -O- http://127.0.0.1:%[1]d/signal; exit 0' TERM; while :; do sleep 0.1; done"]
    lifecycle: {preStop: {httpGet: {host: 127.0.0.1, port: %[1]d, path: /stop}}}
    readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
    livenessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
`, server.port()))
	shared.running(t, ns, "p")
	release := server.holding()
	shared.sh(t, "kubectl delete pod -n "+ns+" p --wait=false")
	time.Sleep(2 * time.Second)
	if server.count("/stop") != 1 || server.count("/signal") != 0 {
		t.Errorf("%d hooks and %d signals while the hook runs", server.count("/stop"), server.count("/signal"))
	}
	contains(t, shared.eventsOf(t, ns, "p"), "Normal Killing spec.containers{c}: Stopping container c")
	release()
	shared.sh(t, "kubectl wait -n "+ns+" pod/p --for=delete --timeout=30s")
	if server.count("/stop") != 1 || server.count("/signal") != 1 {
		t.Errorf("%d hooks and %d signals", server.count("/stop"), server.count("/signal"))
	}
	if events := shared.eventsOf(t, ns, "p"); strings.Contains(events, "FailedPreStopHook") || strings.Contains(events, "Unhealthy") {
		t.Errorf("failures of a pod that was well:\n%s", events)
	}
}

// TestPreStopHooksUseUpTheGracePeriod has a hook that never ends: the signal comes at the
// end of the grace period, and two seconds are left for the container.
func TestPreStopHooksUseUpTheGracePeriod(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 3
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "trap '' TERM; sleep 3600"]
    lifecycle: {preStop: {exec: {command: [sleep, "600"]}}}
`)
	shared.running(t, ns, "p")
	began := time.Now()
	shared.sh(t, "kubectl delete pod -n "+ns+" p --wait=false")
	shared.sh(t, "kubectl wait -n "+ns+" pod/p --for=delete --timeout=30s")
	if took := time.Since(began); took < 4*time.Second || took > 9*time.Second {
		t.Errorf("the pod took %s to end, want the grace period and two seconds", took)
	}
	contains(t, shared.eventsOf(t, ns, "p"), "Warning FailedPreStopHook spec.containers{c}: PreStopHook failed")
}

// TestRestartsOfLaternaLoseNoHookAndNoReadiness stops and kills laterna while a postStart
// hook, a preStop hook and probes are under way.
func TestRestartsOfLaternaLoseNoHookAndNoReadiness(t *testing.T) {
	t.Parallel()
	s := started(t)
	server := newHooked(t)
	s.apply(t, "default", `
apiVersion: v1
kind: Pod
metadata: {name: ready}
spec:
  containers:
  - name: c
    image: busybox:1.28
    command: [sleep, "3600"]
    startupProbe: {exec: {command: ["true"]}, periodSeconds: 1}
    readinessProbe: {exec: {command: [sleep, "0.4"]}, periodSeconds: 1, failureThreshold: 1}
    livenessProbe: {exec: {command: [sleep, "0.4"]}, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 1}
`)
	s.running(t, "default", "ready")
	since := s.field(t, "default", "pod/ready", `{.status.conditions[?(@.type=="Ready")].lastTransitionTime} {.status.containerStatuses[0].containerID}`)
	for name, stop := range map[string]func(){
		"term": func() {
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
		},
		"kill": s.Kill,
	} {
		restart := func() {
			stop()
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
		}
		reached := func(path string, n int) {
			eventually(t, 30*time.Second, func() error {
				if got := server.count(path); got != n {
					return fmt.Errorf("%s: %s was run %d times, want %d", name, path, got, n)
				}
				return nil
			})
		}
		release := server.holding()
		s.apply(t, "default", fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %[1]s}
spec:
  terminationGracePeriodSeconds: 60
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    lifecycle:
      postStart: {httpGet: {host: 127.0.0.1, port: %[2]d, path: /%[1]s/start}}
      preStop: {httpGet: {host: 127.0.0.1, port: %[2]d, path: /%[1]s/stop}}
`, name, server.port()))
		reached("/"+name+"/start", 1)
		restart()
		reached("/"+name+"/start", 2)
		if got := s.field(t, "default", "pod/"+name, `{.status.containerStatuses[0].state.waiting.reason} {.status.phase}`); got != "ContainerCreating Pending" {
			t.Errorf("%s: while its hook is run again the pod is %s", name, got)
		}
		release()
		s.running(t, "default", name)
		restart()
		if got := s.field(t, "default", "pod/"+name, `{.status.containerStatuses[0].restartCount}`); got != "0" || server.count("/"+name+"/start") != 2 {
			t.Errorf("%s: %s restarts, the hook was run %d times", name, got, server.count("/"+name+"/start"))
		}
		release = server.holding()
		s.sh(t, "kubectl delete pod "+name+" --wait=false")
		reached("/"+name+"/stop", 1)
		restart()
		reached("/"+name+"/stop", 2)
		release()
		s.sh(t, "kubectl wait pod/"+name+" --for=delete --timeout=30s")
		if events := s.eventsOf(t, "default", name); strings.Contains(events, "Hook") || strings.Count(events, "Container created") > 1 {
			t.Errorf("%s: Events\n%s", name, events)
		}
	}
	if now := s.field(t, "default", "pod/ready", `{.status.conditions[?(@.type=="Ready")].lastTransitionTime} {.status.containerStatuses[0].containerID}`); now != since {
		t.Errorf("ready since, container: %s, before six restarts %s", now, since)
	}
	if events := s.eventsOf(t, "default", "ready"); strings.Contains(events, "Unhealthy") {
		t.Errorf("restarts of the agent are taken for failures:\n%s", events)
	}
}

// TestTheExampleOfProbesAndHooks runs the pod of docs/probes-and-hooks.md.
func TestTheExampleOfProbesAndHooks(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	page, err := os.ReadFile("../../docs/probes-and-hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, manifest, _ := strings.Cut(string(page), "```yaml\n")
	manifest, _, _ = strings.Cut(manifest, "```")
	shared.apply(t, ns, manifest)
	shared.running(t, ns, "web")
	if out := shared.sh(t, "kubectl exec -n "+ns+" web -- cat /tmp/started"); out != "started\n" {
		t.Errorf("the hook has written %q", out)
	}
	began := time.Now()
	shared.sh(t, "kubectl delete pod -n "+ns+" web --timeout=30s")
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("ended after %s, before its preStop hook", took)
	}
}
