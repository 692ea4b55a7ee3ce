package services

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// leaveOut takes the services out that nft refuses by themselves, those that have changed
// first, and tells whether there are any: one service must not keep all others from being
// written.
func (r *Router) leaveOut(ctx context.Context) bool {
	if r.check(ctx, nil) != nil {
		return false // it is not for a service
	}
	changed := slices.SortedFunc(maps.Keys(r.unproven), Name.Compare)
	return r.leaveOutOf(ctx, changed) || r.leaveOutOf(ctx, slices.SortedFunc(maps.Keys(r.state.units), Name.Compare))
}

// leaveOutOf looks for them in halves, since most are taken.
func (r *Router) leaveOutOf(ctx context.Context, names []Name) bool {
	if len(names) == 0 {
		return false
	}
	err := r.check(ctx, names)
	if err == nil || ctx.Err() != nil {
		return false
	}
	if half := len(names) / 2; half > 0 {
		first := r.leaveOutOf(ctx, names[:half])
		return r.leaveOutOf(ctx, names[half:]) || first
	}
	name := names[0]
	r.cfg.Log.Warn("a service is not routed until it changes: nftables does not take what it asks for; see its addresses, ports and endpoints",
		"service", name, "error", err)
	r.refused[name] = r.state.units[name]
	delete(r.unproven, name)
	r.state.set(name, nil, r.cfg.Clock.Now(), newChange()) // all is written anew
	return true
}

// check has nft try these services alone, without a change.
func (r *Router) check(ctx context.Context, names []Name) error {
	tx, err := r.withoutServices()
	if err != nil {
		return err
	}
	r.state.alone(slices.Values(names)).write(tx)
	if err := r.nft.Check(ctx, tx); err != nil {
		return fmt.Errorf("service routing: %w", err)
	}
	return nil
}

// same tells whether two units are the same in the table.
func (u *Unit) same(v *Unit) bool {
	return u != nil && v != nil && slices.Equal(u.elements, v.elements) && slices.Equal(u.sets, v.sets) &&
		slices.EqualFunc(u.chains, v.chains, func(a, b chain) bool { return a.name == b.name && slices.Equal(a.rules, b.rules) })
}
