package webui

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// kinds are the media types of the files of pages, by the ends of their names. What is of
// no such kind is not served.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".png":  "image/png",
	".svg":  "image/svg+xml",
}

// page serves a page and its files: at its path, which ends in a slash, index.html, below
// it the other files of its folders, of which the first that has one counts. A file that is
// kept as NAME.gz is NAME, and is sent as it is kept to who takes that. Browsers keep files
// and ask whether they are still the same.
type page struct {
	path    string
	folders []fs.FS
}

// ServeHTTP implements http.Handler.
func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name, below := strings.CutPrefix(r.URL.Path, p.path)
	switch {
	case !below:
		toFolder(w, r, p.path)
		return
	case name == "":
		name = "index.html"
	}
	for _, folder := range p.folders {
		if kinds[path.Ext(name)] != "" && (serve(w, r, folder, name) || servePacked(w, r, folder, name)) {
			return
		}
	}
	http.NotFound(w, r)
}

// toFolder sends who asks for a page without the slash at its end to the page. The address
// is relative: a proxy may show the server below a path of its own.
func toFolder(w http.ResponseWriter, r *http.Request, folder string) {
	to := path.Base(folder) + "/"
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusMovedPermanently)
}

// serve answers with a file, and says whether there is one.
func serve(w http.ResponseWriter, r *http.Request, folder fs.FS, name string) bool {
	f, tag, ok := open(folder, name)
	if !ok {
		return false
	}
	defer f.Close()
	send(w, r, name, tag, f)
	return true
}

// servePacked is serve for a file that is kept compressed.
func servePacked(w http.ResponseWriter, r *http.Request, folder fs.FS, name string) bool {
	f, tag, ok := open(folder, name+".gz")
	if !ok {
		return false
	}
	defer f.Close()
	w.Header().Set("Vary", "Accept-Encoding")
	if takesGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		send(w, r, name, tag+"-gzip", f)
		return true
	}
	plain, err := gzip.NewReader(f)
	if err != nil {
		http.Error(w, "reading "+name+": "+err.Error(), http.StatusInternalServerError)
		return true
	}
	w.Header().Set("Content-Type", kinds[path.Ext(name)])
	if r.Method == http.MethodGet {
		// Part of the answer is on its way: what goes wrong now nobody can be told.
		_, _ = io.Copy(w, plain)
	}
	return true
}

func send(w http.ResponseWriter, r *http.Request, name, tag string, content io.ReadSeeker) {
	w.Header().Set("Content-Type", kinds[path.Ext(name)])
	w.Header().Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, name, time.Time{}, content)
}

// takesGzip tells whether an answer may be compressed.
func takesGzip(r *http.Request) bool {
	for _, clause := range strings.Split(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(clause), ";")
		if coding != "gzip" && coding != "*" {
			continue
		}
		weight = strings.TrimLeft(strings.TrimSpace(weight), "q= ")
		return weight == "" || strings.Trim(weight, "0.") != ""
	}
	return false
}

// content is a file that one can seek in, as those inside the program are.
type content interface {
	fs.File
	io.ReadSeeker
}

// open opens a file and returns a digest of it with it.
func open(folder fs.FS, name string) (content, string, bool) {
	opened, err := folder.Open(name)
	if err != nil {
		return nil, "", false
	}
	f, ok := opened.(content)
	hash := sha256.New()
	if ok {
		_, err = io.Copy(hash, f)
		_, back := f.Seek(0, io.SeekStart)
		err = errors.Join(err, back)
	}
	if !ok || err != nil {
		opened.Close()
		return nil, "", false
	}
	return f, hex.EncodeToString(hash.Sum(nil)[:12]), true
}
