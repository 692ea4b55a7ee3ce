package apiserver_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestKubectlMakesPriorityClasses(t *testing.T) {
	s := boot(t, t.TempDir())
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  automountServiceAccountToken: false\n  serviceAccountName: none\n%s  containers: [{name: c, image: i}]\n"
	s.said("", "create", "serviceaccount", "none")
	for _, step := range []struct{ input, args, want string }{
		{"", "get priorityclasses --no-headers", "system-cluster-critical 2000000000 false"},
		{"", "get pc system-node-critical -o jsonpath={.value},{.preemptionPolicy}", "2000001000,PreemptLowerPriority"},
		{"", "create priorityclass high --value=1000 --description=d", "priorityclass.scheduling.k8s.io/high created"},
		{fmt.Sprintf(pod, "a", "  priorityClassName: high\n"), "apply -f -", "pod/a created"},
		{"", "get pod a -o jsonpath={.spec.priority},{.spec.preemptionPolicy}", "1000,PreemptLowerPriority"},
		{fmt.Sprintf(pod, "b", "  priorityClassName: none\n"), "apply -f -", `pods "b" is forbidden: no PriorityClass with name none was found`},
		{"", "create priorityclass usual --value=5 --global-default --preemption-policy=Never", "priorityclass.scheduling.k8s.io/usual created"},
		{"", "get pc usual high", "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY usual 5 true"},
		{"", "create priorityclass other --value=6 --global-default", "PriorityClass usual is already marked as default. Only one default can exist"},
		{fmt.Sprintf(pod, "c", ""), "apply -f -", "pod/c created"},
		{"", "get pod c -o jsonpath={.spec.priorityClassName},{.spec.priority},{.spec.preemptionPolicy}", "usual,5,Never"},
		{"", "create priorityclass system-mine --value=5", "priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class"},
		{"", "patch pc high --type=merge -p {\"value\":7}", "value: Forbidden: may not be changed in an update."},
		{"", "delete pc system-node-critical", "this is a system priority class and cannot be deleted"},
		{"", "delete pc high", `priorityclass.scheduling.k8s.io "high" deleted`},
	} {
		eventually(t, func() error {
			got := strings.Join(strings.Fields(s.said(step.input, strings.Fields(step.args)...)), " ")
			if !strings.Contains(got, step.want) {
				return fmt.Errorf("kubectl %s said %s, want %s", step.args, got, step.want)
			}
			return nil
		})
	}
}
