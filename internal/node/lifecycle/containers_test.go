package lifecycle

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestRoles(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	spec := &corev1.PodSpec{
		InitContainers:      []corev1.Container{{Name: "init"}, {Name: "sidecar", RestartPolicy: &always}, {Name: "init2"}},
		Containers:          []corev1.Container{{Name: "a", RestartPolicy: &always}, {Name: "b"}},
		EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "i"}, TargetContainerName: "b"}},
	}
	all := Containers(spec)
	want := []Role{Init, Sidecar, Init, Main, Main, Ephemeral}
	if len(all) != len(want) {
		t.Fatalf("%d containers", len(all))
	}
	for i, c := range all {
		if c.Role != want[i] {
			t.Errorf("%s has role %d, want %d", c.Spec.Name, c.Role, want[i])
		}
	}
	if all[5].Spec.Name != "debug" || all[5].Spec.Image != "i" || all[3].Spec != &spec.Containers[0] {
		t.Errorf("containers %+v", all)
	}
	if some := Only(spec, Sidecar, Ephemeral); len(some) != 2 || some[0].Spec.Name != "sidecar" || some[1].Spec.Name != "debug" {
		t.Errorf("sidecars and ephemeral containers: %+v", some)
	}
	if Find(spec, "b") != &spec.Containers[1] || Find(spec, "init") != &spec.InitContainers[0] || Find(spec, "debug") == nil || Find(spec, "none") != nil {
		t.Error("a container was not found by its name")
	}
}

func TestTargetOfAnEphemeralContainer(t *testing.T) {
	yes := true
	spec := corev1.PodSpec{
		Containers: []corev1.Container{{Name: "a"}},
		EphemeralContainers: []corev1.EphemeralContainer{
			{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "d"}, TargetContainerName: "a"},
			{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "free"}},
		},
	}
	shared, host := spec, spec
	shared.ShareProcessNamespace, host.HostPID = &yes, true
	for name, want := range map[string]string{"d": "a", "free": "", "a": ""} {
		if got := Target(&spec, name); got != want {
			t.Errorf("%s shares the processes of %q", name, got)
		}
	}
	if Target(&shared, "d") != "" || Target(&host, "d") != "" {
		t.Error("a pod that shares all its processes has a target")
	}
}

func TestReported(t *testing.T) {
	s := &corev1.PodStatus{
		InitContainerStatuses:      []corev1.ContainerStatus{{Name: "i"}},
		ContainerStatuses:          []corev1.ContainerStatus{{Name: "m"}},
		EphemeralContainerStatuses: []corev1.ContainerStatus{{Name: "e"}},
	}
	for _, name := range []string{"i", "m", "e"} {
		if got := Reported(s, name); got == nil || got.Name != name {
			t.Errorf("status of %s: %+v", name, got)
		}
	}
	if Reported(s, "x") != nil {
		t.Error("a container without a status has one")
	}
}

func TestWith(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "i", Image: "i"}},
		Containers:     []corev1.Container{{Name: "a", Image: "i"}, {Name: "b", Image: "i"}},
	}}
	got := With(pod, &corev1.Container{Name: "b", Image: "j"})
	if got.Spec.Containers[0].Image != "i" || got.Spec.Containers[1].Image != "j" || pod.Spec.Containers[1].Image != "i" {
		t.Errorf("with another spec %+v, before %+v", got.Spec.Containers, pod.Spec.Containers)
	}
	got = With(pod, &corev1.Container{Name: "i", Image: "j"})
	if got.Spec.InitContainers[0].Image != "j" || pod.Spec.InitContainers[0].Image != "i" {
		t.Errorf("with another spec %+v, before %+v", got.Spec.InitContainers, pod.Spec.InitContainers)
	}
}

func TestSidecarsEndAfterTheOthers(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	spec := &corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "i"}, {Name: "s1", RestartPolicy: &always}, {Name: "j"}, {Name: "s2", RestartPolicy: &always}},
		Containers:     []corev1.Container{{Name: "a"}, {Name: "b"}},
		EphemeralContainers: []corev1.EphemeralContainer{
			{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e"}},
		},
	}
	for name, want := range map[string][]string{
		"a": nil, "b": nil, "i": nil, "j": nil, "e": nil, "unknown": nil,
		"s2": {"i", "j", "a", "b"}, "s1": {"i", "j", "s2", "a", "b"},
	} {
		if got := Before(spec, name); !slices.Equal(got, want) {
			t.Errorf("before %s end %v, want %v", name, got, want)
		}
	}
}
