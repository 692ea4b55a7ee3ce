package storageversionmigration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func of(group, resource string) *migration {
	return &migration{Spec: storagemigrationv1.StorageVersionMigrationSpec{Resource: metav1.GroupResource{Group: group, Resource: resource}}}
}

func TestMigrationsThatAreRefused(t *testing.T) {
	rules := Definition().Rules
	for m, want := range map[*migration]string{
		of("", "foos"): "<nil>", of("a.b", "foos"): "<nil>",
		of("", ""):      "spec.resource.resource: Required value: resource is required to be set",
		of("", "a/b"):   "spec.resource.resource: Invalid value",
		of("A", "foos"): "spec.resource.group: Invalid value",
	} {
		if got := fmt.Sprint(rules.Validate(t.Context(), m).ToAggregate()); !strings.Contains(got, want) {
			t.Errorf("%v: %s, want %s", m.Spec, got, want)
		}
	}
	if errs := rules.ValidateUpdate(t.Context(), of("", "a"), of("", "b")); len(errs) != 1 {
		t.Errorf("another resource: %v", errs)
	}
	if row := Definition().Columns.Row(of("a.b", "foos")); row[1] != "foos.a.b" {
		t.Errorf("row %v", row)
	}
}

func TestStatusOfMigrations(t *testing.T) {
	at := func(version string, types ...storagemigrationv1.MigrationConditionType) *migration {
		m := of("", "foos")
		m.Status.ResourceVersion = version
		for _, t := range types {
			m.Status.Conditions = append(m.Status.Conditions, metav1.Condition{Type: string(t), Status: metav1.ConditionTrue, Reason: "A", LastTransitionTime: metav1.NewTime(time.Unix(1, 0))})
		}
		return m
	}
	for name, tc := range map[string]struct {
		now, old *migration
		want     string
	}{
		"good":        {at("1", "Succeeded"), at("", "Running"), "<nil>"},
		"no version":  {at("x"), at(""), "status.resourceVersion: Invalid value"},
		"another":     {at("2"), at("1"), "status.resourceVersion: Invalid value: \"2\": field is immutable"},
		"both":        {at("", "Succeeded", "Failed"), at(""), "Both success and failed conditions cannot be true at the same time"},
		"running":     {at("", "Succeeded", "Running"), at(""), "Running condition cannot be true when success condition is true"},
		"failing":     {at("", "Failed", "Running"), at(""), "Running condition cannot be true when failed condition is true"},
		"no success":  {at(""), at("", "Succeeded"), "Success condition cannot be set to false once it is true"},
		"not failing": {at(""), at("", "Failed"), "Failed condition cannot be set to false once it is true"},
	} {
		if got := fmt.Sprint(validateStatus(tc.now, tc.old).ToAggregate()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}
