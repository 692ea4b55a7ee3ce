package quantity

import (
	"bytes"
	stderrors "errors"
	"io"
	"net/http"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"

	"laterna.dev/laterna/internal/bounded"
)

// streams are the subresources whose requests have no body but a stream.
var streams = map[string]bool{"exec": true, "attach": true, "portforward": true, "proxy": true}

// Filter refuses requests that would have an absurd quantity decoded with 400 Bad
// Request. It must stand where the request info is known; reads pass untouched. limit
// is the largest body, in bytes, that is looked at: what the server takes at most, so
// that larger ones are refused behind the filter.
func Filter(next http.Handler, guard *Guard, codecs runtime.NegotiatedSerializer, limit int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := writes(r)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		body, err := bounded.All(r.Body, limit)
		switch {
		case stderrors.Is(err, bounded.ErrTooLarge):
			err = nil // it is refused behind the filter
		case err == nil:
			err = guard.Check(r.Header.Get("Content-Type"), info.Resource, body)
		}
		if err != nil {
			responsewriters.ErrorNegotiated(errors.NewBadRequest(err.Error()), codecs, schema.GroupVersion{Version: "v1"}, w, r)
			return
		}
		r.Body = whole{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		next.ServeHTTP(w, r)
	})
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
