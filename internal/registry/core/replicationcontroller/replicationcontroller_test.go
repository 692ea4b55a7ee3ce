package replicationcontroller

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
)

// controller is one with defaults that change changes.
func controller(change ...func(*corev1.ReplicationController)) *corev1.ReplicationController {
	c := &corev1.ReplicationController{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"},
		Spec: corev1.ReplicationControllerSpec{Template: &corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}},
		}},
	}
	for _, f := range change {
		f(c)
	}
	Definition().Default(c)
	return c
}

func TestSelectorAndLabelsAreThoseOfTheTemplate(t *testing.T) {
	c := controller()
	if *c.Spec.Replicas != 1 || c.Spec.Selector["app"] != "web" || c.Labels["app"] != "web" {
		t.Errorf("%+v", c)
	}
	c.Labels["app"], c.Spec.Selector["app"] = "x", "y"
	if c.Spec.Template.Labels["app"] != "web" {
		t.Error("they are one map")
	}
	c = controller(func(c *corev1.ReplicationController) {
		c.Labels, c.Spec.Selector = map[string]string{"a": "b"}, map[string]string{"c": "d"}
	})
	if c.Labels["app"] != "" || c.Spec.Selector["app"] != "" {
		t.Errorf("given ones are changed: %+v", c)
	}
}

func TestControllersThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		c    *corev1.ReplicationController
		want string
	}{
		"good":        {controller(), ""},
		"less":        {controller(func(c *corev1.ReplicationController) { c.Spec.Replicas = new(int32(-1)) }), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
		"no template": {controller(func(c *corev1.ReplicationController) { c.Spec.Template = nil }), "spec.template: Required value"},
		"no selector": {controller(func(c *corev1.ReplicationController) { c.Spec.Template.Labels = nil }), "spec.selector: Required value"},
		"no match": {controller(func(c *corev1.ReplicationController) { c.Spec.Selector = map[string]string{"x": "y"} }),
			"spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`"},
		"a deadline": {controller(func(c *corev1.ReplicationController) { c.Spec.Template.Spec.ActiveDeadlineSeconds = new(int64(1)) }),
			"activeDeadlineSeconds in ReplicationController is not Supported"},
	} {
		if errs := Definition().Rules.Validate(t.Context(), tc.c); (tc.want == "") != (len(errs) == 0) || !strings.Contains(fmt.Sprint(errs), tc.want) {
			t.Errorf("%s: %v, want %s", name, errs, tc.want)
		}
	}
	// Its selector may change, as nobody else's.
	other := controller(func(c *corev1.ReplicationController) { c.Spec.Template.Labels = map[string]string{"x": "y"} })
	if errs := Definition().Rules.ValidateUpdate(t.Context(), other, controller()); len(errs) > 0 {
		t.Errorf("another selector: %v", errs)
	}
}

func TestGenerationStatusTableAndScale(t *testing.T) {
	d := Definition()
	c := controller()
	d.Rules.PrepareCreate(t.Context(), c)
	scaled := c.DeepCopy()
	d.Scaling.SetReplicas(scaled, 3)
	scaled.Status = corev1.ReplicationControllerStatus{Replicas: 5}
	d.Rules.PrepareUpdate(t.Context(), scaled, c)
	if c.Generation != 1 || scaled.Generation != 2 || scaled.Status.Replicas != 0 {
		t.Errorf("%+v, then %+v", c, scaled)
	}
	scaled.Status = corev1.ReplicationControllerStatus{Replicas: 2, ReadyReplicas: 1}
	if errs := d.Status.ValidateUpdate(t.Context(), scaled, c); len(errs) > 0 {
		t.Errorf("a status: %v", errs)
	}
	if row := d.Columns.Row(scaled); fmt.Sprint(row) != "[web 3 2 1 <unknown> c i:1 app=web]" || len(row) != len(d.Columns.Columns) {
		t.Errorf("row %v", row)
	}
	if selector, err := d.Scaling.Selector(scaled); selector != "app=web" || err != nil || d.Scaling.Has(scaled) != 2 || d.Fields(scaled)["status.replicas"] != "2" {
		t.Errorf("scale %q, %v", selector, err)
	}
	if d.Rules.Dependents != rest.OrphanDependents {
		t.Errorf("its pods are %s", d.Rules.Dependents)
	}
}
