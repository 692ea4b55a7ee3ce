package priorityclass

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func class(name string, value int32) *schedulingv1.PriorityClass {
	return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value}
}

func TestClassesThatAreRefused(t *testing.T) {
	odd, everybody := class("a", 1), class("system-node-critical", 2000001000)
	odd.PreemptionPolicy = new(corev1.PreemptionPolicy("Sometimes"))
	everybody.GlobalDefault = true
	const reservedName = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: "
	for name, tc := range map[string]struct {
		class *schedulingv1.PriorityClass
		want  string
	}{
		"good":            {class("high", 1_000_000_000), ""},
		"below nothing":   {class("low", -2_000_000_000), ""},
		"too high":        {class("higher", 1_000_000_001), "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"},
		"of the system":   {class("system-node-critical", 2000001000), ""},
		"another value":   {class("system-node-critical", 5), reservedName + "value of system-node-critical PriorityClass must be 2000001000"},
		"for everybody":   {everybody, reservedName + "globalDefault of system-node-critical PriorityClass must be false"},
		"reserved":        {class("system-mine", 5), reservedName + "system-mine is not a known system priority class"},
		"an odd policy":   {odd, `preemptionPolicy: Unsupported value: "Sometimes": supported values: "PreemptLowerPriority", "Never"`},
		"system, ordered": {System()[0], ""},
	} {
		if errs := validate(tc.class); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%s: %v, want %s", name, errs, tc.want)
		}
	}
}

func TestWhatPodsWereToldStays(t *testing.T) {
	d := Definition()
	old := class("a", 1)
	d.Default(old)
	if *old.PreemptionPolicy != corev1.PreemptLowerPriority {
		t.Errorf("by default %q", *old.PreemptionPolicy)
	}
	same, other := old.DeepCopy(), old.DeepCopy()
	same.Description, same.GlobalDefault = "text", true
	other.Value, other.PreemptionPolicy = 2, new(corev1.PreemptNever)
	if errs := d.Rules.ValidateUpdate(t.Context(), same, old); len(errs) != 0 {
		t.Errorf("another text: %v", errs)
	}
	errs := fmt.Sprint(d.Rules.ValidateUpdate(t.Context(), other, old))
	for _, want := range []string{"value: Forbidden: may not be changed in an update.", `preemptionPolicy: Invalid value: "Never": field is immutable`} {
		if !strings.Contains(errs, want) {
			t.Errorf("another value: %s, want %s", errs, want)
		}
	}
	if row := d.Columns.Row(other); fmt.Sprint(row) != "[a 2 false <unknown> Never]" || len(row) != len(d.Columns.Columns) {
		t.Errorf("row %v", row)
	}
}
