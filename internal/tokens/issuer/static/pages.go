package static

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/boundtoken/jwks"
	"laterna.dev/laterna/internal/tokens/issuer"
)

// Page is one document for static hosting.
type Page struct {
	// Path is where it is below the directory of an export: host, then the URL's path.
	Path string
	// URL is where relying parties ask for it, Type its content type.
	URL, Type string
	Body      []byte
}

// Pages returns what relying parties ask for to verify tokens of issuers, key sets first:
// a discovery document may only name keys that are there. The keys are at jwksURI or,
// when that is empty, below each issuer. keySet is the key set as the server publishes it.
func Pages(issuers []string, jwksURI string, keySet []byte) ([]Page, error) {
	set, err := jwks.Parse(keySet)
	if err != nil {
		return nil, err
	}
	var sets, documents []Page
	for _, name := range issuers {
		parsed, err := boundtoken.ParseIssuer(name)
		if err == nil {
			err = parsed.Discoverable()
		}
		if err != nil {
			return nil, err
		}
		uri := jwksURI
		if uri == "" {
			uri = issuer.KeySetURI(name)
		}
		doc, err := issuer.Document(name, uri, set)
		if err != nil {
			return nil, err
		}
		sets = append(sets, Page{URL: uri, Type: jwks.MediaType, Body: keySet})
		documents = append(documents, Page{URL: parsed.DiscoveryURL(), Type: "application/json", Body: doc})
	}
	return arrange(append(sets, documents...))
}

// arrange gives the pages their paths and leaves out repeated ones.
func arrange(all []Page) (pages []Page, err error) {
	for _, p := range all {
		if p.Path, err = pathOf(p.URL); err != nil {
			return nil, err
		}
		same := slices.IndexFunc(pages, func(o Page) bool { return o.Path == p.Path })
		if same >= 0 && string(pages[same].Body) != string(p.Body) {
			return nil, fmt.Errorf("%q and %q would be the same file; export one issuer at a time (--issuer)", pages[same].URL, p.URL)
		}
		if same < 0 {
			pages = append(pages, p)
		}
	}
	for _, p := range pages {
		for _, o := range pages {
			if strings.HasPrefix(o.Path, p.Path+"/") {
				return nil, fmt.Errorf("%q would be a file and the directory of %q", p.URL, o.URL)
			}
		}
	}
	return pages, nil
}

// maxSegment is the longest name of a file on Linux.
const maxSegment = 255

// pathOf returns the path of a URL's file. What a web server could not serve from a file
// of that name, or what would lead out of the directory, is refused.
func pathOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", fmt.Errorf("%q is not an https URL that static files can answer", address)
	}
	if strings.Contains(strings.ToLower(u.EscapedPath()), "%2f") {
		return "", fmt.Errorf("%q has an escaped slash, which no path of files has", address)
	}
	segments := append([]string{strings.ToLower(u.Host)}, strings.Split(strings.TrimPrefix(u.Path, "/"), "/")...)
	for _, s := range segments {
		bad := strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == '/' })
		if s == "" || s == "." || s == ".." || bad || len(s) > maxSegment {
			return "", fmt.Errorf("%q has a part %q, which cannot be the name of a file", address, s)
		}
	}
	return strings.Join(segments, "/"), nil
}
