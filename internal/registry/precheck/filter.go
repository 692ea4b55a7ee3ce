// Package precheck lets the bodies of requests be looked at before they are decoded:
// what a decoder makes of them may cost far more than the bytes.
//
// What is looked for lives in internal/registry/quantity and internal/registry/bounds.
package precheck

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/registry/bounds"
)

// streams are the subresources whose requests have no body but a stream.
var streams = map[string]bool{"exec": true, "attach": true, "portforward": true, "proxy": true}

// Check returns why a body must not be decoded: a status of the API, or any other error,
// which is answered as 400 Bad Request. The body is of the media type given.
type Check func(info *request.RequestInfo, mediaType string, body []byte) error

// Filter refuses requests whose body does not pass the checks. It must stand where the
// request info is known; reads pass untouched. limit is the largest body, in bytes, that
// is looked at: what the server takes at most, so that larger ones are refused behind
// the filter. It tells bounds.Patchable about patches.
func Filter(next http.Handler, codecs runtime.NegotiatedSerializer, limit int64, checks ...Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := writes(r)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		mediaType := mediaTypeOf(r)
		body, err := bounded.Beginning(r.Body, limit+1)
		if err == nil && int64(len(body)) <= limit {
			err = run(checks, info, mediaType, body)
		}
		if err != nil {
			if r.Context().Err() != nil {
				err = errors.NewTimeoutError("the body of the request has not come in time", 0)
			} else if _, ok := err.(errors.APIStatus); !ok {
				err = errors.NewBadRequest(err.Error())
			}
			responsewriters.ErrorNegotiated(err, codecs, schema.GroupVersion{Version: "v1"}, w, r)
			return
		}
		r = r.WithContext(bounds.WithPatch(r.Context(), mediaType, body))
		r.Body = whole{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		next.ServeHTTP(w, r)
	})
}

// mediaTypeOf returns as what the server will decode the body of r: its media type in
// small letters and without parameters, in which anything may be said. A patch's is taken
// as it is written. It is empty where the server takes JSON or refuses the request.
func mediaTypeOf(r *http.Request) string {
	header := r.Header.Get("Content-Type")
	if r.Method == http.MethodPatch {
		mediaType, _, _ := strings.Cut(header, ";")
		return mediaType
	}
	mediaType, _, err := mime.ParseMediaType(header)
	if err != nil {
		return ""
	}
	return mediaType
}

func run(checks []Check, info *request.RequestInfo, mediaType string, body []byte) error {
	for _, check := range checks {
		if err := check(info, mediaType, body); err != nil {
			return err
		}
	}
	return nil
}

// writes returns what a request with a body is for. The server decodes the kind that
// the body names, whatever the resource.
func writes(r *http.Request) (*request.RequestInfo, bool) {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return nil, false
	}
	info, ok := request.RequestInfoFrom(r.Context())
	return info, ok && r.Body != nil && r.Body != http.NoBody && info.IsResourceRequest && !streams[info.Subresource]
}

// whole is a body that has been read ahead.
type whole struct {
	io.Reader
	io.Closer
}
