package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/internal/datadir"
)

// churning is what each turn of the churn makes and takes away again: a Deployment whose
// pods read a ConfigMap and a token, and a Job.
const churning = `
apiVersion: v1
kind: ConfigMap
metadata: {name: %[1]s}
data: {key: "1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, annotations: {laterna.dev/rollout-on-change: auto}}
spec:
  replicas: 2
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: busybox:1.28
        command: [sleep, "3600"]
        readinessProbe: {exec: {command: [test, -e, /projected/key]}, periodSeconds: 1}
        volumeMounts: [{name: projected, mountPath: /projected}]
      volumes:
      - name: projected
        projected: {sources: [{configMap: {name: %[1]s}}, {serviceAccountToken: {path: token, expirationSeconds: 600}}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: %[1]s}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: "busybox:1.28", command: ["true"]}]
`

// TestMemoryIsFlatUnderChurn has workloads come, change and go, for an hour with
// LATERNA_SOAK=1, or for as long as LATERNA_CHURN says, and looks at the memory of laterna
// and of its containerd: what it is in the last third it was in the second.
func TestMemoryIsFlatUnderChurn(t *testing.T) {
	t.Parallel()
	long := 20 * time.Second
	if soak() {
		long = time.Hour
	}
	if text := os.Getenv("LATERNA_CHURN"); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	s := started(t)
	dir, err := datadir.Locate(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	type sample struct{ laterna, containerd int }
	var samples []sample
	turns := 0
	for began := time.Now(); time.Since(began) < long || turns < 3; turns++ {
		name := fmt.Sprintf("churn-%d", turns)
		s.apply(t, "default", fmt.Sprintf(churning, name))
		s.sh(t, "kubectl rollout status deployment "+name+" --timeout=60s && kubectl patch configmap "+name+` -p '{"data":{"key":"2"}}'`)
		s.sh(t, "kubectl wait deployment "+name+" --for=jsonpath='{.metadata.generation}'=2 --timeout=30s && kubectl rollout status deployment "+name+" --timeout=60s")
		s.sh(t, "kubectl wait job "+name+" --for=condition=Complete --timeout=60s && kubectl delete deployment,job,configmap "+name+" --cascade=foreground")
		samples = append(samples, sample{anonymous(t, s.PID()), anonymous(t, containerdOf(t, dir.RunDir))})
	}
	t.Logf("%d turns in %s", turns, long)
	third := len(samples) / 3
	for what, of := range map[string]func(sample) int{
		"laterna": func(s sample) int { return s.laterna }, "containerd": func(s sample) int { return s.containerd },
	} {
		median := func(part []sample) int {
			var all []int
			for _, s := range part {
				all = append(all, of(s))
			}
			slices.Sort(all)
			return all[len(all)/2]
		}
		second, last := median(samples[third:2*third]), median(samples[2*third:])
		t.Logf("%s: %d KiB in the second third, %d KiB in the last", what, second, last)
		if last > second+second/5+8<<10 {
			t.Errorf("the memory of %s has grown from %d to %d KiB", what, second, last)
		}
	}
}

// anonymous is the memory of a process that no file backs, in KiB.
func anonymous(t *testing.T, pid int) (kib int) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kib); n == 1 {
			return kib
		}
	}
	t.Fatal("no RssAnon")
	return 0
}

// containerdOf is the containerd of a system, by the configuration that it was started
// with.
func containerdOf(t *testing.T, runDir string) (pid int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		raw, err := os.ReadFile(path)
		args := strings.Split(string(raw), "\x00")
		if err == nil && filepath.Base(args[0]) == "containerd" && strings.Contains(string(raw), runDir) {
			if _, err := fmt.Sscan(filepath.Base(filepath.Dir(path)), &pid); err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("no containerd of " + runDir)
	return 0
}
