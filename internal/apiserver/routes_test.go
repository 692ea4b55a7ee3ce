package apiserver_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/apiserver"
)

// TestRoutesAnswerWhomTheTableSays asks for every route as everybody.
func TestRoutesAnswerWhomTheTableSays(t *testing.T) {
	s := boot(t, t.TempDir())
	client := func(user string, groups ...string) *http.Client {
		c, err := rest.HTTPClientFor(s.config(user, groups...))
		must(t, err)
		return c
	}
	// From the one whom most routes answer to nobody.
	callers := []struct {
		name string
		*http.Client
	}{
		{"administrator", s.privileged()},
		{"monitor", client("watcher", "system:monitoring")},
		{"authenticated", client("ann")},
		{"anonymous", s.insecure()},
	}
	for _, r := range s.server.Routes() {
		for i, c := range callers {
			// Nobody may have profiles or flags set by a GET, and a profile takes long.
			method := "GET"
			if strings.HasPrefix(r.Path, "/debug/") {
				method = "HEAD"
			}
			code, raw := s.fetch(c.Client, method, r.Path, nil)
			refused := code == http.StatusForbidden || code == http.StatusUnauthorized
			if refused != (i > r.To) {
				t.Errorf("%s for the %s caller: %d %.200s", r.Path, c.name, code, raw)
			}
		}
	}
}

// TestEveryRouteIsInTheTable looks for paths outside the API groups that nobody has put
// into the table.
func TestEveryRouteIsInTheTable(t *testing.T) {
	s := boot(t, t.TempDir())
	_, raw := s.fetch(s.privileged(), "GET", "/", nil)
	var index struct{ Paths []string }
	if err := json.Unmarshal(raw, &index); err != nil || len(index.Paths) < 20 {
		t.Fatalf("%v: %s", err, raw)
	}
	table := s.server.Routes()
	for _, path := range index.Paths {
		// What is under /api and /apis is the kinds'.
		known := strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/apis/") || slices.ContainsFunc(table, func(r apiserver.Reach) bool {
			below := r.Path != "/" && strings.HasSuffix(r.Path, "/") && strings.HasPrefix(path, r.Path)
			return below || strings.TrimSuffix(r.Path, "/") == strings.TrimSuffix(path, "/")
		})
		if !known {
			t.Errorf("%s is answered and not in the table of routes", path)
		}
	}
}

func TestUnknownPathIsNotFoundAndNamesNoOther(t *testing.T) {
	s := boot(t, t.TempDir())
	for _, path := range []string{"/nothing", "/apis/nothing/v1/x"} {
		if code, raw := s.fetch(s.privileged(), "GET", path, nil); code != http.StatusNotFound || strings.TrimSpace(string(raw)) != "404 page not found" {
			t.Errorf("%s: %d %.200s", path, code, raw)
		}
	}
}

// TestSwaggerUIIsLeftOutWhereItIsNotWanted, and nothing else with it.
func TestSwaggerUIIsLeftOutWhereItIsNotWanted(t *testing.T) {
	s := boot(t, t.TempDir(), func(c *apiserver.Config) { c.Serving.SwaggerUI = false })
	for path, want := range map[string]int{"/swagger-ui": 404, "/swagger-ui/": 404, "/swagger-ui/page.js": 404, "/swagger.json": 200, "/swaggerapi": 200} {
		if code, raw := s.fetch(s.privileged(), "GET", path, nil); code != want {
			t.Errorf("%s: %d %.100s", path, code, raw)
		}
	}
	for _, path := range []string{"/swagger.json", "/swaggerapi"} {
		if code, _ := s.fetch(s.privileged(), "POST", path, nil); code != http.StatusMethodNotAllowed {
			t.Errorf("posting to %s: %d", path, code)
		}
	}
}
