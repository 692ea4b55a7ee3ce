// Package resolvconf reads how this machine resolves names.
//
// It owns resolv.conf(5) and what of it is of use to others than the machine itself. What a
// pod is given is internal/node/runspec's, whom cluster DNS asks internal/app/agent's.
package resolvconf

import (
	"bufio"
	"bytes"
	"net/netip"
	"path/filepath"
	"strings"

	"laterna.dev/laterna/internal/bounded"
)

// Config is a resolver configuration.
type Config struct {
	// Servers are asked, the first one first.
	Servers []string
	// Searches are appended to names that are not whole.
	Searches []string
	// Options are the resolver's.
	Options []string
}

// Parse reads a configuration: the last search line counts, options add up.
func Parse(data []byte) Config {
	var out Config
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		line := lines.Text()
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			out.Servers = append(out.Servers, fields[1])
		case "search":
			out.Searches = fields[1:]
		case "options":
			out.Options = append(out.Options, fields[1:]...)
		}
	}
	return out
}

// OnlyLoopback reports whether no server of the configuration is reachable from a
// pod: a local stub resolver (systemd-resolved's 127.0.0.53) is not.
func (c Config) OnlyLoopback() bool {
	for _, s := range c.Servers {
		if addr, err := netip.ParseAddr(s); err != nil || !addr.IsLoopback() {
			return false
		}
	}
	return len(c.Servers) > 0
}

// Read returns the configuration of the machine whose files are below root: where only a
// local stub is named, that of systemd-resolved behind it. It is empty where there is none.
func Read(root string) Config {
	data, _ := bounded.File(filepath.Join(root, "etc/resolv.conf"), bounded.Small)
	own := Parse(data)
	if !own.OnlyLoopback() {
		return own
	}
	behind, err := bounded.File(filepath.Join(root, "run/systemd/resolve/resolv.conf"), bounded.Small)
	if err != nil {
		return own
	}
	return Parse(behind)
}

// dnsPort is where servers are asked.
const dnsPort = 53

// Upstreams are the servers that programs of this machine can ask for others, but those
// that are given: whoever asks for others must not ask itself. The resolver uses three.
func (c Config) Upstreams(but ...netip.Addr) []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range c.Servers {
		addr, err := netip.ParseAddr(s)
		if err != nil || len(out) == maxServers {
			continue
		}
		own := addr.IsUnspecified()
		for _, b := range but {
			own = own || b == addr
		}
		if !own {
			out = append(out, netip.AddrPortFrom(addr, dnsPort))
		}
	}
	return out
}

// maxServers is MAXNS of resolv.conf(5).
const maxServers = 3
