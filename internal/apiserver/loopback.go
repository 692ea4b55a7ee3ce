package apiserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
)

// loopback carries requests of this process to the server without a connection:
// no TCP, no TLS. Requests wait until the server serves.
type loopback struct {
	serving chan struct{} // closed by serve
	handler http.Handler
}

func newLoopback() *loopback { return &loopback{serving: make(chan struct{})} }

// serve lets requests through to h. It is called once.
func (l *loopback) serve(h http.Handler) {
	l.handler = h
	close(l.serving)
}

// process is this process itself, which may do everything.
var process = &user.DefaultInfo{Name: user.APIServerUser, Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}}

// controllerUser is a controller by the name of its user: a service account, or else
// a part of the system without groups of its own.
func controllerUser(name string) user.Info {
	u := &user.DefaultInfo{Name: name, Groups: []string{user.AllAuthenticated}}
	if namespace, _, err := serviceaccount.SplitUsername(name); err == nil {
		u.Groups = append(serviceaccount.MakeGroupNames(namespace), user.AllAuthenticated)
	}
	return u
}

// config returns a client configuration whose requests are u's and wait, beside the
// server, until ready is closed; nil is not waited for. rest.Config needs a host;
// nothing dials it.
func (l *loopback) config(u user.Info, ready <-chan struct{}) *rest.Config {
	return &rest.Config{
		Host:      "http://loopback",
		Transport: caller{l, u, ready},
		QPS:       -1, // no limit: the server limits what it takes
		// Warnings are for people who can write something else.
		WarningHandler: rest.NoWarnings{},
		ContentConfig:  rest.ContentConfig{ContentType: runtime.ContentTypeProtobuf, AcceptContentTypes: runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON},
	}
}

// caller is the loopback in the hands of one user. Having it is the credential: there
// is nothing else that could be stolen, and no request can choose another user but by
// impersonation. It implements http.RoundTripper.
type caller struct {
	*loopback
	user  user.Info
	ready <-chan struct{}
}

// loopbackKey marks the context of requests that came through loopback; its value is
// the user.Info of who makes it. It cannot be forged from outside the package.
type loopbackKey struct{}

// fromProcess tells whether a request came through loopback, whoever made it.
func fromProcess(req *http.Request) bool { return req.Context().Value(loopbackKey{}) != nil }

// bare is a context without its values. A request that is made while another is
// served shares its end, but not its audit event, warnings and user.
type bare struct{ context.Context }

func (bare) Value(any) any { return nil }

// RoundTrip implements http.RoundTripper. The response's body must be closed.
func (c caller) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := c.await(req.Context()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithValue(bare{req.Context()}, loopbackKey{}, c.user))
	in := req.Clone(ctx)
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/2.0", 2, 0
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := newPipeWriter(ctx)
	go w.run(c.handler, in)
	select {
	case <-w.headed:
		return w.response(req, cancel), nil
	case <-ctx.Done():
		cancel()
		return nil, context.Cause(ctx)
	}
}

// await returns once the server takes requests of this caller.
func (c caller) await(ctx context.Context) error {
	for _, begun := range []<-chan struct{}{c.serving, c.ready} {
		if begun == nil {
			continue
		}
		select {
		case <-begun:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// pipeWriter is the http.ResponseWriter of a loopback request. Like that of an
// HTTP/2 connection it can flush and tell that the client has gone, and it cannot
// be hijacked.
type pipeWriter struct {
	gone   chan bool     // told when the request is cancelled
	once   sync.Once     // guards headed
	headed chan struct{} // closed when status and header are final
	status int
	header http.Header // the handler's
	sent   http.Header // what the client sees
	reader *io.PipeReader
	writer *io.PipeWriter
}

// newPipeWriter returns a writer whose pipe breaks when ctx ends.
func newPipeWriter(ctx context.Context) *pipeWriter {
	w := &pipeWriter{gone: make(chan bool, 1), headed: make(chan struct{}), header: http.Header{}}
	w.reader, w.writer = io.Pipe()
	context.AfterFunc(ctx, func() {
		w.gone <- true
		w.writer.CloseWithError(context.Cause(ctx))
	})
	return w
}

var errAborted = errors.New("server aborted the response")

// run handles the request. A handler that panics aborts the response, as on a
// connection; the library has logged it by then.
func (w *pipeWriter) run(h http.Handler, req *http.Request) {
	defer func() {
		if recover() != nil {
			w.WriteHeader(http.StatusInternalServerError)
			w.writer.CloseWithError(errAborted)
			return
		}
		w.WriteHeader(http.StatusOK)
		w.writer.Close()
	}()
	h.ServeHTTP(w, req)
}

// response makes what the client gets. Closing its body cancels the request.
func (w *pipeWriter) response(req *http.Request, cancel context.CancelFunc) *http.Response {
	return &http.Response{
		Status:        http.StatusText(w.status),
		StatusCode:    w.status,
		Proto:         "HTTP/2.0",
		ProtoMajor:    2,
		Header:        w.sent,
		ContentLength: -1,
		Body:          pipeBody{w.reader, cancel},
		Request:       req,
	}
}

// Header implements http.ResponseWriter.
func (w *pipeWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *pipeWriter) WriteHeader(status int) {
	if status < http.StatusOK {
		return // informational; nobody waits for it
	}
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.headed)
	})
}

// Write implements http.ResponseWriter. It waits until the client reads.
func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.writer.Write(p)
}

// Flush implements http.Flusher.
func (w *pipeWriter) Flush() { w.WriteHeader(http.StatusOK) }

// CloseNotify implements http.CloseNotifier, which the library looks for to tell a
// connection's writer from others.
func (w *pipeWriter) CloseNotify() <-chan bool { return w.gone }

type pipeBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

// Close ends the request, also when the handler has not finished.
func (b pipeBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}

// loopbackAuthenticator knows the requests that came through loopback.
var loopbackAuthenticator = authenticator.RequestFunc(func(req *http.Request) (*authenticator.Response, bool, error) {
	u, ok := req.Context().Value(loopbackKey{}).(user.Info)
	if !ok {
		return nil, false, nil
	}
	return &authenticator.Response{User: u}, true, nil
})
