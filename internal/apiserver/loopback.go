package apiserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
)

// loopback carries requests of this process to the server without a connection:
// no TCP, no TLS, no credentials. It implements http.RoundTripper. Requests wait
// until the server serves.
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

// config returns a client configuration whose requests come from the server
// itself. rest.Config needs a host; nothing dials it.
func (l *loopback) config() *rest.Config {
	return &rest.Config{
		Host:      "http://loopback",
		Transport: l,
		QPS:       -1, // no limit: the server limits what it takes
		// Warnings are for people who can write something else.
		WarningHandler: rest.NoWarnings{},
		ContentConfig:  rest.ContentConfig{ContentType: runtime.ContentTypeProtobuf, AcceptContentTypes: runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON},
	}
}

// loopbackKey marks the context of requests that came through loopback. It cannot
// be forged from outside the package.
type loopbackKey struct{}

// bare is a context without its values. A request that is made while another is
// served shares its end, but not its audit event, warnings and user.
type bare struct{ context.Context }

func (bare) Value(any) any { return nil }

// RoundTrip implements http.RoundTripper. The response's body must be closed.
func (l *loopback) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-l.serving:
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	}
	ctx, cancel := context.WithCancel(context.WithValue(bare{req.Context()}, loopbackKey{}, true))
	in := req.Clone(ctx)
	in.RequestURI = in.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/2.0", 2, 0
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := newPipeWriter(ctx)
	go w.run(l.handler, in)
	select {
	case <-w.headed:
		return w.response(req, cancel), nil
	case <-ctx.Done():
		cancel()
		return nil, context.Cause(ctx)
	}
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
	if req.Context().Value(loopbackKey{}) == nil {
		return nil, false, nil
	}
	return &authenticator.Response{User: &user.DefaultInfo{
		Name:   user.APIServerUser,
		Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated},
	}}, true, nil
})
