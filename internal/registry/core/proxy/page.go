package proxy

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/url"
	"slices"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxToken is the longest piece of a page that is looked at, in bytes: a tag, or all of a
// script. A page with a longer one passes as it is from there on.
const maxToken = 1 << 20

// linking are the attributes of HTML 4 and 5 that hold a URL.
var linking = map[atom.Atom][]string{
	atom.A: {"href"}, atom.Applet: {"codebase"}, atom.Area: {"href"}, atom.Audio: {"src"}, atom.Base: {"href"},
	atom.Blockquote: {"cite"}, atom.Body: {"background"}, atom.Button: {"formaction"}, atom.Command: {"icon"},
	atom.Del: {"cite"}, atom.Embed: {"src"}, atom.Form: {"action"}, atom.Frame: {"longdesc", "src"},
	atom.Head: {"profile"}, atom.Html: {"manifest"}, atom.Iframe: {"longdesc", "src"}, atom.Img: {"longdesc", "src", "usemap"},
	atom.Input: {"src", "usemap", "formaction"}, atom.Ins: {"cite"}, atom.Link: {"href"},
	atom.Object: {"classid", "codebase", "data", "usemap"}, atom.Q: {"cite"}, atom.Script: {"src"},
	atom.Source: {"src"}, atom.Video: {"poster", "src"},
}

// page is a page whose links are led as it is read, piece by piece.
type page struct {
	links links
	// source is the page as it comes; body closes it.
	source io.Reader
	body   io.Closer
	tokens *html.Tokenizer
	out    []byte // is to be read next
	raw    io.Reader
	err    error
}

// newPage returns a page that is read from body, which it closes. It has no encoding any
// more; understood is false, and body untouched, where it has one that is not known.
func newPage(body io.ReadCloser, encoding string, l links) (p *page, understood bool) {
	p = &page{links: l, body: body}
	switch encoding {
	case "", "identity":
		p.source = body
	case "gzip", "x-gzip":
		p.source = &lazy{open: func() (io.Reader, error) { return gzip.NewReader(body) }}
	case "deflate":
		p.source = &lazy{open: func() (io.Reader, error) { return inflate(bufio.NewReader(body)) }}
	default:
		return nil, false
	}
	p.tokens = html.NewTokenizer(p.source)
	p.tokens.SetMaxBuf(maxToken)
	return p, true
}

// inflate reads what servers call deflate: zlib's format, as it should be, or none.
func inflate(in *bufio.Reader) (io.Reader, error) {
	head, err := in.Peek(2)
	if err != nil {
		return nil, err
	}
	if head[0]&0x0F == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		return zlib.NewReader(in)
	}
	return flate.NewReader(in), nil
}

// lazy is a reader that is opened when it is first read: opening waits for the source.
type lazy struct {
	open   func() (io.Reader, error)
	reader io.Reader
	err    error
}

// Read implements io.Reader.
func (l *lazy) Read(p []byte) (int, error) {
	if l.reader == nil && l.err == nil {
		l.reader, l.err = l.open()
	}
	if l.err != nil {
		return 0, l.err
	}
	return l.reader.Read(p)
}

// Read implements io.Reader. It waits for the source only when it has nothing to return.
func (p *page) Read(b []byte) (n int, err error) {
	for n < len(b) {
		if len(p.out) == 0 {
			switch {
			case n > 0 && (p.raw != nil || p.err != nil || len(p.tokens.Buffered()) == 0):
				return n, nil
			case p.raw != nil:
				return p.raw.Read(b)
			case p.err != nil:
				return 0, p.err
			}
			p.next()
		}
		m := copy(b[n:], p.out)
		n, p.out = n+m, p.out[m:]
	}
	return n, nil
}

// Close implements io.Closer.
func (p *page) Close() error { return p.body.Close() }

// next takes one token.
func (p *page) next() {
	kind := p.tokens.Next()
	raw := p.tokens.Raw()
	switch kind {
	case html.ErrorToken:
		p.out = slices.Clone(raw) // a tag that is cut
		if p.err = p.tokens.Err(); p.err == html.ErrBufferExceeded {
			p.out, p.raw = append(p.out, p.tokens.Buffered()...), p.source
		}
	case html.StartTagToken, html.SelfClosingTagToken:
		p.out = slices.Clone(raw) // the tokenizer changes it
		if token := p.tokens.Token(); len(raw) > 0 && p.out[len(p.out)-1] == '>' && p.lead(&token) {
			p.out = []byte(token.String())
		}
	default:
		p.out = slices.Clone(raw)
	}
}

// lead leads the links of a tag and tells whether it is another for it.
func (p *page) lead(token *html.Token) (changed bool) {
	names := linking[token.DataAtom]
	for i, a := range token.Attr {
		if !slices.Contains(names, a.Key) {
			continue
		}
		link, err := url.Parse(a.Val)
		if err != nil {
			continue
		}
		if led, other := p.links.lead(link); other && led != a.Val {
			token.Attr[i].Val, changed = led, true
		}
	}
	return changed
}
