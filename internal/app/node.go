package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/node"
	"laterna.dev/laterna/internal/node/podworker"
	"laterna.dev/laterna/internal/ownapi"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/managed"
)

// nodePlane is the node agent of this process with what it stands on.
type nodePlane struct {
	config   NodeConfig
	names    names
	identity *identity
	dir      datadir.Dir
	// url is where the agent reaches the API, as any client would.
	url     string
	version string
	clock   clock.API
	wall    clock.Wall
	log     *slog.Logger

	// What open makes.
	runtime  managed.Runtime
	listener net.Listener
}

// provider gives the agent a runtime in the agent's terms.
type provider struct{ managed.Runtime }

// Endpoint implements node.RuntimeProvider.
func (p provider) Endpoint(ctx context.Context) (node.Endpoint, error) {
	e, err := p.Runtime.Endpoint(ctx)
	if err != nil || e.Images == nil {
		return node.Endpoint{CRI: e.CRI, Containerd: e.Containerd}, err
	}
	return node.Endpoint{CRI: e.CRI, Containerd: e.Containerd, Images: e.Images}, nil
}

// checkMachine fails before anything is made where this process cannot run pods, with
// what to do instead.
func checkMachine(c NodeConfig) error {
	if os.Geteuid() != 0 {
		return errors.New("running pods needs root: run as root, or without a node: laterna up --node=false")
	}
	if c.CRIEndpoint != "" {
		return nil
	}
	if _, err := containerd.FindPrograms(); err != nil {
		return fmt.Errorf("running pods needs programs that are %w; `laterna doctor` tells more, `laterna up --node=false` runs without pods", err)
	}
	return nil
}

// open chooses the runtime and opens the agent's listener.
func (p *nodePlane) open(ctx context.Context) (err error) {
	if p.runtime, err = p.containerRuntime(); err != nil {
		return err
	}
	p.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", netip.AddrPortFrom(p.names.nodeIP, 0).String())
	if err != nil {
		return fmt.Errorf("listening for the node's own API: %w (choose an address of this machine with --node-ip)", err)
	}
	return nil
}

// run runs the agent until ctx ends. Containers keep running.
func (p *nodePlane) run(ctx context.Context) error {
	config := p.clientConfig()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making the node's client: %w", err)
	}
	projections, err := ownapi.NewClient(config, v1alpha1.SchemeGroupVersion, v1alpha1.AddToScheme)
	if err != nil {
		return err
	}
	operators, err := ownapi.NewClient(config, operatorv1.SchemeGroupVersion, operatorv1.AddToScheme)
	if err != nil {
		return err
	}
	agent, err := p.newAgent(client, projections, operators)
	if err != nil {
		return err
	}
	return agent.Run(ctx)
}

// clientConfig lets clients speak to the API as the node, over the same connection that
// a node on another machine would use.
func (p *nodePlane) clientConfig() *rest.Config {
	id := p.identity
	return &rest.Config{
		Host: p.url,
		TLSClientConfig: rest.TLSClientConfig{
			CAData: id.authority.PEM(),
			// Files, so that a renewed certificate is used.
			CertFile: id.node.CertFile(),
			KeyFile:  id.node.KeyFile(),
		},
		ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeProtobuf, AcceptContentTypes: runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON},
		UserAgent:     "laterna-agent",
		// A pod's start waits for the agent's requests: it does not limit itself.
		QPS: -1,
	}
}

func (p *nodePlane) newAgent(client kubernetes.Interface, projections, operators rest.Interface) (*node.Agent, error) {
	groups, err := cgroups.Detect()
	if err != nil {
		return nil, err
	}
	return node.New(node.Config{
		NodeName:      p.names.nodeName,
		NodeIPs:       []string{p.names.nodeIP.String()},
		Version:       p.version,
		Instance:      p.dir.Hash,
		Root:          p.dir.Path,
		ClusterDomain: p.names.clusterDomain,
		Client:        client,
		Projections:   projections,
		Operators:     operators,
		Runtime:       provider{p.runtime},
		Groups:        podworker.HostGroups{Hierarchy: groups, Name: p.dir.HostName()},
		PodAPI: node.PodAPI{
			Listener:  p.listener,
			TLS:       &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: p.identity.nodeServer.GetCertificate},
			ClientCAs: p.identity.authority.Pool(),
		},
		Clock: p.clock,
		Wall:  p.wall,
		Log:   p.log,
	})
}

// containerRuntime is the runtime that the configuration names: somebody else's, or a
// private containerd.
func (p *nodePlane) containerRuntime() (managed.Runtime, error) {
	if endpoint := p.config.CRIEndpoint; endpoint != "" {
		return managed.Foreign(endpoint), nil
	}
	return managed.New(managed.Config{
		Root: p.dir.Containerd(), RunDir: p.dir.RunDir, HostName: p.dir.HostName(), CNIConfDir: bridge.ConfDir(p.dir), Clock: p.wall, Log: p.log,
	})
}
