package apiserver

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"

	iamv1alpha1 "laterna.dev/laterna/api/iam/v1alpha1"
	"laterna.dev/laterna/internal/aws/iam/queryapi"
	"laterna.dev/laterna/internal/aws/query"
	"laterna.dev/laterna/internal/aws/sigv4"
	"laterna.dev/laterna/internal/aws/sts"
	"laterna.dev/laterna/internal/aws/sts/explain"
	"laterna.dev/laterna/internal/aws/sts/session"
	"laterna.dev/laterna/internal/aws/sts/webidentity"
	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/network/backends"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/registry/core/service"
	"laterna.dev/laterna/internal/registry/iam/directory"
	"laterna.dev/laterna/internal/registry/resource"
)

// AWSConfig is about STS and IAM. Both are served by every server, and begin nothing before
// they are asked for the first time.
type AWSConfig struct {
	// Authorities sign serving certificates of this system; the hosts of its own issuers are
	// verified by them, all others by the machine's.
	Authorities *x509.CertPool
	// Faults lets administrators ask for faults: for systems with a test clock. Optional.
	Faults bool
}

// awsAPIs are STS and IAM.
type awsAPIs struct {
	api     http.Handler
	explain explain.Handler
	faults  *sts.Faults // nil where nobody may ask for faults
	issuers *issuerDialer
}

// buildAWS puts STS and IAM together. They know of the cluster what their kinds say.
func (s *Server) buildAWS(all *registry.Storages) (*awsAPIs, error) {
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
	issuers := &issuerDialer{server: s, guard: backends.Guard{Stores: s.stores, Services: func(ctx context.Context) ([]netip.Prefix, error) {
		return service.Ranges(ctx, s.config.Services.Range, ranges)
	}}}
	kept := directory.New(c)
	sealer := session.NewSealer(session.Config{
		Store: session.SecretStore{Secrets: s.access.client.CoreV1().Secrets(metav1.NamespaceSystem)},
		Clock: s.config.Clock, Wall: s.config.Wall,
	})
	signatures := sigv4.New(sigv4.Config{Keys: session.Keys{Sealer: sealer, Directory: kept}, Wall: s.config.Wall})
	a, journal := &awsAPIs{issuers: issuers}, &explain.Journal{}
	if s.config.AWS.Faults {
		a.faults = &sts.Faults{}
	}
	tokens := sts.New(sts.Config{
		Directory: kept, Sealer: sealer, Signatures: signatures, Journal: journal, Faults: a.faults,
		Network: webidentity.Network{Dial: issuers.dial, Roots: s.issuerRoots, Wall: s.config.Wall},
		Clock:   s.config.Clock, Wall: s.config.Wall, Log: s.config.Log,
	})
	accounts := queryapi.New(queryapi.Config{
		Store: kept, Authenticate: signatures.Authenticate, Thumbprint: queryapi.Thumbprints(issuers.dial), Clock: s.config.Clock,
	})
	services := []*query.Service{tokens.Service(), accounts.Service()}
	explain.Follow(services[1], journal, s.config.Wall)
	a.api = query.NewHandler(query.Config{Services: services, Log: s.config.Log})
	a.explain = explain.Handler{Journal: journal, Ask: tokens.Explain}
	return a, nil
}

// isOwnIssuer tells whether a host is one at which relying parties find this server's own
// issuers, or their keys.
func (s *Server) isOwnIssuer(host string) bool {
	host = strings.ToLower(host)
	return host == s.config.Serving.Advertise.Addr().String() || slices.Contains(s.tokens.Issuers.Hosts(), host)
}

// issuerRoots returns the authorities by which the host of an issuer is verified.
func (s *Server) issuerRoots(host string) *x509.CertPool {
	if s.isOwnIssuer(host) {
		return s.config.AWS.Authorities
	}
	return nil
}

// issuerDialer connects to issuers.
type issuerDialer struct {
	server *Server
	guard  backends.Guard
}

// dial connects to the host of an issuer: to this server's own listener where that is meant,
// else over the network, but to nothing that trusts this machine. Who registers a provider
// chooses the host.
func (d *issuerDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if d.server.isOwnIssuer(host) {
		own, err := d.server.ownListener()
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, own.Network(), own.String())
	}
	return d.guard.Dialer(true).DialContext(ctx, network, address)
}

// ownListener is where this process reaches the server's listener.
func (s *Server) ownListener() (net.Addr, error) {
	if len(s.config.Serving.Listeners) == 0 {
		return nil, errors.New("the server has no listener at which its own issuers are found")
	}
	addr := s.config.Serving.Listeners[0].Addr()
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil || !at.Addr().IsUnspecified() {
		return addr, err
	}
	local := netip.IPv6Loopback()
	if at.Addr().Is4() {
		local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, at.Port())), nil
}

// faultsPath is where administrators of a system with a test clock ask for faults.
const faultsPath = "/aws/faults"

// serveFaults shows the faults that are switched on, and switches them.
func (a *awsAPIs) serveFaults(w http.ResponseWriter, r *http.Request) {
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
