package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/bounded"
	"laterna.dev/laterna/internal/datadir"
	"laterna.dev/laterna/internal/host/replace"
	"laterna.dev/laterna/internal/host/rtnl"
)

// nodeBits is the size of a node's subnet.
const nodeBits = 24

// foreign returns the networks that routes of others lead to; the default route and
// those over our own bridge are left out.
func foreign(routes []rtnl.Route, links []rtnl.Link, bridge string) []netip.Prefix {
	own := 0
	for _, l := range links {
		if l.Name == bridge {
			own = l.Index
		}
	}
	var taken []netip.Prefix
	for _, r := range routes {
		if r.Dst.Bits() > 0 && (own == 0 || r.Link != own) {
			taken = append(taken, r.Dst)
		}
	}
	return taken
}

// choose returns the subnet remembered if it is still in cluster and free, else the
// first free one.
func choose(cluster, remembered netip.Prefix, taken []netip.Prefix) (netip.Prefix, error) {
	free := func(p netip.Prefix) bool {
		for _, t := range taken {
			if p.Overlaps(t) {
				return false
			}
		}
		return true
	}
	bits := max(cluster.Bits(), nodeBits)
	if remembered.IsValid() && remembered.Bits() == bits && cluster.Contains(remembered.Addr()) && free(remembered) {
		return remembered, nil
	}
	base := cluster.Addr().As4()
	for i := range uint32(1) << (bits - cluster.Bits()) {
		var addr [4]byte
		binary.BigEndian.PutUint32(addr[:], binary.BigEndian.Uint32(base[:])+i<<(32-bits))
		if p := netip.PrefixFrom(netip.AddrFrom4(addr), bits); free(p) {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("no /%d of %s is free: routes of this machine or other systems use them all (choose another network with --cluster-cidr)", bits, cluster)
}

// reservation is where a system tells the others of this machine, until reboot, which
// subnet it has: no route says so before its first pod.
func reservation(dir datadir.Dir) string { return filepath.Join(dir.RunDir, "subnet") }

// reserve chooses a subnet while no other system of this machine does.
func reserve(dir datadir.Dir, cluster netip.Prefix, taken []netip.Prefix) (netip.Prefix, error) {
	base := filepath.Dir(dir.RunDir)
	lock, err := os.OpenFile(filepath.Join(base, "subnets.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("opening lock: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return netip.Prefix{}, fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	others, err := filepath.Glob(filepath.Join(base, "*", "subnet"))
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("listing reservations: %w", err)
	}
	for _, file := range others {
		if p, err := readSubnet(file); err == nil && file != reservation(dir) {
			taken = append(taken, p)
		}
	}
	memory := filepath.Join(dir.Network(), "subnet")
	remembered, err := readSubnet(memory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return netip.Prefix{}, err
	}
	subnet, err := choose(cluster, remembered, taken)
	if err != nil {
		return netip.Prefix{}, err
	}
	for _, file := range []string{memory, reservation(dir)} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return netip.Prefix{}, fmt.Errorf("remembering subnet: %w", err)
		}
		if old, err := readSubnet(file); err == nil && old == subnet {
			continue // a start need not wait for the disk
		}
		if err := replace.File(file, []byte(subnet.String()+"\n"), 0o600); err != nil {
			return netip.Prefix{}, fmt.Errorf("remembering subnet: %w", err)
		}
	}
	return subnet, nil
}

func readSubnet(file string) (netip.Prefix, error) {
	raw, err := bounded.File(file, bounded.Small)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("reading subnet: %w", err)
	}
	p, err := netip.ParsePrefix(strings.TrimSpace(string(raw)))
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("reading subnet in %s: %w", file, err)
	}
	return p, nil
}
