package resource

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func manager(name, fields string, seconds int64) metav1.ManagedFieldsEntry {
	at := metav1.NewTime(time.Unix(seconds, 0))
	return metav1.ManagedFieldsEntry{Manager: name, Operation: metav1.ManagedFieldsOperationApply, Time: &at, FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}
}

func TestManagersOfAnUnchangedObjectKeepTheirOrder(t *testing.T) {
	object := func(data string, managers ...metav1.ManagedFieldsEntry) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c", ManagedFields: managers}, Data: map[string]string{"k": data}}
	}
	old := object("v", manager("a", "{}", 1), manager("b", `{"f:x":{}}`, 1))
	old.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}
	for name, tc := range map[string]struct {
		obj  *corev1.ConfigMap
		want string
	}{
		"in order":        {object("v", manager("a", "{}", 1), manager("b", `{"f:x":{}}`, 2)), "ab"},
		"moved":           {object("v", manager("b", `{"f:x":{}}`, 1), manager("a", "{}", 2)), "ab"},
		"other content":   {object("w", manager("b", `{"f:x":{}}`, 1), manager("a", "{}", 2)), "ba"},
		"other fields":    {object("v", manager("b", `{"f:y":{}}`, 1), manager("a", "{}", 2)), "ba"},
		"one more":        {object("v", manager("b", `{"f:x":{}}`, 1), manager("a", "{}", 2), manager("c", "{}", 2)), "bac"},
		"another":         {object("v", manager("c", `{"f:x":{}}`, 1), manager("a", "{}", 2)), "ca"},
		"the same twice":  {object("v", manager("a", "{}", 1), manager("a", "{}", 2)), "aa"},
		"nobody any more": {object("v"), ""},
	} {
		unchanged(tc.obj, old)
		got := ""
		for _, m := range tc.obj.ManagedFields {
			got += m.Manager
		}
		if got != tc.want || tc.obj.TypeMeta != old.TypeMeta {
			t.Errorf("%s: managers %q, want %q; %v", name, got, tc.want, tc.obj.TypeMeta)
		}
	}
}
