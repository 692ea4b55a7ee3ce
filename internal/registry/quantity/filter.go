package quantity

import (
	"bytes"
	"io"
	"net/http"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// holders are the resources whose objects hold quantities.
var holders = map[string]bool{"pods": true, "nodes": true}

// writers are the parts of them that take such an object or a patch of one.
var writers = map[string]bool{"": true, "status": true}

// Filter refuses requests that would write an absurd quantity with 400 Bad Request.
// It must stand where the request info is known; requests of other resources and
// reads pass untouched. limit is the largest body, in bytes, that is looked at: what
// the server takes at most, so that larger ones are refused behind the filter.
func Filter(next http.Handler, codecs runtime.NegotiatedSerializer, limit int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !writes(r) {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
		if err == nil && int64(len(body)) <= limit {
			err = CheckBody(r.Header.Get("Content-Type"), body)
		}
		if err != nil {
			responsewriters.ErrorNegotiated(errors.NewBadRequest(err.Error()), codecs, schema.GroupVersion{Version: "v1"}, w, r)
			return
		}
		r.Body = whole{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		next.ServeHTTP(w, r)
	})
}

func writes(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		return false
	}
	info, ok := request.RequestInfoFrom(r.Context())
	return ok && r.Body != nil && info.IsResourceRequest && holders[info.Resource] && writers[info.Subresource]
}

// whole is a body that has been read ahead.
type whole struct {
	io.Reader
	io.Closer
}
