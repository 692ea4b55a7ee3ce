package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/node/credentialprovider"
	"laterna.dev/laterna/internal/node/eviction"
	"laterna.dev/laterna/internal/node/imagepull"
	"laterna.dev/laterna/internal/node/imagevolume"
	"laterna.dev/laterna/internal/node/podworker"
	"laterna.dev/laterna/internal/node/resize"
)

// Config is what an agent needs. Fields are required unless said otherwise.
type Config struct {
	NodeName string
	// NodeIPs are the node's addresses, primary first.
	NodeIPs []string
	// Labels are added to the node's; optional.
	Labels map[string]string
	// Version is reported as the kubelet's.
	Version string
	// Instance marks the containers of this data directory (datadir.Dir.Hash).
	Instance string
	// Root is the data directory: pods live in Root/pods, logs in Root/logs/pods.
	Root          string
	ClusterDomain string
	// ClusterDNS is where pods ask for names of the cluster. Not valid where the node has no
	// DNS: then they get the node's own resolver, and the node an Event.
	ClusterDNS netip.Addr
	// NoClusterDNS is why, where the node ought to have one; it is told at once then. Optional.
	NoClusterDNS string
	// Annotations are the node's own, kept as Labels are; optional.
	Annotations map[string]string
	// MaxPods is how many pods the node takes; 0 means 110.
	MaxPods int64

	// Client speaks as system:node:<NodeName>, without a rate limit of its own.
	Client kubernetes.Interface
	// Projections is the same client for projection.laterna.dev, where the agent says
	// what pods have loaded; nil reports nothing.
	Projections rest.Interface
	// Operators is the same client for operator.openshift.io, which tells of changes of
	// the issuer; nil follows none.
	Operators rest.Interface

	Runtime RuntimeProvider
	// Network is told of sandboxes; nil where it is somebody else's.
	Network podworker.Network
	Groups  Groups
	PodAPI  PodAPI
	// Eviction says when pods are evicted, and Machine what is left of it.
	Eviction eviction.Settings
	Machine  eviction.Machine
	// Images says how images are kept; the zero value is upstream's way.
	Images Images

	// Clock is the system's clock: tokens, back-offs and deadlines follow it.
	Clock clock.API
	// Wall is real time: heartbeats, time stamps and the relist follow it.
	Wall clock.Wall
	Log  *slog.Logger
}

// Endpoint is where a container runtime listens, and what it needs to be told.
type Endpoint struct {
	// CRI is the path of the socket that serves CRI.
	CRI string
	// Containerd is the path of containerd's own API, empty when the runtime is not
	// containerd or its events must not be used.
	Containerd string
	// Images is nil where images cannot be imported (a foreign runtime).
	Images imagepull.Imports
	// Views keeps the files of images for volumes; nil likewise.
	Views imagevolume.Store
	// Streams is where the streams of containers are whose end the runtime loses, see
	// runtime/stdio; empty when it does not.
	Streams string
}

// RuntimeProvider knows the container runtime. Endpoint returns when the runtime is
// about to answer there, or when ctx ends.
type RuntimeProvider interface {
	Endpoint(ctx context.Context) (Endpoint, error)
}

// Groups are the control groups of pods, see resize.HostGroups.
type Groups interface {
	podworker.Groups
	resize.Groups
}

// Images is how the node keeps images.
type Images struct {
	// Verify says which images that are present a pod may use without credentials.
	Verify imagepull.Verification
	// High and Low are how full the disk of images may be, in percent, before and after
	// unused ones are removed. Zero stands for the defaults of imagepull.
	High, Low int
	// Parallel bounds the pulls that go on at a time; zero stands for
	// imagepull.DefaultParallel.
	Parallel int
	// Providers are programs that have logins of registries; the zero value has none.
	Providers credentialprovider.Settings
}

// PodAPI is how the agent's own endpoint is served.
type PodAPI struct {
	// Listener's port is published in the node's status.
	Listener net.Listener
	// TLS has the server certificate.
	TLS *tls.Config
	// ClientCAs sign the client certificates that are let in.
	ClientCAs *x509.CertPool
}

// port is where the endpoint listens, 0 when that is no TCP port.
func (p PodAPI) port() int32 {
	if addr, ok := p.Listener.Addr().(*net.TCPAddr); ok {
		return int32(addr.Port)
	}
	return 0
}

func (c *Config) complete() error {
	switch {
	case c.NodeName == "" || len(c.NodeIPs) == 0:
		return errors.New("the node needs a name and an address")
	case c.Client == nil || c.Runtime == nil || c.Groups == nil:
		return errors.New("the agent needs a client, a runtime and control groups")
	case c.Machine.Memory == nil || c.Machine.PIDs == nil || c.Machine.Usage == nil:
		return errors.New("the agent needs to know what is left of the machine")
	case c.Root == "" || c.Instance == "":
		return errors.New("the agent needs a data directory")
	case c.PodAPI.Listener == nil || c.PodAPI.TLS == nil:
		return errors.New("the agent needs a listener with a certificate for its own API")
	}
	if c.Network == nil {
		c.Network = podworker.ForeignNetwork{}
	}
	if c.Images.High == 0 {
		c.Images.High = imagepull.DefaultHigh
	}
	if c.Images.Parallel == 0 {
		c.Images.Parallel = imagepull.DefaultParallel
	}
	if c.Images.Low == 0 {
		c.Images.Low = min(imagepull.DefaultLow, c.Images.High)
	}
	if c.MaxPods == 0 {
		c.MaxPods = 110
	}
	if c.Clock == nil || c.Wall == nil {
		return errors.New("the agent needs two clocks")
	}
	return nil
}

// podRoot is the directory of all pods' directories.
func (c *Config) podRoot() string { return filepath.Join(c.Root, "pods") }

// logRoot is the directory of all pod logs.
func (c *Config) logRoot() string { return filepath.Join(c.Root, "logs", "pods") }

// apiVersion is the version of the API as servers are told it, such as "1.37".
func (c *Config) apiVersion() string {
	version := strings.TrimPrefix(c.Version, "v")
	if parts := strings.SplitN(version, ".", 3); len(parts) == 3 {
		return parts[0] + "." + parts[1]
	}
	return version
}
