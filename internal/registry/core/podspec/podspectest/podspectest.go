// Package podspectest checks what is said of pod specs, for the tests of podspec and of
// the packages below it: a spec is defaulted and validated whole, as the API does, so
// that paths and order of the errors are those that users see.
package podspectest

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"

	"laterna.dev/laterna/internal/registry/core/podspec"
	"laterna.dev/laterna/internal/registry/core/podspec/volumes"
)

// Base is a right spec; tests add to its container or to the spec.
const Base = `
serviceAccountName: sa
containers:
- name: main
  image: i
`

// In is Base with text, a container's fields in flow style, in its container.
func In(text string) string { return Base + "  " + text + "\n" }

// With is Base with text, lines of the spec, beside the containers.
func With(text string) string { return Base + text + "\n" }

// Label is what is said of a wrong DNS label.
const Label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"

// Domain is what is said of a wrong DNS subdomain.
const Domain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"

// Qualified is what is said of a wrong qualified name.
const Qualified = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

// Case is a spec, as YAML, and the errors that it must give, each exactly.
type Case struct {
	name, spec string
	want       []string
}

// Wrong makes a case; without errors the spec must be right.
func Wrong(name, spec string, want ...string) Case { return Case{name, spec, want} }

// Run defaults and validates the spec of each case as that of a pod named "pod", and
// compares the errors.
func Run(t *testing.T, cases ...Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Helper()
			pod := &corev1.Pod{Spec: *Parse[corev1.PodSpec](t, c.spec)}
			pod.Name = "pod"
			podspec.SetPodDefaults(pod)
			before := pod.DeepCopy()
			o := podspec.Options{Pod: true, Volumes: volumes.Options{PodName: pod.Name}}
			Compare(t, podspec.ValidateSpec(&pod.Spec, field.NewPath("spec"), o), c.want)
			if before.String() != pod.String() {
				t.Error("validation changed the pod")
			}
		})
	}
}

// Compare requires errs to read as want, in that order.
func Compare(t *testing.T, errs field.ErrorList, want []string) {
	t.Helper()
	var got []string
	for _, err := range errs {
		got = append(got, err.Error())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// Parse reads an object from YAML and ends the test when it has unknown fields.
func Parse[T any](t *testing.T, text string) *T {
	t.Helper()
	obj := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return obj
}
