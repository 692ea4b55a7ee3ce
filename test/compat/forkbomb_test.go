package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const forkBomb = `
apiVersion: v1
kind: Pod
metadata: {name: bomb}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: busybox:1.28
    command: [sh, -c, 'b() { b & b & wait; }; b 2>/dev/null; sleep 3600']
`

// podPids are what the pids controller says of a pod: its limit, and how many there are.
func podPids(t *testing.T, uid, file string) string {
	t.Helper()
	for _, form := range []string{"/sys/fs/cgroup/pids/laterna-*/pod%s/%s", "/sys/fs/cgroup/laterna-*/pod%s/%s", "/sys/fs/cgroup/laterna*.slice/*pod%s.slice/%s"} {
		name := uid
		if strings.Contains(form, "slice") {
			name = strings.ReplaceAll(uid, "-", "_")
		}
		found, _ := filepath.Glob(fmt.Sprintf(form, name, file))
		for _, path := range found {
			if raw, err := os.ReadFile(path); err == nil {
				return strings.TrimSpace(string(raw))
			}
		}
	}
	t.Fatalf("pod %s has no %s", uid, file)
	return ""
}

// TestPodHas4096ProcessesAtMost is the default.
func TestPodHas4096ProcessesAtMost(t *testing.T) {
	s := shared
	ns := s.namespace(t)
	s.apply(t, ns, fmt.Sprintf(sleeper, "p"))
	s.running(t, ns, "p")
	if got := podPids(t, s.sh(t, "kubectl get pod -n "+ns+" p -o jsonpath={.metadata.uid}"), "pids.max"); got != "4096" {
		t.Errorf("limit %s", got)
	}
}

// TestForkBombStaysInItsPod: it meets its limit, and other pods are started, reached and
// updated while it goes on.
func TestForkBombStaysInItsPod(t *testing.T) {
	s := started(t, "--pod-max-pids=300")
	s.apply(t, "default", fmt.Sprintf(sleeper, "before"))
	s.running(t, "default", "before")
	s.apply(t, "default", forkBomb)
	s.running(t, "default", "bomb")
	uid := s.sh(t, "kubectl get pod bomb -o jsonpath={.metadata.uid}")
	if got := podPids(t, uid, "pids.max"); got != "300" {
		t.Fatalf("limit %s", got)
	}
	eventually(t, 30*time.Second, func() error {
		if now, events := podPids(t, uid, "pids.current"), podPids(t, uid, "pids.events"); now == "300" || events != "max 0" {
			return nil
		} else {
			return fmt.Errorf("%s processes, %s", now, events)
		}
	})
	s.apply(t, "default", fmt.Sprintf(sleeper, "after"))
	s.running(t, "default", "after")
	s.sh(t, "kubectl create configmap watched --from-literal=key=value")
	for _, pod := range []string{"before", "after"} {
		eventually(t, 20*time.Second, func() error {
			if got := s.sh(t, "kubectl exec "+pod+" -- cat /c/key 2>&1 || true"); got != "value" {
				return fmt.Errorf("%s reads %q", pod, got)
			}
			return nil
		})
	}
	s.sh(t, "kubectl delete pod bomb --now")
	if out := s.sh(t, "kubectl get node -o jsonpath='{.items[0].status.conditions[?(@.type==\"Ready\")].status}'"); out != "True" {
		t.Errorf("the node is ready: %s", out)
	}
}
