package services

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/knftables"

	"laterna.dev/laterna/internal/network/nftables"
)

// The names of what base writes.
var (
	baseChains = [...]string{"pods", "host", "external", "prerouting", "output", "postrouting", "refuse", "unserved", "unserved-node", "forward", "input", "filter-output"}
	baseSets   = [...]string{Stamp, ownPorts, itself}
	baseMaps   = [...]string{serviceIPs, externalIPs, unservedIPs, nodePorts, unservedPorts, fixedPods, fixedHost}
)

// sticky tells whether clients of a service are to stay with their endpoints.
func (s *state) sticky() bool {
	for _, u := range s.units {
		if len(u.sets) > 0 {
			return true
		}
	}
	return false
}

// takeOver writes everything, as rewrite does, into the table that a former run has left:
// sets of clients stay, and with them clients with their endpoints. What is not ours goes.
func (r *Router) takeOver(ctx context.Context) error {
	left, err := nftables.NamesIn(ctx, nftables.IPv4, r.cfg.Table)
	if err != nil {
		return fmt.Errorf("service routing: %w", err)
	}
	tx := r.nft.NewTransaction()
	if err := r.base(tx); err != nil {
		return err
	}
	for _, m := range []string{serviceIPs, externalIPs, unservedIPs, nodePorts, unservedPorts} {
		tx.Flush(&knftables.Map{Name: m})
	}
	now := r.state.all()
	now.write(tx)
	r.dropOthers(tx, left, now)
	return r.run(ctx, tx)
}

// dropOthers removes what is neither in the base nor of a service.
func (r *Router) dropOthers(tx *knftables.Transaction, left nftables.Names, now *change) {
	chains := slices.DeleteFunc(left.Chains, func(name string) bool {
		return slices.Contains(baseChains[:], name) || slices.ContainsFunc(now.chains, func(c chain) bool { return c.name == name })
	})
	// They may lead to each other, and name sets and maps.
	for _, name := range chains {
		tx.Flush(&knftables.Chain{Name: name})
	}
	for _, name := range left.Maps {
		if !slices.Contains(baseMaps[:], name) {
			tx.Delete(&knftables.Map{Name: name})
		}
	}
	for _, name := range chains {
		tx.Delete(&knftables.Chain{Name: name})
	}
	for _, name := range left.Sets {
		if !slices.Contains(baseSets[:], name) && !slices.ContainsFunc(now.sets, func(a affinity) bool { return a.name == name }) {
			tx.Delete(&knftables.Set{Name: name})
		}
	}
}
