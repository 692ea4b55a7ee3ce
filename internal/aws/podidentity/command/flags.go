// Package command owns the flags of `laterna webhook`, which are those of the Amazon EKS Pod
// Identity Webhook, and what they make of the server and of the manifests.
//
// The server is internal/aws/podidentity/webhook, the manifests are
// internal/aws/podidentity/manifests, and the command line is internal/cli's.
package command

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	tlsflags "k8s.io/component-base/cli/flag"

	"laterna.dev/laterna/internal/aws/podidentity"
	"laterna.dev/laterna/internal/aws/podidentity/manifests"
	"laterna.dev/laterna/internal/aws/podidentity/webhook"
	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/clock"
)

// Flags are those of the Amazon EKS Pod Identity Webhook, with its names and
// defaults but where the text of a flag says otherwise, and some more.
type Flags struct {
	settings podidentity.Settings
	clock    clock.Wall
	flags    *pflag.FlagSet

	port, metricsPort   int
	metricsAddress      string
	certFile, keyFile   string
	cipherSuites        []string
	minVersion          string
	kubeconfig, kubeAPI string
	inCluster, debug    bool
	watchConfigMap      bool
	composeRole         bool
	account             string
	identitiesFile      string
	grace, resync       time.Duration
	namespace, service  string
	secret              string
	verbosity           int
	print               bool
	image, url, caFile  string
	failurePolicy       string
	showVersion         bool
}

// New returns the flags with their defaults.
func New(clk clock.Wall) *Flags { return &Flags{settings: podidentity.Defaults(), clock: clk} }

// Bind defines the flags. section defines those that the help shows under a heading.
func (f *Flags) Bind(fs *pflag.FlagSet, section func(fs *pflag.FlagSet, heading string, define func(*pflag.FlagSet))) {
	f.flags = fs
	fs.SortFlags = false
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "`FILE` of the cluster's credentials (default: those of the pod that this runs in)")
	fs.StringVar(&f.kubeAPI, "kube-api", "", "`URL` of the cluster's API, in the place of the file's")
	fs.BoolVar(&f.debug, "enable-debugging-handlers", false, "serve /debug/alpha/cache and /debug/alpha/cache/clear with the metrics, and /debug/alpha/deny and /debug/alpha/500 with the reviews")
	fs.DurationVar(&f.grace, "service-account-lookup-grace-period", 0, "`DURATION` that a service account may take to appear")
	fs.DurationVar(&f.resync, "resync-period", time.Minute, "`DURATION` after which what was seen is gone through anew")
	fs.IntVarP(&f.verbosity, "v", "v", 0, "verbosity `LEVEL` of the log: 1 adds the libraries' information, 2 each pod")
	fs.BoolVar(&f.showVersion, "version", false, "print the version")
	fs.Bool("logtostderr", true, "what is always done, for manifests that say so")
	_ = fs.MarkHidden("logtostderr")
	section(fs, "What is served", f.bindServing)
	section(fs, "What is injected", f.bindInjection)
	section(fs, "Container credentials (EKS Pod Identity)", f.bindAgent)
	section(fs, "Manifests", f.bindManifests)
}

func (f *Flags) bindServing(fs *pflag.FlagSet) {
	fs.IntVar(&f.port, "port", 443, "`PORT` of the reviews, at all addresses")
	fs.StringVar(&f.certFile, "tls-cert", "/etc/webhook/certs/tls.crt", "`FILE` of the certificate, which may be replaced at any time")
	fs.StringVar(&f.keyFile, "tls-key", "/etc/webhook/certs/tls.key", "`FILE` of its key")
	fs.StringVar(&f.minVersion, "tls-min-version", "", "least `VERSION` of TLS: VersionTLS12 (default) or VersionTLS13")
	fs.StringSliceVar(&f.cipherSuites, "tls-cipher-suites", nil, "`SUITES` of TLS 1.2, separated by commas (default: Go's)")
	fs.IntVar(&f.metricsPort, "metrics-port", 9999, "`PORT` of /metrics and /healthz, without TLS")
	fs.StringVar(&f.metricsAddress, "metrics-address", "127.0.0.1", "`ADDRESS` of that port; 0.0.0.0 lets others read the metrics, as the original does")
	fs.BoolVar(&f.inCluster, "in-cluster", false, "in the original: have the cluster sign the certificate. No cluster does any more, so it is refused; use the files")
}

func (f *Flags) bindInjection(fs *pflag.FlagSet) {
	s := &f.settings
	fs.StringVar(&s.Prefix, "annotation-prefix", s.Prefix, "`PREFIX` of the annotations")
	fs.StringVar(&s.Audience, "token-audience", s.Audience, "`AUDIENCE` of tokens whose service account does not say")
	fs.StringVar(&s.MountPath, "token-mount-path", s.MountPath, "`PATH` that the token is mounted at")
	fs.Int64Var(&s.Expiration, "token-expiration", s.Expiration, "`SECONDS` that a token lives where neither pod nor service account says; at least 600")
	fs.StringVar(&s.Region, "aws-default-region", "", "`REGION` that AWS_REGION and AWS_DEFAULT_REGION become")
	fs.BoolVar(&s.RegionalSTS, "sts-regional-endpoint", false, "set AWS_STS_REGIONAL_ENDPOINTS=regional where the service account does not say otherwise")
	fs.BoolVar(&f.composeRole, "compose-role-arn", false, "complete roles that are given by their name, with the account of --aws-account and the partition of --aws-default-region; the original asks the instance metadata for both")
	fs.StringVar(&f.account, "aws-account", "", "`ACCOUNT` of these roles")
	fs.BoolVar(&f.watchConfigMap, "watch-config-map", false, "look at the ConfigMap "+podidentity.ConfigMapName+" in --namespace for roles of service accounts without an annotation")
}

func (f *Flags) bindAgent(fs *pflag.FlagSet) {
	c := &f.settings.ContainerCredentials
	fs.StringVar(&f.identitiesFile, "watch-container-credentials-config", "", "`FILE` that lists the service accounts whose pods have container credentials in the place of a role; it is read for each pod")
	fs.StringVar(&c.Audience, "container-credentials-audience", c.Audience, "`AUDIENCE` of their tokens")
	fs.StringVar(&c.MountPath, "container-credentials-token-mount-path", c.MountPath, "`PATH` that the token is mounted at")
	fs.StringVar(&c.VolumeName, "container-credentials-token-volume-name", c.VolumeName, "`NAME` of the volume")
	fs.StringVar(&c.TokenPath, "container-credentials-token-path", c.TokenPath, "`PATH` of the token in the volume")
	fs.StringVar(&c.FullURI, "container-credentials-full-uri", c.FullURI, "`URL` of the agent")
}

func (f *Flags) bindManifests(fs *pflag.FlagSet) {
	fs.BoolVar(&f.print, "print-manifests", false, "print the objects that run the webhook in a cluster, and end")
	fs.StringVar(&f.image, "image", "", "`IMAGE` that has the program as /laterna")
	fs.StringVar(&f.namespace, "namespace", "eks", "`NAMESPACE` of the webhook, and of the ConfigMap")
	fs.StringVar(&f.service, "service-name", "pod-identity-webhook", "`NAME` of the service that leads to it")
	fs.StringVar(&f.secret, "tls-secret", "pod-identity-webhook", "`NAME` of the Secret with its certificate, which is made besides unless --ca-file is given")
	fs.StringVar(&f.caFile, "ca-file", "", "`FILE` of the authority of a certificate that is there already")
	fs.StringVar(&f.url, "url", "", "`URL` of a webhook outside the cluster: only the configuration is printed")
	fs.StringVar(&f.failurePolicy, "failure-policy", "Ignore", "`POLICY` while the webhook does not answer: Ignore (pods come without a role, as in the original's manifests) or Fail (no pod comes)")
}

// Version tells whether the version is asked for and nothing else.
func (f *Flags) Version() bool { return f.showVersion }

// Verbosity is that of the log.
func (f *Flags) Verbosity() int { return f.verbosity }

// Run does what the flags say: it prints manifests to out, or serves until ctx ends.
func (f *Flags) Run(ctx context.Context, out io.Writer, log *slog.Logger) error {
	if f.print {
		return f.printManifests(out)
	}
	config, err := f.server()
	if err != nil {
		return err
	}
	config.Log = log
	server, err := webhook.New(config)
	if err != nil {
		return err
	}
	return server.Run(ctx, func(reviews, metrics net.Addr) {
		log.Info("webhook is served", "reviews", reviews.String(), "metrics", metrics.String())
	})
}

// Check checks the flags and makes settings of them.
func (f *Flags) Check() error {
	if f.inCluster {
		return errors.New("--in-cluster: no cluster signs the certificate any more (signer kubernetes.io/legacy-unknown); name one with --tls-cert and --tls-key, or see --print-manifests")
	}
	if f.print && f.url == "" && f.image == "" {
		return errors.New("--print-manifests needs the --image of the webhook's pods, which has the program as /laterna, or the --url of a webhook that runs elsewhere")
	}
	if f.print && f.url != "" && f.caFile == "" {
		return errors.New("--url needs --ca-file, the authority of the certificate there")
	}
	f.settings.Expiration = podidentity.Floor(f.settings.Expiration)
	if f.composeRole != (f.account != "") {
		return errors.New("--compose-role-arn and --aws-account go together")
	}
	if f.composeRole {
		base, err := podidentity.RoleBase(f.account, f.settings.Region)
		if err != nil {
			return fmt.Errorf("--aws-account: %w", err)
		}
		f.settings.RoleBase = base
	}
	return f.settings.Validate()
}

// server is what the flags say of the server, without its log.
func (f *Flags) server() (webhook.Config, error) {
	config := webhook.Config{
		Settings: f.settings, IdentitiesFile: f.identitiesFile, Grace: f.grace, Resync: f.resync,
		Address:        net.JoinHostPort("", strconv.Itoa(f.port)),
		MetricsAddress: net.JoinHostPort(f.metricsAddress, strconv.Itoa(f.metricsPort)),
		CertFile:       f.certFile, KeyFile: f.keyFile, Debug: f.debug, Clock: f.clock,
	}
	if f.watchConfigMap {
		config.ConfigMapNamespace = f.namespace
	}
	version, err := tlsflags.TLSVersion(f.minVersion)
	if err != nil {
		return config, fmt.Errorf("--tls-min-version: %w", err)
	}
	suites, err := tlsflags.TLSCipherSuites(f.cipherSuites)
	if err != nil {
		return config, fmt.Errorf("--tls-cipher-suites: %w", err)
	}
	config.TLS = &tls.Config{MinVersion: max(version, tls.VersionTLS12), CipherSuites: suites}
	rest, err := clientcmd.BuildConfigFromFlags(f.kubeAPI, f.kubeconfig)
	if err != nil {
		return config, fmt.Errorf("reaching the cluster: %w (outside of a pod, name a --kubeconfig)", err)
	}
	rest.QPS = -1 // the API server shares itself out
	rest.UserAgent = "laterna-webhook"
	if config.Client, err = kubernetes.NewForConfig(rest); err != nil {
		return config, fmt.Errorf("reaching the cluster: %w", err)
	}
	return config, nil
}

func (f *Flags) printManifests(out io.Writer) error {
	c := manifests.Config{
		Namespace: f.namespace, Service: f.service, Secret: f.secret, Image: f.image, URL: f.url,
		Args: f.handedOn(), ConfigMap: f.watchConfigMap, FailurePolicy: f.failurePolicy, Clock: f.clock,
	}
	if f.caFile != "" {
		var err error
		if c.CA, err = bounded.Input(f.caFile, bounded.Document); err != nil {
			return fmt.Errorf("reading --ca-file: %w", err)
		}
	}
	text, err := manifests.Write(c)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// handedOn are the flags that were given and count for the server in the cluster.
func (f *Flags) handedOn() (args []string) {
	here := []string{"print-manifests", "image", "namespace", "service-name", "tls-secret", "ca-file", "url", "failure-policy",
		"port", "tls-cert", "tls-key", "in-cluster", "kubeconfig", "kube-api", "version", "logtostderr"}
	f.flags.Visit(func(flag *pflag.Flag) {
		if !slices.Contains(here, flag.Name) {
			args = append(args, "--"+flag.Name+"="+value(flag))
		}
	})
	return args
}

// value is a flag's value as it is written on a command line.
func value(flag *pflag.Flag) string {
	if list, ok := flag.Value.(pflag.SliceValue); ok {
		return strings.Join(list.GetSlice(), ",")
	}
	return flag.Value.String()
}
