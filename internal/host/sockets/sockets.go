// Package sockets tells which processes of the machine listen at a port.
//
// It owns reading /proc/net and whose a socket is; which ports matter lives with the
// callers.
package sockets

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"laterna.dev/laterna/internal/bounded"
)

// Listener is a socket that waits for whoever comes.
type Listener struct {
	Addr  netip.Addr // unspecified for all addresses
	Port  uint16
	inode string
}

// Protocol names what is listened for.
type Protocol string

// The protocols whose listeners the kernel lists.
const (
	TCP Protocol = "tcp"
	UDP Protocol = "udp"
)

// waits is the state of a socket that waits: TCP_LISTEN, and TCP_CLOSE for a datagram socket
// that is connected to nobody.
var waits = map[Protocol]string{TCP: "0A", UDP: "07"}

// Listening returns the sockets of this thread's network namespace that take what comes to a port,
// of either family. Those of an IPv6 socket that takes IPv4 as well are among them.
func Listening(p Protocol, port uint16) ([]Listener, error) {
	var all []Listener
	for _, family := range []string{"", "6"} {
		raw, err := bounded.File("/proc/thread-self/net/"+string(p)+family, bounded.Table)
		if os.IsNotExist(err) { // a machine without the family
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for who listens: %w", err)
		}
		all = append(all, parse(raw, waits[p], port)...)
	}
	return all, nil
}

// parse reads a table of proc_pid_net(5).
func parse(raw []byte, state string, port uint16) (found []Listener) {
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		const local, st, inode = 1, 3, 9
		fields := strings.Fields(lines.Text())
		if len(fields) <= inode || fields[st] != state {
			continue
		}
		at, ok := address(fields[local])
		if ok && at.Port() == port {
			found = append(found, Listener{at.Addr(), at.Port(), fields[inode]})
		}
	}
	return found
}

// address reads one of the kernel's: words in the machine's order (little-endian on all
// that we run on), and the port.
func address(s string) (netip.AddrPort, bool) {
	words, number, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(words)
	port, portErr := strconv.ParseUint(number, 16, 16)
	if !ok || err != nil || portErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), ok
}

// Holder names the process that has the socket open, such as "nginx (process 4711)"; ""
// where that cannot be seen. It looks at every process of the machine.
func (l Listener) Holder() string {
	want := "socket:[" + l.inode + "]"
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // which fails for bad patterns only
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != want {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, err := bounded.File("/proc/"+pid+"/comm", bounded.Small)
		if err != nil {
			return "process " + pid
		}
		return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}
