package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheDefaultsAreValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestWrongSettingsAreNamedBeforeAnythingStarts(t *testing.T) {
	for want, set := range map[string]func(*Config){
		"--listen: ":                        func(c *Config) { c.Serving.Listen = "localhost:6443" },
		"--cluster-cidr: ":                  func(c *Config) { c.Network.ClusterCIDR = "10.244.0.1/16" },
		"overlaps --cluster-cidr":           func(c *Config) { c.Network.ServiceClusterIPRange = "10.244.7.0/24" },
		"--cluster-domain: \"..-\"":         func(c *Config) { c.Network.ClusterDomain = "..-" },
		"--node-name: \"A B\"":              func(c *Config) { c.Node.Name = "A B" },
		"--node-ip: ":                       func(c *Config) { c.Node.IP = "here" },
		"--cri-endpoint: ":                  func(c *Config) { c.Node.CRIEndpoint = "/run/x.sock" },
		"--etcd-servers: \"10.0.0.1:2379\"": func(c *Config) { c.Store.EtcdServers = []string{"10.0.0.1:2379"} },
		"--etcd-certfile: ":                 func(c *Config) { c.Store.EtcdKeyFile = "key" },
		"issuer must not be empty":          func(c *Config) { c.Tokens.Issuers = []string{""} },
		"\"x\" is given twice":              func(c *Config) { c.Tokens.Issuers = []string{"x", "x"} },
		"--api-audiences: ":                 func(c *Config) { c.Tokens.APIAudiences = []string{"a", ""} },
		"--service-account-jwks-uri: ":      func(c *Config) { c.Tokens.JWKSURI = "http://x/y" },
		"--signing-algorithm: \"HS256\"":    func(c *Config) { c.Tokens.SigningAlgorithm = "HS256" },
		"5m0s is not between 1h and 2^32 s": func(c *Config) { c.Tokens.MaxExpiration.Duration = 5 * time.Minute },
	} {
		c := Default()
		set(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want only %s", err, want)
		}
	}
}

func TestAllWrongSettingsAreNamed(t *testing.T) {
	c := Default()
	c.Serving.Listen, c.Tokens.JWKSURI = "x", "y"
	if err := c.Validate(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("%v, want two lines", err)
	}
}

func TestReadFile(t *testing.T) {
	const head = "apiVersion: config.laterna.dev/v1alpha1\nkind: ServerConfiguration\n"
	for text, want := range map[string]string{
		head + "serving: {listen: \"127.0.0.1:1\"}\n": "",
		head + "listn: x\n":                           "listn",
		head + "serving: {listen: a, listen: b}\n":    "listen",
		"kind: ServerConfiguration\n":                 "want apiVersion",
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := Default()
		err := c.ReadFile(path)
		if want == "" {
			if err != nil || c.Serving.Listen != "127.0.0.1:1" || !c.Serving.PublicDiscovery {
				t.Errorf("%v, %+v", err, c.Serving)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || c.Serving.Listen != Default().Serving.Listen {
			t.Errorf("%q: %v, want %s; then listening on %s", text, err, want, c.Serving.Listen)
		}
	}
}
