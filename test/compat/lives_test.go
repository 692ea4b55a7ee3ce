package compat

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/hostresources"
	"laterna.dev/laterna/internal/runtime/cri"
)

// livingPod has what can be cut in two: an init container, a sidecar, probes, hooks and
// a projected volume. Its containers tell /journal what happens to them. Its verbs are name, restart
// policy, directory of the journal, port of the host, and the main container's script.
const livingPod = `
apiVersion: v1
kind: Pod
metadata: {name: %[1]s}
spec:
  restartPolicy: %[2]s
  terminationGracePeriodSeconds: 20
  initContainers:
  - name: init
    image: busybox:1.28
    command: [sh, -c, 'echo >> /journal/%[1]s.init; sleep 0.1; touch /scratch/init']
    volumeMounts: &mounts
    - {name: scratch, mountPath: /scratch}
    - {name: journal, mountPath: /journal}
    - {name: projected, mountPath: /projected}
  - name: side
    image: busybox:1.28
    restartPolicy: Always
    command: [sh, -c, 'echo >> /journal/%[1]s.side; trap "exit 0" TERM; sleep 0.1; touch /scratch/side; while :; do sleep 3600 & wait; done']
    startupProbe: {exec: {command: [test, -e, /scratch/side]}, periodSeconds: 1, failureThreshold: 30}
    volumeMounts: *mounts
  containers:
  - name: main
    image: busybox:1.28
    command:
    - sh
    - -c
    - |
      fault() { echo "$@" >> /journal/%[1]s.faults; }
      echo >> /journal/%[1]s.main
      for file in /scratch/init /scratch/side /projected/token /projected/key /projected/name; do
        [ -e $file ] || fault main began without $file
      done
      %[5]s
    ports: [{containerPort: 8080, hostPort: %[4]d}]
    readinessProbe: {exec: {command: [test, -e, /scratch/posted]}, periodSeconds: 1}
    livenessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
    lifecycle:
      postStart: {exec: {command: [sh, -c, 'echo >> /journal/%[1]s.post; sleep 0.1; touch /scratch/posted']}}
      preStop: {exec: {command: [sh, -c, 'echo >> /journal/%[1]s.pre; sleep 0.1; touch /scratch/warned']}}
    volumeMounts: *mounts
  volumes:
  - {name: scratch, emptyDir: {}}
  - {name: journal, hostPath: {path: "%[3]s", type: Directory}}
  - name: projected
    projected:
      sources:
      - configMap: {name: watched}
      - serviceAccountToken: {path: token, audience: vault, expirationSeconds: 600}
      - downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}
`

// What main does once it has begun.
const (
	servesUntilTold = `trap "[ -e /scratch/warned ] || fault main was told to end before its hook; exit 0" TERM; while :; do sleep 3600 & wait; done`
	endsByItself    = `sleep 0.4`
)

// sort is a way to live.
type sort struct {
	name, policy, script string
	// until is the state in which the pod is looked at, empty for one that is deleted as
	// soon as it is there.
	until string
}

var sorts = []sort{
	{"serves", "Always", servesUntilTold, "Ready"},
	{"ends", "OnFailure", endsByItself, "Succeeded"},
	{"early", "Always", servesUntilTold, ""},
}

// lives are pods that live on a system which is stopped, and killed, at any moment.
type lives struct {
	*system
	t       *testing.T
	client  kubernetes.Interface
	dir     datadir.Dir
	runtime *cri.Client
	journal string
	rand    *rand.Rand
	// stops and kills are how often laterna was ended.
	stops, kills int
	slowest      time.Duration
}

func newLives(t *testing.T, seed uint64) *lives {
	l := &lives{system: started(t), t: t, journal: t.TempDir(), rand: rand.New(rand.NewPCG(seed, seed))}
	l.client = l.system.client(t)
	var err error
	if l.dir, err = datadir.Locate(l.Dir); err != nil {
		t.Fatal(err)
	}
	if l.runtime, err = cri.Dial(l.dir.Socket("containerd")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.runtime.Close() })
	l.sh(t, "kubectl create configmap watched --from-literal=key=value")
	return l
}

// TestRestartsAtAnyMomentOfPodsLives ends laterna by SIGTERM and by SIGKILL while pods
// start, are probed, run hooks and end. No container runs twice at a time or is lost, and
// nothing of the pods is left on the machine.
func TestRestartsAtAnyMomentOfPodsLives(t *testing.T) {
	count := 30
	if soak() {
		count = 500
	}
	seed := rand.Uint64()
	if text := os.Getenv("LATERNA_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatalf("LATERNA_SEED is %q, not a number", text)
		}
	}
	t.Logf("the moments are those of LATERNA_SEED=%d", seed)
	l := newLives(t, seed)
	// The first pods make what stays: the bridge, the tables of host ports.
	l.round("first", false)
	before := l.settled()
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan []string, 1)
	go func() { watched <- l.watch(ctx) }()
	start := time.Now()
	for round := 0; round*len(sorts) < count && !t.Failed(); round++ {
		l.round(fmt.Sprintf("round%d", round), true)
	}
	cancel()
	if twice := <-watched; len(twice) > 0 {
		t.Errorf("two at a time: %q", twice)
	}
	t.Logf("%d stops and %d kills in %d lives and %s, the slowest stop and start took %s", l.stops, l.kills, count, time.Since(start).Round(time.Second), l.slowest)
	// What a removed container has is removed beside what removes it, and a shim that the
	// runtime has forgotten some looks later.
	var extra, gone []string
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		after := l.holdings()
		if extra, gone = added(before, after), added(after, before); len(extra)+len(gone) == 0 {
			return
		}
	}
	t.Errorf("left of the pods:\n%s\nand lost:\n%s", strings.Join(extra, "\n"), strings.Join(gone, "\n"))
}

// round lets one pod of each sort live.
func (l *lives) round(name string, restarts bool) {
	l.t.Helper()
	names, killed := map[string]sort{}, l.kills
	for _, s := range sorts {
		pod := name + "-" + s.name
		names[pod] = s
		l.apply(l.t, "default", fmt.Sprintf(livingPod, pod, s.policy, l.journal, l.port(), s.script))
	}
	if restarts {
		for range 1 + l.rand.IntN(2) {
			// Sandboxes are made at the beginning.
			l.restart([]time.Duration{400 * time.Millisecond, 1500 * time.Millisecond}[l.rand.IntN(2)])
		}
	}
	l.delete(name + "-early")
	for pod, s := range names {
		if s.until != "" {
			l.reaches(pod, s.until)
		}
	}
	l.alone(name + "-serves")
	for pod, s := range names {
		if s.until != "" {
			l.delete(pod)
		}
	}
	if restarts {
		l.restart(700 * time.Millisecond)
	}
	for pod, s := range names {
		l.gone(pod)
		l.told(pod, s, 1+l.kills-killed)
	}
}

// port is one of the host that nobody uses.
func (l *lives) port() int {
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		l.t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// restart ends laterna at a moment of the next most, and starts it again.
func (l *lives) restart(most time.Duration) {
	l.t.Helper()
	time.Sleep(time.Duration(l.rand.Int64N(int64(most))))
	start := time.Now()
	if l.rand.IntN(2) == 0 {
		l.kills++
		l.Kill()
	} else {
		l.stops++
		if err := l.Stop(); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := l.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.slowest = max(l.slowest, time.Since(start))
}

func (l *lives) delete(pod string) {
	l.t.Helper()
	if err := l.client.CoreV1().Pods("default").Delete(l.t.Context(), pod, metav1.DeleteOptions{}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lives) get(pod string) (*corev1.Pod, error) {
	return l.client.CoreV1().Pods("default").Get(l.t.Context(), pod, metav1.GetOptions{})
}

// reaches waits until a pod is Ready, or has Succeeded.
func (l *lives) reaches(name, state string) {
	l.t.Helper()
	var last *corev1.Pod
	for end := time.Now().Add(45 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		pod, err := l.get(name)
		if err != nil {
			l.t.Fatal(err)
		}
		last = pod
		ready := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		if state == "Ready" && ready || string(pod.Status.Phase) == state {
			return
		}
	}
	l.t.Fatalf("pod %s is not %s: %+v\n%s", name, state, last.Status, l.eventsOf(l.t, "default", name))
}

// gone waits until there is no pod, and nothing of it on the runtime.
func (l *lives) gone(name string) {
	l.t.Helper()
	eventually(l.t, 45*time.Second, func() error {
		if pod, err := l.get(name); err == nil {
			return fmt.Errorf("pod %s is there: %+v", name, pod.Status)
		}
		return nil
	})
	eventually(l.t, 20*time.Second, func() error {
		sandboxes, containers := l.onRuntime(name)
		if len(sandboxes)+len(containers) > 0 {
			return fmt.Errorf("pod %s is gone, and the runtime has its sandboxes %v and containers %v", name, sandboxes, containers)
		}
		return nil
	})
}

// onRuntime is what the runtime has of a pod.
func (l *lives) onRuntime(pod string) ([]cri.Sandbox, []cri.Container) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), stepTimeout)
	defer cancel()
	filter := cri.Filter{}
	if pod != "" {
		filter.Labels = map[string]string{"io.kubernetes.pod.name": pod}
	}
	sandboxes, err := l.runtime.ListSandboxes(ctx, filter)
	containers, err2 := l.runtime.ListContainers(ctx, filter)
	if err := errors.Join(err, err2); err != nil {
		l.t.Fatal(err)
	}
	return sandboxes, containers
}

// watch looks all the time for a container that runs twice, and for a pod that has two
// sandboxes.
func (l *lives) watch(ctx context.Context) (found []string) {
	twice := map[string]bool{}
	for ctx.Err() == nil {
		count := map[string]int{}
		sandboxes, containers := l.onRuntime("")
		for _, s := range sandboxes {
			if s.State == cri.SandboxReady {
				count["sandbox of "+s.Name]++
			}
		}
		for _, c := range containers {
			if c.State == cri.ContainerRunning {
				count["container "+c.Name+" of "+c.Labels["io.kubernetes.pod.name"]]++
			}
		}
		for what, n := range count {
			if n > 1 && !twice[what] {
				twice[what] = true
				found = append(found, what)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return found
}

// alone fails unless the runtime has one sandbox of a pod, and of each container that
// runs the one that the status tells of.
func (l *lives) alone(name string) {
	l.t.Helper()
	pod, err := l.get(name)
	if err != nil {
		l.t.Fatal(err)
	}
	var want, have []string
	for _, c := range slices.Concat(pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses) {
		if c.State.Running != nil {
			want = append(want, c.Name+" "+strings.TrimPrefix(c.ContainerID, "containerd://"))
		}
	}
	sandboxes, containers := l.onRuntime(name)
	for _, c := range containers {
		if c.State == cri.ContainerRunning {
			have = append(have, c.Name+" "+c.ID)
		}
	}
	slices.Sort(want)
	slices.Sort(have)
	if len(want) != 2 || !slices.Equal(want, have) {
		l.t.Errorf("pod %s: by its status %q run, by the runtime %q", name, want, have)
	}
	ready := slices.DeleteFunc(sandboxes, func(s cri.Sandbox) bool { return s.State != cri.SandboxReady })
	if len(ready) != 1 {
		l.t.Errorf("pod %s has %d sandboxes: %+v", name, len(ready), ready)
	}
}

// read is what a pod has noted of something, a line each time.
func (l *lives) read(pod, what string) string {
	raw, _ := os.ReadFile(filepath.Join(l.journal, pod+"."+what))
	return string(raw)
}

// told reads what the containers of a pod that is gone have noted. They ran no more often
// than most: a container whose start is cut off by a kill is started again.
func (l *lives) told(pod string, s sort, most int) {
	l.t.Helper()
	count := func(what string) int {
		return strings.Count(l.read(pod, what), "\n")
	}
	if faults := l.read(pod, "faults"); faults != "" {
		l.t.Errorf("pod %s: %s", pod, faults)
	}
	for _, what := range []string{"init", "side", "main"} {
		if n := count(what); n > most || n == 0 && s.until != "" {
			l.t.Errorf("pod %s: %s ran %d times\n%s", pod, what, n, l.eventsOf(l.t, "default", pod))
		}
	}
	if n := count("post"); n == 0 && s.until == "Ready" {
		l.t.Errorf("pod %s: its hook after the start never ran", pod)
	}
	if n := count("pre"); n == 0 && s.until == "Ready" {
		l.t.Errorf("pod %s: its hook before the end never ran", pod)
	}
}

// settled are the holdings once they stay as they are for a while: the runtime removes
// some of them beside what removes a pod.
func (l *lives) settled() []string {
	l.t.Helper()
	last := l.holdings()
	for range 20 {
		time.Sleep(time.Second)
		now := l.holdings()
		if len(added(last, now))+len(added(now, last)) == 0 {
			break
		}
		last = now
	}
	return last
}

// stamp is the number of the last write, in the set of network/services for that: another one
// each time.
var stamp = regexp.MustCompile(`^elements = \{ 0x[0-9a-f]{1,8} \}$`)

// holdings lists what the pods have on this machine, a line each.
func (l *lives) holdings() []string {
	l.t.Helper()
	all, err := hostresources.List(l.t.Context(), l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	var lines []string
	for _, r := range all {
		if r.Kind == hostresources.Table {
			// Rules, chains and the elements of sets, which hold addresses and ports.
			for rule := range strings.Lines(l.sh(l.t, "PATH=$PATH:/usr/sbin; nft list table "+r.Name)) {
				if rule = strings.TrimSpace(rule); !stamp.MatchString(rule) {
					lines = append(lines, r.Name+": "+rule)
				}
			}
		}
		lines = append(lines, r.String())
	}
	for _, pattern := range []string{
		filepath.Join(l.dir.RunDir, "cni/leases/*/[0-9]*"), // addresses
		filepath.Join(l.dir.RunDir, "*/netns/*"),
		filepath.Join("/var/lib/cni/results", l.dir.Bridge()+"-*"),
		filepath.Join(l.dir.Pods(), "*"),
		filepath.Join(l.Dir, "logs/pods/*"),
		filepath.Join(l.dir.Containerd(), "io.containerd.grpc.v1.cri/*/*"),
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			l.t.Fatal(err)
		}
		lines = append(lines, found...)
	}
	for snapshot := range strings.Lines(l.sh(l.t, "ctr -a "+l.dir.Socket("containerd")+" -n k8s.io snapshots ls")) {
		lines = append(lines, "snapshot "+strings.TrimSpace(snapshot))
	}
	sandboxes, containers := l.onRuntime("")
	for _, s := range sandboxes {
		lines = append(lines, "sandbox "+s.Name+" "+s.ID)
	}
	for _, c := range containers {
		lines = append(lines, "container "+c.Name+" "+c.ID)
	}
	return lines
}
