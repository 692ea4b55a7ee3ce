package compat

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// get asks for a path through a proxy, and reads the answer as JSON where into is not nil.
func get(t testing.TB, address, path string, into any) *http.Response {
	t.Helper()
	resp, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatalf("%s: %s, %v: %.300s", path, resp.Status, err, raw)
		}
	}
	return resp
}

// openAPI is what the tests look at of a document, of version 2 or 3.
type openAPI struct {
	Swagger, OpenAPI    string
	SecurityDefinitions map[string]securityScheme
	Components          struct {
		SecuritySchemes map[string]securityScheme
		Schemas         map[string]any
	}
	Definitions map[string]any
	Paths       map[string]map[string]any
}

type securityScheme struct{ Type, In, Name string }

// TestB9Documents reads the descriptions of the API where programs and old guides look.
func TestB9Documents(t *testing.T) {
	t.Parallel()
	s := &stage{system: shared}
	address := s.proxy(t, "--port=0")
	bearer := securityScheme{"apiKey", "header", "authorization"}

	var v2, old openAPI
	get(t, address, "/openapi/v2", &v2)
	if v2.Swagger != "2.0" || v2.SecurityDefinitions["BearerToken"] != bearer || v2.Definitions["io.k8s.api.core.v1.ConfigMap"] == nil {
		t.Errorf("/openapi/v2: swagger %q, security %v, %d definitions", v2.Swagger, v2.SecurityDefinitions, len(v2.Definitions))
	}
	if r := get(t, address, "/swagger.json", &old); r.Header.Get("Content-Type") != "application/json" || len(old.Paths) != len(v2.Paths) || len(old.Definitions) != len(v2.Definitions) {
		t.Errorf("/swagger.json has %d paths and %d definitions, /openapi/v2 %d and %d", len(old.Paths), len(old.Definitions), len(v2.Paths), len(v2.Definitions))
	}

	var index struct {
		Paths map[string]struct{ ServerRelativeURL string }
	}
	get(t, address, "/openapi/v3", &index)
	described := map[string]bool{}
	for group, where := range index.Paths {
		var doc openAPI
		get(t, address, where.ServerRelativeURL, &doc)
		if !strings.HasPrefix(doc.OpenAPI, "3.") || doc.Components.SecuritySchemes["BearerToken"] != bearer {
			t.Errorf("%s: openapi %q, security %v", group, doc.OpenAPI, doc.Components.SecuritySchemes)
		}
		for path := range doc.Paths {
			described[path] = true
		}
	}
	for path := range v2.Paths {
		if !described[path] {
			t.Errorf("%s is described in version 2 and not in version 3", path)
		}
	}
	if len(described) != len(v2.Paths) || len(described) < 200 {
		t.Errorf("%d paths are described in version 3, %d in version 2", len(described), len(v2.Paths))
	}
	for _, path := range []string{"/version/", "/.well-known/openid-configuration/", "/openid/v1/jwks/"} {
		if !described[path] {
			t.Errorf("%s is not described", path)
		}
	}
	s.documentsAreOfWhatIsServed(t, described)

	var pointer struct{ OpenAPI struct{ V2, V3 string } }
	if r := get(t, address, "/swaggerapi", &pointer); r.StatusCode != http.StatusOK || pointer.OpenAPI.V3 != "/openapi/v3" || pointer.OpenAPI.V2 != "/openapi/v2" {
		t.Errorf("/swaggerapi: %s, %+v", r.Status, pointer)
	}
	for _, path := range []string{"/swagger.json", "/swaggerapi", "/swagger-ui/", "/openapi/v2", "/openapi/v3"} {
		if code := statusWith(t, shared, "", path); code != http.StatusForbidden && code != http.StatusUnauthorized {
			t.Errorf("%s without credentials: %d", path, code)
		}
	}
}

// documentsAreOfWhatIsServed looks for each resource of discovery among the described paths.
func (s *stage) documentsAreOfWhatIsServed(t *testing.T, described map[string]bool) {
	t.Helper()
	_, lists, err := shared.client(t).Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		root := "/apis/"
		if list.GroupVersion == "v1" {
			root = "/api/"
		}
		for _, r := range list.APIResources {
			path := root + list.GroupVersion
			if r.Namespaced {
				path += "/namespaces/{namespace}"
			}
			name, sub, has := strings.Cut(r.Name, "/")
			if path += "/" + name; has {
				path += "/{name}/" + sub
			}
			if !described[path] {
				t.Errorf("%s is served and not described", path)
			}
		}
	}
}

// TestB9SwaggerUI tries the API out with a browser, as the guide does.
func TestB9SwaggerUI(t *testing.T) {
	t.Parallel()
	s := &stage{system: shared}
	shared.looksAt(t, "swagger", s.proxy(t, "--port=0"))
}

// TestB9GeneratedClient makes a client of the description, has the compiler check a program
// against it, and runs that.
func TestB9GeneratedClient(t *testing.T) {
	t.Parallel()
	ns := shared.namespace(t)
	shared.sh(t, "kubectl create rolebinding edit -n "+ns+" --clusterrole=edit --serviceaccount="+ns+":default")
	// Below test/tools, where modules of npm are found.
	dir, err := os.MkdirTemp("../tools", "generated-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.CopyFS(dir, os.DirFS("../tools/generated")); err != nil {
		t.Fatal(err)
	}
	document := shared.sh(t, "kubectl get --raw /openapi/v3/api/v1")
	if err := os.WriteFile(filepath.Join(dir, "core.json"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	files := shared.filesOfAPod(t, ns)
	node := func(args ...string) string {
		t.Helper()
		cmd := shared.command(t, "node", args...)
		cmd.Dir = dir
		cmd.Env = append(cmd.Env, "NODE_EXTRA_CA_CERTS="+files+"/ca.crt")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	node("../node_modules/openapi-typescript/bin/cli.js", "core.json", "--output", "api.d.ts", "--empty-objects-unknown")
	node("../node_modules/typescript/bin/tsc")
	token, err := os.ReadFile(files + "/token")
	if err != nil {
		t.Fatal(err)
	}
	contains(t, node("client.js", "https://"+shared.Listen, strings.TrimSpace(string(token)), ns),
		"created 201", `patched "patched"`, `listed "made-by-a-generated-client"`, `deleted "Success"`, "afterwards 404")
}
