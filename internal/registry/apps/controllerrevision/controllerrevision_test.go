package controllerrevision

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func revision(data string, n int64) *appsv1.ControllerRevision {
	return &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: "web-1"}, Data: runtime.RawExtension{Raw: []byte(data)}, Revision: n}
}

func TestRevisionsKeepTheirData(t *testing.T) {
	rules := Definition().Rules
	for name, tc := range map[string]struct {
		now, old *appsv1.ControllerRevision
		want     string
	}{
		"right":      {revision(`{"a":1}`, 1), nil, ""},
		"no data":    {revision("", 1), nil, "data: Required value: data is mandatory"},
		"null":       {revision(" null ", 1), nil, "data: Required value: data is mandatory"},
		"negative":   {revision("{}", -1), nil, "revision: Invalid value: -1: must be greater than or equal to 0"},
		"raised":     {revision("{}", 2), revision("{}", 1), ""},
		"as written": {revision(`{"b": 1, "a":"<"}`, 1), revision(`{"a":"\u003c","b":1}`, 1), ""},
		"other data": {revision(`{"a":2}`, 1), revision(`{"a":1}`, 1), "field is immutable"},
	} {
		if tc.old != nil {
			rules.PrepareUpdate(t.Context(), tc.now, tc.old)
		}
		errs := rules.Validate(t.Context(), tc.now)
		if tc.old != nil {
			errs = rules.ValidateUpdate(t.Context(), tc.now, tc.old)
		}
		if got := fmt.Sprint(errs.ToAggregate()); (tc.want == "") != (len(errs) == 0) || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestShownWithTheController(t *testing.T) {
	r := revision("{}", 3)
	columns := Definition().Columns
	if row := columns.Row(r); fmt.Sprint(row) != "[web-1 <none> 3 <unknown>]" || len(row) != len(columns.Columns) {
		t.Errorf("row %v", row)
	}
	r.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "web", Controller: new(true)}}
	if got := controller(r); got != "statefulset.apps/web" {
		t.Error(got)
	}
}
