package compat

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
)

// ofUser is an image that is to run as user 1234.
const ofUser = "user.example/1234:1"

func TestNodeConformanceSecurity(t *testing.T) {
	s := newStage(t)
	s.importImage(t, ofUser, map[string]string{"nothing": ""}, v1.Config{User: "1234"})
	profile := func(kind corev1.SeccompProfileType) *corev1.SeccompProfile { return &corev1.SeccompProfile{Type: kind} }
	ipc, err := os.Readlink("/proc/self/ns/ipc")
	if err != nil {
		t.Fatal(err)
	}
	network, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	const mode = "sed -n 's/^Seccomp:\t//p' /proc/self/status"
	for name, tc := range map[string]struct {
		line, image string
		change      func(*corev1.PodSpec)
		container   corev1.SecurityContext
		pod         corev1.PodSecurityContext
		want, not   string
	}{
		"should support pod.Spec.SecurityContext.SupplementalGroups": {line: "id -G", pod: corev1.PodSecurityContext{SupplementalGroups: []int64{1234, 5678}}, want: "0 1234 5678\n"},
		"should run the container with uid 0":                        {line: "id -u", container: corev1.SecurityContext{RunAsUser: new(int64(0))}, want: "0\n"},
		"should run with an explicit non-root user ID":               {line: "id -u", container: corev1.SecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(1234))}, want: "1234\n"},
		"should run with an image specified user ID":                 {line: "id -u", image: ofUser, container: corev1.SecurityContext{RunAsNonRoot: new(true)}, want: "1234\n"},
		"should support seccomp unconfined on the container":         {line: mode, container: corev1.SecurityContext{SeccompProfile: profile(corev1.SeccompProfileTypeUnconfined)}, want: "0\n", pod: corev1.PodSecurityContext{SeccompProfile: profile(corev1.SeccompProfileTypeRuntimeDefault)}},
		"should support seccomp unconfined on the pod":               {line: mode, pod: corev1.PodSecurityContext{SeccompProfile: profile(corev1.SeccompProfileTypeUnconfined)}, want: "0\n"},
		"should support seccomp runtime/default":                     {line: mode, pod: corev1.PodSecurityContext{SeccompProfile: profile(corev1.SeccompProfileTypeRuntimeDefault)}, want: "2\n"},
		"should support seccomp default which is unconfined":         {line: mode, want: "0\n"},
		"should run the container with readonly rootfs when readOnlyRootFilesystem=true": {line: "touch checkfile 2>&1 || true", container: corev1.SecurityContext{ReadOnlyRootFilesystem: new(true)},
			want: "touch: checkfile: Read-only file system\n"},
		"should show its pid in the host PID namespace":                      {line: "pidof laterna > /dev/null && echo seen", change: func(p *corev1.PodSpec) { p.HostPID = true }, want: "seen\n"},
		"should not show its pid in the non-hostpid containers":              {line: "pidof laterna > /dev/null || echo not seen", want: "not seen\n"},
		"should show the shared memory ID in the host IPC containers":        {line: "readlink /proc/self/ns/ipc", change: func(p *corev1.PodSpec) { p.HostIPC = true }, want: ipc + "\n"},
		"should not show the shared memory ID in the non-hostIPC containers": {line: "readlink /proc/self/ns/ipc", not: ipc},
		"should support sysctls with slashes as separator":                   {line: "cat /proc/sys/kernel/shm_rmid_forced", pod: corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "kernel/shm_rmid_forced", Value: "1"}}}, want: "1\n"},
		"should support the sysctls that are safe since 1.37": {line: "cd /proc/sys/net/ipv4 && cat tcp_slow_start_after_idle tcp_notsent_lowat", pod: corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{
			{Name: "net.ipv4.tcp_slow_start_after_idle", Value: "0"}, {Name: "net.ipv4.tcp_notsent_lowat", Value: "16384"}}}, want: "0\n16384\n"},
		"should be in the network of its node with hostNetwork": {line: "readlink /proc/self/ns/net", change: func(p *corev1.PodSpec) { p.HostNetwork = true }, want: network + "\n"},
	} {
		s.conforms(t, name, func(t *testing.T) {
			pod := shell(s.name("pod"), tc.line)
			if tc.image != "" {
				pod.Spec.Containers[0].Image = tc.image
			}
			pod.Spec.SecurityContext, pod.Spec.Containers[0].SecurityContext = &tc.pod, &tc.container
			if tc.change != nil {
				tc.change(&pod.Spec)
			}
			got := s.output(t, pod)
			if tc.want != "" && got != tc.want || tc.not != "" && strings.Contains(got, tc.not) {
				t.Errorf("the container prints %q, want %q, not %q", got, tc.want, tc.not)
			}
		})
	}

	for name, tc := range map[string]struct {
		context corev1.SecurityContext
		want    string
	}{
		"should not run with an explicit root user ID": {corev1.SecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(0))}, "container's runAsUser breaks non-root policy"},
		"should not run without a specified user ID":   {corev1.SecurityContext{RunAsNonRoot: new(true)}, "container has runAsNonRoot and image will run as root"},
	} {
		s.conforms(t, name, func(t *testing.T) {
			pod := shell(s.name("pod"), forever)
			pod.Spec.Containers[0].SecurityContext = &tc.context
			contains(t, s.system.waits(t, s.ns, s.create(t, pod).Name, 20*time.Second, "CreateContainerConfigError"), tc.want)
		})
	}

	s.conforms(t, "should enable privileged commands", func(t *testing.T) {
		pod := shell(s.name("pod"), forever)
		pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(true)}
		other := *pod.Spec.Containers[0].DeepCopy()
		other.Name, other.SecurityContext = "other", &corev1.SecurityContext{Privileged: new(false)}
		pod.Spec.Containers = append(pod.Spec.Containers, other)
		pod = s.runs(t, pod)
		try := func(container string) string {
			out, _ := s.command(t, "kubectl", "exec", "-n", s.ns, pod.Name, "-c", container, "--", "sh", "-c", "ip link add br7 type bridge && ip link del br7 && echo made").CombinedOutput()
			return string(out)
		}
		if got := try("main"); got != "made\n" {
			t.Errorf("privileged: %q", got)
		}
		if got := try("other"); !strings.Contains(got, "Operation not permitted") {
			t.Errorf("not privileged: %q", got)
		}
	})
}
