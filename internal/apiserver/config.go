package apiserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"laterna.dev/laterna/internal/admission/podidentity"
	"laterna.dev/laterna/internal/admission/podsecurity"
	"laterna.dev/laterna/internal/apiserver/auditlog"
	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/etcd"
	"laterna.dev/laterna/internal/registry"
	"laterna.dev/laterna/internal/tokens/keys"
)

// Config says what the server is made of. Every field is required unless it says
// otherwise.
type Config struct {
	// Kinds is what is served: registry.Kinds, unless a test adds to it.
	Kinds    registry.Table
	Store    StoreConfig
	Serving  ServingConfig
	Services ServicesConfig
	// Keys sign tokens. They are for this server alone, which runs them on its store.
	Keys     *keys.Ring
	Tokens   TokensConfig
	Kubelets KubeletsConfig
	// AWS is about STS and IAM.
	AWS AWSConfig
	// PodSecurity is what pods may be where their namespace does not say, and who is
	// exempt. Optional.
	PodSecurity podsecurity.Settings
	// PodIdentity is how pods are given IAM roles. Optional.
	PodIdentity podidentity.Settings
	// Audit is optional.
	Audit auditlog.Config
	// Version is what /version answers; see VersionInfo.
	Version Version
	// Clock governs the life of tokens and keys, Wall all else.
	Clock clock.API
	Wall  clock.Wall
	// Log gets what the server itself has to say.
	Log *slog.Logger
}

// StoreConfig says where objects are kept.
type StoreConfig struct {
	// Await returns how to reach the store and may wait until it runs. It is
	// etcd.Server.Await or etcd.Endpoints.Await.
	Await func(context.Context) (etcd.Endpoints, error)
	// EncryptionKeyFile holds the keys for Secrets and signing keys. It is made
	// when it does not exist.
	EncryptionKeyFile string
	// EncryptionProviderConfig is the value of --encryption-provider-config, and
	// EncryptionProviderReload that of --encryption-provider-config-automatic-reload.
	// Optional.
	EncryptionProviderConfig string
	EncryptionProviderReload bool
	// EncryptionSettle is how long a rotated key stays after all servers have ceased
	// to write with it; 0 means as long as a request may take. Optional.
	EncryptionSettle time.Duration
}

// ServingConfig says where and as whom the server listens.
type ServingConfig struct {
	// Listeners accept TCP connections; the server speaks TLS on them and closes
	// them. More can be added with Server.Serve.
	Listeners []net.Listener
	// Advertise is the address at which pods and other machines reach the server,
	// the endpoint of the kubernetes service. A loopback address cannot be an
	// endpoint: the service then has none.
	Advertise netip.AddrPort
	// GetCertificate returns the serving certificate, chosen by server name. It is
	// asked at every handshake, so a renewed certificate is used at once.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// IssuerCertificate returns a serving certificate for the host of an issuer
	// that is accepted, where GetCertificate's is not good for it. It is asked at
	// handshakes that name such a host.
	IssuerCertificate func(host string) (*tls.Certificate, error)
	// ClientCAs verifies client certificates.
	ClientCAs *x509.CertPool
	// MaxRequestBytes limits request bodies; 0 means 3 MiB, as in Kubernetes.
	MaxRequestBytes int64
	// SwaggerUI serves the page by which the API is explored with a browser.
	SwaggerUI bool
	// ReadyChecks must all return nil before /readyz does, besides the server's
	// own checks. Optional.
	ReadyChecks []ReadyCheck
}

// ReadyCheck is a part of the readiness of the system. Check is called at every
// request of /readyz and must be quick.
type ReadyCheck struct {
	Name  string
	Check func() error
}

// ServicesConfig is the network of services.
type ServicesConfig struct {
	// Range holds the cluster addresses of services; the kubernetes service takes
	// the first.
	Range netip.Prefix
}

// TokensConfig is about service account tokens. The zero value has the defaults of
// Kubernetes, but for ExtendExpiration and PublicDiscovery, which are on by default
// in the program.
type TokensConfig struct {
	// Issuers are the values of --service-account-issuer: the first signs, all
	// are accepted; empty means issuer.Default.
	Issuers []string
	// IssuerOverlap is how long tokens of a former issuer are accepted; 0 refuses them
	// at once.
	IssuerOverlap time.Duration
	// APIAudiences are the values of --api-audiences; empty means Issuers.
	APIAudiences []string
	// JWKSURI is the value of --service-account-jwks-uri.
	JWKSURI string
	// MaxExpiration limits the life of tokens; 0 means no limit.
	MaxExpiration time.Duration
	// ExtendExpiration is the value of --service-account-extend-token-expiration.
	ExtendExpiration bool
	// Legacy lets pods mount the Secrets with tokens that a controller makes.
	Legacy bool
	// PublicDiscovery opens the discovery document and the key set to everybody.
	PublicDiscovery bool
}

// KubeletsConfig says how the server reaches the agents of nodes.
type KubeletsConfig struct {
	// TLS holds the server's client certificate and the roots of the agents'
	// certificates.
	TLS *tls.Config
	// TokenAudiences are those for which nodes may ask for tokens of the service accounts
	// of their pods besides what volumes name: credential providers have use for them.
	TokenAudiences []string
}
