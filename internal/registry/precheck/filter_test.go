package precheck_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/internal/registry/precheck"
	"laterna.dev/laterna/internal/registry/quantity"
)

// limits is a pod with a limit as it is written.
func limits(cpu string) string {
	return fmt.Sprintf(`{"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": %s}}}]}}`, cpu)
}

func of(kind, body string) string { return fmt.Sprintf(`{"kind": %q, %s`, kind, body[1:]) }

func TestFilter(t *testing.T) {
	scheme := runtime.NewScheme()
	scheme.AddUnversionedTypes(schema.GroupVersion{Version: "v1"}, &metav1.Status{})
	const limit = 1 << 20
	var got string
	kinds := runtime.NewScheme()
	if err := corev1.AddToScheme(kinds); err != nil {
		t.Fatal(err)
	}
	guard := quantity.NewGuard(kinds)
	check := func(info *request.RequestInfo, mediaType string, body []byte) error {
		return guard.Check(mediaType, info.Resource, body)
	}
	handler := precheck.Filter(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = string(body)
	}), serializer.NewCodecFactory(scheme), limit, check)
	bad := limits(`"1e-99999"`)
	long := strings.Repeat(" ", limit) + bad
	for _, c := range []struct {
		name, method, resource, sub, body string
		code                              int
	}{
		{"a right body", "POST", "pods", "", limits(`"1"`), 200},
		{"an absurd body", "POST", "pods", "", bad, 400},
		{"a patch of status", "PATCH", "nodes", "status", `{"status": {"capacity": {"cpu": "1e-99999"}}}`, 400},
		{"another resource", "PUT", "configmaps", "", bad, 200},
		{"a stream", "POST", "pods", "exec", bad, 200},
		{"a pod sent elsewhere", "POST", "configmaps", "", of("Pod", bad), 400},
		{"options with a pod", "DELETE", "pods", "", bad, 400},
		{"a read", "GET", "pods", "", bad, 200},
		{"what the server refuses by itself", "POST", "pods", "", long, 200},
	} {
		got = ""
		r := httptest.NewRequest(c.method, "/", strings.NewReader(c.body))
		r.Header.Set("Content-Type", "application/json")
		info := &request.RequestInfo{IsResourceRequest: true, Resource: c.resource, Subresource: c.sub}
		r = r.WithContext(request.WithRequestInfo(r.Context(), info))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != c.code || c.code == 200 && got != c.body {
			t.Errorf("%s: code %d, %d bytes passed on, %s", c.name, w.Code, len(got), w.Body)
		}
		if c.code == 400 && !strings.Contains(w.Body.String(), `the exponent of \"1e-99999\" is out of range`) {
			t.Errorf("%s: %s", c.name, w.Body)
		}
	}
}

// TestChecksSeeTheMediaTypeThatIsDecoded sends what looks like another encoding at first
// sight.
func TestChecksSeeTheMediaTypeThatIsDecoded(t *testing.T) {
	for _, c := range []struct{ method, header, want string }{
		{"POST", "application/json", "application/json"},
		{"POST", "application/json; x=protobuf", "application/json"},
		{"PUT", `application/json; x="json-patch+yaml"`, "application/json"},
		{"POST", "Application/YAML;charset=utf-8", "application/yaml"},
		{"DELETE", "application/VND.kubernetes.Protobuf", "application/vnd.kubernetes.protobuf"},
		{"POST", "", ""},
		{"POST", "application/json; protobuf", ""}, // which the server refuses
		{"PATCH", "application/strategic-merge-patch+json; apply-patch", "application/strategic-merge-patch+json"},
		{"PATCH", "application/apply-patch+yaml;protobuf", "application/apply-patch+yaml"},
	} {
		seen := false
		check := func(_ *request.RequestInfo, mediaType string, _ []byte) error {
			if seen = true; mediaType != c.want {
				t.Errorf("%s %q is checked as %q, want %q", c.method, c.header, mediaType, c.want)
			}
			return nil
		}
		r := httptest.NewRequest(c.method, "/", strings.NewReader("{}"))
		r.Header.Set("Content-Type", c.header)
		r = r.WithContext(request.WithRequestInfo(r.Context(), &request.RequestInfo{IsResourceRequest: true, Resource: "pods"}))
		next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		precheck.Filter(next, serializer.NewCodecFactory(runtime.NewScheme()), 1<<20, check).ServeHTTP(httptest.NewRecorder(), r)
		if !seen {
			t.Errorf("%s %q is not checked", c.method, c.header)
		}
	}
}
