package app

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/internal/datadir"
)

const (
	// ConfigAPIVersion and ConfigKind head a configuration file.
	ConfigAPIVersion = "config.laterna.dev/v1alpha1"
	// ConfigKind is the kind of a configuration file.
	ConfigKind = "ServerConfiguration"
)

// Config says what `laterna up` and `laterna server` run. It is filled from flags
// and from the file that --config names; Default gives the rest.
type Config struct {
	metav1.TypeMeta `json:",inline"`

	// DataDir holds everything that outlives the process.
	DataDir string `json:"dataDir,omitempty"`
	// TestClock lets `laterna clock advance` move the system's clock.
	TestClock bool `json:"testClock,omitempty"`
	// Verbosity is the number given with -v.
	Verbosity int `json:"verbosity,omitempty"`

	Serving ServingConfig `json:"serving,omitzero"`
	Store   StoreConfig   `json:"store,omitzero"`
	Tokens  TokensConfig  `json:"tokens,omitzero"`
	Network NetworkConfig `json:"network,omitzero"`
	Node    NodeConfig    `json:"node,omitzero"`
}

// ServingConfig is where the API is served and what beside the API.
type ServingConfig struct {
	Listen          string `json:"listen,omitempty"`
	PublicDiscovery bool   `json:"publicDiscovery"`
}

// StoreConfig names an etcd cluster that runs elsewhere; without servers the store
// runs inside the process.
type StoreConfig struct {
	EtcdServers  []string `json:"etcdServers,omitempty"`
	EtcdCAFile   string   `json:"etcdCAFile,omitempty"`
	EtcdCertFile string   `json:"etcdCertFile,omitempty"`
	EtcdKeyFile  string   `json:"etcdKeyFile,omitempty"`
}

// TokensConfig is how service account tokens are issued and checked.
type TokensConfig struct {
	Issuers          []string        `json:"serviceAccountIssuers,omitempty"`
	APIAudiences     []string        `json:"apiAudiences,omitempty"`
	MaxExpiration    metav1.Duration `json:"serviceAccountMaxTokenExpiration,omitzero"`
	JWKSURI          string          `json:"serviceAccountJWKSURI,omitempty"`
	ExtendExpiration bool            `json:"serviceAccountExtendTokenExpiration"`
	SigningAlgorithm string          `json:"signingAlgorithm,omitempty"`
}

// NetworkConfig is the pods' and services' network.
type NetworkConfig struct {
	ClusterCIDR           string `json:"clusterCIDR,omitempty"`
	ServiceClusterIPRange string `json:"serviceClusterIPRange,omitempty"`
	ClusterDomain         string `json:"clusterDomain,omitempty"`
}

// NodeConfig is the node agent of this process.
type NodeConfig struct {
	Enabled bool   `json:"enabled"`
	Name    string `json:"name,omitempty"`
	IP      string `json:"ip,omitempty"`
	// CRIEndpoint names a container runtime that somebody else runs; empty means
	// a private containerd of this data directory.
	CRIEndpoint string `json:"criEndpoint,omitempty"`
}

// Default returns the configuration without flags and file.
func Default() Config {
	return Config{
		TypeMeta: metav1.TypeMeta{APIVersion: ConfigAPIVersion, Kind: ConfigKind},
		DataDir:  datadir.Default(),
		Serving:  ServingConfig{Listen: "127.0.0.1:6443", PublicDiscovery: true},
		Tokens:   TokensConfig{ExtendExpiration: true, SigningAlgorithm: "RS256"},
		Network: NetworkConfig{
			ClusterCIDR:           "10.244.0.0/16",
			ServiceClusterIPRange: "10.96.0.0/16",
			ClusterDomain:         "cluster.local",
		},
		Node: NodeConfig{Enabled: true},
	}
}

// ReadFile sets in c what the YAML file at path says. Unknown and repeated fields
// are refused with their path.
func (c *Config) ReadFile(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	read := *c
	read.TypeMeta = metav1.TypeMeta{}
	if err := yaml.UnmarshalStrict(raw, &read); err != nil {
		return fmt.Errorf("reading configuration %s: %w", path, err)
	}
	if read.APIVersion != ConfigAPIVersion || read.Kind != ConfigKind {
		return fmt.Errorf("reading configuration %s: it is %q %q, want apiVersion: %s, kind: %s",
			path, read.APIVersion, read.Kind, ConfigAPIVersion, ConfigKind)
	}
	*c = read
	return nil
}

// Validate returns everything that is wrong with the values themselves.
func (c *Config) Validate() error {
	var errs []error
	check := func(err error, flag string) {
		if err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flag, err))
		}
	}
	_, err := netip.ParseAddrPort(c.Serving.Listen)
	check(err, "listen")
	check(validPrefix(c.Network.ClusterCIDR, 24), "cluster-cidr")
	check(validPrefix(c.Network.ServiceClusterIPRange, 29), "service-cluster-ip-range")
	if c.Node.IP != "" {
		_, err := netip.ParseAddr(c.Node.IP)
		check(err, "node-ip")
	}
	if s := c.Node.CRIEndpoint; s != "" && !strings.HasPrefix(s, "unix:///") {
		check(fmt.Errorf("%q is not a unix socket; write it as unix:///run/….sock", s), "cri-endpoint")
	}
	if (c.Store.EtcdCertFile == "") != (c.Store.EtcdKeyFile == "") {
		check(errors.New("certificate and key must be given together"), "etcd-certfile")
	}
	const most = time.Duration(1<<32) * time.Second
	if d := c.Tokens.MaxExpiration.Duration; d != 0 && (d < time.Hour || d > most) {
		check(fmt.Errorf("%s is not between 1h and 2^32 seconds", d), "service-account-max-token-expiration")
	}
	return errors.Join(errs...)
}

// validPrefix tells whether s is an IPv4 network of at most bits bits.
func validPrefix(s string, bits int) error {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return err
	case !p.Addr().Is4():
		return fmt.Errorf("%s is not an IPv4 network; other families are not served yet", s)
	case p != p.Masked():
		return fmt.Errorf("%s has bits outside its mask; did you mean %s?", s, p.Masked())
	case p.Bits() > bits:
		return fmt.Errorf("%s is too small: at least a /%d is needed", s, bits)
	}
	return nil
}
