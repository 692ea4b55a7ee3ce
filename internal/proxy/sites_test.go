package proxy_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

// TestPagesOfOtherSitesAreRefused sends what browsers send.
func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer api.Close()
	at, _ := run(t, &rest.Config{Host: api.URL}, "--port=0", "--www="+t.TempDir())
	open, _ := run(t, &rest.Config{Host: api.URL}, "--port=0", "--disable-filter")
	for name, tc := range map[string]struct {
		at, method, header string
		want               int
	}{
		"a program":                       {at, "POST", "", 418},
		"a program that names the host":   {at, "GET", "Origin: http://" + at, 418},
		"a page of the API's":             {at, "POST", "Sec-Fetch-Site: same-origin", 418},
		"an address that is typed":        {at, "GET", "Sec-Fetch-Site: none", 418},
		"a link of another site":          {at, "GET", "Sec-Fetch-Site: cross-site, Sec-Fetch-Mode: navigate, Sec-Fetch-Dest: document", 418},
		"a frame of another site":         {at, "GET", "Sec-Fetch-Site: cross-site, Sec-Fetch-Mode: navigate, Sec-Fetch-Dest: iframe", 403},
		"a form of another site":          {at, "POST", "Sec-Fetch-Site: cross-site, Sec-Fetch-Mode: navigate, Sec-Fetch-Dest: document", 403},
		"a script of another site":        {at, "POST", "Origin: https://example.com", 403},
		"a script of another port":        {at, "POST", "Origin: http://127.0.0.1:1", 403},
		"a WebSocket of another site":     {at, "GET", "Origin: https://example.com, Connection: Upgrade, Upgrade: websocket", 403},
		"a page that says not whose":      {at, "GET", "Origin: null", 403},
		"what is no origin":               {at, "GET", "Origin: %", 403},
		"a picture of another site":       {at, "GET", "Sec-Fetch-Site: cross-site, Sec-Fetch-Mode: no-cors, Sec-Fetch-Dest: image", 403},
		"whoever has disabled the filter": {open, "POST", "Origin: https://example.com", 418},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tc.method, "http://"+tc.at+"/api", nil)
		if err != nil {
			t.Fatal(err)
		}
		for field := range strings.SplitSeq(tc.header, ", ") {
			if key, value, ok := strings.Cut(field, ": "); ok {
				req.Header.Set(key, value)
			}
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tc.want {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, tc.want)
		}
	}
}

// TestHostsThatAreServedAreAccepted asks by the address that is served, and by names of
// others for files and the API.
func TestHostsThatAreServedAreAccepted(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer api.Close()
	for _, address := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		at, _ := run(t, &rest.Config{Host: api.URL}, "--port=0", "--address="+address, "--www="+t.TempDir())
		for host, want := range map[string][2]int{at: {418, 200}, "rebound.example.com": {403, 403}} {
			for i, path := range []string{"/api", "/static/"} {
				req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+at+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = host
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != want[i] {
					t.Errorf("%s at %s as %s: %d, want %d", path, address, host, resp.StatusCode, want[i])
				}
			}
		}
	}
}
