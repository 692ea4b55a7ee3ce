package compat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// send makes one request as the admin and returns the Status that refuses it.
func send(t *testing.T, method, path, contentType string, body []byte) metav1.Status {
	t.Helper()
	config := shared.config(t)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, config.Host+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer drain(resp.Body)
	var status metav1.Status
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		t.Fatalf("%s %s: %d without a Status: %v", method, path, resp.StatusCode, err)
	}
	if int(status.Code) != resp.StatusCode && status.Code != 0 {
		t.Errorf("HTTP status %d, Status.code %d", resp.StatusCode, status.Code)
	}
	status.Code = int32(resp.StatusCode)
	return status
}

func configMap(name, data string) []byte {
	return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%s},"data":%s}`, name, data)
}

func TestBadInputIsRefusedAndNothingIsLost(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.sh(t, "kubectl -n "+ns+" create configmap precious --from-literal=k=v")
	maps, pods := "/api/v1/namespaces/"+ns+"/configmaps", "/api/v1/namespaces/"+ns+"/pods"
	deep := []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d","annotations":` + strings.Repeat(`{"a":`, 20000) + `1` + strings.Repeat(`}`, 20000) + `}}`)
	for name, tc := range map[string]struct {
		method, path, contentType string
		body                      []byte
		code                      int32
		want                      string
	}{
		"malformed JSON":        {"POST", maps, "application/json", []byte(`{"apiVersion":"v1","kind":`), 400, "unexpected"},
		"malformed YAML":        {"POST", maps, "application/yaml", []byte("a: b: c"), 400, "yaml"},
		"malformed protobuf":    {"POST", maps, "application/vnd.kubernetes.protobuf", []byte("k8s\x00\xff\xff\xff"), 400, ""},
		"wrong kind":            {"POST", maps, "application/json", []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}}`), 400, "Secret"},
		"no body":               {"POST", maps, "application/json", nil, 400, ""},
		"unknown content type":  {"POST", maps, "text/plain", []byte("x"), 415, "application/vnd.kubernetes.protobuf"},
		"body over the limit":   {"POST", maps, "application/json", configMap(`"big"`, `{"k":"`+strings.Repeat("x", 4<<20)+`"}`), 413, "limit is 3145728"},
		"data over the limit":   {"POST", maps, "application/json", configMap(`"big"`, `{"k":"`+strings.Repeat("x", 1<<20+1)+`"}`), 422, "1048576"},
		"deeply nested":         {"POST", maps, "application/json", deep, 400, ""},
		"wrong type":            {"POST", maps, "application/json", configMap(`"x"`, `{"k":1}`), 400, "ConfigMap.data"},
		"unknown field":         {"POST", maps + "?fieldValidation=Strict", "application/json", []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"daat":{}}`), 400, `unknown field "daat"`},
		"duplicate field":       {"POST", maps + "?fieldValidation=Strict", "application/json", []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{},"data":{}}`), 400, `duplicate field "data"`},
		"control characters":    {"POST", maps, "application/json", configMap(`"a\u0000b\nc"`, `{}`), 422, "metadata.name"},
		"upper case name":       {"POST", maps, "application/json", configMap(`"Name"`, `{}`), 422, "metadata.name"},
		"name too long":         {"POST", maps, "application/json", configMap(`"`+strings.Repeat("a", 254)+`"`, `{}`), 422, "must be no more than 253"},
		"bad key":               {"POST", maps, "application/json", configMap(`"x"`, `{"../etc/passwd":"x"}`), 422, "data[../etc/passwd]"},
		"huge annotations":      {"POST", maps, "application/json", []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","annotations":{"a":"` + strings.Repeat("x", 256<<10) + `"}}}`), 422, "metadata.annotations"},
		"bad annotation key":    {"POST", maps, "application/json", []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","annotations":{"a b":"c"}}}`), 422, "metadata.annotations"},
		"unknown field label":   {"GET", pods + "?fieldSelector=spec.nothing=x", "", nil, 400, "field label not supported: spec.nothing"},
		"malformed field label": {"GET", pods + "?fieldSelector=%3D%3D%3D", "", nil, 400, ""},
		"bad label selector":    {"GET", pods + "?labelSelector=a+in+(", "", nil, 400, ""},
		"bad limit":             {"GET", pods + "?limit=x", "", nil, 400, "invalid syntax"},
		"bad continue token":    {"GET", pods + "?limit=1&continue=x", "", nil, 400, "continue"},
		"bad resource version":  {"GET", pods + "?resourceVersion=abc", "", nil, 400, "abc"},
		"bad patch":             {"PATCH", maps + "/precious", "application/json-patch+json", []byte(`[{"op":"test","path":"/data/k","value":"other"}]`), 422, ""},
		"malformed patch":       {"PATCH", maps + "/precious", "application/merge-patch+json", []byte(`{`), 400, ""},
		"unknown patch type":    {"PATCH", maps + "/precious", "application/xml", []byte(`<a/>`), 415, "Unsupported Media Type"},
		"path traversal":        {"GET", "/api/v1/namespaces/..%2f..%2fetc/configmaps/passwd", "", nil, 404, ""},
		"no such resource":      {"GET", "/api/v1/namespaces/" + ns + "/nothings", "", nil, 404, "could not find the requested resource"},
		"pod without containers": {"POST", pods, "application/json",
			[]byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[]}}`), 422, "spec.containers"},
		"volume path with dots": {"POST", pods, "application/json",
			[]byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[{"name":"c","image":"i"}],"volumes":[{"name":"v","secret":{"secretName":"s","items":[{"key":"k","path":"../x"}]}}]}}`),
			422, "spec.volumes[0].secret.items[0].path"},
	} {
		t.Run(name, func(t *testing.T) {
			status := send(t, tc.method, tc.path, tc.contentType, tc.body)
			if status.Code != tc.code || status.Status != metav1.StatusFailure || !strings.Contains(status.Message, tc.want) {
				t.Errorf("got %d %q, want %d with %q", status.Code, tail(status.Message, 3), tc.code, tc.want)
			}
		})
	}
	if got := shared.field(t, ns, "configmap/precious", "{.data.k}"); got != "v" {
		t.Errorf("the stored object is %q now", got)
	}
}
