package compat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"laterna.dev/laterna/internal/node/seccomp"
)

// peak is the most memory that the system's process has ever had, in bytes.
func (s *system) peak(t testing.TB) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(raw)
	if found == nil {
		t.Fatalf("no VmHWM in %s", raw)
	}
	kib, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return kib << 10
}

// grew fails when the process has had much more memory than before. Other tests use it
// at the same time, so the bound is far above what reading takes, and below what it would
// take to hold what containers here have written.
func (s *system) grew(t testing.TB, before int64) {
	t.Helper()
	if grown := s.peak(t) - before; grown > 500<<20 {
		t.Errorf("the process grew by %d MiB", grown>>20)
	}
}

// sparseHosts makes its hosts file larger than any memory in its first lives, next to a
// container that reads it.
const sparseHosts = `
apiVersion: v1
kind: Pod
metadata: {name: sparse}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: neighbour
    image: busybox:1.28
    command: [sleep, "3600"]
  - name: hostile
    image: busybox:1.28
    command: [sh, -c, "n=$(ls /lives | wc -l); touch /lives/$n; test $n -ge 2 && exec sleep 3600; dd if=/dev/zero of=/etc/hosts bs=1 count=1 seek=8796093022208 || echo $?; exit 1"]
    volumeMounts: [{name: lives, mountPath: /lives}]
  volumes:
  - name: lives
    emptyDir: {}
`

func TestHostsFileOfAnySizeHarmsNobody(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	before := shared.peak(t)
	shared.apply(t, ns, sparseHosts)
	shared.sh(t, "kubectl wait -n "+ns+" pod/sparse --for=jsonpath='{.status.containerStatuses[0].restartCount}'=2 --timeout=55s")
	shared.running(t, ns, "sparse")
	if said := shared.sh(t, "kubectl logs -n "+ns+" sparse -c hostile --previous"); strings.Contains(said, "dd: ") {
		t.Fatalf("the file was not made: %s", said)
	}
	shared.grew(t, before)
	for _, container := range []string{"neighbour", "hostile"} {
		hosts := shared.sh(t, "kubectl exec -n "+ns+" sparse -c "+container+" -- head -c 5000 /etc/hosts")
		if !strings.HasPrefix(hosts, "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n") || !strings.HasSuffix(hosts, "\tsparse\n") {
			t.Errorf("%s has the hosts file %q", container, hosts)
		}
	}
}

// endless prints a line that is longer than what the test allows the process to take.
const endless = `
apiVersion: v1
kind: Pod
metadata: {name: endless}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: busybox:1.28
    terminationMessagePolicy: FallbackToLogsOnError
    command: [sh, -c, "dd if=/dev/zero bs=1M count=300 2>/dev/null | tr '\\0' A; echo end; exit 1"]
`

func TestALineOfAnyLengthIsNeverHeld(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	before := shared.peak(t)
	shared.apply(t, ns, endless)
	shared.sh(t, "kubectl wait -n "+ns+" pod/endless --for=jsonpath='{.status.phase}'=Failed --timeout=55s")
	message := shared.field(t, ns, "pod/endless", "{.status.containerStatuses[0].state.terminated.message}")
	if want := strings.Repeat("A", 2044) + "end\n"; strings.TrimSuffix(message, "\n") != strings.TrimSuffix(want, "\n") {
		t.Errorf("termination message of %d bytes: %.20q … %q", len(message), message, message[max(len(message)-20, 0):])
	}
	// The file may have been rotated just now, and then it has nothing.
	if got := shared.sh(t, "kubectl logs -n "+ns+" endless --follow --tail=3 | tail -c 8"); got != "AAAAend\n" && got != "end\n" && got != "" {
		t.Errorf("the log ends with %q", got)
	}
	shared.sh(t, "kubectl logs -n "+ns+" endless --tail=1 --limit-bytes=100")
	shared.grew(t, before)
}

// profiled is a pod with a seccomp profile of its node.
func profiled(name, profile string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {seccompProfile: {type: Localhost, localhostProfile: %q}}
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "mkdir /made; sleep 3600"]
`, name, profile)
}

func TestSeccompProfilesLieInTheAgentsDirectory(t *testing.T) {
	t.Parallel()
	s, ns := shared, shared.namespace(t)
	dir := filepath.Join(seccomp.Dir(s.Dir), ns)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	const valid = `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}`
	huge, err := os.Create(filepath.Join(dir, "huge"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		huge.Truncate(1<<40), huge.Close(), os.WriteFile(filepath.Join(dir, "no-mkdir.json"), []byte(valid), 0o600),
		os.WriteFile(filepath.Join(dir, "text"), []byte("root:x:0:0"), 0o600), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		os.Symlink("/etc/passwd", filepath.Join(dir, "out")), os.Symlink("/dev/zero", filepath.Join(dir, "zero")),
	); err != nil {
		t.Fatal(err)
	}
	var pods strings.Builder
	bad := map[string]string{
		"dev/zero": "there is no such file below", "etc/passwd": "there is no such file below",
		ns + "/none": "there is no such file below", ns + "/out": "the path leads out of", ns + "/zero": "the path leads out of",
		ns + "/pipe": "not a regular file", ns: "not a regular file", ns + "/huge": "more than 1048576 bytes", ns + "/text": "it is not JSON",
	}
	pod := func(name string) string { return "p-" + strings.ReplaceAll(name, "/", "-") }
	for name := range bad {
		pods.WriteString(profiled(pod(name), name) + "---")
	}
	s.apply(t, ns, pods.String())
	for name, want := range bad {
		s.sh(t, "kubectl wait -n "+ns+" pod/"+pod(name)+" --for=jsonpath='{.status.containerStatuses[0].state.waiting.reason}'=CreateContainerError --timeout=30s")
		if got := s.field(t, ns, "pod/"+pod(name), "{.status.containerStatuses[0].state.waiting.message}"); !strings.Contains(got, want) {
			t.Errorf("%s waits with %q, want %s", name, got, want)
		}
	}
	s.sh(t, "kubectl delete pods --all -n "+ns+" --timeout=30s")
	if events := s.sh(t, "kubectl get events -n "+ns+" -o yaml"); strings.Contains(events, "root:") || strings.Contains(events, "invalid character") {
		t.Errorf("events tell what is in a file:\n%s", events)
	}
	if said := s.refused(t, ns, profiled("up", "../pki/x")); !strings.Contains(said, "must not contain '..'") {
		t.Errorf("a path that goes up: %s", said)
	}

	s.apply(t, ns, profiled("good", ns+"/no-mkdir.json"))
	s.running(t, ns, "good")
	if said := s.sh(t, "kubectl logs -n "+ns+" good"); !strings.Contains(said, "Operation not permitted") {
		t.Errorf("under the profile: %s", said)
	}
	// A profile that comes later is found without doing anything to the pod.
	s.apply(t, ns, profiled("late", ns+"/late.json"))
	s.sh(t, "kubectl wait -n "+ns+" pod/late --for=jsonpath='{.status.containerStatuses[0].state.waiting.reason}'=CreateContainerError --timeout=30s")
	if err := os.Link(filepath.Join(dir, "no-mkdir.json"), filepath.Join(dir, "late.json")); err != nil {
		t.Fatal(err)
	}
	s.running(t, ns, "late")
}
