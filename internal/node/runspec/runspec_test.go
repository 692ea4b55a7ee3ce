package runspec

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/node/env"
	"laterna.dev/laterna/internal/node/lifecycle"
	"laterna.dev/laterna/internal/runtime/cri"
)

func ptr[T any](v T) *T { return &v }

func testPod(containers ...corev1.Container) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", UID: "u", Labels: map[string]string{"app": "x", LabelPodUID: "forged"}, Annotations: map[string]string{"a": "b"}},
		Spec:       corev1.PodSpec{Containers: containers},
	}
}

func TestSandbox(t *testing.T) {
	p := testPod(corev1.Container{Name: "c", Ports: []corev1.ContainerPort{
		{ContainerPort: 80}, {ContainerPort: 81, HostPort: 8081}, {ContainerPort: 53, HostPort: 53, Protocol: corev1.ProtocolUDP, HostIP: "127.0.0.1"},
	}})
	p.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsUser: ptr(int64(5)), FSGroup: ptr(int64(7)), SupplementalGroups: []int64{8},
		SupplementalGroupsPolicy: ptr(corev1.SupplementalGroupsPolicyStrict), Sysctls: []corev1.Sysctl{{Name: "net.x", Value: "1"}},
	}
	got := Sandbox(p, SandboxOptions{Instance: "i", Attempt: 3, LogDir: "/logs", CgroupParent: "/g"})
	if !reflect.DeepEqual(got.Labels, map[string]string{"app": "x", LabelPodName: "p", LabelPodNamespace: "ns", LabelPodUID: "u", LabelInstance: "i"}) {
		t.Errorf("labels %v", got.Labels)
	}
	want := []cri.Port{{Protocol: "TCP", ContainerPort: 81, HostPort: 8081}, {Protocol: "UDP", ContainerPort: 53, HostPort: 53, HostIP: "127.0.0.1"}}
	if !reflect.DeepEqual(got.Ports, want) || got.Hostname != "p" || got.Attempt != 3 {
		t.Errorf("sandbox %+v", got)
	}
	if s := got.Security; *s.RunAsUser != 5 || !reflect.DeepEqual(s.SupplementalGroups, []int64{7, 8}) || !s.StrictGroups || got.Sysctls["net.x"] != "1" {
		t.Errorf("security %+v", s)
	}
	p.Spec.HostNetwork = true
	if got := Sandbox(p, SandboxOptions{}); len(got.Ports) > 0 || got.Hostname != "" || !got.Namespaces.HostNetwork {
		t.Errorf("on the host's network: %+v", got)
	}
}

func TestLogDirFitsInAFileName(t *testing.T) {
	uid, namespace := "8e42152d-53bc-443b-ae5a-5ac5be47d99d", strings.Repeat("n", 63)
	if got := LogDir("/logs", "ns", "p", uid); got != "/logs/ns_p_"+uid {
		t.Errorf("LogDir is %s", got)
	}
	for name := range strings.SplitSeq(strings.Repeat("a", 154)+" "+strings.Repeat("a", 155)+" "+strings.Repeat("a", 253), " ") {
		got := strings.TrimPrefix(LogDir("/logs", namespace, name, uid), "/logs/")
		if len(got) != 255 || !strings.HasPrefix(got, namespace+"_aaa") || !strings.HasSuffix(got, "a_"+uid) {
			t.Errorf("the directory for a name of %d bytes has %d: %s", len(name), len(got), got)
		}
	}
}

func TestHostname(t *testing.T) {
	long := strings.Repeat("a", 62) + ".bcd"
	for name, want := range map[string]string{"web": "web", long: strings.Repeat("a", 62)} {
		if got := Hostname(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}); got != want {
			t.Errorf("Hostname(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestContainer(t *testing.T) {
	c := corev1.Container{
		Name: "c", Image: "busybox", Command: []string{"echo"}, Args: []string{"$(A)"}, WorkingDir: "/w", TTY: true, Stdin: true,
		TerminationMessagePath: "/dev/t", TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}
	p := testPod(c)
	p.Spec.TerminationGracePeriodSeconds = ptr(int64(9))
	got, err := Container(p, &c, ContainerOptions{Instance: "i", Attempt: 2, Image: cri.Image{ID: "sha256:1"}, Env: []env.Var{{Name: "A", Value: "1"}}, MemoryCapacity: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	if got.LogPath != "c/2.log" || got.ImageRef != "sha256:1" || got.UserImage != "busybox" || got.Args[0] != "1" || got.Env[0].Name != "A" || !got.TTY || !got.Stdin {
		t.Errorf("container %+v", got)
	}
	if got.Labels[LabelContainerName] != "c" || got.Labels[LabelInstance] != "i" || got.Annotations[AnnotationRestartCount] != "2" || got.Annotations[lifecycle.AnnotationGracePeriod] != "9" || got.Annotations[lifecycle.AnnotationHash] != lifecycle.Hash(&c) {
		t.Errorf("labels %v, annotations %v", got.Labels, got.Annotations)
	}
	changed := c
	changed.Image = "busybox:2"
	if lifecycle.Hash(&changed) == lifecycle.Hash(&c) {
		t.Error("the hash does not change with the image")
	}
}

func TestSecurity(t *testing.T) {
	ps := &corev1.PodSecurityContext{RunAsUser: ptr(int64(1)), RunAsGroup: ptr(int64(2)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
	tests := map[string]struct {
		pod   *corev1.PodSecurityContext
		c     *corev1.SecurityContext
		image cri.Image
		check func(cri.ContainerSecurity) bool
		err   string
	}{
		"nothing is root, unconfined": {check: func(s cri.ContainerSecurity) bool {
			return *s.RunAsUser == 0 && s.Seccomp.Kind == cri.ProfileUnconfined && len(s.MaskedPaths) > 0 && !s.NoNewPrivileges && s.AppArmor.Kind == cri.ProfileNone
		}},
		"image's number": {image: cri.Image{UID: ptr(int64(99))}, check: func(s cri.ContainerSecurity) bool { return *s.RunAsUser == 99 }},
		"image's name":   {image: cri.Image{Username: "www"}, check: func(s cri.ContainerSecurity) bool { return s.RunAsUser == nil && s.RunAsUsername == "www" }},
		"pod's": {pod: ps, check: func(s cri.ContainerSecurity) bool {
			return *s.RunAsUser == 1 && *s.RunAsGroup == 2 && s.Seccomp.Kind == cri.ProfileRuntimeDefault
		}},
		"container over pod": {pod: ps, c: &corev1.SecurityContext{RunAsUser: ptr(int64(3)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: ptr("x.json")}},
			check: func(s cri.ContainerSecurity) bool {
				return *s.RunAsUser == 3 && *s.RunAsGroup == 2 && s.Seccomp.Localhost == "x.json"
			}},
		"flags": {c: &corev1.SecurityContext{Privileged: ptr(true), ReadOnlyRootFilesystem: ptr(true), AllowPrivilegeEscalation: ptr(false), ProcMount: ptr(corev1.UnmaskedProcMount),
			Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}, Drop: []corev1.Capability{"ALL"}}},
			check: func(s cri.ContainerSecurity) bool {
				return s.Privileged && s.ReadOnlyRootFS && s.NoNewPrivileges && len(s.MaskedPaths) == 0 && s.AddCapabilities[0] == "NET_ADMIN" && s.DropCapabilities[0] == "ALL"
			}},
		"non-root, named user":   {c: &corev1.SecurityContext{RunAsNonRoot: ptr(true)}, image: cri.Image{Username: "www"}, err: `container has runAsNonRoot and image has non-numeric user (www), cannot verify user is non-root (pod: "p_ns(u)", container: c)`},
		"non-root, image root":   {c: &corev1.SecurityContext{RunAsNonRoot: ptr(true)}, err: `container has runAsNonRoot and image will run as root (pod: "p_ns(u)", container: c)`},
		"non-root, asks for 0":   {c: &corev1.SecurityContext{RunAsNonRoot: ptr(true), RunAsUser: ptr(int64(0))}, err: `container's runAsUser breaks non-root policy (pod: "p_ns(u)", container: c)`},
		"non-root, asks for 5":   {c: &corev1.SecurityContext{RunAsNonRoot: ptr(true), RunAsUser: ptr(int64(5))}, check: func(s cri.ContainerSecurity) bool { return *s.RunAsUser == 5 }},
		"non-root, image's 1000": {pod: &corev1.PodSecurityContext{RunAsNonRoot: ptr(true)}, image: cri.Image{UID: ptr(int64(1000))}, check: func(s cri.ContainerSecurity) bool { return *s.RunAsUser == 1000 }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := testPod(corev1.Container{Name: "c", SecurityContext: tt.c})
			p.Spec.SecurityContext = tt.pod
			got, err := containerSecurity(p, &p.Spec.Containers[0], tt.image)
			switch {
			case tt.err != "":
				if err == nil || err.Error() != tt.err {
					t.Errorf("error %v, want %q", err, tt.err)
				}
			case err != nil:
				t.Error(err)
			case !tt.check(got):
				t.Errorf("security %+v", got)
			}
		})
	}
}

func TestResources(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		out := corev1.ResourceList{}
		if cpu != "" {
			out[corev1.ResourceCPU] = resource.MustParse(cpu)
		}
		if memory != "" {
			out[corev1.ResourceMemory] = resource.MustParse(memory)
		}
		return out
	}
	for name, tt := range map[string]struct {
		requests, limits corev1.ResourceList
		want             cri.Resources
	}{
		"nothing":              {nil, nil, cri.Resources{CPUShares: 2, OOMScoreAdj: 1000}},
		"limits":               {nil, list("1", "512Mi"), cri.Resources{CPUShares: 1024, CPUPeriod: 100000, CPUQuota: 100000, MemoryBytes: 512 << 20, OOMScoreAdj: -997}},
		"request and limit":    {list("250m", "256Mi"), list("500m", "512Mi"), cri.Resources{CPUShares: 256, CPUPeriod: 100000, CPUQuota: 50000, MemoryBytes: 512 << 20, OOMScoreAdj: 750}},
		"tiny":                 {list("1m", ""), list("1m", ""), cri.Resources{CPUShares: 2, CPUPeriod: 100000, CPUQuota: 1000, OOMScoreAdj: 999}},
		"more than the memory": {list("", "9Gi"), nil, cri.Resources{CPUShares: 2, OOMScoreAdj: 3}},
	} {
		p := testPod(corev1.Container{Name: "c", Resources: corev1.ResourceRequirements{Requests: tt.requests, Limits: tt.limits}})
		if got := Resources(p, &p.Spec.Containers[0], 1<<30); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestPodLevelResources(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	p := testPod(
		corev1.Container{Name: "own", Resources: corev1.ResourceRequirements{Requests: list("100m", "128Mi"), Limits: list("200m", "256Mi")}},
		corev1.Container{Name: "bare"},
	)
	p.Spec.Resources = &corev1.ResourceRequirements{Requests: list("500m", "512Mi"), Limits: list("1", "768Mi")}
	for i, want := range []cri.Resources{
		{CPUShares: 102, CPUPeriod: 100000, CPUQuota: 20000, MemoryBytes: 256 << 20, OOMScoreAdj: 688},
		{CPUShares: 2, CPUPeriod: 100000, CPUQuota: 100000, MemoryBytes: 768 << 20, OOMScoreAdj: 813},
	} {
		if got := Resources(p, &p.Spec.Containers[i], 1<<30); got != want {
			t.Errorf("container %d: %+v, want %+v", i, got, want)
		}
	}
	if got, want := PodLimits(p), (cgroups.Limits{CPUShares: 512, CPUPeriod: 100000, CPUQuota: 100000, MemoryBytes: 768 << 20}); got != want {
		t.Errorf("pod: %+v, want %+v", got, want)
	}
}

func TestPodLimits(t *testing.T) {
	c := func(request, limit, memory string) corev1.Container {
		out := corev1.Container{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}}
		set := func(list corev1.ResourceList, name corev1.ResourceName, value string) {
			if value != "" {
				list[name] = resource.MustParse(value)
			}
		}
		set(out.Resources.Requests, corev1.ResourceCPU, request)
		set(out.Resources.Limits, corev1.ResourceCPU, limit)
		set(out.Resources.Limits, corev1.ResourceMemory, memory)
		return out
	}
	for name, tt := range map[string]struct {
		containers []corev1.Container
		want       cgroups.Limits
	}{
		"nothing":          {[]corev1.Container{c("", "", "")}, cgroups.Limits{CPUShares: 2, CPUPeriod: 100000}},
		"all have limits":  {[]corev1.Container{c("250m", "500m", "20Mi"), c("", "1", "30Mi")}, cgroups.Limits{CPUShares: 1280, CPUPeriod: 100000, CPUQuota: 150000, MemoryBytes: 50 << 20}},
		"one has no limit": {[]corev1.Container{c("250m", "500m", "20Mi"), c("250m", "", "")}, cgroups.Limits{CPUShares: 512, CPUPeriod: 100000}},
	} {
		if got := PodLimits(testPod(tt.containers...)); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
	overhead := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("10Mi")}
	for _, tt := range []struct {
		container corev1.Container
		want      cgroups.Limits
	}{
		{c("250m", "500m", "20Mi"), cgroups.Limits{CPUShares: 512, CPUPeriod: 100000, CPUQuota: 75000, MemoryBytes: 30 << 20}},
		{c("250m", "", ""), cgroups.Limits{CPUShares: 512, CPUPeriod: 100000}},
	} {
		p := testPod(tt.container)
		p.Spec.Overhead = overhead
		if got := PodLimits(p); got != tt.want {
			t.Errorf("with the overhead of a class: %+v, want %+v", got, tt.want)
		}
	}
}

func TestHosts(t *testing.T) {
	p := testPod()
	p.Spec.Hostname, p.Spec.Subdomain = "me", "sub"
	p.Spec.HostAliases = []corev1.HostAlias{{IP: "1.2.3.4", Hostnames: []string{"a", "b"}}}
	want := "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n" +
		"10.0.0.1\tme.sub.ns.svc.cluster.local\tme\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"
	if got := string(Hosts(p, []string{"10.0.0.1"}, "cluster.local", nil)); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	p.Spec.HostNetwork, p.Spec.HostAliases = true, nil
	if got := string(Hosts(p, []string{"10.0.0.1"}, "cluster.local", []byte("host\n"))); got != "# Kubernetes-managed hosts file (host network).\nhost\n" {
		t.Errorf("got %q", got)
	}
}

// TestPodsTakeAFairShareOfTheRuntimesAnswers has pods with all the metadata that the API
// takes: the list of a full node must stay far below what the runtime may send.
func TestPodsTakeAFairShareOfTheRuntimesAnswers(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", UID: "u", Labels: map[string]string{}, Annotations: map[string]string{
		AnnotationSeen: "2026-01-01T00:00:00Z", AnnotationSource: "api", "large": strings.Repeat("x", 250<<10), "small": "kept",
	}}}
	for i := range 10_000 {
		p.Labels[fmt.Sprintf("%060d", i)], p.Annotations[fmt.Sprintf("a%d", i)] = strings.Repeat("v", 60), ""
	}
	c := corev1.Container{Name: "c", TerminationMessagePath: "/" + strings.Repeat("x", 1<<20)}
	sandbox := Sandbox(p, SandboxOptions{Instance: "i"})
	container := containerAnnotations(p, &c, 0)
	for what, m := range map[string]map[string]string{"labels": sandbox.Labels, "annotations": sandbox.Annotations, "of the container": container} {
		size := 0
		for k, v := range m {
			size += len(k) + len(v)
		}
		if size > 18<<10 {
			t.Errorf("%s: %d bytes", what, size)
		}
	}
	if sandbox.Labels[LabelPodUID] != "u" || sandbox.Labels[LabelInstance] != "i" || sandbox.Annotations[AnnotationSeen] == "" || sandbox.Annotations[AnnotationSource] != "api" {
		t.Errorf("what the agent needs is left out")
	}
	if len(sandbox.Labels) < 100 || sandbox.Annotations["a1"] != "" || sandbox.Annotations["large"] != "" {
		t.Errorf("%d labels, %d annotations", len(sandbox.Labels), len(sandbox.Annotations))
	}
	p.Labels, p.Annotations = map[string]string{"app": "x"}, map[string]string{"large": strings.Repeat("x", 15<<10), "small": "kept"}
	sandbox = Sandbox(p, SandboxOptions{Instance: "i"})
	if sandbox.Labels["app"] != "x" || len(sandbox.Annotations) != 2 {
		t.Errorf("left out of little: %v, %d annotations", sandbox.Labels, len(sandbox.Annotations))
	}
}

// TestLimitsOfAPodCountInitContainers has one that needs more than the main container,
// beside a sidecar.
func TestLimitsOfAPodCountInitContainers(t *testing.T) {
	of := func(name, cpu, memory string) corev1.Container {
		list := corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory)}
		return corev1.Container{Name: name, Resources: corev1.ResourceRequirements{Requests: list, Limits: list}}
	}
	always := corev1.ContainerRestartPolicyAlways
	sidecar := of("s", "100m", "10Mi")
	sidecar.RestartPolicy = &always
	for name, tt := range map[string]struct {
		init, main           []corev1.Container
		shares, quota, bytes int64
	}{
		"the main ones need most":      {[]corev1.Container{sidecar, of("i", "200m", "20Mi")}, []corev1.Container{of("a", "1", "50Mi"), of("b", "1", "50Mi")}, 2150, 210_000, 110 << 20},
		"an init container needs most": {[]corev1.Container{sidecar, of("i", "2", "200Mi")}, []corev1.Container{of("a", "1", "50Mi")}, 2150, 210_000, 210 << 20},
		"one before the sidecar":       {[]corev1.Container{of("i", "2", "200Mi"), sidecar}, []corev1.Container{of("a", "1", "50Mi")}, 2048, 200_000, 200 << 20},
		"one without a limit":          {[]corev1.Container{{Name: "i"}}, []corev1.Container{of("a", "1", "50Mi")}, 1024, 0, 0},
	} {
		got := PodLimits(&corev1.Pod{Spec: corev1.PodSpec{InitContainers: tt.init, Containers: tt.main}})
		if got.CPUShares != tt.shares || got.CPUQuota != tt.quota || got.MemoryBytes != tt.bytes {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
