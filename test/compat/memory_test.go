package compat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// inItsOwnProc runs laterna with a file in place of /proc/meminfo that it alone sees, so that
// a machine is short of memory without its memory being taken.
const inItsOwnProc = `mount --bind "$0" /proc/meminfo && exec "$@"`

// holding is a pod that holds so many MiB of memory, and is ready when it does.
func holding(name string, mib int, more, resources string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %[1]s}
spec:
  terminationGracePeriodSeconds: 1
  %[3]s
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "dd if=/dev/zero of=/dev/shm/f bs=1M count=%[2]d && touch /dev/shm/ready && exec sleep 1d"]
    resources: {%[4]s}
    readinessProbe: {exec: {command: [cat, /dev/shm/ready]}, periodSeconds: 1}
`, name, mib, more, resources)
}

func TestPodThatHasMostIsEvictedWhileMemoryIsShort(t *testing.T) {
	t.Parallel()
	meminfo := filepath.Join(t.TempDir(), "meminfo")
	left := func(mib int) {
		t.Helper()
		text := fmt.Sprintf("MemTotal:        8388608 kB\nMemAvailable:   %d kB\n", mib<<10)
		if err := os.WriteFile(meminfo, []byte(text), 0o600); err != nil { // in place: it is bound
			t.Fatal(err)
		}
	}
	left(4000)
	s := prepared(t, "--eviction-hard=memory.available<100Mi", "--eviction-pressure-transition-period=20s")
	s.Through = []string{"unshare", "--mount", "--propagation", "slave", "sh", "-c", inItsOwnProc, meminfo}
	s.begin(t)
	s.apply(t, "default", holding("small", 2, "", ""))
	s.apply(t, "default", holding("big", 40, "", ""))
	s.apply(t, "default", holding("asked", 55, "", "requests: {memory: 100Mi}"))
	s.running(t, "default", "small", "big", "asked")
	if got := s.sh(t, "kubectl get node -o jsonpath='{.items[0].status.capacity.memory} {.items[0].status.allocatable.memory}'"); got != "8Gi 8092Mi" && got != "8388608Ki 8286208Ki" {
		t.Errorf("capacity and allocatable are %s", got)
	}

	left(50)
	eventually(t, 10*time.Second, func() error {
		if !strings.Contains(s.Log(), "evicting a pod of a node that is short") {
			return errors.New("nobody is evicted")
		}
		return nil
	})
	left(4000)
	contains(t, s.evicted(t, "big"), "Failed Evicted: The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container c was using ", ", request is 0, has larger consumption of memory. ")
	if got := s.field(t, "default", "pod/big", `{.status.conditions[?(@.type=="DisruptionTarget")].reason}`); got != "TerminationByKubelet" {
		t.Errorf("condition DisruptionTarget: %q", got)
	}
	contains(t, s.field(t, "default", "events --field-selector=reason=EvictionThresholdMet", "{.items[*].involvedObject.kind} {.items[*].type} {.items[*].message}"), "Node Warning Attempting to reclaim memory")

	// It says so for a while: who asks for nothing is not taken.
	const condition = `kubectl get node -o jsonpath='{.items[0].status.conditions[?(@.type=="MemoryPressure")].status} {.items[0].status.conditions[?(@.type=="MemoryPressure")].reason} {.items[0].spec.taints[*].key}'`
	says := func(want string) func() error {
		return func() error {
			if got := strings.TrimSpace(s.sh(t, condition)); got != want {
				return fmt.Errorf("the node says %q, not %q", got, want)
			}
			return nil
		}
	}
	eventually(t, 10*time.Second, says("True KubeletHasInsufficientMemory node.kubernetes.io/memory-pressure"))
	node := s.sh(t, "kubectl get node -o jsonpath='{.items[0].metadata.name}'")
	s.apply(t, "default", holding("nothing", 1, "nodeName: "+node, "")+"---\n"+holding("something", 1, "nodeName: "+node, "requests: {cpu: 1m}")+"---\n"+holding("waits", 1, "", ""))
	const refused = "Failed Evicted: Pod was rejected: The node had condition: [MemoryPressure]. "
	if got := s.evicted(t, "nothing"); got != refused {
		t.Errorf("a pod that asks for nothing: %q, want %q", got, refused)
	}
	s.running(t, "default", "something")
	contains(t, s.field(t, "default", "pod/waits", `{.status.conditions[*].message}`), "0/1 nodes are available: 1 node(s) had untolerated taint(s)")

	eventually(t, 40*time.Second, says("False KubeletHasSufficientMemory"))
	s.running(t, "default", "waits", "small", "asked")
	if n := strings.Count(s.Log(), "evicting a pod of a node that is short"); n != 1 {
		t.Errorf("%d pods were evicted", n)
	}
}

// TestContainersThatTakeTooMuchMemoryAreToldOf has them end while laterna runs and while it
// does not.
func TestContainersThatTakeTooMuchMemoryAreToldOf(t *testing.T) {
	t.Parallel()
	s := prepared(t)
	s.begin(t)
	signs := t.TempDir()
	greedy := func(name, restart string) string {
		return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %[1]s}
spec:
  restartPolicy: %[2]s
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "while [ ! -e /signs/%[1]s ]; do sleep 0.1; done; exec tail /dev/zero"]
    resources: {limits: {memory: 24Mi}}
    volumeMounts: [{name: signs, mountPath: /signs, readOnly: true}]
  volumes: [{name: signs, hostPath: {path: %[3]s}}]
`, name, restart, signs)
	}
	sign := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(signs, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.apply(t, "default", greedy("once", "Never")+"---\n"+greedy("again", "Always")+"---\n"+greedy("unseen", "Never"))
	s.running(t, "default", "once", "again", "unseen")
	sign("once")
	sign("again")
	told := func(when string) {
		t.Helper()
		for pod, path := range map[string]string{
			"once":  "{.status.phase} {.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}",
			"again": "{.status.phase} {.status.containerStatuses[0].lastState.terminated.reason} {.status.containerStatuses[0].lastState.terminated.exitCode}",
		} {
			want := map[string]string{"once": "Failed OOMKilled 137", "again": "Running OOMKilled 137"}[pod]
			waitsFor(t, when+", "+pod, want, func() string { return s.field(t, "default", "pod/"+pod, path) })
		}
	}
	told("at once")
	s.Kill()
	sign("unseen")
	eventually(t, 20*time.Second, func() error {
		if out, _ := s.command(t, "pgrep", "-f", "/signs/unseen").Output(); len(out) > 0 {
			return fmt.Errorf("it still runs: %s", out)
		}
		return nil
	})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	told("after a start")
	waitsFor(t, "one that ended unseen", "Failed OOMKilled 137", func() string {
		return s.field(t, "default", "pod/unseen", "{.status.phase} {.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}")
	})
}
