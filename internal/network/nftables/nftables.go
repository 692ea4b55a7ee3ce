// Package nftables looks at tables of nftables and removes them, with the nft program.
//
// It owns what is the same for every table of ours: how it is opened, listed, compared
// and removed, and how one is kept whose elements come and go. What the tables hold lives
// with their owners: network/services, network/ports and network/hostports. That something has changed is told by host/netlink.
package nftables

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"sigs.k8s.io/knftables"

	"laterna.dev/laterna/internal/bounded"
)

// The families of tables that are ours.
const (
	IPv4   = knftables.IPv4Family
	Bridge = knftables.BridgeFamily
	Inet   = knftables.InetFamily
)

// Families are all families that a system has a table of.
var Families = []knftables.Family{IPv4, Bridge, Inet}

// Denied tells whether an error says that this machine does not let tables be changed: there
// is no right to it (CAP_NET_ADMIN), or the kernel has no nf_tables.
func Denied(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "Operation not permitted") || strings.Contains(text, "cache initialization failed")
}

// maxListing bounds what nft may say of one table, in bytes.
const maxListing = 16 << 20

// ErrNoTable says that there is no such table.
var ErrNoTable = errors.New("no such table")

// hint is the command that brings nft.
const hint = "apt-get install --no-remove --no-install-recommends nftables"

// Check fails where nft is not there. It runs nothing.
func Check() error {
	if _, err := exec.LookPath("nft"); err != nil {
		return fmt.Errorf("nft is not on PATH (install with: %s)", hint)
	}
	return nil
}

// Listing returns the lines of a table in an order of their own: the kernel may list the
// elements of a map or set in another order each time. Each element is a line. Protocols
// are numbers: not every machine has names for them.
func Listing(ctx context.Context, family knftables.Family, table string) ([]string, error) {
	text, err := run(ctx, "--stateless", "--numeric-protocol", "list", "table", string(family), table)
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(text) {
		if _, elements, ok := strings.Cut(line, "elements = {"); ok {
			line = elements
		}
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

// Tables returns the names of all tables of a family.
func Tables(ctx context.Context, family knftables.Family) ([]string, error) {
	text, err := run(ctx, "list", "tables", string(family))
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "table "+string(family)+" "); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// Names are those of what a table has.
type Names struct{ Chains, Sets, Maps []string }

// NamesIn returns the names of what is in a table.
func NamesIn(ctx context.Context, family knftables.Family, table string) (n Names, err error) {
	text, err := run(ctx, "--terse", "list", "table", string(family), table)
	if err != nil {
		return n, err
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) != 3 || words[2] != "{" {
			continue
		}
		switch words[0] {
		case "chain":
			n.Chains = append(n.Chains, words[1])
		case "set":
			n.Sets = append(n.Sets, words[1])
		case "map":
			n.Maps = append(n.Maps, words[1])
		}
	}
	return n, nil
}

// HasElement tells whether a set of a table has an element that nft lists so. It is
// ErrNoTable that there is no such set.
func HasElement(ctx context.Context, family knftables.Family, table, set, element string) (bool, error) {
	text, err := run(ctx, "list", "set", string(family), table, set)
	if err != nil {
		return false, err
	}
	return slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\n,{}", r) }), element), nil
}

// run runs nft and returns what it prints.
func run(ctx context.Context, args ...string) (string, error) {
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
		return "", ErrNoTable
	}
	if err != nil {
		return "", fmt.Errorf("nft %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return string(text), nil
}

// Exists reports whether the table is there. Without nft there is none.
func Exists(ctx context.Context, family knftables.Family, table string) (bool, error) {
	_, err := Listing(ctx, family, table)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, ErrNoTable) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for nftables table %s %s: %w", family, table, err)
	}
	return true, nil
}

// Remove removes the table. It is no error when there is none.
func Remove(ctx context.Context, family knftables.Family, table string) error {
	return remove(ctx, table, family)
}

// RemoveAll removes the tables of that name of all families.
func RemoveAll(ctx context.Context, table string) error {
	if remove(ctx, table, Families...) == nil {
		return nil
	}
	// One that cannot be removed keeps no other.
	var errs []error
	for _, family := range Families {
		errs = append(errs, remove(ctx, table, family))
	}
	return errors.Join(errs...)
}

// remove runs nft once.
func remove(ctx context.Context, table string, families ...knftables.Family) error {
	var script strings.Builder
	for _, f := range families {
		// It is added first, so that deleting never fails.
		fmt.Fprintf(&script, "add table %[1]s %[2]s; delete table %[1]s %[2]s; ", f, table)
	}
	_, err := run(ctx, script.String())
	if err != nil && !errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("removing nftables table %s: %w", table, err)
	}
	return nil
}
