package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"laterna.dev/laterna/internal/bounded"
)

const (
	// maxHeader is how large the header of an answer may be, in bytes.
	maxHeader = 64 << 10
	// maxRedirects is how often a probe is sent elsewhere on the same host.
	maxRedirects = 10
)

// NewTransport returns what carries the requests of handlers: a connection for each, no
// proxy, no check of certificates, bounded headers. With h2c it speaks HTTP/2 without
// TLS.
func NewTransport(h2c bool) *http.Transport {
	t := &http.Transport{
		// Handlers ask a pod whether it answers, and tell it nothing but what its own
		// spec says: who it is does not matter, as upstream.
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DialContext:       dialer().DialContext,
		DisableKeepAlives: true, DisableCompression: true,
		MaxResponseHeaderBytes: maxHeader,
		Protocols:              &http.Protocols{},
	}
	t.Protocols.SetHTTP1(!h2c)
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(h2c)
	return t
}

// NewRequest returns the request of a handler. host is the pod's address, agent what the
// program calls itself unless the handler says otherwise.
func NewRequest(ctx context.Context, get *corev1.HTTPGetAction, c *corev1.Container, host, agent string) (*http.Request, error) {
	port, err := Port(get.Port, c)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(get.Path)
	if err != nil {
		u = &url.URL{Path: get.Path}
	}
	u.Scheme = cmp.Or(strings.ToLower(string(get.Scheme)), "http")
	u.Host = address(cmp.Or(get.Host, host), port)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for _, h := range get.HTTPHeaders {
		r.Header.Add(h.Name, h.Value)
	}
	if _, given := r.Header["User-Agent"]; !given {
		r.Header.Set("User-Agent", agent)
	}
	switch accept, given := r.Header["Accept"]; {
	case !given:
		r.Header.Set("Accept", "*/*")
	case accept[0] == "":
		r.Header.Del("Accept")
	}
	r.Host = cmp.Or(r.Header.Get("Host"), r.Host)
	return r, nil
}

// httpGet asks a server. Whoever answers with a success or sends the probe elsewhere is
// well; on the same host it is followed.
func (a *asker) httpGet(ctx context.Context, c Container, get *corev1.HTTPGetAction, limit time.Duration) Run {
	request, err := NewRequest(ctx, get, c.Spec, c.Host, a.agent)
	if err != nil {
		return unknown(err)
	}
	client := http.Client{Transport: a.http, Timeout: limit, CheckRedirect: SameHost}
	if get.Protocol != nil && *get.Protocol == corev1.HTTPProtocolHTTP2 {
		client.Transport = a.plain
	}
	answer, err := client.Do(request)
	if err != nil {
		return failed(err.Error())
	}
	defer answer.Body.Close()
	body, err := bounded.Beginning(answer.Body, maxOutput)
	if err != nil {
		return unknown(err)
	}
	switch code := answer.StatusCode; {
	case code < http.StatusOK || code >= http.StatusBadRequest:
		return failed(fmt.Sprintf("HTTP probe failed with statuscode: %d", code))
	case code >= http.StatusMultipleChoices:
		return Run{Result: Warning, Output: "Probe terminated redirects, Response body: " + string(body)}
	}
	return Run{}
}

// SameHost is the rule of redirects: those that stay on the host are followed.
func SameHost(r *http.Request, via []*http.Request) error {
	switch {
	case r.URL.Hostname() != via[0].URL.Hostname():
		return http.ErrUseLastResponse
	case len(via) >= maxRedirects:
		return errors.New("stopped after 10 redirects")
	}
	return nil
}
