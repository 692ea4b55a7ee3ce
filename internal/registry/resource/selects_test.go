package resource

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

func TestSelects(t *testing.T) {
	labelled, named := labels.SelectorFromSet(labels.Set{"a": "b"}), fields.OneTermEqualSelector("metadata.name", "one")
	one := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "one", Labels: map[string]string{"a": "b"}}}
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "other", Labels: map[string]string{"a": "b"}}}
	plain := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "one"}}
	for what, c := range map[string]struct {
		options *internalversion.ListOptions
		want    [3]bool // one, other, plain
	}{
		"nothing":  {nil, [3]bool{true, true, true}},
		"no terms": {&internalversion.ListOptions{}, [3]bool{true, true, true}},
		"labels":   {&internalversion.ListOptions{LabelSelector: labelled}, [3]bool{true, true, false}},
		"a name":   {&internalversion.ListOptions{FieldSelector: named}, [3]bool{true, false, true}},
		"both":     {&internalversion.ListOptions{LabelSelector: labelled, FieldSelector: named}, [3]bool{true, false, false}},
	} {
		is := Selects[*corev1.ConfigMap](c.options)
		if got := [3]bool{is(one), is(other), is(plain)}; got != c.want {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}
