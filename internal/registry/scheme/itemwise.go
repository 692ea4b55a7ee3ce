package scheme

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// itemwise writes a list item by item in an encoding that the library can only write
// whole: YAML, and the indented JSON that browsers and curl get. The bytes are the
// same.
type itemwise struct {
	runtime.Serializer
	form form
}

// form is how a list is put together from its items.
type form struct {
	// whole encodes a list.
	whole func(runtime.Object) ([]byte, error)
	// item encodes one item as it stands in the list, without what separates it from
	// others.
	item func(runtime.Object) ([]byte, error)
	// empty is how an empty list of items stands in a list, with the ends of the lines
	// around it so that it is found nowhere else.
	empty string
	// open, between and end stand around the items in place of empty.
	open, between, end string
}

var prettyForm = form{
	whole:   func(list runtime.Object) ([]byte, error) { return json.MarshalIndent(list, "", "  ") },
	item:    func(o runtime.Object) ([]byte, error) { return json.MarshalIndent(o, "    ", "  ") },
	empty:   "\n  \"items\": []\n}",
	open:    "\n  \"items\": [\n    ",
	between: ",\n    ",
	end:     "\n  ]\n}",
}

var yamlForm = form{
	whole: func(list runtime.Object) ([]byte, error) { return yaml.Marshal(list) },
	// A sequence is not indented in the mapping that holds it.
	item:  func(o runtime.Object) ([]byte, error) { return yaml.Marshal([]runtime.Object{o}) },
	empty: "\nitems: []\n",
	open:  "\nitems:\n",
}

// Encode implements runtime.Encoder.
func (e itemwise) Encode(obj runtime.Object, w io.Writer) error {
	shell, items, ok := takeApart(obj)
	if !ok {
		return e.Serializer.Encode(obj, w)
	}
	around, err := e.form.whole(shell)
	if err != nil {
		return err
	}
	before, after, ok := bytes.Cut(around, []byte(e.form.empty))
	if !ok {
		return e.Serializer.Encode(obj, w)
	}
	if _, err := w.Write(slices.Concat(before, []byte(e.form.open))); err != nil {
		return err
	}
	for i := range items.Len() {
		item, ok := items.Index(i).Addr().Interface().(runtime.Object)
		if !ok {
			return fmt.Errorf("encoding a list: an item is a %s", items.Index(i).Type())
		}
		text, err := e.form.item(item)
		if err != nil {
			return err
		}
		if i+1 < items.Len() {
			text = append(text, e.form.between...)
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	_, err = w.Write(slices.Concat([]byte(e.form.end), after))
	return err
}

// objectType is what items must be.
var objectType = reflect.TypeFor[runtime.Object]()

// takeApart returns a list without its items, and its items, of which there is at
// least one. It is false for what is not a list in the usual shape: type, metadata
// and items, of which JSON puts the items last.
func takeApart(obj runtime.Object) (shell runtime.Object, items reflect.Value, ok bool) {
	if _, own := obj.(json.Marshaler); own || !meta.IsListType(obj) {
		return nil, items, false
	}
	list := reflect.Indirect(reflect.ValueOf(obj))
	t := list.Type()
	if t.Kind() != reflect.Struct || t.NumField() != 3 || t.Field(0).Type != reflect.TypeFor[metav1.TypeMeta]() ||
		t.Field(1).Type != reflect.TypeFor[metav1.ListMeta]() || t.Field(2).Tag.Get("json") != "items" {
		return nil, items, false
	}
	items = list.Field(2)
	if items.Kind() != reflect.Slice || items.Len() == 0 || !reflect.PointerTo(items.Type().Elem()).Implements(objectType) {
		return nil, items, false
	}
	copied := reflect.New(t)
	copied.Elem().Set(list)
	copied.Elem().Field(2).Set(reflect.MakeSlice(items.Type(), 0, 0))
	shell, ok = copied.Interface().(runtime.Object)
	return shell, items, ok
}
