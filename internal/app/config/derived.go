package config

import "net/netip"

// Pods is the range of the pods' addresses. The configuration must be valid.
func (n Network) Pods() netip.Prefix { return netip.MustParsePrefix(n.ClusterCIDR) }

// Services is the range of the services' addresses. The configuration must be valid.
func (n Network) Services() netip.Prefix { return netip.MustParsePrefix(n.ServiceClusterIPRange) }
