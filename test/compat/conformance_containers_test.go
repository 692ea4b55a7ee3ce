package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tellsItsArguments is an image of the test's own: its entrypoint prints all that it is
// called with, and it has arguments.
const tellsItsArguments = "arguments.example/tell:1"

func TestConformanceCommands(t *testing.T) {
	s := newStage(t)
	s.importImage(t, tellsItsArguments, map[string]string{"tell": "#!/bin/sh\necho entrypoint \"$@\"\n"},
		v1.Config{Entrypoint: []string{"/tell"}, Cmd: []string{"the", "image's"}})
	for _, tc := range []struct {
		behaviour     string
		command, args []string
		want          string
	}{
		{behaviour: "[sig-node] Containers should use the image defaults if command and args are blank", want: "entrypoint the image's"},
		{behaviour: "[sig-node] Containers should be able to override the image's default arguments (container cmd)", args: []string{"override", "arguments"},
			want: "entrypoint override arguments"},
		{behaviour: "[sig-node] Containers should be able to override the image's default command (container entrypoint)", command: []string{"echo", "command"},
			want: "command"},
		{behaviour: "[sig-node] Containers should be able to override the image's default command and arguments", command: []string{"echo", "command"},
			args: []string{"override", "arguments"}, want: "command override arguments"},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := shell(s.name("pod"), "")
			c := &pod.Spec.Containers[0]
			c.Image, c.Command, c.Args = tellsItsArguments, tc.command, tc.args
			if got := s.output(t, pod); got != tc.want+"\n" {
				t.Errorf("the container prints %q, want %q", got, tc.want)
			}
		})
	}

	for _, tc := range []struct {
		behaviour     string
		command, args []string
		env           []corev1.EnvVar
		want          string
	}{
		{behaviour: "[sig-node] Variable Expansion should allow composing env vars into new env vars", command: []string{"sh", "-c", "env"},
			env:  []corev1.EnvVar{{Name: "FOO", Value: "foo-value"}, {Name: "BAR", Value: "bar-value"}, {Name: "FOOBAR", Value: "$(FOO);;$(BAR)"}},
			want: "FOO=foo-value\nBAR=bar-value\nFOOBAR=foo-value;;bar-value"},
		{behaviour: "[sig-node] Variable Expansion should allow substituting values in a container's command",
			command: []string{"sh", "-c", `TEST_VAR=wrong echo "$(TEST_VAR)"`}, env: []corev1.EnvVar{{Name: "TEST_VAR", Value: "test-value"}}, want: "test-value"},
		{behaviour: "[sig-node] Variable Expansion should allow substituting values in a container's args",
			command: []string{"sh", "-c"}, args: []string{`TEST_VAR=wrong echo "$(TEST_VAR)"`}, env: []corev1.EnvVar{{Name: "TEST_VAR", Value: "test-value"}}, want: "test-value"},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := shell(s.name("pod"), "")
			c := &pod.Spec.Containers[0]
			c.Command, c.Args, c.Env = tc.command, tc.args, tc.env
			got := "\n" + s.output(t, pod)
			for line := range strings.Lines(tc.want + "\n") {
				contains(t, got, "\n"+line)
			}
		})
	}
}

func TestConformanceTerminationMessages(t *testing.T) {
	s := newStage(t)
	const file, fallback = corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError
	for _, tc := range []struct {
		behaviour, line, path string
		policy                corev1.TerminationMessagePolicy
		user                  *int64
		phase                 corev1.PodPhase
		want                  string
	}{
		{behaviour: "[sig-node] Container Runtime blackbox test on terminated container should report termination message if TerminationMessagePath is set as non-root user and at a non-default path",
			line: "printf DONE > /dev/termination-custom-log", path: "/dev/termination-custom-log", policy: file, user: new(int64(10000)), phase: corev1.PodSucceeded, want: "DONE"},
		{behaviour: "[sig-node] Container Runtime blackbox test on terminated container should report termination message from log output if TerminationMessagePolicy FallbackToLogsOnError is set",
			line: "printf DONE; sleep 0.5; exit 1", policy: fallback, phase: corev1.PodFailed, want: "DONE"},
		{behaviour: "[sig-node] Container Runtime blackbox test on terminated container should report termination message as empty when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set",
			line: "echo DONE", policy: fallback, phase: corev1.PodSucceeded},
		{behaviour: "[sig-node] Container Runtime blackbox test on terminated container should report termination message from file when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set",
			line: "printf OK > /dev/termination-log; echo DONE", policy: fallback, phase: corev1.PodSucceeded, want: "OK"},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := shell(s.name("pod"), tc.line)
			c := &pod.Spec.Containers[0]
			c.TerminationMessagePath, c.TerminationMessagePolicy = tc.path, tc.policy
			if tc.user != nil {
				c.SecurityContext = &corev1.SecurityContext{RunAsUser: tc.user}
			}
			ended := s.ended(t, pod)
			if got := ended.Status.ContainerStatuses[0].State.Terminated.Message; ended.Status.Phase != tc.phase || got != tc.want {
				t.Errorf("the pod is %s with message %q, want %s and %q", ended.Status.Phase, got, tc.phase, tc.want)
			}
		})
	}
}

// ended runs a pod until its first container has ended for good.
func (s *stage) ended(t testing.TB, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	return s.await(t, s.create(t, pod), "to end", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
}

func TestConformanceStatusOfContainers(t *testing.T) {
	s := newStage(t)
	// Fails at first, is well at the second time, and stays at the third.
	const thrice = "echo again >> /v/runs; n=`wc -l < /v/runs`; [ $n = 1 ] && exit 1; [ $n = 2 ] && exit 0; " + forever
	s.conforms(t, "[sig-node] Container Runtime blackbox test when starting a container that exits should run with the expected status", func(t *testing.T) {
		for _, tc := range []struct {
			policy   corev1.RestartPolicy
			phase    corev1.PodPhase
			restarts int32
		}{
			{corev1.RestartPolicyAlways, corev1.PodRunning, 2},
			{corev1.RestartPolicyOnFailure, corev1.PodSucceeded, 1},
			{corev1.RestartPolicyNever, corev1.PodFailed, 0},
		} {
			t.Run(string(tc.policy), func(t *testing.T) {
				t.Parallel()
				pod := shell(s.name("pod"), thrice)
				pod.Spec.RestartPolicy = tc.policy
				mount(pod, "/v", emptyDir(corev1.StorageMediumDefault))
				runs := tc.phase == corev1.PodRunning
				s.await(t, s.create(t, pod), "to be "+string(tc.phase), func(p *corev1.Pod) bool {
					if p.Status.Phase != tc.phase || len(p.Status.ContainerStatuses) != 1 {
						return false
					}
					c := p.Status.ContainerStatuses[0]
					if c.RestartCount > tc.restarts {
						t.Fatalf("restarted %d times, want %d", c.RestartCount, tc.restarts)
					}
					return c.RestartCount == tc.restarts && c.Ready == runs && (c.State.Running != nil) == runs && (c.State.Terminated != nil) == !runs
				})
			})
		}
	})
}

func TestConformanceKubelet(t *testing.T) {
	s := newStage(t)
	s.conforms(t, "[sig-node] Kubelet when scheduling a busybox command in a pod should print the output to logs", func(t *testing.T) {
		if got := s.output(t, shell(s.name("pod"), "echo 'Hello World'; sleep 0.5")); got != "Hello World\n" {
			t.Errorf("the log is %q", got)
		}
	})

	fails := func() *corev1.Pod {
		pod := shell(s.name("pod"), "")
		pod.Spec.RestartPolicy, pod.Spec.Containers[0].Command = corev1.RestartPolicyAlways, []string{"false"}
		return pod
	}
	s.conforms(t, "[sig-node] Kubelet when scheduling a busybox command that always fails in a pod should have an terminated reason", func(t *testing.T) {
		s.await(t, s.create(t, fails()), "to have ended for a reason", func(p *corev1.Pod) bool {
			for _, c := range p.Status.ContainerStatuses {
				for _, state := range []corev1.ContainerState{c.State, c.LastTerminationState} {
					if state.Terminated != nil && state.Terminated.ExitCode == 1 && state.Terminated.Reason == "Error" {
						return true
					}
				}
			}
			return false
		})
	})
	s.conforms(t, "[sig-node] Kubelet when scheduling a busybox command that always fails in a pod should be possible to delete", func(t *testing.T) {
		pod := s.await(t, s.create(t, fails()), "to wait for its back-off", func(p *corev1.Pod) bool {
			return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].State.Waiting != nil && p.Status.ContainerStatuses[0].State.Waiting.Reason == "CrashLoopBackOff"
		})
		pods := s.client.CoreV1().Pods(s.ns)
		if err := pods.Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error {
			if _, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("reading the deleted pod: %v", err)
			}
			return nil
		})
	})

	s.conforms(t, "[sig-node] Kubelet when scheduling an agnhost Pod with hostAliases should write entries to /etc/hosts", func(t *testing.T) {
		pod := shell(s.name("pod"), "cat /etc/hosts")
		pod.Spec.HostAliases = []corev1.HostAlias{{IP: "123.45.67.89", Hostnames: []string{"foo", "bar"}}}
		contains(t, s.output(t, pod), "# Kubernetes-managed hosts file.\n", "\n# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n")
	})

	s.conforms(t, "[sig-node] Kubelet when scheduling a read only busybox container should not write to root filesystem", func(t *testing.T) {
		pod := shell(s.name("pod"), "echo test > /file; sleep 0.5")
		pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: new(true)}
		contains(t, s.output(t, pod), "/file: Read-only file system")
	})

	s.conforms(t, "[sig-node] KubeletManagedEtcHosts should test kubelet managed /etc/hosts file", s.managesHosts)
}

// managesHosts looks at /etc/hosts of containers that have the pod's, of one that mounts
// its own, and of a pod in the node's network.
func (s *stage) managesHosts(t *testing.T) {
	const header = "# Kubernetes-managed hosts file.\n"
	file := corev1.HostPathFile
	hosts := corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/etc/hosts", Type: &file}}
	pod := shell(s.name("pod"), forever)
	mount(pod, "/etc/hosts-original", hosts)
	second, third := *pod.Spec.Containers[0].DeepCopy(), *pod.Spec.Containers[0].DeepCopy()
	second.Name, third.Name = "second", "third"
	third.VolumeMounts = append(third.VolumeMounts, corev1.VolumeMount{Name: third.VolumeMounts[0].Name, MountPath: "/etc/hosts"})
	pod.Spec.Containers = append(pod.Spec.Containers, second, third)
	inNode := shell(s.name("pod"), forever)
	inNode.Spec.HostNetwork = true
	mount(inNode, "/etc/hosts-original", hosts)
	for _, p := range []*corev1.Pod{pod, inNode} {
		made := s.runs(t, p)
		for _, c := range made.Spec.Containers {
			managed := p == pod && c.Name != "third"
			read := func(path string) string {
				return s.sh(t, "kubectl exec -n "+s.ns+" "+made.Name+" -c "+c.Name+" -- cat "+path)
			}
			got, original := read("/etc/hosts"), read("/etc/hosts-original")
			switch {
			case strings.Contains(got, header) != managed:
				t.Errorf("pod %s, container %s, managed %v: /etc/hosts is\n%s", made.Name, c.Name, managed, got)
			case managed && !strings.Contains(got, "\n"+made.Status.PodIP+"\t"+made.Name+"\n"):
				t.Errorf("container %s: the pod's name and address %s are not in\n%s", c.Name, made.Status.PodIP, got)
			case !managed && !strings.Contains(got, original):
				t.Errorf("pod %s, container %s: /etc/hosts is\n%s\nthe node's\n%s", made.Name, c.Name, got, original)
			}
		}
	}
}
