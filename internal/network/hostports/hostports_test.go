package hostports_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/network/bridge"
	"laterna.dev/laterna/internal/network/hostports"
	"laterna.dev/laterna/internal/network/nftables"
)

// The test builds what the bridge plugin builds: a bridge with two pods behind it, and a
// machine next door behind a link of its own. Addresses are of 198.18.0.0/15, the range for
// tests (RFC 2544).
const (
	link    = "lt-hptest"
	table   = "laterna-hptest"
	gateway = "198.18.70.1"
	web     = "198.18.70.2"
	peer    = "198.18.70.3"
	machine = "198.18.71.1" // the machine's address on the link to next door
	nearby  = "198.18.71.2"
)

type network struct {
	*hostports.Router
	published []bridge.Published
	log       bytes.Buffer
	mark      string
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", program, args, err, out)
	}
}

// own says that the process has a network of its own.
const own = "LATERNA_TEST_OWN_NETWORK"

// TestMain begins again in a network namespace of the test's own, so that systems on the
// machine neither see its rules nor have the same names.
func TestMain(m *testing.M) {
	if os.Getenv(own) == "" {
		os.Setenv(own, "yes")
		err := syscall.Exec(must(exec.LookPath("unshare")), append([]string{"unshare", "--net", must(os.Executable())}, os.Args[1:]...), os.Environ())
		panic(fmt.Sprintf("beginning again in a network namespace (the tests need root): %v", err))
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, out))
	}
	os.Exit(m.Run())
}

func must(s string, err error) string {
	if err != nil {
		panic(err)
	}
	return s
}

// everyWay runs a test with bridged packets that pass the rules of IP, as a kubelet asks for,
// and with those that do not.
func everyWay(t *testing.T, test func(t *testing.T)) {
	const file = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	for _, on := range []string{"0", "1"} {
		if err := os.WriteFile(file, []byte(on), 0); errors.Is(err, fs.ErrNotExist) {
			t.Run("without br_netfilter", test)
			return
		} else if err != nil {
			t.Fatal(err)
		}
		t.Run("bridge-nf-call-iptables="+on, test)
	}
}

// nsPrefix is how the names of namespaces begin, which are the machine's.
var nsPrefix = fmt.Sprintf("lt-hp%d-", os.Getpid())

// connect makes a network namespace that is connected to the machine.
func connect(t *testing.T, name, addr, via string, port ...string) {
	t.Helper()
	ns, veth := nsPrefix+name, "vthp"+name
	t.Cleanup(func() {
		exec.Command("ip", "link", "del", veth).Run()
		exec.Command("ip", "netns", "del", ns).Run()
	})
	run(t, "ip", "netns", "add", ns)
	run(t, "ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", ns)
	run(t, "ip", append(append([]string{"link", "set", veth}, port...), "up")...)
	if len(port) > 0 {
		run(t, "ip", "link", "set", veth, "type", "bridge_slave", "hairpin", "on")
	}
	run(t, "ip", "-n", ns, "addr", "add", addr+"/24", "dev", "eth0")
	run(t, "ip", "-n", ns, "link", "set", "eth0", "up")
	run(t, "ip", "-n", ns, "link", "set", "lo", "up")
	if len(port) == 0 {
		run(t, "ip", "addr", "add", via+"/24", "dev", veth)
	}
	run(t, "ip", "-n", ns, "route", "add", "default", "via", via)
}

func start(t *testing.T) *network {
	t.Helper()
	n := &network{}
	t.Cleanup(func() {
		exec.Command("ip", "link", "del", link).Run()
		if err := nftables.RemoveAll(context.Background(), table); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil { // the bridge plugin does
		t.Fatal(err)
	}
	run(t, "ip", "link", "add", link, "type", "bridge")
	run(t, "ip", "addr", "add", gateway+"/24", "dev", link)
	run(t, "ip", "link", "set", link, "up")
	connect(t, "web", web, gateway, "master", link)
	connect(t, "peer", peer, gateway, "master", link)
	connect(t, "next", nearby, machine)
	n.mark = filepath.Join(t.TempDir(), "mark")
	n.begin()
	return n
}

// begin makes a router that knows nothing yet, as after a start.
func (n *network) begin() {
	n.Router = hostports.New(hostports.Config{
		Table: table, Bridge: link, Subnet: netip.MustParsePrefix("198.18.70.0/24"), Services: netip.MustParsePrefix("198.19.0.0/16"),
		Published: func() ([]bridge.Published, error) { return n.published, nil }, Mark: n.mark,
		Log: slog.New(slog.NewTextHandler(&n.log, nil)),
	})
}

// in is a command that runs in a namespace; "" is the machine itself.
func in(ns string, args ...string) *exec.Cmd {
	if ns != "" {
		args = append([]string{"ip", "netns", "exec", nsPrefix + ns}, args...)
	}
	return exec.Command(args[0], args[1:]...)
}

// answerer says by whom it was asked, at TCP and UDP ports.
const answerer = `import socket, sys, threading
def tcp(p):
  s = socket.create_server(("", p))
  while True:
    c, a = s.accept(); c.sendall(("tcp %d from %s" % (p, a[0])).encode()); c.close()
def udp(p):
  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", p))
  while True:
    _, a = s.recvfrom(99); s.sendto(("udp %d from %s" % (p, a[0])).encode(), a)
def sctp():
  s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
  seen = open(sys.argv[1], "ab", 0)
  while True: seen.write(b"sctp %d\n" % int.from_bytes(s.recvfrom(999)[0][22:24], "big"))
for p in (80, 81): threading.Thread(target=tcp, args=(p,)).start(); threading.Thread(target=udp, args=(p,)).start()
threading.Thread(target=sctp).start()
print("listening", flush=True)`

// ask asks from somewhere and returns the answer, or why there is none.
func ask(from, kind, to string, bind ...string) string {
	answer := make(chan string)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		got, err := askHere(from, kind, to, bind...)
		if err != nil {
			got = "no answer: " + err.Error()
		}
		answer <- got
	}()
	return <-answer
}

func askHere(from, kind, to string, bind ...string) (string, error) {
	const patience = 2 * time.Second
	if from != "" {
		ns, err := os.Open("/run/netns/" + nsPrefix + from)
		if err != nil {
			return "", err
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return "", err
		}
	}
	d := net.Dialer{Timeout: patience}
	for _, addr := range bind {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(addr)}
	}
	c, err := d.Dial(kind+"4", to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if kind == "udp" {
		if _, err := c.Write([]byte("x")); err != nil {
			return "", err
		}
	}
	said := make([]byte, 99)
	n, err := c.Read(said)
	return string(said[:n]), err
}

// serve answers in the pod, and returns the file with the SCTP ports that it was asked at.
func serve(t *testing.T) (seen string) {
	t.Helper()
	seen = filepath.Join(t.TempDir(), "sctp")
	cmd := in("web", "python3", "-c", answerer, seen)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := out.Read(make([]byte, 99)); err != nil {
		t.Fatal(err)
	}
	return seen
}

func (n *network) publish(t *testing.T, mappings ...bridge.PortMapping) {
	t.Helper()
	n.published = nil
	if len(mappings) > 0 {
		n.published = []bridge.Published{{Sandbox: "web", Addr: netip.MustParseAddr(web), Ports: mappings}}
	}
	if err := n.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func mapping(protocol, hostIP string, hostPort, containerPort int32) bridge.PortMapping {
	return bridge.PortMapping{HostPort: hostPort, ContainerPort: containerPort, Protocol: protocol, HostIP: hostIP}
}

func TestPortsLeadToPodsFromEverywhere(t *testing.T) { everyWay(t, leadFromEverywhere) }

func leadFromEverywhere(t *testing.T) {
	n := start(t)
	seen := serve(t)
	n.publish(t, mapping("tcp", "", 17080, 80), mapping("UDP", "0.0.0.0", 17080, 80), mapping("sctp", "", 17080, 80),
		mapping("tcp", "127.0.0.1", 17081, 81), mapping("tcp", machine, 17082, 81), mapping("udp", machine, 17082, 81))
	var asked sync.WaitGroup
	for _, tt := range []struct{ from, kind, to, bind, want string }{
		{"", "tcp", "127.0.0.1:17080", "", "tcp 80 from " + gateway},
		{"", "udp", "127.0.0.1:17080", "", "udp 80 from " + gateway},
		{"", "tcp", "127.0.0.2:17080", "", "tcp 80 from " + gateway},
		{"", "tcp", machine + ":17080", "", "tcp 80 from " + machine},
		{"", "tcp", "127.0.0.1:17080", machine, "tcp 80 from " + machine}, // as upstream's test asks
		{"", "tcp", gateway + ":17080", "", "tcp 80 from " + gateway},
		{"next", "tcp", machine + ":17080", "", "tcp 80 from " + nearby},
		{"next", "udp", machine + ":17080", "", "udp 80 from " + nearby},
		{"peer", "tcp", machine + ":17080", "", "tcp 80 from " + gateway},
		{"peer", "tcp", gateway + ":17080", "", "tcp 80 from " + gateway},
		{"peer", "udp", machine + ":17080", "", "udp 80 from " + gateway},
		{"web", "tcp", machine + ":17080", "", "tcp 80 from " + gateway},
		{"web", "udp", machine + ":17080", "", "udp 80 from " + gateway},
		{"", "tcp", "127.0.0.1:17081", "", "tcp 81 from " + gateway},
		{"", "tcp", machine + ":17081", "", "no answer"},
		{"next", "tcp", machine + ":17081", "", "no answer"},
		{"next", "tcp", machine + ":17082", "", "tcp 81 from " + nearby},
		{"next", "udp", machine + ":17082", "", "udp 81 from " + nearby},
		{"", "tcp", "127.0.0.1:17082", "", "no answer"},
		{"peer", "tcp", gateway + ":17082", "", "no answer"},
		{"peer", "tcp", web + ":80", "", "tcp 80 from " + peer},
	} {
		asked.Go(func() {
			var bind []string
			if tt.bind != "" {
				bind = []string{tt.bind}
			}
			if got := ask(tt.from, tt.kind, tt.to, bind...); !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s from %q at %s: %q, want %q", tt.kind, tt.from, tt.to, got, tt.want)
			}
		})
	}
	asked.Wait()
	sctp := `import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132); s.connect((sys.argv[1], 0))
def crc(data):
  c = 0xffffffff
  for b in data:
    c ^= b
    for _ in range(8): c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
  return struct.pack("<I", c ^ 0xffffffff)
init = struct.pack("!BBHIIHHI", 1, 0, 20, 7, 65536, 1, 1, 1)
head = struct.pack("!HHI", 5555, int(sys.argv[2]), 0)
s.send(head + crc(head + bytes(4) + init) + init)`
	if out, err := in("next", "python3", "-c", sctp, machine, "17080").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	time.Sleep(200 * time.Millisecond)
	if raw, _ := os.ReadFile(seen); string(raw) != "sctp 80\n" {
		t.Errorf("of SCTP the pod has seen %q", raw)
	}
	if n.log.Len() > 0 {
		t.Errorf("logged %s", &n.log)
	}
}

// frames sends TCP and UDP packets to 127.0.0.1, or from there, to the machine's hardware
// address.
const frames = `import socket, struct, sys
mac, src, dst, port = bytes.fromhex(sys.argv[1].replace(":", "")), sys.argv[2], sys.argv[3], int(sys.argv[4])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
own = s.getsockname()[4]
def sum16(b):
  n = sum(struct.unpack("!%dH" % (len(b) // 2), b))
  while n >> 16: n = (n & 0xffff) + (n >> 16)
  return ~n & 0xffff
a, b = socket.inet_aton(src), socket.inet_aton(dst)
def send(proto, body, at):
  body = body[:at] + struct.pack("!H", sum16(a + b + struct.pack("!HH", proto, len(body)) + body)) + body[at + 2:]
  ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, proto, 0, a, b)
  ip = ip[:10] + struct.pack("!H", sum16(ip)) + ip[12:]
  s.send(mac + own + b"\x08\x00" + ip + body)
for _ in range(3):
  send(17, struct.pack("!HHHH", 4444, port, 10, 0) + b"hi", 6)
  send(6, struct.pack("!HHIIHHHH", 4444, port, 1, 0, 0x5002, 999, 0, 0), 16)`

// TestLoopbackOfTheMachineIsNotReached sends to 127.0.0.1 of the machine from a pod, which
// may send raw packets, and from a machine next door.
func TestLoopbackOfTheMachineIsNotReached(t *testing.T) { everyWay(t, keepLoopback) }

func keepLoopback(t *testing.T) {
	n := start(t)
	n.publish(t, mapping("udp", "127.0.0.1", 17083, 80), mapping("udp", "", 17084, 80))
	heard := func(ns, host, port, from, src, dst string) string {
		listen := fmt.Sprintf(`import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((%q, %s))
print("ready", flush=True); print("heard", s.recvfrom(99), flush=True)`, host, port)
		cmd := in(ns, "python3", "-c", listen)
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 99)); err != nil {
			t.Fatal(err)
		}
		veth := link
		if from == "next" {
			veth = "vthpnext"
		}
		at, err := net.InterfaceByName(veth)
		if err != nil {
			t.Fatal(err)
		}
		to := map[string]string{"80": "17083", "17085": "17085"}[port]
		if dst == machine {
			to = "17084"
		}
		if raw, err := in(from, "python3", "-c", frames, at.HardwareAddr.String(), src, dst, to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		time.Sleep(300 * time.Millisecond)
		cmd.Process.Kill()
		said, _ := io.ReadAll(out)
		cmd.Wait()
		return strings.TrimSpace(string(said) + complaint.String())
	}
	for _, tt := range []struct{ what, ns, host, port, from, src, dst string }{
		{"a pod reaches the machine's loopback", "", "127.0.0.1", "17085", "peer", peer, "127.0.0.1"},
		{"a pod reaches the machine's loopback as the machine", "", "127.0.0.1", "17085", "peer", "127.0.0.1", "127.0.0.1"},
		{"next door reaches the machine's loopback", "", "127.0.0.1", "17085", "next", nearby, "127.0.0.1"},
		{"next door reaches a port that is of the loopback alone", "web", "", "80", "next", nearby, "127.0.0.1"},
		{"a pod reaches a port that is of the loopback alone", "web", "", "80", "peer", peer, "127.0.0.1"},
		{"next door reaches a port as the machine", "web", "", "80", "next", "127.0.0.1", machine},
	} {
		if got := heard(tt.ns, tt.host, tt.port, tt.from, tt.src, tt.dst); got != "" {
			t.Errorf("%s: %s", tt.what, got)
		}
	}
	// That the frames are good ones shows one that may come.
	if got := heard("web", "", "80", "next", nearby, machine); !strings.HasPrefix(got, "heard") {
		t.Errorf("a good packet: %s", got)
	}
}

func TestTableComesAndGoesWithThePorts(t *testing.T) {
	n := start(t)
	there := func() bool {
		ok, err := nftables.Exists(t.Context(), nftables.Inet, table)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	routed := func() string {
		raw, _ := os.ReadFile("/proc/sys/net/ipv4/conf/" + link + "/route_localnet")
		return strings.TrimSpace(string(raw))
	}
	intact := func() bool {
		ok, err := n.Intact(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if n.publish(t); there() || routed() != "0" || !intact() {
		t.Errorf("without ports: table %v, loopback routed %s", there(), routed())
	}
	n.publish(t, mapping("tcp", "", 17086, 80))
	if !there() || routed() != "1" || !intact() {
		t.Errorf("with a port: table %v, loopback routed %s", there(), routed())
	}
	for _, broken := range []string{"flush table inet " + table, "delete table inet " + table, "delete element inet " + table + " ports { tcp . 17086 }"} {
		run(t, "nft", broken)
		if intact() {
			t.Errorf("intact after %s", broken)
		}
		if err := n.Sync(t.Context()); err != nil || !intact() {
			t.Errorf("after %s: %v, intact %v", broken, err, intact())
		}
	}
	n.published[0].Addr = netip.MustParseAddr(peer) // another pod has the port at once
	if err := n.Follow(t.Context()); err != nil || !intact() {
		t.Errorf("another pod: %v, intact %v", err, intact())
	}
	lines, err := nftables.Listing(t.Context(), nftables.Inet, table)
	if err != nil || !slices.Contains(lines, "6 . 17086 : "+peer+" . 80") {
		t.Errorf("%v, %v", lines, err)
	}
	if n.publish(t); there() || routed() != "0" || !intact() {
		t.Errorf("without ports again: table %v, loopback routed %s", there(), routed())
	}
	// The pods end while laterna does not run.
	n.publish(t, mapping("tcp", "", 17086, 80))
	n.published = nil
	n.begin()
	if err := n.Sync(t.Context()); err != nil || there() || routed() != "0" {
		t.Errorf("after a start without the pods: %v, table %v, loopback routed %s", err, there(), routed())
	}
}

func TestSenderThatDoesNotPauseReachesTheNewPod(t *testing.T) {
	n := start(t)
	serve(t)
	const flow = `import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.05); s.connect((sys.argv[1], 17087))
for _ in range(100):
  try: s.send(b"x"); print(s.recv(99).decode(), flush=True); break
  except OSError: time.sleep(0.05)`
	cmd := in("next", "python3", "-c", flow, machine)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	time.Sleep(300 * time.Millisecond) // the kernel has a connection with the machine itself
	n.publish(t, mapping("udp", "", 17087, 80))
	said := make([]byte, 99)
	k, _ := out.Read(said)
	if got := strings.TrimSpace(string(said[:k])); got != "udp 80 from "+nearby {
		t.Errorf("answered %q", got)
	}
}

func TestNotesTellWhoElseIsAtAPort(t *testing.T) {
	n := start(t)
	cmd := exec.Command("python3", "-c", `import socket, time
a = socket.create_server(("127.0.0.1", 17088)); b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); b.bind(("", 17088))
print("ready", flush=True); time.sleep(60)`)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if _, err := out.Read(make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
	const other = "laterna-hpother"
	run(t, "nft", "add table inet "+other+"; add map inet "+other+" addresses { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }; "+
		"add element inet "+other+" addresses { 127.0.0.1 . tcp . 17089 : 198.18.80.2 . 80 }")
	defer exec.Command("nft", "delete table inet "+other).Run()
	n.Reserve(netip.MustParseAddrPort("[::]:17443"), netip.MustParseAddrPort("127.0.0.1:17444"), netip.MustParseAddrPort("[::1]:17445"))
	who := fmt.Sprintf("python3 (process %d)", cmd.Process.Pid)
	for _, tt := range []struct {
		mapping bridge.PortMapping
		want    string
	}{
		{mapping("tcp", "", 17088, 80), "Host port 17088/TCP is in use by " + who + " on the node: new connections to it go to the pod instead"},
		{mapping("tcp", machine, 17088, 80), ""},
		{mapping("udp", machine, 17088, 80), "Host port 17088/UDP at " + machine + " is in use by " + who + " on the node: new connections to it go to the pod instead"},
		{mapping("tcp", "", 17089, 80), "Host port 17089/TCP leads to a pod of another system on this machine as well (nftables table inet " + other + "): only one of the two is reached"},
		{mapping("tcp", machine, 17089, 80), ""},
		{mapping("tcp", "", 17443, 80), "Host port 17443/TCP does not lead to the pod where Laterna itself listens (17443/TCP)"},
		{mapping("tcp", "", 17444, 80), "Host port 17444/TCP does not lead to the pod where Laterna itself listens (17444/TCP at 127.0.0.1)"},
		{mapping("tcp", machine, 17444, 80), ""},
		{mapping("tcp", "::1", 17090, 80), "Host port 17090 leads nowhere: hostIP ::1 is an IPv6 address, and pods have IPv4 alone"},
		{mapping("tcp", "x", 17090, 80), `Host port 17090 leads nowhere: hostIP "x" is not an IP address`},
	} {
		n.publish(t, tt.mapping)
		if got := strings.Join(n.Notes(t.Context(), "web"), "\n"); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.mapping, got, tt.want)
		}
	}
}

func TestThousandsOfPortsAreLedAndFewAreToldOf(t *testing.T) {
	n := start(t)
	var many []bridge.PortMapping
	for port := range int32(2000) {
		many = append(many, mapping("tcp", "", 20000+port, 80), mapping("udp", "::1", 20000+port, 80))
	}
	n.publish(t, many...)
	if notes := n.Notes(t.Context(), "web"); len(notes) != 9 || notes[8] != "Others of its host ports were not looked at" {
		t.Errorf("%d notes: %q", len(notes), notes)
	}
	if intact, err := n.Intact(t.Context()); err != nil || !intact {
		t.Errorf("intact %v, %v", intact, err)
	}
	n.publish(t)
}

// TestOwnPortsAreKept asks, at ports that a pod has asked for, what the machine listens at.
func TestOwnPortsAreKept(t *testing.T) {
	n := start(t)
	serve(t)
	cmd := exec.Command("python3", "-c", `import socket
s = socket.create_server(("", 17446)); print("ready", flush=True)
while True: c, _ = s.accept(); c.sendall(b"the machine"); c.close()`)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if _, err := out.Read(make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
	n.Reserve(netip.MustParseAddrPort("127.0.0.1:17446"))
	n.publish(t, mapping("tcp", "", 17446, 80), mapping("tcp", "127.0.0.1", 17446, 80))
	if got := ask("", "tcp", "127.0.0.1:17446"); got != "the machine" {
		t.Errorf("at the address that is kept: %q", got)
	}
	if got := ask("next", "tcp", machine+":17446"); got != "tcp 80 from "+nearby {
		t.Errorf("elsewhere: %q", got)
	}
}
