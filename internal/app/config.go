package app

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/issuer"
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
	var p problems
	_, err := netip.ParseAddrPort(c.Serving.Listen)
	p.add("listen", err)
	c.Network.validate(&p)
	if c.Node.Name != "" {
		p.add("node-name", validSubdomain(c.Node.Name))
	}
	if c.Node.IP != "" {
		_, err := netip.ParseAddr(c.Node.IP)
		p.add("node-ip", err)
	}
	if s := c.Node.CRIEndpoint; s != "" && !strings.HasPrefix(s, "unix:///") {
		p.add("cri-endpoint", fmt.Errorf("%q is not a unix socket; write it as unix:///run/….sock", s))
	}
	for _, s := range c.Store.EtcdServers {
		p.add("etcd-servers", validEndpoint(s))
	}
	if (c.Store.EtcdCertFile == "") != (c.Store.EtcdKeyFile == "") {
		p.add("etcd-certfile", errors.New("certificate and key must be given together"))
	}
	c.Tokens.validate(&p)
	return errors.Join(p...)
}

func (c *NetworkConfig) validate(p *problems) {
	p.add("cluster-cidr", validPrefix(c.ClusterCIDR, 24))
	p.add("service-cluster-ip-range", validPrefix(c.ServiceClusterIPRange, 29))
	pods, err := netip.ParsePrefix(c.ClusterCIDR)
	services, err2 := netip.ParsePrefix(c.ServiceClusterIPRange)
	if err == nil && err2 == nil && pods.Overlaps(services) {
		p.add("service-cluster-ip-range", fmt.Errorf("%s overlaps --cluster-cidr %s", services, pods))
	}
	p.add("cluster-domain", validSubdomain(c.ClusterDomain))
}

func (c *TokensConfig) validate(p *problems) {
	p.add("service-account-issuer", issuer.Validate(c.Issuers))
	if slices.Contains(c.APIAudiences, "") {
		p.add("api-audiences", errors.New("an audience must not be empty"))
	}
	if c.JWKSURI != "" {
		p.add("service-account-jwks-uri", issuer.ValidateJWKSURI(c.JWKSURI))
	}
	if a := boundtoken.Algorithm(c.SigningAlgorithm); a != boundtoken.RS256 && a != boundtoken.ES256 {
		p.add("signing-algorithm", fmt.Errorf("%q: want RS256 or ES256", a))
	}
	const most = time.Duration(1<<32) * time.Second
	if d := c.MaxExpiration.Duration; d != 0 && (d < time.Hour || d > most) {
		p.add("service-account-max-token-expiration", fmt.Errorf("%s is not between 1h and 2^32 seconds", d))
	}
}

// problems are what is wrong with settings.
type problems []error

// add notes what is wrong with the value of a flag, if anything.
func (p *problems) add(flag string, err error) {
	if err != nil {
		*p = append(*p, fmt.Errorf("--%s: %w", flag, err))
	}
}

// validSubdomain tells whether s can be part of the names of objects and hosts.
func validSubdomain(s string) error {
	if problems := validation.IsDNS1123Subdomain(s); len(problems) > 0 {
		return fmt.Errorf("%q: %s", s, strings.Join(problems, "; "))
	}
	return nil
}

// validEndpoint tells whether s is a URL at which etcd can be reached.
func validEndpoint(s string) error {
	u, err := url.Parse(s)
	if err != nil || !slices.Contains([]string{"http", "https", "unix"}, u.Scheme) || u.Host+u.Path == "" {
		return fmt.Errorf("%q is not a URL such as https://10.0.0.1:2379", s)
	}
	return nil
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
