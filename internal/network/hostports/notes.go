package hostports

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/host/sockets"
	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/nftables"
)

// maxNotes bounds what is told of one sandbox, maxChecked how many of its ports are looked
// at: nobody's start is to take long because it asks for thousands.
const maxNotes, maxChecked = 8, 128

// Notes says in sentences what of the ports of a sandbox, which Follow has seen, is not as
// its pod may expect: where nothing leads to it, and who else is at a port.
func (r *Router) Notes(ctx context.Context, sandbox string) []string {
	r.mu.Lock()
	_, seen := r.seen[sandbox]
	own := r.own
	r.mu.Unlock()
	if !seen {
		return nil // as most have no ports
	}
	var mappings []bridge.PortMapping
	all, err := r.cfg.Published()
	if err != nil {
		return nil
	}
	for _, p := range all {
		if p.Sandbox == sandbox {
			mappings = p.Ports
		}
	}
	others, err := r.others(ctx)
	if err != nil {
		r.cfg.Log.Debug("ports of other systems of the machine are not known", "error", err)
	}
	var notes []string
	for i, m := range mappings {
		if len(notes) >= maxNotes || i == maxChecked {
			notes = append(notes, "Others of its host ports were not looked at")
			break
		}
		c, err := claimOf(m)
		if err != nil {
			notes = append(notes, fmt.Sprintf("Host port %d leads nowhere: %v", m.HostPort, err))
			continue
		}
		notes = append(notes, c.notes(own, others)...)
	}
	return notes
}

func (c claim) notes(own []claim, others map[string][]string) (notes []string) {
	kept := false
	for _, o := range own {
		if c.overlaps(o) {
			kept = true
			notes = append(notes, fmt.Sprintf("Host port %s does not lead to the pod where Laterna itself listens (%s)", c, o))
		}
	}
	if who := c.holder(); who != "" && !kept {
		notes = append(notes, fmt.Sprintf("Host port %s is in use by %s on the node: new connections to it go to the pod instead", c, who))
	}
	for table, lines := range others {
		if c.amongElements(lines) {
			notes = append(notes, fmt.Sprintf("Host port %s leads to a pod of another system on this machine as well (nftables table inet %s): only one of the two is reached", c, table))
		}
	}
	return notes
}

// holder names a process of the machine that listens where the claim is, "" for none.
func (c claim) holder() string {
	protocol := map[uint8]sockets.Protocol{unix.IPPROTO_TCP: sockets.TCP, unix.IPPROTO_UDP: sockets.UDP}[c.proto]
	if protocol == "" {
		return ""
	}
	found, err := sockets.Listening(protocol, c.port)
	if err != nil {
		return ""
	}
	for _, l := range found {
		if c.addr.IsValid() && l.Addr != c.addr && !l.Addr.IsUnspecified() || !c.addr.IsValid() && l.Addr.Is6() && !l.Addr.IsUnspecified() {
			continue // at another address, or at one that only IPv6 reaches
		}
		if who := l.Holder(); who != "" {
			return who
		}
		return "another process"
	}
	return ""
}

// others are the lines of the tables of other systems' host ports, by name.
func (r *Router) others(ctx context.Context) (map[string][]string, error) {
	tables, err := nftables.Tables(ctx, nftables.Inet)
	if err != nil {
		return nil, err
	}
	found := map[string][]string{}
	for _, name := range tables {
		if name == r.cfg.Table || !strings.HasPrefix(name, tablePrefix) {
			continue
		}
		lines, err := nftables.Listing(ctx, nftables.Inet, name)
		if errors.Is(err, nftables.ErrNoTable) {
			continue // it has just gone
		}
		if err != nil {
			return nil, err
		}
		found[name] = lines
	}
	return found, nil
}

// tablePrefix is how the names of all systems' tables begin, see datadir.Dir.HostName.
const tablePrefix = "laterna-"

// amongElements tells whether the lines of a table have an element that overlaps.
func (c claim) amongElements(lines []string) bool {
	for _, line := range lines {
		key, _, isMap := strings.Cut(line, " : ")
		if other, ok := claimOfKey(strings.Split(key, " . ")); isMap && ok && c.overlaps(other) {
			return true
		}
	}
	return false
}
