// Package agent builds the node of a system: container runtime, pod network, node agent. Each
// is given what it stands on.
//
// It owns which setting goes to which part. The parts live in internal/runtime/managed,
// internal/network/plane and internal/node; the order in which they start in
// internal/app/up.
package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/api"
	operatorv1 "laterna.dev/laterna/api/operator/v1"
	"laterna.dev/laterna/api/projection/v1alpha1"
	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/component"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/cgroups"
	"laterna.dev/laterna/internal/host/machine"
	"laterna.dev/laterna/internal/host/reserve"
	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/node"
	"laterna.dev/laterna/internal/node/credentialprovider"
	"laterna.dev/laterna/internal/node/eviction"
	"laterna.dev/laterna/internal/node/podworker"
	"laterna.dev/laterna/internal/node/resize"
	"laterna.dev/laterna/internal/ownapi"
	"laterna.dev/laterna/internal/pki"
	"laterna.dev/laterna/internal/runtime/containerd"
	"laterna.dev/laterna/internal/runtime/managed"
)

// provider gives the agent a runtime in the agent's terms.
type provider struct{ managed.Runtime }

// Endpoint implements node.RuntimeProvider.
func (p provider) Endpoint(ctx context.Context) (node.Endpoint, error) {
	e, err := p.Runtime.Endpoint(ctx)
	if err != nil || e.Images == nil {
		return node.Endpoint{CRI: e.CRI, Containerd: e.Containerd}, err
	}
	return node.Endpoint{CRI: e.CRI, Containerd: e.Containerd, Images: e.Images, Views: e.Images.Views(), Streams: e.Streams}, nil
}

// CheckMachine fails before anything is made where this process cannot run pods, with
// what to do instead.
func CheckMachine(c config.Node) error {
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

// Runtime is the container runtime that the configuration names: somebody else's, or a
// private containerd. It is not started yet.
func Runtime(c config.Node, dir datadir.Dir, wall clock.Wall, log *slog.Logger) (managed.Runtime, error) {
	if c.CRIEndpoint != "" {
		return managed.Foreign(c.CRIEndpoint), nil
	}
	return managed.New(managed.Config{
		Root: dir.Containerd(), RunDir: dir.RunDir, HostName: dir.HostName(), CNIConfDir: bridge.ConfDir(dir), Clock: wall, Log: log,
	})
}

// Credentials are as whom the agent calls the API, and as whom it answers.
type Credentials struct {
	// CA is the bundle by which it verifies the API, ClientCAs that by which it verifies
	// its own clients.
	CA        []byte
	ClientCAs *x509.CertPool
	// Client is its client certificate, Serving its serving certificate.
	Client, Serving *pki.Pair
}

// Config is what an agent is made of. Every field is required but Network, ClusterDNS, DNSAt
// and DNSError.
type Config struct {
	Name          string
	IP            netip.Addr
	ClusterDomain string
	// ClusterDNS is where pods ask for names, and DNSAt where the node's own DNS listens,
	// to which they are led. Both are not valid on a node without.
	ClusterDNS netip.Addr
	DNSAt      netip.AddrPort
	// DNSError is why the node has no DNS of its own, where it ought to have.
	DNSError error
	// URL is where the agent reaches the API, as any client would.
	URL         string
	Credentials Credentials
	Runtime     managed.Runtime
	// Images is how images are pulled and kept.
	Images config.Images
	// Providers are programs that have logins of registries.
	Providers credentialprovider.Settings
	// PodMaxPids is how many processes and threads a pod may have; -1 is any number.
	PodMaxPids int64
	// Eviction says when pods are evicted.
	Eviction eviction.Settings
	// Network is told of each sandbox; nil where it is not ours.
	Network podworker.Network
	// Listener accepts clients of the node's own API.
	Listener net.Listener
	Dir      datadir.Dir
	Version  string
	// Clock is what tokens live by on the node, Wall real time.
	Clock clock.API
	Wall  clock.Wall
	Log   *slog.Logger
}

// Node is the node agent, as a component. When it stops containers keep running.
type Node struct {
	*component.Func
	agent atomic.Pointer[node.Agent] // nil until it runs
}

// New returns the node agent.
func New(c Config) *Node {
	n := &Node{}
	n.Func = component.Run("node agent", func(ctx context.Context) error {
		a, err := newAgent(c)
		if err != nil {
			return err
		}
		n.agent.Store(a)
		return a.Run(ctx)
	})
	return n
}

// RelieveDisk has the agent end who took most of a full disk, and tells whether there was
// somebody.
func (n *Node) RelieveDisk(ctx context.Context, room machine.Room, wanted reserve.Amount) bool {
	a := n.agent.Load()
	return a != nil && a.RelieveDisk(ctx, room, wanted)
}

// DiskChanged has the node say at once whether its disk is short.
func (n *Node) DiskChanged() {
	if a := n.agent.Load(); a != nil {
		a.DiskChanged()
	}
}

func newAgent(c Config) (*node.Agent, error) {
	rest := clientConfig(c.URL, c.Credentials)
	client, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return nil, fmt.Errorf("making the node's client: %w", err)
	}
	projections, err := ownapi.NewClient(rest, v1alpha1.SchemeGroupVersion, v1alpha1.AddToScheme)
	if err != nil {
		return nil, err
	}
	operators, err := ownapi.NewClient(rest, operatorv1.SchemeGroupVersion, operatorv1.AddToScheme)
	if err != nil {
		return nil, err
	}
	hierarchy, err := cgroups.Detect()
	if err != nil {
		return nil, err
	}
	if c.PodMaxPids > 0 && !hierarchy.Has("pids") {
		c.Log.Warn("this machine does not hand out the control group controller pids: pods have no limit of processes, whatever --pod-max-pids says")
	}
	groups := resize.HostGroups{Hierarchy: hierarchy, Name: c.Dir.HostName(), MaxPids: c.PodMaxPids}
	return node.New(node.Config{
		NodeName:      c.Name,
		NodeIPs:       []string{c.IP.String()},
		Version:       c.Version,
		Instance:      c.Dir.Hash,
		Root:          c.Dir.Path,
		ClusterDomain: c.ClusterDomain,
		ClusterDNS:    c.ClusterDNS,
		NoClusterDNS:  textOf(c.DNSError),
		Annotations:   map[string]string{api.ClusterDNS: dnsAnnotation(c.DNSAt), api.ClusterDNSError: textOf(c.DNSError)},
		Client:        client,
		Projections:   projections,
		Operators:     operators,
		Runtime:       provider{c.Runtime},
		Network:       c.Network,
		Groups:        groups,
		Eviction:      c.Eviction,
		Machine:       eviction.Machine{Memory: machine.MemoryLeft, PIDs: machine.PIDsLeft, Usage: groups.Usage},
		PodAPI: node.PodAPI{
			Listener:  c.Listener,
			TLS:       &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.Credentials.Serving.GetCertificate},
			ClientCAs: c.Credentials.ClientCAs,
		},
		Images: node.Images{
			Verify: c.Images.Verification(), Parallel: c.Images.MaxParallelPulls,
			High: c.Images.GCHighThreshold, Low: c.Images.GCLowThreshold, Providers: c.Providers,
		},
		Clock: c.Clock,
		Wall:  c.Wall,
		Log:   c.Log,
	})
}

// textOf is what an error says, "" where there is none.
func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// dnsAnnotation says where the node's DNS listens, "" where it has none.
func dnsAnnotation(at netip.AddrPort) string {
	if !at.IsValid() {
		return ""
	}
	return at.String()
}

// clientConfig lets clients speak to the API as the node, over the same connection that
// a node on another machine would use.
func clientConfig(url string, c Credentials) *rest.Config {
	return &rest.Config{
		Host: url,
		TLSClientConfig: rest.TLSClientConfig{
			CAData: c.CA,
			// Files, so that a renewed certificate is used.
			CertFile: c.Client.CertFile(),
			KeyFile:  c.Client.KeyFile(),
		},
		ContentConfig: rest.ContentConfig{ContentType: runtime.ContentTypeProtobuf, AcceptContentTypes: runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON},
		UserAgent:     "laterna-agent",
		// A pod's start waits for the agent's requests: it does not limit itself.
		QPS: -1,
	}
}
