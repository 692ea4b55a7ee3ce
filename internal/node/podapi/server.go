package podapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/logs"
	"laterna.dev/laterna/internal/runtime/cri"
	"laterna.dev/laterna/internal/upgrade"
)

const (
	headerTimeout = 10 * time.Second
	// idleTimeout is longer than the API server keeps its connections.
	idleTimeout = 2 * time.Minute
	// holdSize bounds, in bytes, what is kept for all clients of attach that are slow.
	holdSize = 64 << 20
	// runtimeTimeout bounds each of connecting to the runtime's streaming server and its
	// answer: it is on this machine and has prepared the stream before.
	runtimeTimeout = 30 * time.Second
)

// Container names a container. UID is empty where the caller does not insist on a
// certain pod.
type Container struct {
	Namespace string
	Pod       string
	UID       types.UID
	Name      string
}

// Host is the agent, as this package sees it. Errors for the caller are Problems.
type Host interface {
	// Pods are those of the node, with their newest status.
	Pods() []*corev1.Pod
	// Log is the log of a container, or of the one before it.
	Log(c Container, previous bool) (logs.Source, error)
	// ExecURL and AttachURL prepare a stream on the runtime's streaming server.
	ExecURL(ctx context.Context, c Container, command []string, s cri.Streams) (string, error)
	AttachURL(ctx context.Context, c Container, s cri.Streams) (string, error)
	// Network is the way to the ports of a pod that runs; c has no container's name.
	Network(ctx context.Context, c Container, ports []uint16) (Network, error)
}

// Problem is an error with the HTTP status that it is answered with.
type Problem struct {
	Code    int
	Message string
}

// Error implements error.
func (p *Problem) Error() string { return p.Message }

// Config is what a Server needs; all is required.
type Config struct {
	NodeName string
	Host     Host
	// Client reviews tokens and access.
	Client kubernetes.Interface
	// TLS has the server certificate; it is cloned.
	TLS *tls.Config
	// ClientCAs sign the client certificates that are accepted.
	ClientCAs *x509.CertPool
	// Clock is real time.
	Clock clock.Wall
	Log   *slog.Logger
	// ProbeMetrics serves what is counted of probes, once there is something.
	ProbeMetrics http.HandlerFunc
}

// Server is the node's HTTPS endpoint.
type Server struct {
	cfg Config
	mux *http.ServeMux
	// hold is for attach: the output is also the container's log.
	hold    *upgrade.Hold
	streams streams
	// forwards counts the connections to ports of pods.
	forwards atomic.Int64
}

// New returns a server with all its routes.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, mux: http.NewServeMux(), hold: &upgrade.Hold{Size: holdSize}}
	for _, r := range s.routes() {
		s.mux.Handle(r.pattern, s.guard(r))
	}
	return s
}

// route is one path with what a caller needs to be allowed.
type route struct {
	pattern string
	// subresources of the node, of which one must be allowed.
	subresources []string
	// verb, when set, replaces the one of the method: a WebSocket can only be
	// opened with GET, and must not need less than a POST.
	verb  string
	serve func(http.ResponseWriter, *http.Request)
}

func (s *Server) routes() []route {
	proxy := []string{"proxy"}
	return []route{
		{pattern: "GET /healthz", subresources: []string{"healthz", "proxy"}, serve: s.health},
		{pattern: "GET /metrics/probes", subresources: []string{"metrics"}, serve: s.cfg.ProbeMetrics},
		{pattern: "GET /pods", subresources: []string{"pods", "proxy"}, serve: s.pods},
		{pattern: "GET /containerLogs/{namespace}/{pod}/{container}", subresources: proxy, serve: s.containerLogs},
		{pattern: "/exec/{namespace}/{pod}/{container}", subresources: proxy, verb: "create", serve: s.exec},
		{pattern: "/exec/{namespace}/{pod}/{uid}/{container}", subresources: proxy, verb: "create", serve: s.exec},
		{pattern: "/attach/{namespace}/{pod}/{container}", subresources: proxy, verb: "create", serve: s.attach},
		{pattern: "/attach/{namespace}/{pod}/{uid}/{container}", subresources: proxy, verb: "create", serve: s.attach},
		{pattern: "/portForward/{namespace}/{pod}", subresources: proxy, verb: "create", serve: s.portForward},
		{pattern: "/portForward/{namespace}/{pod}/{uid}", subresources: proxy, verb: "create", serve: s.portForward},
	}
}

// Serve answers on the listener until ctx ends; streams under way are then cut.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	config := s.cfg.TLS.Clone()
	config.ClientAuth = tls.RequestClientCert // verified in authenticate: a token may come instead
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	server := &http.Server{
		Handler: s.mux, TLSConfig: config, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    log.New(debugWriter{s.cfg.Log}, "", 0),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the node's API: %w", err)
	}
	return nil
}

// debugWriter takes what net/http says about connections that failed.
type debugWriter struct{ log *slog.Logger }

func (d debugWriter) Write(p []byte) (int, error) {
	d.log.Debug("node API connection", "message", string(p))
	return len(p), nil
}

func target(r *http.Request) Container {
	return Container{
		Namespace: r.PathValue("namespace"), Pod: r.PathValue("pod"),
		UID: types.UID(r.PathValue("uid")), Name: r.PathValue("container"),
	}
}

// fail answers with an error's own status, else with 500.
func fail(w http.ResponseWriter, err error) {
	var p *Problem
	if errors.As(err, &p) {
		http.Error(w, p.Message, p.Code)
		return
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		http.Error(w, err.Error(), int(status.Status().Code))
		return
	}
	http.Error(w, err.Error(), http.StatusInternalServerError)
}
