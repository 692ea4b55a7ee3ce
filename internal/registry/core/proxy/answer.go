package proxy

import (
	"fmt"
	"io"
	"log"
	"mime"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// nowhere takes what the library says about connections that break while an answer is
// passed on: a client's or a pod's affair.
var nowhere = log.New(io.Discard, "", 0)

// forOrigin are the fields of an answer that speak for all of the origin that it comes
// from. That is the server's, where all pods are seen: none of them may say who else
// reads it, that it is to be reached elsewhere or only in some way, what a browser is to
// forget, or that a script of one may serve the pages of all.
var forOrigin = []string{
	"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods", "Access-Control-Allow-Origin",
	"Alt-Svc", "Clear-Site-Data", "Nel", "Report-To", "Service-Worker-Allowed", "Strict-Transport-Security",
}

// answer makes of a backend's answer what the client gets. client is the host that the
// client named.
func (f *forward) answer(resp *http.Response, client string) error {
	for _, name := range forOrigin {
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
