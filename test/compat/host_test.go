package compat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// hostState lists what a system may make outside its data directory: one line for
// each mount, link, route, nft table, control group, network namespace and
// process of ours.
func hostState(t testing.TB, marks ...string) []string {
	t.Helper()
	var all []string
	for _, line := range []string{
		"ip -o link show | awk '{print $2}' | cut -d@ -f1",
		"ip route show table all | sed 's/ linkdown//'", // whether pods run beside this test
		"nft list tables",
		"ls /run/netns 2>/dev/null || true",
		"ls -d /run/laterna/* 2>/dev/null || true",
	} {
		out, err := exec.Command("bash", "-c", "PATH=$PATH:/usr/sbin:/sbin; "+line).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		for l := range strings.Lines(string(out)) {
			all = append(all, line+": "+strings.TrimSpace(l))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, strings.Split(string(mounts), "\n")...)
	filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(path, "laterna") {
			all = append(all, path)
		}
		return nil
	})
	return append(all, processes(t, marks)...)
}

// processes lists the command lines that hold one of marks.
func processes(t testing.TB, marks []string) (all []string) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range dirs {
		raw, err := os.ReadFile(file)
		line := strings.ReplaceAll(string(raw), "\x00", " ")
		if err == nil && slices.ContainsFunc(marks, func(m string) bool { return strings.Contains(line, m) }) {
			all = append(all, "process "+line)
		}
	}
	return all
}

// added returns what after has and before has not.
func added(before, after []string) (extra []string) {
	for _, line := range after {
		if !slices.Contains(before, line) {
			extra = append(extra, line)
		}
	}
	return extra
}

const sleeper = `
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  containers:
  - name: main
    image: busybox:1.28
    command: [sleep, "3600"]
    volumeMounts: [{name: c, mountPath: /c}]
  volumes: [{name: c, configMap: {name: watched, optional: true}}]
`

func TestTwoSystemsSideBySideAndNothingIsLeft(t *testing.T) {
	before := hostState(t, "laterna-system-")
	systems := make([]*system, 2)
	for i := range systems {
		s := prepared(t)
		systems[i] = s
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		if err := s.ImportImages(imageDir); err != nil {
			t.Fatal(err)
		}
		s.apply(t, "default", strings.Replace(fmt.Sprintf(sleeper, "same-name"), "busybox:1.28", "tutum/curl", 1))
		s.running(t, "default", "same-name")
	}
	for i, s := range systems {
		s.sh(t, fmt.Sprintf("kubectl create configmap watched --from-literal=system=%d", i))
	}
	for i, s := range systems {
		eventually(t, 5*time.Second, func() error {
			if got := s.sh(t, "kubectl exec same-name -- cat /c/system 2>&1 || true"); got != fmt.Sprint(i) {
				return fmt.Errorf("system %d reads %q", i, got)
			}
			return nil
		})
		api := s.sh(t, `kubectl exec same-name -- sh -c 'curl -sS --cacert /var/run/secrets/kubernetes.io/serviceaccount/ca.crt https://$KUBERNETES_SERVICE_HOST/version'`)
		contains(t, api, "gitVersion")
	}
	if during := hostState(t, "laterna-system-"); len(added(before, during)) == 0 {
		t.Fatal("the lists show nothing of two running systems: this test would not see what is left")
	}
	for _, s := range systems {
		if err := s.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if extra := added(before, hostState(t, "laterna-system-")); len(extra) > 0 {
		t.Errorf("left on the host after laterna down:\n%s", strings.Join(extra, "\n"))
	}
}
