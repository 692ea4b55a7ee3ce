package libplugin

import (
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
)

// Interfaces are o, but that objects are converted by being copied: a kind is its own
// internal version here (docs/decisions/0001-external-types-as-hub.md), for which the scheme
// knows no conversion.
func Interfaces(o admission.ObjectInterfaces) admission.ObjectInterfaces { return identical{o} }

type identical struct{ admission.ObjectInterfaces }

// GetObjectConvertor implements admission.ObjectInterfaces.
func (i identical) GetObjectConvertor() runtime.ObjectConvertor {
	return copying{i.ObjectInterfaces.GetObjectConvertor()}
}

type copying struct{ runtime.ObjectConvertor }

// Convert implements runtime.ObjectConvertor.
func (c copying) Convert(in, out, context any) error {
	obj, ok := in.(runtime.Object)
	if _, custom := in.(runtime.Unstructured); custom {
		ok = false // all versions of all custom resources are of one type
	}
	from, to := reflect.ValueOf(in), reflect.ValueOf(out)
	if !ok || from.Type() != to.Type() || from.Kind() != reflect.Pointer {
		return c.ObjectConvertor.Convert(in, out, context)
	}
	if to.IsNil() {
		return fmt.Errorf("converting %T into nothing", in)
	}
	to.Elem().Set(reflect.ValueOf(obj.DeepCopyObject()).Elem())
	return nil
}
