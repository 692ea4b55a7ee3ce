package apiserver_test

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// TestPatchesDoNotMultiply sends what takes quadratic time in the library: each request
// is answered within the bounds of TestManyElements.
func TestPatchesDoNotMultiply(t *testing.T) {
	s := boot(t, t.TempDir())
	client := s.privileged()
	const (
		maps, pods = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"
		js         = "application/json"
		merge      = "application/merge-patch+json"
		strategic  = "application/strategic-merge-patch+json"
		apply      = "application/apply-patch+yaml"
	)
	labels := func(name string, n int) string {
		return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"` + name + `","labels":{` + many(`"k%d":""`, n) + `}}}`
	}
	env := func(directive, format string, n int) string {
		return `{"spec":{"containers":[{"name":"c","image":"i:1","` + directive + `env":[` + many(format, n) + `]}]}}`
	}
	named := func(name, body string) string { return `{"metadata":{"name":"` + name + `"},` + body[1:] }
	const variable, other = `{"name":"E%d","value":"v"}`, `{"name":"F%d","value":"v"}`
	for _, r := range []struct {
		name, method, path, mediaType, body string
		code                                int
		text                                string
	}{
		{"an account", "POST", "/api/v1/namespaces/default/serviceaccounts", js, `{"metadata":{"name":"default"}}`, 201, ""},
		{"a map", "POST", maps, js, `{"metadata":{"name":"a"}}`, 201, ""},
		{"a deep patch", "PATCH", maps + "/a", merge, `{"metadata":` + strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000) + "}", 400, "nested more than 1000 levels deep"},
		{"as deep as may be", "PATCH", maps + "/a", merge, `{"metadata":` + strings.Repeat(`{"a":`, 990) + "1" + strings.Repeat("}", 990) + "}", 200, ""},
		{"apply of many entries", "PATCH", maps + "/z?fieldManager=m", apply, labels("z", 20_001), 400, "at most 20000 entries"},
		{"as many as may be", "PATCH", maps + "/z?fieldManager=m", apply, labels("z", 20_000), 201, ""},
		{"the same again", "PATCH", maps + "/z?fieldManager=m", apply, labels("z", 20_000), 200, ""},
		{"conflicts", "PATCH", maps + "/z?fieldManager=n", apply, strings.ReplaceAll(labels("z", 20_000), `""`, `"x"`), 409, ""},
		{"many entries by another patch", "PATCH", maps + "/z", merge, labels("z", 60_000), 200, ""},
		{"wrong ones", "PATCH", maps + "/z", merge, strings.ReplaceAll(labels("z", 60_000), `"k`, `"-k`), 422, "only the first 100 errors are listed"},
		{"a little applied to many", "PATCH", maps + "/z?fieldManager=m", apply, labels("z", 1), 400, "at most 20000 entries"},
		{"fields of a manager", "POST", maps, js, `{"metadata":{"name":"m","managedFields":[{"manager":"m","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{` + many(`"f:k%d":{}`, 100_000) + `}}}]}}`, 400, "must be in order"},
		{"a pod", "POST", pods, js, named("p", env("", variable, 8000)), 201, ""},
		{"variables for it", "PATCH", pods + "/p", strategic, env("", other, 1000), 400, "too large for lists as long as this object's"},
		{"their order", "PATCH", pods + "/p", strategic, env("$setElementOrder/", `{"name":"E%d"}`, 8000), 400, "too large for lists"},
		{"other variables", "PATCH", pods + "/p", merge, env("", other, 8000), 422, "too large to show what has changed"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		cpu := processorTime()
		code, raw := s.fetch(client, r.method, r.path, strings.NewReader(r.body), "Content-Type", r.mediaType)
		took := processorTime() - cpu
		runtime.ReadMemStats(&after)
		if alloc := after.TotalAlloc - before.TotalAlloc; took > mostCPUFull || alloc > mostAllocFull {
			t.Errorf("%s: %v of the processors, %d MiB", r.name, took, alloc>>20)
		}
		if code != r.code || code >= http.StatusBadRequest && !strings.Contains(status(t, raw).Message, r.text) {
			t.Errorf("%s: %d %.500s", r.name, code, raw)
		}
	}
}
