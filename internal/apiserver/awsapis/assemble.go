// Package awsapis puts STS and IAM together for the server's listener: what they know of the
// cluster, how they reach issuers, and which requests are theirs.
//
// What they answer lives in internal/aws, who may ask them in internal/apiserver's table of
// routes.
package awsapis

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	iamv1alpha1 "laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam/queryapi"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sigv4"
	"laterna.dev/laterna/internal/aws/sts"
	"laterna.dev/laterna/internal/aws/sts/explain"
	"laterna.dev/laterna/internal/aws/sts/podagent"
	"laterna.dev/laterna/internal/aws/sts/session"
	"laterna.dev/laterna/internal/aws/sts/webidentity"
	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/network/backends"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/core/service"
	"laterna.dev/laterna/internal/registry/iam/directory"
	"laterna.dev/laterna/internal/registry/resource"
)

// Config says of which server they are. Every field but Faults and Pods is required. They begin
// nothing before they are asked for the first time.
type Config struct {
	// Authorities sign serving certificates of this system; the hosts of its own issuers are
	// verified by them, all others by the machine's.
	Authorities *x509.CertPool
	// Faults lets administrators ask for faults: for systems with a test clock. Optional.
	Faults bool
	// Storages are the server's kinds, Secrets those of the system's namespace.
	Storages *registry.Storages
	Secrets  typedcorev1.SecretInterface
	// Services is the configured range of services' addresses, Stores where the server's
	// store is: no issuer is there.
	Services netip.Prefix
	Stores   []string
	// IsOwn tells whether a host is one of this server's own issuers; Listener is where this
	// process reaches it then.
	IsOwn    func(host string) bool
	Listener func() (net.Addr, error)
	// Pods is the cluster whose pods have credentials by EKS Pod Identity; nil for none.
	// Optional.
	Pods  *sts.Cluster
	Clock clock.API
	Wall  clock.Wall
	Log   *slog.Logger
}

// APIs are STS and IAM.
type APIs struct {
	// Explain answers why a call was denied.
	Explain explain.Handler
	// Agent answers pods that ask for the credentials of EKS Pod Identity, on a listener of
	// its own; nil where Config has no Pods.
	Agent http.Handler

	api     http.Handler
	faults  *sts.Faults // nil where nobody may ask for faults
	issuers *issuers
}

// New puts STS and IAM together. They know of the cluster what their kinds say.
func New(cfg Config) (*APIs, error) {
	all := cfg.Storages
	var c directory.Config
	for name, into := range map[string]*rest.StandardStorage{
		iamv1alpha1.Roles: &c.Roles, iamv1alpha1.Policies: &c.Policies, iamv1alpha1.OpenIDConnectProviders: &c.Providers,
	} {
		var err error
		if *into, err = registry.As[rest.StandardStorage](all, iamv1alpha1.Resource(name)); err != nil {
			return nil, err
		}
	}
	var err error
	if c.Secrets, err = registry.As[rest.Getter](all, corev1.Resource("secrets")); err != nil {
		return nil, err
	}
	ranges, err := registry.As[*resource.Store[*networkingv1.ServiceCIDR]](all, networkingv1.Resource("servicecidrs"))
	if err != nil {
		return nil, err
	}
	to := &issuers{cfg, service.Guard(cfg.Services, ranges, cfg.Stores)}
	kept := directory.New(c)
	sealer := session.NewSealer(session.Config{
		Store: session.SecretStore{Secrets: cfg.Secrets},
		Clock: cfg.Clock, Wall: cfg.Wall,
	})
	signatures := sigv4.New(sigv4.Config{Keys: session.Keys{Sealer: sealer, Directory: kept}, Wall: cfg.Wall})
	a, journal := &APIs{issuers: to}, &explain.Journal{}
	if cfg.Faults {
		a.faults = &sts.Faults{}
	}
	tokens := sts.New(sts.Config{
		Directory: kept, Sealer: sealer, Signatures: signatures, Journal: journal, Faults: a.faults, Cluster: cfg.Pods,
		Network: webidentity.Network{Dial: to.dial, Roots: to.roots, Wall: cfg.Wall},
		Clock:   cfg.Clock, Wall: cfg.Wall, Log: cfg.Log,
	})
	accounts := queryapi.New(queryapi.Config{
		Store: kept, Authenticate: signatures.Authenticate, Thumbprint: queryapi.Thumbprints(to.dial),
		Decided: noteDecision, Clock: cfg.Clock,
	})
	services := []*query.Service{tokens.Service(), accounts.Service()}
	explain.Follow(services[1], journal, cfg.Wall)
	a.api = query.NewHandler(query.Config{Services: services, Log: cfg.Log})
	a.Explain = explain.Handler{Journal: journal, Ask: tokens.Explain}
	if cfg.Pods != nil {
		a.Agent = podagent.New(podagent.Config{Assume: tokens.AssumeRoleForPodIdentity, Log: cfg.Log})
	}
	return a, nil
}

// issuers are those that tokens come from, as this server reaches them.
type issuers struct {
	cfg   Config
	guard backends.Guard
}

// roots returns the authorities by which the host of an issuer is verified.
func (i *issuers) roots(host string) *x509.CertPool {
	if i.cfg.IsOwn(host) {
		return i.cfg.Authorities
	}
	return nil
}

// dial connects to the host of an issuer: to this server's own listener where that is meant,
// else over the network, but to nothing that trusts this machine. Who registers a provider
// chooses the host.
func (i *issuers) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if i.cfg.IsOwn(host) {
		own, err := i.cfg.Listener()
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, own.Network(), own.String())
	}
	return i.guard.Dialer(true).DialContext(ctx, network, address)
}

// DialIssuer connects to an issuer as STS does.
func (a *APIs) DialIssuer(ctx context.Context, address string) (net.Conn, error) {
	return a.issuers.dial(ctx, "tcp", address)
}

// FaultsPath is where administrators of a system with a test clock ask for faults.
const FaultsPath = "/aws/faults"

// ServeFaults shows the faults that are switched on, and switches them.
func (a *APIs) ServeFaults(w http.ResponseWriter, r *http.Request) {
	if a.faults == nil {
		http.Error(w, "faults can be asked for where the system runs with --test-clock", http.StatusNotFound)
		return
	}
	switch r.Method {
	case http.MethodGet:
	case http.MethodPut:
		body, err := bounded.All(r.Body, bounded.Small)
		var f sts.Fault
		if err == nil {
			err = json.Unmarshal(body, &f)
		}
		if err != nil {
			http.Error(w, "want a JSON object of faults: "+err.Error(), http.StatusBadRequest)
			return
		}
		a.faults.Set(f)
	default:
		w.Header().Set("Allow", "GET, PUT")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a.faults.Get()) // a client that has gone is nobody to tell
}
