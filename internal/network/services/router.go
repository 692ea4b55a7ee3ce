package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"

	"sigs.k8s.io/knftables"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/rtnl"
	"laterna.dev/laterna/internal/network/nftables"
)

// Config says whose packets are routed. All fields are required.
type Config struct {
	// Table names the nftables table (datadir.Dir.HostName).
	Table string
	// Bridge is the link by which packets of pods come in.
	Bridge string
	// Subnet holds the addresses of pods.
	Subnet netip.Prefix
	// Range holds the addresses of services.
	Range netip.Prefix
	// Clock is wall time.
	Clock clock.Wall
	Log   *slog.Logger
}

// Router owns the table. Its methods may be called concurrently.
type Router struct {
	cfg Config

	mu    sync.Mutex
	nft   knftables.Interface // nil until the first use, since making it runs nft twice
	fixed []Fixed
	own   []uint16
	state state
	// stale are addresses of UDP that lead elsewhere since the last write that succeeded.
	stale []flow
	// unproven are services that have changed since the last write that succeeded, refused
	// those that nft does not take: they are left out until they change.
	unproven map[Name]struct{}
	refused  map[Name]*Unit
	// inherited is whether the table may be as a former run has left it.
	inherited bool
	// anew has the next write bring everything: it is not known what is there.
	anew bool

	stampMu sync.Mutex // of its own: Ours must not wait for nft
	// stamp is that of the last write that nft has begun, pending those not seen yet.
	stamp   uint32
	pending map[uint32]bool
}

// New checks that nft is there. It runs nothing.
func New(cfg Config) (*Router, error) {
	if err := nftables.Check(); err != nil {
		return nil, fmt.Errorf("service routing: %w", err)
	}
	return &Router{cfg: cfg, state: newState(), anew: true, inherited: true, stamp: rand.Uint32(), pending: map[uint32]bool{},
		unproven: map[Name]struct{}{}, refused: map[Name]*Unit{}}, nil
}

// Reserve keeps TCP ports that this system itself listens at from being led elsewhere. It
// is called before the others.
func (r *Router) Reserve(ports ...uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own = append(r.own, ports...)
	slices.Sort(r.own)
	r.own = slices.Compact(r.own)
}

// Compile makes of a service and its endpoints what Set takes.
func (r *Router) Compile(s Service, endpoints []Slice, n Node) *Unit {
	return r.cfg.Compile(s, endpoints, n)
}

// Begin writes all but what services bring, in one transaction: what a former run has left
// of them stays until Set is called for the first time.
func (r *Router) Begin(ctx context.Context, fixed []Fixed) error {
	for _, f := range fixed {
		if err := f.check(); err != nil {
			return fmt.Errorf("service routing: %w", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fixed = fixed
	if err := r.open(); err != nil {
		return err
	}
	tx := r.nft.NewTransaction()
	if err := r.base(tx); err != nil {
		return err
	}
	err := r.run(ctx, tx)
	if err == nil {
		return nil
	}
	// Another version has left something else, or somebody has changed it.
	r.cfg.Log.Debug("what a former run has left of services is removed", "error", err)
	return r.rewrite(ctx)
}

// Set makes the services those that are given, nil for one that is gone, with the others as
// they are, in one transaction. Connections that are open stay as they are, but for UDP
// "connections" with endpoints that are gone. The first Set has all services.
func (r *Router) Set(ctx context.Context, units map[Name]*Unit) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.open(); err != nil {
		return err
	}
	now, c := r.cfg.Clock.Now(), newChange()
	for _, name := range inOrder(units) {
		u := units[name]
		if refused, was := r.refused[name]; was && refused.same(u) {
			continue
		}
		delete(r.refused, name)
		r.unproven[name] = struct{}{}
		r.tellCut(name, r.state.units[name], u)
		before := r.state.flows(name)
		r.state.set(name, u, now, c)
		r.stale = append(r.stale, stale(before, r.state.flows(name))...)
	}
	if err := r.apply(ctx, c); err != nil {
		return err
	}
	clear(r.unproven)
	r.forget(r.stale)
	r.stale = nil
	return nil
}

// apply writes a change, or everything where that is not known to be enough.
func (r *Router) apply(ctx context.Context, c *change) error {
	if r.anew {
		return r.writeFirst(ctx)
	}
	if c.empty() {
		return nil
	}
	tx := r.nft.NewTransaction()
	c.write(tx)
	r.state.sweep(tx, r.cfg.Clock.Now())
	return r.orRewrite(ctx, r.run(ctx, tx))
}

// writeFirst writes everything where it is not known what is there.
func (r *Router) writeFirst(ctx context.Context) error {
	takeOver := r.inherited && r.state.sticky()
	r.inherited = false
	if takeOver {
		err := r.takeOver(ctx)
		if err == nil {
			r.anew = false
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		r.cfg.Log.Warn("clients of services with session affinity are forgotten: what a former run has left could not be taken over", "error", err)
	}
	return r.rewrite(ctx)
}

// Rewrite writes the whole table anew, whatever is there, in one transaction.
func (r *Router) Rewrite(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.open(); err != nil {
		return err
	}
	return r.rewrite(ctx)
}

// Sweep removes what a change has left that nothing leads to any more.
func (r *Router) Sweep(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.anew || len(r.state.stale) == 0 {
		return nil
	}
	tx := r.nft.NewTransaction()
	r.state.sweep(tx, r.cfg.Clock.Now())
	if tx.NumOperations() == 0 {
		return nil
	}
	return r.orRewrite(ctx, r.run(ctx, tx))
}

// orRewrite writes everything where a part could not be written: somebody may have removed
// what it belongs to.
func (r *Router) orRewrite(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	r.cfg.Log.Warn("a change of services could not be written alone: all are written anew", "error", err)
	return r.rewrite(ctx)
}

func (r *Router) open() (err error) {
	if r.nft != nil {
		return nil
	}
	if r.nft, err = knftables.New(nftables.IPv4, r.cfg.Table); err != nil {
		return fmt.Errorf("service routing: %w", err)
	}
	return nil
}

func (r *Router) base(tx *knftables.Transaction) error {
	refuse, err := r.hostMayRefuse()
	if err != nil {
		return fmt.Errorf("service routing: %w", err)
	}
	base{r.cfg, r.fixed, r.own, refuse, tx}.write()
	return nil
}

// rewrite writes everything but the services that nft does not take.
func (r *Router) rewrite(ctx context.Context) error {
	r.anew = true
	err := r.writeAll(ctx)
	for err != nil && ctx.Err() == nil && r.leaveOut(ctx) {
		err = r.writeAll(ctx)
	}
	if err != nil {
		return err
	}
	r.anew = false
	clear(r.state.stale)
	clear(r.unproven)
	return nil
}

func (r *Router) writeAll(ctx context.Context) error {
	tx, err := r.withoutServices()
	if err != nil {
		return err
	}
	r.state.all().write(tx)
	return r.run(ctx, tx)
}

// withoutServices begins a transaction that writes the table anew.
func (r *Router) withoutServices() (*knftables.Transaction, error) {
	tx := r.nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	return tx, r.base(tx)
}

// run runs a transaction with a stamp, by which it is known as ours.
func (r *Router) run(ctx context.Context, tx *knftables.Transaction) error {
	r.stampMu.Lock()
	r.stamp++
	stamp := r.stamp
	r.pending[stamp] = true
	r.stampMu.Unlock()
	tx.Flush(&knftables.Set{Name: Stamp})
	tx.Add(&knftables.Element{Set: Stamp, Key: []string{stampKey(stamp)}})
	if err := r.nft.Run(ctx, tx); err != nil {
		r.stampMu.Lock()
		delete(r.pending, stamp)
		r.stampMu.Unlock()
		return fmt.Errorf("service routing: %w", err)
	}
	return nil
}

// hostMayRefuse reports whether packets of the machine's own programs to the service
// range may be refused: not when a route says that a real network has such addresses.
func (r *Router) hostMayRefuse() (bool, error) {
	routes, err := rtnl.Routes()
	if err != nil {
		return false, err
	}
	for _, route := range routes {
		if route.Dst.Bits() > 0 && route.Dst.Overlaps(r.cfg.Range) {
			r.cfg.Log.Warn("the service range is in use by a network of this machine; choose another with --service-cluster-ip-range",
				"range", r.cfg.Range, "route", route.Dst)
			return false, nil
		}
	}
	return true, nil
}

// Ours tells whether a change of the table with that stamp is a write of this router. Each
// is told once: somebody who restores what the table was has an old one.
func (r *Router) Ours(stamp []byte) bool {
	n, ok := stampOf(stamp)
	if !ok {
		return false
	}
	r.stampMu.Lock()
	defer r.stampMu.Unlock()
	if !r.pending[n] {
		return false
	}
	for old := range r.pending {
		// Of what was lost on the way nothing will be told any more.
		if int32(old-n) <= 0 {
			delete(r.pending, old)
		}
	}
	return true
}

// Intact tells whether the last write is there, for when it is not known what has changed:
// whoever flushes or removes the table takes its stamp.
func (r *Router) Intact(ctx context.Context) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, err := nftables.HasElement(ctx, nftables.IPv4, r.cfg.Table, Stamp, stampKey(r.stamp))
	if errors.Is(err, nftables.ErrNoTable) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking after nftables table %s: %w", r.cfg.Table, err)
	}
	return found, nil
}
