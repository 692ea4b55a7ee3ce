package podfields

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Finding is a field of a pod spec that is set and not honoured.
type Finding struct {
	// Path is the field's path from the spec on, such as
	// "spec.containers[0].resizePolicy".
	Path string
	// Blocks is true when the pod must not start with this field ignored.
	Blocks bool
	// Message says what does not happen, for people.
	Message string
}

// changes says what a field changes that is not honoured as upstream does.
func changes(path string) string {
	what := partly[path]
	if i := strings.LastIndexByte(path, '['); i >= 0 && what == "" && !unenforced[path] {
		what = partly[path[:i]+"[*]"]
	}
	return what
}

// String returns the finding as a sentence with its path.
func (f Finding) String() string { return f.Path + ": " + f.Message }

// Unhonoured returns the fields of spec that are set and not honoured, in the order
// of the API's types. It never panics and does not keep spec.
func Unhonoured(spec *corev1.PodSpec) []Finding {
	w := walk{}
	w.structure(reflect.ValueOf(*spec), "", "spec")
	return w.findings
}

// Blocking returns those findings of Unhonoured that keep a pod from starting.
func Blocking(spec *corev1.PodSpec) []Finding {
	return slices.DeleteFunc(Unhonoured(spec), func(f Finding) bool { return !f.Blocks })
}

// known holds honoured, and parents every path above one of its fields.
var known, parents = index(honoured, neutral)

func index(honoured []string, neutral map[string][]any) (known, parents map[string]bool) {
	known, parents = map[string]bool{}, map[string]bool{}
	above := func(path string) {
		for i, r := range path {
			if r == '.' || r == '[' {
				parents[path[:i]] = true
			}
			if r == ']' {
				parents[path[:i+1]] = true
			}
		}
	}
	for _, path := range honoured {
		known[path] = true
		above(path)
	}
	for path := range neutral {
		above(path)
	}
	return known, parents
}

// decided is the path under which the tables decide about a field: fields of init and
// ephemeral containers have the fate of the same field of other containers.
func decided(path string) string {
	if known[path] || parents[path] {
		return path
	}
	for _, list := range []string{"initContainers", "ephemeralContainers"} {
		if rest, ok := strings.CutPrefix(path, list); ok {
			return "containers" + rest
		}
	}
	return path
}

// walk goes through the fields of a value that are set. path is a field's path as
// the table writes it, at is the same with indexes and from "spec" on.
type walk struct {
	findings []Finding
}

func (w *walk) structure(v reflect.Value, path, at string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch value := v.Field(i); {
		case name == "-" || value.IsZero():
		case name == "": // inlined
			w.inlined(value, path, at)
		case path == "":
			w.value(value, name, at+"."+name)
		default:
			w.value(value, path+"."+name, at+"."+name)
		}
	}
}

func (w *walk) inlined(v reflect.Value, path, at string) {
	if v.Kind() == reflect.Struct {
		w.structure(v, path, at)
	}
}

func (w *walk) value(v reflect.Value, path, at string) {
	path = decided(path)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch {
	case known[path] || isNeutral(path, v):
	case isEmpty(v):
	case !parents[path]:
		w.add(path, at)
	case v.Kind() == reflect.Struct:
		w.structure(v, path, at)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			w.value(v.Index(i), path+"[]", fmt.Sprintf("%s[%d]", at, i))
		}
	case v.Kind() == reflect.Map:
		w.keys(v, path, at)
	default:
		w.add(path, at)
	}
}

func (w *walk) keys(v reflect.Value, path, at string) {
	names := map[string]bool{}
	for _, key := range v.MapKeys() {
		names[key.String()] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if suffix := "[" + name + "]"; !known[path+suffix] {
			w.add(path+suffix, at+suffix)
		}
	}
}

func isEmpty(v reflect.Value) bool {
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}

func (w *walk) add(path, at string) {
	why, blocks := outcome(path)
	message := "this field is not honoured by Laterna"
	if blocks {
		message += ": " + why + ", and the pod does not start"
	} else if what := changes(path); what != "" {
		message = what
	}
	w.findings = append(w.findings, Finding{Path: at, Blocks: blocks, Message: message})
}

// outcome tells whether a field that is not honoured keeps a pod from starting, and why.
func outcome(path string) (why string, blocks bool) {
	if why, blocks = blocking[path]; blocks {
		return why, true
	}
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		why, blocks = blocking[path[:i]+".*"]
	}
	return why, blocks
}
