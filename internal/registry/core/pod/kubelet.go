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
	// GET, as WebSockets do: reading pods/exec must not be enough to run things.
	Authorizer authorizer.UnconditionalAuthorizer
}

// defaultKubeletPort is where a kubelet listens that has published no port.
const defaultKubeletPort = 10250

// Times of the connections to kubelets. A log may flow for ever, so there is none
// for whole answers.
const (
	dialTimeout      = 10 * time.Second
	keepAlive        = 30 * time.Second
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 90 * time.Second
)

// dialer knows the way to kubelets. It is safe for concurrent use.
type dialer struct {
	Kubelets
	verified   http.RoundTripper
	unverified http.RoundTripper // for logs that ask for it
}

func newDialer(k Kubelets) (*dialer, error) {
	if k.Node == nil {
		return nil, errors.New("no way to look up nodes")
	}
	if k.TLS == nil {
		return nil, errors.New("no TLS configuration")
	}
	if len(k.Addresses) == 0 {
		k.Addresses = []corev1.NodeAddressType{corev1.NodeInternalIP, corev1.NodeExternalIP, corev1.NodeHostName}
	}
	blind := k.TLS.Clone()
	blind.InsecureSkipVerify = true
	return &dialer{Kubelets: k, verified: transport(k.TLS.Clone()), unverified: transport(blind)}, nil
}

// transport speaks HTTP/1.1, which upgrades need.
func transport(c *tls.Config) http.RoundTripper {
	c.NextProtos = []string{"http/1.1"}
	dial := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	return &http.Transport{
		DialContext:         dial.DialContext,
		TLSClientConfig:     c,
		TLSHandshakeTimeout: handshakeTimeout,
		IdleConnTimeout:     idleTimeout,
		MaxIdleConnsPerHost: 4,
	}
}

// locate returns the address of path on the kubelet of a node.
func (d *dialer) locate(ctx context.Context, nodeName, path string, query url.Values) (*url.URL, error) {
	node, err := d.Node(ctx, nodeName)
	if err != nil {
		return nil, err
	}
	host, err := d.address(node)
	if err != nil {
		return nil, err
	}
	port := int(node.Status.DaemonEndpoints.KubeletEndpoint.Port)
	if port == 0 {
		port = defaultKubeletPort
	}
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(host, strconv.Itoa(port)), Path: path, RawQuery: query.Encode()}, nil
}

func (d *dialer) address(node *corev1.Node) (string, error) {
	for _, kind := range d.Addresses {
		for _, a := range node.Status.Addresses {
			if a.Type == kind && a.Address != "" {
				return a.Address, nil
			}
		}
	}
	return "", fmt.Errorf("no preferred addresses found; known addresses: %v", node.Status.Addresses)
}
