package config

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"laterna.dev/laterna/boundtoken"
	"laterna.dev/laterna/internal/admission/podidentity"
	"laterna.dev/laterna/internal/admission/podsecurity"
	"laterna.dev/laterna/internal/apiserver/auditlog"
	"laterna.dev/laterna/internal/encryption/atrest"
	"laterna.dev/laterna/internal/node/credentialprovider"
	"laterna.dev/laterna/internal/node/eviction"
	"laterna.dev/laterna/internal/node/imagepull"
	"laterna.dev/laterna/internal/tokens/issuer"
	"laterna.dev/laterna/internal/tokens/keys"
)

const (
	leastExpiration = time.Hour
	mostExpiration  = time.Duration(1<<32) * time.Second
)

// Validate returns everything that is wrong with the values themselves, each error
// with the flag that sets the value.
func (c *Config) Validate() error {
	var errs []error
	for _, check := range []struct {
		flag string
		err  error
	}{
		{"data-dir", validDataDir(c.DataDir)},
		{"disk-reserve", validReserve(c.DiskReserve)},
		{"listen", validListen(c.Serving.Listen)},
		{"service-account-issuer", issuer.Validate(c.Tokens.Issuers)},
		{"api-audiences", validAudiences(c.Tokens.APIAudiences)},
		{"service-account-max-token-expiration", validExpiration(c.Tokens.MaxExpiration.Duration)},
		{"service-account-issuer-overlap", validOverlap(c.Tokens.IssuerOverlap.Duration)},
		{"service-account-jwks-uri", validJWKSURI(c.Tokens.JWKSURI)},
		{"signing-algorithm", validAlgorithm(c.Tokens.SigningAlgorithm)},
		{"node-name", validName(c.Node.Name)},
		{"node-ip", validNodeIP(c.Node.IP)},
		{"cri-endpoint", validEndpoint(c.Node.CRIEndpoint)},
		{"pod-max-pids", validPids(c.Node.PodMaxPids)},
		{"eviction-hard", validEviction(c.Node.EvictionHard)},
		{"eviction-pressure-transition-period", validTransition(c.Node.EvictionTransition.Duration)},
		{"max-parallel-image-pulls", validParallelPulls(c.Node.Images.MaxParallelPulls)},
		{"image-gc-high-threshold", validThresholds(c.Node.Images)},
		{"image-pull-credentials-verification-policy", c.Node.Images.Verification().Validate()},
		{"image-credential-provider-config", validProviders(c.Node.Images)},
		{"cluster-cidr", validPrefix(c.Network.ClusterCIDR, 24)},
		{"service-cluster-ip-range", validRange(c.Network)},
		{"cluster-domain", ValidSubdomain(c.Network.ClusterDomain)},
		{"etcd-servers", validServers(c.Store.EtcdServers)},
		{"etcd-certfile", validPair(c.Store.EtcdCertFile, c.Store.EtcdKeyFile)},
		{"encryption-provider-config", atrest.ValidateFlags(context.Background(), c.Store.EncryptionProviderConfig, c.Store.EncryptionProviderReload)},
		{"legacy-service-account-token-clean-up-period", validCleanUp(c.Tokens.LegacyCleanUpPeriod.Duration)},
		{"pod-security-enforce", podsecurity.Settings{Enforce: c.PodSecurity.Enforce}.Validate()},
		{"pod-security-audit", podsecurity.Settings{Audit: c.PodSecurity.Audit}.Validate()},
		{"pod-security-warn", podsecurity.Settings{Warn: c.PodSecurity.Warn}.Validate()},
		{"pod-security-exempt-usernames", podsecurity.Settings{Usernames: c.PodSecurity.ExemptUsernames}.Validate()},
		{"pod-security-exempt-namespaces", podsecurity.Settings{Namespaces: c.PodSecurity.ExemptNamespaces}.Validate()},
		{"pod-security-exempt-runtime-classes", podsecurity.Settings{RuntimeClasses: c.PodSecurity.ExemptRuntimeClasses}.Validate()},
		{"aws-default-region", podidentity.Settings{Region: c.PodIdentity.DefaultRegion}.Validate()},
		{"aws-account", podidentity.Settings{Account: c.PodIdentity.Account}.Validate()},
		{"pod-identity-config-map", podidentity.Settings{ConfigMap: c.PodIdentity.ConfigMap}.Validate()},
		{"audit-policy-file", auditlog.Validate(c.Audit.Log(nil))},
	} {
		if check.err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", check.flag, check.err))
		}
	}
	return errors.Join(errs...)
}

func validDataDir(path string) error {
	if path == "" {
		return errors.New("no directory is given, and neither HOME nor XDG_DATA_HOME tells a default")
	}
	return nil
}

func validListen(s string) error {
	if _, err := netip.ParseAddrPort(s); err != nil {
		return fmt.Errorf("%q is not an address with a port, such as 127.0.0.1:6443 (this machine only) or 0.0.0.0:6443 (all addresses)", s)
	}
	return nil
}

func validEviction(hard string) error {
	_, err := eviction.Parse(hard)
	return err
}

func validTransition(d time.Duration) error {
	if d < 0 || d > 24*time.Hour {
		return fmt.Errorf("%s is not between 0s and 24h", d)
	}
	return nil
}

func validAudiences(all []string) error {
	for _, a := range all {
		if a == "" {
			return errors.New("an audience is empty")
		}
	}
	return nil
}

func validExpiration(d time.Duration) error {
	if d != 0 && (d < leastExpiration || d > mostExpiration) {
		return fmt.Errorf("%s is not between 1h and 2^32 seconds", d)
	}
	return nil
}

func validJWKSURI(s string) error {
	if s == "" {
		return nil
	}
	return issuer.ValidateJWKSURI(s)
}

func validAlgorithm(s string) error {
	if _, ok := keys.TypeFor(boundtoken.Algorithm(s)); !ok {
		return fmt.Errorf("%q is not one of RS256, ES256, ES384 and ES512", s)
	}
	return nil
}

func validPids(n int64) error {
	if n != -1 && (n < leastPids || n > mostPids) {
		return fmt.Errorf("%d is not between %d and %d; -1: no limit", n, leastPids, mostPids)
	}
	return nil
}

// leastPids are enough for the sandbox and a runtime's helpers beside a program; more
// than mostPids the kernel does not number.
const leastPids, mostPids = 16, 1 << 22

func validParallelPulls(n int) error {
	if n < 1 || n > 100 {
		return fmt.Errorf("%d is not between 1 and 100", n)
	}
	return nil
}

func validThresholds(c Images) error {
	if c.GCLowThreshold < 1 || c.GCHighThreshold > 100 || c.GCLowThreshold > c.GCHighThreshold {
		return fmt.Errorf("%d percent, with --image-gc-low-threshold %d: must be at most 100, and not below the low one, which is at least 1", c.GCHighThreshold, c.GCLowThreshold)
	}
	return nil
}

// Verification is when credentials are asked for, in the terms of the node.
func (c Images) Verification() imagepull.Verification {
	return imagepull.Verification{Policy: c.CredentialsVerification, Allow: c.VerificationAllowlist}
}

// Providers are the programs that have logins of registries, in the terms of the node.
func (c Images) Providers() (credentialprovider.Settings, error) {
	return credentialprovider.Load(c.CredentialProviderConfig, c.CredentialProviderBinDir)
}

func validProviders(c Images) error {
	_, err := c.Providers()
	return err
}

func validName(s string) error {
	if s == "" {
		return nil
	}
	return ValidSubdomain(s)
}

// ValidSubdomain tells whether s can be part of the names of objects and hosts.
func ValidSubdomain(s string) error {
	if why := validation.IsDNS1123Subdomain(s); len(why) > 0 {
		return fmt.Errorf("%q: %s", s, strings.Join(why, "; "))
	}
	return nil
}

func validNodeIP(s string) error {
	if s == "" {
		return nil
	}
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not an IP address", s)
	case addr.IsUnspecified() || addr.IsMulticast():
		return fmt.Errorf("%s is not an address of one machine: give one that others reach this machine at", s)
	}
	return nil
}

func validEndpoint(s string) error {
	if s != "" && !strings.HasPrefix(s, "unix:///") {
		return fmt.Errorf("%q is not a unix socket, such as unix:///run/containerd/containerd.sock", s)
	}
	return nil
}

// validPrefix tells whether s is an IPv4 network of at most bits bits.
func validPrefix(s string, bits int) error {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a network, such as 10.20.0.0/16", s)
	case !p.Addr().Is4():
		return fmt.Errorf("%s is not an IPv4 network; other families are not served yet", s)
	case p != p.Masked():
		return fmt.Errorf("%s has bits outside its mask; did you mean %s?", s, p.Masked())
	case p.Bits() > bits:
		return fmt.Errorf("%s is too small: at least a /%d is needed", s, bits)
	}
	return nil
}

// validRange checks the network of services, which may be left open.
func validRange(n Network) error {
	s := n.ServiceClusterIPRange
	if s == "" {
		return nil
	}
	if strings.Contains(s, ",") {
		return fmt.Errorf("%s names several networks: pods have addresses of IPv4 alone, and so have services", s)
	}
	if err := validPrefix(s, 29); err != nil {
		return err
	}
	pods, err := netip.ParsePrefix(n.ClusterCIDR)
	if services := n.Services(); err == nil && services.Overlaps(pods) {
		return fmt.Errorf("%s shares addresses with the pods' network %s", services, pods)
	}
	return nil
}

func validServers(all []string) error {
	for _, s := range all {
		u, err := url.Parse(s)
		if err != nil || u.Host+u.Path == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "unix" {
			return fmt.Errorf("%q is not a URL, such as https://10.0.0.1:2379", s)
		}
	}
	return nil
}

func validPair(cert, key string) error {
	if (cert == "") != (key == "") {
		return errors.New("certificate and key (--etcd-keyfile) must be given together")
	}
	return nil
}

// validOverlap checks how long former issuers are trusted.
func validOverlap(d time.Duration) error {
	if d < 0 || d%time.Second != 0 {
		return fmt.Errorf("%s is not a whole number of seconds from 0s on", d)
	}
	return nil
}

// validCleanUp checks how long a token in a Secret may be unused. Uses are noted by the
// day.
func validCleanUp(d time.Duration) error {
	if d < 24*time.Hour {
		return fmt.Errorf("%s is less than 24h: uses are noted by the day", d)
	}
	return nil
}
