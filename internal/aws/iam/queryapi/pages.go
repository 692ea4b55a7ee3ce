package queryapi

import (
	"encoding/base64"

	"laterna.dev/laterna/internal/aws/query"
)

// pageOf is what all lists in pages have: IsTruncated always, Marker only where there is
// more.
type pageOf struct {
	IsTruncated bool   `xml:"IsTruncated"`
	Marker      string `xml:"Marker,omitempty"`
}

func more(after string) pageOf {
	return pageOf{IsTruncated: true, Marker: base64.RawURLEncoding.EncodeToString([]byte(after))}
}

// page reads which part of a list is wanted: at most limit, behind what after names.
func (r *request) page() (after func() (string, error), limit int) {
	limit = r.Number("MaxItems", 1, 1000, 100)
	marker := r.Text("Marker", query.Text{Min: 1, Max: 320, Pattern: r.api.patterns.marker, Hidden: true})
	return func() (string, error) {
		raw, err := base64.RawURLEncoding.DecodeString(marker)
		if err != nil || marker != "" && len(raw) == 0 {
			return "", query.Invalid("Invalid Marker.")
		}
		return string(raw), nil
	}, limit
}

// pathPrefix reads what the paths of things in a list begin with.
func (r *request) pathPrefix() string {
	prefix := r.Text("PathPrefix", query.Text{Min: 1, Max: 512, Pattern: r.api.patterns.pathPrefix, Hidden: true})
	if prefix == "" {
		return "/"
	}
	return prefix
}

// cut returns the page of a list that is in memory and sorted by what nameOf tells.
func cut[T any](all []T, after string, limit int, nameOf func(T) string) ([]T, pageOf) {
	for len(all) > 0 && after != "" && nameOf(all[0]) <= after {
		all = all[1:]
	}
	if len(all) <= limit {
		return all, pageOf{}
	}
	return all[:limit], more(nameOf(all[limit-1]))
}
