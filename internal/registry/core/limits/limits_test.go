package limits

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func says(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	if len(errs) != len(want) {
		t.Errorf("%d errors, want %d: %v", len(errs), len(want), errs)
	}
	for _, text := range want {
		if !strings.Contains(fmt.Sprint(errs), text) {
			t.Errorf("errors %v\nlack %s", errs, text)
		}
	}
}

func TestDefaultsFollowFromLimits(t *testing.T) {
	l := &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{
		{Type: corev1.LimitTypeContainer, Max: list("cpu", "2"), Min: list("cpu", "1", "memory", "1Gi")}, {Type: corev1.LimitTypePod, Max: list("cpu", "2")}}}}
	LimitRange().Default(l)
	c := l.Spec.Limits[0]
	if c.Default.Cpu().String() != "2" || c.DefaultRequest.Cpu().String() != "2" || c.DefaultRequest.Memory().String() != "1Gi" || len(c.Default) != 1 || l.Spec.Limits[1].Default != nil {
		t.Errorf("%+v", l.Spec.Limits)
	}
}

func TestWhatIsRefusedOfRanges(t *testing.T) {
	for name, tc := range map[string]struct {
		items []corev1.LimitRangeItem
		want  []string
	}{
		"good":       {[]corev1.LimitRangeItem{{Type: "Container", Min: list("cpu", "1"), Max: list("cpu", "2"), MaxLimitRequestRatio: list("cpu", "2")}, {Type: "PersistentVolumeClaim", Min: list("storage", "1")}, {Type: "example.com/x", Max: list("storage", "1")}}, nil},
		"types":      {[]corev1.LimitRangeItem{{Type: "Node"}, {Type: "Pod"}, {Type: "Pod"}}, []string{`spec.limits[0].type: Invalid value: "Node": must be a standard limit type or fully qualified`, `spec.limits[2].type: Duplicate value: "Pod"`}},
		"pod":        {[]corev1.LimitRangeItem{{Type: "Pod", Default: list("cpu", "1"), DefaultRequest: list("cpu", "1")}}, []string{"limits[0].default: Forbidden: may not be specified when `type` is 'Pod'", "limits[0].defaultRequest: Forbidden"}},
		"order":      {[]corev1.LimitRangeItem{{Type: "Container", Min: list("cpu", "3"), Max: list("cpu", "2"), Default: list("cpu", "1"), DefaultRequest: list("cpu", "2500m")}}, []string{"min[cpu]: Invalid value: \"3\": min value 3 is greater than max value 2", "min value 3 is greater than default request value 2500m", "default request value 2500m is greater than max value 2", "default request value 2500m is greater than default limit value 1", "min value 3 is greater than default value 1"}},
		"default":    {[]corev1.LimitRangeItem{{Type: "Container", Max: list("cpu", "2"), Default: list("cpu", "3")}}, []string{"default value 3 is greater than max value 2"}},
		"ratio":      {[]corev1.LimitRangeItem{{Type: "Container", Min: list("cpu", "1"), Max: list("cpu", "2"), MaxLimitRequestRatio: list("cpu", "3", "memory", "500m")}}, []string{"maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than max/min = 2.000000", "ratio 500m is less than 1"}},
		"claims":     {[]corev1.LimitRangeItem{{Type: "PersistentVolumeClaim"}}, []string{"limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided"}},
		"names":      {[]corev1.LimitRangeItem{{Type: "Container", Max: list("pods", "1")}, {Type: "PersistentVolumeClaim", Max: list("nope", "1", "storage", "1")}}, []string{"max[pods]: Invalid value: \"pods\": must be a standard resource for containers", "max[nope]: Invalid value: \"nope\": must be a standard resource type or fully qualified"}},
		"no sharing": {[]corev1.LimitRangeItem{{Type: "Container", Default: list("example.com/d", "2"), DefaultRequest: list("example.com/d", "1")}}, []string{"default value 2 must equal to defaultRequest value 1 in example.com/d"}},
	} {
		t.Run(name, func(t *testing.T) {
			says(t, LimitRange().Rules.Validate(t.Context(), &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: tc.items}}), tc.want...)
		})
	}
}

func TestWhatIsRefusedOfQuotas(t *testing.T) {
	selector := func(all ...corev1.ScopedResourceSelectorRequirement) *corev1.ScopeSelector {
		return &corev1.ScopeSelector{MatchExpressions: all}
	}
	for name, tc := range map[string]struct {
		spec corev1.ResourceQuotaSpec
		want []string
	}{
		"good": {corev1.ResourceQuotaSpec{Hard: list("pods", "1", "requests.cpu", "500m", "count/deployments.apps", "1", "hugepages-2Mi", "2Mi"), Scopes: nil,
			ScopeSelector: selector()}, nil},
		"names":     {corev1.ResourceQuotaSpec{Hard: list("nope", "1", "storage", "1")}, []string{"hard[nope]: Invalid value: \"nope\": must be a standard resource type or fully qualified", "hard[nope]: Invalid value: \"nope\": must be a standard resource for quota", "hard[storage]: Invalid value: \"storage\": must be a standard resource for quota"}},
		"amounts":   {corev1.ResourceQuotaSpec{Hard: list("pods", "1500m", "cpu", "-1")}, []string{"hard[pods]: Invalid value: \"1500m\": must be an integer", "hard[cpu]: Invalid value: \"-1\": must be greater than or equal to 0"}},
		"scope":     {corev1.ResourceQuotaSpec{Scopes: []corev1.ResourceQuotaScope{"Nope"}}, []string{"spec.scopes: Invalid value: [\"Nope\"]: unsupported scope"}},
		"conflict":  {corev1.ResourceQuotaSpec{Scopes: []corev1.ResourceQuotaScope{"Terminating", "NotTerminating"}}, []string{"conflicting scopes"}},
		"resource":  {corev1.ResourceQuotaSpec{Hard: list("cpu", "1"), Scopes: []corev1.ResourceQuotaScope{"BestEffort"}}, []string{"unsupported scope applied to resource"}},
		"operators": {corev1.ResourceQuotaSpec{ScopeSelector: selector(corev1.ScopedResourceSelectorRequirement{ScopeName: "BestEffort", Operator: "In"}, corev1.ScopedResourceSelectorRequirement{ScopeName: "PriorityClass", Operator: "Exists", Values: []string{"a"}}, corev1.ScopedResourceSelectorRequirement{ScopeName: "PriorityClass", Operator: "x"})}, []string{"matchExpressions.operator: Invalid value: \"In\": must be 'Exists' when scope is any of", "matchExpressions.values: Required value: must be at least one value", "matchExpressions.values: Invalid value: [\"a\"]: must be no value", "not a valid selector operator"}},
	} {
		t.Run(name, func(t *testing.T) {
			says(t, ResourceQuota().Rules.Validate(t.Context(), &corev1.ResourceQuota{Spec: tc.spec}), tc.want...)
		})
	}
	q := &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Scopes: []corev1.ResourceQuotaScope{"Terminating"}}}
	says(t, ResourceQuota().Rules.ValidateUpdate(t.Context(), q, &corev1.ResourceQuota{}), "spec.scopes: Invalid value: [\"Terminating\"]: field is immutable")
}

func TestQuotaShowsWhatIsUsed(t *testing.T) {
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Status: corev1.ResourceQuotaStatus{Hard: list("pods", "2", "limits.cpu", "1", "cpu", "1"), Used: list("pods", "1")}}
	if row := ResourceQuota().Columns.Row(q); !slices.Equal(row, []any{"q", "cpu: 0/1, pods: 1/2", "limits.cpu: 0/1", "<unknown>"}) {
		t.Errorf("row %v", row)
	}
}
