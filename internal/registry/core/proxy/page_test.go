package proxy

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

var some = links{prefix: "/api/v1/namespaces/ns/pods/p/proxy", backend: "10.0.0.1:80", client: "api:6443"}

func TestLinksThatAreLed(t *testing.T) {
	for link, want := range map[string]string{
		"/":                       some.prefix + "/",
		"/a/b":                    some.prefix + "/a/b",
		"/a/b/":                   some.prefix + "/a/b/",
		"/a?b=c#d":                some.prefix + "/a?b=c#d",
		"/a%20b":                  some.prefix + "/a%20b",
		"http://10.0.0.1:80/a":    some.prefix + "/a",
		"//10.0.0.1:80/a":         some.prefix + "/a",
		"https://api:6443/a":      "https://api:6443" + some.prefix + "/a",
		some.prefix + "/a":        some.prefix + "/a",
		"a/b":                     "",
		"../a":                    "",
		"":                        "",
		"#x":                      "",
		"?x":                      "",
		"http://elsewhere/a":      "",
		"//elsewhere/a":           "",
		"http://10.0.0.1:80":      "",
		"javascript:alert('/a')":  "",
		"mailto:somebody@example": "",
		"data:text/plain,/a":      "",
	} {
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		if got, other := some.lead(u); got != want || other != (want != "") {
			t.Errorf("%q becomes %q, %v, want %q", link, got, other, want)
		}
	}
}

const (
	before = `<!DOCTYPE html><html><head><link rel=x href=/s.css><script src='/j.js'>if (a<b) {"<a href='/no'>"}</script></head>
<body onload="x"><!-- <a href="/no"> --><A HREF="/a?b=1&amp;c=2" class=k>t &amp; u</A><img src="/i.png"/><a href="b">r</a>
<form action="/f"><input formaction="/g"></form><a href="http://elsewhere/x">e</a><textarea><a href="/no"></textarea> end <a href="/cut`
	after = `<!DOCTYPE html><html><head><link rel="x" href="PREFIX/s.css"><script src="PREFIX/j.js">if (a<b) {"<a href='/no'>"}</script></head>
<body onload="x"><!-- <a href="/no"> --><a href="PREFIX/a?b=1&amp;c=2" class="k">t &amp; u</A><img src="PREFIX/i.png"/><a href="b">r</a>
<form action="PREFIX/f"><input formaction="PREFIX/g"></form><a href="http://elsewhere/x">e</a><textarea><a href="/no"></textarea> end <a href="/cut`
)

func TestPageInItsEncodings(t *testing.T) {
	want := strings.ReplaceAll(after, "PREFIX", some.prefix)
	pack := func(open func(io.Writer) io.WriteCloser) []byte {
		var b bytes.Buffer
		w := open(&b)
		_, _ = io.WriteString(w, before)
		_ = w.Close()
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		encoding string
		body     []byte
	}{
		"plain":   {"", []byte(before)},
		"gzip":    {"gzip", pack(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })},
		"deflate": {"deflate", pack(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })},
		"raw": {"deflate", pack(func(w io.Writer) io.WriteCloser {
			f, _ := flate.NewWriter(w, flate.BestSpeed)
			return f
		})},
	} {
		for way, in := range map[string]io.Reader{"at once": bytes.NewReader(c.body), "by byte": iotest.OneByteReader(bytes.NewReader(c.body))} {
			p, understood := newPage(io.NopCloser(in), c.encoding, some)
			if !understood {
				t.Fatal(name)
			}
			if got, err := io.ReadAll(p); string(got) != want || err != nil {
				t.Errorf("%s, %s: %v\n%s", name, way, err, got)
			}
		}
	}
	if _, understood := newPage(nil, "br", some); understood {
		t.Error("brotli is understood")
	}
	p, _ := newPage(io.NopCloser(strings.NewReader("no gzip")), "gzip", some)
	if got, err := io.ReadAll(p); err == nil {
		t.Errorf("what is no gzip is read as %q", got)
	}
}

// TestPageWithoutEndIsNotHeld reads pages that are larger than any memory would be good
// for, with pieces of all sizes.
func TestPageWithoutEndIsNotHeld(t *testing.T) {
	const size = 32 << 20
	for name, begin := range map[string]string{"text": "<p>", "a script": "<script>", "a tag": "<a href='", "tags": ""} {
		fill := "x"
		if name == "tags" {
			fill = "<br>"
		}
		in := io.MultiReader(strings.NewReader(begin), io.LimitReader(&endless{fill: []byte(strings.Repeat(fill, 4<<10))}, size))
		p, _ := newPage(io.NopCloser(in), "", some)
		runtime.GC()
		var first, last runtime.MemStats
		runtime.ReadMemStats(&first)
		most, total := uint64(0), int64(0)
		buf := make([]byte, 32<<10)
		for i := 0; ; i++ {
			n, err := p.Read(buf)
			total += int64(n)
			if i%200 == 0 {
				runtime.ReadMemStats(&last)
				most = max(most, last.HeapInuse)
			}
			if err != nil {
				break
			}
		}
		if total != int64(len(begin))+size {
			t.Errorf("%s: %d bytes of %d", name, total, size)
		}
		if most > first.HeapInuse+16<<20 {
			t.Errorf("%s: the heap grows from %d to %d MiB", name, first.HeapInuse>>20, most>>20)
		}
	}
}

type endless struct{ fill []byte }

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.fill)
	}
	return n, nil
}

// TestPageThatComesInPartsIsPassedOnInParts does not wait for the rest.
func TestPageThatComesInPartsIsPassedOnInParts(t *testing.T) {
	r, w := io.Pipe()
	p, _ := newPage(r, "", some)
	buf := make([]byte, 1<<10)
	for range 3 {
		go func() { _, _ = io.WriteString(w, `<a href="/a">`) }()
		if n, err := p.Read(buf); string(buf[:n]) != `<a href="`+some.prefix+`/a">` || err != nil {
			t.Fatalf("%q, %v", buf[:n], err)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("the backend is not told")
	}
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(before), "")
	f.Add([]byte("<a href='/"), "gzip")
	f.Add([]byte{0x78, 0x9c, 1}, "deflate")
	f.Fuzz(func(t *testing.T, text []byte, encoding string) {
		if p, understood := newPage(io.NopCloser(bytes.NewReader(text)), encoding, links{prefix: "/p"}); understood {
			got, _ := io.ReadAll(io.LimitReader(p, 1<<20))
			if encoding == "" && !bytes.ContainsAny(text, "=") && len(text) < 1<<20 && !bytes.Equal(got, text) {
				t.Errorf("%q becomes %q", text, got)
			}
		}
	})
}
