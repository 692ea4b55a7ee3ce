package pod

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"laterna.dev/laterna/internal/registry/core/podspec/resources"
)

func TestAResizeChangesCPUAndMemoryAlone(t *testing.T) {
	const (
		burstable = "containers: [{name: a, image: i, resources: {requests: {cpu: 10m, memory: 10Mi}, limits: {cpu: 20m, memory: 20Mi}}}]"
		twoOf     = "containers: [{name: a, image: i, resources: {requests: {cpu: 10m}}}, {name: b, image: i, resources: {requests: {cpu: 10m}}}]"
		inits     = `
initContainers:
- {name: x, image: i, resources: {requests: {cpu: 1m}}}
- {name: y, image: i, restartPolicy: Always, resources: {requests: {cpu: 1m}}}
containers: [{name: a, image: i, resources: {requests: {cpu: 10m}}}]`
		whole = "resources: {requests: {cpu: 50m, memory: 50Mi}, limits: {cpu: 60m}}\n" + oneContainer
	)
	quantity := resource.MustParse
	set := func(list *corev1.ResourceList, name corev1.ResourceName, q string) {
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[name] = quantity(q)
	}
	for _, c := range []struct {
		name, spec string
		old        func(*corev1.Pod) // what the API has beside the spec
		change     func(*corev1.Pod)
		want       []string // none where it is allowed
	}{
		{name: "up and down", spec: burstable, change: func(p *corev1.Pod) {
			r := &p.Spec.Containers[0].Resources
			set(&r.Requests, "cpu", "15m")
			set(&r.Limits, "memory", "15Mi")
		}},
		{name: "a limit is added", spec: twoOf, change: func(p *corev1.Pod) { set(&p.Spec.Containers[1].Resources.Limits, "cpu", "1") }},
		{name: "init containers and sidecars", spec: inits, change: func(p *corev1.Pod) {
			set(&p.Spec.InitContainers[0].Resources.Requests, "cpu", "2m")
			set(&p.Spec.InitContainers[1].Resources.Requests, "memory", "2Mi")
		}},
		{name: "the whole pod", spec: whole, change: func(p *corev1.Pod) { set(&p.Spec.Resources.Limits, "cpu", "70m") }},
		{name: "nothing runs yet", spec: burstable, old: func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}}
		}, change: func(p *corev1.Pod) { set(&p.Spec.Containers[0].Resources.Requests, "cpu", "15m") }},
		{name: "from best effort", spec: oneContainer, change: func(p *corev1.Pod) { set(&p.Spec.Containers[0].Resources.Requests, "cpu", "1m") },
			want: []string{`spec: Invalid value: "BestEffort": Pod QOS Class may not change as a result of resizing`}},
		{name: "to guaranteed", spec: burstable, change: func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = p.Spec.Containers[0].Resources.Limits },
			want: []string{`spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing`}},
		{name: "a limit is removed", spec: burstable, change: func(p *corev1.Pod) { delete(p.Spec.Containers[0].Resources.Limits, "cpu") },
			want: []string{"spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed"}},
		{name: "a request is removed", spec: twoOf, change: func(p *corev1.Pod) { p.Spec.Containers[1].Resources.Requests = nil },
			want: []string{"spec.containers[1].resources.requests: Forbidden: resource requests cannot be removed"}},
		{name: "another resource", spec: burstable, change: func(p *corev1.Pod) { set(&p.Spec.Containers[0].Resources.Requests, "ephemeral-storage", "1") },
			want: []string{"spec: Forbidden: only cpu and memory resources are mutable"}},
		{name: "the policy", spec: burstable, change: func(p *corev1.Pod) {
			p.Spec.Containers[0].ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: "cpu", RestartPolicy: "RestartContainer"}}
		}, want: []string{"spec: Forbidden: only cpu and memory resources are mutable"}},
		{name: "another resource of a sidecar", spec: inits, change: func(p *corev1.Pod) {
			set(&p.Spec.InitContainers[1].Resources.Requests, "ephemeral-storage", "1")
		}, want: []string{"spec: Forbidden: only cpu and memory resources for sidecar containers are mutable"}},
		{name: "another resource of the pod", spec: whole, change: func(p *corev1.Pod) {
			set(&p.Spec.Resources.Requests, "hugepages-2Mi", "2Mi")
			set(&p.Spec.Resources.Limits, "hugepages-2Mi", "2Mi")
		}, want: []string{"spec: Forbidden: only cpu and memory resources are mutable at pod-level"}},
		{name: "pod-level resources are removed", spec: whole, change: func(p *corev1.Pod) { p.Spec.Resources = nil },
			want: []string{`spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing`,
				"spec.resources: Forbidden: pod-level resources cannot be removed"}},
		{name: "a pod-level limit is removed", spec: whole, change: func(p *corev1.Pod) { p.Spec.Resources.Limits = nil },
			want: []string{"spec.resources.limits: Forbidden: pod-level resource limits cannot be removed"}},
		{name: "more than the limit", spec: burstable, change: func(p *corev1.Pod) { set(&p.Spec.Containers[0].Resources.Requests, "cpu", "30m") },
			want: []string{`spec.containers[0].resources.requests: Invalid value: "30m": must be less than or equal to cpu limit of 20m`}},
		{name: "reordered", spec: twoOf, change: func(p *corev1.Pod) {
			p.Spec.Containers[0], p.Spec.Containers[1] = p.Spec.Containers[1], p.Spec.Containers[0]
		}, want: []string{"spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize",
			"spec.containers[1].name: Forbidden: containers may not be renamed or reordered on resize"}},
		{name: "an init container renamed", spec: inits, change: func(p *corev1.Pod) { p.Spec.InitContainers[0].Name = "z" },
			want: []string{"spec.initContainers[0].name: Forbidden: initContainers may not be renamed or reordered on resize"}},
		{name: "one less", spec: twoOf, change: func(p *corev1.Pod) { p.Spec.Containers = p.Spec.Containers[:1] },
			want: []string{"spec.containers: Forbidden: containers may not be added or removed on resize"}},
		{name: "static", spec: burstable, old: func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} },
			change: func(*corev1.Pod) {}, want: []string{"[]: Forbidden: static pods cannot be resized"}},
		{name: "windows", spec: burstable, old: func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} },
			change: func(*corev1.Pod) {}, want: []string{"[]: Forbidden: windows pods cannot be resized"}},
		{name: "a node that resizes nothing", spec: burstable, old: func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		}, change: func(*corev1.Pod) {}, want: []string{"spec: Forbidden: Pod running on node without support for resize"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			old := withSpec(t, c.spec)
			old.Status.QOSClass = resources.QOSClass(&old.Spec)
			if c.old != nil {
				c.old(old)
			}
			p := old.DeepCopy()
			c.change(p)
			prepareResize(p, old)
			compare(t, validateResize(p, old), c.want...)
		})
	}
}

// TestOfAResizeNothingElseIsTaken has a request that changes all else too.
func TestOfAResizeNothingElseIsTaken(t *testing.T) {
	old := withSpec(t, oneContainer)
	old.Generation, old.Labels = 3, map[string]string{"a": "b"}
	p := old.DeepCopy()
	p.Labels, p.Annotations = map[string]string{"c": "d"}, map[string]string{"e": "f"}
	p.Spec.Containers[0].Image, p.Spec.HostPID = "other", true
	p.Status.Phase = corev1.PodFailed
	same := p.DeepCopy()
	p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("1")}
	if prepareResize(p, old); p.Labels["a"] != "b" || len(p.Labels) != 1 || len(p.Annotations) != len(old.Annotations) ||
		!strings.HasPrefix(p.Spec.Containers[0].Image, "i") || p.Spec.HostPID || p.Status.Phase != old.Status.Phase ||
		p.Spec.Containers[0].Resources.Requests.Cpu().Value() != 1 || p.Generation != 4 {
		t.Errorf("the pod after the request: %+v", p)
	}
	if prepareResize(same, old); same.Generation != 3 {
		t.Errorf("generation %d after a request without a resize, want 3", same.Generation)
	}
}
