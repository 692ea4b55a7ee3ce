package template

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"laterna.dev/laterna/internal/registry/core/podspec"
)

// made is a template with defaults that change changes.
func made(change ...func(*corev1.PodTemplateSpec)) *corev1.PodTemplateSpec {
	t := &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}, {Name: "d", Image: "j:2"}}},
	}
	podspec.SetDefaults(&t.Spec)
	for _, f := range change {
		f(t)
	}
	return t
}

func TestTemplatesThatAreRefused(t *testing.T) {
	web := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	of := Of{Selects: "deployment", Runs: "ReplicaSet"}
	for name, tc := range map[string]struct {
		selector *metav1.LabelSelector
		template *corev1.PodTemplateSpec
		want     []string
	}{
		"good":         {web, made(), nil},
		"no selector":  {nil, made(), []string{"spec.selector: Required value"}},
		"empty":        {&metav1.LabelSelector{}, made(), []string{"spec.selector: Invalid value: {}: empty selector is invalid for deployment"}},
		"odd operator": {&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}, made(), []string{`spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator`, "invalid label selector"}},
		"odd value":    {&metav1.LabelSelector{MatchLabels: map[string]string{"app": "-"}}, made(), []string{`spec.selector.matchLabels: Invalid value: "-"`}},
		"no match":     {web, made(func(t *corev1.PodTemplateSpec) { t.Labels = map[string]string{"app": "db"} }), []string{"spec.template.metadata.labels: Invalid value: {\"app\":\"db\"}: `selector` does not match template `labels`"}},
		"pods that end": {web, made(func(t *corev1.PodTemplateSpec) { t.Spec.RestartPolicy = corev1.RestartPolicyNever }), []string{
			`spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"`,
		}},
		"a deadline": {web, made(func(t *corev1.PodTemplateSpec) { t.Spec.ActiveDeadlineSeconds = new(int64(5)) }), []string{
			"spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
		}},
		"no containers": {web, made(func(t *corev1.PodTemplateSpec) { t.Spec.Containers = nil }), []string{"spec.template.spec.containers: Required value"}},
	} {
		errs := of.Validate(tc.selector, tc.template, field.NewPath("spec"))
		if len(tc.want) == 0 && len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
		}
		for _, want := range tc.want {
			if !strings.Contains(fmt.Sprint(errs), want) {
				t.Errorf("%s: %v, want %s", name, errs, want)
			}
		}
	}
}

func TestNumbersThatCannotBe(t *testing.T) {
	path := field.NewPath("status")
	if errs := ValidateCounts(Counts{Replicas: 3, Labelled: 3, Updated: 3, Ready: 2, Available: 1}, path); len(errs) > 0 {
		t.Errorf("numbers that can be: %v", errs)
	}
	errs := fmt.Sprint(ValidateCounts(Counts{Replicas: 1, Labelled: 2, Updated: 2, Ready: 2, Available: 3}, path), NonNegative(path, Number{"replicas", -1}, Number{"zero", 0}))
	for _, want := range []string{
		"status.fullyLabeledReplicas: Invalid value: 2: cannot be greater than status.replicas", "status.updatedReplicas: Invalid value: 2",
		"status.readyReplicas: Invalid value: 2", "status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas",
		"status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas",
		"status.replicas: Invalid value: -1: must be greater than or equal to 0",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("%s lacks %s", errs, want)
		}
	}
	if strings.Contains(errs, "zero") {
		t.Error(errs)
	}
}

func TestNamesOfHosts(t *testing.T) {
	if w := NameWarnings("web"); len(w) > 0 {
		t.Error(w)
	}
	w := NameWarnings("web.1")
	if len(w) != 1 || !strings.HasPrefix(w[0], "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [") {
		t.Error(w)
	}
}

func TestWideCells(t *testing.T) {
	cells := WideCells(made(), "app=web")
	if !slices.Equal(cells, []any{"c,d", "i:1,j:2", "app=web"}) || len(cells) != len(WideColumns("")) {
		t.Errorf("%v", cells)
	}
}
