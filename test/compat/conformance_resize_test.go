package compat

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// resizable is a container of a test, with what it has: the request and the limit of CPU,
// and those of memory. "" is none.
type resizable struct {
	cpu, cpuLimit, memory, memoryLimit string
	// restarts names the resources whose change restarts it.
	restarts string
}

// guaranteed asks for all that it may have.
func guaranteed(cpu, memory string) resizable { return resizable{cpu, cpu, memory, memory, ""} }

func (r resizable) requirements() (out corev1.ResourceRequirements) {
	add := func(list *corev1.ResourceList, name corev1.ResourceName, q string) {
		if q == "" {
			return
		}
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[name] = resource.MustParse(q)
	}
	add(&out.Requests, corev1.ResourceCPU, r.cpu)
	add(&out.Requests, corev1.ResourceMemory, r.memory)
	add(&out.Limits, corev1.ResourceCPU, r.cpuLimit)
	add(&out.Limits, corev1.ResourceMemory, r.memoryLimit)
	return out
}

// resizablePod has containers c1, c2 and so on.
func resizablePod(name string, containers ...resizable) *corev1.Pod {
	pod := shell(name, "")
	pod.Spec.RestartPolicy, pod.Spec.Containers = corev1.RestartPolicyOnFailure, nil
	for i, r := range containers {
		c := corev1.Container{
			Name: fmt.Sprintf("c%d", i+1), Image: "busybox:1.28", Resources: r.requirements(),
			Command: []string{"sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait"},
		}
		for _, name := range strings.Fields(r.restarts) {
			c.ResizePolicy = append(c.ResizePolicy, corev1.ContainerResizePolicy{ResourceName: corev1.ResourceName(name), RestartPolicy: corev1.RestartContainer})
		}
		pod.Spec.Containers = append(pod.Spec.Containers, c)
	}
	return pod
}

// resizePatch is the strategic merge patch that gives the containers other resources.
func resizePatch(containers ...resizable) []byte {
	var list []map[string]any
	for i, r := range containers {
		list = append(list, map[string]any{"name": fmt.Sprintf("c%d", i+1), "resources": r.requirements()})
	}
	raw, _ := json.Marshal(map[string]any{"spec": map[string]any{"containers": list}})
	return raw
}

// resize asks for other resources.
func (s *stage) resize(t testing.TB, pod *corev1.Pod, containers ...resizable) (*corev1.Pod, error) {
	t.Helper()
	return s.client.CoreV1().Pods(s.ns).Patch(t.Context(), pod.Name, types.StrategicMergePatchType, resizePatch(containers...), metav1.PatchOptions{}, "resize")
}

// resized waits until the status says that the containers have these resources, and looks
// whether they do. It returns the pod.
func (s *stage) resized(t testing.TB, pod *corev1.Pod, containers ...resizable) *corev1.Pod {
	t.Helper()
	pod = s.await(t, pod, "to be resized", func(p *corev1.Pod) bool {
		if len(p.Status.ContainerStatuses) != len(containers) || p.Status.ObservedGeneration != p.Generation {
			return false
		}
		for i, c := range p.Status.ContainerStatuses {
			if c.State.Running == nil || c.Resources == nil || !apiequality.Semantic.DeepEqual(*c.Resources, containers[i].requirements()) {
				return false
			}
		}
		ready := false
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodResizePending || c.Type == corev1.PodResizeInProgress {
				return false
			}
			ready = ready || c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}
		return ready
	})
	for i, r := range containers {
		c := pod.Spec.Containers[i]
		if !apiequality.Semantic.DeepEqual(c.Resources, r.requirements()) || !apiequality.Semantic.DeepEqual(pod.Status.ContainerStatuses[i].AllocatedResources, r.requirements().Requests) {
			t.Errorf("pod %s, container %s: spec %v, allocated %v; want %v", pod.Name, c.Name, c.Resources, pod.Status.ContainerStatuses[i].AllocatedResources, r)
		}
		if got, want := s.limitsInside(t, pod, c.Name), r.limits(); got != want {
			t.Errorf("pod %s, container %s: its control group has %s, want %s", pod.Name, c.Name, got, want)
		}
	}
	return pod
}

// limits is what the control group of a container says: shares, quota and memory.
func (r resizable) limits() string {
	amounts := r.requirements()
	request := amounts.Requests.Cpu()
	if _, ok := amounts.Requests[corev1.ResourceCPU]; !ok {
		request = amounts.Limits.Cpu()
	}
	quota, memory := "none", "none"
	if r.cpuLimit != "" {
		quota = strconv.FormatInt(max(amounts.Limits.Cpu().MilliValue()*100, 1000), 10)
	}
	if r.memoryLimit != "" {
		memory = strconv.FormatInt(amounts.Limits.Memory().Value(), 10)
	}
	return fmt.Sprintf("%d %s %s", max(request.MilliValue()*1024/1000, 2), quota, memory)
}

// limitsInside reads them as the container sees them. With version 2 of control groups
// there is a weight in place of shares, which is turned back.
func (s *stage) limitsInside(t testing.TB, pod *corev1.Pod, container string) string {
	t.Helper()
	const line = `cd /sys/fs/cgroup; if [ -e cpu.max ]; then cat cpu.weight cpu.max memory.max; else cat cpu/cpu.shares cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes; fi`
	out := strings.Fields(s.sh(t, fmt.Sprintf("kubectl exec -n %s %s -c %s -- sh -c '%s'", s.ns, pod.Name, container, line)))
	if len(out) == 4 { // cpu.max is quota and period
		weight, _ := strconv.ParseInt(out[0], 10, 64)
		out = []string{strconv.FormatInt(2+(weight-1)*262142/9999, 10), out[1], out[3]}
	}
	if len(out) != 3 {
		t.Fatalf("limits of container %s: %q", container, out)
	}
	if bytes, _ := strconv.ParseInt(out[2], 10, 64); out[2] == "max" || bytes > 1<<60 {
		out[2] = "none"
	}
	if out[1] == "max" || out[1] == "-1" {
		out[1] = "none"
	}
	return strings.Join(out, " ")
}

// restartsOf are the restarts of each container.
func restartsOf(pod *corev1.Pod) (all []int32) {
	for _, c := range pod.Status.ContainerStatuses {
		all = append(all, c.RestartCount)
	}
	return all
}

// thereAndBack resizes a pod, and takes that back.
func (s *stage) thereAndBack(t *testing.T, restarts []int32, from, to []resizable) {
	t.Helper()
	pod := s.resized(t, s.create(t, resizablePod(s.name("resized"), from...)), from...)
	for round, want := range [][]resizable{to, from} {
		asked, err := s.resize(t, pod, want...)
		if err != nil {
			t.Fatal(err)
		}
		if asked.Generation != int64(round)+2 {
			t.Errorf("generation %d, want %d", asked.Generation, round+2)
		}
		pod = s.resized(t, asked, want...)
		for i, got := range restartsOf(pod) {
			if got != restarts[i]*int32(round+1) {
				t.Errorf("container %d was restarted %d times, want %d", i+1, got, restarts[i]*int32(round+1))
			}
		}
	}
}

// TestConformanceResize has upstream's test/e2e/common/node/pod_resize.go: what it checks
// with one pod each is checked here with one container each.
func TestConformanceResize(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-node] Pod InPlace Resize Container burstable pods - extended 6 containers - various operations performed (including adding limits and requests)", func(t *testing.T) {
		s.thereAndBackAdding(t,
			[]resizable{{cpu: "20m"}, {memory: "35Mi"}, {cpu: "20m", memory: "35Mi"}, {cpu: "20m"}, {memory: "35Mi"}, {}},
			[]resizable{{cpu: "25m", cpuLimit: "35m"}, {memory: "30Mi", memoryLimit: "50Mi"}, {cpu: "20m", memory: "30Mi"}, {cpu: "15m", memory: "35Mi"},
				{cpu: "20m", memory: "40Mi"}, {}})
	})
	s.conforms(t, "[sig-node] Pod InPlace Resize Container burstable pods - extended resize with equivalents", func(t *testing.T) {
		s.thereAndBack(t, []int32{0}, []resizable{{cpu: "2m", cpuLimit: "10m"}}, []resizable{{cpu: "1m", cpuLimit: "5m"}})
	})
	three := []resizable{guaranteed("20m", "35Mi"), guaranteed("22m", "37Mi"), guaranteed("24m", "39Mi")}
	s.conforms(t, "[sig-node] Pod InPlace Resize Container guaranteed pods with multiple containers 3 containers - increase cpu & mem on c1, c2, decrease cpu & mem on c3 - net increase", func(t *testing.T) {
		s.thereAndBack(t, []int32{0, 0, 0}, three, []resizable{guaranteed("25m", "40Mi"), guaranteed("27m", "42Mi"), guaranteed("19m", "34Mi")})
	})
	s.conforms(t, "[sig-node] Pod InPlace Resize Container guaranteed pods with multiple containers 3 containers - increase cpu & mem on c1, decrease cpu & mem on c2, c3 - net decrease", func(t *testing.T) {
		s.thereAndBack(t, []int32{0, 0, 0}, three, []resizable{guaranteed("25m", "40Mi"), guaranteed("17m", "32Mi"), guaranteed("19m", "34Mi")})
	})
	s.conforms(t, "[sig-node] Pod InPlace Resize Container guaranteed pods with multiple containers 3 containers - increase: CPU (c1,c3), memory (c2, c3) ; decrease: CPU (c2)", func(t *testing.T) {
		s.thereAndBack(t, []int32{0, 0, 0}, three, []resizable{guaranteed("25m", "35Mi"), guaranteed("17m", "42Mi"), guaranteed("29m", "44Mi")})
	})
	s.conforms(t, "[sig-node] Pod InPlace Resize Container resize pod via the replace endpoint", s.resizedByReplacing)
	s.conforms(t, "burstable pods: who is restarted", func(t *testing.T) {
		from := resizable{"20m", "30m", "35Mi", "45Mi", ""}
		with := func(r resizable, restarts string) resizable { r.restarts = restarts; return r }
		s.thereAndBack(t, []int32{0, 1, 1, 1, 0, 1, 0},
			[]resizable{from, with(from, "cpu"), with(from, "memory"), with(from, "memory"), with(from, "cpu"), with(from, "cpu memory"), from},
			[]resizable{{"25m", "35m", "30Mi", "40Mi", ""}, {"25m", "30m", "35Mi", "45Mi", "cpu"}, {"20m", "30m", "35Mi", "50Mi", "memory"},
				{"20m", "30m", "40Mi", "45Mi", "memory"}, {"20m", "30m", "30Mi", "50Mi", "cpu"}, {"15m", "35m", "40Mi", "40Mi", "cpu memory"}, {"15m", "35m", "40Mi", "45Mi", ""}})
	})
	s.conforms(t, "decrease memory limit below usage", s.memoryInUseIsKept)
	s.conforms(t, "init containers and sidecars", s.initContainersAreResized)
	s.conforms(t, "apply invalid resize patch requests", s.invalidResizes)
}

// thereAndBackAdding resizes a pod whose containers get requests and limits that they did
// not have, which cannot be taken away.
func (s *stage) thereAndBackAdding(t *testing.T, from, to []resizable) {
	t.Helper()
	pod := s.resized(t, s.create(t, resizablePod(s.name("resized"), from...)), from...)
	asked, err := s.resize(t, pod, to...)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range restartsOf(s.resized(t, asked, to...)) {
		if n != 0 {
			t.Errorf("container %d was restarted", i+1)
		}
	}
	if _, err := s.client.CoreV1().Pods(s.ns).Patch(t.Context(), pod.Name, types.StrategicMergePatchType,
		[]byte(`{"spec":{"containers":[{"name":"c1","resources":{"limits":{"cpu":null}}}]}}`), metav1.PatchOptions{}, "resize"); err == nil ||
		!strings.Contains(err.Error(), "resource limits cannot be removed") {
		t.Errorf("taking a limit away: %v", err)
	}
}

func (s *stage) resizedByReplacing(t *testing.T) {
	from, to := resizable{cpu: "20m", memory: "35Mi"}, resizable{cpu: "25m", memory: "40Mi"}
	pod := s.resized(t, s.create(t, resizablePod(s.name("replaced"), from)), from)
	if pod.Generation != 1 {
		t.Errorf("generation %d", pod.Generation)
	}
	pods := s.client.CoreV1().Pods(s.ns)
	pod.Spec.Containers[0].Resources = to.requirements()
	if _, err := pods.UpdateResize(t.Context(), pod.Name, pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	now, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if now.Generation != 2 || !apiequality.Semantic.DeepEqual(now.Spec.Containers[0].Resources, to.requirements()) {
		t.Errorf("generation %d, resources %v", now.Generation, now.Spec.Containers[0].Resources)
	}
	now = s.resized(t, now, to)
	var part corev1.Pod
	if err := s.client.CoreV1().RESTClient().Get().Namespace(s.ns).Resource("pods").Name(pod.Name).SubResource("resize").Do(t.Context()).Into(&part); err != nil {
		t.Fatal(err)
	}
	if part.ResourceVersion == now.ResourceVersion && !apiequality.Semantic.DeepEqual(part.Spec, now.Spec) || part.UID != now.UID {
		t.Errorf("the subresource shows %v, the pod is %v", part, now)
	}
}

// memoryInUseIsKept lowers a limit a little, then to less than what is used, then takes
// that back.
func (s *stage) memoryInUseIsKept(t *testing.T) {
	of := func(memory string) resizable { return resizable{memory: memory, memoryLimit: memory} }
	pod := s.resized(t, s.create(t, resizablePod(s.name("full"), of("35Mi"))), of("35Mi"))
	pod, err := s.resize(t, pod, of("30Mi"))
	if err != nil {
		t.Fatal(err)
	}
	pod = s.resized(t, pod, of("30Mi"))
	if pod, err = s.resize(t, pod, of("10Ki")); err != nil {
		t.Fatal(err)
	}
	s.await(t, pod, "to fail to shrink", func(p *corev1.Pod) bool {
		for _, c := range p.Status.Conditions {
			switch c.Type {
			case corev1.PodResizePending:
				t.Errorf("the resize is pending: %+v", c)
			case corev1.PodResizeInProgress:
				if c.Reason == corev1.PodReasonError && c.ObservedGeneration == 3 {
					contains(t, c.Message, "cannot decrease memory limits: ", `attempting to set container "c1" memory limit (10240) below current usage (`)
					return true
				}
			}
		}
		return false
	})
	if got, want := s.limitsInside(t, pod, "c1"), of("30Mi").limits(); got != want {
		t.Errorf("the control group has %s, want %s as before", got, want)
	}
	if pod, err = s.resize(t, pod, of("35Mi")); err != nil {
		t.Fatal(err)
	}
	s.resized(t, pod, of("35Mi"))
}

// initContainersAreResized while they run, as sidecars are.
func (s *stage) initContainersAreResized(t *testing.T) {
	pod := resizablePod(s.name("inits"), guaranteed("20m", "35Mi"))
	always := corev1.ContainerRestartPolicyAlways
	inits := resizablePod("", guaranteed("20m", "35Mi"), guaranteed("20m", "35Mi")).Spec.Containers
	inits[0].Name, inits[0].RestartPolicy, inits[1].Name = "sidecar", &always, "init"
	pod.Spec.InitContainers = inits
	pod = s.await(t, s.create(t, pod), "to run its init container", func(p *corev1.Pod) bool {
		return len(p.Status.InitContainerStatuses) == 2 && p.Status.InitContainerStatuses[1].State.Running != nil
	})
	want := guaranteed("25m", "40Mi")
	raw, _ := json.Marshal(want.requirements())
	asked, err := s.client.CoreV1().Pods(s.ns).Patch(t.Context(), pod.Name, types.StrategicMergePatchType,
		fmt.Appendf(nil, `{"spec":{"initContainers":[{"name":"sidecar","resources":%s},{"name":"init","resources":%s}]}}`, raw, raw), metav1.PatchOptions{}, "resize")
	if err != nil {
		t.Fatal(err)
	}
	s.await(t, asked, "to have its init containers resized", func(p *corev1.Pod) bool {
		for _, c := range p.Status.InitContainerStatuses {
			if !apiequality.Semantic.DeepEqual(*c.Resources, want.requirements()) || c.RestartCount != 0 {
				return false
			}
		}
		return true
	})
	for _, c := range []string{"sidecar", "init"} {
		if got := s.limitsInside(t, pod, c); got != want.limits() {
			t.Errorf("container %s: its control group has %s, want %s", c, got, want.limits())
		}
	}
}

// invalidResizes are asked of pods that wait behind a gate: nothing of them runs.
func (s *stage) invalidResizes(t *testing.T) {
	const (
		class   = "Pod QOS Class may not change as a result of resizing"
		limits  = "resource limits cannot be removed"
		request = "resource requests cannot be removed"
	)
	for _, c := range []struct {
		name  string
		from  []resizable
		patch string
		want  string
	}{
		{"BestEffort pod - request memory", []resizable{{}}, `[{"name":"c1","resources":{"requests":{"memory":"35Mi"}}}]`, class},
		{"BestEffort pod - request cpu", []resizable{{}}, `[{"name":"c1","resources":{"requests":{"cpu":"20m"}}}]`, class},
		{"Guaranteed pod - remove limits", []resizable{guaranteed("20m", "35Mi")}, `[{"name":"c1","resources":{"limits":null}}]`, limits},
		{"Burstable pod - remove limits", []resizable{{"20m", "35m", "35Mi", "50Mi", ""}},
			`[{"name":"c1","resources":{"limits":null,"requests":{"cpu":"25m","memory":"40Mi"}}}]`, limits},
		{"Burstable pod - remove memory requests", []resizable{{memory: "35Mi"}}, `[{"name":"c1","resources":{"requests":null}}]`, request},
		{"Burstable pod - remove cpu requests", []resizable{{cpu: "20m"}}, `[{"name":"c1","resources":{"requests":{"cpu":null}}}]`, request},
		{"Burstable pod - set requests == limits", []resizable{{"20m", "35m", "35Mi", "50Mi", ""}},
			`[{"name":"c1","resources":{"requests":{"cpu":"35m","memory":"50Mi"}}}]`, class},
		{"Burstable pod - resize ephemeral storage", []resizable{{cpu: "20m"}}, `[{"name":"c1","resources":{"requests":{"ephemeral-storage":"3"}}}]`, "only cpu and memory resources are mutable"},
		{"Burstable pod - add a container", []resizable{{cpu: "20m"}}, `[{"name":"c9","image":"i","resources":{"requests":{"cpu":"1"}}}]`, "spec.containers: Forbidden: containers may not be added or removed on resize"},
	} {
		pod := resizablePod(s.name("gated"), c.from...)
		pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
		made := s.create(t, pod)
		_, err := s.client.CoreV1().Pods(s.ns).Patch(t.Context(), made.Name, types.StrategicMergePatchType,
			[]byte(`{"spec":{"containers":`+c.patch+`}}`), metav1.PatchOptions{}, "resize")
		if err == nil || !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	made := s.create(t, func() *corev1.Pod {
		pod := resizablePod(s.name("gated"), resizable{cpu: "20m"}, resizable{cpu: "20m"})
		pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
		return pod
	}())
	made.Spec.Containers[0], made.Spec.Containers[1] = made.Spec.Containers[1], made.Spec.Containers[0]
	const reordered = "[spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize, spec.containers[1].name: Forbidden: containers may not be renamed or reordered on resize]"
	if _, err := s.client.CoreV1().Pods(s.ns).UpdateResize(t.Context(), made.Name, made, metav1.UpdateOptions{}); err == nil || !strings.Contains(err.Error(), reordered) {
		t.Errorf("reordered containers: %v, want %s", err, reordered)
	}
}
