package server_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
	clocktesting "k8s.io/utils/clock/testing"

	"laterna.dev/laterna/internal/clock"
	ours "laterna.dev/laterna/internal/network/dns"
	"laterna.dev/laterna/internal/network/dns/server"
)

// TestMain makes a server of this program where it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == ours.Command {
		if err := server.Run(context.Background(), os.Stdin, os.Stderr, clock.Real()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// world is an API with one service, a resolver of the machine, and a server.
type world struct {
	*testing.T
	api      *httptest.Server
	upstream netip.AddrPort
	asked    atomic.Int32 // questions to upstream
	at       string
	log      safe

	mu       sync.Mutex
	settings ours.Settings
}

type safe struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safe) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// lists are what the API has, by resource.
var lists = map[string]string{
	"services": `{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[
		{"metadata":{"name":"s","namespace":"ns"},"spec":{"type":"ClusterIP","clusterIP":"192.0.2.7","clusterIPs":["192.0.2.7"],"ports":[{"name":"web","port":80,"protocol":"TCP"}]}},
		{"metadata":{"name":"alias","namespace":"ns"},"spec":{"type":"ExternalName","externalName":"there.example"}}]}`,
	"namespaces":     `{"kind":"NamespaceList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"ns"}}]}`,
	"endpointslices": `{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[]}`,
}

// serveAPI answers lists, and watches that tell nothing.
func serveAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch list := lists[filepath.Base(r.URL.Path)]; {
	case list == "":
		w.WriteHeader(http.StatusNotFound)
	case r.URL.Query().Get("sendInitialEvents") != "":
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`)
	case r.URL.Query().Get("watch") != "":
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	default:
		fmt.Fprint(w, list)
	}
}

func begin(t *testing.T) *world {
	t.Helper()
	return beginBy(t, clock.Real())
}

// beginBy has the keeper look by a clock.
func beginBy(t *testing.T, wall clock.Wall) *world {
	t.Helper()
	w := &world{T: t}
	w.api = httptest.NewTLSServer(http.HandlerFunc(serveAPI))
	t.Cleanup(w.closeAPI)
	w.upstream = w.serveUpstream()
	w.settings = ours.Settings{
		Domain: "example.test", URL: w.api.URL, Pods: netip.MustParsePrefix("192.0.2.0/24"), Upstreams: []netip.AddrPort{w.upstream},
		CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.api.Certificate().Raw}),
	}
	// A loopback address of this test's own; it is not seen from outside.
	gateway := netip.AddrFrom4([4]byte{127, 53, byte(os.Getpid() >> 8), byte(os.Getpid())})
	sockets, err := ours.Open(t.Context(), gateway, slog.New(slog.NewTextHandler(&w.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	w.at = sockets.Addr().String()
	keeper := ours.New(ours.Config{
		Program: "/proc/self/exe", Of: "here", Sockets: sockets, Settings: w.now, Clock: wall, Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); _ = keeper.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		sockets.Close()
		if pids := w.servers(); len(pids) > 0 {
			t.Errorf("%v go on", pids)
		}
		if t.Failed() {
			t.Log(w.log.String())
		}
	})
	return w
}

func (w *world) now() (ours.Settings, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.settings, nil
}

func (w *world) closeAPI() {
	w.api.CloseClientConnections()
	w.api.Close()
}

// serveUpstream knows one name.
func (w *world) serveUpstream() netip.AddrPort {
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	l, err := net.Listen("tcp", p.LocalAddr().String())
	if err != nil {
		w.Fatal(err)
	}
	handler := dns.HandlerFunc(func(rw dns.ResponseWriter, r *dns.Msg) {
		w.asked.Add(1)
		m := new(dns.Msg).SetReply(r)
		if rr, err := dns.NewRR(r.Question[0].Name + " 5 IN A 192.0.2.99"); err == nil && r.Question[0].Name == "there.example." && r.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, rr)
		} else {
			m.Rcode = dns.RcodeNameError
		}
		_ = rw.WriteMsg(m)
	})
	for _, s := range []*dns.Server{{PacketConn: p, Handler: handler}, {Listener: l, Handler: handler}} {
		go func() { _ = s.ActivateAndServe() }()
		w.Cleanup(func() { _ = s.Shutdown() })
	}
	return netip.MustParseAddrPort(p.LocalAddr().String())
}

// servers are the processes that were started as one.
func (w *world) servers() (pids []int) {
	w.Helper()
	children, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(children) == 0 {
		w.Fatalf("no list of children: %v", err)
	}
	for _, file := range children {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(raw)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// ask asks once, and waits long enough for a server to begin.
func (w *world) ask(network, name string, kind uint16) *dns.Msg {
	w.Helper()
	c := &dns.Client{Net: network, Timeout: 20 * time.Second}
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	m.SetEdns0(1232, false)
	answer, _, err := c.Exchange(m, w.at)
	if err != nil {
		w.Fatalf("%s: %v", name, err)
	}
	return answer
}

// answers asks for an address by UDP and TCP.
func (w *world) answers(name string, rcode int, want ...string) {
	w.Helper()
	for _, network := range []string{"udp", "tcp"} {
		answer := w.ask(network, name, dns.TypeA)
		var got []string
		for _, rr := range answer.Answer {
			got = append(got, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
		slices.Sort(got)
		slices.Sort(want)
		if answer.Rcode != rcode || !slices.Equal(got, want) {
			w.Errorf("%s by %s: %s %q, want %s %q", name, network, dns.RcodeToString[answer.Rcode], got, dns.RcodeToString[rcode], want)
		}
	}
}

func (w *world) eventually(what string, done func() bool) {
	w.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("not within 20 s: %s", what)
		}
	}
}

func TestNames(t *testing.T) {
	w := begin(t)
	w.answers("s.ns.svc.example.test", dns.RcodeSuccess, "192.0.2.7")
	w.answers("S.NS.svc.Example.Test", dns.RcodeSuccess, "192.0.2.7")
	w.answers("1-2-3-4.ns.pod.example.test", dns.RcodeSuccess, "1.2.3.4")
	w.answers("other.ns.svc.example.test", dns.RcodeNameError)
	w.answers("ns.svc.example.test", dns.RcodeSuccess)
	w.answers("there.example", dns.RcodeSuccess, "192.0.2.99")
	w.answers("nowhere.example", dns.RcodeNameError)
	w.answers("alias.ns.svc.example.test", dns.RcodeSuccess, "192.0.2.99", "there.example.")
	if got := w.ask("udp", "_web._tcp.s.ns.svc.example.test", dns.TypeSRV).Answer; len(got) != 1 || got[0].(*dns.SRV).Port != 80 || got[0].(*dns.SRV).Target != "s.ns.svc.example.test." {
		t.Errorf("SRV: %v", got)
	}
	if got := w.ask("udp", "7.2.0.192.in-addr.arpa", dns.TypePTR).Answer; len(got) != 1 || got[0].(*dns.PTR).Ptr != "s.ns.svc.example.test." {
		t.Errorf("PTR: %v", got)
	}
	if got := w.ask("udp", "dns-version.example.test", dns.TypeTXT).Answer; len(got) != 1 || got[0].(*dns.TXT).Txt[0] != "1.1.0" {
		t.Errorf("TXT: %v", got)
	}
	for _, name := range []string{"example.test", "ns.dns.example.test"} {
		if got := w.ask("udp", name, dns.TypeNS); got.Rcode == dns.RcodeServerFailure {
			t.Errorf("NS of %s: %v", name, got)
		}
	}
	if log := w.log.String(); strings.Contains(log, "WARN") || strings.Contains(log, "ERROR") {
		t.Error("it has complained")
	}
}

func TestServerIsConfined(t *testing.T) {
	w := begin(t)
	w.answers("s.ns.svc.example.test", dns.RcodeSuccess, "192.0.2.7")
	pids := w.servers()
	if len(pids) != 1 {
		t.Fatalf("servers %v", pids)
	}
	read := func(file string) string {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pids[0], file))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if limits := strings.Join(strings.Fields(read("limits")), " "); !strings.Contains(limits, "Max data size 536870912 536870912 bytes") {
		t.Error("its memory has no bound")
	}
	if os.Geteuid() == 0 {
		status := read("status")
		for _, line := range []string{"Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"} {
			if !strings.Contains(status, line+"\n") {
				t.Errorf("%q is not so: %s", line, status)
			}
		}
	}
	if line := read("cmdline"); line != "laterna\x00cluster-dns\x00here\x00" {
		t.Errorf("its arguments are %q", line)
	}
}

func TestServerGoesOnWithoutTheAPI(t *testing.T) {
	w := begin(t)
	w.answers("s.ns.svc.example.test", dns.RcodeSuccess, "192.0.2.7")
	w.closeAPI()
	w.answers("s.ns.svc.example.test", dns.RcodeSuccess, "192.0.2.7")
	w.answers("there.example", dns.RcodeSuccess, "192.0.2.99")
	// One that begins without it knows nothing of the cluster, and says so.
	w.kill()
	w.answers("s.ns.svc.example.test", dns.RcodeServerFailure)
	w.answers("there.example", dns.RcodeSuccess, "192.0.2.99")
}

// kill kills the server.
func (w *world) kill() { w.signal(unix.SIGKILL) }

// signal sends a signal to the server, and returns its process.
func (w *world) signal(of unix.Signal) int {
	w.Helper()
	pids := w.servers()
	if len(pids) != 1 {
		w.Fatalf("servers %v", pids)
	}
	if err := unix.Kill(pids[0], of); err != nil {
		w.Fatal(err)
	}
	return pids[0]
}

// TestServerThatHangsIsReplaced stops the process of a server, which does not end of that.
func TestServerThatHangsIsReplaced(t *testing.T) {
	fake := clocktesting.NewFakeClock(time.Now())
	w := beginBy(t, clock.WallOf(fake))
	w.answers("s.ns.svc.example.test", dns.RcodeSuccess, "192.0.2.7")
	for range 10 {
		fake.Step(5 * time.Second)
		time.Sleep(200 * time.Millisecond)
	}
	if strings.Contains(w.log.String(), "has ended") {
		t.Fatal("one that answers was replaced")
	}
	former := w.signal(unix.SIGSTOP)
	looks := 0
	w.eventually("the server is gone", func() bool {
		fake.Step(5 * time.Second)
		looks++
		time.Sleep(50 * time.Millisecond)
		return unix.Kill(former, 0) != nil
	})
	if looks < 3 {
		t.Errorf("it is gone after %d looks", looks)
	}
	w.eventually("another begins after a pause", func() bool {
		fake.Step(100 * time.Millisecond)
		return len(w.servers()) == 1
	})
	w.answers("s.ns.svc.example.test", dns.RcodeSuccess, "192.0.2.7")
	if want := fmt.Sprintf("process %d does not answer", former); !strings.Contains(w.log.String(), want) {
		t.Errorf("it is not told that %s", want)
	}
}

// TestNobodyIsWithoutAnAnswer has a question wait while a server is gone.
func TestNobodyIsWithoutAnAnswer(t *testing.T) {
	w := begin(t)
	w.answers("s.ns.svc.example.test", dns.RcodeSuccess, "192.0.2.7")
	for range 3 {
		w.kill()
		w.answers("s.ns.svc.example.test", dns.RcodeSuccess, "192.0.2.7")
	}
	if !strings.Contains(w.log.String(), `msg="cluster DNS has ended, it is started again" error="signal: killed"`) {
		t.Error("nothing is told of it")
	}
}

func TestServerLearnsWhatItIsToldAnew(t *testing.T) {
	w := begin(t)
	w.answers("there.example", dns.RcodeSuccess, "192.0.2.99")
	asked := w.asked.Load()
	w.mu.Lock()
	w.settings.Upstreams = nil
	w.mu.Unlock()
	w.eventually("the server is another one", func() bool { return strings.Contains(w.log.String(), "what it is told has changed") })
	w.answers("there.example", dns.RcodeServerFailure)
	w.answers("s.ns.svc.example.test", dns.RcodeSuccess, "192.0.2.7")
	if w.asked.Load() != asked {
		t.Error("the former resolver was asked")
	}
}
