package compat

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestInitContainersRunInOrderAndSidecarsAround has a pod note what it does, and when: its
// init containers run one after the other, its sidecars beside what comes after them, and
// at the end they outlive the others, the last one first to go.
func TestInitContainersRunInOrderAndSidecarsAround(t *testing.T) {
	t.Parallel()
	s, ns := shared, shared.namespace(t)
	s.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: order}
spec:
  terminationGracePeriodSeconds: 20
  shareProcessNamespace: true
  initContainers:
  - {name: first, image: "busybox:1.28", command: [sh, -c, "echo first >> /log/order"], volumeMounts: [{name: log, mountPath: /log}]}
  - &sidecar
    name: side1
    image: busybox:1.28
    restartPolicy: Always
    command: [sh, -c, 'me=$0; trap "sleep 1; echo end $me; exit 0" TERM; echo $me >> /log/order; while :; do sleep 0.1; done', side1]
    volumeMounts: [{name: log, mountPath: /log}]
  - {name: second, image: "busybox:1.28", command: [sh, -c, "sleep 1; echo second >> /log/order"], volumeMounts: [{name: log, mountPath: /log}]}
  - name: side2
    image: busybox:1.28
    restartPolicy: Always
    command: [sh, -c, 'me=$0; trap "sleep 1; echo end $me; exit 0" TERM; echo $me >> /log/order; while :; do sleep 0.1; done', side2]
    volumeMounts: [{name: log, mountPath: /log}]
  containers:
  - name: main
    image: busybox:1.28
    command: [sh, -c, 'trap "sleep 1; echo end main; exit 0" TERM; echo main >> /log/order; while :; do sleep 0.1; done']
    volumeMounts: [{name: log, mountPath: /log}]
  volumes: [{name: log, emptyDir: {}}]
`)
	s.running(t, ns, "order")
	var got string
	eventually(t, 20*time.Second, func() error {
		if got = strings.Join(strings.Fields(s.exec(t, ns, "order", "cat", "/log/order")), " "); !strings.HasSuffix(got, "main") {
			return fmt.Errorf("order %q", got)
		}
		return nil
	})
	if want := "first side1 second side2 main"; got != want {
		t.Errorf("order %q, want %q", got, want)
	}
	if ps := s.exec(t, ns, "order", "ps"); !strings.Contains(ps, "pause") && !strings.Contains(ps, "side2") {
		t.Errorf("the pod's containers do not see each other's processes:\n%s", ps)
	}
	const states = `{range .status.initContainerStatuses[*]}{.name} {.ready} {.started} {.state.terminated.reason}{"\n"}{end}`
	if got := s.field(t, ns, "pod/order", states); strings.Join(strings.Fields(got), " ") != "first true false Completed side1 true true second true false Completed side2 true true" {
		t.Errorf("init containers:\n%s", got)
	}
	if got := s.field(t, ns, "events --field-selector=involvedObject.name=order,reason=Started", `{range .items[*]}{.involvedObject.fieldPath}{"\n"}{end}`); !strings.Contains(got, "spec.initContainers{side2}") || !strings.Contains(got, "spec.containers{main}") {
		t.Errorf("events about\n%s", got)
	}
	if got := s.sh(t, "kubectl logs -n "+ns+" order -c side1; kubectl exec -n "+ns+" order -c side1 -- echo in a sidecar"); !strings.Contains(got, "in a sidecar") {
		t.Errorf("in the sidecar: %q", got)
	}
	watch, err := s.client(t).CoreV1().Pods(ns).Watch(t.Context(), metav1.SingleObject(metav1.ObjectMeta{Name: "order"}))
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	s.sh(t, "kubectl delete pod order -n "+ns+" --timeout=30s")
	at := map[string]string{}
	for e := range watch.ResultChan() {
		pod, ok := e.Object.(*corev1.Pod)
		if !ok {
			t.Fatalf("watch: %v", e.Object)
		}
		for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			if end := c.State.Terminated; end != nil {
				at[c.Name] = end.FinishedAt.Format(time.RFC3339)
			}
		}
		if e.Type == "DELETED" {
			break
		}
	}
	if !(at["main"] != "" && at["main"] < at["side2"] && at["side2"] < at["side1"]) {
		t.Errorf("containers ended at %v", at)
	}
}

const rolePods = `
apiVersion: v1
kind: Pod
metadata: {name: failing}
spec:
  restartPolicy: Never
  initContainers:
  - {name: side, image: "busybox:1.28", restartPolicy: Always, command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]}
  - {name: bad, image: "busybox:1.28", command: [sh, -c, "exit 3"]}
  containers: [{name: main, image: "busybox:1.28", command: [sleep, "1000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: again}
spec:
  initContainers: [{name: bad, image: "busybox:1.28", command: [sh, -c, "echo tried; exit 3"]}]
  containers: [{name: main, image: "busybox:1.28", command: [sleep, "1000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: job}
spec:
  restartPolicy: Never
  initContainers:
  - {name: side, image: "busybox:1.28", restartPolicy: Always, command: [sh, -c, "trap 'exit 7' TERM; while :; do sleep 0.1; done"]}
  containers: [{name: main, image: "busybox:1.28", command: [sh, -c, "sleep 1"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: own}
spec:
  restartPolicy: Never
  containers:
  - {name: keeper, image: "busybox:1.28", command: [sleep, "1000"]}
  - name: rules
    image: busybox:1.28
    restartPolicy: Never
    restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]
    command: [sh, -c, "if [ -e /log/second ]; then exit 1; fi; if [ -e /log/first ]; then touch /log/second; else touch /log/first; fi; exit 42"]
    volumeMounts: [{name: log, mountPath: /log}]
  volumes: [{name: log, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: all}
spec:
  restartPolicy: Never
  initContainers: [{name: init, image: "busybox:1.28", command: [sh, -c, "echo init >> /log/order"], volumeMounts: [{name: log, mountPath: /log}]}]
  containers:
  - {name: other, image: "busybox:1.28", command: [sh, -c, "exec sleep 1000"], volumeMounts: [{name: log, mountPath: /log}]}
  - name: trigger
    image: busybox:1.28
    restartPolicy: Never
    restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [42]}}]
    command: [sh, -c, "if [ -e /log/again ]; then exec sleep 1000; fi; touch /log/again; sleep 1; exit 42"]
    volumeMounts: [{name: log, mountPath: /log}]
  volumes: [{name: log, emptyDir: {}}]
`

// TestPodsEndAndRestartByTheRolesOfTheirContainers has one pod a rule.
func TestPodsEndAndRestartByTheRolesOfTheirContainers(t *testing.T) {
	t.Parallel()
	s, ns := shared, shared.namespace(t)
	s.apply(t, ns, rolePods)
	becomes := func(pod, path, want string) {
		t.Helper()
		eventually(t, 60*time.Second, func() error {
			if got := s.field(t, ns, "pod/"+pod, path); got != want {
				return fmt.Errorf("pod %s: %s is %q, want %q", pod, path, got, want)
			}
			return nil
		})
	}
	const condition = `{.status.conditions[?(@.type=="%s")].status} {.status.conditions[?(@.type=="%[1]s")].reason} {.status.conditions[?(@.type=="%[1]s")].message}`
	becomes("failing", "{.status.phase}", "Failed")
	becomes("failing", fmt.Sprintf(condition, "Initialized"), "False ContainersNotInitialized containers with incomplete status: [side bad]")
	becomes("failing", "{.status.containerStatuses[0].state.waiting.reason} {.status.initContainerStatuses[0].state.terminated.exitCode}", "PodInitializing 0")

	becomes("again", "{.status.phase} {.status.initContainerStatuses[0].state.waiting.reason} {.status.initContainerStatuses[0].lastState.terminated.exitCode}", "Pending CrashLoopBackOff 3")
	if got := s.sh(t, "kubectl get pod again --no-headers -n "+ns); !strings.Contains(got, "Init:CrashLoopBackOff") {
		t.Errorf("kubectl get: %s", got)
	}
	if got := s.sh(t, "kubectl logs again -c bad -n "+ns); got != "tried\n" && got != "tried" {
		t.Errorf("log of the init container: %q", got)
	}

	becomes("job", "{.status.phase} {.status.initContainerStatuses[0].state.terminated.exitCode}", "Succeeded 7")
	becomes("own", `{.status.phase} {.status.containerStatuses[?(@.name=="rules")].restartCount} {.status.containerStatuses[?(@.name=="rules")].state.terminated.exitCode}`, "Running 2 1")

	becomes("all", `{.status.phase} {.status.containerStatuses[*].restartCount} {.status.initContainerStatuses[*].restartCount}`, "Running 1 1 1")
	becomes("all", `{.status.containerStatuses[*].lastState.terminated.reason}`, "RestartingAllContainers RestartingAllContainers")
	becomes("all", fmt.Sprintf(condition, "AllContainersRestarting"), "False  ")
	if got := s.exec(t, ns, "all", "cat", "/log/order"); strings.Join(strings.Fields(got), " ") != "init init" {
		t.Errorf("the init container ran: %q", got)
	}
}

// TestDebugLooksIntoAPod adds ephemeral containers with kubectl debug.
func TestDebugLooksIntoAPod(t *testing.T) {
	t.Parallel()
	s, ns := shared, shared.namespace(t)
	s.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: looked}
spec:
  containers: [{name: main, image: "busybox:1.28", command: [sleep, "4321"]}]
`)
	s.running(t, ns, "looked")
	s.sh(t, "kubectl debug looked -n "+ns+" --image=busybox:1.28 --target=main -c target -- sh -c 'ps; exec sleep 1000'")
	s.sh(t, "kubectl debug looked -n "+ns+" --image=busybox:1.28 -c apart -- sh -c 'ps; exit 5'")
	const state = `{range .status.ephemeralContainerStatuses[*]}{.name} {.state.terminated.exitCode} {.ready} {.state.running.startedAt}{"\n"}{end}`
	eventually(t, 30*time.Second, func() error {
		got := s.field(t, ns, "pod/looked", state)
		if !strings.HasPrefix(got, "apart 5 false \ntarget  false 2") {
			return fmt.Errorf("ephemeral containers:\n%s", got)
		}
		return nil
	})
	if got := s.sh(t, "kubectl logs looked -c target -n "+ns); !strings.Contains(got, "sleep 4321") {
		t.Errorf("the target's processes are not seen:\n%s", got)
	}
	if got := s.sh(t, "kubectl logs looked -c apart -n "+ns); strings.Contains(got, "sleep 4321") || !strings.Contains(got, "ps") {
		t.Errorf("processes of its own:\n%s", got)
	}
	if got := s.sh(t, "kubectl exec looked -c target -n "+ns+" -- cat /proc/1/cmdline | tr '\\0' ' '"); !strings.HasPrefix(got, "sleep 4321") {
		t.Errorf("process 1 is %q", got)
	}
	if got := s.field(t, ns, "pod/looked", "{.status.phase} {.status.containerStatuses[0].ready} {.metadata.generation}"); got != "Running true 3" {
		t.Errorf("the pod is %q", got)
	}
	refused := s.fails(t, "kubectl debug looked -n "+ns+" --image=busybox:1.28 -c target -- true")
	if !strings.Contains(refused, "target") {
		t.Errorf("a second one of that name: %s", refused)
	}
	refused = s.fails(t, "kubectl patch pod looked -n "+ns+` --subresource=ephemeralcontainers --type=json -p '[{"op":"remove","path":"/spec/ephemeralContainers/0"}]'`)
	contains(t, refused, `existing ephemeral containers "target" may not be removed`)
	s.sh(t, "kubectl delete pod looked -n "+ns+" --grace-period=1 --timeout=30s")
}

// endSandbox ends the process that holds a pod's sandbox, told by a program that runs in
// the pod, whose containers share one PID namespace.
const endSandbox = `
until pid=$(pgrep -x -f "sleep %s"); do sleep 0.1; done; ns=$(readlink /proc/$pid/ns/pid)
for p in /proc/[0-9]*; do
  if [ "$(readlink $p/ns/pid)" = "$ns" ] && grep -qE '^NSpid:.*[[:space:]]1$' $p/status; then kill -9 ${p#/proc/}; fi
done`

// TestInitContainersRunAgainInANewSandbox ends the sandbox of a pod that runs.
func TestInitContainersRunAgainInANewSandbox(t *testing.T) {
	t.Parallel()
	s, ns := shared, shared.namespace(t)
	s.apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: remade}
spec:
  shareProcessNamespace: true
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: init, image: "busybox:1.28", command: [sh, -c, "echo init >> /log/order"], volumeMounts: [{name: log, mountPath: /log}]}
  - {name: side, image: "busybox:1.28", restartPolicy: Always, command: [sleep, "36018"], volumeMounts: [{name: log, mountPath: /log}]}
  containers:
  - {name: main, image: "busybox:1.28", command: [sh, -c, "echo main >> /log/order; exec sleep 36019"], volumeMounts: [{name: log, mountPath: /log}]}
  volumes: [{name: log, emptyDir: {}}]
`)
	s.running(t, ns, "remade")
	s.sh(t, fmt.Sprintf(endSandbox, "36019"))
	eventually(t, 60*time.Second, func() error {
		const counts = "{.status.containerStatuses[0].restartCount} {.status.initContainerStatuses[*].restartCount} {.status.containerStatuses[0].ready}"
		if got := s.field(t, ns, "pod/remade", counts); got != "1 1 1 true" {
			return fmt.Errorf("restarts %q", got)
		}
		return nil
	})
	if got := s.exec(t, ns, "remade", "cat", "/log/order"); strings.Join(strings.Fields(got), " ") != "init main init main" {
		t.Errorf("order %q", got)
	}
	contains(t, s.field(t, ns, "events --field-selector=reason=SandboxChanged", "{.items[*].message}"), "Pod sandbox changed, it will be killed and re-created.")
}

// TestRestartRunsNoInitContainerTwice ends laterna again and again, by TERM and by KILL,
// while a pod comes up.
func TestRestartRunsNoInitContainerTwice(t *testing.T) {
	t.Parallel()
	s := started(t)
	s.apply(t, "default", `
apiVersion: v1
kind: Pod
metadata: {name: slow}
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: first, image: "busybox:1.28", command: [sh, -c, "echo first >> /log/order; sleep 3; echo end >> /log/order"], volumeMounts: [{name: log, mountPath: /log}]}
  - {name: side, image: "busybox:1.28", restartPolicy: Always, command: [sh, -c, "echo side >> /log/order; exec sleep 36020"], volumeMounts: [{name: log, mountPath: /log}]}
  - {name: second, image: "busybox:1.28", command: [sh, -c, "echo second >> /log/order; sleep 3; echo end >> /log/order"], volumeMounts: [{name: log, mountPath: /log}]}
  containers:
  - {name: main, image: "busybox:1.28", command: [sh, -c, "echo main >> /log/order; exec sleep 36021"], volumeMounts: [{name: log, mountPath: /log}]}
  volumes: [{name: log, emptyDir: {}}]
`)
	for i := range 6 {
		time.Sleep(time.Duration(i) * 300 * time.Millisecond)
		if i%2 == 0 {
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
		} else {
			s.Kill()
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	s.running(t, "default", "slow")
	if got := s.exec(t, "default", "slow", "cat", "/log/order"); strings.Join(strings.Fields(got), " ") != "first end side second end main" {
		t.Errorf("order %q", got)
	}
	const counts = "{.status.containerStatuses[0].restartCount} {.status.initContainerStatuses[*].restartCount}"
	if got := s.field(t, "default", "pod/slow", counts); got != "0 0 0 0" {
		t.Errorf("restarts %q", got)
	}
	s.sh(t, "kubectl delete pod slow --now")
}

// TestExampleOfThePodsPage runs the pod of docs/pods.md.
func TestExampleOfThePodsPage(t *testing.T) {
	t.Parallel()
	s, ns := shared, shared.namespace(t)
	page, err := os.ReadFile("../../docs/pods.md")
	if err != nil {
		t.Fatal(err)
	}
	_, manifest, found := strings.Cut(string(page), "```yaml\n")
	manifest, _, ended := strings.Cut(manifest, "```")
	if !found || !ended {
		t.Fatal("the page has no manifest")
	}
	s.apply(t, ns, manifest)
	s.running(t, ns, "roles")
	if got := s.sh(t, "kubectl logs roles -c main -n "+ns); got != "prepared\n" {
		t.Errorf("the main container found %q", got)
	}
	s.sh(t, "kubectl delete pod roles -n "+ns+" --now")
}
