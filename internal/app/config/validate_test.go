package config

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(*Config)
		want string // empty: valid
	}{
		"all addresses":        {func(c *Config) { c.Serving.Listen = "0.0.0.0:0" }, ""},
		"no reserve":           {func(c *Config) { c.DiskReserve = "0" }, ""},
		"reserve":              {func(c *Config) { c.DiskReserve = "128Mi" }, ""},
		"reserve of words":     {func(c *Config) { c.DiskReserve = "much" }, `--disk-reserve: "much" is not an amount of bytes, such as 64Mi, or 0 for none`},
		"negative reserve":     {func(c *Config) { c.DiskReserve = "-1Mi" }, "--disk-reserve: -1Mi is not between 0 and 1Ti"},
		"eviction":             {func(c *Config) { c.Node.EvictionHard = "memory.available<5%, pid.available<1k" }, ""},
		"no eviction":          {func(c *Config) { c.Node.EvictionHard = "" }, ""},
		"eviction of nothing":  {func(c *Config) { c.Node.EvictionHard = "memory.available>1" }, "--eviction-hard: invalid eviction threshold syntax memory.available>1, expected <signal><operator><value>"},
		"long transition":      {func(c *Config) { c.Node.EvictionTransition.Duration = 48 * time.Hour }, "--eviction-pressure-transition-period: 48h0m0s is not between 0s and 24h"},
		"IPv6 listener":        {func(c *Config) { c.Serving.Listen = "[::1]:6443" }, ""},
		"host name":            {func(c *Config) { c.Serving.Listen = "localhost:6443" }, `--listen: "localhost:6443" is not an address with a port`},
		"port alone":           {func(c *Config) { c.Serving.Listen = ":6443" }, "--listen"},
		"no data directory":    {func(c *Config) { c.DataDir = "" }, "--data-dir: no directory is given"},
		"small pod network":    {func(c *Config) { c.Network.ClusterCIDR = "10.0.0.0/25" }, "at least a /24 is needed"},
		"least pod network":    {func(c *Config) { c.Network.ClusterCIDR = "10.0.0.0/24" }, ""},
		"least service range":  {func(c *Config) { c.Network.ServiceClusterIPRange = "10.0.0.0/29" }, ""},
		"small service range":  {func(c *Config) { c.Network.ServiceClusterIPRange = "10.0.0.0/30" }, "--service-cluster-ip-range: 10.0.0.0/30 is too small"},
		"host bits":            {func(c *Config) { c.Network.ClusterCIDR = "10.0.0.1/16" }, "did you mean 10.0.0.0/16?"},
		"IPv6 pods":            {func(c *Config) { c.Network.ClusterCIDR = "fd00::/48" }, "is not an IPv4 network"},
		"no network":           {func(c *Config) { c.Network.ServiceClusterIPRange = "services" }, `--service-cluster-ip-range: "services" is not a network`},
		"open service range":   {func(c *Config) { c.Network.ServiceClusterIPRange = "" }, ""},
		"two service ranges":   {func(c *Config) { c.Network.ServiceClusterIPRange = "10.96.0.0/16,fd00::/112" }, "--service-cluster-ip-range: 10.96.0.0/16,fd00::/112 names several networks"},
		"services inside pods": {func(c *Config) { c.Network.ServiceClusterIPRange = "10.244.3.0/24" }, "shares addresses with the pods' network"},
		"pods inside services": {func(c *Config) {
			c.Network.ServiceClusterIPRange = "10.96.0.0/12"
			c.Network.ClusterCIDR = "10.96.3.0/24"
		}, "shares addresses with the pods' network"},
		"no domain":             {func(c *Config) { c.Network.ClusterDomain = "" }, "--cluster-domain"},
		"upper case domain":     {func(c *Config) { c.Network.ClusterDomain = "Cluster.local" }, "--cluster-domain"},
		"node name":             {func(c *Config) { c.Node.Name = "a_b" }, `--node-name: "a_b": a lowercase RFC 1123 subdomain`},
		"node address":          {func(c *Config) { c.Node.IP = "10.0.0" }, `--node-ip: "10.0.0" is not an IP address`},
		"no node's address":     {func(c *Config) { c.Node.IP = "0.0.0.0" }, "--node-ip: 0.0.0.0 is not an address of one machine"},
		"node's IPv6 address":   {func(c *Config) { c.Node.IP = "2001:db8::1" }, ""},
		"endpoint":              {func(c *Config) { c.Node.CRIEndpoint = "unix:///run/crio/crio.sock" }, ""},
		"path as endpoint":      {func(c *Config) { c.Node.CRIEndpoint = "/run/crio/crio.sock" }, "--cri-endpoint"},
		"relative endpoint":     {func(c *Config) { c.Node.CRIEndpoint = "unix://run/crio.sock" }, "--cri-endpoint"},
		"TCP endpoint":          {func(c *Config) { c.Node.CRIEndpoint = "tcp://10.0.0.1:1" }, "--cri-endpoint"},
		"etcd servers":          {func(c *Config) { c.Store.EtcdServers = []string{"https://a:2379", "unix:///run/etcd.sock"} }, ""},
		"etcd without scheme":   {func(c *Config) { c.Store.EtcdServers = []string{"a:2379"} }, "--etcd-servers"},
		"etcd certificate only": {func(c *Config) { c.Store.EtcdCertFile = "a" }, "--etcd-certfile"},
		"etcd key only":         {func(c *Config) { c.Store.EtcdKeyFile = "a" }, "--etcd-certfile"},
		"both":                  {func(c *Config) { c.Store.EtcdCertFile, c.Store.EtcdKeyFile = "a", "b" }, ""},
		"an hour":               {func(c *Config) { c.Tokens.MaxExpiration.Duration = time.Hour }, ""},
		"less than an hour":     {func(c *Config) { c.Tokens.MaxExpiration.Duration = time.Hour - 1 }, "--service-account-max-token-expiration"},
		"2^32 seconds":          {func(c *Config) { c.Tokens.MaxExpiration.Duration = 1 << 32 * time.Second }, ""},
		"issuer twice":          {func(c *Config) { c.Tokens.Issuers = []string{"x", "x"} }, `"x" is given twice`},
		"more":                  {func(c *Config) { c.Tokens.MaxExpiration.Duration = 1<<32*time.Second + 1 }, "is not between"},
		"negative":              {func(c *Config) { c.Tokens.MaxExpiration.Duration = -time.Hour }, "is not between"},
		"ES256":                 {func(c *Config) { c.Tokens.SigningAlgorithm = "ES256" }, ""},
		"ES512":                 {func(c *Config) { c.Tokens.SigningAlgorithm = "ES512" }, ""},
		"lower case algorithm":  {func(c *Config) { c.Tokens.SigningAlgorithm = "rs256" }, `"rs256" is not one of RS256, ES256, ES384 and ES512`},
		"plain issuer":          {func(c *Config) { c.Tokens.Issuers = []string{"tokens"} }, ""},
		"empty issuer":          {func(c *Config) { c.Tokens.Issuers = []string{""} }, "--service-account-issuer"},
		"empty audience":        {func(c *Config) { c.Tokens.APIAudiences = []string{"a", ""} }, "--api-audiences: an audience is empty"},
		"keys elsewhere":        {func(c *Config) { c.Tokens.JWKSURI = "https://a.example/keys" }, ""},
		"keys without TLS":      {func(c *Config) { c.Tokens.JWKSURI = "http://a.example/keys" }, "is not an https URL"},
		"keys without host":     {func(c *Config) { c.Tokens.JWKSURI = "https:///keys" }, "is not an https URL"},
	} {
		t.Run(name, func(t *testing.T) {
			c := Default()
			test.set(&c)
			err := c.Validate()
			if test.want == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("got %v, want only one that says %q", err, test.want)
			}
		})
	}
}

func TestValidateTellsEverything(t *testing.T) {
	c := Default()
	c.Serving.Listen, c.Node.IP, c.Tokens.SigningAlgorithm = "a", "b", "c"
	if n := strings.Count(c.Validate().Error(), "\n") + 1; n != 3 {
		t.Errorf("%d errors, want 3: %v", n, c.Validate())
	}
}
