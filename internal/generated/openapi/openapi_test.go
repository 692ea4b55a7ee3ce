package openapi

import (
	"reflect"
	"testing"

	"k8s.io/kube-openapi/pkg/validation/spec"
)

// TestDefinitionFindsEveryModel fails where the models were generated without the function
// that finds one of them.
func TestDefinitionFindsEveryModel(t *testing.T) {
	ref := func(name string) spec.Ref { return spec.MustCreateRef("#/" + name) }
	for name, want := range GetOpenAPIDefinitions(ref) {
		if got, ok := Definition(name, ref); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: found %t, run go generate", name, ok)
		}
	}
	if _, ok := Definition("none", ref); ok {
		t.Error("found what there is not")
	}
}
