package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/upgrade"
)

const (
	// flushEvery is how long a part of an answer may wait for more.
	flushEvery = 200 * time.Millisecond
	// upgradeTimeout bounds the answer to an upgrade request.
	upgradeTimeout = time.Minute
)

// target is whom a request goes on to.
type target struct {
	// url is scheme and host.
	url  url.URL
	ways *ways
	// mayUpgrade, if set, returns why a request must not be upgraded.
	mayUpgrade func(context.Context) error
}

// forward passes a request on to a target, and its answer back. It serves one request.
type forward struct {
	target
	// path is what is asked for there, as upstream cleans it; without a slash at its end.
	path      string
	prefix    string
	responder rest.Responder
	clock     clock.Wall
}

// newForward returns the handler of the request that ctx is of. below is the path behind
// the subresource.
func newForward(ctx context.Context, to target, below string, responder rest.Responder, clk clock.Wall) (*forward, error) {
	info, ok := request.RequestInfoFrom(ctx)
	if !ok {
		return nil, errors.New("no request info")
	}
	at := []string{"", info.APIPrefix, info.APIVersion}
	if info.Namespace != "" && info.Resource != "namespaces" {
		at = append(at, "namespaces", info.Namespace)
	}
	at = append(at, info.Resource, info.Name, info.Subresource)
	if to.url.Scheme == "" {
		to.url.Scheme = "http"
	}
	return &forward{target: to, path: strings.TrimSuffix(path.Join("/", below), "/"), prefix: strings.Join(at, "/"), responder: responder, clock: clk}, nil
}

// ServeHTTP implements http.Handler.
func (f *forward) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to := f.url
	if to.Path = f.path; strings.HasSuffix(r.URL.Path, "/") {
		to.Path += "/"
	}
	to.RawQuery = r.URL.RawQuery
	if p := upgrade.Of(r); p != "" && !strings.EqualFold(p, "h2c") { // which may be passed over
		f.upgrade(w, r, &to)
		return
	}
	if to.Path == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		f.redirect(w, r)
		return
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			if p.Out.URL = &to; to.Path == "" {
				to.Path = "/"
			}
			p.Out.Host = p.In.Host
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
			p.SetXForwarded()
			p.Out.Header.Del("Connection")
			p.Out.Header.Del("Upgrade")
			f.describe(p.Out.Header, &to)
		},
		Transport:      f.ways.plain,
		FlushInterval:  flushEvery,
		ModifyResponse: func(resp *http.Response) error { return f.answer(resp, r.Host) },
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { f.fail(err) },
		ErrorLog:       nowhere,
	}
	proxy.ServeHTTP(w, r)
}

// redirect sends a client to the path with a slash behind it, so that relative links of
// the page at the root are right.
func (f *forward) redirect(w http.ResponseWriter, r *http.Request) {
	to := f.prefix + "/"
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusMovedPermanently)
}

// describe completes a header that goes on to the target: what the client asked for, and
// nothing of who it is to this server.
func (f *forward) describe(h http.Header, to *url.URL) {
	h.Set("X-Forwarded-Uri", links{prefix: f.prefix}.join(to.EscapedPath()))
	for name := range h {
		if name == "Authorization" || strings.HasPrefix(name, "Impersonate-") || strings.HasPrefix(name, "X-Remote-") {
			h.Del(name)
		}
	}
}

// fail answers that the target could not be reached.
func (f *forward) fail(err error) {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		err = apierrors.NewServiceUnavailable(fmt.Sprintf("error trying to reach service: %v", err))
	}
	f.responder.Error(err)
}

// upgrade makes a connection of the request, which then belongs to client and target.
func (f *forward) upgrade(w http.ResponseWriter, r *http.Request, to *url.URL) {
	if f.mayUpgrade != nil {
		if err := f.mayUpgrade(r.Context()); err != nil {
			f.responder.Error(internal(err))
			return
		}
	}
	out := r.Clone(r.Context())
	out.Header.Del("Forwarded")
	if client, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		out.Header.Set("X-Forwarded-For", strings.Join(append(r.Header.Values("X-Forwarded-For"), client), ", "))
	}
	out.Header.Set("X-Forwarded-Host", r.Host)
	out.Header.Set("X-Forwarded-Proto", "https")
	f.describe(out.Header, to)
	through := &upgrade.Through{
		Backend: upgrade.Backend{
			URL: to, Host: r.Host, Whole: true, Wait: upgradeTimeout, Clock: f.clock,
			Dial: func(ctx context.Context) (net.Conn, error) { return f.ways.dial(ctx, to) },
		},
		Fail:  func(_ http.ResponseWriter, _ *http.Request, err error) { f.responder.Error(internal(err)) },
		Clock: f.clock,
	}
	through.ServeHTTP(w, out)
}

// internal is an error as upstream answers it where no upgrade comes about.
func internal(err error) error {
	var known apierrors.APIStatus
	if errors.As(err, &known) {
		return err
	}
	return apierrors.NewInternalError(err)
}
