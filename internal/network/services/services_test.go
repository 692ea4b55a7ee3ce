package services_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"laterna.dev/laterna/internal/clock"
	"laterna.dev/laterna/internal/host/netlink"
	"laterna.dev/laterna/internal/network/nftables"
	"laterna.dev/laterna/internal/network/services"
)

// The tests build what the bridge plugin builds: a bridge with an address, and
// network namespaces connected to it by veth pairs. Addresses are of 198.18.0.0/15,
// the range for tests (RFC 2544).
type system struct {
	cfg     services.Config
	router  *services.Router
	gateway netip.Addr
	pod     string // network namespace
}

func start(t *testing.T, name, subnet string) *system {
	t.Helper()
	return startOn(t, "lt-"+name, name, subnet)
}

// startOn names the bridge.
func startOn(t *testing.T, bridge, name, subnet string) *system {
	t.Helper()
	prefix := netip.MustParsePrefix(subnet)
	s := &system{gateway: prefix.Addr().Next(), pod: "lt-" + name, cfg: services.Config{
		Table: "laterna-" + name, Bridge: bridge, Subnet: prefix,
		Range: netip.MustParsePrefix("198.19.0.0/16"), Clock: clock.Real(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}}
	pod, port := s.gateway.Next(), "vt"+name
	t.Cleanup(func() {
		exec.Command("ip", "link", "del", port).Run() // with its namespace it would go some time later
		exec.Command("ip", "netns", "del", s.pod).Run()
		exec.Command("ip", "link", "del", s.cfg.Bridge).Run()
		if err := nftables.Remove(context.Background(), nftables.IPv4, s.cfg.Table); err != nil {
			t.Error(err)
		}
	})
	// The bridge plugin switches forwarding on, too.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	ip(t, "link", "add", s.cfg.Bridge, "type", "bridge")
	ip(t, "addr", "add", s.gateway.String()+"/24", "dev", s.cfg.Bridge)
	ip(t, "link", "set", s.cfg.Bridge, "up")
	ip(t, "netns", "add", s.pod)
	ip(t, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", s.pod)
	ip(t, "link", "set", port, "master", s.cfg.Bridge, "up")
	ip(t, "-n", s.pod, "addr", "add", pod.String()+"/24", "dev", "eth0")
	ip(t, "-n", s.pod, "link", "set", "eth0", "up")
	ip(t, "-n", s.pod, "link", "set", "lo", "up")
	ip(t, "-n", s.pod, "route", "add", "default", "via", s.gateway.String())
	var err error
	if s.router, err = services.New(s.cfg); err != nil {
		t.Fatal(err)
	}
	return s
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// serve answers every connection with its name.
func serve(t *testing.T, address, name string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, name)
			c.Close()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

// fromPod connects from inside the pod's namespace and returns what it reads.
func (s *system) fromPod(t *testing.T, to string) (string, error) {
	t.Helper()
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ip", "netns", "exec", s.pod,
		"bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/%s/%s && cat <&3", host, port)).CombinedOutput()
	if ctx.Err() != nil {
		return "", errors.New("no answer within 20 s")
	}
	return string(out), err
}

func fromHost(to string) (string, error) {
	c, err := net.DialTimeout("tcp4", to, 20*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	raw, err := io.ReadAll(c)
	return string(raw), err
}

const kubernetes = "198.19.0.1:443"

// begin routes the service of the API.
func (s *system) begin(t *testing.T, pods, host netip.AddrPort) {
	t.Helper()
	fixed := services.Fixed{Address: netip.MustParseAddrPort(kubernetes), Protocol: services.TCP, Backend: pods, HostBackend: host}
	if err := s.router.Begin(t.Context(), []services.Fixed{fixed}); err != nil {
		t.Fatal(err)
	}
}

// set makes the services those of the API that have one slice each.
func (s *system) set(t *testing.T, all ...served) {
	t.Helper()
	units := map[services.Name]*services.Unit{}
	for _, one := range all {
		units[one.Name] = s.router.Compile(one.Service, []services.Slice{one.slice}, services.Node{Name: "here"})
	}
	if err := s.router.Set(t.Context(), units); err != nil {
		t.Fatal(err)
	}
}

// served is a service with its endpoints.
type served struct {
	services.Service
	slice services.Slice
}

// service is one of port 80 that all the endpoints serve, at the port of the first.
func service(name, ip string, protocol services.Protocol, to ...netip.AddrPort) served {
	s := served{Service: services.Service{
		Name: services.Name{Namespace: "default", Name: name}, ClusterIP: netip.MustParseAddr(ip),
		Ports: []services.Port{{Protocol: protocol, Port: 80}},
	}}
	for _, a := range to {
		s.slice.Ports = []services.SlicePort{{Protocol: protocol, Port: a.Port()}}
		s.slice.Endpoints = append(s.slice.Endpoints, services.Endpoint{Addr: a.Addr(), Ready: true, Serving: true, Node: "here"})
	}
	return s
}

func TestPodsReachTheirOwnSystem(t *testing.T) {
	a, b := start(t, "testa", "198.18.1.0/24"), start(t, "testb", "198.18.2.0/24")
	for name, s := range map[string]*system{"a": a, "b": b} {
		s.begin(t, serve(t, s.gateway.String()+":0", name), serve(t, "127.0.0.1:0", name+" by loopback"))
	}
	for name, s := range map[string]*system{"a": a, "b": b} {
		if got, err := s.fromPod(t, kubernetes); got != name {
			t.Errorf("pod of %s reaches %q, %v", name, got, err)
		}
	}
	got, err := fromHost(kubernetes)
	if err != nil || !strings.HasSuffix(got, "by loopback") {
		t.Errorf("the host reaches %q, %v; want one of the systems by loopback", got, err)
	}
	if err := nftables.Remove(t.Context(), nftables.IPv4, a.cfg.Table); err != nil {
		t.Fatal(err)
	}
	if got, err := fromHost(kubernetes); got != "b by loopback" {
		t.Errorf("after the other system is gone the host reaches %q, %v", got, err)
	}
	if got, err := b.fromPod(t, kubernetes); got != "b" {
		t.Errorf("after the other system is gone the pod reaches %q, %v", got, err)
	}
}

// TestOneProtocolOfAPortIsLedByConfiguration has the other answered by nobody.
func TestOneProtocolOfAPortIsLedByConfiguration(t *testing.T) {
	s := start(t, "testa", "198.18.1.0/24")
	server, err := net.ListenPacket("udp4", s.gateway.String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		for b := make([]byte, 9); ; {
			_, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			server.WriteTo([]byte("dns"), from)
		}
	}()
	fixed := services.Fixed{Address: netip.MustParseAddrPort("198.19.0.10:53"), Protocol: services.UDP, Backend: netip.MustParseAddrPort(server.LocalAddr().String())}
	if err := s.router.Begin(t.Context(), []services.Fixed{fixed}); err != nil {
		t.Fatal(err)
	}
	const ask = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.connect(("198.19.0.10", 53)); s.send(b"x"); print(s.recv(9).decode(), end="")`
	for from, args := range map[string][]string{"the pod": {"ip", "netns", "exec", s.pod, "python3"}, "the host": {"python3"}} {
		args = append(args, "-c", ask)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); string(out) != "dns" {
			t.Errorf("%s is answered %q, %v", from, out, err)
		}
	}
	if out, err := s.fromPod(t, "198.19.0.10:53"); err == nil || !strings.Contains(out, "refused") {
		t.Errorf("TCP: %q, %v", out, err)
	}
}

func TestUnknownServiceAddressesAreRefusedAtOnce(t *testing.T) {
	s := start(t, "testa", "198.18.1.0/24")
	if err := s.router.Begin(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := fromHost("198.19.7.7:80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("from the host: %v, want refused", err)
	}
	if out, err := s.fromPod(t, "198.19.7.7:80"); err == nil || !strings.Contains(out, "refused") {
		t.Errorf("from the pod: %q, %v; want refused", out, err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("refusing took %v, want it at once", took)
	}
}

func TestNoServiceMeansRefusedAndManyEndpointsShare(t *testing.T) {
	s := start(t, "testa", "198.18.1.0/24")
	s.begin(t, netip.MustParseAddrPort("198.18.1.1:1"), netip.MustParseAddrPort("127.0.0.1:1"))
	one := serve(t, s.gateway.String()+":0", "one")
	ip(t, "addr", "add", "198.18.1.9/24", "dev", s.cfg.Bridge)
	serve(t, fmt.Sprintf("198.18.1.9:%d", one.Port()), "two")
	shared := service("x", "198.19.0.5", services.TCP, one, netip.AddrPortFrom(netip.MustParseAddr("198.18.1.9"), one.Port()))
	s.set(t, shared, service("y", "198.19.0.6", services.TCP))
	seen := map[string]int{}
	for range 60 {
		got, err := fromHost("198.19.0.5:80")
		if err != nil {
			t.Fatal(err)
		}
		seen[got]++
	}
	if seen["one"] == 0 || seen["two"] == 0 || len(seen) != 2 {
		t.Errorf("60 connections went to %v, want both endpoints", seen)
	}
	if got, err := s.fromPod(t, "198.19.0.5:80"); got != "one" && got != "two" {
		t.Errorf("from the pod: %q, %v", got, err)
	}
	for what, to := range map[string]string{"service without endpoints": "198.19.0.6:80", "port that a service does not have": "198.19.0.5:81"} {
		if _, err := fromHost(to); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v, want refused", what, err)
		}
	}
	if err := s.router.Set(t.Context(), map[services.Name]*services.Unit{shared.Name: nil}); err != nil {
		t.Fatal(err)
	}
	if _, err := fromHost("198.19.0.5:80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("service taken away: %v, want refused", err)
	}
}

// TestAServiceDoesNotRefuseThePortsOfTheSystem: one without endpoints asks for an address of
// the machine, with the port of the API.
func TestAServiceDoesNotRefuseThePortsOfTheSystem(t *testing.T) {
	s := start(t, "testo", "198.18.1.0/24")
	ip(t, "addr", "add", "203.0.113.9/32", "dev", s.cfg.Bridge)
	api := serve(t, "203.0.113.9:0", "api")
	s.router.Reserve(api.Port())
	s.begin(t, api, api)
	x := service("x", "198.19.0.5", services.TCP)
	x.Ports[0].Port, x.External = api.Port(), []netip.Addr{api.Addr()}
	s.set(t, x)
	if got, err := fromHost(api.String()); got != "api" {
		t.Errorf("from the host: %q, %v", got, err)
	}
	if got, err := s.fromPod(t, api.String()); got != "api" {
		t.Errorf("from the pod: %q, %v", got, err)
	}
}

func TestPodsLeaveWithTheMachinesAddress(t *testing.T) {
	a, b := start(t, "testa", "198.18.1.0/24"), startOn(t, "br-testb", "testb", "198.18.2.0/24")
	if err := a.router.Begin(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	// A pod of b stands for a machine beyond ours.
	whoCalls(t, b)
	got, err := a.fromPod(t, b.gateway.Next().String()+":7000")
	if want := b.gateway.String(); got != want {
		t.Errorf("the peer sees %q, %v; want %s, this machine's address on that link", got, err, want)
	}
}

// TestPodsOfAnotherSystemAreRefused: neither pods nor the API are reached.
func TestPodsOfAnotherSystemAreRefused(t *testing.T) {
	a, b := start(t, "testa", "198.18.1.0/24"), start(t, "testb", "198.18.2.0/24")
	whoCalls(t, b)
	api := serve(t, b.gateway.String()+":0", "b")
	pod := b.gateway.Next().String() + ":7000"
	if _, err := fromHost(pod); err != nil {
		t.Fatalf("programs of the machine do not reach the pod: %v", err)
	}
	if err := b.router.Begin(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for what, to := range map[string]string{"a pod": pod, "the API": api.String()} {
		if got, err := a.fromPod(t, to); err == nil || !strings.Contains(got, "refused") {
			t.Errorf("%s of the other system answers %q, %v; want refused", what, got, err)
		}
		if _, err := fromHost(to); err != nil {
			t.Errorf("programs of the machine do not reach %s: %v", what, err)
		}
	}
	if got, err := b.fromPod(t, api.String()); got != "b" {
		t.Errorf("a pod reaches its own API as %q, %v", got, err)
	}
}

// TestPodsDoNotReachTheCredentialsOfTheMachine gives the addresses to a namespace that
// stands for the cloud, and one of them to the machine itself.
func TestPodsDoNotReachTheCredentialsOfTheMachine(t *testing.T) {
	a, cloud := start(t, "testa", "198.18.1.0/24"), startOn(t, "br-testb", "testb", "198.18.2.0/24")
	whoCalls(t, cloud)
	all := []string{"169.254.169.254", "169.254.170.2", "169.254.170.23"}
	for _, address := range all[:2] {
		ip(t, "-n", cloud.pod, "addr", "add", address+"/32", "dev", "eth0")
		ip(t, "route", "add", address+"/32", "via", cloud.gateway.Next().String())
	}
	ip(t, "addr", "add", all[2]+"/32", "dev", cloud.cfg.Bridge)
	serve(t, all[2]+":7000", "the machine itself")
	for _, address := range all {
		if got, err := a.fromPod(t, address+":7000"); err != nil {
			t.Fatalf("before there are rules a pod does not reach %s: %q, %v", address, got, err)
		}
	}
	if err := a.router.Begin(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, address := range all {
		if got, err := a.fromPod(t, address+":7000"); err == nil || !strings.Contains(got, "refused") {
			t.Errorf("a pod reaches %s: %q, %v; want refused", address, got, err)
		}
		if got, err := fromHost(address + ":7000"); err != nil {
			t.Errorf("a program of the machine does not reach %s: %q, %v", address, got, err)
		}
	}
	// A port of one of them that this system answers is led for pods alone, and no other is.
	agent := services.Fixed{Address: netip.MustParseAddrPort(all[2] + ":7000"), Protocol: services.TCP, Backend: serve(t, a.gateway.String()+":0", "the agent"), PodsOnly: true}
	if err := a.router.Begin(t.Context(), []services.Fixed{agent}); err != nil {
		t.Fatal(err)
	}
	if got, err := a.fromPod(t, all[2]+":7000"); got != "the agent" {
		t.Errorf("a pod that asks the agent reaches %q, %v", got, err)
	}
	if got, err := fromHost(all[2] + ":7000"); got != "the machine itself" {
		t.Errorf("a program of the machine reaches %q, %v", got, err)
	}
	for _, to := range []string{all[2] + ":7001", all[1] + ":7000", all[0] + ":7000"} {
		if got, err := a.fromPod(t, to); err == nil || !strings.Contains(got, "refused") {
			t.Errorf("a pod reaches %s: %q, %v; want refused", to, got, err)
		}
	}
}

// whoCalls has a pod answer every connection to port 7000 with the caller's address.
func whoCalls(t *testing.T, s *system) {
	t.Helper()
	script := `import socket
s = socket.create_server(("0.0.0.0", 7000))
print("up", flush=True)
while True:
    c, peer = s.accept(); c.sendall(peer[0].encode()); c.close()`
	server := exec.Command("ip", "netns", "exec", s.pod, "python3", "-c", script)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
}

// TestEveryRuleIsTakenByNft sets services of every kind, and changes them.
func TestEveryRuleIsTakenByNft(t *testing.T) {
	s := start(t, "teste", "198.18.1.0/24")
	var log strings.Builder
	s.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	var err error
	if s.router, err = services.New(s.cfg); err != nil {
		t.Fatal(err)
	}
	s.begin(t, netip.MustParseAddrPort("198.18.1.1:1"), netip.MustParseAddrPort("127.0.0.1:1"))
	one, two := netip.MustParseAddrPort("198.18.1.2:8080"), netip.MustParseAddrPort("198.18.1.3:8080")
	long := strings.Repeat("n", 63)
	n := byte(10)
	for _, protocol := range []services.Protocol{services.TCP, services.UDP, services.SCTP} {
		for _, to := range [][]netip.AddrPort{nil, {one}, {one, two}} {
			for mode := range 16 {
				n++
				svc := service(fmt.Sprintf("s-%d", n), fmt.Sprintf("198.19.1.%d", n), protocol, to...)
				svc.Name.Namespace, svc.Ports[0].Name = long, long
				if len(to) > 0 {
					svc.slice.Ports[0].Name = long
				}
				if mode&1 != 0 {
					svc.Affinity = time.Hour
				}
				svc.InternalLocal, svc.ExternalLocal = mode&2 != 0, mode&2 != 0
				if mode&4 != 0 {
					svc.Ports[0].NodePort = 30000 + uint16(n)
					svc.External = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, n}), netip.AddrFrom4([4]byte{192, 0, 2, n})}
				}
				if mode&8 != 0 {
					svc.Balanced = []netip.Addr{netip.AddrFrom4([4]byte{203, 0, 113, n}), netip.AddrFrom4([4]byte{192, 0, 2, n})}
					svc.Sources = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.0.2.128/25"), netip.MustParsePrefix("0.0.0.0/0")}
				}
				s.set(t, svc)
			}
		}
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", log.String())
	}
	before, err := nftables.Listing(t.Context(), nftables.IPv4, s.cfg.Table)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.router.Rewrite(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := nftables.Listing(t.Context(), nftables.IPv4, s.cfg.Table)
	if err != nil {
		t.Fatal(err)
	}
	stamp := func(l string) bool { return strings.HasPrefix(l, "0x") }
	if before, after = slices.DeleteFunc(before, stamp), slices.DeleteFunc(after, stamp); !slices.Equal(before, after) {
		t.Error("written at once it is another table than step by step")
	}
}

// TestClientsStayWithTheirEndpointsThroughARestart has a router take over what another has
// left, with a service that is gone and things of somebody else.
func TestClientsStayWithTheirEndpointsThroughARestart(t *testing.T) {
	s := start(t, "testr", "198.18.11.0/24")
	s.begin(t, netip.MustParseAddrPort("198.18.11.1:1"), netip.MustParseAddrPort("127.0.0.1:1"))
	one := serve(t, s.gateway.String()+":0", "one")
	ip(t, "addr", "add", "198.18.11.9/24", "dev", s.cfg.Bridge)
	two := netip.AddrPortFrom(netip.MustParseAddr("198.18.11.9"), one.Port())
	serve(t, two.String(), "two")
	var all []served
	for n := range 12 {
		svc := service(fmt.Sprintf("s-%d", n), fmt.Sprintf("198.19.0.%d", 20+n), services.TCP, one, two)
		svc.Affinity = time.Hour
		all = append(all, svc)
	}
	gone := service("gone", "198.19.0.9", services.TCP, one, two)
	gone.Affinity = time.Hour
	s.set(t, append(all, gone)...)
	ask := func() (who []string) {
		t.Helper()
		for n := range all {
			got, err := s.fromPod(t, all[n].ClusterIP.String()+":80")
			if err != nil {
				t.Fatal(err)
			}
			who = append(who, got)
		}
		return who
	}
	before := ask()
	for _, foreign := range []string{
		"add chain ip %s odd", "add set ip %s odd-set { type ipv4_addr; }", "add map ip %s odd-map { type ipv4_addr : verdict; }",
		"add rule ip %s odd ip saddr @odd-set ip daddr vmap @odd-map", "add rule ip %s output jump odd", "add chain ip %s odder", "add element ip %s odd-map { 192.0.2.1 : goto odder }",
	} {
		if out, err := exec.Command("nft", strings.ReplaceAll(foreign, "%s", s.cfg.Table)).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", foreign, err, out)
		}
	}
	var err error
	var log strings.Builder
	s.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	if s.router, err = services.New(s.cfg); err != nil {
		t.Fatal(err)
	}
	s.begin(t, netip.MustParseAddrPort("198.18.11.1:1"), netip.MustParseAddrPort("127.0.0.1:1"))
	s.set(t, all...)
	// By chance 12 would be the same once in 4096 times.
	if after := ask(); !slices.Equal(after, before) {
		t.Errorf("after a restart %q, before %q", after, before)
	}
	if _, err := fromHost("198.19.0.9:80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the service that is gone: %v, want refused", err)
	}
	kept, err := nftables.Listing(t.Context(), nftables.IPv4, s.cfg.Table)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.router.Rewrite(t.Context()); err != nil {
		t.Fatal(err)
	}
	anew, err := nftables.Listing(t.Context(), nftables.IPv4, s.cfg.Table)
	if err != nil {
		t.Fatal(err)
	}
	// But for the stamp and the clients.
	differs := func(l string) bool { return strings.HasPrefix(l, "0x") || strings.HasPrefix(l, "198.18.11.") }
	kept, anew = slices.DeleteFunc(kept, differs), slices.DeleteFunc(anew, differs)
	if !slices.Equal(kept, anew) {
		t.Errorf("what was taken over is\n%s\nwritten anew\n%s", strings.Join(kept, "\n"), strings.Join(anew, "\n"))
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", log.String())
	}
}

func TestBeginRefusesWhatCannotBeRouted(t *testing.T) {
	s := start(t, "testa", "198.18.1.0/24")
	good := netip.MustParseAddrPort("198.19.0.1:443")
	for name, f := range map[string]services.Fixed{
		"no port":  {Address: netip.AddrPortFrom(good.Addr(), 0), Protocol: services.TCP, Backend: good},
		"IPv6":     {Address: good, Protocol: services.TCP, Backend: good, HostBackend: netip.MustParseAddrPort("[::1]:1")},
		"nowhere":  {Address: good, Protocol: services.TCP},
		"protocol": {Address: good, Protocol: "icmp", Backend: good},
	} {
		if err := s.router.Begin(t.Context(), []services.Fixed{f}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestExistsAndRemove(t *testing.T) {
	s := start(t, "testa", "198.18.1.0/24")
	for _, want := range []bool{false, true, false} {
		got, err := nftables.Exists(t.Context(), nftables.IPv4, s.cfg.Table)
		if err != nil || got != want {
			t.Errorf("exists: %v, %v; want %v", got, err, want)
		}
		if want {
			err = nftables.Remove(t.Context(), nftables.IPv4, s.cfg.Table)
		} else {
			err = s.router.Begin(t.Context(), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatOthersDoToTheTableIsSeen has somebody else flush, thin out and remove it, and the
// router itself change it, which is no news.
func TestWhatOthersDoToTheTableIsSeen(t *testing.T) {
	s := start(t, "testi", "198.18.9.0/24")
	changes, err := netlink.TableChanges(t.Context(), s.cfg.Table, services.Stamp, s.router.Ours)
	if err != nil {
		t.Fatal(err)
	}
	to := serve(t, s.gateway.String()+":0", "x")
	s.begin(t, to, to)
	saved := filepath.Join(t.TempDir(), "saved")
	for _, tt := range []struct {
		what    string
		command []string
		stamped bool // still
	}{
		{what: "nothing", stamped: true},
		{"flush", []string{"flush", "table", "ip", s.cfg.Table}, true},
		{"removal", []string{"delete", "table", "ip", s.cfg.Table}, false},
		{"flushed chain", []string{"flush", "chain", "ip", s.cfg.Table, "output"}, true},
		{"a removed way", []string{"flush", "map", "ip", s.cfg.Table, "service-ips"}, true},
		{"another's rule", []string{"insert", "rule", "ip", s.cfg.Table, "output", "accept"}, true},
		{"what it was", []string{"-f", saved}, true},
	} {
		if err := s.router.Rewrite(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.set(t, service("x", "198.19.0.5", services.TCP, to))
		time.Sleep(100 * time.Millisecond)
		if did := changes.Take(); len(did.Families) > 0 || did.Lost {
			t.Errorf("before %s: %+v of the router's own", tt.what, did)
		}
		out, err := exec.Command("nft", "list", "table", "ip", s.cfg.Table).Output()
		if err != nil {
			t.Fatal(err)
		}
		restore := "table ip " + s.cfg.Table + "\ndelete table ip " + s.cfg.Table + "\n" + string(out)
		if err := os.WriteFile(saved, []byte(restore), 0o600); err != nil {
			t.Fatal(err)
		}
		if tt.command != nil {
			if out, err := exec.Command("nft", tt.command...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", tt.what, err, out)
			}
			told := false
			for end := time.Now().Add(10 * time.Second); !told && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				told = changes.Take().Families[unix.NFPROTO_IPV4]
			}
			if !told {
				t.Errorf("%s: no change was told", tt.what)
			}
		}
		if there, err := s.router.Intact(t.Context()); err != nil || there != tt.stamped {
			t.Errorf("after %s: there %v, %v", tt.what, there, err)
		}
	}
}

func TestSystemsThatShareServiceAddressesAreFound(t *testing.T) {
	a := start(t, "testj", "198.18.10.0/24")
	if err := a.router.Begin(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		own, addresses string
		shares         bool
	}{
		"the same":          {"laterna-testk", "198.19.0.0/16", true},
		"a part":            {"laterna-testk", "198.19.7.0/24", true},
		"other addresses":   {"laterna-testk", "198.20.0.0/16", false},
		"the system's own":  {a.cfg.Table, "198.19.0.0/16", false},
		"addresses of pods": {"laterna-testk", "198.18.10.0/24", false},
	} {
		found, err := services.Sharing(t.Context(), tt.own, netip.MustParsePrefix(tt.addresses))
		if err != nil || slices.Contains(found, a.cfg.Table) != tt.shares {
			t.Errorf("%s: %q, %v", name, found, err)
		}
	}
}
