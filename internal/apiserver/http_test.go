package apiserver_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/apiserver"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/pki"
)

func TestHTTP(t *testing.T) {
	shared(t, map[string]func(*testing.T, *system){
		"who may see what":                testAnonymous,
		"wrong credentials":               testWrongCredentials,
		"bad bodies get a Status":         testBadBodies,
		"health":                          testHealth,
		"version":                         testVersion,
		"metrics":                         testMetrics,
		"discovery documents of the keys": testKeyDocuments,
		"OpenAPI v2":                      testOpenAPIv2,
		"OpenAPI v3":                      testOpenAPIv3,
		"a listener is added":             testServe,
		"nothing panics":                  testNoPanic,
	})
}

// insecure returns a client without credentials that speaks HTTP/2.
func (s *system) insecure() *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool()}, ForceAttemptHTTP2: true}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// privileged returns a client with all rights.
func (s *system) privileged() *http.Client {
	s.t.Helper()
	c, err := rest.HTTPClientFor(s.config("admin", "system:masters"))
	must(s.t, err)
	return c
}

// fetch sends a request and returns the answer's status and body.
func (s *system) fetch(c *http.Client, method, path string, body io.Reader, headers ...string) (int, []byte) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "https://"+s.addr+path, body)
	must(s.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	must(s.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	must(s.t, err)
	return resp.StatusCode, raw
}

// status decodes a Status, and fails when raw is none.
func status(t *testing.T, raw []byte) metav1.Status {
	t.Helper()
	var s metav1.Status
	if err := json.Unmarshal(raw, &s); err != nil || s.Kind != "Status" {
		t.Errorf("not a Status: %.200s", raw)
	}
	return s
}

func testAnonymous(t *testing.T, s *system) {
	for path, want := range map[string]int{
		"/healthz": 200, "/livez": 200, "/readyz": 200, "/version": 200,
		"/.well-known/openid-configuration": 200, "/openid/v1/jwks": 200,
		"/": 403, "/api": 403, "/apis": 403, "/metrics": 403, "/openapi/v2": 403, "/api/v1/secrets": 403, "/nonsense": 403,
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions": 403,
		"/debug/pprof/": 403,
	} {
		got, raw := s.fetch(s.insecure(), "GET", path, nil)
		if got != want {
			t.Errorf("%s answers %d, want %d: %.200s", path, got, want, raw)
		}
		if got == http.StatusForbidden {
			if st := status(t, raw); st.Reason != metav1.StatusReasonForbidden || !strings.Contains(st.Message, `User "system:anonymous" cannot`) {
				t.Errorf("%s: %q", path, st.Message)
			}
		}
	}
}

func testWrongCredentials(t *testing.T, s *system) {
	for _, token := range []string{"nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.e30."} {
		got, raw := s.fetch(s.insecure(), "GET", "/version", nil, "Authorization", "Bearer "+token)
		if st := status(t, raw); got != http.StatusUnauthorized || st.Reason != metav1.StatusReasonUnauthorized || st.Message != "Unauthorized" {
			t.Errorf("token %q: %d %s", token, got, raw)
		}
	}
	foreign, err := pki.OpenAuthority(filepath.Join(t.TempDir(), "pki"), clock.Real())
	must(t, err)
	pair, err := foreign.Pair(pki.Leaf{Name: "admin", CommonName: "admin", Organizations: []string{"system:masters"}, Client: true})
	must(t, err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority.Pool(), GetClientCertificate: pair.GetClientCertificate}}
	defer transport.CloseIdleConnections()
	for range 2 { // the refusal must not be remembered as a success
		if got, raw := s.fetch(&http.Client{Transport: transport}, "GET", "/api/v1/secrets", nil); got != http.StatusUnauthorized {
			t.Errorf("certificate of a foreign authority: %d %s", got, raw)
		}
	}
	server, err := rest.HTTPClientFor(s.config("nobody"))
	must(t, err)
	if got, raw := s.fetch(server, "GET", "/api/v1/secrets", nil); got != http.StatusForbidden || !strings.Contains(status(t, raw).Message, `User "nobody"`) {
		t.Errorf("user without rights: %d %s", got, raw)
	}
}

func testBadBodies(t *testing.T, s *system) {
	const maps = "/api/v1/namespaces/default/configmaps"
	huge := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"` + strings.Repeat("x", 4<<20) + `"}}`
	annotated := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","annotations":{"a":"` + strings.Repeat("x", 300<<10) + `"}}}`
	full := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"` + strings.Repeat("x", 2<<20) + `"}}`
	for name, c := range map[string]struct {
		path, body, media string
		want              int
		message           string
	}{
		"empty":              {maps, ``, "application/json", 400, ""},
		"not JSON":           {maps, `{"apiVersion"`, "application/json", 400, ""},
		"an array":           {maps, `[]`, "application/json", 400, ""},
		"null":               {maps, `null`, "application/json", 422, "metadata.name"},
		"deep":               {maps, strings.Repeat("[", 100000), "application/json", 400, ""},
		"no kind":            {maps, `{"metadata":{"name":"x"}}`, "application/json", 201, ""},
		"wrong kind":         {maps, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}}`, "application/json", 400, ""},
		"wrong type":         {maps, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":1}}`, "application/json", 400, ""},
		"unknown version":    {maps, `{"apiVersion":"v9","kind":"ConfigMap","metadata":{"name":"x"}}`, "application/json", 400, ""},
		"unknown kind":       {maps, `{"apiVersion":"v1","kind":"Nonsense","metadata":{"name":"x"}}`, "application/json", 400, ""},
		"unknown media type": {maps, `x`, "text/plain", 415, ""},
		"bad YAML":           {maps, "a: [", "application/yaml", 400, ""},
		"control characters": {maps, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a\u0000b"}}`, "application/json", 422, "metadata.name"},
		"other namespace":    {maps, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"other"}}`, "application/json", 400, ""},
		"no such namespace":  {"/api/v1/namespaces/none/configmaps", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}`, "application/json", 404, `namespaces "none" not found`},
		"huge":               {maps, huge, "application/json", 413, "limit is 3145728"},
		"huge annotations":   {maps, annotated, "application/json", 422, "metadata.annotations"},
		"too much data":      {maps, full, "application/json", 422, ""},
		"bad query":          {maps + "?fieldValidation=Sometimes", `{}`, "application/json", 422, "fieldValidation"},
	} {
		t.Run(name, func(t *testing.T) {
			got, raw := s.fetch(s.privileged(), "POST", c.path, strings.NewReader(c.body), "Content-Type", c.media)
			if got != c.want {
				t.Fatalf("answers %d, want %d: %.300s", got, c.want, raw)
			}
			if got >= 400 {
				if st := status(t, raw); !strings.Contains(st.Message, c.message) || int(st.Code) != got {
					t.Errorf("message %q", st.Message)
				}
			} else {
				s.fetch(s.privileged(), "DELETE", c.path+"/x", nil)
			}
		})
	}
	for path, want := range map[string]int{
		"/api/v1/namespaces/default/configmaps?limit=x":                        400,
		"/api/v1/namespaces/default/configmaps?labelSelector=%3D%3D":           400,
		"/api/v1/namespaces/default/configmaps?resourceVersion=x":              400,
		"/api/v1/namespaces/default/configmaps?watch=1&resourceVersion=x":      400,
		"/api/v1/namespaces/default/configmaps?watch=1&sendInitialEvents=true": 422,
		"/api/v1/namespaces/default/configmaps/%00":                            404,
		"/api/v1/namespaces/default/configmaps/..%2f..%2fsecrets":              404,
		"/api/v1/namespaces/default/nonsense":                                  404,
		"/apis/nonsense/v1":                                                    404,
		"/api/v9":                                                              404,
	} {
		if got, raw := s.fetch(s.privileged(), "GET", path, nil); got != want {
			t.Errorf("%s answers %d, want %d: %.200s", path, got, want, raw)
		}
	}
	if got, raw := s.fetch(s.privileged(), "PUT", "/api/v1/namespaces/default/configmaps", strings.NewReader("{}")); got != http.StatusMethodNotAllowed {
		t.Errorf("PUT of a collection: %d %.200s", got, raw)
	}
}

func testHealth(t *testing.T, s *system) {
	got, raw := s.fetch(s.privileged(), "GET", "/readyz?verbose", nil)
	text := string(raw)
	for _, part := range []string{"[+]ping ok", "[+]etcd ok", "[+]poststarthook/rbac/bootstrap-roles ok", "[+]poststarthook/system-objects ok", "readyz check passed"} {
		if got != 200 || !strings.Contains(text, part) {
			t.Errorf("readyz lacks %q: %d %s", part, got, text)
		}
	}
}

func testVersion(t *testing.T, s *system) {
	_, raw := s.fetch(s.insecure(), "GET", "/version", nil)
	var v version.Info
	must(t, json.Unmarshal(raw, &v))
	if v.GitVersion != "v1.37.2+laterna.0.0.1" || v.Major != "1" || v.Minor != "37" {
		t.Errorf("version %s", raw)
	}
}

func testMetrics(t *testing.T, s *system) {
	got, raw := s.fetch(s.privileged(), "GET", "/metrics", nil)
	if got != 200 || !bytes.Contains(raw, []byte("apiserver_request_total")) {
		t.Errorf("%d %.200s", got, raw)
	}
}

func testKeyDocuments(t *testing.T, s *system) {
	_, raw := s.fetch(s.insecure(), "GET", "/.well-known/openid-configuration", nil)
	var doc struct{ Issuer string }
	must(t, json.Unmarshal(raw, &doc))
	if doc.Issuer != "https://kubernetes.default.svc" {
		t.Errorf("document %s", raw)
	}
}

func testOpenAPIv2(t *testing.T, s *system) {
	_, raw := s.fetch(s.privileged(), "GET", "/openapi/v2", nil)
	var doc struct {
		Swagger     string
		Paths       map[string]any
		Definitions map[string]struct {
			GVK []struct{ Group, Version, Kind string } `json:"x-kubernetes-group-version-kind"`
		}
	}
	must(t, json.Unmarshal(raw, &doc))
	if doc.Swagger != "2.0" || doc.Paths["/api/v1/namespaces/{namespace}/pods"] == nil {
		t.Errorf("document begins %.200s", raw)
	}
	pod := doc.Definitions["io.k8s.api.core.v1.Pod"].GVK
	if len(pod) != 1 || pod[0].Kind != "Pod" || pod[0].Version != "v1" {
		t.Errorf("kinds of Pod: %v", pod)
	}
	checkDocument(t, raw)
}

// checkDocument looks for what must be in no document and follows its references.
func checkDocument(t *testing.T, raw []byte) {
	t.Helper()
	if bytes.Contains(raw, []byte("__internal")) {
		t.Error("the internal version shows")
	}
	var doc map[string]any
	must(t, json.Unmarshal(raw, &doc))
	refs := map[string]bool{}
	collect(doc, refs)
	for ref := range refs {
		var at any = doc
		for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := at.(map[string]any)
			at = m[strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")]
		}
		if at == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	}
}

func collect(v any, refs map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			refs[ref] = true
		}
		for _, x := range v {
			collect(x, refs)
		}
	case []any:
		for _, x := range v {
			collect(x, refs)
		}
	}
}

func testOpenAPIv3(t *testing.T, s *system) {
	_, raw := s.fetch(s.privileged(), "GET", "/openapi/v3", nil)
	var index struct {
		Paths map[string]struct{ ServerRelativeURL string }
	}
	must(t, json.Unmarshal(raw, &index))
	for _, group := range []string{"api", "apis", "version", "api/v1", "apis/authentication.k8s.io/v1", "apis/authorization.k8s.io/v1", "apis/coordination.k8s.io/v1", "apis/rbac.authorization.k8s.io/v1"} {
		url := index.Paths[group].ServerRelativeURL
		if url == "" {
			t.Errorf("no document for %s among %v", group, index.Paths)
			continue
		}
		got, raw := s.fetch(s.privileged(), "GET", url, nil)
		if got != 200 {
			t.Errorf("%s answers %d: %.200s", url, got, raw)
			continue
		}
		checkDocument(t, raw)
	}
}

func testServe(t *testing.T, s *system) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, s.server.Serve(l))
	other := *s
	other.addr = l.Addr().String()
	if got, raw := other.fetch(s.insecure(), "GET", "/readyz", nil); got != 200 {
		t.Errorf("%d %s", got, raw)
	}
}

// testNoPanic sends odd requests to every path that the server lists, and asks for
// its health afterwards.
func testNoPanic(t *testing.T, s *system) {
	_, raw := s.fetch(s.privileged(), "GET", "/", nil)
	var index struct{ Paths []string }
	must(t, json.Unmarshal(raw, &index))
	if len(index.Paths) < 20 {
		t.Fatalf("paths: %s", raw)
	}
	c := s.privileged()
	for _, path := range index.Paths {
		if strings.HasPrefix(path, "/debug") || strings.HasPrefix(path, "/metrics") {
			continue
		}
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "NONSENSE"} {
			for _, body := range []string{"", "{}", "\x00\xff"} {
				got, raw := s.fetch(c, method, path, strings.NewReader(body), "Content-Type", "application/json", "Accept", "application/json")
				if got == http.StatusInternalServerError && !strings.Contains(path, "z") || bytes.Contains(raw, []byte("panic")) {
					t.Errorf("%s %s with %q: %d %.200s", method, path, body, got, raw)
				}
			}
		}
	}
	if got, raw := s.fetch(s.insecure(), "GET", "/readyz", nil); got != 200 {
		t.Errorf("afterwards: %d %s", got, raw)
	}
}

func TestReadyWaitsForChecks(t *testing.T) {
	open := make(chan struct{})
	s := boot(t, t.TempDir(), func(c *apiserver.Config) {
		c.Serving.MaxRequestBytes = 1000
		c.Serving.ReadyChecks = []apiserver.ReadyCheck{{Name: "others", Check: func() error {
			select {
			case <-open:
				return nil
			default:
				return fmt.Errorf("closed")
			}
		}}}
	})
	if got, raw := s.fetch(s.insecure(), "GET", "/readyz", nil); got != http.StatusInternalServerError || !bytes.Contains(raw, []byte("[-]others failed")) {
		t.Errorf("before: %d %s", got, raw)
	}
	if got, raw := s.fetch(s.insecure(), "GET", "/livez", nil); got != http.StatusOK {
		t.Errorf("livez: %d %s", got, raw)
	}
	close(open)
	if got, raw := s.fetch(s.insecure(), "GET", "/readyz", nil); got != http.StatusOK {
		t.Errorf("after: %d %s", got, raw)
	}
	got, raw := s.fetch(s.privileged(), "POST", "/api/v1/namespaces", strings.NewReader(strings.Repeat(" ", 1001)), "Content-Type", "application/json")
	if got != http.StatusRequestEntityTooLarge {
		t.Errorf("body over the configured limit: %d %s", got, raw)
	}
}
