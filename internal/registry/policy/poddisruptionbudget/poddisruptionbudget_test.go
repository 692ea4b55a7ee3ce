package poddisruptionbudget

import (
	"slices"
	"strings"
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

func count(s string) *intstr.IntOrString { return ptr.To(intstr.Parse(s)) }

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		spec policyv1.PodDisruptionBudgetSpec
		want string
	}{
		"empty":         {},
		"number":        {spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: count("3")}},
		"percentage":    {spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: count("100%")}},
		"both":          {policyv1.PodDisruptionBudgetSpec{MinAvailable: count("1"), MaxUnavailable: count("1")}, "minAvailable and maxUnavailable cannot be both set"},
		"negative":      {policyv1.PodDisruptionBudgetSpec{MinAvailable: count("-1")}, "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"},
		"too much":      {policyv1.PodDisruptionBudgetSpec{MaxUnavailable: count("101%")}, `spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%`},
		"no percentage": {policyv1.PodDisruptionBudgetSpec{MinAvailable: count("half")}, "spec.minAvailable: Invalid value: \"half\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"},
		"policy": {policyv1.PodDisruptionBudgetSpec{UnhealthyPodEvictionPolicy: ptr.To(policyv1.UnhealthyPodEvictionPolicyType("Never"))},
			`spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow", "IfHealthyBudget"`},
		"selector": {policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "In", Values: []string{"b c"}}}}}, "spec.selector.matchExpressions[0].values[0]: Invalid value"},
	} {
		b := &policyv1.PodDisruptionBudget{Spec: tc.spec}
		err := Definition().Rules.Validate(t.Context(), b).ToAggregate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		// What is stored already may stay.
		if err := Definition().Rules.ValidateUpdate(t.Context(), b, b).ToAggregate(); name == "selector" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	status := &policyv1.PodDisruptionBudget{Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: -1, Conditions: []metav1.Condition{{Type: "DisruptionAllowed"}}}}
	err := Definition().Status.ValidateUpdate(t.Context(), status, status).ToAggregate()
	for _, want := range []string{"status.disruptionsAllowed: Invalid value: -1", "status.conditions[0].reason: Required value"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

func TestGenerationFollowsTheSpec(t *testing.T) {
	b := &policyv1.PodDisruptionBudget{Status: policyv1.PodDisruptionBudgetStatus{ExpectedPods: 1}}
	Definition().Rules.PrepareCreate(t.Context(), b)
	if b.Generation != 1 || b.Status.ExpectedPods != 0 {
		t.Errorf("%+v", b)
	}
	next := b.DeepCopy()
	next.Status.ExpectedPods, next.Labels = 1, map[string]string{"a": "b"}
	Definition().Rules.PrepareUpdate(t.Context(), next, b)
	if next.Generation != 1 || next.Status.ExpectedPods != 0 {
		t.Errorf("%+v", next)
	}
	next.Spec.MinAvailable = count("1")
	Definition().Rules.PrepareUpdate(t.Context(), next, b)
	if next.Generation != 2 {
		t.Errorf("%+v", next)
	}
	Definition().Status.PrepareUpdate(t.Context(), next, b)
	if next.Spec.MinAvailable != nil || next.Generation != 1 {
		t.Errorf("%+v", next)
	}
}

func TestRow(t *testing.T) {
	b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: count("10%")}, Status: policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: 2}}
	want := []any{"b", "N/A", "10%", int64(2), "<unknown>"}
	if row := columns().Row(b); !slices.Equal(row, want) || len(row) != len(columns().Columns) {
		t.Errorf("row %v, want %v", row, want)
	}
}
