package apiserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"laterna.dev/laterna/internal/apiserver/awsapis"
	"laterna.dev/laterna/internal/clock"
)

const (
	// streamsPerConnection is what one client connection may have open at once. A
	// node holds a watch for every object that its pods refer to.
	streamsPerConnection = 1000
	// frameBytes holds nearly every request body in one HTTP/2 frame.
	frameBytes = 256 << 10
)

// front is the TLS side of the server: one HTTP server on any number of listeners.
type front struct {
	server http.Server
	// cut ends requests that would otherwise go on for long, such as watches.
	cut   context.CancelFunc
	fail  func(error)
	clock clock.Wall

	mu      sync.Mutex
	stopped bool
	serving sync.WaitGroup
}

// newFront serves h under c. fail is told of listeners that break.
// Requests live in ctx.
func newFront(ctx context.Context, c ServingConfig, h http.Handler, log *slog.Logger, clk clock.Wall, fail func(error)) *front {
	requests, cut := context.WithCancel(ctx)
	f := &front{clock: clk, fail: fail, cut: cut}
	f.server = http.Server{
		Handler: h,
		TLSConfig: &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: c.GetCertificate,
			// Certificates are verified by the authenticator: a client without
			// one, or with a foreign one, may still have other credentials.
			ClientAuth: tls.RequestClientCert,
			ClientCAs:  c.ClientCAs,
		},
		MaxHeaderBytes:    1 << 20,
		IdleTimeout:       90 * time.Second,
		ReadHeaderTimeout: 32 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return requests },
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          streamsPerConnection,
			MaxReadFrameSize:              frameBytes,
			MaxReceiveBufferPerStream:     frameBytes,
			MaxReceiveBufferPerConnection: frameBytes * streamsPerConnection,
		},
	}
	f.server.Protocols = new(http.Protocols)
	f.server.Protocols.SetHTTP1(true)
	f.server.Protocols.SetHTTP2(true)
	return f
}

// chooseCertificate serves an accepted issuer's host, and one of AWS's, with a certificate
// of its own where the server's is not good for it, and everybody else with the server's.
func chooseCertificate(c ServingConfig, issuers func() []string, aws *awsapis.Hosts) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		own, err := c.GetCertificate(hello)
		host := strings.ToLower(hello.ServerName)
		if err != nil || host == "" || c.IssuerCertificate == nil || own.Leaf != nil && own.Leaf.VerifyHostname(host) == nil || !slices.Contains(issuers(), host) && !aws.Take(host) {
			return own, err
		}
		return c.IssuerCertificate(host)
	}
}

var errStopped = errors.New("server has stopped")

// serve accepts connections of l until stop.
func (f *front) serve(l net.Listener) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return errors.Join(errStopped, l.Close())
	}
	f.serving.Go(func() {
		err := f.server.ServeTLS(l, "", "")
		if !errors.Is(err, http.ErrServerClosed) {
			f.fail(fmt.Errorf("serving on %s: %w", l.Addr(), err))
		}
	})
	return nil
}

// cutPause is how long connections get to end after their requests were cut.
const cutPause = 250 * time.Millisecond

// stop closes the listeners, waits for the requests that drained knows of, at most
// until ctx ends, and cuts the others.
func (f *front) stop(ctx context.Context, drained <-chan struct{}) error {
	f.mu.Lock()
	f.stopped = true
	f.mu.Unlock()
	ended := make(chan error, 1)
	go func() { ended <- f.server.Shutdown(ctx) }()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = fmt.Errorf("waiting for requests: %w", context.Cause(ctx))
	}
	f.cut()
	select {
	case <-ended:
	case <-f.clock.After(cutPause):
	}
	err = errors.Join(err, f.server.Close())
	f.serving.Wait()
	return err
}
