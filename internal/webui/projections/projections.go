package projections

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"strings"
	"time"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/clock"
)

// Path is where the page is, with a slash at its end; without one it is found, too.
const Path = "/projections"

// policy lets the page load its own files, and ask the server that it came from.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// largest is a bound of files in bytes.
const largest = 1 << 20

//go:embed static
var static embed.FS

// Config is what the page is served with. All fields are required.
type Config struct {
	// Clock is what tokens, keys and issuers live by, Wall what all else does.
	Clock clock.API
	Wall  clock.Wall
}

// types are the media types of the page's files by the ends of their names.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// New returns what answers Path and all below it.
func New(c Config) http.Handler { return c }

// ServeHTTP implements http.Handler.
func (c Config) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	switch name := strings.TrimPrefix(r.URL.Path, Path); name {
	case "":
		// Relative, as a proxy may stand before the path.
		w.Header().Set("Location", path.Base(Path)+"/")
		w.WriteHeader(http.StatusMovedPermanently)
	case "/" + clockName:
		c.tell(w)
	case "/":
		serve(w, r, "index.html")
	default:
		serve(w, r, name[1:])
	}
}

func head(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// serve answers with a file, or that it is still the one that the client has: after an
// upgrade nobody is left with modules of two versions.
func serve(w http.ResponseWriter, r *http.Request, name string) {
	kind, known := types[path.Ext(name)]
	content, err := bounded.In(static, "static/"+name, largest)
	if !known || err != nil {
		http.NotFound(w, r)
		return
	}
	sum := sha256.Sum256(content)
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}
