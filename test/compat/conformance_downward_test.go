package compat

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// podField shows a field of the pod as a file.
func podField(path, field string) corev1.DownwardAPIVolumeFile {
	return corev1.DownwardAPIVolumeFile{Path: path, FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: field}}
}

// resourceFile shows a resource of container "main" as a file.
func resourceFile(path, field string) corev1.DownwardAPIVolumeFile {
	return corev1.DownwardAPIVolumeFile{Path: path, ResourceFieldRef: &corev1.ResourceFieldSelector{ContainerName: "main", Resource: field}}
}

// podInfo is the volume of upstream's tests.
func podInfo(projected bool, defaultMode, nameMode *int32) corev1.VolumeSource {
	items := []corev1.DownwardAPIVolumeFile{
		podField("podname", "metadata.name"), podField("labels", "metadata.labels"), podField("annotations", "metadata.annotations"),
		resourceFile("cpu_limit", "limits.cpu"), resourceFile("cpu_request", "requests.cpu"),
		resourceFile("memory_limit", "limits.memory"), resourceFile("memory_request", "requests.memory"),
	}
	items[0].Mode = nameMode
	if projected {
		source := corev1.VolumeProjection{DownwardAPI: &corev1.DownwardAPIProjection{Items: items}}
		return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{source}, DefaultMode: defaultMode}}
	}
	return corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: items, DefaultMode: defaultMode}}
}

// limited are the resources of upstream's tests.
func limited() corev1.ResourceRequirements {
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	return corev1.ResourceRequirements{Requests: list("250m", "32Mi"), Limits: list("1250m", "64Mi")}
}

// allocatable returns what the only node can give, in whole processors and bytes.
func (s *stage) allocatable(t testing.TB) (cpu, memory string) {
	t.Helper()
	nodes, err := s.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 1 {
		t.Fatalf("%d nodes, %v", len(nodes.Items), err)
	}
	can := nodes.Items[0].Status.Allocatable
	return fmt.Sprint(can.Cpu().Value()), fmt.Sprint(can.Memory().Value())
}

func TestConformanceDownwardVolumes(t *testing.T) {
	s := newStage(t)
	cpu, memory := s.allocatable(t)
	mode := new(int32(0o400))
	const ownName = "$(name)"
	for _, tc := range []struct {
		behaviour             string
		projected             bool
		defaultMode, nameMode *int32
		limited               bool
		file, want            string
	}{
		{behaviour: "[sig-storage] Downward API volume should provide podname only", file: "podname", want: ownName},
		{behaviour: "[sig-storage] Downward API volume should set DefaultMode on files", file: "podname", defaultMode: mode, want: ownName},
		{behaviour: "[sig-storage] Downward API volume should set mode on item file", file: "podname", nameMode: mode, want: ownName},
		{behaviour: "[sig-storage] Downward API volume should provide container's cpu limit", limited: true, file: "cpu_limit", want: "2"},
		{behaviour: "[sig-storage] Downward API volume should provide container's memory limit", limited: true, file: "memory_limit", want: "67108864"},
		{behaviour: "[sig-storage] Downward API volume should provide container's cpu request", limited: true, file: "cpu_request", want: "1"},
		{behaviour: "[sig-storage] Downward API volume should provide container's memory request", limited: true, file: "memory_request", want: "33554432"},
		{behaviour: "[sig-storage] Downward API volume should provide node allocatable (cpu) as default cpu limit if the limit is not set", file: "cpu_limit", want: cpu},
		{behaviour: "[sig-storage] Downward API volume should provide node allocatable (memory) as default memory limit if the limit is not set", file: "memory_limit", want: memory},

		{behaviour: "[sig-storage] Projected downwardAPI should provide podname only", projected: true, file: "podname", want: ownName},
		{behaviour: "[sig-storage] Projected downwardAPI should set DefaultMode on files", projected: true, file: "podname", defaultMode: mode, want: ownName},
		{behaviour: "[sig-storage] Projected downwardAPI should set mode on item file", projected: true, file: "podname", nameMode: mode, want: ownName},
		{behaviour: "[sig-storage] Projected downwardAPI should provide container's cpu limit", projected: true, limited: true, file: "cpu_limit", want: "2"},
		{behaviour: "[sig-storage] Projected downwardAPI should provide container's memory limit", projected: true, limited: true, file: "memory_limit", want: "67108864"},
		{behaviour: "[sig-storage] Projected downwardAPI should provide container's cpu request", projected: true, limited: true, file: "cpu_request", want: "1"},
		{behaviour: "[sig-storage] Projected downwardAPI should provide container's memory request", projected: true, limited: true, file: "memory_request", want: "33554432"},
		{behaviour: "[sig-storage] Projected downwardAPI should provide node allocatable (cpu) as default cpu limit if the limit is not set", projected: true, file: "cpu_limit", want: cpu},
		{behaviour: "[sig-storage] Projected downwardAPI should provide node allocatable (memory) as default memory limit if the limit is not set", projected: true, file: "memory_limit", want: memory},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := shell(s.name("pod"), look("/etc/podinfo/"+tc.file))
			mount(pod, "/etc/podinfo", podInfo(tc.projected, tc.defaultMode, tc.nameMode))
			if tc.limited {
				pod.Spec.Containers[0].Resources = limited()
			}
			want := "-rw-r--r-- 0:0\n"
			if tc.defaultMode != nil || tc.nameMode != nil {
				want = "-r-------- 0:0\n"
			}
			want += strings.Replace(tc.want, ownName, pod.Name, 1)
			if got := s.output(t, pod); got != want {
				t.Errorf("the pod prints\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestConformanceDownwardUpdates(t *testing.T) {
	s := newStage(t)
	for _, tc := range []struct {
		behaviour           string
		projected           bool
		file, before, after string
		patch               string
	}{
		{behaviour: "[sig-storage] Downward API volume should update labels on modification",
			file: "labels", before: `key1="value1"`, after: `key3="value3"`, patch: `{"metadata":{"labels":{"key3":"value3"}}}`},
		{behaviour: "[sig-storage] Downward API volume should update annotations on modification",
			file: "annotations", before: `builder="bar"`, after: `builder="foo"`, patch: `{"metadata":{"annotations":{"builder":"foo"}}}`},
		{behaviour: "[sig-storage] Projected downwardAPI should update labels on modification", projected: true,
			file: "labels", before: `key1="value1"`, after: `key3="value3"`, patch: `{"metadata":{"labels":{"key3":"value3"}}}`},
		{behaviour: "[sig-storage] Projected downwardAPI should update annotations on modification", projected: true,
			file: "annotations", before: `builder="bar"`, after: `builder="foo"`, patch: `{"metadata":{"annotations":{"builder":"foo"}}}`},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := shell(s.name("pod"), forever)
			pod.Labels = map[string]string{"key1": "value1", "key2": "value2"}
			pod.Annotations = map[string]string{"builder": "bar"}
			mount(pod, "/etc/podinfo", podInfo(tc.projected, nil, nil))
			pod = s.runs(t, pod)
			s.until(t, pod, "grep -qxF '"+tc.before+"' /etc/podinfo/"+tc.file)
			if _, err := s.client.CoreV1().Pods(s.ns).Patch(t.Context(), pod.Name, types.StrategicMergePatchType, []byte(tc.patch), metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
			s.until(t, pod, "grep -qxF '"+tc.after+"' /etc/podinfo/"+tc.file)
		})
	}
}

// fieldEnv is a variable with a field of the pod.
func fieldEnv(name, field string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: field}}}
}

// resourceEnv is a variable with a resource of its own container.
func resourceEnv(name, field string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: field}}}
}

func TestConformanceDownwardEnvironment(t *testing.T) {
	s := newStage(t)
	cpu, memory := s.allocatable(t)
	resources := []corev1.EnvVar{resourceEnv("CPU_LIMIT", "limits.cpu"), resourceEnv("MEMORY_LIMIT", "limits.memory")}
	for _, tc := range []struct {
		behaviour string
		env       []corev1.EnvVar
		unlimited bool
		want      func(*corev1.Pod) string
	}{
		{behaviour: "[sig-node] Downward API should provide pod name, namespace and IP address as env vars",
			env:  []corev1.EnvVar{fieldEnv("POD_NAME", "metadata.name"), fieldEnv("POD_NAMESPACE", "metadata.namespace"), fieldEnv("POD_IP", "status.podIP")},
			want: func(p *corev1.Pod) string { return p.Name + " " + p.Namespace + " " + p.Status.PodIP }},
		{behaviour: "[sig-node] Downward API should provide host IP as an env var",
			env:  []corev1.EnvVar{fieldEnv("HOST_IP", "status.hostIP")},
			want: func(p *corev1.Pod) string { return p.Status.HostIP }},
		{behaviour: "[sig-node] Downward API should provide hostIPs as an env var",
			env:  []corev1.EnvVar{fieldEnv("HOST_IP", "status.hostIP"), fieldEnv("HOST_IPS", "status.hostIPs")},
			want: func(p *corev1.Pod) string { return p.Status.HostIP + " " + hostIPs(p) }},
		{behaviour: "[sig-node] Downward API should provide pod UID as env vars",
			env:  []corev1.EnvVar{fieldEnv("POD_UID", "metadata.uid")},
			want: func(p *corev1.Pod) string { return string(p.UID) }},
		{behaviour: "[sig-node] Downward API should provide container's limits.cpu/memory and requests.cpu/memory as env vars",
			env:  append(resources[:2:2], resourceEnv("CPU_REQUEST", "requests.cpu"), resourceEnv("MEMORY_REQUEST", "requests.memory")),
			want: func(*corev1.Pod) string { return "2 67108864 1 33554432" }},
		{behaviour: "[sig-node] Downward API should provide default limits.cpu/memory from node allocatable",
			env: resources, unlimited: true, want: func(*corev1.Pod) string { return cpu + " " + memory }},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			var variables []string
			for _, v := range tc.env {
				variables = append(variables, `"$`+v.Name+`"`)
			}
			pod := shell(s.name("pod"), "echo "+strings.Join(variables, " "))
			pod.Spec.Containers[0].Env = tc.env
			if !tc.unlimited {
				pod.Spec.Containers[0].Resources = limited()
			}
			got := s.output(t, pod)
			pod, err := s.client.CoreV1().Pods(s.ns).Get(t.Context(), pod.Name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			want := tc.want(pod) + "\n"
			if got != want {
				t.Errorf("the pod prints %q, want %q", got, want)
			}
			if strings.Contains(" "+want, "  ") || want == "\n" {
				t.Errorf("a value is empty: %q", want)
			}
		})
	}
}

// hostIPs joins a pod's host addresses as the Downward API does.
func hostIPs(p *corev1.Pod) string {
	var all []string
	for _, ip := range p.Status.HostIPs {
		all = append(all, ip.IP)
	}
	return strings.Join(all, ",")
}
