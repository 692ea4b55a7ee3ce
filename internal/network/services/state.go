package services

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"laterna.dev/laterna/internal/network/nftables"
)

// Sharing returns the tables of other systems on this machine whose service addresses
// overlap with the range: programs of the machine, and pods in its network, that ask for
// one of these reach the system whose table the kernel asks first. Without nft there are
// none.
func Sharing(ctx context.Context, own string, services netip.Prefix) ([]string, error) {
	tables, err := nftables.Tables(ctx, nftables.IPv4)
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for other systems: %w", err)
	}
	var sharing []string
	for _, name := range tables {
		if name == own || !strings.HasPrefix(name, tablePrefix) {
			continue
		}
		lines, err := nftables.Listing(ctx, nftables.IPv4, name)
		if errors.Is(err, nftables.ErrNoTable) {
			continue // it ended just now
		}
		if err != nil {
			return nil, fmt.Errorf("looking at another system: %w", err)
		}
		if slices.ContainsFunc(lines, func(l string) bool { return refuses(l, services) }) {
			sharing = append(sharing, name)
		}
	}
	return sharing, nil
}

// tablePrefix is how the names of all systems' tables begin, see datadir.Dir.HostName.
const tablePrefix = "laterna-"

// refuses tells whether a rule of the table is for addresses of the range.
func refuses(rule string, services netip.Prefix) bool {
	_, rest, ok := strings.Cut(rule, "ip daddr ")
	if !ok || !strings.Contains(rest, "goto refuse") {
		return false
	}
	to, _, _ := strings.Cut(rest, " ")
	prefix, err := netip.ParsePrefix(to)
	return err == nil && prefix.Overlaps(services)
}
