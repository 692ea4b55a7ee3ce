package projection_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"laterna.dev/laterna/projection"
)

// TestOptionalSourcesComeAndGo follows a projected volume through the life of its
// sources: files appear, give way to later sources and come back.
func TestOptionalSourcesComeAndGo(t *testing.T) {
	objects := map[string]*corev1.ConfigMap{}
	sources := projection.Sources{ConfigMap: func(name string) (*corev1.ConfigMap, error) {
		if c := objects[name]; c != nil {
			return c, nil
		}
		return nil, apierrors.NewNotFound(corev1.Resource("configmap"), name)
	}}
	volume := parse[corev1.Volume](t, `projected: {sources: [
		{configMap: {name: base, optional: true}},
		{configMap: {name: override, optional: true, items: [{key: a, path: a}, {key: extra, path: d/extra}]}}]}`)
	for _, step := range []struct {
		what           string
		base, override map[string]string
		want           string
	}{
		{"nothing is there", nil, nil, ""},
		{"the first appears", map[string]string{"a": "1", "b": "1"}, nil, "a 0644 -:- 1\nb 0644 -:- 1"},
		{"the second takes a path", map[string]string{"a": "1", "b": "1"}, map[string]string{"a": "2"}, "a 0644 -:- 2\nb 0644 -:- 1"},
		{"its optional key appears", map[string]string{"a": "1"}, map[string]string{"a": "2", "extra": "2"}, "a 0644 -:- 2\nd/extra 0644 -:- 2"},
		{"the first goes", nil, map[string]string{"a": "2"}, "a 0644 -:- 2"},
		{"it comes back and the second goes", map[string]string{"a": "3"}, nil, "a 0644 -:- 3"},
		{"all go", nil, nil, ""},
	} {
		for name, data := range map[string]map[string]string{"base": step.base, "override": step.override} {
			delete(objects, name)
			if data != nil {
				objects[name] = &corev1.ConfigMap{Data: data}
			}
		}
		tree, err := projection.Volume(&corev1.Pod{}, volume, sources)
		if err != nil || show(tree) != step.want {
			t.Errorf("%s: %q, %v; want %q", step.what, show(tree), err, step.want)
		}
	}
}

// TestNoPathOfTheMachine holds that a tree has nothing of the machine's separator: the
// same pod gives the same tree everywhere.
func TestNoPathOfTheMachine(t *testing.T) {
	tree, err := projection.Volume(&corev1.Pod{}, parse[corev1.Volume](t, "secret: {secretName: s, items: [{key: user, path: a/b/c}]}"), store)
	if err != nil || tree.Files[0].Path != "a/b/c" {
		t.Errorf("%v, %v", tree, err)
	}
}
