package services

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"

	"laterna.dev/laterna/internal/bounded"
)

// maxListing bounds what nft may say of one table, in bytes.
const maxListing = 16 << 20

// errNoTable says that there is no such table.
var errNoTable = errors.New("no such table")

// listing returns the lines of a table in an order of their own: the kernel may list the
// elements of a map in another order each time.
func listing(ctx context.Context, table string) ([]string, error) {
	text, err := nft(ctx, "--stateless", "list", "table", "ip", table)
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(text) {
		// An element's line holds several, separated by commas.
		for part := range strings.SplitSeq(line, ",") {
			if part = strings.Trim(part, " \t\n}{"); part != "" {
				lines = append(lines, part)
			}
		}
	}
	slices.Sort(lines)
	return lines, nil
}

// nft runs nft and returns what it prints.
func nft(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nft", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C") // what it complains of is read
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	text, err := bounded.All(out, maxListing)
	if err != nil {
		cancel() // it may have more to say
	}
	err = errors.Join(err, cmd.Wait())
	if strings.Contains(complaint.String(), "No such file or directory") {
		return "", errNoTable
	}
	if err != nil {
		return "", fmt.Errorf("nft %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return string(text), nil
}

// Intact tells whether the table is as the last Sync has left it. Somebody else may have
// removed or flushed it, or taken out a rule.
func (r *Router) Intact(ctx context.Context) (bool, error) {
	r.mu.Lock()
	written := r.written
	r.mu.Unlock()
	now, err := listing(ctx, r.cfg.Table)
	if errors.Is(err, errNoTable) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking after nftables table %s: %w", r.cfg.Table, err)
	}
	return slices.Equal(now, written), nil
}

// Sharing returns the tables of other systems on this machine whose service addresses
// overlap with the range: programs of the machine, and pods in its network, that ask for
// one of these reach the system whose table the kernel asks first. Without nft there are
// none.
func Sharing(ctx context.Context, own string, services netip.Prefix) ([]string, error) {
	tables, err := nft(ctx, "list", "tables", "ip")
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for other systems: %w", err)
	}
	var sharing []string
	for line := range strings.Lines(tables) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "table ip ")
		if !ok || name == own || !strings.HasPrefix(name, tablePrefix) {
			continue
		}
		lines, err := listing(ctx, name)
		if errors.Is(err, errNoTable) {
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

// refuses tells whether a rule of addFilter is for addresses of the range.
func refuses(rule string, services netip.Prefix) bool {
	_, rest, ok := strings.Cut(rule, "ip daddr ")
	if !ok || !strings.Contains(rest, "goto refuse") {
		return false
	}
	to, _, _ := strings.Cut(rest, " ")
	prefix, err := netip.ParsePrefix(to)
	return err == nil && prefix.Overlaps(services)
}
