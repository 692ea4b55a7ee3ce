package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Kubelets says how the kubelets of nodes are reached. Every field is required.
type Kubelets struct {
	// Locate returns where the kubelet of a node listens.
	Locate func(ctx context.Context, node string) (host, port string, err error)
	// TLS holds the client certificate that kubelets know the server by, and the roots of
	// the kubelets' own certificates.
	TLS *tls.Config
	// UserName is the name that the certificate of a node has.
	UserName func(node string) string
	// Authorizer is asked for "create" when a connection is to be upgraded: through a
	// kubelet that runs commands, and reading nodes/proxy must not be enough for that.
	Authorizer authorizer.UnconditionalAuthorizer
}

// nodes serves nodes/proxy.
type nodes struct {
	reach
	kubelets Kubelets
}

// Nodes returns what serves nodes/proxy.
func Nodes(c Config, k Kubelets) (rest.Storage, error) {
	r, err := newReach(c)
	if err != nil {
		return nil, err
	}
	if k.Locate == nil || k.TLS == nil || k.UserName == nil || k.Authorizer == nil {
		return nil, errors.New("no way to kubelets")
	}
	n := nodes{r, k}
	return &connecter[corev1.NodeProxyOptions]{
		wall:   c.Wall,
		path:   func(o *corev1.NodeProxyOptions) string { return o.Path },
		locate: n.locate,
	}, nil
}

// locate finds a node by scheme:name:port. The kubelet is meant by its port, or none.
func (n nodes) locate(ctx context.Context, id string) (target, error) {
	scheme, name, port, valid := utilnet.SplitSchemeNamePort(id)
	if !valid {
		return target{}, apierrors.NewBadRequest(fmt.Sprintf("invalid node request %q", id))
	}
	host, kubelet, err := n.kubelets.Locate(ctx, name)
	if err != nil {
		return target{}, err
	}
	if port == "" || port == kubelet {
		return target{
			url: url.URL{Scheme: "https", Host: net.JoinHostPort(host, kubelet)}, ways: n.kubelet(name),
			mayUpgrade: func(ctx context.Context) error { return n.mayUpgrade(ctx, name) },
		}, nil
	}
	if addr, err := netip.ParseAddr(host); err == nil && n.Guard.Check(ctx, netip.AddrPortFrom(addr, numberOf(port, scheme)), false) != nil {
		return target{}, notAllowed()
	}
	return target{url: url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port)}, ways: n.pods}, nil
}

// kubelet returns the way to the kubelet of a node: where whatever is said to listen
// there shows the certificate of that node, by our authority. The server's own
// certificates are of that authority, too, and no node's.
func (n nodes) kubelet(name string) *ways {
	c := n.kubelets.TLS.Clone()
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if got, want := s.PeerCertificates[0].Subject.CommonName, n.kubelets.UserName(name); got != want {
			return fmt.Errorf("the certificate is that of %q, not of %q", got, want)
		}
		return nil
	}
	return newWays(n.Guard.Dialer(true).DialContext, c)
}

// mayUpgrade asks for "create" where the request came as something else.
func (n nodes) mayUpgrade(ctx context.Context, id string) error {
	info, ok := request.RequestInfoFrom(ctx)
	if !ok || info.Verb == "create" {
		return nil
	}
	attributes, err := filters.GetAuthorizerAttributes(ctx)
	if err != nil {
		return err
	}
	decision, reason, err := n.kubelets.Authorizer.Authorize(ctx, asCreate{attributes})
	if decision == authorizer.DecisionAllow {
		return nil
	}
	if err != nil {
		return err
	}
	if reason = strings.TrimSpace(reason); reason == "" {
		reason = "create permission is required to open a stream"
	}
	return apierrors.NewForbidden(corev1.Resource("nodes/proxy"), id, errors.New(reason))
}

// asCreate is a request with its verb replaced.
type asCreate struct{ authorizer.Attributes }

// GetVerb implements authorizer.Attributes.
func (asCreate) GetVerb() string { return "create" }
