package paths

import (
	"net/http"
	"slices"
	"strings"

	restful "github.com/emicklei/go-restful/v3"
)

// choose returns the first of the handlers whose path fits that takes the request: its
// method, then the type of its body, then what its client accepts. The refusals are the
// library's.
func choose(fitting []*route, req *http.Request) (*route, error) {
	if len(fitting) == 0 {
		return nil, restful.NewError(http.StatusNotFound, "404: Page Not Found")
	}
	left := with(fitting, func(r *route) bool { return r.method == req.Method })
	if len(left) == 0 {
		return nil, restful.NewErrorWithHeader(http.StatusMethodNotAllowed, "405: Method Not Allowed", http.Header{"Allow": {allowed(fitting)}})
	}
	left = with(left, func(r *route) bool { return r.takes(req.Header.Get("Content-Type")) })
	if len(left) == 0 {
		return nil, restful.NewError(http.StatusUnsupportedMediaType, "415: Unsupported Media Type")
	}
	accept := req.Header.Get("Accept")
	if accept == "" {
		accept = anything
	}
	for _, r := range left {
		if r.gives(accept) {
			return r, nil
		}
	}
	var available []string
	for _, r := range left {
		available = append(available, r.produces...)
	}
	return nil, restful.NewError(http.StatusNotAcceptable, "406: Not Acceptable\n\nAvailable representations: "+strings.Join(available, ", "))
}

func with(all []*route, ok func(*route) bool) (left []*route) {
	for _, r := range all {
		if ok(r) {
			left = append(left, r)
		}
	}
	return left
}

// allowed lists the methods of handlers.
func allowed(all []*route) string {
	var methods []string
	for _, r := range all {
		if !slices.Contains(methods, r.method) {
			methods = append(methods, r.method)
		}
	}
	return strings.Join(methods, ", ")
}

const (
	anything = "*/*"
	// assumed is the type of a body that says none, unless the method hardly has one.
	assumed = "application/octet-stream"
)

// takes tells whether a body of a content type can be read.
func (r *route) takes(contentType string) bool {
	if len(r.consumes) == 0 {
		return true
	}
	if contentType == "" {
		switch r.method {
		case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete, http.MethodTrace:
			return true
		}
		contentType = assumed
	}
	for mediaType := range mediaTypes(contentType) {
		if slices.Contains(r.consumes, anything) || slices.Contains(r.consumes, mediaType) {
			return true
		}
	}
	return false
}

// gives tells whether a client that accepts these types can be answered.
func (r *route) gives(accept string) bool {
	for mediaType := range mediaTypes(accept) {
		if mediaType == anything || slices.Contains(r.produces, anything) || slices.Contains(r.produces, mediaType) {
			return true
		}
	}
	return false
}

// mediaTypes yields the types of a header without their parameters.
func mediaTypes(header string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for part := range strings.SplitSeq(header, ",") {
			mediaType, _, _ := strings.Cut(part, ";")
			if !yield(strings.Trim(mediaType, " ")) {
				return
			}
		}
	}
}
