package cli

import (
	"fmt"

	"github.com/spf13/pflag"

	"laterna.dev/laterna/internal/app"
	"laterna.dev/laterna/internal/datadir"
)

// configFlags fills an app.Config from flags and from the file that --config
// names; a flag that is given wins over the file.
type configFlags struct {
	config app.Config
	file   string
	flags  *pflag.FlagSet
}

// bind defines the flags that `up` and `server` share. This is the allow-list: no
// other flag exists.
func (c *configFlags) bind(fs *pflag.FlagSet) {
	c.config, c.flags = app.Default(), fs
	f := &c.config
	fs.StringVar(&c.file, "config", "", "YAML file with the same settings (apiVersion: "+app.ConfigAPIVersion+", kind: "+app.ConfigKind+"); flags win over it")
	fs.StringVar(&f.DataDir, "data-dir", f.DataDir, "directory that holds everything that outlives the process")
	fs.BoolVar(&f.TestClock, "test-clock", false, "let the system's clock be moved by: laterna clock advance")
	fs.IntVarP(&f.Verbosity, "v", "v", 0, "verbosity of the log: 1 adds libraries' information, 2 debug lines")

	fs.StringVar(&f.Serving.Listen, "listen", f.Serving.Listen, "address and port of the API; the pod network's gateway address is added by itself")
	fs.BoolVar(&f.Serving.PublicDiscovery, "public-discovery", true, "serve the issuer's discovery document and keys without authentication")

	fs.StringSliceVar(&f.Store.EtcdServers, "etcd-servers", nil, "URLs of an etcd cluster to use instead of the store inside the process")
	fs.StringVar(&f.Store.EtcdCAFile, "etcd-cafile", "", "certificate authority of the etcd cluster")
	fs.StringVar(&f.Store.EtcdCertFile, "etcd-certfile", "", "client certificate for the etcd cluster")
	fs.StringVar(&f.Store.EtcdKeyFile, "etcd-keyfile", "", "key of the client certificate for the etcd cluster")

	fs.StringArrayVar(&f.Tokens.Issuers, "service-account-issuer", nil, "issuer of service account tokens; the first signs, all are accepted (repeatable)")
	fs.StringSliceVar(&f.Tokens.APIAudiences, "api-audiences", nil, "audiences that the API accepts in tokens (default: the issuers)")
	fs.DurationVar(&f.Tokens.MaxExpiration.Duration, "service-account-max-token-expiration", 0, "longest life of a token; longer requests are shortened")
	fs.StringVar(&f.Tokens.JWKSURI, "service-account-jwks-uri", "", "URL of the keys in the discovery document, when they are served elsewhere")
	fs.BoolVar(&f.Tokens.ExtendExpiration, "service-account-extend-token-expiration", true, "let injected tokens live for a year, for clients that do not re-read the file")
	fs.StringVar(&f.Tokens.SigningAlgorithm, "signing-algorithm", f.Tokens.SigningAlgorithm, "algorithm of a new signing key: RS256 or ES256")

	fs.StringVar(&f.Network.ClusterCIDR, "cluster-cidr", f.Network.ClusterCIDR, "network that pods' addresses come from")
	fs.StringVar(&f.Network.ServiceClusterIPRange, "service-cluster-ip-range", f.Network.ServiceClusterIPRange, "network that services' addresses come from")
	fs.StringVar(&f.Network.ClusterDomain, "cluster-domain", f.Network.ClusterDomain, "DNS domain of the cluster")
}

// bindNode defines the flags of the node agent.
func (c *configFlags) bindNode(fs *pflag.FlagSet) {
	n := &c.config.Node
	fs.BoolVar(&n.Enabled, "node", true, "run the node agent; without it no pod runs here")
	fs.StringVar(&n.Name, "node-name", "", "name of the node (default: the host name)")
	fs.StringVar(&n.IP, "node-ip", "", "address of the node (default: the host's first global address)")
	fs.StringVar(&n.CRIEndpoint, "cri-endpoint", "", "unix socket of a container runtime to use instead of a private containerd")
}

// complete reads the file, if one is named, and lets the flags win over it.
func (c *configFlags) complete() (app.Config, error) {
	if c.file != "" {
		if err := c.readFile(); err != nil {
			return app.Config{}, err
		}
	}
	if err := c.config.Validate(); err != nil {
		return app.Config{}, err
	}
	return c.config, nil
}

// readFile reads the file over the defaults and then sets every given flag again.
// Lists are emptied first, as setting them again would append.
func (c *configFlags) readFile() error {
	given := map[string][]string{}
	c.flags.Visit(func(f *pflag.Flag) {
		if list, ok := f.Value.(pflag.SliceValue); ok {
			given[f.Name] = append([]string{}, list.GetSlice()...)
		} else {
			given[f.Name] = []string{f.Value.String()}
		}
	})
	c.config = app.Default()
	if err := c.config.ReadFile(c.file); err != nil {
		return err
	}
	for name, values := range given {
		value := c.flags.Lookup(name).Value
		if list, ok := value.(pflag.SliceValue); ok {
			if err := list.Replace(values); err != nil {
				return fmt.Errorf("--%s: %w", name, err)
			}
		} else if err := value.Set(values[0]); err != nil {
			return fmt.Errorf("--%s: %w", name, err)
		}
	}
	return nil
}

// targetFlags say which running system a command talks to.
type targetFlags struct {
	dataDir, kubeconfig string
}

func (t *targetFlags) bind(fs *pflag.FlagSet) {
	fs.StringVar(&t.dataDir, "data-dir", datadir.Default(), "data directory of the running system")
	fs.StringVar(&t.kubeconfig, "kubeconfig", "", "kubeconfig of the running system (default: the one in the data directory)")
}
