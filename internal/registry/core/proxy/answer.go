package proxy

import (
	"fmt"
	"io"
	"log"
	"mime"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"laterna.dev/laterna/internal/upgrade"
)

// nowhere takes what the library says about connections that break while an answer is
// passed on: a client's or a pod's affair.
var nowhere = log.New(io.Discard, "", 0)

// answer makes of a backend's answer what the client gets. client is the host that the
// client named.
func (f *forward) answer(resp *http.Response, client string) error {
	for _, name := range upgrade.ForOrigin {
		resp.Header.Del(name)
	}
	l := links{prefix: f.prefix, backend: f.url.Host, client: client}
	if to := resp.Header.Get("Location"); to != "" {
		link, err := url.Parse(to)
		if err != nil {
			return apierrors.NewInternalError(fmt.Errorf("error trying to parse Location header: %v", err))
		}
		if led, other := l.lead(link); other {
			resp.Header.Set("Location", led)
		}
		return nil
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "text/html" || resp.StatusCode == http.StatusPartialContent {
		return nil
	}
	lead, understood := newPage(resp.Body, resp.Header.Get("Content-Encoding"), l)
	if !understood {
		return nil
	}
	resp.Header.Del("Content-Length")
	resp.Header.Del("Content-Encoding")
	if resp.Request.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		return nil
	}
	resp.ContentLength, resp.Body = -1, lead
	return nil
}
