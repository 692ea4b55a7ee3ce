package compat

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// rule42 has a container, or all of its pod, restarted when it exits with 42.
func rule42(action corev1.ContainerRestartRuleAction) []corev1.ContainerRestartRule {
	return []corev1.ContainerRestartRule{{Action: action, ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{
		Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{42}}}}
}

// ruled is a container that runs a line of shell, with a policy and rules of its own and
// the volume w at /w.
func ruled(name, line string, policy corev1.ContainerRestartPolicy, rules []corev1.ContainerRestartRule) corev1.Container {
	c := corev1.Container{
		Name: name, Image: "busybox:1.28", Command: []string{"sh", "-c", line}, RestartPolicyRules: rules,
		VolumeMounts: []corev1.VolumeMount{{Name: "w", MountPath: "/w"}},
	}
	if policy != "" {
		c.RestartPolicy = &policy
	}
	return c
}

func TestNodeConformanceRestartRules(t *testing.T) {
	s := newStage(t)
	const always, never = corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever
	for name, tc := range map[string]struct {
		pod      corev1.RestartPolicy
		own      corev1.ContainerRestartPolicy
		rules    []corev1.ContainerRestartRule
		exit     string
		restarts bool
		phase    corev1.PodPhase
	}{
		"should restart container on rule match": {corev1.RestartPolicyNever, never, rule42(corev1.ContainerRestartRuleActionRestart), "42", true, corev1.PodRunning},
		"should not restart container on rule mismatch, container restart policy Never": {
			corev1.RestartPolicyNever, never, rule42(corev1.ContainerRestartRuleActionRestart), "1", false, corev1.PodFailed},
		"should not restart container on container-level restart policy Never": {corev1.RestartPolicyAlways, never, nil, "1", false, corev1.PodFailed},
		"should restart container on container-level restart policy Always":    {corev1.RestartPolicyNever, always, nil, "1", true, corev1.PodRunning},
		"should restart container on pod-level restart policy Always when no container-level restart policy": {
			corev1.RestartPolicyAlways, "", nil, "1", true, corev1.PodRunning},
	} {
		s.conforms(t, name, func(t *testing.T) {
			pod := shell(s.name("pod"), "")
			mount(pod, "/w", emptyDir(corev1.StorageMediumDefault))
			pod.Spec.Volumes[0].Name = "w"
			pod.Spec.RestartPolicy, pod.Spec.Containers = tc.pod, []corev1.Container{ruled("main", "exit "+tc.exit, tc.own, tc.rules)}
			made := s.create(t, pod)
			if tc.restarts {
				made = s.await(t, made, "to be restarted and wait", func(p *corev1.Pod) bool {
					return timesRestarted(p) >= 1 && p.Status.ContainerStatuses[0].State.Waiting != nil
				})
			} else {
				made = s.await(t, made, "to fail", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
				s.stays(t, made, 2*time.Second, func(p *corev1.Pod) bool { return timesRestarted(p) > 0 })
			}
			if made.Status.Phase != tc.phase {
				t.Errorf("the pod is %s, want %s", made.Status.Phase, tc.phase)
			}
		})
	}
}

func TestNodeConformanceRestartOfAll(t *testing.T) {
	s := newStage(t)
	const always, never = corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever
	all := rule42(corev1.ContainerRestartRuleActionRestartAllContainers)
	for name, tc := range map[string]struct {
		init, main []corev1.Container
		// restarted are the containers that the rule restarts, anew those that only then
		// start for the first time.
		restarted, anew []string
	}{
		"should restart all containers on regular container exit": {
			init:      []corev1.Container{ruled("init", "exit 0", "", nil), ruled("side", forever, always, nil)},
			main:      []corev1.Container{ruled("source", "[ -f /w/done ] && "+forever+"; touch /w/done; exit 42", never, all), ruled("regular", forever, "", nil)},
			restarted: []string{"init", "side", "source", "regular"},
		},
		"should restart all containers on sidecar container exit": {
			init: []corev1.Container{ruled("init", "exit 0", "", nil), ruled("side", forever, always, nil),
				ruled("source", "[ -f /w/done ] && "+forever+"; touch /w/done; sleep 3; exit 42", always, all)},
			main:      []corev1.Container{ruled("regular", forever, "", nil)},
			restarted: []string{"init", "side", "source", "regular"},
		},
		"should restart init and sidecar containers on init container exit": {
			init: []corev1.Container{ruled("side", forever, always, nil), ruled("init", "exit 0", "", nil),
				ruled("source", "[ -f /w/done ] && exit 0; touch /w/done; exit 42", never, all)},
			main:      []corev1.Container{ruled("regular", forever, "", nil)},
			restarted: []string{"side", "init", "source"}, anew: []string{"regular"},
		},
		"should allow multiple RestartAllContainers actions and not introduce a loop": {
			main:      []corev1.Container{ruled("source", "[ -f /w/done ] && "+forever+"; touch /w/done; sleep 3; exit 42", never, all), ruled("regular", forever, never, all)},
			restarted: []string{"source", "regular"},
		},
	} {
		s.conforms(t, name, func(t *testing.T) {
			pod := shell(s.name("pod"), "")
			mount(pod, "/w", emptyDir(corev1.StorageMediumDefault))
			pod.Spec.Volumes[0].Name = "w"
			pod.Spec.InitContainers, pod.Spec.Containers = tc.init, tc.main
			statuses := func(p *corev1.Pod) []corev1.ContainerStatus {
				return slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses)
			}
			made := s.await(t, s.create(t, pod), "to have been restarted as a whole", func(p *corev1.Pod) bool {
				again := 0
				for _, c := range statuses(p) {
					if c.RestartCount > 0 && slices.Contains(tc.restarted, c.Name) {
						again++
					}
					if slices.ContainsFunc(tc.main, func(m corev1.Container) bool { return m.Name == c.Name }) && c.State.Running == nil {
						return false
					}
				}
				return again == len(tc.restarted)
			})
			for _, c := range statuses(made) {
				if c.RestartCount != 1 && !slices.Contains(tc.anew, c.Name) {
					t.Errorf("%s was restarted %d times", c.Name, c.RestartCount)
				}
			}
			s.stays(t, made, 3*time.Second, func(p *corev1.Pod) bool {
				return p.Status.Phase != corev1.PodRunning || slices.ContainsFunc(statuses(p), func(c corev1.ContainerStatus) bool { return c.RestartCount > 1 })
			})
		})
	}
}
