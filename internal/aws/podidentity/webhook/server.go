package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/aws/podidentity/identityfile"
	"laterna.dev/laterna/internal/clock"
)

const (
	// shutdownTimeout is how long reviews may take to be answered once the server ends.
	shutdownTimeout = 10 * time.Second
	headerTimeout   = 10 * time.Second
	bodyTimeout     = 30 * time.Second
	idleTimeout     = 2 * time.Minute
)

// MutatePath is where reviews are answered, HealthPath where a probe asks.
const (
	MutatePath = "/mutate"
	HealthPath = "/healthz"
)

// Config says what is served. Every field is required unless it says otherwise.
type Config struct {
	Settings podidentity.Settings
	Client   kubernetes.Interface
	// ConfigMapNamespace has the ConfigMap with roles. Optional: none is looked at.
	ConfigMapNamespace string
	// IdentitiesFile lists who has container credentials. Optional.
	IdentitiesFile string
	// Grace is how long a service account may take to appear; 0 for not at all.
	Grace time.Duration
	// Resync is how often everything that is followed is gone through anew; 0 for never.
	Resync time.Duration

	// Address serves reviews by TLS, MetricsAddress metrics without.
	Address        string
	MetricsAddress string
	CertFile       string
	KeyFile        string
	// TLS has the least version and the cipher suites. It is cloned.
	TLS *tls.Config
	// Debug serves the debug handlers.
	Debug bool

	Clock clock.Wall
	Log   *slog.Logger
}

// Server serves reviews.
type Server struct {
	config      Config
	handler     *handler
	certificate *certificate
	counts      *counts
}

// New reads what must be there at the start.
func New(c Config) (*Server, error) {
	if err := c.Settings.Validate(); err != nil {
		return nil, err
	}
	counts := newCounts(c.Clock)
	s := &Server{config: c, counts: counts}
	s.certificate = &certificate{certFile: c.CertFile, keyFile: c.KeyFile, clock: c.Clock, counts: counts, log: c.Log}
	if _, err := s.certificate.get(nil); err != nil {
		return nil, err
	}
	s.handler = &handler{settings: &s.config.Settings, counts: counts, log: c.Log, random: rand.Int64N, accounts: &accounts{
		client: c.Client, settings: &s.config.Settings, clock: c.Clock, counts: counts, log: c.Log,
		namespace: c.ConfigMapNamespace, grace: c.Grace, seen: map[string]podidentity.Entry{},
	}}
	if c.IdentitiesFile != "" {
		file, err := identityfile.Open(c.IdentitiesFile)
		if err != nil {
			return nil, err
		}
		s.handler.identities = file
	}
	return s, nil
}

// reviews is what is served by TLS.
func (s *Server) reviews() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(MutatePath, s.counts.counted(MutatePath, http.HandlerFunc(s.handler.mutate)))
	mux.HandleFunc(HealthPath, healthy)
	if s.config.Debug {
		mux.HandleFunc("/debug/alpha/deny", s.handler.deny)
		mux.HandleFunc("/debug/alpha/500", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "failed by the debug handler", http.StatusInternalServerError)
		})
	}
	return mux
}

// metrics is what is served without TLS.
func (s *Server) metrics() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", s.counts.handler())
	mux.HandleFunc(HealthPath, healthy)
	if s.config.Debug {
		mux.HandleFunc("/debug/alpha/cache", s.handler.dump)
		mux.HandleFunc("/debug/alpha/cache/clear", s.handler.clear)
	}
	return mux
}

func healthy(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }

// Run serves until ctx ends, and then until what was asked is answered, for at most 10 s. It
// calls ready with both addresses when it listens.
func (s *Server) Run(ctx context.Context, ready func(reviews, metrics net.Addr)) error {
	reviews, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.Address)
	if err != nil {
		return fmt.Errorf("listening for reviews: %w", err)
	}
	defer reviews.Close()
	metrics, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.MetricsAddress)
	if err != nil {
		return fmt.Errorf("listening for metrics: %w", err)
	}
	defer metrics.Close()
	config := s.config.TLS.Clone()
	config.GetCertificate = s.certificate.get
	config.NextProtos = []string{"h2", "http/1.1"}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.handler.accounts.follow(ctx, s.config.Resync) })
	g.Go(func() error { return s.serve(ctx, tls.NewListener(reviews, config), s.reviews()) })
	g.Go(func() error { return s.serve(ctx, metrics, s.metrics()) })
	ready(reviews.Addr(), metrics.Addr())
	return g.Wait()
}

// serve serves one listener until ctx ends.
func (s *Server) serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: bodyTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err := server.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		stopped <- err
	})
	err := server.Serve(l)
	if stop() {
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	}
	return <-stopped
}
