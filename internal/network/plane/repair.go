package plane

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/netlink"
	"laterna.dev/laterna/internal/network/nftables"
	"laterna.dev/laterna/internal/network/services"
	"laterna.dev/laterna/internal/wait"
)

const (
	// check is how often it is looked whether the rules are still there, whether or not
	// the kernel tells of changes.
	check = 30 * time.Second
	// settle is how long after a change it is looked: others change in several steps.
	settle = time.Second
)

// retries are the pauses before rules that could not be written are tried again.
var retries = wait.Backoff{First: time.Second, Most: time.Minute}

// persist writes rules, again until it succeeds or ctx ends.
func (p *Plane) persist(ctx context.Context, write func(context.Context) error) error {
	for failures := 1; ; failures++ {
		err := write(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		if denied := nftables.Denied(err); denied && failures == 1 {
			p.cfg.Log.Error("this machine does not let nftables be programmed, which takes CAP_NET_ADMIN and a kernel with nf_tables: no address of a service and no port of the machine leads to pods, and pods are not kept to their own addresses; everything else works", "error", err)
		} else if !denied {
			p.cfg.Log.Warn("writing the rules of the pod network failed, trying again; until then services are not reached", "error", err)
		}
		wait.Pause(ctx, p.cfg.Clock, retries.After(failures))
	}
}

// changes tell that rules or links of the machine have changed.
type changes struct {
	// tables is nil where it is not listened for rules.
	tables *netlink.Tables
	rules  <-chan struct{}
	links  <-chan struct{}
}

// watch listens for changes until ctx ends.
func (p *Plane) watch(ctx context.Context) (c changes) {
	var err, linkErr error
	if c.tables, err = netlink.TableChanges(ctx, p.cfg.Dir.HostName(), services.Stamp, p.router.Ours); err == nil {
		c.rules = c.tables.Changed()
	}
	c.links, linkErr = netlink.LinkChanges(ctx)
	if err := errors.Join(err, linkErr); err != nil {
		p.cfg.Log.Warn("removed rules of the pod network are written again only after a while", "error", err, "seconds", check.Seconds())
	}
	return c
}

// take returns what has changed; everything may have where that is not known.
func (c changes) take() netlink.Changes {
	if c.tables == nil {
		return netlink.Changes{Lost: true}
	}
	return c.tables.Take()
}

// repair writes the rules again when somebody has removed or changed them, as `nft flush
// ruleset`, `nft flush table` and restarts of firewalls do, and takes out those of ports
// that are gone, until ctx ends.
func (p *Plane) repair(ctx context.Context, changed changes) {
	ticker := p.cfg.Clock.NewTicker(check)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
		case <-changed.rules:
		case <-changed.links:
		case <-ctx.Done():
			return
		}
		if !wait.Pause(ctx, p.cfg.Clock, settle) {
			return
		}
		did := changed.take()
		if p.foreign(ctx, did) {
			p.cfg.Log.Warn("rules of services were removed or changed by somebody else, writing them again")
			if p.persist(ctx, p.router.Rewrite) != nil {
				return
			}
		}
		if p.intact(ctx, did) {
			continue
		}
		p.cfg.Log.Warn("rules of the pod network were removed or changed by somebody else, writing them again")
		if p.persist(ctx, p.ports) != nil {
			return
		}
	}
}

// foreign tells whether somebody else has changed the table of services. It is not listed for
// that, since it may be large: the kernel tells whose each change is.
func (p *Plane) foreign(ctx context.Context, did netlink.Changes) bool {
	if did.Families[unix.NFPROTO_IPV4] {
		return true
	}
	if !did.Lost {
		return false
	}
	there, err := p.router.Intact(ctx)
	return err == nil && !there
}

// intact tells whether the other tables are as they were written. What cannot be looked at
// counts as intact: it is looked at again.
func (p *Plane) intact(ctx context.Context, did netlink.Changes) bool {
	if did.Lost || did.Families[unix.NFPROTO_BRIDGE] {
		if bound, err := p.guard.Intact(ctx); err == nil && !bound {
			return false
		}
	}
	if did.Lost || did.Families[unix.NFPROTO_INET] {
		if leads, err := p.lead.Intact(ctx); err == nil && !leads {
			return false
		}
	}
	if err := errors.Join(p.bridge.Translate(), p.guard.Follow(ctx), p.lead.Follow(ctx)); err != nil && ctx.Err() == nil {
		p.cfg.Log.Warn("the rules of pods that are gone were not removed, trying again", "error", err)
	}
	return true
}
