package downward

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestDivisors(t *testing.T) {
	bytes := strings.Split(byteDivisors, ", ")
	for _, c := range []struct {
		resource, what string
		right, wrong   []string
	}{
		{"limits.cpu", "cpu", []string{"0", "1m", "1", "1000m"}, []string{"2", "1k", "-1"}},
		{"requests.memory", "memory", append([]string{"0", "1000", "1024Ki"}, bytes...), []string{"1m", "2", "3Mi", "-1"}},
		{"limits.ephemeral-storage", "local ephemeral storage", bytes, []string{"2Gi"}},
		{"requests.hugepages-2Mi", "hugepages", bytes, []string{"2Mi"}},
	} {
		check := func(divisor string) field.ErrorList {
			ref := &corev1.ResourceFieldSelector{Resource: c.resource, Divisor: resource.MustParse(divisor)}
			return ValidateResourceRef(ref, field.NewPath("r"), false)
		}
		for _, divisor := range c.right {
			if errs := check(divisor); len(errs) > 0 {
				t.Errorf("%s by %s: %v", c.resource, divisor, errs)
			}
		}
		for _, divisor := range c.wrong {
			errs := check(divisor)
			if len(errs) != 1 || errs[0].Field != "r.divisor" || !strings.HasSuffix(errs[0].Detail, "are supported with the "+c.what+" resource") {
				t.Errorf("%s by %s: %v", c.resource, divisor, errs)
			}
		}
	}
	// What is wrong with an unknown resource is its name, not what divides it.
	if errs := ValidateResourceRef(&corev1.ResourceFieldSelector{Resource: "limits.x", Divisor: resource.MustParse("7")}, field.NewPath("r"), false); len(errs) != 1 || errs[0].Field != "r.resource" {
		t.Errorf("an unknown resource: %v", errs)
	}
}

func TestSubscripts(t *testing.T) {
	for label, want := range map[string][2]string{
		"metadata.labels['a']": {"metadata.labels", "a"}, "metadata.labels['a.b/c']": {"metadata.labels", "a.b/c"}, "metadata.labels['']": {"metadata.labels", ""},
		"metadata.labels['a['b']": {"metadata.labels", "a['b"},
	} {
		if name, key, ok := splitSubscript(label); !ok || name != want[0] || key != want[1] {
			t.Errorf("%s: %q, %q, %v", label, name, key, ok)
		}
	}
	for _, label := range []string{"", "metadata.labels", "['a']", "metadata.labels[a]", "metadata.labels['a'", "metadata.labels'a']", "metadata.labels['a'].b"} {
		if name, _, ok := splitSubscript(label); ok || name != label {
			t.Errorf("%s is split at %q", label, name)
		}
	}
	if errs := ValidateFieldRef(&corev1.ObjectFieldSelector{FieldPath: "metadata.name"}, VolumeFieldPaths, field.NewPath("f")); len(errs) != 1 || errs[0].Error() != "f.apiVersion: Required value" {
		t.Errorf("a reference without a version: %v", errs)
	}
}

// FuzzFieldRef takes field paths as users write them: what is accepted is a known field,
// or one label or annotation with a key that could be one.
func FuzzFieldRef(f *testing.F) {
	for _, path := range append([]string{"metadata.labels['a']", "metadata.annotations['A/b']", "spec.host", "metadata.name['x']", "['", "a['b']"}, podFieldPaths...) {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		ref := &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}
		if len(ValidateFieldRef(ref, EnvFieldPaths, nil)) > 0 {
			return
		}
		rest, labels := strings.CutPrefix(path, "metadata.labels['")
		if !labels {
			rest, labels = strings.CutPrefix(path, "metadata.annotations['")
		}
		if labels && len(rest) > 2 && strings.HasSuffix(rest, "']") {
			return
		}
		for _, known := range append([]string{"spec.host"}, EnvFieldPaths...) {
			if path == known {
				return
			}
		}
		t.Errorf("%q is accepted", path)
	})
}
