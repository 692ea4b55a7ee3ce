package services

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"laterna.dev/laterna/internal/network/nftables"
	"sigs.k8s.io/knftables"
)

func testConfig() Config {
	return Config{Table: "laterna-x", Bridge: "lt-x", Subnet: netip.MustParsePrefix("10.244.0.0/24"), Range: netip.MustParsePrefix("10.96.0.0/16")}
}

// says is a unit as text, with the digest of names left out.
func (u *Unit) says() string {
	var b strings.Builder
	for _, e := range u.elements {
		fmt.Fprintf(&b, "%s: %s → %s\n", e.in, e.key, e.verdict)
	}
	for _, s := range u.sets {
		fmt.Fprintf(&b, "set %s %ds\n", s.name, s.seconds)
	}
	for _, c := range u.chains {
		fmt.Fprintf(&b, "%s\n\t%s\n", c.name, strings.Join(c.rules, "\n\t"))
	}
	for _, f := range u.flows {
		fmt.Fprintf(&b, "udp %v %v\n", f.at, f.to)
	}
	id := idOf(Name{"ns", "web"}, http)
	return strings.ReplaceAll(strings.ReplaceAll(b.String(), id, "ID"), id[:16], "DIGEST")
}

func TestRulesOfAService(t *testing.T) {
	ip, external := netip.MustParseAddr("10.96.0.7"), netip.MustParseAddr("198.51.100.1")
	here, there := at(1, "ready", "a"), at(2, "ready", "b")
	nodePort := Port{Name: "http", Protocol: TCP, Port: 80, NodePort: 30080}
	for name, tt := range map[string]struct {
		service   Service
		endpoints []Endpoint
		want      string
	}{
		"one endpoint": {Service{}, []Endpoint{here}, `
service-ips: 10.96.0.7 . tcp . 80 → goto service-ID
service-ID
	meta l4proto tcp dnat ip to 10.244.0.1:8080
`},
		"two endpoints": {Service{}, []Endpoint{here, there}, `
service-ips: 10.96.0.7 . tcp . 80 → goto service-ID
service-ID
	meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.244.0.1 . 8080, 1 : 10.244.0.2 . 8080 }
`},
		"no endpoints": {Service{Ports: []Port{nodePort}, External: []netip.Addr{external}}, nil, `
unserved-ips: 10.96.0.7 . tcp . 80 → goto refuse
unserved-ips: 198.51.100.1 . tcp . 80 → goto refuse
unserved-ports: tcp . 30080 → goto refuse
`},
		"local inside, none here": {Service{InternalLocal: true}, []Endpoint{there}, `
unserved-ips: 10.96.0.7 . tcp . 80 → drop
`},
		"local inside": {Service{InternalLocal: true}, []Endpoint{here, there}, `
service-ips: 10.96.0.7 . tcp . 80 → goto local-ID
local-ID
	meta l4proto tcp dnat ip to 10.244.0.1:8080
`},
		"node port": {Service{Ports: []Port{nodePort}}, []Endpoint{there}, `
service-ips: 10.96.0.7 . tcp . 80 → goto service-ID
node-ports: tcp . 30080 → goto external-ID
external-ID
	meta mark set meta mark | 0x4000
	goto service-ID
service-ID
	meta l4proto tcp dnat ip to 10.244.0.2:8080
`},
		"node port, local, none here": {Service{ExternalLocal: true, Ports: []Port{nodePort}}, []Endpoint{there}, `
service-ips: 10.96.0.7 . tcp . 80 → goto service-ID
unserved-ports: tcp . 30080 → drop
node-ports: tcp . 30080 → goto external-ID
external-ID
	iifname lt-x goto service-ID
	fib saddr type local meta mark set meta mark | 0x4000
	fib saddr type local goto service-ID
service-ID
	meta l4proto tcp dnat ip to 10.244.0.2:8080
`},
		"load balancer, local": {Service{ExternalLocal: true, Balanced: []netip.Addr{external}, Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, []Endpoint{here, there}, `
service-ips: 10.96.0.7 . tcp . 80 → goto service-ID
external-ips: 198.51.100.1 . tcp . 80 → goto balanced-ID
external-ID
	iifname lt-x goto service-ID
	fib saddr type local meta mark set meta mark | 0x4000
	fib saddr type local goto service-ID
	goto local-ID
balanced-ID
	ip saddr 192.0.2.0/24 goto external-ID
	drop
service-ID
	meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.244.0.1 . 8080, 1 : 10.244.0.2 . 8080 }
local-ID
	meta l4proto tcp dnat ip to 10.244.0.1:8080
`},
		"addresses that are not to be had": {Service{External: []netip.Addr{netip.MustParseAddr("10.96.0.1"), netip.MustParseAddr("10.244.0.1"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("169.254.169.254")}}, []Endpoint{here}, `
service-ips: 10.96.0.7 . tcp . 80 → goto service-ID
service-ID
	meta l4proto tcp dnat ip to 10.244.0.1:8080
`},
		"affinity": {Service{Affinity: time.Minute}, []Endpoint{here, there}, `
service-ips: 10.96.0.7 . tcp . 80 → goto service-ID
set clients-DIGEST-60s__10.244.0.1/8080 60s
set clients-DIGEST-60s__10.244.0.2/8080 60s
service-ID
	ip saddr @clients-DIGEST-60s__10.244.0.1/8080 goto endpoint-ID__10.244.0.1/8080
	ip saddr @clients-DIGEST-60s__10.244.0.2/8080 goto endpoint-ID__10.244.0.2/8080
	numgen random mod 2 vmap { 0 : goto endpoint-ID__10.244.0.1/8080 , 1 : goto endpoint-ID__10.244.0.2/8080 }
endpoint-ID__10.244.0.1/8080
	update @clients-DIGEST-60s__10.244.0.1/8080 { ip saddr }
	meta l4proto tcp dnat ip to 10.244.0.1:8080
endpoint-ID__10.244.0.2/8080
	update @clients-DIGEST-60s__10.244.0.2/8080 { ip saddr }
	meta l4proto tcp dnat ip to 10.244.0.2:8080
`},
	} {
		s := tt.service
		s.Name, s.ClusterIP = Name{"ns", "web"}, ip
		if s.Ports == nil {
			s.Ports = []Port{http}
		}
		u := testConfig().Compile(s, []Slice{{[]SlicePort{{"http", TCP, 8080}}, tt.endpoints}}, Node{Name: "a"})
		if got := "\n" + u.says(); got != tt.want {
			t.Errorf("%s:%s", name, got)
		}
	}
}

// TestOwnPortsComeBeforeServices: no service may have connections to them led elsewhere or
// refused, whichever hook they pass.
func TestOwnPortsComeBeforeServices(t *testing.T) {
	fake := knftables.NewFake(nftables.IPv4, "laterna-x")
	write(t, fake, func(tx *knftables.Transaction) { base{cfg: testConfig(), own: []uint16{6443}, tx: tx}.write() })
	const own = "fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport @own-ports return"
	for chain, hooks := range map[string][]string{"external": {"prerouting", "output"}, "unserved": {"forward", "filter-output"}, "unserved-node": {"input"}} {
		if rules := fake.Table.Chains[chain].Rules; len(rules) == 0 || rules[0].Rule != own {
			t.Errorf("%s does not begin with what is the system's own: %v", chain, rules)
		}
		for _, hook := range hooks {
			jumps := func(r *knftables.Rule) bool { return strings.HasSuffix(r.Rule, "jump "+chain) }
			if !slices.ContainsFunc(fake.Table.Chains[hook].Rules, jumps) {
				t.Errorf("%s does not jump to %s", hook, chain)
			}
		}
	}
}

// FuzzChanges applies changes of services one after the other, by what differs, and compares
// with all of them written at once.
func FuzzChanges(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 255, 254, 128, 64, 32})
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		raw := make([]byte, 120)
		for i := range raw {
			raw[i] = byte(random.Uint32())
			if i%4 == 2 && random.IntN(4) == 0 {
				raw[i] = 0 // the service goes
			}
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 400 {
			return
		}
		now := time.Unix(0, 0)
		s, fake := newState(), knftables.NewFake(nftables.IPv4, "laterna-x")
		write(t, fake, func(tx *knftables.Transaction) { base{cfg: testConfig(), tx: tx}.write() })
		for len(raw) >= 4 {
			c := newChange()
			for n := 1 + int(raw[0]%3); n > 0 && len(raw) >= 4; n-- {
				name := Name{"ns", string(rune('a' + raw[1]%4))}
				if _, twice := c.seen(name); !twice {
					s.set(name, randomUnit(name, raw), now, c)
				}
				raw = raw[4:]
			}
			write(t, fake, c.write)
			now = now.Add(700 * time.Millisecond)
			write(t, fake, func(tx *knftables.Transaction) { s.sweep(tx, now) })
		}
		now = now.Add(time.Minute)
		write(t, fake, func(tx *knftables.Transaction) { s.sweep(tx, now) })
		anew := knftables.NewFake(nftables.IPv4, "laterna-x")
		write(t, anew, func(tx *knftables.Transaction) {
			base{cfg: testConfig(), tx: tx}.write()
			s.all().write(tx)
		})
		got, want := lines(fake), lines(anew)
		if !slices.Equal(got, want) {
			t.Errorf("step by step\n%s\nat once\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(s.stale) > 0 {
			t.Errorf("left %v", s.stale)
		}
	})
}

// seen tells whether a change is of a service already; each is in a change once.
func (c *change) seen(name Name) (int, bool) {
	for i, ch := range c.chains {
		if strings.Contains(ch.name, name.String()) {
			return i, true
		}
	}
	for _, e := range c.made {
		if strings.Contains(e.verdict, name.String()) {
			return 0, true
		}
	}
	return 0, false
}

func randomUnit(name Name, raw []byte) *Unit {
	if raw[2] == 0 {
		return nil
	}
	s := Service{
		Name: name, ClusterIP: netip.AddrFrom4([4]byte{10, 96, 0, name.Name[0]}), InternalLocal: raw[2]&1 != 0, ExternalLocal: raw[2]&2 != 0,
		Affinity: time.Duration(raw[2]>>2&1) * time.Second * time.Duration(1+raw[3]>>7),
		Ports:    []Port{{Name: "http", Protocol: TCP, Port: 80, NodePort: 30000 * uint16(raw[2]>>3&1)}},
	}
	if raw[2]&16 != 0 {
		s.External = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, raw[2] >> 6})}
	}
	var endpoints []Endpoint
	for i := range byte(6) {
		if raw[3]>>i&1 != 0 {
			endpoints = append(endpoints, at(i, "ready", string(rune('a'+i%2))))
		}
	}
	return testConfig().Compile(s, []Slice{{[]SlicePort{{"http", TCP, 8080}}, endpoints}}, Node{Name: "a"})
}

func write(t *testing.T, fake *knftables.Fake, add func(*knftables.Transaction)) {
	t.Helper()
	tx := fake.NewTransaction()
	add(tx)
	if tx.NumOperations() == 0 {
		return
	}
	if err := fake.Run(t.Context(), tx); err != nil {
		t.Fatalf("%v\n%s", err, tx)
	}
}

// lines are those of a dump; the order of objects is that in which they were made.
func lines(fake *knftables.Fake) []string {
	all := strings.Split(fake.Dump(), "\n")
	slices.Sort(all)
	return all
}
