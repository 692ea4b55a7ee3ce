package webui

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Swagger().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) []byte {
	t.Helper()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestPageNamesOnlyFilesThatThereAre asks for the page, and for all that it and its scripts
// load.
func TestPageNamesOnlyFilesThatThereAre(t *testing.T) {
	page := get(t, "GET", SwaggerPath)
	names := regexp.MustCompile(`(?:href|src)="([^".:]+\.[a-z]+)"`).FindAllStringSubmatch(string(body(t, page)), -1)
	names = append(names, regexp.MustCompile(`from "\./([^"]+)"`).FindAllStringSubmatch(string(body(t, get(t, "GET", SwaggerPath+"page.js"))), -1)...)
	if len(names) < 7 {
		t.Fatalf("the page names %q", names)
	}
	for _, name := range names {
		if r := get(t, "GET", SwaggerPath+name[1]); r.StatusCode != http.StatusOK || len(body(t, r)) < 100 {
			t.Errorf("%s: %s", name[1], r.Status)
		}
	}
}

func TestBrowsersAreToldWhatThePageMayDo(t *testing.T) {
	for _, path := range []string{SwaggerPath, SwaggerPath + "page.js", SwaggerPath + "swagger-ui-bundle.js", SwaggerPath + "nothing.js", "/swagger-ui"} {
		h := get(t, "GET", path).Header
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestPackedFilesAreSentAsTheyAreKept(t *testing.T) {
	const path = SwaggerPath + "swagger-ui.css"
	packed, plain := get(t, "GET", path, "Accept-Encoding", "br, gzip"), get(t, "GET", path)
	if packed.Header.Get("Content-Encoding") != "gzip" || plain.Header.Get("Content-Encoding") != "" || packed.Header.Get("Vary") != "Accept-Encoding" || plain.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("packed %v\nplain %v", packed.Header, plain.Header)
	}
	unpack, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(unpack)
	if content := body(t, plain); err != nil || !bytes.Equal(unpacked, content) || !bytes.Contains(content, []byte(".swagger-ui")) {
		t.Errorf("%v; packed are %d bytes, plain %d", err, len(unpacked), len(content))
	}
	if kind := packed.Header.Get("Content-Type"); kind != "text/css; charset=utf-8" {
		t.Errorf("a style is of kind %q", kind)
	}
	if again := get(t, "GET", path, "Accept-Encoding", "gzip", "If-None-Match", packed.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("asked whether it is the same: %s", again.Status)
	}
}

func TestTakesGzip(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "gzip": true, "br, gzip": true, "*": true, "gzip;q=0.5": true, "gzip; q=1": true,
		"gzip;q=0": false, "gzip; q=0.000": false, "br": false, "x-gzip": false, "gzipped": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", accept)
		if got := takesGzip(r); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

func TestWhatIsNoFileOfThePageIsNotServed(t *testing.T) {
	for _, path := range []string{"nothing", "nothing.js", "swagger-ui-bundle.js.gz", "..", "../swagger.go", "swagger/page.js", "embed.go", "/", "page.js/", "%2e%2e/files.go"} {
		if r := get(t, "GET", SwaggerPath+path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
	if r := get(t, "POST", SwaggerPath); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("posting: %s, %v", r.Status, r.Header)
	}
}

// TestPageWithoutItsSlash: relative, since a proxy may show the server below a path.
func TestPageWithoutItsSlash(t *testing.T) {
	for path, want := range map[string]string{"/swagger-ui": "swagger-ui/", "/swagger-ui?a=b": "swagger-ui/?a=b"} {
		if r := get(t, "GET", path); r.StatusCode != http.StatusMovedPermanently || r.Header.Get("Location") != want {
			t.Errorf("%s: %s to %q", path, r.Status, r.Header.Get("Location"))
		}
	}
}
