// Package servicerange chooses the network that services' addresses come from, remembers it
// in the data directory, and tells the other systems of the machine that it has an owner.
//
// Programs of a machine, and pods in its network, ask for a service's address without saying
// of which system: no two of them may have the same. How addresses of the range are handed
// out is in internal/registry/core/service, how packets get there in internal/network/services.
package servicerange

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/replace"
	"laterna.dev/laterna/internal/host/rtnl"
	"laterna.dev/laterna/internal/network/services"
)

// Config says for whom a range is chosen. All fields but Asked are required.
type Config struct {
	Dir datadir.Dir
	// Asked is what the operator asks for.
	Asked netip.Prefix
	// Pods is the network of the pods, which has no address of the range.
	Pods netip.Prefix
	// Routed tells whether packets to the range are led on this machine. Only then does it
	// matter who else has it.
	Routed bool
}

// size is that of the ranges to choose from, and candidates how many there are, from the
// first on: 10.96.0.0/16, which kubeadm's range begins with, to 10.127.0.0/16.
const (
	size       = 16
	candidates = 32
)

// Default is the range that is taken where nothing speaks against it.
func Default() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 96}), size) }

// Choose returns the range that is asked for; else the one of the last time, whoever has it
// by now; else, at the first start, the first that is free. It remembers it. The data
// directory must be this process's.
func Choose(ctx context.Context, cfg Config) (netip.Prefix, error) {
	if !cfg.Routed {
		return cfg.remember(cfg.settled())
	}
	base := filepath.Dir(cfg.Dir.RunDir)
	lock, err := os.OpenFile(filepath.Join(base, "services.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("range of services: opening lock: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return netip.Prefix{}, fmt.Errorf("range of services: locking %s: %w", lock.Name(), err)
	}
	return cfg.remember(cfg.look(ctx))
}

// Look returns what Choose would, and changes nothing.
func Look(ctx context.Context, cfg Config) (netip.Prefix, error) {
	if !cfg.Routed {
		return cfg.settled()
	}
	return cfg.look(ctx)
}

// Shared returns the range of several servers that have one store, where it is not asked
// for: the same for all, whatever their machines have.
func Shared(pods netip.Prefix) (netip.Prefix, error) { return first([]netip.Prefix{pods}) }

// settled is a range that is the system's whoever else has it: what is asked for, or was
// before, or the first one.
func (c Config) settled() (netip.Prefix, error) {
	switch known, err := c.known(); {
	case err != nil || known.IsValid():
		return known, err
	}
	return first([]netip.Prefix{c.Pods})
}

// known is the range that is not to be chosen any more; invalid at a first start.
func (c Config) known() (netip.Prefix, error) {
	if c.Asked.IsValid() {
		return c.Asked.Masked(), nil
	}
	p, _, err := read(c.memory())
	if err == nil && !p.Overlaps(c.Pods) {
		return p, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	// Versions that remembered nothing had one range.
	if _, err := os.Stat(c.Dir.Kubeconfig()); err == nil {
		return first([]netip.Prefix{c.Pods})
	}
	return netip.Prefix{}, nil
}

func (c Config) look(ctx context.Context) (netip.Prefix, error) {
	if known, err := c.known(); err != nil || known.IsValid() {
		return known, err
	}
	taken := []netip.Prefix{c.Pods}
	routes, err := rtnl.Routes()
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("range of services: %w", err)
	}
	for _, r := range routes {
		if r.Dst.Bits() > 0 {
			taken = append(taken, r.Dst)
		}
	}
	reserved, silent, err := c.others()
	if err != nil {
		return netip.Prefix{}, err
	}
	taken = append(taken, reserved...)
	for {
		p, err := first(taken)
		if err != nil || !silent {
			return p, err
		}
		sharing, err := services.Sharing(ctx, c.Dir.HostName(), p)
		if err != nil || len(sharing) == 0 {
			return p, err
		}
		taken = append(taken, p)
	}
}

// first returns the first candidate that shares no address with those taken.
func first(taken []netip.Prefix) (netip.Prefix, error) {
	from := Default().Addr().As4()
	for i := range byte(candidates) {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{from[0], from[1] + i}), size)
		if !slices.ContainsFunc(taken, p.Overlaps) {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("range of services: none of %s and the %d after it is free: routes of this machine, other systems and the pods' network have them all (choose another with --service-cluster-ip-range)", Default(), candidates-1)
}

// memory is where the data directory keeps the range.
func (c Config) memory() string { return filepath.Join(c.Dir.Network(), "services") }

// reservation is what a system calls the file that tells others its range until reboot, and
// subnet what it calls the one of its pods' subnet, see internal/network/bridge.
const (
	reservation = "services"
	subnet      = "subnet"
)

// others are the ranges of other systems of this machine. silent tells that there are some,
// of a version without reservations, of which only their rules tell.
func (c Config) others() (taken []netip.Prefix, silent bool, err error) {
	dirs, err := filepath.Glob(filepath.Join(filepath.Dir(c.Dir.RunDir), "*"))
	if err != nil {
		return nil, false, fmt.Errorf("range of services: listing other systems: %w", err)
	}
	for _, dir := range dirs {
		if dir == c.Dir.RunDir {
			continue
		}
		p, owner, err := read(filepath.Join(dir, reservation))
		if err != nil {
			_, err := os.Stat(filepath.Join(dir, subnet))
			silent = silent || err == nil
			continue
		}
		// Whoever removed the data directory by hand has left the reservation.
		if _, err := os.Stat(owner); !errors.Is(err, fs.ErrNotExist) {
			taken = append(taken, p)
		}
	}
	return taken, silent, nil
}

// remember writes down a range that was chosen, and tells others of it.
func (c Config) remember(p netip.Prefix, err error) (netip.Prefix, error) {
	if err != nil {
		return p, err
	}
	files := []string{c.memory()}
	if c.Routed {
		files = append(files, filepath.Join(c.Dir.RunDir, reservation))
	}
	for _, file := range files {
		if old, owner, err := read(file); err == nil && old == p && owner == c.Dir.Path {
			continue // a start need not wait for the disk
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return p, fmt.Errorf("range of services: remembering it: %w", err)
		}
		if err := replace.File(file, []byte(p.String()+"\n"+c.Dir.Path+"\n"), 0o600); err != nil {
			return p, fmt.Errorf("range of services: remembering it: %w", err)
		}
	}
	return p, nil
}

// read reads a range and whose it is.
func read(file string) (p netip.Prefix, owner string, err error) {
	raw, err := bounded.File(file, bounded.Small)
	if err != nil {
		return p, "", fmt.Errorf("range of services: reading it: %w", err)
	}
	text, owner, _ := strings.Cut(string(raw), "\n")
	if p, err = netip.ParsePrefix(text); err != nil {
		return p, "", fmt.Errorf("range of services: reading %s: %w", file, err)
	}
	return p, strings.TrimSuffix(owner, "\n"), nil
}
