package node

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestSecurityContextAndLimits(t *testing.T) {
	w := newWorld(t)
	user, group, fsGroup, no, yes := int64(1000), int64(2000), int64(3000), false, true
	w.create("p", func(p *corev1.Pod) {
		p.Spec.Hostname, p.Spec.Subdomain = "me", "sub"
		p.Spec.HostAliases = []corev1.HostAlias{{IP: "192.0.2.9", Hostnames: []string{"alias"}}}
		p.Spec.SecurityContext = &corev1.PodSecurityContext{
			RunAsUser: &user, FSGroup: &fsGroup, SupplementalGroups: []int64{4000},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		}
		p.Spec.ShareProcessNamespace = &yes
		c := &p.Spec.Containers[0]
		c.WorkingDir = "/tmp"
		c.SecurityContext = &corev1.SecurityContext{
			RunAsGroup: &group, ReadOnlyRootFilesystem: &yes, AllowPrivilegeEscalation: &no, RunAsNonRoot: &yes,
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
		c.Resources = corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m")},
			Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
		}
	}, `sleep 1000`)
	w.waitFor("p", "runs", running)
	sh := func(script string) string {
		out, errs, _ := w.exec("p", "c0", "", false, "sh", "-c", script)
		return strings.TrimSpace(out + errs)
	}
	for script, want := range map[string]string{
		"busybox id":                   "uid=1000 gid=2000 groups=2000,3000,4000",
		"pwd":                          "/tmp",
		"busybox hostname":             "me",
		"busybox tail -n 1 /etc/hosts": "192.0.2.9\talias",
		"busybox grep sub /etc/hosts | busybox cut -f2":                       "me.sub.default.svc.cluster.local",
		"busybox touch /x 2>&1 | busybox grep -c Read-only":                   "1",
		"busybox awk '/^(NoNewPrivs|Seccomp):/ {print $2}' /proc/self/status": "1\n2",
		"busybox awk '/^CapBnd:/ {print $2}' /proc/self/status":               "0000000000000000",
		"busybox ps | busybox grep -v grep | busybox grep -c pause":           "1",
	} {
		if got := sh(script); got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
	limits := sh(`cat() { busybox cat "$@" 2>/dev/null; }; cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max; cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us || cat /sys/fs/cgroup/cpu.max`)
	if limits != "67108864\n50000" && limits != "67108864\n50000 100000" {
		t.Errorf("limits %q", limits)
	}
}

func TestRunAsNonRootIsRefused(t *testing.T) {
	w := newWorld(t)
	yes := true
	pod := w.create("p", func(p *corev1.Pod) {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes}
	}, `sleep 1000`)
	got := w.waitFor("p", "waits", waits("CreateContainerConfigError"))
	want := `container has runAsNonRoot and image will run as root (pod: "p_default(` + string(pod.UID) + `)", container: c0)`
	if m := first(got).State.Waiting.Message; m != want {
		t.Errorf("message %q, want %q", m, want)
	}
}

func TestOutOfMemory(t *testing.T) {
	w := newWorld(t)
	w.create("p", func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("16Mi")}
	}, `exec busybox tail /dev/zero`)
	got := w.waitFor("p", "has failed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	if s := first(got).State.Terminated; s == nil || s.Reason != "OOMKilled" || s.ExitCode != 137 {
		t.Errorf("state %+v", first(got).State)
	}
}

func TestHostNetwork(t *testing.T) {
	w := newWorld(t)
	w.create("p", func(p *corev1.Pod) { p.Spec.HostNetwork = true }, `sleep 1000`)
	got := w.waitFor("p", "runs", running)
	if got.Status.PodIP != "192.0.2.1" {
		t.Errorf("address %q", got.Status.PodIP)
	}
	if out, _, _ := w.exec("p", "c0", "", false, "busybox", "head", "-n", "1", "/etc/hosts"); !strings.Contains(out, "(host network)") {
		t.Errorf("hosts file begins with %q", out)
	}
}
