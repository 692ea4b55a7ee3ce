package cli

import (
	"fmt"

	"github.com/spf13/pflag"

	"laterna.dev/laterna/internal/app/config"
	"laterna.dev/laterna/internal/datadir"
)

// configFlags fills a config.Config from flags and from the file that --config
// names; a flag that is given wins over the file.
type configFlags struct {
	config config.Config
	file   string
	flags  *pflag.FlagSet
}

// bind defines the flags of `up` and `server`; node tells whether there is an agent.
// This is the allow-list: no other flag exists. The help shows them in this order.
func (c *configFlags) bind(fs *pflag.FlagSet, node bool) {
	c.config, c.flags = config.Default(), fs
	fs.SortFlags = false
	f := &c.config
	fs.StringVar(&f.DataDir, "data-dir", f.DataDir, "`DIR` that keeps all data")
	listen := "`ADDRESS:PORT` to serve the API at; pods also reach it in their own network"
	if node {
		listen += "; at an IPv6 address 127.0.0.1:PORT is served too, as services are routed in IPv4"
	}
	fs.StringVar(&f.Serving.Listen, "listen", f.Serving.Listen, listen)
	if node {
		fs.BoolVar(&f.Node.Enabled, "node", true, "run pods on this machine (needs root); --node=false: the API alone")
	}
	fs.BoolVar(&f.Serving.EnableSwaggerUI, "enable-swagger-ui", true, "serve Swagger UI at /swagger-ui/ to users with credentials: through 'kubectl proxy' the API is tried out with a browser")
	fs.StringVar(&c.file, "config", "", "YAML `FILE` with the same settings (apiVersion: "+config.APIVersion+", kind: "+config.Kind+"); flags win over it")
	fs.StringVar(&f.DiskReserve, "disk-reserve", "", "`AMOUNT` of the disk, such as 64Mi, that is kept for the system itself and used when the disk is full; 0: none (default: a twentieth of the disk, at most 64Mi)")
	fs.BoolVar(&f.TestClock, "test-clock", false, "let 'laterna clock advance' move the system's clock")
	fs.IntVarP(&f.Verbosity, "v", "v", 0, "verbosity `LEVEL` of the log: 1 adds the libraries' information, 2 debug lines")

	section(fs, "Tokens", c.bindTokens)
	if node {
		section(fs, "Node", c.bindNode)
	}
	section(fs, "Network", c.bindNetwork)
	section(fs, "Store", c.bindStore)
	section(fs, "Audit", c.bindAudit)
	section(fs, "Pod Security", c.bindPodSecurity)
	section(fs, "IAM roles of pods", c.bindPodIdentity)
}

func (c *configFlags) bindTokens(fs *pflag.FlagSet) {
	t := &c.config.Tokens
	fs.StringArrayVar(&t.Issuers, "service-account-issuer", nil, "`ISSUER` of service account tokens, usually an https URL (default: the API's own name); repeatable: the first one signs, all are accepted")
	fs.StringSliceVar(&t.APIAudiences, "api-audiences", nil, "`AUDIENCES`, separated by commas, that the API accepts in tokens (default: the issuers)")
	fs.DurationVar(&t.MaxExpiration.Duration, "service-account-max-token-expiration", 0, "`DURATION` that a token lives at most, at least 1h; longer requests are shortened")
	fs.DurationVar(&t.IssuerOverlap.Duration, "service-account-issuer-overlap", t.IssuerOverlap.Duration, "`DURATION` that tokens of a former issuer are accepted after the issuer was changed; 0s refuses them at once")
	fs.BoolVar(&t.ExtendExpiration, "service-account-extend-token-expiration", true, "let injected tokens live for a year, for clients that do not re-read the file")
	fs.StringVar(&t.JWKSURI, "service-account-jwks-uri", "", "https `URL` of the keys in the discovery document, where they are served elsewhere")
	fs.StringVar(&t.SigningAlgorithm, "signing-algorithm", t.SigningAlgorithm, "`ALGORITHM` of the first signing key: RS256, ES256, ES384 or ES512; another one than at the last start begins a rotation")
	fs.BoolVar(&t.Legacy, "legacy-service-account-tokens", false, "make a Secret with a token for every service account and let pods mount it, as Kubernetes before 1.24")
	fs.DurationVar(&t.LegacyCleanUpPeriod.Duration, "legacy-service-account-token-clean-up-period", t.LegacyCleanUpPeriod.Duration, "`DURATION` after which such a Secret that nobody uses is marked invalid and, after as long again, deleted")
	fs.BoolVar(&c.config.Serving.PublicDiscovery, "public-discovery", true, "serve the discovery document and the keys without authentication")
}

func (c *configFlags) bindNode(fs *pflag.FlagSet) {
	n := &c.config.Node
	fs.StringVar(&n.Name, "node-name", "", "`NAME` of the node (default: the host name)")
	fs.StringVar(&n.IP, "node-ip", "", "`ADDRESS` of the node (default: the one by which this machine reaches others)")
	fs.StringVar(&n.CRIEndpoint, "cri-endpoint", "", "unix:///`SOCKET` of a container runtime to use instead of a private containerd")
	fs.Int64Var(&n.PodMaxPids, "pod-max-pids", n.PodMaxPids, "`COUNT` of processes and threads that the containers of a pod may have together; -1: no limit")
	fs.StringVar(&n.EvictionHard, "eviction-hard", n.EvictionHard, "`THRESHOLDS`, separated by commas, below which pods are evicted: memory.available<AMOUNT and pid.available<COUNT, or <PERCENT%; \"\": none are")
	fs.DurationVar(&n.EvictionTransition.Duration, "eviction-pressure-transition-period", n.EvictionTransition.Duration, "`DURATION` that the node says that it is short of memory after it is not any more")
	i := &n.Images
	fs.IntVar(&i.MaxParallelPulls, "max-parallel-image-pulls", i.MaxParallelPulls, "`COUNT` of images that are pulled at the same time")
	fs.IntVar(&i.GCHighThreshold, "image-gc-high-threshold", i.GCHighThreshold, "`PERCENT` of the disk of images in use above which unused images are removed; 100: none are")
	fs.IntVar(&i.GCLowThreshold, "image-gc-low-threshold", i.GCLowThreshold, "`PERCENT` of the disk of images in use down to which they are removed")
	fs.StringVar(&i.CredentialsVerification, "image-pull-credentials-verification-policy", i.CredentialsVerification, "`POLICY` for images that are present: NeverVerify, NeverVerifyPreloadedImages, NeverVerifyAllowlistedImages or AlwaysVerify")
	fs.StringVar(&i.CredentialProviderConfig, "image-credential-provider-config", "", "`FILE`, or directory of files, that says for which images which credential provider plugin has logins")
	fs.StringVar(&i.CredentialProviderBinDir, "image-credential-provider-bin-dir", "", "`DIR` with the programs of these plugins")
	fs.StringSliceVar(&i.VerificationAllowlist, "preloaded-images-verification-allowlist", nil, "`IMAGES`, separated by commas, that NeverVerifyAllowlistedImages takes as they are; /* at the end stands for all below")
}

func (c *configFlags) bindNetwork(fs *pflag.FlagSet) {
	n := &c.config.Network
	fs.StringVar(&n.ClusterCIDR, "cluster-cidr", n.ClusterCIDR, "`NETWORK` that pods' addresses come from")
	fs.StringVar(&n.ServiceClusterIPRange, "service-cluster-ip-range", n.ServiceClusterIPRange, "`NETWORK` that services' addresses come from (default: the one of before; at the first start 10.96.0.0/16 or, where that is in use on this machine, the next free one)")
	fs.StringVar(&n.ClusterDomain, "cluster-domain", n.ClusterDomain, "DNS `DOMAIN` of the cluster")
}

func (c *configFlags) bindStore(fs *pflag.FlagSet) {
	s := &c.config.Store
	fs.StringSliceVar(&s.EtcdServers, "etcd-servers", nil, "`URLS`, separated by commas, of an etcd cluster to use instead of the store inside the process")
	fs.StringVar(&s.EtcdCAFile, "etcd-cafile", "", "`FILE` with the certificate authority of the etcd cluster")
	fs.StringVar(&s.EtcdCertFile, "etcd-certfile", "", "`FILE` with the client certificate for the etcd cluster")
	fs.StringVar(&s.EtcdKeyFile, "etcd-keyfile", "", "`FILE` with the key of the client certificate")
	fs.StringVar(&s.EncryptionProviderConfig, "encryption-provider-config", "", "`FILE` (EncryptionConfiguration, apiserver.config.k8s.io/v1) that says how API objects are encrypted in the store; kinds that it does not name are encrypted as without the file")
	fs.BoolVar(&s.EncryptionProviderReload, "encryption-provider-config-automatic-reload", false, "apply changes of that file within a minute")
}

func (c *configFlags) bindAudit(fs *pflag.FlagSet) {
	a := &c.config.Audit
	fs.StringVar(&a.PolicyFile, "audit-policy-file", "", "`FILE` with the audit policy (audit.k8s.io/v1) that says which requests are logged")
	fs.StringVar(&a.LogPath, "audit-log-path", "", "`FILE` of the audit log, one JSON object a line; - is standard output")
	fs.IntVar(&a.LogMaxAge, "audit-log-maxage", a.LogMaxAge, "`DAYS` that old files of the audit log are kept; 0: for ever")
	fs.IntVar(&a.LogMaxBackups, "audit-log-maxbackup", a.LogMaxBackups, "`COUNT` of old files of the audit log that are kept; 0: all")
	fs.IntVar(&a.LogMaxSize, "audit-log-maxsize", a.LogMaxSize, "`MIB` at which the audit log begins a new file; 0: 100")
}

func (c *configFlags) bindPodSecurity(fs *pflag.FlagSet) {
	p := &c.config.PodSecurity
	fs.StringVar(&p.Enforce, "pod-security-enforce", p.Enforce, "`LEVEL` that pods are refused above in namespaces without the label: privileged, baseline or restricted, with a version as in baseline:v1.30")
	fs.StringVar(&p.Audit, "pod-security-audit", p.Audit, "`LEVEL` above which the audit log says so of pods and of templates of pods")
	fs.StringVar(&p.Warn, "pod-security-warn", p.Warn, "`LEVEL` above which their author is warned")
	fs.StringSliceVar(&p.ExemptUsernames, "pod-security-exempt-usernames", nil, "`NAMES`, separated by commas, of users whose requests are not checked")
	fs.StringSliceVar(&p.ExemptNamespaces, "pod-security-exempt-namespaces", nil, "`NAMES` of namespaces that are not checked, whatever their labels say")
	fs.StringSliceVar(&p.ExemptRuntimeClasses, "pod-security-exempt-runtime-classes", nil, "`NAMES` of RuntimeClasses whose pods are not checked")
}

func (c *configFlags) bindPodIdentity(fs *pflag.FlagSet) {
	p := &c.config.PodIdentity
	fs.StringVar(&p.DefaultRegion, "aws-default-region", "", "`REGION` that AWS_REGION and AWS_DEFAULT_REGION become in pods with a role")
	fs.BoolVar(&p.RegionalSTS, "aws-sts-regional-endpoints", false, "set AWS_STS_REGIONAL_ENDPOINTS=regional in pods with a role, where their service account does not say otherwise")
	fs.StringVar(&p.Account, "aws-account", "", "`ACCOUNT` that completes the names of roles, where the annotation eks.amazonaws.com/role-arn is no ARN")
	fs.StringVar(&p.ConfigMap, "pod-identity-config-map", "", "`NAMESPACE/NAME` of a ConfigMap with roles of service accounts that have no annotation, in the form of the Amazon EKS Pod Identity Webhook")
	fs.StringVar(&p.IdentitiesFile, "container-credentials-file", "", "`FILE` that lists the service accounts whose pods are given container credentials (EKS Pod Identity) in the place of a role, and whose agent answers them then; it is read for each pod")
	fs.BoolVar(&p.LocalSTS, "aws-local-sts", false, "lead AWS clients in pods with a role to the STS of this system, whatever they know of endpoints; the annotation laterna.dev/local-sts says it of single pods and service accounts")
}

// complete reads the file, if one is named, and lets the flags win over it.
func (c *configFlags) complete() (config.Config, error) {
	if c.file != "" {
		if err := c.readFile(); err != nil {
			return config.Config{}, err
		}
	}
	if err := c.config.Validate(); err != nil {
		return config.Config{}, err
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
	c.config = config.Default()
	if err := c.config.Load(c.file); err != nil {
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
	flags               *pflag.FlagSet
}

func (t *targetFlags) bind(fs *pflag.FlagSet) {
	t.flags, fs.SortFlags = fs, false
	bindDataDir(fs, &t.dataDir)
	fs.StringVar(&t.kubeconfig, "kubeconfig", "", "kubeconfig `FILE` of the system (default: the one in the data directory)")
}

// local is the data directory of the system, or empty when only its kubeconfig is
// given: then it may run on another machine.
func (t *targetFlags) local() string {
	if t.kubeconfig != "" && !t.flags.Changed("data-dir") {
		return ""
	}
	return t.dataDir
}

// bindDataDir defines the flag by which a command finds a system on this machine.
func bindDataDir(fs *pflag.FlagSet, dir *string) {
	fs.StringVar(dir, "data-dir", datadir.Default(), "data `DIR` of the system")
}
