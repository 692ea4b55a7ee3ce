package compat

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// freshPod has a ConfigMap's key as a file, a part of it as a directory, and the same
// file in a path that is a link in the image (/var/run is /run in many).
const freshPod = `
apiVersion: v1
kind: Pod
metadata: {name: fresh, annotations: {laterna.dev/subpath-updates: "%s"}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox:1.28
    command: [sleep, "%d"]
    env: [{name: KEY, value: file}]
    volumeMounts:
    - {name: v, mountPath: /etc/fresh/file, subPath: file}
    - {name: v, mountPath: /expr, subPathExpr: $(KEY)}
    - {name: v, mountPath: /dir, subPath: dir}
    - {name: v, mountPath: /whole}
  volumes:
  - name: v
    configMap: {name: fresh, optional: true, items: [{key: value, path: file}, {key: value, path: dir/a}, {key: other, path: dir/b}, {key: value, path: other}]}
`

// inContainer are the files of a container, found by a command line of its own.
type inContainer struct{ root string }

func containerOf(t testing.TB, s *system, commandLine string) inContainer {
	t.Helper()
	return inContainer{"/proc/" + processOf(t, s, commandLine) + "/root"}
}

// processOf is the one process with a command line. A runtime says that a container runs a
// moment before its first process has become the one asked for.
func processOf(t testing.TB, s *system, commandLine string) (pid string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		out, err := s.command(t, "pgrep", "-x", "-f", commandLine).Output()
		if pid = strings.TrimSpace(string(out)); err != nil || strings.Contains(pid, "\n") {
			return fmt.Errorf("processes with the command line %q: %q, %w", commandLine, pid, err)
		}
		return nil
	})
	return pid
}

func (c inContainer) read(path string) string {
	data, err := os.ReadFile(c.root + path)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// writeValue writes the ConfigMap fresh; it returns when the API has answered.
func writeValue(t testing.TB, s *system, ns, value string) {
	t.Helper()
	_, err := s.client(t).CoreV1().ConfigMaps(ns).Update(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "fresh"}, Data: map[string]string{"value": value, "other": "x"}}, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// mountLines are the container's mounts at a path, without the numbers of the mount and
// of the generation.
func mountLines(t testing.TB, s *system, ns, path string) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(s.exec(t, ns, "fresh", "cat", "/proc/self/mountinfo")) {
		f := strings.Fields(line)
		if f[4] == path {
			f[0], f[3] = "ID", regexp.MustCompile(`^/\.\.[^/]*`).ReplaceAllString(f[3], "/GENERATION")
			found = append(found, strings.Join(f, " "))
		}
	}
	return found
}

func TestFreshSubPathFollows(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.sh(t, "kubectl create configmap fresh -n "+ns+" --from-literal=value=0 --from-literal=other=x")
	s.apply(t, ns, fmt.Sprintf(freshPod, "true", 360171))
	s.running(t, ns, "fresh")
	c := containerOf(t, s, "sleep 360171")
	paths := []string{"/etc/fresh/file", "/expr", "/dir"}
	before := map[string][]string{}
	for _, p := range paths {
		before[p] = mountLines(t, s, ns, p)
	}

	var took, whole []time.Duration
	for n := range 20 {
		if n%5 == 0 {
			time.Sleep(2100 * time.Millisecond) // replaced generations live two seconds, at most eight
		}
		began, want := time.Now(), fmt.Sprint("latency ", n)
		writeValue(t, s, ns, want)
		for _, path := range []string{"/whole/file", "/etc/fresh/file"} {
			for c.read(path) != want {
				if time.Since(began) > 10*time.Second {
					t.Fatalf("update %d: %s is %q; %s", n, path, c.read(path), s.sh(t, "kubectl get events -n "+ns))
				}
				time.Sleep(100 * time.Microsecond)
			}
			if path == "/whole/file" {
				whole = append(whole, time.Since(began))
			}
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	slices.Sort(whole)
	t.Logf("sending a ConfigMap write → readable: p50 %v in the whole volume, %v by subPath; worst of 20 %v and %v", whole[10], took[10], whole[19], took[19])

	for n := range 8 { // faster than each can be published
		writeValue(t, s, ns, fmt.Sprint("fast ", n))
	}
	for _, p := range []string{"/etc/fresh/file", "/expr", "/dir/a", "/whole/file"} {
		eventually(t, 10*time.Second, func() error {
			if got := c.read(p); got != "fast 7" {
				return fmt.Errorf("%s: %q", p, got)
			}
			return nil
		})
	}
	if got := s.exec(t, ns, "fresh", "ls", "/dir"); got != "a\nb\n" {
		t.Errorf("/dir holds %q", got)
	}
	for _, p := range paths {
		after := mountLines(t, s, ns, p)
		if len(after) != 1 || !slices.Equal(before[p], after) {
			t.Errorf("mounts at %s:\nbefore %q\nafter  %q", p, before[p], after)
		}
	}

	uid := s.field(t, ns, "pod/fresh", "{.metadata.uid}")
	s.sh(t, "kubectl delete pod -n "+ns+" fresh")
	eventually(t, 10*time.Second, func() error { // a grace period of 0: the object goes first
		if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), uid) {
			return fmt.Errorf("mounts of the deleted pod are left: %v\n%s", err, mounts)
		}
		return nil
	})
}

func TestFreshSubPathIsNeverMissing(t *testing.T) {
	t.Parallel()
	s := shared
	updates := 40
	if soak() {
		updates = 500
	}
	ns := s.namespace(t)
	s.sh(t, "kubectl create configmap fresh -n "+ns+" --from-literal=value=0 --from-literal=other=x")
	s.apply(t, ns, fmt.Sprintf(freshPod, "true", 360172))
	s.running(t, ns, "fresh")
	c := containerOf(t, s, "sleep 360172")
	ctx, cancel := context.WithCancel(t.Context())
	faults := make(chan string, 1)
	reads := 0
	go func() { // sees what the container sees, by its root and mount namespace
		defer close(faults)
		for ; ctx.Err() == nil; reads++ {
			for _, p := range []string{"/etc/fresh/file", "/dir/a"} {
				if got := c.read(p); got != "0" && !strings.HasPrefix(got, "value ") {
					faults <- fmt.Sprintf("read %d of %s: %q", reads, p, got)
					return
				}
			}
		}
	}()
	inside := exec.CommandContext(t.Context(), programs.Path("kubectl"), "exec", "-n", ns, "fresh", "--", "sh", "-c", "while ! test -e /tmp/stop; do read -r x </etc/fresh/file || test -n \"$x\" || echo fault; done")
	var out strings.Builder
	inside.Env, inside.Stdout, inside.Stderr = s.Environ(), &out, &out
	if err := inside.Start(); err != nil {
		t.Fatal(err)
	}
	hostMounts := func() int {
		raw, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(raw), s.field(t, ns, "pod/fresh", "{.metadata.uid}"))
	}
	mounts, began := hostMounts(), time.Now()
	for n := range updates {
		want := fmt.Sprint("value ", n)
		writeValue(t, s, ns, want)
		eventually(t, 15*time.Second, func() error {
			if got := c.read("/etc/fresh/file"); got != want {
				return fmt.Errorf("update %d: %q", n, got)
			}
			return nil
		})
	}
	took := time.Since(began)
	cancel()
	if fault, some := <-faults; some {
		t.Error(fault)
	}
	s.exec(t, ns, "fresh", "touch", "/tmp/stop")
	if err := inside.Wait(); err != nil || out.Len() > 0 {
		t.Errorf("the reader inside: %v, %s", err, out.String())
	}
	if after := hostMounts(); after != mounts {
		t.Errorf("%d mounts of the pod on the machine, before %d", after, mounts)
	}
	t.Logf("%d updates in %v, %d rounds of the reader", updates, took.Round(time.Millisecond), reads)
}

func TestSubPathStaysWithoutTheAnnotation(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.sh(t, "kubectl create configmap fresh -n "+ns+" --from-literal=value=0 --from-literal=other=x")
	contains(t, s.refused(t, ns, fmt.Sprintf(freshPod, "yes", 360173)),
		`metadata.annotations[laterna.dev/subpath-updates]: Unsupported value: "yes": supported values: "true", "false"`)
	s.apply(t, ns, fmt.Sprintf(freshPod, "false", 360173))
	s.running(t, ns, "fresh")
	c := containerOf(t, s, "sleep 360173")
	follows := func(path, want string) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			if got := c.read(path); got != want {
				return fmt.Errorf("%s: %q, want %q", path, got, want)
			}
			return nil
		})
	}
	writeValue(t, s, ns, "1")
	follows("/whole/file", "1")
	if got := c.read("/etc/fresh/file"); got != "0" {
		t.Errorf("the file followed: %q", got)
	}
	contains(t, s.fails(t, "kubectl annotate pod -n "+ns+" fresh --overwrite laterna.dev/subpath-updates=1"), "supported values")

	// Asked for while it runs, it is there at once; asked off, the file stays.
	s.sh(t, "kubectl annotate pod -n "+ns+" fresh --overwrite laterna.dev/subpath-updates=true")
	follows("/etc/fresh/file", "1")
	s.sh(t, "kubectl annotate pod -n "+ns+" fresh --overwrite laterna.dev/subpath-updates-")
	writeValue(t, s, ns, "2")
	follows("/whole/file", "2")
	if got := c.read("/etc/fresh/file"); got != "1" {
		t.Errorf("the file followed: %q", got)
	}
}

func TestFreshSubPathThatGoesIsTold(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	s.sh(t, "kubectl create configmap fresh -n "+ns+" --from-literal=value=0 --from-literal=other=x")
	s.apply(t, ns, fmt.Sprintf(freshPod, "true", 360174))
	s.running(t, ns, "fresh")
	c := containerOf(t, s, "sleep 360174")
	s.sh(t, "kubectl delete configmap -n "+ns+" fresh")
	eventually(t, 10*time.Second, func() error {
		events := s.sh(t, "kubectl get events -n "+ns+" --field-selector reason=SubPathNotUpdated -o jsonpath='{range .items[*]}{.message}{\"\\n\"}{end}'")
		if !strings.Contains(events, `volume "v" in container main: /etc/fresh/file keeps its old content: the volume has no "file" any more`) {
			return fmt.Errorf("events: %s", events)
		}
		return nil
	})
	if got := c.read("/etc/fresh/file"); got != "0" {
		t.Errorf("the file is %q", got)
	}
	s.sh(t, "kubectl create configmap fresh -n "+ns+" --from-literal=value=back --from-literal=other=x")
	eventually(t, 10*time.Second, func() error {
		if got := c.read("/etc/fresh/file") + c.read("/dir/a"); got != "backback" {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
}

// TestFreshSubPathAcrossRestarts updates while nobody looks: while a container restarts
// and while the agent is down.
func TestFreshSubPathAcrossRestarts(t *testing.T) {
	t.Parallel()
	s := started(t)
	s.sh(t, "kubectl create configmap fresh --from-literal=value=0 --from-literal=other=x")
	s.apply(t, "default", fmt.Sprintf(freshPod, "true", 360175))
	s.running(t, "default", "fresh")
	c := containerOf(t, s, "sleep 360175")
	reads := func(want string) {
		t.Helper()
		eventually(t, 20*time.Second, func() error {
			if got := c.read("/etc/fresh/file") + c.read("/dir/a"); got != want+want {
				return fmt.Errorf("%q, want %q", got, want)
			}
			return nil
		})
	}
	for n := range 3 { // killed at once after the write: it may be before or after the swap
		writeValue(t, s, "default", fmt.Sprint("kill ", n))
		s.Kill()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		reads(fmt.Sprint("kill ", n))
	}

	s.sh(t, "kill -9 "+processOf(t, s, "sleep 360175"))
	writeValue(t, s, "default", "restarted")
	c = containerOf(t, s, "sleep 360175")
	reads("restarted")
	if lines := mountLines(t, s, "default", "/etc/fresh/file"); len(lines) != 1 {
		t.Errorf("mounts %q", lines)
	}
	s.sh(t, "kubectl delete pod fresh")
}

// racingPod has a container that swaps a directory of a volume against a link out of
// it, and containers that mount it by subPath.
func racingPod(target string, victims int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
apiVersion: v1
kind: Pod
metadata: {name: race}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  volumes: [{name: v, emptyDir: {}}]
  containers:
  - name: attacker
    image: busybox:1.28
    command: [sh, -c, 'cd /v; while :; do i=$((i+1)); mkdir x; touch x/inside; mv x gone$i; ln -s %s x; rm x; done 2>/dev/null']
    volumeMounts: [{name: v, mountPath: /v}]
`, target)
	for n := range victims {
		fmt.Fprintf(&b, `  - name: victim%d
    image: busybox:1.28
    command: [sh, -c, 'ls -A /sub']
    volumeMounts: [{name: v, mountPath: /sub, subPath: x}]
`, n)
	}
	return b.String()
}

func TestSubPathNeverLeadsOutOfItsVolume(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	victims := 4
	if os.Getenv("LATERNA_SOAK") != "" {
		victims = 10
	}
	for _, target := range []string{"/", "../../../.."} {
		s.apply(t, ns, racingPod(target, victims))
		// The racing container burns a core, and each victim is tried again and again.
		eventually(t, 2*time.Minute, func() error {
			ended := s.field(t, ns, "pod/race", `{range .status.containerStatuses[*]}{.state.terminated.reason}{"\n"}{end}`)
			if strings.Count(ended, "Completed") != victims {
				return fmt.Errorf("ended: %q", ended)
			}
			return nil
		})
		for n := range victims {
			got := strings.TrimSpace(s.sh(t, fmt.Sprintf("kubectl logs -n %s race -c victim%d", ns, n)))
			if got != "" && got != "inside" {
				t.Errorf("victim %d with a link to %s sees %q", n, target, got)
			}
		}
		s.sh(t, "kubectl delete pod -n "+ns+" race --now")
	}
}
