package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/rtnl"
)

// Port is a link that is connected to the bridge.
type Port struct {
	// Link is its name on this machine.
	Link string
	// MAC and Addr are those of the pod behind it; Addr is not valid where it is not
	// known what is behind the link, or not yet.
	MAC  string
	Addr netip.Addr
}

// PortReader knows the ports of one bridge and what was connected to them. It may be
// used concurrently.
type PortReader struct{ results *results }

// NewPortReader returns the reader of a data directory's bridge.
func NewPortReader(dir datadir.Dir) *PortReader {
	return &PortReader{&results{bridge: dir.Bridge()}}
}

// Ports returns the ports that there are now, by name. Of one whose result is not there
// yet, or cannot be read, only the name is known; Check tells why.
func (r *PortReader) Ports() ([]Port, error) {
	links, err := rtnl.Links()
	if err != nil {
		return nil, err
	}
	behind := map[string]Port{}
	for file, one := range r.results.all() {
		if p, err := r.port(file, one); err == nil {
			behind[p.Link] = p
		}
	}
	var all []Port
	for _, name := range ports(links, r.results.bridge) {
		p := behind[name]
		p.Link = name
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Port) int { return strings.Compare(a.Link, b.Link) })
	return all, nil
}

// Published is a sandbox that ports of the machine are to lead to.
type Published struct {
	Sandbox string
	// Addr is that of the sandbox on the bridge.
	Addr  netip.Addr
	Ports []PortMapping
}

// Published returns the sandboxes that ports of the machine are to lead to now, by name:
// those whose link is there. What is remembered of others is of before a restart of the
// machine, or is about to go.
func (r *PortReader) Published() ([]Published, error) {
	all, links := map[string]Published{}, map[string]bool{}
	for file, one := range r.results.all() {
		if len(one.Ports) == 0 {
			continue
		}
		if p, err := r.port(file, one); err == nil {
			all[p.Link] = Published{one.Sandbox, p.Addr, one.Ports}
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	there, err := rtnl.Links()
	if err != nil {
		return nil, err
	}
	for _, l := range there {
		links[l.Name] = true
	}
	maps.DeleteFunc(all, func(link string, _ Published) bool { return !links[link] })
	return slices.SortedFunc(maps.Values(all), func(a, b Published) int { return strings.Compare(a.Sandbox, b.Sandbox) }), nil
}

// Check fails where a sandbox was connected to the bridge and it cannot be told to which
// port. One that was not connected, as those in the machine's network, passes.
func (r *PortReader) Check(sandbox string) error {
	for _, file := range resultFiles(r.results.bridge + "-" + sandbox) {
		one, err := readResult(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			_, err = r.port(file, one)
		}
		if err != nil {
			return fmt.Errorf("reading which port a pod has: %w", err)
		}
	}
	return nil
}

// port reads in what the bridge plugin answered for one pod the links of the machine that
// it made, the pod's link, and the address of the latter.
func (r *PortReader) port(file string, remembered connection) (Port, error) {
	var p Port
	for _, i := range remembered.Interfaces {
		if i.Sandbox == "" && i.Name != r.results.bridge {
			p.Link = i.Name
		}
	}
	for _, ip := range remembered.IPs {
		if ip.Interface < 0 || ip.Interface >= len(remembered.Interfaces) {
			continue
		}
		inside := remembered.Interfaces[ip.Interface]
		mac, err := net.ParseMAC(inside.MAC)
		prefix, ipErr := netip.ParsePrefix(ip.Address)
		if inside.Sandbox != "" && err == nil && len(mac) == 6 && ipErr == nil && prefix.Addr().Is4() {
			p.MAC, p.Addr = mac.String(), prefix.Addr()
		}
	}
	if p.Link == "" || !p.Addr.IsValid() {
		return Port{}, fmt.Errorf("%s names no link of this machine with an address behind it", file)
	}
	return p, nil
}
