package plane

import (
	"context"
	"time"

	"laterna.dev/laterna/internal/host/netlink"
	"laterna.dev/laterna/internal/wait"
)

// settleLinks is how long after a change of links it is looked: whoever removes a bridge
// may make it again, and a pod's start is several changes.
const settleLinks = 300 * time.Millisecond

// repairLinks makes the bridge again when somebody has removed it or taken its address or
// its ports, until ctx ends: pods would be cut off, and know nothing of it.
func (p *Plane) repairLinks(ctx context.Context) {
	ticker := p.cfg.Clock.NewTicker(check)
	defer ticker.Stop()
	changes, err := netlink.LinkChanges(ctx)
	if err != nil {
		p.cfg.Log.Warn("a removed bridge of pods is made again only after a while", "error", err, "seconds", check.Seconds())
	}
	for {
		did, err := p.bridge.Repair(p.reader)
		if err != nil && ctx.Err() == nil {
			p.cfg.Log.Error("pods are cut off: their bridge is broken and cannot be repaired; `laterna down` and `laterna up` make it anew", "bridge", p.bridge.Bridge, "error", err)
		}
		if did != "" {
			if err := p.bridge.Translate(); err != nil {
				p.cfg.Log.Warn("answers of pods to one another may miss the translation of addresses", "error", err)
			}
			p.cfg.Log.Warn("somebody else has changed the bridge of the pods, which is repaired", "bridge", p.bridge.Bridge, "did", did)
		}
		select {
		case <-ticker.C():
		case <-changes:
			if !wait.Pause(ctx, p.cfg.Clock, settleLinks) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
