package job

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/indexes"
)

// verdict is what the failure policy of a job says of a failed pod.
type verdict struct {
	counts bool
	// action is "" where no rule fits.
	action batchv1.PodFailurePolicyAction
	why    string // of FailJob
}

// judge asks the rules of a failure policy in their order.
func judge(policy *batchv1.PodFailurePolicy, p *corev1.Pod) verdict {
	if policy == nil {
		return verdict{counts: true}
	}
	for i := range policy.Rules {
		rule := &policy.Rules[i]
		why, ok := "", false
		if rule.OnExitCodes != nil {
			why, ok = onExitCodes(rule.OnExitCodes, p)
		} else {
			why, ok = onConditions(rule.OnPodConditions, p)
		}
		if ok {
			return verdict{
				counts: rule.Action != batchv1.PodFailurePolicyActionIgnore, action: rule.Action,
				why: fmt.Sprintf("%s matching %s rule at index %d", why, rule.Action, i),
			}
		}
	}
	return verdict{counts: true}
}

// onExitCodes finds a container that failed with a code that fits.
func onExitCodes(on *batchv1.PodFailurePolicyOnExitCodesRequirement, p *corev1.Pod) (why string, ok bool) {
	for _, all := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for _, c := range all {
			t := c.State.Terminated
			if t == nil || t.ExitCode == 0 || on.ContainerName != nil && *on.ContainerName != c.Name {
				continue
			}
			in := slices.Contains(on.Values, t.ExitCode)
			if in == (on.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn) {
				return fmt.Sprintf("Container %s for pod %s/%s failed with exit code %d", c.Name, p.Namespace, p.Name, t.ExitCode), true
			}
		}
	}
	return "", false
}

func onConditions(on []batchv1.PodFailurePolicyOnPodConditionsPattern, p *corev1.Pod) (why string, ok bool) {
	for _, c := range p.Status.Conditions {
		for _, pattern := range on {
			if pattern.Type == c.Type && pattern.Status == c.Status {
				return fmt.Sprintf("Pod %s/%s has condition %s", p.Namespace, p.Name, c.Type), true
			}
		}
	}
	return "", false
}

// succeeds returns which rule of a success policy the completed indexes fulfil; -1 for
// none.
func succeeds(policy *batchv1.SuccessPolicy, completed indexes.Set, completions int) int {
	if policy == nil {
		return -1
	}
	for i, rule := range policy.Rules {
		have, need := completed.Len(), completions
		if rule.SucceededIndexes != nil {
			named, err := indexes.Parse(*rule.SucceededIndexes, completions)
			if err != nil {
				continue // the job has shrunk below them
			}
			have, _ = completed.Common(named)
			need = named.Len()
		}
		if rule.SucceededCount != nil {
			need = int(*rule.SucceededCount)
		}
		if have >= need {
			return i
		}
	}
	return -1
}
