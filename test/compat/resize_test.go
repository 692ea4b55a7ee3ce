package compat

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// resizePods are one that takes most of the node, one that tells its limit of CPU in its
// environment and in a file, and one that ends slowly, and well, when it is restarted.
const resizePods = `
apiVersion: v1
kind: Pod
metadata: {name: large}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "busybox:1.28", command: [sh, -c, "trap 'exit 0' TERM; sleep 3600 & wait"], resources: {requests: {cpu: %dm}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: small}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "trap 'exit 0' TERM; echo limit $LIMIT; sleep 3600 & wait"]
    env: [{name: LIMIT, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}]
    volumeMounts: [{name: info, mountPath: /info}]
    resources: {requests: {cpu: 100m}, limits: {cpu: 100m}}
  volumes:
  - name: info
    downwardAPI: {items: [{path: cpu, resourceFieldRef: {containerName: c, resource: limits.cpu, divisor: 1m}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: slow}
spec:
  restartPolicy: OnFailure
  containers:
  - name: c
    image: busybox:1.28
    command: [sh, -c, "trap 'sleep 2; exit 0' TERM; sleep 3600 & wait"]
    resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]
    resources: {requests: {memory: 20Mi}, limits: {memory: 20Mi}}
`

// TestAResizeWaitsForRoomOverARestart has a pod ask for more than there is room for, the
// system killed meanwhile, and the room made then.
func TestAResizeWaitsForRoomOverARestart(t *testing.T) {
	t.Parallel()
	s := started(t)
	var cores int
	if _, err := fmt.Sscan(s.field(t, "default", "node/"+strings.TrimSpace(s.sh(t, "kubectl get nodes -o jsonpath='{.items[0].metadata.name}'")), "{.status.allocatable.cpu}"), &cores); err != nil {
		t.Fatal(err)
	}
	room := cores * 1000
	s.apply(t, "default", fmt.Sprintf(resizePods, room-500))
	s.running(t, "default", "large", "small", "slow")
	const quota = "exec small -- sh -c 'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d\" \" -f1 /sys/fs/cgroup/cpu.max'"
	see := func(what, want string) {
		t.Helper()
		if got := s.sh(t, "kubectl "+what); strings.TrimSpace(got) != want {
			t.Errorf("kubectl %s: %s, want %s", what, got, want)
		}
	}
	const resize = `kubectl patch pod small --subresource resize -p '{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"%dm"},"limits":{"cpu":"%[1]dm"}}}]}}'`
	contains(t, s.fails(t, fmt.Sprintf(resize, room+1)), "Forbidden",
		fmt.Sprintf(`pods "small" is forbidden: node didn't have enough allocatable resources: cpu, requested: %d, allocatable: %d`, room+1, room))

	s.sh(t, fmt.Sprintf(resize, 800))
	s.sh(t, "kubectl wait pod/small --for=condition=PodResizePending --timeout=20s")
	pending := fmt.Sprintf("Deferred 2 Node didn't have enough resource: cpu, requested: 800, used: %d, capacity: %d", room-500, room)
	const condition = `get pod small -o jsonpath='{range .status.conditions[?(@.type=="PodResizePending")]}{.reason} {.observedGeneration} {.message}{end}'`
	see(condition, pending)
	see(`get pod small -o jsonpath='{.metadata.generation} {.status.observedGeneration} {.status.containerStatuses[0].allocatedResources.cpu}'`, "2 2 100m")
	see(quota, "10000")

	// What it asks for is kept from pods that come later.
	s.sh(t, `kubectl run late --image=busybox:1.28 --overrides='{"spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"c","image":"busybox:1.28","command":["sleep","3600"],"resources":{"requests":{"cpu":"300m"}}}]}}'`)
	s.sh(t, "kubectl wait pod/late --for=condition=PodScheduled=False --timeout=20s")
	contains(t, s.field(t, "default", "pod/late", `{.status.conditions[?(@.type=="PodScheduled")].message}`), "Insufficient cpu")

	// One that is being restarted for its new resources is started all the same.
	s.sh(t, `kubectl patch pod slow --subresource resize -p '{"spec":{"containers":[{"name":"c","resources":{"requests":{"memory":"30Mi"},"limits":{"memory":"30Mi"}}}]}}'`)
	eventually(t, 10*time.Second, func() error {
		if got := s.sh(t, "kubectl get events --field-selector reason=Killing,involvedObject.name=slow -o jsonpath='{.items[*].message}'"); got != "Container c resize requires restart" {
			return fmt.Errorf("events: %q", got)
		}
		return nil
	})
	s.Kill()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.running(t, "default", "small")
	see(condition, pending)
	see(quota, "10000")
	see("get events --field-selector reason=ResizeDeferred -o name | wc -l", "1")

	s.sh(t, "kubectl wait pod/slow --for='jsonpath={.status.containerStatuses[0].resources.limits.memory}=30Mi' --timeout=30s")
	see(`get pod slow -o jsonpath='{.status.phase} {.status.containerStatuses[0].restartCount}'`, "Running 1")

	s.sh(t, "kubectl delete pod late large slow --now --wait=false")
	eventually(t, 20*time.Second, func() error {
		if got := s.sh(t, "kubectl "+quota); strings.TrimSpace(got) != "80000" {
			return fmt.Errorf("the quota is %s", got)
		}
		return nil
	})
	s.sh(t, "kubectl wait pod/small --for='jsonpath={.status.containerStatuses[0].resources.limits.cpu}=800m' --timeout=20s")
	see(condition, "")
	see(`get pod small -o jsonpath='{.status.containerStatuses[0].restartCount}'`, "0")
	see("logs small", "limit 100")
	eventually(t, 10*time.Second, func() error {
		if got := s.sh(t, "kubectl exec small -- cat /info/cpu"); strings.TrimSpace(got) != "800" {
			return fmt.Errorf("the file says %s", got)
		}
		return nil
	})
	events := s.sh(t, "kubectl get events --field-selector involvedObject.name=small -o jsonpath='{range .items[*]}{.type} {.reason} {.message}{\"\\n\"}{end}'")
	contains(t, events, `Warning ResizeDeferred Pod resize OutOfcpu: {"containers":[{"name":"c","resources":{"limits":{"cpu":"800m"},"requests":{"cpu":"800m"}}}],"generation":2,"error":"Node didn't have enough resource: cpu,`,
		`Normal ResizeStarted Pod resize started: {"containers":[{"name":"c","resources":{"limits":{"cpu":"800m"},"requests":{"cpu":"800m"}}}],"generation":2}`,
		`Normal ResizeCompleted Pod resize completed: {"containers":[{"name":"c","resources":{"limits":{"cpu":"800m"},"requests":{"cpu":"800m"}}}],"generation":2}`)

	// A container that is started again sees what the pod is allocated now.
	// The command may be ended with its container.
	_ = s.command(t, "kubectl", "exec", "small", "--", "kill", "1").Run()
	eventually(t, 30*time.Second, func() error {
		if got := s.sh(t, "kubectl logs small"); strings.TrimSpace(got) != "limit 800" {
			return fmt.Errorf("the container prints %q", got)
		}
		return nil
	})
	see(quota, "80000")
}

// TestWhoMayEditMayResize, by the default roles.
func TestWhoMayEditMayResize(t *testing.T) {
	t.Parallel()
	s := shared
	ns := s.namespace(t)
	for role, want := range map[string]string{"admin": "yes", "edit": "yes", "view": "no"} {
		s.sh(t, fmt.Sprintf("kubectl create rolebinding -n %s %s --clusterrole=%[2]s --user=%[2]s-of-%[1]s", ns, role))
		out, _ := s.command(t, "kubectl", "auth", "can-i", "patch", "pods", "--subresource=resize", "-n", ns, "--as="+role+"-of-"+ns).CombinedOutput()
		if strings.TrimSpace(string(out)) != want {
			t.Errorf("%s may resize: %s, want %s", role, out, want)
		}
	}
}

// TestTheExampleOfResizes runs docs/resize.md.
func TestTheExampleOfResizes(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	page, err := os.ReadFile("../../docs/resize.md")
	if err != nil {
		t.Fatal(err)
	}
	_, manifest, _ := strings.Cut(string(page), "```yaml\n")
	manifest, _, _ = strings.Cut(manifest, "```")
	_, commands, _ := strings.Cut(string(page), "```bash\n")
	commands, _, _ = strings.Cut(commands, "```")
	shared.apply(t, ns, manifest)
	shared.running(t, ns, "web")
	shared.sh(t, "set -e; kubectl() { command kubectl -n "+ns+" \"$@\"; }\n"+commands)
	shared.sh(t, `EDITOR="sed -i s/300m/250m/" kubectl edit pod web --subresource resize -n `+ns)
	shared.sh(t, "kubectl wait pod web -n "+ns+" --for='jsonpath={.status.containerStatuses[0].resources.limits.cpu}=250m' --timeout=20s")
	if got := shared.field(t, ns, "pod/web", "{.status.containerStatuses[0].restartCount} {.metadata.generation}"); got != "0 3" {
		t.Errorf("restarts and generation: %s, want 0 3", got)
	}
}
