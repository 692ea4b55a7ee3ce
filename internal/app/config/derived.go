package config

import (
	"net/netip"

	"laterna.dev/laterna/internal/tokens/issuer"
)

// Pods is the range of the pods' addresses. The configuration must be valid.
func (n Network) Pods() netip.Prefix { return netip.MustParsePrefix(n.ClusterCIDR) }

// Services is the range of the services' addresses. The configuration must be valid.
func (n Network) Services() netip.Prefix { return netip.MustParsePrefix(n.ServiceClusterIPRange) }

// FirstIssuer is the issuer of new tokens while operators ask for none.
func (t Tokens) FirstIssuer() string {
	if len(t.Issuers) > 0 {
		return t.Issuers[0]
	}
	return issuer.Default
}
