package config

import (
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/api/resource"

	"laterna.dev/laterna/internal/host/reserve"
	"laterna.dev/laterna/internal/node/eviction"
	"laterna.dev/laterna/internal/registry/core/service"
)

// Pods is the range of the pods' addresses. The configuration must be valid.
func (n Network) Pods() netip.Prefix { return netip.MustParsePrefix(n.ClusterCIDR) }

// Services is the range of the services' addresses, invalid where it is to be chosen. The
// configuration must be valid.
func (n Network) Services() netip.Prefix {
	if n.ServiceClusterIPRange == "" {
		return netip.Prefix{}
	}
	return netip.MustParsePrefix(n.ServiceClusterIPRange)
}

// DNS is the address of the service where pods ask for names, not valid where the range has
// no room for it. The configuration must be valid.
func (n Network) DNS() netip.Addr {
	if addr := service.DNS(n.Services()); addr.Is4() {
		return addr
	}
	return netip.Addr{}
}

// Eviction says when pods are evicted. The configuration must be valid.
func (n Node) Eviction() eviction.Settings {
	thresholds, err := eviction.Parse(n.EvictionHard)
	if err != nil {
		panic(err)
	}
	return eviction.Settings{Thresholds: thresholds, Transition: n.EvictionTransition.Duration}
}

// ReservedDisk is how much of the disk is kept for the system itself, nil for the default.
// The configuration must be valid.
func (c *Config) ReservedDisk() *reserve.Amount {
	amount, err := diskReserve(c.DiskReserve)
	if err != nil {
		panic(err)
	}
	return amount
}

// diskReserve is how much a quantity keeps free, nil for the default.
func diskReserve(quantity string) (*reserve.Amount, error) {
	if quantity == "" {
		return nil, nil
	}
	q, err := resource.ParseQuantity(quantity)
	if err != nil {
		return nil, fmt.Errorf("%q is not an amount of bytes, such as 64Mi, or 0 for none", quantity)
	}
	switch n := q.Value(); {
	case n < 0 || n > mostReserve:
		return nil, fmt.Errorf("%s is not between 0 and 1Ti", quantity)
	case n == 0:
		return &reserve.Amount{}, nil
	default:
		return &reserve.Amount{Bytes: uint64(n), Files: reserveFiles}, nil
	}
}

const (
	mostReserve = 1 << 40
	// reserveFiles goes with an amount of bytes that somebody has chosen.
	reserveFiles = 64
)

func validReserve(quantity string) error {
	_, err := diskReserve(quantity)
	return err
}
