package podtemplate

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTemplates(t *testing.T) {
	d := Definition()
	old := &corev1.PodTemplate{ObjectMeta: metav1.ObjectMeta{Name: "t"}, Template: corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1"}}},
	}}
	d.Default(old)
	d.Rules.PrepareCreate(t.Context(), old)
	if errs := d.Rules.Validate(t.Context(), old); len(errs) > 0 || old.Generation != 1 || old.Template.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		t.Errorf("%v, %+v", errs, old)
	}
	same, other := old.DeepCopy(), old.DeepCopy()
	same.Annotations, other.Template.Spec.Containers[0].Name = map[string]string{"a": "b"}, "Wrong"
	d.Rules.PrepareUpdate(t.Context(), same, old)
	d.Rules.PrepareUpdate(t.Context(), other, old)
	if same.Generation != 1 || other.Generation != 2 {
		t.Errorf("generations %d, %d", same.Generation, other.Generation)
	}
	if errs := d.Rules.ValidateUpdate(t.Context(), other, old); len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), "template.spec.containers[0].name: ") {
		t.Errorf("%v", errs)
	}
	if row := d.Columns.Row(old); fmt.Sprint(row) != "[t c i:1 a=b]" || len(row) != len(d.Columns.Columns) {
		t.Errorf("row %v", row)
	}
}
