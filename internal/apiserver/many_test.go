package apiserver_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/bounds"
)

// What one request may cost, in time of the processors and in bytes allocated (not held),
// client and store included. Without bounds on lists and errors it is ten times as much,
// and minutes and tens of gigabytes for a body of 3 MiB.
const (
	mostCPU, mostCPUFull     = 2 * time.Second, 8 * time.Second
	mostAlloc, mostAllocFull = 150 << 20, 800 << 20
)

// full are the places that are sent as full as a body can be. The others get enough
// elements to tell what grows with the square of their number: some kinds have hundreds.
var full = map[string]bool{
	"SelfSubjectAccessReview spec.resourceAttributes.labelSelector.requirements": true,
	"ConfigMap data":                true,
	"ConfigMap metadata.labels":     true,
	"ConfigMap metadata.finalizers": true,
	"Pod spec.nodeSelector":         true,
	"Pod spec.containers":           true,
	"Role rules[].resourceNames":    true,
}

// served is a resource that takes a body.
type served struct {
	path    string // of the collection, or of the subresource of an object
	method  string
	kind    schema.GroupVersionKind
	goType  reflect.Type
	patches bool
}

// place is a list or map in an object.
type place struct {
	in    reflect.Type // the struct that has it
	steps []string     // names; "[]" goes into the only element of a list
	t     reflect.Type
	key   string // by which elements are told apart
}

func (p place) String() string { return strings.ReplaceAll(strings.Join(p.steps, "."), ".[]", "[]") }

// TestManyElements sends, for every kind that is served, each of its lists and maps with
// as many elements as fit and with as many as are allowed. What several kinds share, such
// as the metadata, is sent once a method; with LATERNA_SOAK for each of them.
func TestManyElements(t *testing.T) {
	s := boot(t, t.TempDir())
	client := s.privileged()
	for _, e := range existing {
		if code, raw := s.fetch(client, "POST", e.path, strings.NewReader(e.body), "Content-Type", "application/json"); code != http.StatusCreated {
			t.Fatalf("%s: %d %s", e.path, code, raw)
		}
	}
	left := maps.Clone(full)
	sent := map[string]bool{}
	for _, r := range s.served() {
		t.Run(strings.ReplaceAll(r.method+r.path, "/", "."), func(t *testing.T) {
			places := placesOf(r.goType)
			if len(places) == 0 {
				t.Errorf("%s has no lists", r.kind)
			}
			for _, p := range places {
				name := r.kind.Kind + " " + p.String()
				again := fmt.Sprintf("%s %v %s", r.method, p.in, p.steps[len(p.steps)-1])
				if sent[again] && !full[name] && os.Getenv("LATERNA_SOAK") == "" {
					continue
				}
				sent[again] = true
				for what, elements := range p.elements(full[name]) {
					s.sendMany(t, client, r, p, what, elements, full[name])
				}
				delete(left, name)
			}
		})
	}
	if len(left) > 0 {
		t.Errorf("not served: %v", left)
	}
}

// existing are objects that subresources need, in the order in which they are made: a
// pod needs its account.
var existing = []struct{ path, body string }{
	{"/api/v1/namespaces/default/serviceaccounts", `{"metadata":{"name":"default"}}`},
	{"/api/v1/namespaces/default/pods", `{"metadata":{"name":"x"},"spec":{"containers":[{"name":"c","image":"i:1"}]}}`},
	{"/api/v1/namespaces/default/persistentvolumeclaims", `{"metadata":{"name":"x"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1"}}}}`},
	{"/apis/apps/v1/namespaces/default/daemonsets", `{"metadata":{"name":"x"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}}}}`},
	{"/apis/apps/v1/namespaces/default/statefulsets", `{"metadata":{"name":"x"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}}}}`},
	{"/api/v1/namespaces/default/services", `{"metadata":{"name":"x"},"spec":{"ports":[{"port":1}]}}`},
	{"/api/v1/namespaces", `{"metadata":{"name":"x"}}`},
	{"/api/v1/nodes", `{"metadata":{"name":"x"}}`},
}

// objectOf names the object whose subresource is written.
func objectOf(resource string) string {
	if resource == "serviceaccounts" {
		return "default"
	}
	return "x"
}

// served lists what the discovery documents say can be created or written.
func (s *system) served() []served {
	s.t.Helper()
	sch, err := registry.Kinds().Scheme()
	must(s.t, err)
	_, lists, err := s.admin().Discovery().ServerGroupsAndResources()
	must(s.t, err)
	var all []served
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		must(s.t, err)
		for _, r := range list.APIResources {
			out := served{kind: gv.WithKind(r.Kind), method: "POST", patches: slices.Contains(r.Verbs, "patch")}
			if r.Group != "" || r.Version != "" {
				out.kind = schema.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
			}
			name, sub, isSub := strings.Cut(r.Name, "/")
			switch {
			case slices.Contains([]string{"exec", "attach", "log", "portforward", "proxy"}, sub):
				continue // no object in the body
			case slices.Contains(r.Verbs, "create"):
			case slices.Contains(r.Verbs, "update"):
				out.method = "PUT"
			default:
				continue
			}
			root := "/apis/" + list.GroupVersion
			if gv.Group == "" {
				root = "/api/v1"
			}
			if r.Namespaced {
				root += "/namespaces/default"
			}
			out.path = root + "/" + name
			if isSub {
				out.path += "/" + objectOf(name) + "/" + sub
			} else if out.method == "PUT" {
				out.path += "/cluster"
			}
			obj, err := sch.New(out.kind)
			must(s.t, err)
			out.goType = reflect.TypeOf(obj).Elem()
			all = append(all, out)
		}
	}
	return all
}

// placesOf returns the lists and maps in a type. What is reached in several ways (the
// containers of a pod) is returned once: it is the same code that looks at it.
func placesOf(t reflect.Type) []place {
	type node struct {
		t     reflect.Type
		steps []string
	}
	seen := map[reflect.Type]bool{}
	var all []place
	for open := []node{{t, nil}}; len(open) > 0; {
		n := open[0]
		open = open[1:]
		if seen[n.t] {
			continue
		}
		seen[n.t] = true
		for i := range n.t.NumField() {
			f := n.t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			steps := slices.Clone(n.steps)
			if name != "" {
				steps = append(steps, name)
			}
			inner := f.Type
			for inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			switch inner.Kind() {
			case reflect.Map:
				all = append(all, place{in: n.t, steps: steps, t: inner})
				if element := inner.Elem(); element.Kind() == reflect.Slice && element.Elem().Kind() != reflect.Uint8 {
					all = append(all, place{in: n.t, steps: append(slices.Clone(steps), "k"), t: element})
				}
			case reflect.Slice:
				if inner.Elem().Kind() == reflect.Uint8 {
					continue
				}
				all = append(all, place{in: n.t, steps: steps, t: inner, key: f.Tag.Get("patchMergeKey")})
				if inner.Elem().Kind() == reflect.Struct {
					open = append(open, node{inner.Elem(), append(slices.Clone(steps), "[]")})
				}
			case reflect.Struct:
				if name != "" || f.Anonymous {
					open = append(open, node{inner, steps})
				}
			}
		}
	}
	return all
}

const bodySize = 3<<20 - 4096

// elements returns lists and maps with many elements: as many as are allowed, and more.
func (p place) elements(full bool) map[string]string {
	entries, values, objects, beyond := 5_000, 5_000, 4_000, 1<<30
	if full {
		entries, values, objects = bounds.MaxEntries, bounds.MaxValues, bounds.MaxObjects
	}
	if p.t.Kind() == reflect.Map {
		value := `""`
		switch e := p.t.Elem(); {
		case e == reflect.TypeFor[resource.Quantity]():
			value = `"1"`
		case e.Kind() == reflect.Slice && e.Elem().Kind() != reflect.Uint8:
			value = `[]`
		}
		all := map[string]string{
			"right keys": "{" + many(`"k%d":`+value, entries) + "}",
			"wrong keys": "{" + many(`"-%d":`+value, entries) + "}",
		}
		if full {
			all[tooMany] = "{" + many(`"k%d":`+value, beyond) + "}"
		}
		return all
	}
	switch e := p.t.Elem(); e.Kind() {
	case reflect.Struct, reflect.Pointer, reflect.Slice, reflect.Map:
		one := `{}`
		if p.key != "" {
			one = `{"` + p.key + `":"k%d"}`
		}
		all := map[string]string{"allowed": "[" + many(one, objects) + "]"}
		if !full {
			beyond = bounds.MaxObjects + 1
		} else {
			all[tooMany+", null"] = "[" + many(`null`, beyond) + "]"
		}
		all[tooMany] = "[" + many(`{}`, beyond) + "]"
		return all
	case reflect.String:
		all := map[string]string{"allowed": "[" + many(`"k%d"`, values) + "]"}
		if full {
			all[tooMany] = "[" + many(`""`, beyond) + "]"
		}
		return all
	default:
		return map[string]string{"allowed": "[" + many(`%d`, values) + "]"}
	}
}

// tooMany are elements that are refused.
const tooMany = "too many"

// texts are what many has returned.
var texts = map[string]string{}

// many returns up to n elements with falling numbers, as many as fit in a body.
func many(format string, n int) string {
	key := fmt.Sprint(n, format)
	if text, ok := texts[key]; ok {
		return text
	}
	before, after, numbered := strings.Cut(format, "%d")
	raw := make([]byte, 0, bodySize)
	for i := range n {
		begin := len(raw)
		raw = append(raw, before...)
		if numbered {
			raw = append(strconv.AppendInt(raw, int64(999999-i), 10), after...)
		}
		if raw = append(raw, ','); len(raw) > bodySize {
			raw = raw[:begin]
			break
		}
	}
	texts[key] = string(raw[:len(raw)-1])
	return texts[key]
}

// template is what an object of a kind needs besides the list or map in question.
var template = map[string]string{
	"Pod":                      `{"spec":{"containers":[{"name":"c","image":"i:1"}]}}`,
	"Service":                  `{"spec":{"ports":[{"port":1}]}}`,
	"Binding":                  `{"target":{"kind":"Node","name":"n"}}`,
	"RoleBinding":              `{"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"}}`,
	"ClusterRoleBinding":       `{"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"}}`,
	"SubjectAccessReview":      `{"spec":{"user":"u","resourceAttributes":{"verb":"get"}}}`,
	"LocalSubjectAccessReview": `{"metadata":{"namespace":"default"},"spec":{"user":"u","resourceAttributes":{"verb":"get","namespace":"default"}}}`,
	"SelfSubjectAccessReview":  `{"spec":{"resourceAttributes":{"verb":"get"}}}`,
	"SelfSubjectRulesReview":   `{"spec":{"namespace":"default"}}`,
	"TokenReview":              `{"spec":{"token":"t"}}`,
	"Event":                    `{"involvedObject":{"namespace":"default"}}`,
}

const hole = "the many elements"

// body returns an object with elements at a place.
func (p place) body(kind schema.GroupVersionKind, elements string) string {
	obj := map[string]any{"metadata": map[string]any{"name": "x"}}
	if text, ok := template[kind.Kind]; ok {
		var more map[string]any
		if err := json.Unmarshal([]byte(text), &more); err != nil {
			panic(err)
		}
		for k, v := range more {
			obj[k] = v
		}
	}
	obj["apiVersion"], obj["kind"] = kind.GroupVersion().String(), kind.Kind
	if kind.Group == "authorization.k8s.io" && kind.Kind != "LocalSubjectAccessReview" {
		delete(obj, "metadata")
	}
	set(obj, p.steps)
	raw, err := json.Marshal(obj)
	if err != nil {
		panic(err)
	}
	return strings.Replace(string(raw), `"`+hole+`"`, elements, 1)
}

// set puts the hole into an object.
func set(obj map[string]any, steps []string) {
	if len(steps) == 1 {
		obj[steps[0]] = hole
		return
	}
	if steps[1] == "[]" {
		list, _ := obj[steps[0]].([]any)
		if len(list) == 0 {
			list = []any{map[string]any{"name": "x"}}
		}
		obj[steps[0]] = list
		set(list[0].(map[string]any), steps[2:])
		return
	}
	inner, ok := obj[steps[0]].(map[string]any)
	if !ok {
		inner = map[string]any{}
		obj[steps[0]] = inner
	}
	set(inner, steps[1:])
}

// sendMany sends a body and bounds what that costs.
func (s *system) sendMany(t *testing.T, client *http.Client, r served, p place, what, elements string, full bool) {
	t.Helper()
	body := p.body(r.kind, elements)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := processorTime()
	code, raw := s.fetch(client, r.method, r.path+"?dryRun=All", strings.NewReader(body), "Content-Type", "application/json")
	took := processorTime() - cpu
	runtime.ReadMemStats(&after)
	alloc := after.TotalAlloc - before.TotalAlloc
	cost := fmt.Sprintf("%s, %s, %d bytes: %d, %v of the processors, %d MiB", p, what, len(body), code, took, alloc>>20)
	switch {
	case full && (took > mostCPUFull || alloc > mostAllocFull), !full && (took > mostCPU || alloc > mostAlloc):
		t.Error(cost)
	case full:
		t.Log(cost)
	}
	if code >= 500 || len(raw) > 8<<20 {
		t.Errorf("%s, %s: %d, %d bytes: %.300s", p, what, code, len(raw), raw)
	}
	var status metav1.Status
	if code < 400 || json.Unmarshal(raw, &status) != nil || status.Details == nil {
		if strings.HasPrefix(what, tooMany) {
			t.Errorf("%s, %s: %d %.300s", p, what, code, raw)
		}
		return
	}
	if n := len(status.Details.Causes); n > bounds.MaxErrors+1 {
		t.Errorf("%s, %s: %d causes", p, what, n)
	}
	if strings.HasPrefix(what, tooMany) && (code != http.StatusUnprocessableEntity || !strings.Contains(status.Message, p.asField()+": Too many: ")) {
		t.Errorf("%s, %s: %d %.300s", p, what, code, raw)
	}
}

// asField is the place as messages write it.
func (p place) asField() string { return strings.ReplaceAll(p.String(), "[]", "[0]") }

// processorTime is what this process has had of the processors.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
