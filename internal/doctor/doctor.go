// Package doctor looks at a machine and says what keeps laterna from running well on
// it, with the command that mends it. It changes nothing.
//
// It owns the checks; printing them lives in internal/cli.
package doctor

import (
	"context"
	"net/netip"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/etcd/damaged"
)

// Check is what one look at the machine gave.
type Check struct {
	// Name is the subject, in a word or two.
	Name string
	OK   bool
	// Required says that pods cannot run unless it is OK; else something is merely
	// slower, or less safe or less complete.
	Required bool
	// Detail is what was found.
	Detail string
	// Fix is the command that mends it, empty when all is well or no command does.
	Fix string
}

// Config says which system the machine is looked at for.
type Config struct {
	// Dir is the data directory; it need not exist.
	Dir datadir.Dir
	// Listen is the address that the API server is to listen on.
	Listen string
	// PodNetwork and ServiceRange are the networks of pods and services.
	PodNetwork, ServiceRange netip.Prefix
	// Damaged asks the system for the objects of its store that cannot be read; it is
	// asked when the system runs.
	Damaged func(context.Context) ([]damaged.Object, error)
}

// Checks runs all checks, required ones first. It takes some 50 ms, mostly for programs
// that are asked about firewall rules.
func Checks(ctx context.Context, cfg Config) []Check {
	m := machine{root: "/"}
	return []Check{
		user(),
		runtimePrograms(),
		nftables(ctx),
		m.kernelFeature("overlayfs", "overlay", "layers of images are mounted with it"),
		m.kernelFeature("bridge", "bridge", "pods are connected by one"),
		openat2(),
		controlGroups(),
		port(ctx, cfg),
		networks(ctx, cfg),
		m.resolvers(),
		dataDirectory(cfg.Dir.Path),
		store(ctx, cfg),
		m.inotify(),
		m.swap(),
		forwarding(ctx, cfg.Dir.Bridge()),
	}
}

// OK reports whether every required check is.
func OK(checks []Check) bool {
	for _, c := range checks {
		if c.Required && !c.OK {
			return false
		}
	}
	return true
}
