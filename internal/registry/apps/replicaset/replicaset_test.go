package replicaset

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// set is a ReplicaSet with defaults that change changes.
func set(change ...func(*appsv1.ReplicaSet)) *appsv1.ReplicaSet {
	web := map[string]string{"app": "web"}
	s := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"},
		Spec: appsv1.ReplicaSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: web},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: web}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}}},
		},
	}
	Definition().Default(s)
	for _, f := range change {
		f(s)
	}
	return s
}

func TestDefaults(t *testing.T) {
	s := set()
	if *s.Spec.Replicas != 1 || s.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyAlways || s.Labels != nil {
		t.Errorf("%+v", s)
	}
	none := set(func(s *appsv1.ReplicaSet) { s.Spec.Replicas = new(int32(0)) })
	Definition().Default(none)
	if *none.Spec.Replicas != 0 {
		t.Errorf("%d", *none.Spec.Replicas)
	}
}

func TestSetsThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		set  *appsv1.ReplicaSet
		want string
	}{
		"good":      {set(), ""},
		"less":      {set(func(s *appsv1.ReplicaSet) { s.Spec.Replicas = new(int32(-1)) }), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
		"too ready": {set(func(s *appsv1.ReplicaSet) { s.Spec.MinReadySeconds = -1 }), "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"},
		"no match":  {set(func(s *appsv1.ReplicaSet) { s.Spec.Template.Labels = nil }), "`selector` does not match template `labels`"},
	} {
		if errs := Definition().Rules.Validate(t.Context(), tc.set); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%s: %v, want %s", name, errs, tc.want)
		}
	}
	other := set(func(s *appsv1.ReplicaSet) {
		s.Spec.Selector.MatchLabels = map[string]string{"x": "y"}
		s.Spec.Template.Labels = map[string]string{"x": "y"}
	})
	if errs := fmt.Sprint(Definition().Rules.ValidateUpdate(t.Context(), other, set())); !strings.Contains(errs, "spec.selector: Invalid value: {\"matchLabels\":{\"x\":\"y\"}}: field is immutable") {
		t.Errorf("another selector: %s", errs)
	}
}

func TestGenerationAndStatus(t *testing.T) {
	d := Definition()
	s := set(func(s *appsv1.ReplicaSet) { s.Status.Replicas = 3 })
	d.Rules.PrepareCreate(t.Context(), s)
	if s.Generation != 1 || s.Status.Replicas != 0 {
		t.Errorf("a new one: %+v", s)
	}
	labelled, scaled := s.DeepCopy(), s.DeepCopy()
	labelled.Labels, labelled.Status.Replicas = map[string]string{"a": "b"}, 5
	scaled.Spec.Replicas = new(int32(7))
	d.Rules.PrepareUpdate(t.Context(), labelled, s)
	d.Rules.PrepareUpdate(t.Context(), scaled, s)
	if labelled.Generation != 1 || labelled.Status.Replicas != 0 || scaled.Generation != 2 {
		t.Errorf("generations %d and %d, status %+v", labelled.Generation, scaled.Generation, labelled.Status)
	}
	reported := scaled.DeepCopy()
	reported.Status = appsv1.ReplicaSetStatus{Replicas: 1, ReadyReplicas: 2}
	d.Status.PrepareUpdate(t.Context(), reported, s)
	if *reported.Spec.Replicas != 1 {
		t.Error("its status changes its spec")
	}
	if errs := fmt.Sprint(d.Status.ValidateUpdate(t.Context(), reported, s)); !strings.Contains(errs, "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas") {
		t.Errorf("more are ready than there are: %s", errs)
	}
}

func TestWarnings(t *testing.T) {
	d := Definition()
	s := set(func(s *appsv1.ReplicaSet) { s.Name = "web.1" })
	s.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(-1))
	if w := fmt.Sprint(d.Rules.WarnCreate(t.Context(), s)); !strings.Contains(w, "metadata.name: ") || !strings.Contains(w, "spec.template.spec.terminationGracePeriodSeconds: ") {
		t.Errorf("at creation: %s", w)
	}
	changed := s.DeepCopy()
	changed.Generation++
	if w := d.Rules.WarnUpdate(t.Context(), changed, s); len(w) != 1 {
		t.Errorf("at a change: %v", w)
	}
	if w := d.Rules.WarnUpdate(t.Context(), s, s); len(w) != 0 {
		t.Errorf("at none: %v", w)
	}
}

func TestTableAndScale(t *testing.T) {
	d := Definition()
	s := set(func(s *appsv1.ReplicaSet) {
		s.Spec.Replicas = new(int32(3))
		s.Status = appsv1.ReplicaSetStatus{Replicas: 2, ReadyReplicas: 1}
	})
	if row := d.Columns.Row(s); fmt.Sprint(row) != "[web 3 2 1 <unknown> c i:1 app=web]" || len(row) != len(d.Columns.Columns) {
		t.Errorf("row %v", row)
	}
	if got := d.Fields(s)["status.replicas"]; got != "2" {
		t.Errorf("status.replicas=%s", got)
	}
	d.Scaling.SetReplicas(s, 5)
	selector, err := d.Scaling.Selector(s)
	if d.Scaling.Replicas(s) != 5 || d.Scaling.Has(s) != 2 || selector != "app=web" || err != nil {
		t.Errorf("scale %d %d %q %v", d.Scaling.Replicas(s), d.Scaling.Has(s), selector, err)
	}
}
