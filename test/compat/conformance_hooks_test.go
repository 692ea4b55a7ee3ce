package compat

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// answers runs a pod that serves HTTP at port 8080 and prints each question that
// /cgi-bin/echo is asked.
func (s *stage) answers(t testing.TB) *corev1.Pod {
	t.Helper()
	pod := shell(s.name("server"), `mkdir -p /www/cgi-bin && cd /www/cgi-bin && printf '#!/bin/sh\necho "asked $QUERY_STRING" > /proc/1/fd/1\nprintf "Content-Type: text/plain\\r\\n\\r\\nyes"\n' > echo && chmod +x echo && exec httpd -f -p 8080 -h /www`)
	pod.Spec.Containers[0].ReadinessProbe = everySecond(tcpProbe(8080))
	return s.await(t, s.create(t, pod), "to be ready", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].Ready
	})
}

// heard waits until a server has printed a question, and wants it once.
func (s *stage) heard(t testing.TB, server *corev1.Pod, question string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if log := s.log(t, server); strings.Count(log, "asked "+question+"\n") != 1 {
			return fmt.Errorf("the server was not asked %s once:\n%s", question, log)
		}
		return nil
	})
}

func TestConformanceHooks(t *testing.T) {
	s := newStage(t)
	server := s.answers(t)
	ask := func(message string) []string {
		return []string{"sh", "-c", "wget -q -O- 'http://" + server.Status.PodIP + ":8080/cgi-bin/echo?msg=" + message + "'"}
	}
	get := func(message string) *corev1.HTTPGetAction {
		return &corev1.HTTPGetAction{Host: server.Status.PodIP, Port: intstr.FromInt32(8080), Path: "/cgi-bin/echo?msg=" + message}
	}
	for _, tc := range []struct {
		behaviour, message string
		lifecycle          corev1.Lifecycle
	}{
		{behaviour: "[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute poststart exec hook properly", message: "poststart-exec",
			lifecycle: corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: ask("poststart-exec")}}}},
		{behaviour: "[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop exec hook properly", message: "prestop-exec",
			lifecycle: corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: ask("prestop-exec")}}}},
		{behaviour: "[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute poststart http hook properly", message: "poststart-http",
			lifecycle: corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{HTTPGet: get("poststart-http")}}},
		{behaviour: "[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop http hook properly", message: "prestop-http",
			lifecycle: corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: get("prestop-http")}}},
		{behaviour: "[sig-node] PreStop should call prestop when killing a pod", message: "prestop-killed",
			lifecycle: corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: ask("prestop-killed")}}}},
	} {
		s.conforms(t, tc.behaviour, func(t *testing.T) {
			pod := labelled(s.name("pod"), "hooked", tc.message)
			pod.Spec.Containers[0].Lifecycle = &tc.lifecycle
			pod = s.runs(t, pod)
			if tc.lifecycle.PostStart == nil {
				if log := s.log(t, server); strings.Contains(log, tc.message) {
					t.Errorf("called before the pod is deleted:\n%s", log)
				}
				s.ends(t, pod)
			}
			s.heard(t, server, "msg="+tc.message)
			if tc.lifecycle.PostStart != nil {
				s.ends(t, pod)
			}
		})
	}
}
