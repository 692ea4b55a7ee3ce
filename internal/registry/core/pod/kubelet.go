package pod

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/upgrade"
)

// Kubelets says how the kubelet of a node is reached, ours or a stock one.
type Kubelets struct {
	// Node returns a node by name. Its NotFound error goes to the client.
	// Required.
	Node func(ctx context.Context, name string) (*corev1.Node, error)
	// TLS holds the client certificate that kubelets know the server by, and
	// the roots of the kubelets' own certificates. Required; it is copied.
	TLS *tls.Config
	// Addresses are the types of node addresses to use, the best first. Empty
	// means InternalIP, ExternalIP, Hostname.
	Addresses []corev1.NodeAddressType
	// Authorizer, if set, is asked for "create" when exec or attach comes as a
	// GET, as WebSockets do: reading pods/exec must not be enough to run things. It
	// is also asked for pods/exec when rules of what runs on updates come to a pod
	// that exists; without it nobody may add any.
	Authorizer authorizer.UnconditionalAuthorizer
	// Wall times out connections. Required.
	Wall clock.Wall
}

// defaultKubeletPort is where a kubelet listens that has published no port.
const defaultKubeletPort = 10250

// Times of the connections to kubelets. A log may flow for ever, so there is none
// for whole answers.
const (
	dialTimeout      = 10 * time.Second
	keepAlive        = 30 * time.Second
	handshakeTimeout = 10 * time.Second
	// headTimeout bounds the answer to an upgrade request, for which a kubelet asks
	// its runtime, and a header from its first byte on.
	headTimeout = time.Minute
)

// dialer knows the way to kubelets. It is safe for concurrent use.
type dialer struct {
	Kubelets
	verified   http.RoundTripper
	unverified http.RoundTripper // for logs that ask for it
	wait       time.Duration
}

func newDialer(k Kubelets) (*dialer, error) {
	if k.Node == nil {
		return nil, errors.New("no way to look up nodes")
	}
	if k.TLS == nil {
		return nil, errors.New("no TLS configuration")
	}
	k.TLS = k.TLS.Clone()
	k.TLS.NextProtos = []string{"http/1.1"} // which upgrades need
	d := &dialer{Kubelets: k, wait: headTimeout}
	blind := k.TLS.Clone()
	blind.InsecureSkipVerify = true
	d.verified, d.unverified = d.transport(k.TLS), d.transport(blind)
	return d, nil
}

// transport asks for one answer on each connection, so that a guard can tell where its
// header ends.
func (d *dialer) transport(c *tls.Config) http.RoundTripper {
	return &http.Transport{
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			conn, err := dial(ctx, c, address)
			if err != nil {
				return nil, err
			}
			return upgrade.Guard(conn, d.wait, d.Wall), nil
		},
		MaxResponseHeaderBytes: upgrade.MaxHead,
		DisableKeepAlives:      true,
		DisableCompression:     true, // a log is passed on as it comes
	}
}

// dial opens a connection to a kubelet.
func dial(ctx context.Context, c *tls.Config, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+handshakeTimeout)
	defer cancel()
	d := &tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}, Config: c}
	return d.DialContext(ctx, "tcp", address)
}

// backend is the kubelet that serves location, as connections are asked of it.
func (d *dialer) backend(location *url.URL) upgrade.Backend {
	return upgrade.Backend{
		URL: location, Wait: d.wait, Clock: d.Wall,
		Dial: func(ctx context.Context) (net.Conn, error) { return dial(ctx, d.TLS, location.Host) },
	}
}

// locate returns the address of path on the kubelet of a node.
func (d *dialer) locate(ctx context.Context, nodeName, path string, query url.Values) (*url.URL, error) {
	host, port, err := d.Locate(ctx, nodeName)
	if err != nil {
		return nil, err
	}
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(host, port), Path: path, RawQuery: query.Encode()}, nil
}

// Locate returns where the kubelet of a node listens: an address or name, and a port.
func (k Kubelets) Locate(ctx context.Context, nodeName string) (host, port string, err error) {
	node, err := k.Node(ctx, nodeName)
	if err != nil {
		return "", "", err
	}
	if host, err = k.address(node); err != nil {
		return "", "", err
	}
	number := int(node.Status.DaemonEndpoints.KubeletEndpoint.Port)
	if number == 0 {
		number = defaultKubeletPort
	}
	return host, strconv.Itoa(number), nil
}

func (k Kubelets) address(node *corev1.Node) (string, error) {
	kinds := k.Addresses
	if len(kinds) == 0 {
		kinds = []corev1.NodeAddressType{corev1.NodeInternalIP, corev1.NodeExternalIP, corev1.NodeHostName}
	}
	for _, kind := range kinds {
		for _, a := range node.Status.Addresses {
			if a.Type == kind && a.Address != "" {
				return a.Address, nil
			}
		}
	}
	return "", fmt.Errorf("no preferred addresses found; known addresses: %v", node.Status.Addresses)
}
