package runtimeclass

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestClassesThatAreRefused(t *testing.T) {
	again := corev1.Toleration{Key: "a", Operator: corev1.TolerationOpExists}
	for name, tc := range map[string]struct {
		class nodev1.RuntimeClass
		want  string
	}{
		"good":             {nodev1.RuntimeClass{Handler: "runc"}, ""},
		"no handler":       {nodev1.RuntimeClass{}, `handler: Invalid value: ""`},
		"odd handler":      {nodev1.RuntimeClass{Handler: "a.b"}, `handler: Invalid value: "a.b"`},
		"negative":         {nodev1.RuntimeClass{Handler: "a", Overhead: &nodev1.Overhead{PodFixed: corev1.ResourceList{"cpu": resource.MustParse("-1")}}}, `overhead.limits[cpu]: Invalid value: "-1"`},
		"odd label":        {nodev1.RuntimeClass{Handler: "a", Scheduling: &nodev1.Scheduling{NodeSelector: map[string]string{"a b": "c"}}}, "scheduling.nodeSelector: Invalid value"},
		"toleration twice": {nodev1.RuntimeClass{Handler: "a", Scheduling: &nodev1.Scheduling{Tolerations: []corev1.Toleration{again, again}}}, "scheduling.tolerations[1]: Duplicate value"},
	} {
		if errs := validate(&tc.class); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%s: %v, want %s", name, errs, tc.want)
		}
	}
	rules := Definition().Rules
	if errs := rules.ValidateUpdate(t.Context(), &nodev1.RuntimeClass{Handler: "a"}, &nodev1.RuntimeClass{Handler: "b"}); len(errs) != 1 || !strings.Contains(errs[0].Error(), "handler: Invalid value: \"a\": field is immutable") {
		t.Errorf("another handler: %v", errs)
	}
}

func TestOldLabelsOfNodesAreWarnedOf(t *testing.T) {
	rules := Definition().Rules
	c := &nodev1.RuntimeClass{Scheduling: &nodev1.Scheduling{NodeSelector: map[string]string{"beta.kubernetes.io/os": "linux", "disk": "ssd"}}}
	want := `scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead`
	if got := rules.WarnCreate(t.Context(), c); len(got) != 1 || got[0] != want {
		t.Errorf("create: %q", got)
	}
	if got := rules.WarnUpdate(t.Context(), c, c); len(got) != 1 || got[0] != want {
		t.Errorf("update: %q", got)
	}
}
