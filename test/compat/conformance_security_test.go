package compat

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestConformanceSecurityContexts(t *testing.T) {
	s := newStage(t)
	for _, tc := range []struct {
		behaviour, line string
		pod             *corev1.PodSecurityContext
		container       *corev1.SecurityContext
		want            string
	}{
		{behaviour: "[sig-node] Security Context When creating a container with runAsUser should run the container with uid 65534", line: "id -u",
			container: &corev1.SecurityContext{RunAsUser: new(int64(65534))}, want: "65534\n"},
		{behaviour: "[sig-node] Security Context When creating a pod with privileged should run the container as unprivileged when false",
			line: "ip link add dummy0 type dummy 2>&1 || true", container: &corev1.SecurityContext{Privileged: new(false)}, want: "ip: RTNETLINK answers: Operation not permitted\n"},
		{behaviour: "[sig-node] Security Context When creating a pod with readOnlyRootFilesystem should run the container with writable rootfs when readOnlyRootFilesystem=false",
			line: "touch checkfile && echo written", container: &corev1.SecurityContext{ReadOnlyRootFilesystem: new(false)}, want: "written\n"},
		{behaviour: "[sig-node] Security Context should support pod.Spec.SecurityContext.RunAsUser And pod.Spec.SecurityContext.RunAsGroup", line: "id",
			pod: &corev1.PodSecurityContext{RunAsUser: new(int64(1001)), RunAsGroup: new(int64(2002))}, want: "uid=1001 gid=2002 groups=2002\n"},
		{behaviour: "[sig-node] Security Context should support container.SecurityContext.RunAsUser And container.SecurityContext.RunAsGroup", line: "id",
			pod:       &corev1.PodSecurityContext{RunAsUser: new(int64(1000)), RunAsGroup: new(int64(1000))},
			container: &corev1.SecurityContext{RunAsUser: new(int64(1001)), RunAsGroup: new(int64(2002))}, want: "uid=1001 gid=2002 groups=2002\n"},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := shell(s.name("pod"), tc.line)
			pod.Spec.SecurityContext, pod.Spec.Containers[0].SecurityContext = tc.pod, tc.container
			if got := s.output(t, pod); got != tc.want {
				t.Errorf("the container prints %q, want %q", got, tc.want)
			}
		})
	}

	// A program of root that whoever starts it becomes root by, if the kernel lets it.
	for _, tc := range []struct {
		behaviour string
		allow     *bool
		want      string
	}{
		{behaviour: "[sig-node] Security Context when creating containers with AllowPrivilegeEscalation should not allow privilege escalation when false", allow: new(false), want: "1000\n"},
		{behaviour: "[sig-node] Security Context when creating containers with AllowPrivilegeEscalation should allow privilege escalation when not explicitly set and uid != 0", want: "0\n"},
		{behaviour: "[sig-node] Security Context when creating containers with AllowPrivilegeEscalation should allow privilege escalation when true", allow: new(true), want: "0\n"},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := shell(s.name("pod"), "/v/bash -p -c 'echo $EUID'")
			pod.Spec.Containers[0].Image, pod.Spec.Containers[0].ImagePullPolicy = "tutum/curl", corev1.PullIfNotPresent
			mount(pod, "/v", emptyDir(corev1.StorageMediumDefault))
			prepare := *pod.Spec.Containers[0].DeepCopy()
			prepare.Name, prepare.Command = "prepare", []string{"sh", "-c", "cp /usr/bin/bash /v/bash && chmod 4755 /v/bash"}
			pod.Spec.InitContainers = []corev1.Container{prepare}
			pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsUser: new(int64(1000)), AllowPrivilegeEscalation: tc.allow}
			if got := s.output(t, pod); got != tc.want {
				t.Errorf("the user is %q, want %q", got, tc.want)
			}
		})
	}
}
