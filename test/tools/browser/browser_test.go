package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodPage = `<!DOCTYPE html><html lang="en"><head><title>Good</title><link rel="icon" href="data:,"><script src="own.js"></script></head>
<body><main><h1>Good</h1><label>Name <input id="name" value="old"></label><button>Greet</button><p id="answer"></p></main></body></html>`

const ownScript = `addEventListener("DOMContentLoaded", () => document.querySelector("button").onclick = () =>
  setTimeout(() => document.querySelector("#answer").textContent = "Hello " + document.querySelector("input").value, 300))`

const badPage = `<!DOCTYPE html><html><head><script>document.title = "inline"</script></head>
<body><img src="/picture"><input><img src="http://192.0.2.1/tracker" alt=""></body></html>`

// pages serves both pages, with a content security policy that refuses scripts in them.
func pages(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "script-src 'self'")
		switch r.URL.Path {
		case "/good":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, goodPage)
		case "/own.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, ownScript)
		case "/bad":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, badPage)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestPageIsUsedAsAPersonDoes types, clicks and sees what comes of it.
func TestPageIsUsedAsAPersonDoes(t *testing.T) {
	p := Start(t).Open(t, pages(t)+"/good")
	p.Fill("#name", "new")
	p.Click("button")
	p.Until(`document.querySelector("#answer").textContent === "Hello new"`)
	if got := p.See("#answer"); got != "Hello new" {
		t.Errorf("the page says %q", got)
	}
	p.Dark(true)
	if !Eval[bool](p, `matchMedia("(prefers-color-scheme: dark)").matches`) {
		t.Error("the page does not know that its reader prefers dark pages")
	}
	p.Phone()
	file := filepath.Join(t.TempDir(), "pictures", "good.png")
	p.Screenshot(file)
	if raw, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(raw), "\x89PNG") {
		t.Errorf("a picture of %d bytes, %v", len(raw), err)
	}
	p.Accessible()
	p.Quiet()
}

// TestFaultsOfAPageAreSeen has axe-core find what it is asked for, and the rest be noticed.
func TestFaultsOfAPageAreSeen(t *testing.T) {
	p := Start(t).Open(t, pages(t)+"/bad")
	found := fmt.Sprint(p.axe(nil))
	for _, rule := range []string{"document-title", "html-has-lang", "image-alt", "label"} {
		if !strings.Contains(found, rule) {
			t.Errorf("axe-core does not find %s in %s", rule, found)
		}
	}
	if found := fmt.Sprint(p.axe([]string{"img"})); strings.Contains(found, "image-alt") {
		t.Errorf("axe-core finds what is excepted: %s", found)
	}
	said := strings.Join(p.Console(), "\n")
	for _, want := range []string{"Content Security Policy", "404", "192.0.2.1"} {
		if !strings.Contains(said, want) {
			t.Errorf("the console lacks %q:\n%s", want, said)
		}
	}
	if asked := strings.Join(p.Requests(), "\n"); !strings.Contains(asked, "GET http://192.0.2.1/tracker") {
		t.Errorf("the request of another server is not seen:\n%s", asked)
	}
}
