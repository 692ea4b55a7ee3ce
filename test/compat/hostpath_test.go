package compat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const hostPathPods = `
apiVersion: v1
kind: Pod
metadata: {name: writer}
spec:
  containers:
  - name: main
    image: busybox:1.28
    command: [sleep, "3600"]
    volumeMounts:
    - {name: made, mountPath: /made}
    - {name: made, mountPath: /part, subPath: a/b}
    - {name: made, mountPath: /fixed, readOnly: true}
    - {name: file, mountPath: /scratch/file}
    - {name: scratch, mountPath: /scratch}
    - {name: "null", mountPath: /null}
    - {name: untyped, mountPath: /untyped}
  volumes:
  - {name: made, hostPath: {path: DIR/made/deep, type: DirectoryOrCreate}}
  - {name: file, hostPath: {path: DIR/file, type: FileOrCreate}}
  - {name: "null", hostPath: {path: /dev/null, type: CharDevice}}
  - {name: untyped, hostPath: {path: DIR/untyped}}
  - {name: scratch, emptyDir: {}}
---
apiVersion: v1
kind: Pod
metadata: {name: waits}
spec:
  containers:
  - name: main
    image: busybox:1.28
    command: [sleep, "3600"]
    volumeMounts: [{name: v, mountPath: /v, mountPropagation: HostToContainer}]
  volumes: [{name: v, hostPath: {path: DIR/late, type: Directory}}]
`

// TestHostPathVolumesShowTheNode: types are made and checked, a pod waits with an Event
// for what is missing, and what is the node's stays when the pod ends.
func TestHostPathVolumesShowTheNode(t *testing.T) {
	s := shared
	ns := s.namespace(t)
	dir := t.TempDir()
	// Mounts pass on from a shared one only; the machine's own may be private.
	for _, flags := range []string{"-t tmpfs tmpfs ", "--make-shared "} {
		s.sh(t, "mount "+flags+dir)
	}
	t.Cleanup(func() { s.sh(t, "umount -l "+dir) })
	s.apply(t, ns, strings.ReplaceAll(hostPathPods, "DIR", dir))
	s.running(t, ns, "writer")
	sh := func(pod, script string) string {
		t.Helper()
		return s.sh(t, fmt.Sprintf("kubectl exec -n %s %s -- sh -c '%s' 2>&1 || true", ns, pod, script))
	}
	sh("writer", "echo one >/made/f; echo two >/part/g; echo three >/scratch/file; echo four >/untyped/h; echo x >/null")
	for file, want := range map[string]string{"made/deep/f": "one\n", "made/deep/a/b/g": "two\n", "file": "three\n", "untyped/h": "four\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != want {
			t.Errorf("%s on the node: %q, %v", file, got, err)
		}
	}
	contains(t, sh("writer", "echo x >/fixed/f"), "Read-only file system")

	late := filepath.Join(dir, "late")
	eventually(t, 20*time.Second, func() error {
		events := s.sh(t, "kubectl get events -n "+ns+" --field-selector involvedObject.name=waits")
		if want := `MountVolume.SetUp failed for volume "v" : hostPath type check failed: ` + late + " is not a directory"; !strings.Contains(events, want) || !strings.Contains(events, "FailedMount") {
			return fmt.Errorf("no event %q in\n%s", want, events)
		}
		return nil
	})
	if err := os.Mkdir(late, 0o755); err != nil {
		t.Fatal(err)
	}
	s.running(t, ns, "waits")
	s.sh(t, "mkdir "+late+"/inner; mount -t tmpfs tmpfs "+late+"/inner; touch "+late+"/inner/mounted; mount --make-private "+late+"/inner")
	if got := sh("waits", "ls /v/inner"); strings.TrimSpace(got) != "mounted" {
		t.Errorf("a later mount of the node, in the container: %q", got)
	}

	s.sh(t, "kubectl delete pod -n "+ns+" writer waits --now")
	if got, err := os.ReadFile(filepath.Join(dir, "made/deep/a/b/g")); err != nil || string(got) != "two\n" {
		t.Errorf("after the pod: %q, %v", got, err)
	}
}

// TestKubectlDebugNodeShowsTheMachine runs the command as a user does.
func TestKubectlDebugNodeShowsTheMachine(t *testing.T) {
	s := shared
	ns := s.namespace(t)
	marker := filepath.Join(t.TempDir(), "marker")
	if err := os.WriteFile(marker, []byte("of the node"), 0o600); err != nil {
		t.Fatal(err)
	}
	node := strings.TrimSpace(s.sh(t, "kubectl get nodes -o name"))
	out := s.sh(t, "kubectl debug -n "+ns+" "+node+" --image=busybox:1.28 -- sleep 3600")
	_, rest, ok := strings.Cut(out, "debugging pod ")
	pod, _, _ := strings.Cut(rest, " ")
	if !ok || !strings.HasPrefix(pod, "node-debugger-") {
		t.Fatalf("kubectl debug: %s", out)
	}
	s.running(t, ns, pod)
	if got := s.sh(t, "kubectl exec -n "+ns+" "+pod+" -- cat /host"+marker); got != "of the node" {
		t.Errorf("%s on the node: %q", marker, got)
	}
	for _, space := range []string{"pid", "net", "ipc"} {
		own, err := os.Readlink("/proc/self/ns/" + space)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(s.sh(t, "kubectl exec -n "+ns+" "+pod+" -- readlink /proc/self/ns/"+space)); got != own {
			t.Errorf("%s namespace %s, the node's is %s", space, got, own)
		}
	}
	s.sh(t, "kubectl delete pod -n "+ns+" "+pod+" --now")
	if _, err := os.Stat(marker); err != nil {
		t.Error(err)
	}
	if out, err := exec.Command("findmnt", "-n", "/proc").CombinedOutput(); err != nil {
		t.Errorf("the node lost a mount: %s, %v", out, err)
	}
}
