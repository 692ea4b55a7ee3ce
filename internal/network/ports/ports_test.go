package ports_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/nftables"
	"laterna.dev/laterna/internal/network/ports"
)

// network is what the bridge plugin builds: a bridge with an address, and namespaces
// connected to it. Addresses are of 198.18.0.0/15, the range for tests (RFC 2544).
type network struct {
	bridge string
	guard  *ports.Guard

	mu    sync.Mutex
	ports []bridge.Port
	route string
}

// pod is a namespace of the network.
type pod struct {
	ns string
	bridge.Port
	raw, ears int // sockets
	count     int
}

const (
	gateway = "198.18.60.1"
	table   = "laterna-portstest"
)

func start(t *testing.T) *network {
	t.Helper()
	n := &network{bridge: "lt-portstest"}
	t.Cleanup(func() {
		exec.Command("ip", "link", "del", n.bridge).Run()
		if err := nftables.RemoveAll(context.Background(), table); err != nil {
			t.Error(err)
		}
	})
	run(t, "ip", "link", "add", n.bridge, "type", "bridge")
	run(t, "ip", "addr", "add", gateway+"/24", "dev", n.bridge)
	run(t, "ip", "link", "set", n.bridge, "up")
	var err error
	n.guard, err = ports.New(ports.Config{Table: table, Bridge: n.bridge, Ports: func() ([]bridge.Port, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.ports, nil
	}, Route: func() string {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.route
	}})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// connect adds a pod; it is bound only with the next Follow.
func (n *network) connect(t *testing.T, name string, host int) *pod {
	t.Helper()
	p := &pod{ns: "lt-pt-" + name, Port: bridge.Port{Link: "vtpt" + name, Addr: netip.MustParseAddr(fmt.Sprintf("198.18.60.%d", host))}}
	t.Cleanup(func() {
		exec.Command("ip", "link", "del", p.Link).Run()
		exec.Command("ip", "netns", "del", p.ns).Run()
	})
	run(t, "ip", "netns", "add", p.ns)
	run(t, "ip", "link", "add", p.Link, "type", "veth", "peer", "name", "eth0", "netns", p.ns)
	run(t, "ip", "link", "set", p.Link, "master", n.bridge, "up")
	run(t, "ip", "-n", p.ns, "addr", "add", p.Addr.String()+"/24", "dev", "eth0")
	run(t, "ip", "-n", p.ns, "link", "set", "eth0", "up")
	p.MAC = strings.TrimSpace(run(t, "ip", "netns", "exec", p.ns, "cat", "/sys/class/net/eth0/address"))
	n.mu.Lock()
	n.ports = append(n.ports, p.Port)
	n.mu.Unlock()
	return p
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", program, args, err, out)
	}
	return string(out)
}

// reaches tells whether the pod gets an answer from there.
func (p *pod) reaches(t *testing.T, to string) bool {
	t.Helper()
	return p.reachesWithin(t, to, 64)
}

// reachesWithin tells whether an answer comes to a packet that lives for so many hops.
func (p *pod) reachesWithin(t *testing.T, to string, hops int) bool {
	t.Helper()
	listen := exec.Command("python3", "-c", "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind((sys.argv[1],7001))\nprint('up',flush=True)\nwhile 1:\n d,a=s.recvfrom(99); s.sendto(d,a)", to)
	if ns := nsOf(to); ns != "" {
		listen = exec.Command("ip", append([]string{"netns", "exec", ns}, listen.Args...)...)
	}
	out, err := listen.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := listen.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		listen.Process.Kill()
		listen.Wait()
	}()
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	ask := `import socket,sys
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(1.5)
s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(sys.argv[2]))
s.sendto(b"x",(sys.argv[1],7001)); s.recvfrom(9)`
	return exec.Command("ip", "netns", "exec", p.ns, "python3", "-c", ask, to, strconv.Itoa(hops)).Run() == nil
}

// nsOf is the namespace that has the address, by the order in which the tests connect.
func nsOf(addr string) string {
	return map[string]string{"198.18.60.2": "lt-pt-a", "198.18.60.3": "lt-pt-b"}[addr]
}

// socket is a raw socket of the pod's.
func (p *pod) socket(t *testing.T) int {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	there, err := os.Open("/run/netns/" + p.ns)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); err != nil {
			panic(err) // the thread must not go on elsewhere
		}
	}()
	eth0, err := net.InterfaceByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xffff // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: eth0.Index}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// sends puts a frame on the wire as it is.
func (p *pod) sends(t *testing.T, frame []byte) {
	t.Helper()
	if p.raw == 0 {
		p.raw = p.socket(t)
	}
	if _, err := unix.Write(p.raw, frame); err != nil {
		t.Fatal(err)
	}
}

// hears tells whether a frame of another pod comes through, before one that is sent in
// its own name.
func (p *pod) hears(t *testing.T, from *pod, f []byte) bool {
	t.Helper()
	if p.ears == 0 {
		p.ears = p.socket(t)
	}
	p.count++
	last := frame(mac(t, p.MAC), mac(t, from.MAC), 0x0800, packet(from.Addr.String(), p.Addr, p.count))
	from.sends(t, f)
	from.sends(t, last)
	heard, got := make([]byte, 2000), false
	for {
		n, err := unix.Read(p.ears, heard)
		if err != nil {
			t.Fatalf("a packet in the pod's own name does not arrive: %v", err)
		}
		got = got || bytes.Contains(heard[:n], arriving(f))
		if bytes.Contains(heard[:n], last) {
			return got
		}
	}
}

func mac(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// frame is of the Ethernet type with the hardware address of a sender.
func frame(to, from []byte, kind uint16, payload ...[]byte) []byte {
	f := append(append(bytes.Clone(to), from...), byte(kind>>8), byte(kind))
	return append(f, bytes.Join(payload, nil)...)
}

// reply is an ARP reply that says that an address is at a hardware address.
func reply(said []byte, at string, to []byte, toAddr netip.Addr) []byte {
	addr, dst := netip.MustParseAddr(at).As4(), toAddr.As4()
	return bytes.Join([][]byte{{0, 1, 8, 0, 6, 4, 0, 2}, said, addr[:], to, dst[:], make([]byte, 18)}, nil)
}

// packet is a numbered UDP packet to nobody in particular. It is as long as it says: what
// comes after is cut off where br_netfilter is loaded.
func packet(from string, to netip.Addr, number int) []byte {
	src, dst := netip.MustParseAddr(from).As4(), to.As4()
	p := bytes.Join([][]byte{{0x45, 0, 0, 48, 0, 0, 0, 0, 64, 17, 0, 0}, src[:], dst[:], {0x1b, 0x59, 0x1b, 0x59, 0, 28, 0, 0}, make([]byte, 18), {byte(number >> 8), byte(number)}}, nil)
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(p[i])<<8 | uint32(p[i+1])
	}
	sum = sum>>16 + sum&0xffff
	p[10], p[11] = byte(^sum>>8), byte(^sum)
	return p
}

// spoofed are frames by which the pod from takes the place of victim before peer.
func spoofed(t *testing.T, from, peer *pod, victim, victimMAC string) map[string][]byte {
	own, to, stolen := mac(t, from.MAC), mac(t, peer.MAC), mac(t, victimMAC)
	neighbour := append([]byte{0x60, 0, 0, 0, 0, 14, 59, 255}, bytes.Repeat([]byte{0xfe}, 46)...)
	return map[string][]byte{
		"an ARP reply":                              frame(to, own, 0x0806, reply(own, victim, to, peer.Addr)),
		"an ARP reply in its name":                  frame(to, stolen, 0x0806, reply(stolen, victim, to, peer.Addr)),
		"an ARP reply for a third hardware address": frame(to, own, 0x0806, reply(stolen, from.Addr.String(), to, peer.Addr)),
		"a packet with its address":                 frame(to, own, 0x0800, packet(victim, peer.Addr, 0)),
		"a packet with its hardware address":        frame(to, stolen, 0x0800, packet(from.Addr.String(), peer.Addr, 0)),
		"a packet with both":                        frame(to, stolen, 0x0800, packet(victim, peer.Addr, 0)),
		"a packet in a VLAN":                        frame(to, own, 0x8100, []byte{0, 0, 8, 0}, packet(victim, peer.Addr, 0)),
		"a packet in two VLANs":                     frame(to, own, 0x88a8, []byte{0, 0, 0x81, 0, 0, 0, 8, 0}, packet(victim, peer.Addr, 0)),
		"IPv6, which no pod is given":               frame(to, own, 0x86dd, neighbour),
		"a frame of another protocol":               frame(to, own, 0x88b5, make([]byte, 46)),
	}
}

func TestAPodCannotTakeTheAddressOfAnotherOrOfTheGateway(t *testing.T) {
	n := start(t)
	a, b, evil := n.connect(t, "a", 2), n.connect(t, "b", 3), n.connect(t, "evil", 4)
	gatewayMAC := strings.TrimSpace(run(t, "cat", "/sys/class/net/"+n.bridge+"/address"))
	reached := func() {
		t.Helper()
		for _, to := range []string{gateway, b.Addr.String()} {
			if !a.reaches(t, to) {
				t.Errorf("a pod does not reach %s", to)
			}
		}
	}
	reached()
	// Without the guard each of these arrives, so the test can fail.
	for what, f := range spoofed(t, evil, a, b.Addr.String(), b.MAC) {
		if !a.hears(t, evil, f) {
			t.Fatalf("%s does not arrive even where nothing guards", what)
		}
	}
	// What was believed until now is forgotten.
	run(t, "ip", "-n", a.ns, "neigh", "flush", "all")
	// Its number tells it from the spoofed ones, since it is read only later.
	b.sends(t, frame(mac(t, a.MAC), mac(t, b.MAC), 0x0800, packet(b.Addr.String(), a.Addr, 1<<16-1)))
	if err := n.guard.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	reached()
	for victim, of := range map[string]string{b.Addr.String(): b.MAC, gateway: gatewayMAC} {
		for what, f := range spoofed(t, evil, a, victim, of) {
			if a.hears(t, evil, f) {
				t.Errorf("for %s: %s arrives", victim, what)
			}
		}
	}
	// The machine does not believe it either, nor does the bridge learn from frames to
	// the addresses of its own protocols.
	evil.sends(t, frame(mac(t, gatewayMAC), mac(t, evil.MAC), 0x0806, reply(mac(t, evil.MAC), b.Addr.String(), mac(t, gatewayMAC), netip.MustParseAddr(gateway))))
	for protocol := range byte(16) {
		evil.sends(t, frame([]byte{1, 0x80, 0xc2, 0, 0, protocol}, mac(t, b.MAC), 0x88cc, make([]byte, 46)))
	}
	time.Sleep(50 * time.Millisecond)
	if near := run(t, "ip", "neigh", "show", "dev", n.bridge); strings.Contains(near, b.Addr.String()+" lladdr "+evil.MAC) {
		t.Errorf("the machine believes %s", near)
	}
	if learnt := run(t, "bridge", "fdb", "show", "br", n.bridge); strings.Contains(learnt, b.MAC+" dev "+evil.Link) {
		t.Errorf("the bridge has learnt that %s is at the port of another", b.MAC)
	}
	reached()
}

// arriving is how a listener sees a frame: tags are taken off before.
func arriving(f []byte) []byte {
	if kind := int(f[12])<<8 | int(f[13]); kind == 0x8100 || kind == 0x88a8 {
		return f[18:]
	}
	return f
}

func TestRulesFollowThePortsAndAreWrittenAgain(t *testing.T) {
	n := start(t)
	a := n.connect(t, "a", 2)
	listed := func(want ...string) {
		t.Helper()
		lines, err := nftables.Listing(t.Context(), nftables.Bridge, table)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			w, there := strings.CutPrefix(w, "no ")
			if strings.Contains(strings.Join(lines, "\n"), w) == there {
				t.Errorf("listed are %q; want %q: %v", lines, w, !there)
			}
		}
	}
	intact := func(want bool) {
		t.Helper()
		if got, err := n.guard.Intact(t.Context()); err != nil || got != want {
			t.Errorf("intact: %v, %v; want %v", got, err, want)
		}
	}
	follow := func() {
		t.Helper()
		if err := n.guard.Follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		intact(true)
	}
	intact(false) // there is none
	follow()
	listed(a.Addr.String())
	b := n.connect(t, "b", 3)
	follow()
	listed(a.MAC+" . "+a.Addr.String(), b.MAC+" . "+b.Addr.String())
	n.ports = n.ports[1:] // a has ended
	follow()
	listed("no "+a.Addr.String(), "no "+a.Link, b.Addr.String())
	n.ports = append(n.ports, bridge.Port{Link: a.Link}) // and something unknown is there
	follow()
	listed("no "+a.Addr.String(), a.Link)
	if a.reaches(t, gateway) {
		t.Error("an unknown port may send")
	}
	for what, args := range map[string][]string{
		"flush": {"flush", "table", "bridge", table}, "removal": {"delete", "table", "bridge", table},
		"an element less": {"delete", "element", "bridge", table, "links", `{ "` + b.Link + `" }`},
		"an element more": {"add", "element", "bridge", table, "addresses", `{ "` + b.Link + `" . ` + a.MAC + " . " + a.Addr.String() + " }"},
		"another's rule":  {"insert", "rule", "bridge", table, "own", "accept"},
	} {
		run(t, "nft", args...)
		if got, err := n.guard.Intact(t.Context()); err != nil || got {
			t.Errorf("after %s: intact %v, %v", what, got, err)
		}
		if err := n.guard.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		intact(true)
		listed(b.Addr.String())
	}
	run(t, "nft", "delete", "table", "bridge", table)
	c := n.connect(t, "evil", 4)
	if err := n.guard.Follow(t.Context()); err == nil {
		t.Error("a pod is taken for bound where the table is gone")
	}
	follow()
	listed(b.Addr.String(), c.Addr.String())
}

// TestPodsReachOneAnotherByWayOfTheMachineWhereTheyMust sends packets that live for one hop.
func TestPodsReachOneAnotherByWayOfTheMachineWhereTheyMust(t *testing.T) {
	n := start(t)
	a, b := n.connect(t, "a", 2), n.connect(t, "b", 3)
	mac := strings.TrimSpace(run(t, "cat", "/sys/class/net/"+n.bridge+"/address"))
	for _, route := range []string{"", mac, ""} {
		n.mu.Lock()
		n.route = route
		n.mu.Unlock()
		if err := n.guard.Follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if intact, err := n.guard.Intact(t.Context()); err != nil || !intact {
			t.Errorf("by way of %q: intact %v, %v", route, intact, err)
		}
		if !a.reaches(t, b.Addr.String()) {
			t.Errorf("by way of %q: not reached", route)
		}
		if direct := a.reachesWithin(t, b.Addr.String(), 1); direct != (route == "") {
			t.Errorf("by way of %q: reached in one hop %v", route, direct)
		}
	}
}
