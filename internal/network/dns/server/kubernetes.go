package server

import (
	"context"
	"fmt"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin/kubernetes"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	ours "laterna.dev/laterna/internal/network/dns"
)

// client hands a client's configuration to the kubernetes plugin, whose own ways to it
// are files.
type client struct{ config *rest.Config }

var _ clientcmd.ClientConfig = client{}

// ClientConfig implements clientcmd.ClientConfig.
func (c client) ClientConfig() (*rest.Config, error) { return c.config, nil }

// RawConfig implements clientcmd.ClientConfig.
func (client) RawConfig() (clientcmdapi.Config, error) { return clientcmdapi.Config{}, nil }

// Namespace implements clientcmd.ClientConfig.
func (client) Namespace() (string, bool, error) { return "", false, nil }

// ConfigAccess implements clientcmd.ClientConfig.
func (client) ConfigAccess() clientcmd.ConfigAccess { return nil }

func clientOf(s ours.Settings) client {
	return client{&rest.Config{
		Host:            s.URL,
		TLSClientConfig: rest.TLSClientConfig{CAData: s.CA, CertData: s.Cert, KeyData: s.Key},
		ContentConfig: rest.ContentConfig{
			ContentType: runtime.ContentTypeProtobuf, AcceptContentTypes: runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON,
		},
		UserAgent: "laterna-cluster-dns",
	}}
}

// names is the kubernetes plugin with what begins and ends its reading from the API.
type names struct {
	*kubernetes.Kubernetes
	start, stop func() error
}

// newNames makes the plugin. It reads nothing yet.
func newNames(ctx context.Context, s ours.Settings) (names, error) {
	// That is how a stanza is parsed that stands in no file, whatever the name says.
	c := caddy.NewTestController(serverType, stanza(s.Domain))
	c.Next()
	k, err := kubernetes.ParseStanza(c)
	if err != nil {
		return names{}, fmt.Errorf("setting up names of the cluster: %w", err)
	}
	k.ClientConfig = clientOf(s)
	start, stop, err := k.InitKubeCache(ctx)
	if err != nil {
		return names{}, fmt.Errorf("setting up names of the cluster: %w", err)
	}
	return names{k, start, stop}, nil
}
